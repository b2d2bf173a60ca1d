"""Whether what must survive a restart is written to disk, and whether the writing works."""

from __future__ import annotations

from typing import Any

from readiness.api import Finding, check, failed, maybe, not_applicable, passed, show, untested, warn
from readiness.facts.redis import RedisFacts

from . import _fixes
from ._common import expendable

_PERSISTENCE = "https://valkey.io/topics/persistence/"
_DURABLE = ("MemoryDB",)


def snapshots(redis: RedisFacts) -> bool:
    """Whether the server saves snapshots: by its configuration, else by whether it has ever had to and did not.

    Reads the configuration's refusal as no answer: the counters tell as well.
    """
    save = maybe(lambda: redis.config.save)
    if save is not None:
        return bool(save.strip())
    return not (redis.persistence.rdb_changes > 0 and _never_saved(redis))


def _never_saved(redis: RedisFacts) -> bool:
    """Whether the time of the last snapshot is that of the start, with which the server begins."""
    return abs(redis.persistence.rdb_last_save - (redis.now - redis.server.uptime_seconds)) < 5


@check(
    id="caching.persist.mode",
    component="caching",
    severity="medium",
    requires="caching.reach.connect",
    privilege="+info +config|get",
    fixes=_fixes.APPEND_ONLY,
    effort="minutes",
    reference=_PERSISTENCE,
    verify="redis-cli -u $REDIS_URL INFO persistence; redis-cli -u $REDIS_URL CONFIG GET save",
)
def mode(redis: RedisFacts) -> Finding:
    """What a restart loses is a decision that fits the data's role.

    A cache may start empty. Sessions, jobs and records may not: the append-only file loses a second at most, snapshots
    lose everything since the last one.
    """
    if redis.provider in _DURABLE:
        return passed(f"{redis.provider} is durable by design", observed=redis.provider, expected="durable")
    aof, rdb = redis.persistence.aof_enabled, snapshots(redis)
    having = show(tuple(name for name, on in (("AOF", aof), ("RDB snapshots", rdb)) if on))
    more: dict[str, Any] = {
        "observed": having,
        "expected": "any" if expendable(redis) else f"AOF for a {redis.role}",
    }
    if expendable(redis):
        return passed(f"persistence: {having}; a cache may start empty", **more)
    if aof:
        return passed(f"persistence: {having}", **more)
    if rdb:
        return warn(f"RDB snapshots only: a restart of the {redis.role} loses what came since", **more)
    if redis.provider:
        return warn(f"no persistence seen: are {redis.provider}'s own backups on?", **more)
    return failed(f"no persistence: a restart empties the {redis.role}", **more)


@check(
    id="caching.persist.last_save",
    component="caching",
    severity="high",
    requires="caching.reach.connect",
    privilege="+info",
    fix="df -h; sysctl vm.overcommit_memory=1  # then BGSAVE; the server's log says why the last one failed",
    effort="hours",
    reference=_PERSISTENCE,
    verify="redis-cli -u $REDIS_URL INFO persistence",
)
def last_save(redis: RedisFacts, *, good_hours: float = 24, bad_hours: float = 48) -> Finding:
    """Where data is written to disk, the writing works.

    After a failed snapshot the server refuses writes by default (MISCONF). Snapshots older than a day, while there are
    changes, mean that they no longer happen; the common alert fires at 48 hours. Where none was due since the start,
    nobody knows whether one would succeed.
    """
    persistence = redis.persistence
    states = {
        "rdb_last_bgsave_status": persistence.rdb_state,
        "aof_last_write_status": maybe(lambda: persistence.aof_write_state) or "ok",
        "aof_last_bgrewrite_status": maybe(lambda: persistence.aof_rewrite_state) or "ok",
    }
    broken = [name for name, state in states.items() if state != "ok"]
    expected = f"ok, and younger than {good_hours:g} h"
    if broken:
        return failed(f"{show(tuple(broken))}: err", observed=f"err: {show(tuple(broken))}", expected=expected)
    aof, rdb = persistence.aof_enabled, snapshots(redis)
    if not aof and not rdb:
        return not_applicable("persistence is off", aof_enabled=False, save=maybe(lambda: redis.config.save))
    appended = passed("the append-only file is written", observed="ok", expected="ok")
    if not rdb:
        return appended
    hours = max(0.0, redis.now - persistence.rdb_last_save) / 3600
    more: dict[str, Any] = {"observed": f"ok, {hours:.1f} h ago", "expected": expected}
    recent = persistence.rdb_changes == 0 or hours <= good_hours
    if recent and maybe(lambda: _never_saved(redis)):
        if aof:
            return appended
        return untested(f"no snapshot since the start {hours:.1f} h ago: audit again after the first, or run BGSAVE")
    if recent:
        return passed(f"the last snapshot succeeded {hours:.1f} h ago", **more)
    message = f"no snapshot for {hours:,.0f} h, {persistence.rdb_changes:,} changes since"
    return warn(message, **more) if hours <= bad_hours else failed(message, **more)


@check(
    id="caching.persist.fsync",
    component="caching",
    severity="low",
    requires="caching.reach.connect",
    privilege="+info +config|get",
    fixes=_fixes.FSYNC,
    effort="minutes",
    reference=_PERSISTENCE,
    verify="redis-cli -u $REDIS_URL CONFIG GET appendfsync",
    verdicts=("pass", "warn"),
)
def fsync(redis: RedisFacts) -> Finding:
    """The append-only file reaches the disk at least every second.

    With appendfsync no, the system decides when, and half a minute of writes may be lost with the host.
    """
    if not redis.persistence.aof_enabled:
        return not_applicable("the append-only file is off", aof_enabled=False)
    policy = redis.config.appendfsync
    more: dict[str, Any] = {"observed": policy, "expected": "everysec or always"}
    if policy in ("everysec", "always"):
        return passed(f"appendfsync is {policy}", **more)
    return warn(f"appendfsync is {policy}", **more)


@check(
    id="caching.persist.loading",
    component="caching",
    severity="low",
    requires="caching.reach.connect",
    privilege="+info",
    fix="redis-cli -u $REDIS_URL INFO persistence  # wait until it has finished, and audit again",
    effort="minutes",
    reference=_PERSISTENCE,
    verify="redis-cli -u $REDIS_URL INFO persistence | grep -E 'loading|in_progress'",
    verdicts=("pass", "warn"),
)
def loading(redis: RedisFacts) -> Finding:
    """The server is neither loading nor saving while it is measured.

    Both slow it down, so latencies of this run may not be those of every day.
    """
    busy = redis.persistence.busy
    more: dict[str, Any] = {"observed": show(busy), "expected": "none"}
    return warn(f"busy with {show(busy)}", **more) if busy else passed("neither loading nor saving", **more)
