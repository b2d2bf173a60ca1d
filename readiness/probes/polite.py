"""A fetcher with a budget: so many requests, so many seconds each, same-origin redirects only, no exceptions."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import httpx

from readiness.errors import ProbeError
from readiness.facts.exchange import Exchange
from readiness.probes.fetch import KEEP_BYTES, PARALLEL, Fetcher
from readiness.probes.soft404 import Baseline, Signature, signature

MAX_REQUESTS = 45
RESERVED = 8
"""Of those, the requests that searching leaves for measuring."""
MAX_HANGS = 2
REQUEST_SECONDS = 5.0
"""What a health check may take at most before it is of no use to anybody."""


class Polite:
    """Requests to the service on behalf of one probe.

    `exhausted` says that searching has to stop: its part of the budget is spent, or too many requests hung.
    """

    def __init__(self, fetch: Fetcher, *, budget: int = MAX_REQUESTS, seconds: float = REQUEST_SECONDS) -> None:
        self._fetch = fetch
        self.limits = fetch.limits
        self._seconds = seconds
        self._left = budget
        self._slots = asyncio.Semaphore(PARALLEL)  # so that waiting for a connection does not count as an answer's time
        self.sent = 0
        self.hangs = 0

    @property
    def exhausted(self) -> bool:
        return self._left <= RESERVED or self.hangs >= MAX_HANGS

    def url(self, path: str) -> str:
        return self._fetch.url(path)

    async def request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, keep: int = KEEP_BYTES
    ) -> Exchange:
        """One request. Raises ProbeError where there is no answer in time, or no request left."""
        if self._left <= 0:
            raise ProbeError(f"{method} {path}: this probe's {self.sent} requests are spent")
        self._left -= 1
        self.sent += 1
        try:
            async with self._slots:
                return await self._fetch.request(method, path, headers=headers, keep=keep, seconds=self._seconds)
        except ProbeError as error:
            self.hangs += isinstance(error.__context__, TimeoutError)
            raise

    async def follow(self, exchange: Exchange, *, keep: int = KEEP_BYTES) -> Exchange:
        """The answer at the end of a few redirects inside the origin, each asked for with the same headers."""
        for _ in range(self.limits.redirects):
            target = urljoin(exchange.url, exchange.header("location") or "")
            if not redirects(exchange) or _origin(target) != _origin(exchange.url) or self.exhausted:
                break
            exchange = await self.request("GET", target, headers=exchange.sent, keep=keep)
        return exchange

    async def get(
        self, path: str, *, headers: Mapping[str, str] | None = None, keep: int = KEEP_BYTES
    ) -> Exchange | None:
        """GET without redirects, or None where the budget is spent or no answer came."""
        if self.exhausted:
            return None
        try:
            return await self.request("GET", path, headers=headers, keep=keep)
        except ProbeError:
            return None

    async def find(self, path: str, baseline: Baseline, *, headers: Mapping[str, str], keep: int = KEEP_BYTES) -> Found:
        """What is at a path: the answer behind its redirects, or None where it is that to an unknown path."""
        exchange = await self.get(path, headers=headers, keep=keep)
        if exchange is None:
            return Found(path, 0, None)
        status = exchange.status
        try:
            if redirects(exchange) and not baseline.matches(exchange):
                exchange = await self.follow(exchange, keep=keep)
        except (ProbeError, ValueError, httpx.InvalidURL):  # a hostile Location
            return Found(path, status, None)
        return Found(path, status, None if baseline.matches(exchange) else exchange)


@dataclass(frozen=True, slots=True)
class Found:
    """One path looked at; `status` is that of its first answer, 0 without one."""

    path: str
    status: int
    exchange: Exchange | None


async def calibrate(polite: Polite, mark: str) -> tuple[Baseline, Exchange]:
    """The answers to two random paths, one asked for as JSON, one as a page, and the first of them.

    Raises:
        ProbeError: the service does not answer.
    """
    signatures: list[Signature] = []
    first: Exchange | None = None
    for accept in ("application/json", "text/html"):
        exchange = await polite.request("GET", f"/{mark}-{len(signatures)}", headers={"Accept": accept})
        first = first or exchange
        # A redirect that carries the path along says nothing yet; one to a fixed place is the answer.
        if redirects(exchange) and mark in (exchange.header("location") or ""):
            with contextlib.suppress(ProbeError, ValueError, httpx.InvalidURL):
                exchange = await polite.follow(exchange)
        signatures.append(signature(exchange))
    assert first is not None
    return Baseline(tuple(signatures)), first


def redirects(exchange: Exchange) -> bool:
    return exchange.status in (301, 302, 303, 307, 308) and exchange.header("location") is not None


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
