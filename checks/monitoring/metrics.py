"""The metrics endpoint: that there is one, and that requests, queries and the cache can be seen in it."""

from __future__ import annotations

from readiness.api import Absences, Finding, MongoDBSettings, RedisSettings, check, failed, maybe, passed, show, warn
from readiness.facts.metrics import CacheMetrics, Family, Latency
from readiness.facts.redis import RedisFacts
from readiness.facts.service import ServiceFacts

from . import _fixes_metrics
from ._stores import stores

_FORMATS = "https://prometheus.io/docs/instrumenting/exposition_formats/"
_PRACTICES = "https://prometheus.io/docs/practices/instrumentation/"
_STATUS_LABELS = ("status_code", "status", "code", "http_response_status_code", "http_status_code", "http_status")


@check(
    id="monitoring.metrics.exists",
    component="monitoring",
    severity="critical",
    fixes=_fixes_metrics.ENDPOINT,
    effort="hours",
    reference=_FORMATS,
    verify="curl -si https://HOST/metrics | head -20",
    phase=1,
    item="Monitoring",
    verdicts=("pass", "fail"),
)
def exists(service: ServiceFacts) -> Finding:
    """The service exposes metrics that Prometheus can read.

    Without metrics nobody sees an outage before the users do. The usual paths are asked for, or http.metrics; the
    answer must parse and hold at least one sample. Where metrics are served on an internal port, name it in
    http.metrics.
    """
    metrics = service.metrics
    expected = "at least one sample in the Prometheus text format or OpenMetrics"
    if metrics.state == "parsed":
        return passed(
            f"{metrics.path[:60]} exposes {metrics.series:,} series",
            observed=f"{metrics.series:,} series in {metrics.family_count:,} families",
            expected=expected,
        )
    if metrics.state == "missing":
        observed = f"{metrics.path[:60]} answers {metrics.status}" if metrics.status else "no answer"
        return failed("no metrics endpoint found", observed=f"{observed}; {metrics.problem}", expected=expected)
    what = "holds no sample" if metrics.state == "empty" else f"is no metrics format: {metrics.problem}"
    return failed(
        f"{metrics.path[:40]} {what}", observed=f"{metrics.problem} as {metrics.content_type[:60]}", expected=expected
    )


@check(
    id="monitoring.metrics.format",
    component="monitoring",
    severity="medium",
    requires="monitoring.metrics.exists",
    fix="Content-Type: text/plain; version=0.0.4; charset=utf-8",
    fixes=_fixes_metrics.FORMAT,
    effort="minutes",
    reference="https://prometheus.io/docs/instrumenting/content_negotiation/",
    verify="curl -sI https://HOST/metrics | grep -i content-type",
    verdicts=("pass", "warn"),
)
def format(service: ServiceFacts) -> Finding:
    """Metrics declare their format, and keep to it.

    Prometheus 3 refuses an answer whose Content-Type does not name a format, unless the scrape configuration has a
    fallback_scrape_protocol. What calls itself OpenMetrics is held to that stricter format.
    """
    metrics = service.metrics
    declared = metrics.content_type.lower()
    expected = "text/plain with a version, or application/openmetrics-text"
    observed = show(metrics.content_type[:80])
    if metrics.violation:
        return warn(f"no valid OpenMetrics: {metrics.violation[:60]}", observed=observed, expected=expected)
    if declared.startswith("application/openmetrics-text") or (
        declared.startswith("text/plain") and "version=" in declared
    ):
        return passed(f"declared as {observed[:60]}", observed=observed, expected=expected)
    return warn(f"the Content-Type {observed[:50]} names no version", observed=observed, expected=expected)


@check(
    id="monitoring.metrics.http",
    component="monitoring",
    severity="critical",
    requires="monitoring.metrics.exists",
    fixes=_fixes_metrics.HTTP,
    effort="hours",
    reference=_PRACTICES + "#online-serving-systems",
    verify="curl -s https://HOST/metrics | grep request_duration",
    phase=1,
    item="Monitoring",
)
def http(service: ServiceFacts) -> Finding:
    """Rate, errors and duration of requests can be read from one histogram.

    Expected is http_request_duration_seconds, or what common libraries call it, by method, route and status. A summary
    gives no quantile over several instances, and without the status there is no error ratio.
    """
    return _latency(service.metrics.http, ("method", "route", "status"), "HTTP request")


@check(
    id="monitoring.metrics.database",
    component="monitoring",
    severity="high",
    requires="monitoring.metrics.exists",
    fixes=_fixes_metrics.DATABASE,
    effort="hours",
    reference=_PRACTICES,
    verify="curl -s https://HOST/metrics | grep -E 'db_|database_|mongo'",
    phase=2,
    item="Database Optimization",
)
def database(service: ServiceFacts, absences: Absences, mongodb: MongoDBSettings, redis: RedisSettings) -> Finding:
    """The latency of database queries can be read from a histogram, by collection and operation.

    Slow requests are slow queries most of the time; this says which. Expected is database_query_duration_seconds, or
    what common libraries call it.
    """
    exposed = service.metrics.database
    if exposed is None and (finding := stores(service, absences, mongodb, redis).without("database")):
        return finding
    return _latency(exposed, ("collection", "operation"), "database query")


def _latency(latency: Latency | None, meanings: tuple[str, ...], what: str) -> Finding:
    expected = f"a histogram in seconds by {show(meanings)}"
    if latency is None:
        return failed(f"no {what} latency is exposed", observed="no such family", expected=expected)
    name = latency.family[:70]
    missing = [meaning for meaning in meanings if meaning not in latency.labels]
    observed = f"{latency.type} {name} by {show(tuple(latency.labels.values()))}"
    if latency.type != "histogram":
        return warn(f"{name} is a {latency.type[:20]}, no histogram", observed=observed, expected=expected)
    if missing:
        return warn(f"{name} has no label for the {missing[0]}", observed=observed, expected=expected)
    if latency.unit != "seconds":
        return warn(f"{name} is not in seconds", observed=observed, expected=expected)
    return passed(f"{name} has {show(tuple(latency.labels.values()))}", observed=observed, expected=expected)


@check(
    id="monitoring.metrics.cache",
    component="monitoring",
    severity="medium",
    requires="monitoring.metrics.exists",
    fixes=_fixes_metrics.CACHE,
    effort="hours",
    reference=_PRACTICES + "#caches",
    verify="curl -s https://HOST/metrics | grep -i cache",
    phase=2,
    item="Caching Strategy",
)
def cache(
    service: ServiceFacts,
    redis: RedisFacts | None,
    absences: Absences,
    mongodb: MongoDBSettings,
    configured: RedisSettings,
    *,
    far_apart: float = 0.2,
    enough_lookups: int = 100,
) -> Finding:
    """How often the cache answers can be read from the metrics, and they tell the truth.

    Expected are counters of hits and misses, which add up over instances, or a gauge cache_hit_rate between 0 and 1.
    Where Redis saw about as many look-ups in the same seconds as the counters tell of, its own hit rate is compared.
    """
    found: CacheMetrics | None = service.metrics.cache
    expected = "counters of hits and misses, or a hit rate between 0 and 1"
    if found is None:
        own = maybe(lambda: service.cache)  # in its memory: no dependency, but as good a thing to watch
        if own is None and (finding := stores(service, absences, mongodb, configured).without("cache")):
            return finding
        return failed("no hits, misses or hit rate of a cache", observed="no such family", expected=expected)
    names = {name: found.__dict__[name] for name in ("hits_family", "misses_family", "gauge")}
    known = {name: value for name, value in names.items() if isinstance(value, str)}
    if "hits_family" in known and "misses_family" in known:
        pair = f"{known['hits_family'][:60]} and {known['misses_family'][:60]}"
        rates = maybe(lambda: _rates(found, redis, enough_lookups))
        if rates and abs(rates[0] - rates[1]) > far_apart:
            told, seen = (show(rate, "%") for rate in rates)
            return warn(
                f"the metrics tell of {told} hits, Redis of {seen} in the same seconds",
                observed=f"{told} by {pair}, {seen} by INFO",
                expected=f"at most {show(far_apart, '%')} apart",
            )
        return passed("hits and misses are counted", observed=pair, expected=expected)
    if "gauge" not in known:
        only = next(iter(known.values()))[:60]
        return warn(f"only {only}, so there is no hit rate", observed=only, expected=expected)
    value = found.gauge_value
    observed = f"{known['gauge'][:60]} is {show(value)}"
    if 0 <= value <= 1:
        return passed(observed, observed=observed, expected=expected)
    if 1 < value <= 100:
        return warn(f"{observed}: a percentage, no ratio", observed=observed, expected=expected)
    return failed(f"{observed}: no share of anything", observed=observed, expected=expected)


def _rates(found: CacheMetrics, redis: RedisFacts | None, enough: int) -> tuple[float, float] | None:
    """The hit rates of the window by the service and by Redis, where both are of about the same look-ups."""
    if redis is None:
        return None
    told = found.window_hits + found.window_misses
    # A second cache inside the process, or another application at the same Redis, makes the counts differ.
    if told < enough or redis.lookups < enough or not 0.5 <= told / redis.lookups <= 2:
        return None
    return found.window_hits / told, redis.hit_rate


@check(
    id="monitoring.metrics.errors",
    component="monitoring",
    severity="low",
    requires="monitoring.metrics.exists",
    fix="label the request histogram with the status code, or count with errors_total",
    fixes=_fixes_metrics.ERRORS,
    effort="minutes",
    reference=_PRACTICES + "#failures",
    verify="curl -s https://HOST/metrics | grep -iE 'error|exception|status'",
    phase=1,
    item="Error Tracking",
    verdicts=("pass", "fail"),
)
def errors(service: ServiceFacts) -> Finding:
    """Errors are counted.

    A counter of errors or exceptions, or a status on the request histogram, shows that something broke. It does not say
    what: that is the work of an error tracker.
    """
    metrics = service.metrics
    expected = "a counter of errors, or request metrics by status"
    counters = [family.name for family in metrics.families if family.type == "counter" and _counts_errors(family.name)]
    if counters:
        return passed(f"{counters[0][:60]} counts errors", observed=show(tuple(counters[:5])), expected=expected)
    latency = metrics.http
    if latency is not None and "status" in latency.labels:
        observed = f"{latency.family[:60]} by {latency.labels['status']}"
        return passed(f"{observed} shows errors", observed=observed, expected=expected)
    by_status = next((name for family in metrics.families if (name := _counts_by_status(family))), "")
    if by_status:
        return passed(f"{by_status} shows errors", observed=by_status, expected=expected)
    return failed("no metric counts errors", observed="no such family", expected=expected)


def _counts_errors(name: str) -> bool:
    tokens = set(name.lower().split("_"))
    return bool(tokens & {"error", "errors", "exception", "exceptions", "failure", "failures", "failed"})


def _counts_by_status(family: Family) -> str:
    """A counter of requests or answers by status, as `name by label`, or nothing."""
    tokens = set(family.name.lower().split("_"))
    label = next((label for label in _STATUS_LABELS if label in family.labels), "")
    if family.type != "counter" or not label or not tokens & {"http", "request", "requests", "response", "responses"}:
        return ""
    return f"{family.name[:60]} by {label}"
