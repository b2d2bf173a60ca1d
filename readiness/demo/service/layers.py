"""Layers around the application: fixed headers, size limits, revalidation."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from readiness.demo.service.errors import error


class FixedHeaders:
    """Sends the same header fields with every answer, errors included; an answer's own value wins."""

    def __init__(self, app: ASGIApp, fields: Mapping[str, str]) -> None:
        self._app = app
        self._fields = dict(fields)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._fields.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, sending if scope["type"] == "http" else send)


class SizeLimits:
    """Refuses addresses and header sections that no honest client sends."""

    def __init__(self, app: ASGIApp, max_url: int | None, max_headers: int | None) -> None:
        self._app = app
        self._max_url = max_url
        self._max_headers = max_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (error(refusal) if refusal else self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> int | None:
        if self._max_url and len(scope.get("raw_path") or b"") + len(scope["query_string"]) > self._max_url:
            return 414
        if self._max_headers and sum(len(name) + len(value) for name, value in scope["headers"]) > self._max_headers:
            return 431
        return None


class Revalidation:
    """Gives whole GET answers an ETag, and answers 304 to a client that has that version already."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        known = {tag.strip() for tag in Headers(scope=scope).get("if-none-match", "").split(",")}
        start: Message | None = None

        async def sending(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                if _may_be_kept(message):
                    start = message  # held back until the body is known
                    return
            elif start is not None:
                head, start = start, None
                if not message.get("more_body"):
                    message = _revalidate(head, message, known)
                await send(head)
            await send(message)

        await self._app(scope, receive, sending)


def _may_be_kept(start: Message) -> bool:
    return start["status"] == 200 and "no-store" not in Headers(raw=start["headers"]).get("cache-control", "")


def _revalidate(start: Message, body: Message, known: set[str]) -> Message:
    """The body to send; changes the head to carry the ETag, or to a 304."""
    # Weak, because a later layer may compress the same content.
    tag = f'W/"{hashlib.sha256(body.get("body", b"")).hexdigest()[:32]}"'
    headers = MutableHeaders(raw=start["headers"])
    headers["etag"] = tag
    if tag not in known:
        start["headers"] = headers.raw
        return body
    for name in ("content-length", "content-type"):
        del headers[name]
    headers.add_vary_header("Accept-Encoding")
    start["status"], start["headers"] = 304, headers.raw
    return {**body, "body": b""}
