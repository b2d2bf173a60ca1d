"""Requests per caller and minute, counted in the process or, for all instances together, in Valkey."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from readiness.demo.service.auth import Tokens
from readiness.demo.service.cache import SharedCache
from readiness.demo.service.errors import error

WINDOW_SECONDS = 60
_MAX_CALLERS = 10_000
_FREE = ("/health", "/static/")


@dataclass(frozen=True, slots=True)
class Quota:
    """What one policy leaves a caller: `remaining` below zero means refused."""

    policy: str
    limit: int
    remaining: int
    reset: int

    @property
    def refused(self) -> bool:
        return self.remaining < 0

    @property
    def headers(self) -> dict[str, str]:
        """The fields of the IETF draft, and Retry-After where the request was refused."""
        fields = {
            "RateLimit-Policy": f'"{self.policy}";q={self.limit};w={WINDOW_SECONDS}',
            "RateLimit": f'"{self.policy}";r={max(0, self.remaining)};t={self.reset}',
        }
        return fields | ({"Retry-After": str(self.reset)} if self.refused else {})


class RateLimiter:
    """Fixed windows of a minute. With a shared cache the count is one for all instances."""

    def __init__(self, shared: SharedCache | None = None) -> None:
        self._shared = shared
        self._window = 0
        self._counts: dict[str, int] = {}

    async def take(self, policy: str, caller: str, limit: int) -> Quota:
        """Counts one request of the caller."""
        now = time.time()
        window, reset = int(now // WINDOW_SECONDS), WINDOW_SECONDS - int(now % WINDOW_SECONDS)
        count = await self._count_shared(f"ratelimit:{policy}:{caller}:{window}")
        if count is None:
            count = self._count_here(f"{policy}:{caller}", window)
        return Quota(policy, limit, limit - count, reset)

    async def _count_shared(self, key: str) -> int | None:
        if self._shared is None:
            return None
        pipeline = self._shared.client.pipeline(transaction=False)
        pipeline.incr(key)
        pipeline.expire(key, 2 * WINDOW_SECONDS)
        results: list[Any] | None = await self._shared.guarded(pipeline.execute)
        return int(results[0]) if results else None

    def _count_here(self, key: str, window: int) -> int:
        # A new window forgets all callers; so does a flood of different ones, before it fills the memory.
        if window != self._window or len(self._counts) >= _MAX_CALLERS:
            self._window, self._counts = window, {}
        self._counts[key] = self._counts.get(key, 0) + 1
        return self._counts[key]


class RateLimit:
    """The layer that refuses callers over their limit, and tells everybody what is left."""

    def __init__(self, app: ASGIApp, limiter: RateLimiter, limit: int, tokens: Tokens | None) -> None:
        self._app = app
        self._limiter = limiter
        self._limit = limit
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_FREE):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        user = self._tokens.user(connection) if self._tokens else None
        quota = await self._limiter.take("default", f"user:{user}" if user else address(connection), self._limit)
        if quota.refused:
            await error(429, headers=quota.headers)(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in quota.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, sending)


def address(connection: HTTPConnection) -> str:
    """The caller by its network address."""
    return f"ip:{connection.client.host}" if connection.client else "ip:unknown"
