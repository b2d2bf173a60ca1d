"""How often the cache has the answer."""

from __future__ import annotations

from readiness.api import Expectations, Finding, check, maybe, not_applicable, passed, scaled, show
from readiness.facts.cache_use import CacheUseFacts
from readiness.facts.load import LatencyFacts
from readiness.facts.redis import IDLE, RedisFacts

from . import _fixes
from ._common import quiet


@check(
    id="caching.hit_rate.window",
    component="caching",
    severity="high",
    phase=2,
    item="Caching Strategy",
    expectation="cache_hit_rate",
    requires="caching.reach.connect",
    privilege="+info",
    fixes=_fixes.LONGER,
    effort="days",
    reference="https://valkey.io/commands/info/",
    verify="redis-cli -u $REDIS_URL INFO stats | grep keyspace_  # twice: (hits2-hits1) / all lookups between",
)
def window(
    redis: RedisFacts,
    use: CacheUseFacts | None,
    load: LatencyFacts | None,
    expectations: Expectations,
    *,
    none_below: float = 0.80,
) -> Finding:
    """Lookups find what they look for.

    Every miss is a query to the database. Counted over a window before the audit touches any key, and over the server
    and those of its other nodes that can be read. The lookups that the audit's requests to the service cause in it are
    taken off: as many a request as were measured after it. Below 100 others there is nothing to judge. The target is
    the expectation cache_hit_rate; netdata, among others, alarms below 80 %.
    """
    if redis.role != "cache":
        return not_applicable(f"declared a {redis.role}: a lookup that finds nothing is no miss", role=redis.role)
    good = expectations.cache_hit_rate
    bad = min(none_below, good - 0.05)
    lookups, hits = _own(use, load)
    if redis.lookups - lookups < IDLE:
        besides = f" besides {round(lookups)} that the audit caused" if lookups else ""
        return quiet(f"{max(0, round(redis.lookups - lookups))} lookups{besides}")
    rate = redis.hit_rate_without(lookups, hits) if lookups else redis.hit_rate
    evidence = {"lookups": redis.lookups, "own": round(lookups), "seconds": round(redis.window.seconds, 1)}
    return scaled(rate, good=good, bad=bad, what="hit rate", unit="%", evidence=evidence, measured=rate)


def _own(use: CacheUseFacts | None, load: LatencyFacts | None) -> tuple[float, float]:
    """About how many lookups and hits in the window the audit's own requests to the service caused."""
    signal = maybe(lambda: use.lookups) if use is not None else None
    endpoints = maybe(lambda: load.endpoints) if load is not None else None
    if use is None or signal is None or not endpoints or signal.extra <= 3 * signal.sigma:
        return 0.0, 0.0
    requests = sum(each.requests for each in endpoints)
    return requests * signal.extra, requests * min(signal.extra, max(0.0, use.hits.extra))


@check(
    id="caching.hit_rate.lifetime",
    component="caching",
    severity="info",
    requires="caching.reach.connect",
    privilege="+info",
    fix="redis-cli -u $REDIS_URL INFO stats | grep keyspace_  # for context: the window is what is judged",
    effort="minutes",
    reference="https://valkey.io/commands/info/",
    verify="redis-cli -u $REDIS_URL INFO stats | grep keyspace_",
    verdicts=("pass",),
)
def lifetime(redis: RedisFacts) -> Finding:
    """The hit rate since the server started is on record.

    It mixes deployments, cold starts and restarts, so it is context and no verdict.
    """
    hits, misses = redis.totals.hits, redis.totals.misses
    if hits + misses == 0:
        return not_applicable("no lookup since the server started", keyspace_hits=0, keyspace_misses=0)
    rate = hits / (hits + misses)
    return passed(
        f"{show(rate, '%')} of {hits + misses:,} lookups since the start",
        observed=show(rate, "%"),
        expected="for information",
    )
