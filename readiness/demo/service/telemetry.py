"""What operators see of a request: its id, its trace, a log line, and its duration in the metrics."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from readiness.demo.service.log import CONTEXT
from readiness.demo.service.metrics import Metrics

log = logging.getLogger("market.requests")

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{8,128}")
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})")
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}


class Telemetry:
    """The outermost layer: gives the request its ids, and reports how it went."""

    def __init__(self, app: ASGIApp, templates: Mapping[Any, str], metrics: Metrics | None, *, tracing: bool):
        self._app = app
        self._templates = templates
        self._metrics = metrics
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context, answer_headers = self._identify(Headers(scope=scope))
        token = CONTEXT.set(context)
        began, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update(answer_headers)
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception as exception:  # answered already, by the layer that turns exceptions into 500
            log.exception("unhandled exception")
            if self._metrics:
                self._metrics.errors.labels(type(exception).__name__).inc()
        finally:
            self._report(scope, status, time.perf_counter() - began)
            CONTEXT.reset(token)

    def _identify(self, headers: Headers) -> tuple[dict[str, str], dict[str, str]]:
        """The ids of this request for the log, and the header fields that tell them to the caller."""
        given = headers.get("x-request-id", "")
        context = {"request_id": given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)}
        answer = {"x-request-id": context["request_id"]}
        if self._tracing:
            parent = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
            trace, flags = parent.groups() if parent else (secrets.token_hex(16), "00")
            context |= {"trace_id": trace, "span_id": secrets.token_hex(8)}
            answer["traceresponse"] = f"00-{trace}-{context['span_id']}-{flags}"
        return context, answer

    def _report(self, scope: Scope, status: int, seconds: float) -> None:
        route = self._templates.get(scope.get("endpoint"), "unmatched")
        if self._metrics:
            # Methods are the caller's choice; unknown ones must not become labels.
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.requests.labels(method, route, str(status)).observe(seconds)
        log.info(
            "request",
            extra={
                "method": scope["method"],
                "path": scope["path"],
                "route": route,
                "status": status,
                "duration_ms": round(seconds * 1000, 2),
                "client": (scope.get("client") or ("",))[0],
            },
        )
