"""Requests that break the protocol, one ordinary request before and after them, and, if allowed, one slow client.

They go to an invented path, without credentials, each on a connection of its own: three that are broken, one like them
that is not, one with a path of 20 kB. None can be taken for two requests, so a proxy that others share comes to no
harm.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx

from readiness.api import Context, HttpSettings, ProbeError, absent, maybe, probe
from readiness.facts.robustness import BrokenRequest, RobustnessFacts, SlowClient
from readiness.probes.dialing import host_of, open_connection
from readiness.probes.fetch import Fetcher, fetcher, tls_context

ANSWER_SECONDS = 3.0
ATTEMPTS = 3
PAUSE_SECONDS = 0.3
LONG_PATH = 20_000
DRIP_SECONDS = 1.0
_KEPT_SECONDS = 3.0
"""Of the probe's time, what the slow client leaves."""
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)\b")

_ANSWERED = {
    "a length that is no number": "Content-Length: readiness\r\n\r\n",
    "a space before the colon": "X-Readiness : 1\r\n\r\n",
}
_BROKEN_OFF = {"a request that ends in its headers": "X-Readiness: 1"}


@probe(needs="http.url")
async def robustness(settings: HttpSettings, context: Context) -> RobustnessFacts:
    """An ordinary request, broken ones, the ordinary one again; a slow client meanwhile, where it is allowed."""
    assert settings.url is not None
    wire = _Wire(settings, context)
    async with fetcher(settings, context, fresh=True) as fetch:
        before = await fetch.request("GET", "/", keep=1024)
        slow = asyncio.create_task(_slow(wire, settings, context.limits.probe_seconds))
        try:
            path = f"/{context.canary}-"
            long_path, closed = await _long(fetch, path + "a" * LONG_PATH)
            unknown, *answered = await asyncio.gather(
                _broken(wire, "nothing", "\r\n"), *(_broken(wire, what, text) for what, text in _ANSWERED.items())
            )
            await asyncio.gather(*(_break_off(wire, text) for text in _BROKEN_OFF.values()))
            after, attempts, unanswered = await _again(fetch)
            return RobustnessFacts(
                before=before,
                long_path=long_path,
                long_path_closed=closed,
                unknown=_status(unknown),
                broken=tuple(answered),
                sent=len(_ANSWERED) + len(_BROKEN_OFF) + 1,
                after=after,
                attempts=attempts,
                unanswered=unanswered,
                slow=await slow,
            )
        finally:
            slow.cancel()


class _Wire:
    """Raw connections to the service, and the beginning of a request to a path that nobody defined."""

    def __init__(self, settings: HttpSettings, context: Context) -> None:
        assert settings.url is not None
        url = httpx.URL(settings.url)
        self._host, self._port = host_of(url), url.port or (443 if url.scheme == "https" else 80)
        self._names, self._budget, self._pace = context.names, context.budget, context.pace
        self._until = time.monotonic() + context.limits.probe_seconds - 2 * _KEPT_SECONDS
        self._tls = tls_context(settings) if url.scheme == "https" else None
        target = f"{url.path.rstrip('/')}/{context.canary}-broken"
        common = f"Host: {url.netloc.decode('ascii', 'replace')}\r\nUser-Agent: {context.user_agent}\r\n"
        self._start = f" {target} HTTP/1.1\r\n{common}"

    def request(self, rest: str) -> bytes:
        return ("GET" + self._start + rest).encode("ascii", "replace")

    async def turn(self) -> float:
        """Waits where the service asks for patience. Raises ProbeError where that takes too long."""
        return await self._pace.turn(self._until)

    def refused(self, turn: float) -> bool:
        """The request of that turn got 429: whether to send it again."""
        return self._pace.refused(turn, None)

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """An open connection for one request. Raises OSError or TimeoutError, and BudgetSpent."""
        self._budget.take()
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await open_connection(self._names, self._host, self._port, tls=self._tls, limit=8192)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()  # a broken request deserves no farewell


async def _long(fetch: Fetcher, path: str) -> tuple[Any, bool]:
    """The answer to the long path, and whether the connection was closed instead."""
    try:
        answer = await fetch.request("GET", path, keep=1024, anonymous=True)
    except (ProbeError, httpx.InvalidURL) as error:
        cut = isinstance(error.__context__, (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError))
        return absent(f"a path of {LONG_PATH:,} characters got no answer"), cut
    # The path is ours and long; what is kept says enough.
    return answer.model_copy(update={"url": f"({LONG_PATH:,} characters)"}), False


async def _broken(wire: _Wire, what: str, text: str) -> BrokenRequest:
    """One broken request, again where 429 was an answer to how often we ask, not to what."""
    while True:
        try:
            turn = await wire.turn()
        except ProbeError as error:
            return BrokenRequest(what=what, status=absent(error.reason), refused=True)
        answer = await _broken_once(wire, what, text)
        if not answer.refused or not wire.refused(turn):
            return answer


async def _broken_once(wire: _Wire, what: str, text: str) -> BrokenRequest:
    try:
        async with wire.connection() as (reader, writer):
            writer.write(wire.request(text))
            async with asyncio.timeout(ANSWER_SECONDS):
                return _outcome(what, await reader.read(512))
    except TimeoutError:
        return BrokenRequest(what=what, status=absent(f"no answer within {ANSWER_SECONDS:g} s"))
    except OSError:
        return BrokenRequest(what=what, status=absent("the connection was closed"), closed=True)


def _outcome(what: str, answer: bytes) -> BrokenRequest:
    status = _STATUS.match(answer)
    if status and status[1] == b"429":
        return BrokenRequest(what=what, status=absent("the service answered 429"), refused=True)
    if status:
        return BrokenRequest(what=what, status=int(status[1]))
    reason = "the answer is no HTTP" if answer else "the connection was closed"
    return BrokenRequest(what=what, status=absent(reason), closed=not answer)


def _status(request: BrokenRequest) -> Any:
    reason = "the service answered 429" if request.refused else "a well-formed request got no answer"
    status = maybe(lambda: request.status)
    return absent(reason) if status is None else status


async def _break_off(wire: _Wire, text: str) -> None:
    with contextlib.suppress(OSError, TimeoutError):
        async with wire.connection() as (_, writer):
            writer.write(wire.request(text))
            async with asyncio.timeout(ANSWER_SECONDS):
                await writer.drain()


async def _again(fetch: Fetcher) -> tuple[Any, int, str]:
    """The ordinary request once more: its answer, the attempts that it took, and why there was none."""
    reason = ""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return await fetch.request("GET", "/", keep=1024), attempt, ""
        except ProbeError as error:
            reason = error.reason
            await asyncio.sleep(PAUSE_SECONDS * attempt)
    return absent(reason), ATTEMPTS, reason


async def _slow(wire: _Wire, settings: HttpSettings, most: float) -> Any:
    """One byte of a header a second, until the service closes the connection or the time is up."""
    if settings.slow_client_seconds is None:
        return absent("http.slow_client_seconds is not set")
    seconds = min(settings.slow_client_seconds, max(1.0, most - _KEPT_SECONDS))
    began = time.monotonic()
    answer = b""
    try:
        async with wire.connection() as (reader, writer):
            writer.write(wire.request("X-Readiness: "))
            while (left := began + seconds - time.monotonic()) > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(DRIP_SECONDS, left)):
                        answer = await reader.read(512)
                        break
                writer.write(b"a")
            else:
                return SlowClient(seconds=time.monotonic() - began, closed=False)
    except TimeoutError:
        return absent("no connection for the slow client in time")
    except OSError:
        pass  # reset: closed as well
    status = _STATUS.match(answer)
    return SlowClient(
        seconds=time.monotonic() - began,
        closed=True,
        status=int(status[1]) if status else absent("closed without an answer"),
    )
