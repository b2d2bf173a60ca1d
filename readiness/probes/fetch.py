"""Single HTTP requests, read raw under a byte limit and a deadline.

httpx's own time-outs only bound inactivity, and its decoders inflate without a bound, so the answer is asked for
uncompressed, read undecoded and cut at a limit, all inside one wall-clock deadline. Redirects are never followed, no
cookie is kept, and every request to another origin goes without the configured headers. After a 429 all probes of the
audit wait, and ask again more slowly.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import quote

import httpx

from readiness.budget import Budget
from readiness.errors import ProbeError
from readiness.facts.exchange import Exchange
from readiness.pace import Pace
from readiness.probes.dialing import Pinned
from readiness.settings import HttpSettings, Limits
from readiness.spec import Context

KEEP_BYTES = 64 * 1024
"""How much of a body is kept as text in the facts."""
PARALLEL = 4
_PATIENT_SHARE = 0.8
"""Of a probe's time, after which it waits for no rate limit any more: what it has learned by then is worth keeping."""


class Fetcher:
    """Requests to one service. `url()` joins paths to the configured base URL, `limited` is the first 429."""

    def __init__(
        self, client: httpx.AsyncClient, base: str, limits: Limits, budget: Budget, pace: Pace | None = None
    ) -> None:
        self._client = client
        self._base = httpx.URL(base)
        self._budget = budget
        self._pace = pace or Pace()
        self._until = time.monotonic() + _PATIENT_SHARE * limits.probe_seconds
        self.limits = limits
        self.limited: Exchange | None = None

    def url(self, path: str) -> str:
        """`path` on the service, below the base URL's own path; a full URL stays as it is."""
        if path.startswith(("http://", "https://")):
            return path
        joined = quote(self._base.path.rstrip("/"), safe=_KEPT) + quote(path, safe=_KEPT)
        return str(self._base.copy_with(raw_path=joined.encode()))

    async def get(self, path: str, **more: Mapping[str, str] | int | None) -> Exchange:
        return await self.request("GET", path, **more)  # type: ignore[arg-type]

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        keep: int = KEEP_BYTES,
        anonymous: bool = False,
        seconds: float | None = None,
        patient: bool = True,
    ) -> Exchange:
        """Sends one request, again where 429 asks for patience, and reads the answer up to the byte limit.

        Args:
            path: a path below the base URL, or a full URL.
            headers: sent besides the configured ones; they appear in the facts, so no secrets here.
            keep: how many bytes of the body stay in the facts.
            anonymous: leave the configured headers out.
            seconds: for one answer, where that is less than limits.request_seconds.
            patient: wait and ask again after a 429; otherwise that is the answer.

        Raises:
            ProbeError: no complete answer within the deadline, or within the limits, with the reason.
        """
        url = self.url(path)
        sent = dict(headers or {})
        # Built by hand: the client would merge the configured headers into requests to foreign origins too.
        merged = httpx.Headers(self._client.headers)
        if anonymous or _origin(httpx.URL(url)) != _origin(self._base):
            for name in self._client.headers.keys() - _OWN_HEADERS:
                del merged[name]
        merged.update(sent)
        request = httpx.Request(method, url, headers=merged, content=content, extensions=self._timeouts())
        within = min(seconds or self.limits.request_seconds, self.limits.request_seconds)
        while True:
            turn = await self._turn(method, url) if patient else time.monotonic()
            answer = await self._once(request, sent, keep, within)
            if answer.status != 429:
                self._pace.answered(turn)
                return answer
            self.limited = self.limited or answer
            if not patient or not self._pace.refused(turn, answer.header("retry-after")):
                return answer

    async def _turn(self, method: str, url: str) -> float:
        try:
            return await self._pace.turn(self._until)
        except ProbeError as error:
            raise ProbeError(f"{method} {_shown(url)}: {error.reason}") from None

    async def _once(self, request: httpx.Request, sent: dict[str, str], keep: int, seconds: float) -> Exchange:
        method, url = request.method, str(request.url)
        self._budget.take()
        began = time.perf_counter()
        try:
            async with asyncio.timeout(seconds):
                response = await self._client.send(request, stream=True)
                try:
                    self._bound(response)
                    body, size, truncated = await self._read(response, keep)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise ProbeError(f"{method} {_shown(url)}: no complete answer within {seconds:g} s") from None
        except httpx.HTTPError as error:
            raise ProbeError(f"{method} {_shown(url)}: {_reason(error)}") from None
        except ProbeError as error:
            raise ProbeError(f"{method} {_shown(url)}: {error.reason}") from None
        except Exception as error:  # h11 and httpx raise foreign errors on malformed answers
            raise ProbeError(f"{method} {_shown(url)}: malformed answer ({type(error).__name__})") from None
        text = body.decode("utf-8", "replace")
        return Exchange(
            method=method,
            url=url,
            sent=sent,
            status=response.status_code,
            headers=tuple((k.decode("latin-1"), v.decode("latin-1")) for k, v in response.headers.raw),
            body=text,
            size=size,
            truncated=truncated,
            too_deep=_deeper(text, self.limits.json_depth),
            seconds=time.perf_counter() - began,
            http_version=response.http_version,
        )

    def _timeouts(self) -> dict[str, Any]:
        limits = self.limits
        timeout = httpx.Timeout(
            limits.request_seconds,
            connect=max(limits.connect_seconds, limits.handshake_seconds),
            read=limits.read_seconds,
        )
        return {"timeout": timeout.as_dict()}

    def _bound(self, response: httpx.Response) -> None:
        headers = response.headers.raw
        size = sum(len(name) + len(value) + 4 for name, value in headers)
        if len(headers) > self.limits.headers:
            raise ProbeError(f"{len(headers)} headers, limits.headers is {self.limits.headers}")
        if size > self.limits.header_kb * 1000:
            raise ProbeError(f"{size:,} bytes of headers, limits.header_kb is {self.limits.header_kb:g}")

    async def _read(self, response: httpx.Response, keep: int) -> tuple[bytes, int, bool]:
        kept, size = bytearray(), 0
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if len(kept) < keep:
                kept += chunk[: keep - len(kept)]
            if size > self.limits.response_mb * 1_000_000:
                return bytes(kept), size, True
        return bytes(kept), size, size > len(kept)


_KEPT = "%/:?#[]@!$&'()*+,;=~\"<>"  # what quote() leaves alone: paths come ready to send, but for foreign letters
_OWN_HEADERS = {"user-agent", "accept", "accept-encoding", "connection", "host"}


@contextlib.asynccontextmanager
async def fetcher(settings: HttpSettings, context: Context, *, fresh: bool = False) -> AsyncIterator[Fetcher]:
    """A `Fetcher` for the configured service, with its headers and its private CA.

    `fresh` opens a connection for every request, so that a balancer may choose each time.
    """
    assert settings.url is not None  # the engine runs no probe whose key is missing
    headers = {"User-Agent": context.user_agent, "Accept": "*/*", "Accept-Encoding": "identity"}
    headers |= {name: value.get_secret_value() for name, value in settings.headers.items()}

    def trusted() -> ssl.SSLContext:
        return context.trust.context(settings.ca_file, lambda: tls_context(settings))

    if settings.url.startswith("https:"):
        trusted()  # a CA file that cannot be used is the whole probe's trouble
    async with httpx.AsyncClient(
        headers=headers,
        transport=Pinned(
            context.names,
            trusted,
            limits=httpx.Limits(max_connections=PARALLEL, max_keepalive_connections=0 if fresh else None),
        ),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        trust_env=False,
        follow_redirects=False,
    ) as client:
        yield Fetcher(client, settings.url, context.limits, context.budget, context.pace)


def tls_context(settings: HttpSettings) -> ssl.SSLContext:
    """The system's trust store, or the configured CA file alone. Raises ProbeError where the file cannot be used."""
    try:
        return ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise ProbeError(f"http.ca_file {settings.ca_file}: {error.strerror or type(error).__name__}") from None


_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]')


def _deeper(text: str, limit: int) -> bool:
    """Whether a text that begins like JSON is nested deeper than `limit`. Where little opens, nothing is read."""
    if text[:200].lstrip()[:1] not in ("[", "{") or text.count("[") + text.count("{") <= limit:
        return False
    depth = 0
    for token in _TOKENS.finditer(text):
        first = token[0][0]
        depth += (first in "[{") - (first in "]}")
        if depth > limit:
            return True
    return False


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _shown(url: str) -> str:
    return str(httpx.URL(url).copy_with(query=None, fragment=None))


def _reason(error: httpx.HTTPError) -> str:
    text = str(error) or type(error).__name__
    if isinstance(error, httpx.ConnectError):
        return f"could not connect ({text})"
    if isinstance(error, httpx.TimeoutException):
        return "timed out"
    return _QUOTED.sub("…", text)[:200]


# What the protocol's parser quotes of an answer, and of a header that cannot be sent.
_QUOTED = re.compile(r"(bytearray\()?b(['\"]).*", re.DOTALL)
