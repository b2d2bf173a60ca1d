"""How long answers take."""

from __future__ import annotations

from readiness.api import Expectations, Finding, Status, check, failed, maybe, passed, scaled, show, untested, warn
from readiness.facts.load import EndpointLatency, LatencyFacts
from readiness.facts.mongodb import MongoFacts, MongoMember

from . import _fixes
from ._endpoints import ENOUGH_FOR_P95, ENOUGH_FOR_P99, WALK, few, name, slowest, too_few, unanswered


@check(
    id="performance.latency.average",
    component="performance",
    severity="high",
    expectation="response_time_ms",
    effort="days",
    fix="Trace the slowest endpoint: query times, N+1 queries, missing indexes; cache what changes rarely",
    verify=WALK,
    reference="https://web.dev/articles/ttfb",
)
def average(latency: LatencyFacts, expectations: Expectations, *, bad_factor: float = 3) -> Finding:
    """Endpoints answer within the expected average time.

    The mean over successful answers at a light, constant rate, counted from the moment each request was due; the median
    of three windows, and the slowest endpoint decides. Full credit to expectations.response_time_ms, none from three
    times that. Next to the server there is no network in the figure: compare it with the bare round trip.
    """
    if finding := unanswered(latency):
        return finding
    good = expectations.response_time_ms

    def judge(endpoint: EndpointLatency, mean: float) -> Finding:
        what = f"{name(endpoint.path)}: mean response time"
        return scaled(mean, good=good, bad=bad_factor * good, what=what, unit="ms", measured=mean)

    return slowest(latency, lambda endpoint: endpoint.timing.mean_ms, judge)


@check(
    id="performance.latency.p95",
    component="performance",
    severity="high",
    effort="days",
    fix="Look at the slow tail: lock waits, garbage collection, cache misses, pool exhaustion, cold instances",
    verify=WALK,
    reference="https://research.google/pubs/the-tail-at-scale/",
)
def p95(
    latency: LatencyFacts, expectations: Expectations, *, good_factor: float = 2.5, bad_factor: float = 10
) -> Finding:
    """The slowest twentieth of the answers is still fast enough.

    A page needs many requests, so most users meet the 95th percentile. Full credit to 2.5 times
    expectations.response_time_ms, none from ten times that; the slowest endpoint decides. Endpoints with fewer than 20
    answers are judged together, and each by its median, which its p95 cannot be below.
    """
    if finding := unanswered(latency):
        return finding
    good, bad = good_factor * expectations.response_time_ms, bad_factor * expectations.response_time_ms
    short, overall = few(latency), latency.overall
    together = overall.p95_ms if short and overall.count >= ENOUGH_FOR_P95 else None

    def figure(endpoint: EndpointLatency) -> float:
        return endpoint.timing.p50_ms if endpoint in short else endpoint.timing.p95_ms

    def judge(endpoint: EndpointLatency, value: float) -> Finding:
        count = endpoint.timing.count
        what = f"{name(endpoint.path)}: {'median' if endpoint in short else 'p95'} response time of {count} answers"
        if together is not None and together > value:
            what, value = f"p95 response time of {overall.count} answers of all endpoints", together
        return scaled(value, good=good, bad=bad, what=what, unit="ms")

    finding = slowest(latency, figure, judge)
    return too_few(latency) if short and together is None and finding.status is Status.PASS else finding


@check(
    id="performance.latency.spread",
    component="performance",
    severity="medium",
    effort="days",
    fix="Compare slow with fast answers of the same endpoint: cache hits, instances, garbage collection, lock waits",
    verify=WALK,
    reference="https://research.google/pubs/the-tail-at-scale/",
)
def spread(latency: LatencyFacts, *, good: float = 5, bad: float = 20, unnoticed_ms: float = 20) -> Finding:
    """Answers of one endpoint take about equally long.

    p99 over p50, or p95 where an endpoint gave fewer than 100 answers: of fewer than that p99 is but the slowest. A
    wide spread means that some requests wait for something that others do not: a cold cache, a lock, a collector. A
    tail below 20 ms is not held against an endpoint, because nobody notices it and a ratio of fractions of a
    millisecond is noise.
    """
    if finding := unanswered(latency):
        return finding
    if few(latency):
        return too_few(latency)

    def ratio(endpoint: EndpointLatency) -> float:
        _, tail = _tail(endpoint)
        return tail / max(endpoint.timing.p50_ms, 0.001) if tail > unnoticed_ms else 0.0

    def judge(endpoint: EndpointLatency, value: float) -> Finding:
        which, tail = _tail(endpoint)
        p50, shown, count = show(endpoint.timing.p50_ms, "ms"), show(tail, "ms"), endpoint.timing.count
        expected = f"{which} at most {good:g} times p50, or {show(unnoticed_ms, 'ms')}"
        if not value:
            message = f"{name(endpoint.path)}: {which} of {count} answers is only {shown}"
            return passed(message, observed=f"{which} {shown}", expected=expected)
        message = f"{name(endpoint.path)}: {which} of {count} answers, {shown}, is {value:.3g} times p50 {p50}"
        verdict = passed if value <= good else warn if value <= bad else failed
        return verdict(message, observed=f"{value:.3g} times", expected=expected)

    return slowest(latency, ratio, judge)


def _tail(endpoint: EndpointLatency) -> tuple[str, float]:
    """The highest percentile that these answers are enough for, and its name."""
    timing = endpoint.timing
    return ("p99", timing.p99_ms) if timing.count >= ENOUGH_FOR_P99 else ("p95", timing.p95_ms)


@check(
    id="performance.latency.database",
    component="performance",
    severity="high",
    phase=2,
    item="Database Optimization",
    expectation="database_query_ms",
    privilege="clusterMonitor",
    effort="days",
    fix="Find the slow operations with db.setProfilingLevel(1, {slowms: 100}), and give them indexes",
    verify='mongosh "$MONGODB_URI" --eval "db.serverStatus().opLatencies"  # twice, and the difference',
    reference="https://www.mongodb.com/docs/manual/reference/command/serverStatus/#oplatencies",
)
def database(
    mongo: MongoFacts, expectations: Expectations, *, bad_factor: float = 4, least_operations: int = 30
) -> Finding:
    """Database operations take no more than their share of a response.

    The mean server-side time of all operations in the quiet window. Full credit to expectations.database_query_ms, none
    from four times that. With fewer than 30 operations in the window there is nothing to judge.
    """
    milliseconds = maybe(lambda: mongo.operation_ms)
    if milliseconds is None:
        operations = maybe(lambda: sum(_operations(member) for member in mongo.readable))
        if mongo.readable and operations is not None and operations < least_operations:
            return untested(f"{operations} operations in the window: audit under traffic, or raise its length")
        milliseconds = mongo.operation_ms
    good = expectations.database_query_ms
    what = "mean time of an operation"
    return scaled(milliseconds, good=good, bad=bad_factor * good, what=what, unit="ms", measured=milliseconds)


def _operations(member: MongoMember) -> int:
    activity = member.activity
    return activity.reads + activity.writes + max(0, activity.commands - activity.housekeeping)


@check(
    id="performance.cold_start",
    component="performance",
    severity="low",
    effort="hours",
    fix="Warm connection pools, caches and compiled code before the instance reports ready; keep one instance running",
    fixes=_fixes.COLD_START,
    verify=WALK,
    reference="https://kubernetes.io/docs/concepts/workloads/pods/probes/",
)
def cold_start(latency: LatencyFacts, expectations: Expectations, *, good: float = 3, bad: float = 10) -> Finding:
    """The first request is not much slower than the others.

    The first answer on a new connection over the median of the rest. Where it is many times slower, whoever comes first
    after a deployment or a quiet night waits. A first answer within expectations.response_time_ms is fast enough
    whatever the ratio.
    """
    if finding := unanswered(latency):
        return finding
    enough = expectations.response_time_ms

    def ratio(endpoint: EndpointLatency) -> float:
        return endpoint.cold_ms / max(endpoint.timing.p50_ms, 0.001) if endpoint.cold_ms > enough else 0.0

    def judge(endpoint: EndpointLatency, value: float) -> Finding:
        cold, warm_ = show(endpoint.cold_ms, "ms"), show(endpoint.timing.p50_ms, "ms")
        expected = f"at most {good:g} times the median, or {show(enough, 'ms')}"
        message = f"{name(endpoint.path)}: first answer {cold}, median {warm_}"
        verdict = passed if value <= good else warn if value <= bad else failed
        return verdict(message, observed=cold, expected=expected)

    return slowest(latency, ratio, judge)
