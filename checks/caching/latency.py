"""How fast the server answers, and what holds its one thread up."""

from __future__ import annotations

from typing import Any

from readiness.api import Finding, check, failed, not_applicable, passed, scaled, show, untested, warn
from readiness.facts.redis import RedisFacts

from . import _fixes
from ._common import quiet

_LATENCY = "https://valkey.io/topics/latency/"
_HOUR, _DAY = 3600, 86_400
# What the probe itself sends, and does not count in the average.
_OWN = ("info", "ping")

# Commands that read or change a whole collection or keyspace at once.
WHOLE = {"KEYS", "SMEMBERS", "HGETALL", "FLUSHALL", "FLUSHDB", "SORT"}


@check(
    id="caching.latency.ping",
    component="caching",
    severity="medium",
    requires="caching.reach.connect",
    privilege="+ping",
    fix="redis-cli -u $REDIS_URL --latency  # from the application's host; then move cache and application together",
    effort="days",
    reference=_LATENCY,
    verify="redis-cli -u $REDIS_URL --latency-history -i 5",
)
def ping(redis: RedisFacts, *, good_ms: float = 2, bad_ms: float = 25) -> Finding:
    """The cache is near: a round trip takes a few milliseconds at most.

    Several lookups a request add up. Measured as the median of ten PINGs on an open connection, from the auditor, whose
    own distance counts too: run the audit near the application.
    """
    evidence = {"max_ms": round(redis.ping.max_ms, 3), "pings": redis.ping.count}
    return scaled(redis.ping.median_ms, good=good_ms, bad=bad_ms, what="a round trip", unit="ms", evidence=evidence)


@check(
    id="caching.latency.command_avg",
    component="caching",
    severity="medium",
    requires="caching.reach.connect",
    privilege="+info",
    fix="redis-cli -u $REDIS_URL INFO commandstats  # then replace what reads whole collections",
    effort="days",
    reference=_LATENCY,
    verify="redis-cli -u $REDIS_URL INFO commandstats",
)
def command_average(redis: RedisFacts, *, good_us: float = 100, bad_us: float = 1000) -> Finding:
    """Commands take microseconds of the server's time.

    One command at a time: while one runs, all others wait. The average is over the window, without this audit's own
    commands; scripts dominate it where there are any. Without a command of anybody else there is nothing to judge.
    """
    commands = redis.window.commands_by_name
    if not any(each.calls for each in commands if each.name not in _OWN):
        return quiet("no commands")
    slowest = sorted(commands, key=lambda each: -each.microseconds)[:3]
    evidence = {each.name: f"{each.calls:,} calls, {each.microseconds / max(1, each.calls):.0f} us" for each in slowest}
    return scaled(redis.average_us, good=good_us, bad=bad_us, what="an average command", unit="us", evidence=evidence)


@check(
    id="caching.latency.p99",
    component="caching",
    severity="low",
    requires="caching.reach.connect",
    privilege="+info",
    fix="redis-cli -u $REDIS_URL SLOWLOG GET 10  # what ran before the slow ones",
    effort="days",
    reference=_LATENCY,
    verify="redis-cli -u $REDIS_URL INFO latencystats",
)
def p99(redis: RedisFacts, *, good_us: float = 1000, bad_us: float = 5000) -> Finding:
    """Nearly every read and write is quick.

    The 99th percentile of the plain reads and writes since the server started, not over a window.
    """
    plain = {name: value for name, value in redis.p99_us.items() if name in ("get", "mget", "hget", "set", "hset")}
    if not plain:
        return not_applicable("no GET, MGET, HGET, SET or HSET since the start", commands=len(redis.p99_us))
    worst = max(plain, key=lambda name: plain[name])
    return scaled(plain[worst], good=good_us, bad=bad_us, what=f"p99 of {worst.upper()}", unit="us")


@check(
    id="caching.latency.slowlog",
    component="caching",
    severity="medium",
    requires="caching.reach.connect",
    privilege="+slowlog|get",
    fixes=_fixes.SCAN,
    effort="days",
    reference="https://valkey.io/commands/slowlog-get/",
    verify="redis-cli -u $REDIS_URL SLOWLOG GET 10",
)
def slowlog(redis: RedisFacts, *, most: int = 10, longest_ms: float = 100) -> Finding:
    """No command held the server up in the last hour.

    What the slow log holds took longer than slowlog-log-slower-than, 10 ms by default, and everybody waited. Its
    entries never age, so only those of the last hour count. Commands that read a whole collection grow with it.
    """
    recent = [entry for entry in redis.slow_log if redis.now - entry.time <= _HOUR]
    expected = f"none, and never above {longest_ms:g} ms"
    if not recent:
        return passed("no slow command in the last hour", observed="0 in the last hour", expected=expected)
    longest = max(entry.microseconds for entry in recent) / 1000
    names = sorted({entry.command for entry in recent}, key=lambda name: (name not in WHOLE, name))
    count = f"{len(recent)}{' or more' if len(recent) >= 128 else ''}"
    text = f"{count} slow commands in the last hour, up to {longest:,.0f} ms: {show(tuple(names[:4]))}"
    more: dict[str, Any] = {"observed": f"{count}, up to {longest:,.0f} ms", "expected": expected}
    return failed(text, **more) if len(recent) > most or longest > longest_ms else warn(text, **more)


@check(
    id="caching.latency.events",
    component="caching",
    severity="low",
    requires="caching.reach.connect",
    privilege="+latency|latest +config|get",
    fixes=_fixes.LATENCY_MONITOR,
    effort="minutes",
    reference="https://valkey.io/topics/latency-monitor/",
    verify="redis-cli -u $REDIS_URL LATENCY LATEST",
)
def events(redis: RedisFacts, *, good_ms: int = 100, bad_ms: int = 1000) -> Finding:
    """Saving, expiry and eviction do not freeze the server.

    The latency monitor records what took longer than its threshold. It is off by default, and then says nothing.
    """
    recent = [event for event in redis.latency_events if redis.now - event.time <= _DAY]
    if not recent and redis.config.latency_threshold_ms == 0:
        return untested("CONFIG SET latency-monitor-threshold 100: the server's latency monitor is off")
    expected = f"at most {good_ms} ms"
    worst = max(recent, key=lambda event: event.max_ms, default=None)
    if worst is None:
        return passed("no latency event in the last day", observed="0 in the last day", expected=expected)
    more: dict[str, Any] = {"observed": f"{worst.name} {worst.max_ms:,} ms", "expected": expected}
    message = f"{worst.name} took up to {worst.max_ms:,} ms"
    if worst.max_ms <= good_ms:
        return passed(message, **more)
    return warn(message, **more) if worst.max_ms <= bad_ms else failed(message, **more)


@check(
    id="caching.latency.fork",
    component="caching",
    severity="low",
    requires="caching.reach.connect",
    privilege="+info",
    fix="echo never > /sys/kernel/mm/transparent_hugepage/enabled  # or let a replica do the saving",
    effort="hours",
    reference=_LATENCY,
    verify="redis-cli -u $REDIS_URL INFO stats | grep latest_fork_usec",
)
def fork(redis: RedisFacts, *, good_ms_per_gb: float = 10, bad_ms: float = 1000) -> Finding:
    """Starting a save does not freeze the server.

    Nothing is served while the process forks, and that takes longer the more memory it uses. Below one gigabyte the
    time counts as it is.
    """
    took = redis.totals.latest_fork_us / 1000
    if took == 0:
        return not_applicable("the server has never forked", latest_fork_usec=0)
    per_gb = took / max(1.0, redis.memory.used / 1e9)
    more: dict[str, Any] = {"observed": f"{took:,.1f} ms", "expected": f"below {good_ms_per_gb:g} ms per GB"}
    message = f"the last fork took {took:,.1f} ms"
    if took > bad_ms:
        return failed(message, **more)
    return passed(message, **more) if per_gb < good_ms_per_gb else warn(message, **more)
