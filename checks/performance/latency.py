"""How long answers take."""

from __future__ import annotations

from readiness.api import Expectations, Finding, check, failed, maybe, passed, scaled, show, untested, warn
from readiness.facts.load import EndpointLatency, LatencyFacts
from readiness.facts.mongodb import MongoFacts, MongoMember

from . import _fixes
from ._endpoints import WALK, name, slowest, unanswered


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
    expectations.response_time_ms, none from ten times that; the slowest endpoint decides.
    """
    if finding := unanswered(latency):
        return finding
    good, bad = good_factor * expectations.response_time_ms, bad_factor * expectations.response_time_ms

    def judge(endpoint: EndpointLatency, value: float) -> Finding:
        return scaled(value, good=good, bad=bad, what=f"{name(endpoint.path)}: p95 response time", unit="ms")

    return slowest(latency, lambda endpoint: endpoint.timing.p95_ms, judge)


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

    p99 over p50. A wide spread means that some requests wait for something that others do not: a cold cache, a lock, a
    collector. A p99 below 20 ms is not held against an endpoint, because nobody notices it and a ratio of
    fractions of a millisecond is noise.
    """
    if finding := unanswered(latency):
        return finding

    def ratio(endpoint: EndpointLatency) -> float:
        timing = endpoint.timing
        return timing.p99_ms / max(timing.p50_ms, 0.001) if timing.p99_ms > unnoticed_ms else 0.0

    def judge(endpoint: EndpointLatency, value: float) -> Finding:
        p50, p99 = show(endpoint.timing.p50_ms, "ms"), show(endpoint.timing.p99_ms, "ms")
        expected = f"p99 at most {good:g} times p50, or {show(unnoticed_ms, 'ms')}"
        if not value:
            return passed(f"{name(endpoint.path)}: p99 is only {p99}", observed=f"p99 {p99}", expected=expected)
        message = f"{name(endpoint.path)}: p99 {p99} is {value:.3g} times p50 {p50}"
        verdict = passed if value <= good else warn if value <= bad else failed
        return verdict(message, observed=f"{value:.3g} times", expected=expected)

    return slowest(latency, ratio, judge)


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
