"""The cache that the application keeps for itself, as it reports it."""

from __future__ import annotations

from typing import Any

from readiness.api import (
    Expectations,
    Finding,
    check,
    failed,
    maybe,
    not_applicable,
    passed,
    scaled,
    show,
    untested,
    warn,
)
from readiness.facts.delivery import DeliveryFacts
from readiness.facts.redis import RedisFacts
from readiness.facts.service import AppCache, ServiceFacts

from . import _fixes
from ._stores import reported, store_of

_ASIDE = "https://learn.microsoft.com/en-us/azure/architecture/best-practices/caching"
_NODE_CACHE = "https://www.npmjs.com/package/node-cache"
_EVICTION = "https://valkey.io/topics/lru-cache/"
_VERIFY = "curl -s https://HOST/health | jq .cache"

_RECENCY = ("lru", "lfu", "arc", "tinylfu", "slru", "2q", "sieve", "clock", "gdsf")
_BLIND = ("fifo", "lifo", "random", "ttl", "oldest")
_NO_POLICY = ("none", "no", "off", "disabled", "never", "noeviction", "unbounded")


def _own(redis: RedisFacts | None, service: ServiceFacts | None) -> AppCache | Finding:
    """The cache that the application holds itself, or why there is none to judge.

    Where no shared cache is configured, one that the service reports without saying what holds it counts as its own:
    what it does not say is then missing, and not assumed.
    """
    cache = reported(service)
    word, kind = store_of(cache)
    if kind == "shared":
        return not_applicable(f"the service keeps its cache in {word}, not in its process", store=word)
    if cache is not None and (kind in ("process", "disk") or redis is None):
        return cache
    if redis is not None:
        return untested("the service reports no cache of its own; that of redis.url is judged by itself")
    if service is None:
        return untested("set http.url or redis.url")
    return untested("set redis.url, or let the service's health or metrics report its cache")


@check(
    id="caching.local.shared",
    component="caching",
    severity="high",
    phase=1,
    item="Redis Integration",
    fixes=_fixes.SHARED,
    effort="days",
    reference=_ASIDE,
    verify=_VERIFY,
)
def shared(redis: RedisFacts | None, service: ServiceFacts | None, delivery: DeliveryFacts | None) -> Finding:
    """The cache is shared by all instances of the service.

    With a cache in each process, every instance starts cold, holds its own copy of everything, and goes on serving an
    entry that another one has invalidated. It cannot grow beyond one instance's memory. A small cache in front of a
    shared one that is in use is a compromise with the same stale entries. As long as a single instance is all that
    answers, it is a warning: the second one will be the problem.
    """
    cache = reported(service)
    word, kind = store_of(cache)
    if kind == "shared" and redis is None:
        return passed(f"the service reports a shared cache ({word})", observed=word, expected="a shared cache")
    own = _own(redis, service)
    if isinstance(own, Finding):
        return own
    more: dict[str, Any] = {"observed": own.store, "expected": "a shared cache", "evidence": {"source": own.source}}
    if redis is not None and (maybe(lambda: redis.lookups) or 0) > 0:
        return warn(f"each instance has a cache of its own ({word}) besides the shared one", **more)
    if redis is not None:
        return failed(f"the service reports its own cache ({word}), and nobody uses that of redis.url", **more)
    if kind == "unknown":
        return warn(f"the service calls its cache {word!r}, which is not known to be shared", **more)
    seen = maybe(lambda: delivery.instances) if delivery is not None else None
    several = max((len(names) for names in (seen or {}).values()), default=0)
    if several > 1:
        return failed(f"each of {several} instances has a cache of its own ({word})", **more)
    return warn(f"in-memory only ({word}): not shared with a second instance", **more)


@check(
    id="caching.local.persistent",
    component="caching",
    severity="medium",
    phase=1,
    item="Redis Integration",
    fixes=_fixes.SHARED,
    effort="days",
    reference=_ASIDE,
    verify=_VERIFY,
)
def persistent(redis: RedisFacts | None, service: ServiceFacts | None) -> Finding:
    """The cache outlives a restart of the service.

    A cache in memory is empty after every deploy, crash and scale-out, and the database gets the rush.
    """
    own = _own(redis, service)
    if isinstance(own, Finding):
        return own
    word, kind = store_of(own)
    more: dict[str, Any] = {"observed": own.store, "expected": "a cache outside the process"}
    if kind == "disk":
        return passed(f"the cache is on disk ({word})", **more)
    if kind == "unknown":
        return warn(f"the service calls its cache {word!r}, which is not known to outlive it", **more)
    return failed(f"a restart empties the cache ({word})", **more)


@check(
    id="caching.local.ttl",
    component="caching",
    severity="medium",
    fixes=_fixes.BOUNDED,
    effort="minutes",
    reference=_NODE_CACHE,
    verify=_VERIFY,
    verdicts=("pass", "fail"),
)
def ttl(redis: RedisFacts | None, service: ServiceFacts | None) -> Finding:
    """Entries of the application's own cache expire.

    What never expires is served stale until the next deploy.
    """
    own = _own(redis, service)
    if isinstance(own, Finding):
        return own
    seconds = own.ttl_seconds
    more: dict[str, Any] = {"observed": show(seconds, "s"), "expected": "above 0 s"}
    if seconds > 0:
        return passed(f"entries live for {show(seconds, 's')}", **more)
    return failed("entries never expire", **more)


@check(
    id="caching.local.limit",
    component="caching",
    severity="high",
    fixes=_fixes.BOUNDED,
    effort="minutes",
    reference="https://www.npmjs.com/package/lru-cache",
    verify=_VERIFY,
    verdicts=("pass", "fail"),
)
def limit(redis: RedisFacts | None, service: ServiceFacts | None) -> Finding:
    """The application's own cache is bounded.

    Without a limit it grows with the traffic until the process is killed, and takes the requests in flight with it.
    """
    own = _own(redis, service)
    if isinstance(own, Finding):
        return own
    most = own.max_entries
    held = maybe(lambda: own.entries)
    holding = "" if held is None else f", {held:,} in it"
    more: dict[str, Any] = {"observed": f"{most:,}" if most > 0 else "unlimited", "expected": "a limit above 0"}
    if most > 0:
        return passed(f"at most {most:,} entries{holding}", **more)
    return failed(f"no limit{holding}", **more)


@check(
    id="caching.local.eviction",
    component="caching",
    severity="medium",
    fixes=_fixes.BOUNDED,
    effort="minutes",
    reference=_EVICTION,
    verify=_VERIFY,
)
def eviction(redis: RedisFacts | None, service: ServiceFacts | None) -> Finding:
    """A full cache drops what is used least.

    Policies that look at use (LRU, LFU and their descendants) keep the hot entries; FIFO and random drop them as
    readily as any other.
    """
    own = _own(redis, service)
    if isinstance(own, Finding):
        return own
    policy = own.policy
    more: dict[str, Any] = {"observed": policy, "expected": "LRU or LFU, or a descendant"}
    if policy in _NO_POLICY:
        return failed("nothing is evicted", **more)
    if any(word in policy for word in _RECENCY):
        return passed(f"evicts by {policy}", **more)
    if any(word in policy for word in _BLIND):
        return warn(f"evicts by {policy}, whatever is in use", **more)
    return warn(f"evicts by {policy!r}, which is not known to look at use", **more)


@check(
    id="caching.local.cleanup",
    component="caching",
    severity="low",
    fixes=_fixes.CLEANUP,
    effort="minutes",
    reference=_NODE_CACHE,
    verify=_VERIFY,
)
def cleanup(redis: RedisFacts | None, service: ServiceFacts | None) -> Finding:
    """Expired entries are removed, not only hidden.

    Entries that nobody asks for again otherwise stay in memory. Cleaning more rarely than entries live lets as many
    dead ones as live ones pile up.
    """
    own = _own(redis, service)
    if isinstance(own, Finding):
        return own
    every, lives = own.cleanup_seconds, maybe(lambda: own.ttl_seconds)
    more: dict[str, Any] = {"observed": f"every {show(every, 's')}", "expected": "within the time to live"}
    if every <= 0:
        return failed("expired entries are never removed", **(more | {"observed": "never"}))
    if lives and every > lives:
        return warn(f"removed every {show(every, 's')}, though entries live for {show(lives, 's')}", **more)
    return passed(f"expired entries are removed every {show(every, 's')}", **more)


@check(
    id="caching.local.statistics",
    component="caching",
    severity="low",
    fixes=_fixes.STATISTICS,
    effort="hours",
    reference=_NODE_CACHE,
    verify=_VERIFY,
    verdicts=("pass", "warn"),
)
def statistics(redis: RedisFacts | None, service: ServiceFacts | None) -> Finding:
    """The application's own cache counts its hits and misses.

    Nobody notices otherwise when it stops helping. A rate alone can neither be summed over instances nor compared over
    time. Where nothing is reported it cannot be told whether the service counts.
    """
    own = _own(redis, service)
    if isinstance(own, Finding):
        return own
    both = maybe(lambda: own.hits + own.misses)
    more: dict[str, Any] = {"expected": "hits and misses"}
    if both is not None:
        return passed("hits and misses are reported", observed=f"{both:,} lookups", **more)
    rate = show(own.hit_rate, "%")
    return warn(f"a hit rate is reported ({rate}), but no counts", observed=rate, **more)


@check(
    id="caching.local.hit_rate",
    component="caching",
    severity="high",
    phase=2,
    item="Caching Strategy",
    expectation="cache_hit_rate",
    fixes=_fixes.LONGER,
    effort="days",
    reference=_ASIDE,
    verify=_VERIFY,
)
def hit_rate(
    redis: RedisFacts | None,
    service: ServiceFacts | None,
    expectations: Expectations,
    *,
    none_below: float = 0.80,
    fewest: int = 100,
) -> Finding:
    """Lookups in the application's own cache find what they look for.

    Counted by the application since the answering process started, so a recent start weighs in. The target is the
    expectation cache_hit_rate, as for a shared cache.
    """
    own = _own(redis, service)
    if isinstance(own, Finding):
        return own
    hits, misses = maybe(lambda: own.hits), maybe(lambda: own.misses)
    if hits is None or misses is None:
        rate, evidence = own.hit_rate, {}
    else:
        if hits + misses < fewest:
            return untested(f"{hits + misses} lookups since the process started: too few to judge")
        rate, evidence = hits / (hits + misses), {"hits": hits, "misses": misses}
    good = expectations.cache_hit_rate
    bad = min(none_below, good - 0.05)
    return scaled(rate, good=good, bad=bad, what="hit rate", unit="%", evidence=evidence, measured=rate)
