"""What load.allow permits beyond a light load: a ramp, the time after it, and many connections at once.

Nothing goes beyond the ceilings of the configuration: no rate above load.rate, no more connections than
load.connections, no request after load.duration.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from readiness.api import Context, Expectations, HttpSettings, Limits, LoadSettings, ProbeError, absent, maybe, probe
from readiness.facts.load import EndpointLatency, LatencyFacts, LoadFacts, LoadStep
from readiness.probes.load import CONNECTIONS, RATE, UTILISATION, request_plan
from readiness.probes.load_figures import MOST_SKIPPED
from readiness.probes.load_remote import portable, senders
from readiness.probes.load_step import LEAST_SECONDS, Generator

if TYPE_CHECKING:  # the engine and its drivers are imported by the probe, when it runs
    from readiness.load import Plan

MOST_ENDPOINTS = 3
BASE_SHARE, RAMP_SHARE, AFTER_SHARE = 0.15, 0.45, 0.15
"""Of load.duration; the rest is for holding connections."""
LAST_STEP = 4
"""How much longer the last step takes than one that went well: it is repeated, and falls behind by about its length."""
GROWTH, MOST_GROWTH = 1.5, 4.0
"""From one step to the next, and how far that may be stretched where few steps fit."""
MOST_SECONDS, LEAST_REQUESTS = 5.0, 20
"""Of one step."""
SLOWER, MOST_ERRORS = 2.0, 0.01
"""p95 over that of the base, and the share of failures, at which the ramp ends."""
PATIENCE_SECONDS = 1.0
"""For an answer, at least; a step that falls behind by its own length and more is waited for as well."""
THINK_SECONDS = 10.0
"""Between two requests of one user."""
AROUND_SECONDS = 10.0
"""For the light load before the ramp, which this probe waits for, and for opening connections."""


@probe(needs="http.url and load.allow")
async def ramp(
    http: HttpSettings, load: LoadSettings, expectations: Expectations, latency: LatencyFacts, context: Context
) -> LoadFacts:
    """Begins when the light load is over, so that neither disturbs the other."""
    from readiness.load import LATE_SHARE

    _demand_time(load, context.limits)
    chosen = [each for each in latency.endpoints if each.successes][:MOST_ENDPOINTS]
    facts: dict[str, Any] = {
        "url": latency.url,
        "paths": tuple(each.path for each in chosen),
        "rate": load.rate,
        "connections": load.connections,
        "seconds": load.duration,
    }
    if limited := next((each for each in latency.endpoints if each.answers.get("429")), None):
        return LoadFacts(
            **facts, steps=(_refused(limited),), ended="refused", **_nothing("the service limits requests")
        )
    if not chosen:
        return LoadFacts(**facts, ended=absent(_NO_SUCCESS), **_nothing(_NO_SUCCESS))
    usual = max(maybe(lambda each=each: each.timing.mean_ms) or 0.0 for each in chosen) / 1000  # type: ignore[misc]
    remote = load.dask is not None
    room = load.connections if remote else _open_files_left()
    base = await request_plan(http, context)
    async with senders(load) as together:
        generator = Generator(
            plans=_plans(portable(base, http) if remote else base, chosen),
            connections=min(load.connections, room),
            ends=time.monotonic() + load.duration,
            tolerance=LATE_SHARE * max(expectations.response_time_ms / 1000, usual),
            together=together,
        )
        found = await _Course(generator, load, room, usual).run(expectations.concurrent_users)
    return LoadFacts(
        **facts,
        **found,
        requests=generator.requests,
        most_connections=generator.most,
        lasted=round(time.monotonic() - generator.began, 3),
    )


def _plans(plan: Plan, endpoints: Sequence[EndpointLatency]) -> tuple[Plan, ...]:
    origin = urlsplit(plan.url)
    return tuple(
        # A server that closes after every answer may well serve one connection after the other: hold none open idly.
        replace(plan, url=f"{origin.scheme}://{origin.netloc}{each.asked}", warm=not each.closed)
        for each in endpoints
    )


_NO_SUCCESS = "no endpoint answered successfully"
_NOT_RECOVERED = "the service did not recover from the ramp"


def _nothing(why: str) -> dict[str, Any]:
    return {"after": absent(why), "hold": absent(why)}


def _refused(endpoint: EndpointLatency) -> LoadStep:
    """The light load, where that met a rate limit already."""
    return LoadStep(
        rate=endpoint.rate, answers=endpoint.answers, timing=endpoint.timing, retry_after=endpoint.retry_after,
        stopped=endpoint.stopped, wrong="refused",
    )  # fmt: skip


def _demand_time(load: LoadSettings, limits: Limits) -> None:
    """Raises ProbeError, before anything is sent, where the audit would end in the middle of the load."""
    needed = math.ceil(load.duration + AROUND_SECONDS)
    for name in ("probe_seconds", "audit_seconds"):
        if getattr(limits, name) < needed:
            raise ProbeError(f"load.duration {load.duration:g} does not fit into limits.{name}: set that to {needed}")


def _open_files_left() -> int:
    """How many connections this process can still open."""
    try:
        import resource
    except ImportError:  # no such limit there
        return 65_000
    try:
        used = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # names are enough
    except OSError:
        used = 100
    return max(1, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - used - 50)


@dataclass(frozen=True, slots=True)
class _Pace:
    """How the ramp rises: every step's rate, least and usual seconds, and which ceiling is the lower one."""

    steps: tuple[tuple[float, float, float], ...]
    ceiling: str


class _Course:
    """Base, ramp, base again, hold; in this order, because many connections are held at a rate that is known to go."""

    def __init__(self, generator: Generator, load: LoadSettings, room: int, usual: float) -> None:
        self._generator = generator
        self._load = load
        self._room = room  # for connections, in this process
        self._usual = usual  # seconds of an answer under the light load
        self._steps: list[LoadStep] = []
        self._patience = max(PATIENCE_SECONDS, 20 * usual)

    async def run(self, users: int) -> dict[str, Any]:
        """Facts by name: steps, ended, after, hold."""
        try:
            ended = await self._climb()
        except TimeoutError:  # what went wrong last took the time
            ended = (self._steps[-1].wrong if self._steps else "") or "duration"
        found: dict[str, Any] = {"ended": ended}
        if ended == "late":
            found["ended"] = absent(_late(self._steps[-1]))
        elif ended == "connections" and self._room < self._load.connections:
            found["ended"] = absent(_files(self._room, self._load.connections))
        if ended == "refused":
            found |= _nothing("a limit for this client ended the load")
        elif not self._steps:
            found |= {"after": None, "hold": None}
        elif self._base is None:
            found |= _nothing(_late(self._steps[-1]) if ended == "late" else "the light load went wrong already")
        else:
            after = await self._after(self._base) if len(self._steps) > 1 else None
            failing = isinstance(after, LoadStep) and 2 * after.successes < after.requests
            hold = absent(_NOT_RECOVERED) if failing else await self._hold(min(users, self._load.connections))
            found |= {"after": after, "hold": hold}
        return found | {"steps": tuple(self._steps)}

    @property
    def _base(self) -> LoadStep | None:
        return next((step for step in self._steps if not step.wrong), None)

    # The ramp.

    async def _climb(self) -> str:
        """Why there was no higher rate."""
        seconds = min(3.0, max(BASE_SHARE * self._load.duration, min(1.0, self._load.duration / 4)))
        connections = min(self._generator.connections, max(CONNECTIONS, math.ceil(RATE * self._usual / UTILISATION)))
        rate = min(RATE, self._load.rate / 2)
        if self._usual:
            rate = min(rate, UTILISATION * connections / self._usual)
        if wrong := await self._certain(rate, seconds, connections):
            return wrong
        base = self._steps[-1]
        self._patience = max(PATIENCE_SECONDS, 20 * base.timing.p50_ms / 1000)
        until = RAMP_SHARE * self._load.duration + seconds
        pace = self._pace(base, until - (self._load.duration - self._generator.left))
        for rate, least, seconds in pace.steps:
            left = (until - (self._load.duration - self._generator.left)) / 2  # the step may have to be repeated
            if least > left:
                return "duration"
            if wrong := await self._certain(rate, min(seconds, left), self._needed(rate, base)):
                return wrong
        return pace.ceiling

    async def _certain(self, rate: float, seconds: float, connections: int) -> str:
        """What is wrong at this rate: of the service seen twice, of this machine three times. A hiccup is no limit."""
        seen = {"", "refused"}
        for _ in range(3):
            step = await self._generator.step(rate, seconds, connections, self._patience + MOST_GROWTH * seconds)
            wrong = self._wrong(step)
            self._steps.append(step.model_copy(update={"wrong": wrong}))
            if wrong in seen or step.stopped:
                break
            if wrong != "late":
                seen.add(wrong)
        return wrong

    def _wrong(self, step: LoadStep) -> str:
        if step.saturated or step.skipped > MOST_SKIPPED * (step.requests + step.skipped):
            return "late"
        refusals = step.answers.get("429", 0) + step.answers.get("4xx", 0)
        if step.retry_after or refusals > MOST_ERRORS * step.requests:
            return "refused"
        if step.requests - step.successes > MOST_ERRORS * step.requests or not step.successes:
            return "errors"
        fast = min((each.timing.p95_ms for each in self._steps if not each.wrong), default=math.inf)
        # What this machine's own lateness can do to a figure must not look like a knee.
        limit = SLOWER * max(fast, 1000 * self._generator.tolerance)
        return "latency" if step.timing.p95_ms > limit else ""

    def _pace(self, base: LoadStep, seconds: float) -> _Pace:
        mean = max(base.timing.mean_ms / 1000, 1e-6)
        reachable = UTILISATION * self._generator.connections / mean
        ceiling = min(self._load.rate, reachable)

        def length(rate: float) -> float:
            return max(LEAST_SECONDS, 4 * base.timing.p95_ms / 1000, LEAST_REQUESTS / rate)

        rates = _rates(base.rate, ceiling, seconds, length)
        stretch = max(1.0, seconds / _planned(rates, length)) if rates else 1.0
        steps = tuple((rate, least := length(rate), max(least, min(MOST_SECONDS, stretch * least))) for rate in rates)
        return _Pace(steps, "rate" if self._load.rate <= reachable else "connections")

    def _needed(self, rate: float, base: LoadStep) -> int:
        """Connections for a rate: enough to go on asking while a service that is used to capacity falls behind."""
        in_flight = rate * max(0.25, 4 * base.timing.p95_ms / 1000)
        return min(self._generator.connections, max(CONNECTIONS, math.ceil(in_flight)))

    # Afterwards.

    async def _after(self, base: LoadStep) -> Any:
        seconds = min(MOST_SECONDS, max(AFTER_SHARE * self._load.duration, LEAST_SECONDS))
        return await self._more(base.rate, min(seconds, self._spare), base.wanted, warm=False)

    async def _hold(self, connections: int) -> Any:
        if connections > self._room:
            return absent(_files(self._room, connections))
        seconds = self._spare / 2  # the other half is for opening them
        sustained = max(step.sent for step in self._steps if not step.wrong)
        rate = min(self._load.rate, sustained, max(connections / THINK_SECONDS, connections / max(seconds, 1.0)))
        return await self._more(rate, seconds, connections, warm=True)

    @property
    def _spare(self) -> float:
        """Seconds in which requests can be sent and their answers still be waited for."""
        return self._generator.left - self._patience - LEAST_SECONDS

    async def _more(self, rate: float, seconds: float, connections: int, *, warm: bool) -> Any:
        """A step beside the ramp, None where there was no time for it, or absent where this machine was late."""
        if seconds < LEAST_SECONDS / 2:
            return None
        try:
            step = await self._generator.step(rate, seconds, connections, self._patience, warm=warm)
        except TimeoutError:
            return None
        late = step.saturated or step.skipped > MOST_SKIPPED * (step.requests + step.skipped)
        return absent(_late(step)) if late else step


def _rates(base: float, ceiling: float, seconds: float, length: Callable[[float], float]) -> list[float]:
    """The rates of a ramp from above the base to the ceiling, at a growth with which they fit into the seconds."""
    growth = GROWTH
    while True:
        count = math.floor(math.log(max(1.0, 0.97 * ceiling / base), growth))
        rates = [base * growth**n for n in range(1, count + 1)] + ([ceiling] if ceiling > 1.03 * base else [])
        if growth >= MOST_GROWTH or not rates or _planned(rates, length) <= seconds:
            return rates
        growth *= 1.1


def _planned(rates: Sequence[float], length: Callable[[float], float]) -> float:
    return sum(map(length, rates)) + (LAST_STEP - 1) * length(rates[-1])


def _late(step: LoadStep) -> str:
    due = step.requests + step.skipped
    if step.saturated:
        return f"this machine had no time left at {step.rate:,.0f}/s, which says nothing of the service"
    return f"this machine could not send {step.rate:,.0f}/s on time: {step.skipped} of {due} requests were too late"


def _files(room: int, connections: int) -> str:
    return f"this process can open {room:,} connections, not {connections:,}: raise `ulimit -n`"
