"""Whether entries expire, and not all at once."""

from __future__ import annotations

from typing import Any

from readiness.api import Finding, check, failed, not_applicable, passed, show, untested, warn
from readiness.facts.redis import RedisFacts

from . import _fixes
from .warmth import NOT_SET


@check(
    id="caching.ttl.coverage",
    component="caching",
    severity="medium",
    phase=2,
    item="Caching Strategy",
    requires="caching.reach.connect",
    privilege="+info",
    fixes=_fixes.EXPIRE,
    effort="hours",
    reference="https://valkey.io/commands/expire/",
    verify="redis-cli -u $REDIS_URL INFO keyspace",
)
def coverage(redis: RedisFacts, *, at_least: float = 0.90, none_below: float = 0.50) -> Finding:
    """Cached entries have a time to live.

    What never expires is served stale for ever, and stays in memory until it is evicted. Where the policy evicts any
    key, entries without a time to live at least cannot fill the memory.
    """
    if redis.role in ("store", "queue"):
        return not_applicable(f"declared a {redis.role}, whose data is meant to stay", role=redis.role)
    share = redis.expiring_share
    if share is None:
        return not_applicable("there are no keys", keys=0)
    more: dict[str, Any] = {"observed": show(share, "%"), "expected": f"at least {show(at_least, '%')}"}
    message = f"{show(share, '%')} of {redis.keys:,} keys have a time to live"
    if share >= at_least:
        return passed(message, **more)
    if share >= none_below:
        return warn(message, **more)
    if redis.memory.policy.startswith("allkeys-"):
        return warn(f"{message}; {redis.memory.policy} evicts the rest", **more)
    return failed(message, **more)


@check(
    id="caching.ttl.values",
    component="caching",
    severity="low",
    requires="caching.reach.connect",
    privilege="+scan +ttl %R~<patterns>",
    fixes=_fixes.JITTER,
    effort="hours",
    reference="https://valkey.io/commands/ttl/",
    verify="redis-cli -u $REDIS_URL TTL user:1",
    verdicts=("pass", "warn"),
)
def values(redis: RedisFacts, *, design_seconds: int = 3600, spread_seconds: int = 5, sampled: int = 10) -> Finding:
    """Sampled times to live match the design and are spread out.

    The design is one hour, with a tenth of tolerance. Entries that all expire within a few seconds were written by one
    job, and send all their readers to the database at the same moment.
    """
    if not redis.warm_keys:
        return untested(NOT_SET)
    patterns = [each for each in redis.sample.patterns if each.examined]
    examined = sum(each.examined for each in patterns)
    if not examined:
        return not_applicable("no key of the configured patterns was seen", scanned=redis.sample.scanned)
    forever = sum(each.without_ttl for each in patterns) / examined
    lasting = [each for each in patterns if each.examined > each.without_ttl]
    longest = max((each.ttl_max for each in lasting), default=0)
    together = [
        each.pattern
        for each in lasting
        if each.examined - each.without_ttl >= sampled and each.ttl_max - each.ttl_min <= spread_seconds
    ]
    more: dict[str, Any] = {
        "observed": f"longest {longest:,} s, {show(forever, '%')} without",
        "expected": f"at most {design_seconds * 1.1:,.0f} s, below 5 % without, spread out",
    }
    if forever >= 0.05:
        return warn(f"{show(forever, '%')} of {examined} sampled keys never expire", **more)
    if longest > design_seconds * 1.1:
        return warn(f"the longest time to live is {longest:,} s", **more)
    if together:
        return warn(f"keys of {show(tuple(together[:3]))} all expire within {spread_seconds} s", **more)
    return passed(f"{examined} sampled keys live at most {longest:,} s", **more)
