"""What the latency checks share: which endpoints can be judged, and how one finding is made of several endpoints."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable

from readiness.api import FactMissing, Finding, maybe, show, untested
from readiness.facts.load import EndpointLatency, LatencyFacts, Timing

REFERENCE = "https://www.rfc-editor.org/rfc/rfc9110"
MOST_SHOWN = 60
WALK = "curl -s -o /dev/null -w '%{time_starttransfer} %{time_total}\\n' $URL  # repeat it a few dozen times"
ENOUGH_FOR_P95, ENOUGH_FOR_P99 = 20, 100
"""Answers below which the percentile is the slowest of them, and so an accident."""


def name(path: str) -> str:
    """A path short enough for a message."""
    return path if len(path) <= MOST_SHOWN else path[: MOST_SHOWN - 1] + "…"


def unanswered(facts: LatencyFacts) -> Finding | None:
    """`untested` where no endpoint is configured and the base URL has no page, or None."""
    if facts.declared or len(facts.endpoints) != 1:
        return None
    root = facts.endpoints[0]
    if root.successes or not set(root.answers) <= {"3xx", "4xx"}:
        return None
    kind = next(iter(root.answers), "nothing")
    return untested(f"GET {name(root.asked)} answers {kind}: name endpoints in http.endpoints")


def slowest(
    facts: LatencyFacts, figure: Callable[[EndpointLatency], float], judge: Callable[[EndpointLatency, float], Finding]
) -> Finding:
    """The finding for the endpoint with the greatest figure, with all of them as evidence."""
    figures = {endpoint.path: figure(endpoint) for endpoint in facts.endpoints}
    worst = max(facts.endpoints, key=lambda endpoint: figures[endpoint.path])
    finding = judge(worst, figures[worst.path])
    evidence = {"endpoints": {endpoint.path: shown(endpoint.timing) for endpoint in facts.endpoints}}
    spread = [each for window in worst.windows if (each := maybe(lambda w=window: w.mean_ms)) is not None]  # type: ignore[misc]
    if spread:
        evidence["windows"] = {"means": ", ".join(show(each, "ms") for each in spread)}
    if (trip := maybe(lambda: facts.round_trip_ms)) is not None:
        evidence["bare round trip"] = {"TCP connect": show(trip, "ms")}
    return Finding(
        finding.status, finding.message, finding.observed, finding.expected, {**finding.evidence, **evidence},
        finding.credit, verify=WALK.replace("$URL", f"$URL{shlex.quote(worst.path)}"), measured=finding.measured,
    )  # fmt: skip


def shown(timing: Timing) -> str:
    """All figures of one endpoint on a line."""
    figures = {"mean": timing.mean_ms, "p50": timing.p50_ms, "p95": timing.p95_ms, "p99": timing.p99_ms}
    return ", ".join(f"{name} {show(value, 'ms')}" for name, value in figures.items()) + f" of {timing.count}"


def few(facts: LatencyFacts) -> list[EndpointLatency]:
    """The endpoints with fewer answers than p95 needs; raises FactMissing where one has no figures at all."""
    return [each for each in facts.endpoints if each.timing.p95_ms >= 0 and each.timing.count < ENOUGH_FOR_P95]


def too_few(facts: LatencyFacts) -> Finding:
    """`untested` where the endpoints share too few requests; raises FactMissing where their answers are the reason."""
    short = min(facts.endpoints, key=lambda endpoint: endpoint.timing.count)
    reason = f"{short.timing.count} answers are too few for p95, which needs {ENOUGH_FOR_P95}"
    shared = facts.rate / len(facts.endpoints) if facts.rate else short.rate
    if short.stopped or short.skipped or short.errors or short.answers.get("429") or short.rate < 0.99 * shared:
        raise FactMissing(name(short.path), reason)
    seconds = math.ceil(facts.seconds * ENOUGH_FOR_P95 / max(1, short.timing.count))
    return untested(
        f"{name(short.path)}: {reason}: name fewer endpoints in http.endpoints, or set limits.window_seconds: {seconds}"
    )
