"""A light load during the shared window: at most 25 requests a second over 10 connections, 200 in all."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from readiness.api import Context, Expectations, HttpSettings, ProbeError, absent, probe
from readiness.budget import Budget
from readiness.facts.load import EndpointLatency, LatencyFacts
from readiness.probes.dialing import host_of
from readiness.probes.fetch import tls_context
from readiness.probes.load_figures import answers, known, path_of, printable, timing
from readiness.window import Window

if TYPE_CHECKING:  # the engine and its drivers are imported by the probe, when it runs
    from readiness.load import Plan, Result

RATE = 25.0
CONNECTIONS = 10
REQUESTS = 200
WINDOWS = 3
MOST_ENDPOINTS = 10
MAX_REDIRECTS = 3
FEWEST = 10
"""Requests of one endpoint below which the byte limit does not push."""
UTILISATION = 0.5
"""The share of its connections that a schedule may keep busy: above it requests would wait for us, not the server."""
SLOW_SECONDS = 0.2
"""A first answer slower than this is asked for again, to see how long a warm one takes."""
Measured = tuple["Plan", "Result"]
HOPELESS = frozenset({"3xx", "4xx", "429", "timeout", "oversized"})
"""First answers after which more of the same tell nothing."""


@probe(needs="http.url", windowed=True)
async def latency(http: HttpSettings, expectations: Expectations, context: Context) -> LatencyFacts:
    """Measures every endpoint at the same time, each with its share of the rate and of the connections.

    `expectations` only says how exact the figures must be: how late this machine may send.
    """
    from readiness.load import LoadError

    assert http.url is not None  # the engine runs no probe whose key is missing
    chosen, left_out = http.endpoints[:MOST_ENDPOINTS], http.endpoints[MOST_ENDPOINTS:]
    targets = {path: _url(http.url, path) for path in chosen} or {"/": http.url}
    pace = _Pace(context.budget)
    try:
        base = await request_plan(http, context)
        firsts = [await _first(replace(base, url=url), path, pace) for path, url in targets.items()]
        worth = [first for first in firsts if first.kind not in HOPELESS]
        share = _Share(len(worth), REQUESTS - pace.sent, expectations.response_time_ms / 1000)
        plans = [_scheduled(first, share, context) for first in worth]
        context.budget.take(sum(plan.due or 0 for plan in plans))
        results = await _measure(plans, context)
    except LoadError as error:
        raise ProbeError(str(error)) from None
    except ValueError as error:
        raise ProbeError(f"http.url, http.endpoints or http.headers: {error}") from None
    measured = {first.path: (plan, result) for first, plan, result in zip(worth, plans, results, strict=True)}
    return _facts(http, firsts, measured, left_out)


async def request_plan(http: HttpSettings, context: Context) -> Plan:
    """One request to the service as configured, at the light rate. Raises ProbeError where its name is unknown."""
    from readiness.load import Plan

    assert http.url is not None
    configured = {name.lower() for name in http.headers}
    own = {"User-Agent": context.user_agent, "Accept": "*/*", "Accept-Encoding": "gzip"}
    headers = {name: value for name, value in own.items() if name.lower() not in configured}
    headers |= {name: value.get_secret_value() for name, value in http.headers.items()}
    host = host_of(http.url)
    try:
        addresses = await context.names.addresses(host)
    except OSError as error:
        raise ProbeError(f"{host}: {error.strerror or error}") from None
    return Plan(
        http.url,
        headers,
        rate=RATE,
        duration=context.window.seconds,
        timeout=context.limits.request_seconds,
        max_bytes=int(context.limits.response_mb * 1_000_000),
        ssl_context=tls_context(http) if http.url.startswith("https://") else None,
        addresses=addresses,
    )


def _url(base: str, path: str) -> str:
    """`path` below the base URL's own path, percent-encoded where it is not yet."""
    parts = urlsplit(base)
    joined = quote(parts.path.rstrip("/") + path.partition("#")[0], safe="%/:?[]@!$&'()*+,;=~")
    return f"{parts.scheme}://{parts.netloc}{joined}"


# The first answers.


class _Pace:
    """Keeps single requests a 25th of a second apart, and counts them."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.sent = 0
        self._next = 0.0

    async def __call__(self) -> None:
        self._budget.take()
        await asyncio.sleep(max(0.0, self._next - time.monotonic()))
        self._next = time.monotonic() + 1 / RATE
        self.sent += 1


@dataclass(frozen=True, slots=True)
class _First:
    """What single requests told of an endpoint: where it is, how it answers cold and, where that was slow, warm."""

    path: str
    plan: Plan
    cold: Result
    warm: Result
    runs: tuple[Result, ...]

    @property
    def kind(self) -> str:
        return next(iter(answers(self.warm.total)), "")

    @property
    def seconds(self) -> float:
        return (self.warm.percentile(50) or 0.0) / 1000


async def _first(plan: Plan, path: str, pace: _Pace) -> _First:
    """Asks once, follows redirects inside the origin, and asks again where the answer was slow."""
    from readiness.load import run

    plan = replace(plan, connections=1, max_requests=1)
    runs: list[Result] = []
    for _ in range(1 + MAX_REDIRECTS):
        await pace()
        runs.append(await run(plan))
        target = _inside(plan.url, runs[-1].location)
        if target is None:
            break
        plan = replace(plan, url=target)
    cold = warm = runs[-1]
    if cold.total.successes and (cold.percentile(50) or 0.0) > 1000 * SLOW_SECONDS:
        await pace()
        warm = await run(plan)
        runs.append(warm)
    return _First(path, plan, cold, warm, tuple(runs))


def _inside(url: str, location: str | None) -> str | None:
    """The absolute URL that a Location names, where it is one of the same origin."""
    if not location:
        return None
    try:
        target = urlsplit(urljoin(url, location))
        same = _origin(target) == _origin(urlsplit(url)) and target.username is None
    except ValueError:
        return None
    query = f"?{target.query}" if target.query else ""
    return _url(f"{target.scheme}://{target.netloc}", (target.path or "/") + query) if same else None


def _origin(parts: SplitResult) -> tuple[str, str | None, int]:
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


# The measurement.


@dataclass(frozen=True, slots=True)
class _Share:
    """What an endpoint shares with the others: their number, the requests left, and the expected time in seconds."""

    endpoints: int
    budget: int
    expected: float


def _scheduled(first: _First, share: _Share, context: Context) -> Plan:
    """The schedule of one endpoint: its share of everything, or less where its answers are slow or large."""
    from readiness.load import LATE_SHARE

    seconds, connections = context.window.seconds, CONNECTIONS // share.endpoints
    rate = min(RATE, share.budget / seconds) / share.endpoints
    if first.seconds:
        rate = min(rate, UTILISATION * connections / first.seconds)
    if first.cold.received:
        affordable = context.limits.response_mb * 1_000_000 / first.cold.received / share.endpoints
        rate = min(rate, max(affordable, FEWEST) / seconds)
    return replace(
        first.plan,
        rate=rate,
        connections=min(connections, math.ceil(rate * seconds)),
        max_requests=None,
        # A tenth of what is expected changes no verdict, and it counts against the service, never for it.
        tolerance=LATE_SHARE * max(share.expected, first.seconds),
        windows=WINDOWS,
        # A server that closes after every answer may well serve one connection after the other: hold none open idly.
        warm=not first.cold.closed,
    )


async def _measure(plans: Sequence[Plan], context: Context) -> Sequence[Result]:
    """Runs all schedules inside one window, each a little after the one before."""
    from readiness.load import run

    start = _Start(len(plans), context.window)
    tasks = [asyncio.create_task(run(plan, ready=start.after(index / RATE))) for index, plan in enumerate(plans)]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


class _Start:
    """Opens the shared window once all connections are warm, and lets every schedule begin in it."""

    def __init__(self, parties: int, window: Window) -> None:
        self._barrier = asyncio.Barrier(max(1, parties))
        self._window = window
        self._opened: asyncio.Task[float] | None = None

    def after(self, delay: float) -> Callable[[], Awaitable[None]]:
        async def ready() -> None:
            await self._barrier.wait()
            if self._opened is None:
                self._opened = asyncio.create_task(self._window.opened())
            await asyncio.shield(self._opened)
            await asyncio.sleep(delay)

        return ready


# What it told.


def _facts(
    http: HttpSettings, firsts: Sequence[_First], measured: Mapping[str, Measured], left_out: tuple[str, ...]
) -> LatencyFacts:
    from readiness.load import combined, merged

    plans, results = [plan for plan, _ in measured.values()], [result for _, result in measured.values()]
    runs = [run for first in firsts for run in first.runs]
    windows = [combined(result.windows[index] for result in results) for index in range(WINDOWS)]
    shortest = [run.connect.percentile(0) for run in [*runs, *results]]
    return LatencyFacts(
        url=http.url or "",
        declared=bool(http.endpoints),
        endpoints=tuple(_endpoint(first, measured.get(first.path)) for first in firsts),
        left_out=left_out,
        rate=round(sum(plan.rate for plan in plans), 3),
        connections=sum(result.connections for result in results),
        seconds=max((plan.duration for plan in plans), default=0.0),
        requests=sum(run.total.requests for run in [*runs, *results]),
        overall=timing(windows, "no endpoint answered successfully"),
        round_trip_ms=min((value for value in shortest if value is not None), default=absent("no connection")),
        connect_ms=known(merged(run.connect for run in runs).percentile(50), "no connection"),
        tls_ms=known(merged(run.tls for run in runs).percentile(50), "no TLS"),
        lateness_ms=known(merged(each.lateness for each in windows).percentile(99), "nothing was due at fixed times"),
    )


def _endpoint(first: _First, measured: Measured | None) -> EndpointLatency:
    """One endpoint: from its measurement, or from its first answers where they made one pointless."""
    plan, result = measured or (None, first.warm)
    ends = answers(result.total)
    counted = ", ".join(f"{count} x {kind}" for kind, count in ends.items()) or "nothing was sent"
    windows = result.windows if measured else ()
    times = timing(windows, f"GET {first.path} gave no successful answer ({counted})")
    stopped = result.stopped or ("" if measured else f"the first answer was {first.kind}")
    return EndpointLatency(
        path=first.path,
        asked=path_of(first.plan.url),
        rate=round(plan.rate, 3) if plan else 0.0,
        answers=ends,
        timing=times,
        windows=tuple(timing([window], "no successful answer in this window") for window in windows),
        first_byte_ms=known(result.total.first_byte.percentile(50), "no successful answer"),
        cold_ms=known(first.cold.percentile(100), f"the first answer was {first.kind}"),
        bytes=first.cold.received,
        closed=result.closed,
        skipped=result.total.skipped,
        stopped=stopped,
        retry_after=printable(result.retry_after or ""),
    )
