"""What several checks of this component share: the role's demands, commands seen, and how sizes are written."""

from __future__ import annotations

from readiness.api import Finding, untested
from readiness.facts.redis import RedisFacts

MEGABYTE = 1_000_000

# Commands of servers, sentinels, replicas, exporters and drivers: they are no use of the cache.
INFRASTRUCTURE = {
    "acl", "auth", "client", "cluster", "command", "config", "dbsize", "hello", "info", "lastsave", "latency", "memory",
    "module", "monitor", "ping", "psync", "publish", "replconf", "replicaof", "role", "select", "slaveof", "slowlog",
    "subscribe", "sync", "time",
}  # fmt: skip

# Blocking pops and stream groups: what job queues are made of.
QUEUE_COMMANDS = {"blpop", "brpop", "brpoplpush", "blmove", "blmpop", "bzpopmin", "bzpopmax", "bzmpop", "xreadgroup"}


def size(count: float) -> str:
    """A number of bytes as `64.0 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def quiet(what: str) -> Finding:
    """For a window in which too little happened to judge anything by."""
    return untested(f"{what} in the window: audit under traffic, or raise limits.window_seconds")


def expendable(redis: RedisFacts) -> bool:
    """Whether the data can be had again from somewhere else."""
    return redis.role == "cache"


def used_commands(redis: RedisFacts) -> int:
    """Commands in the window that somebody sent for the sake of the data."""
    return sum(each.calls for each in redis.window.commands_by_name if _base(each.name) not in INFRASTRUCTURE)


def queue_commands_seen(redis: RedisFacts) -> list[str]:
    """Commands of job queues that the server has executed since it started."""
    return sorted(name for name, calls in redis.totals.calls.items() if calls and _base(name) in QUEUE_COMMANDS)


def _base(name: str) -> str:
    return name.partition("|")[0].lower()
