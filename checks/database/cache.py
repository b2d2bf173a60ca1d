"""The cache of the storage engine: whether the working set fits, and who has to evict."""

from __future__ import annotations

from readiness.api import Finding, check, failed, not_applicable, passed, scaled, show, warn
from readiness.facts.mongodb import MongoFacts, MongoMember

from ._members import MONITOR, REACH, each

FILL_CREDIT = 0.9
"""A busy server keeps its cache at 80 %: by itself that is hardly a finding."""


def other_engine(mongo: MongoFacts) -> Finding | None:
    """Not applicable where no member has WiredTiger, whose cache this is about."""
    engines = {member.gauges.engine for member in mongo.readable}
    if "wiredTiger" in engines:
        return None
    return not_applicable("the storage engine is not WiredTiger", engines=sorted(engines))


@check(
    id="database.cache.fill",
    component="database",
    severity="high",
    phase=2,
    item="Database Optimization",
    requires=REACH,
    privilege=MONITOR,
    effort="days",
    fix="Give the host more memory or raise storage.wiredTiger.engineConfig.cacheSizeGB; index what is scanned",
    verify='mongosh "$MONGODB_URI" --eval "db.serverStatus().wiredTiger.cache"',
    reference="https://www.mongodb.com/docs/manual/administration/production-notes/#memory-use",
)
def fill(
    mongo: MongoFacts,
    *,
    used: tuple[float, float] = (0.80, 0.95),
    dirty: tuple[float, float] = (0.05, 0.20),
    updates: float = 0.10,
) -> Finding:
    """The working set fits into the cache.

    WiredTiger begins to evict at 80 % used or 5 % dirty, and lets the threads of clients do it at 95 % or 20 %; from
    then on every operation pays. Being around 80 % is the steady state of a busy server, so that alone costs little.
    """
    if (other := other_engine(mongo)) is not None:
        return other

    def judge(member: MongoMember) -> Finding:
        size = member.gauges.cache_max
        full, changed = member.gauges.cache_used / size, member.gauges.cache_dirty / size
        pending = member.gauges.cache_updates / size
        text = f"{full:.0%} used, {changed:.1%} dirty, {pending:.1%} updates"
        expected = f"below {used[0]:.0%} used and {dirty[0]:.0%} dirty"
        if full > used[1] or changed > dirty[1] or pending > updates:
            return failed(f"cache {text}", observed=text, expected=expected)
        if changed > dirty[0]:
            return warn(f"cache {text}", observed=text, expected=expected)
        if full > used[0]:
            return warn(f"cache {text}", observed=text, expected=expected, credit=FILL_CREDIT)
        return passed(f"cache {text}", observed=text, expected=expected)

    return each(mongo, judge)


@check(
    id="database.cache.app_evictions",
    component="database",
    severity="medium",
    requires=REACH,
    privilege=MONITOR,
    effort="days",
    fix="Give the cache more memory, or make the working set smaller with indexes and projections",
    verify='mongosh "$MONGODB_URI" --eval "db.serverStatus().wiredTiger.cache"  # twice',
    reference="https://www.mongodb.com/docs/manual/core/wiredtiger/",
)
def app_evictions(mongo: MongoFacts, *, bad: float = 100) -> Finding:
    """The threads of clients do not have to make room in the cache.

    Counted over the window: when the eviction threads cannot keep up, operations evict pages themselves and stall.
    """
    if (other := other_engine(mongo)) is not None:
        return other

    def judge(member: MongoMember) -> Finding:
        rate = member.activity.application_evictions / member.window_seconds
        return scaled(rate, good=0, bad=bad, what="rate of evictions by clients", unit="per s")

    return each(mongo, judge)


@check(
    id="database.cache.size",
    component="database",
    severity="low",
    requires=REACH,
    privilege=MONITOR,
    effort="minutes",
    fix="Set storage.wiredTiger.engineConfig.cacheSizeGB to about half of the memory of the container or host",
    verify='mongosh "$MONGODB_URI" --eval "db.hostInfo().system.memLimitMB"',
    reference="https://www.mongodb.com/docs/manual/reference/configuration-options/#mongodb-setting-storage.wiredTiger.engineConfig.cacheSizeGB",
    verdicts=("pass", "warn"),
)
def size(mongo: MongoFacts, *, at_most: float = 0.6) -> Finding:
    """The cache leaves memory to the operating system.

    Compressed pages are cached once more by the file system, and connections and sorts need memory outside the cache.
    The default is half of what is left above 1 GB; in a container its limit counts, not the host.
    """
    if (other := other_engine(mongo)) is not None:
        return other

    def judge(member: MongoMember) -> Finding:
        share = member.gauges.cache_max / (max(1, member.host.memory_mb) * 1024 * 1024)
        message = f"the cache may take {share:.0%} of the memory"
        verdict = warn if share > at_most else passed
        return verdict(message, observed=show(share, "%"), expected=f"at most {show(at_most, '%')}")

    return each(mongo, judge)
