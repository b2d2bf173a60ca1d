"""Whether memory is bounded, and what happens when it is full."""

from __future__ import annotations

from typing import Any

from readiness.api import Finding, check, failed, maybe, not_applicable, passed, scaled, show, warn
from readiness.facts.redis import RedisFacts

from . import _fixes
from ._common import MEGABYTE, queue_commands_seen, size

_VERIFY = "redis-cli -u $REDIS_URL INFO memory | grep -E 'maxmemory|used_memory:'"
_EVICTION = "https://valkey.io/topics/lru-cache/"


@check(
    id="caching.memory.limit",
    component="caching",
    severity="high",
    phase=1,
    requires="caching.reach.connect",
    privilege="+info",
    fixes=_fixes.LIMIT,
    effort="minutes",
    reference=_EVICTION,
    verify=_VERIFY,
)
def limit(redis: RedisFacts) -> Finding:
    """Memory is limited, so that the server cannot take its host down.

    Without maxmemory the server grows until the kernel or the container runtime kills it, and the whole cache with it.
    A replica ignores the limit until it is promoted, and then needs one.
    """
    if redis.provider == "Upstash":
        return not_applicable("Upstash limits memory by plan", host=redis.host)
    bytes = redis.memory.limit
    more: dict[str, Any] = {"observed": size(bytes) if bytes else "0 (no limit)", "expected": "above 0"}
    if bytes > 0:
        return passed(f"maxmemory is {size(bytes)}", **more)
    if redis.replication.role == "slave":
        return warn("no maxmemory on this replica: unbounded once it is promoted", **more)
    return failed("no maxmemory: the server grows until the host kills it", **more)


@check(
    id="caching.memory.headroom",
    component="caching",
    severity="high",
    requires="caching.reach.connect",
    privilege="+info",
    fixes=_fixes.MORE_MEMORY,
    effort="hours",
    reference=_EVICTION,
    verify=_VERIFY,
)
def headroom(redis: RedisFacts) -> Finding:
    """There is room before writes fail.

    Buffers of replicas and of the append-only file do not count towards the limit. A cache that may evict any key is
    full for good, and that is its purpose: evictions and hit rate judge it. Elsewhere a full memory means refused
    writes: a warning from 75 %, and a failure from 90 %, as the common alert rules have it.
    """
    memory = redis.memory
    if memory.limit == 0:
        return not_applicable("there is no maxmemory to come near", maxmemory=0)
    share = (memory.used - (maybe(lambda: memory.not_evictable) or 0)) / memory.limit
    policy = memory.policy
    text = f"{show(share, '%')} of {size(memory.limit)} used, policy {policy}"
    if policy.startswith("allkeys-"):
        return passed(text, observed=show(share, "%"), expected="any share: every key may be evicted")
    if policy != "noeviction":
        more: dict[str, Any] = {"observed": show(share, "%"), "expected": "below 90.0 %"}
        return passed(text, **more) if share < 0.90 else warn(text, **more)
    more = {"observed": show(share, "%"), "expected": "below 75.0 %"}
    if share < 0.75:
        return passed(text, **more)
    return warn(text, **more) if share < 0.90 else failed(f"{text}: writes are about to fail", **more)


@check(
    id="caching.memory.policy",
    component="caching",
    severity="high",
    phase=1,
    requires="caching.reach.connect",
    privilege="+info",
    fixes=_fixes.EVICT,
    effort="minutes",
    reference=_EVICTION,
    verify="redis-cli -u $REDIS_URL INFO memory | grep maxmemory_policy",
)
def policy(redis: RedisFacts, *, ttl_coverage: float = 0.90) -> Finding:
    """Full memory does what the data's role asks for: a cache evicts, everything else refuses.

    With noeviction a cache becomes a write outage the moment it is full; with any other policy a queue loses jobs and
    a session store logs people out. The volatile policies evict only keys with a time to live: where most keys have
    none, they are noeviction by another name.
    """
    name = redis.memory.policy
    if redis.role != "cache":
        more: dict[str, Any] = {"observed": name, "expected": f"noeviction for a {redis.role}"}
        if name == "noeviction":
            return passed(f"{name}: nothing of the {redis.role} is evicted", **more)
        if name.startswith("allkeys-"):
            return failed(f"{name} evicts any entry of the {redis.role}", **more)
        return warn(f"{name} evicts entries of the {redis.role} that have a time to live", **more)
    more = {"observed": name, "expected": "allkeys-lru or allkeys-lfu"}
    if name.startswith("allkeys-"):
        return passed(f"{name}: full memory evicts", **more)
    if name == "noeviction":
        return _noeviction(redis, more)
    share = redis.expiring_share
    if share is not None and share >= ttl_coverage:
        return passed(f"{name}, and {show(share, '%')} of the keys have a time to live", **more)
    if share is not None and share < 0.5:
        return failed(f"{name}, but only {show(share, '%')} of the keys have a time to live", **more)
    having = "there are no keys yet" if share is None else f"only {show(share, '%')} of the keys have a time to live"
    return warn(f"{name}, and {having}", **more)


def _noeviction(redis: RedisFacts, more: dict[str, Any]) -> Finding:
    queues = maybe(lambda: queue_commands_seen(redis))
    if queues:
        seen = show(tuple(queues[:3]))
        return warn(f"noeviction, but {seen} look like a job queue: set redis.role", **more)
    if redis.memory.limit == 0:
        return warn("noeviction: writes would fail at a limit, and there is none yet", **more)
    return failed("noeviction: a full cache refuses writes", **more)


@check(
    id="caching.memory.evictions",
    component="caching",
    severity="medium",
    requires="caching.reach.connect",
    privilege="+info",
    fixes=_fixes.MORE_MEMORY,
    effort="hours",
    reference=_EVICTION,
    verify="redis-cli -u $REDIS_URL INFO stats | grep evicted_keys  # twice",
)
def evictions(redis: RedisFacts, *, most_a_minute: float = 0.01) -> Finding:
    """Entries are not evicted faster than they are useful.

    Some evictions are how a full cache works. Losing more than 1 % of the keys a minute, or evicting while fewer than
    80 % of the lookups hit, means that the working set does not fit.
    """
    window, keys = redis.window, redis.keys
    evicted = window.evicted
    if evicted == 0:
        return passed("no evictions in the window", observed="0", expected="0")
    rate = evicted / window.seconds
    share = min(1.0, 60 * rate / keys) if keys else 1.0
    hits = maybe(lambda: redis.hit_rate)
    hit_text = "hit rate unknown" if hits is None else f"hit rate {show(hits, '%')}"
    more: dict[str, Any] = {
        "observed": f"{rate:,.1f}/s, {show(share, '%')} of the keys a minute, {hit_text}",
        "expected": f"0, or below {show(most_a_minute, '%')} a minute with a hit rate of 80 % or more",
    }
    if share > most_a_minute:
        return failed(f"{rate:,.1f} evictions/s: {show(share, '%')} of the keys a minute", **more)
    if hits is not None and hits < 0.80:
        return failed(f"{rate:,.1f} evictions/s while the hit rate is {show(hits, '%')}", **more)
    return warn(f"{rate:,.1f} evictions/s, {hit_text}", **more)


@check(
    id="caching.memory.oom_errors",
    component="caching",
    severity="critical",
    phase=1,
    requires="caching.reach.connect",
    privilege="+info",
    fixes=_fixes.EVICT,
    effort="minutes",
    reference=_EVICTION,
    verify="redis-cli -u $REDIS_URL INFO errorstats | grep OOM",
)
def oom_errors(redis: RedisFacts) -> Finding:
    """Writes are not refused for want of memory.

    The reply OOM means that an entry, a session or a job was not stored. A server that cannot evict and lies above its
    limit refuses the next write, even if none came during the window.
    """
    now, ever = redis.window.errors.get("OOM", 0), redis.totals.errors.get("OOM", 0)
    over = maybe(lambda: redis.memory.over_limit_ms) or 0
    # A server that evicts may be above its limit for a moment; above it for the whole window it is stuck.
    stuck = over > (0 if redis.memory.policy == "noeviction" else 1000 * redis.window.seconds)
    more: dict[str, Any] = {"observed": f"{now} in the window, {ever:,} since the start", "expected": "0"}
    if now:
        return failed(f"{now} writes refused with OOM in {redis.window.seconds:.1f} s", **more)
    if stuck:
        return failed(f"above maxmemory for {over / 1000:,.1f} s: writes are refused", **more)
    if ever:
        return warn(f"{ever:,} writes refused with OOM since the start, none in the window", **more)
    return passed("no write was refused for want of memory", **more)


@check(
    id="caching.memory.fragmentation",
    component="caching",
    severity="low",
    requires="caching.reach.connect",
    privilege="+info",
    fixes=_fixes.DEFRAGMENT,
    effort="minutes",
    reference="https://valkey.io/topics/memory-optimization/",
    verify="redis-cli -u $REDIS_URL MEMORY DOCTOR",
)
def fragmentation(redis: RedisFacts, *, ratio_at_most: float = 1.4, bytes_at_least: int = 100 * MEGABYTE) -> Finding:
    """Memory is neither wasted by fragmentation nor swapped out.

    MEMORY DOCTOR complains above a ratio of 1.4. On a small instance a high ratio is a few idle megabytes, so less than
    100 MB of waste never counts. A ratio below 0.9 means that part of the data is on disk.
    """
    memory = redis.memory
    ratio, wasted = memory.fragmentation_ratio, memory.fragmentation_bytes
    more: dict[str, Any] = {
        "observed": f"ratio {ratio:.2f}, {size(wasted)}",
        "expected": f"ratio 0.9 to {ratio_at_most:g}, or less than {size(bytes_at_least)}",
    }
    if ratio < 0.9 and memory.used > bytes_at_least:
        return failed(f"ratio {ratio:.2f}: part of {size(memory.used)} is swapped out", **more)
    if ratio > ratio_at_most and wasted > bytes_at_least:
        return warn(f"{size(wasted)} lost to fragmentation (ratio {ratio:.2f})", **more)
    return passed(f"fragmentation ratio {ratio:.2f}, {size(max(0, wasted))}", **more)


@check(
    id="caching.memory.host_share",
    component="caching",
    severity="low",
    requires="caching.reach.connect",
    privilege="+info",
    fixes=_fixes.HOST_SHARE,
    effort="minutes",
    reference="https://valkey.io/topics/admin/",
    verify="redis-cli -u $REDIS_URL INFO memory | grep -E 'maxmemory:|total_system_memory:'",
)
def host_share(redis: RedisFacts) -> Finding:
    """The limit leaves the host room for saving, buffers and the system.

    While a snapshot is written, changed pages exist twice. The total is the host's: in a container the real share may
    be higher.
    """
    memory = redis.memory
    if memory.limit == 0:
        return not_applicable("there is no maxmemory to compare", maxmemory=0)
    if memory.host_total <= 0:
        return not_applicable("the service does not say how much memory its host has", total_system_memory=0)
    return scaled(memory.limit / memory.host_total, good=0.75, bad=0.85, what="maxmemory's share of the host", unit="%")
