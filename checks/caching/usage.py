"""Whether the application really uses this server."""

from __future__ import annotations

from typing import Any

from readiness.api import Finding, check, failed, maybe, passed, show, warn
from readiness.facts.redis import RedisFacts

from ._common import used_commands


@check(
    id="caching.usage.shared_by_app",
    component="caching",
    severity="high",
    phase=1,
    item="Redis Integration",
    requires="caching.reach.connect",
    privilege="+info +client|list",
    fix="const cache = new Redis(process.env.REDIS_URL)  // instead of new Map(), with the same keys and times to live",
    effort="days",
    reference="https://valkey.io/commands/client-list/",
    verify="redis-cli -u $REDIS_URL CLIENT LIST; redis-cli -u $REDIS_URL INFO stats | grep keyspace",
)
def shared_by_app(redis: RedisFacts) -> Finding:
    """The application is connected to this cache and looks entries up in it.

    An application whose cache URL is wrong or missing often falls back to its own memory without a word, and the server
    stays empty. This judges the connections, without those of replicas, sentinels and exporters, and the commands of
    the window; it does not prove that they come from the audited service rather than from another one.
    """
    reads = redis.role in ("cache", "session")  # of which a look-up is the typical use
    busy, what = (redis.lookups, "lookups") if reads else (used_commands(redis), "commands")
    clients = maybe(lambda: redis.clients)
    if clients is None:
        # INFO counts the audit's own connection.
        count, hosts = max(0, redis.connections.open - 1), ["hosts unknown"]
    else:
        groups = [group for group in clients.groups if group.kind == "client"]
        count, hosts = sum(group.count for group in groups), sorted({group.host for group in groups})
    where = f" from {show(tuple(hosts[:3]))}" if hosts and count else ""
    more: dict[str, Any] = {
        "observed": f"{count} connections{where}, {busy:,} {what} in {redis.window.seconds:.1f} s",
        "expected": f"connections and {what}",
        "evidence": {"connections": count, "hosts": hosts[:20], what: busy},
    }
    if busy:
        return passed(f"{busy:,} {what} in the window, {count} connections{where}", **more)
    if count:
        return warn(f"{count} connections{where}, but no {what} in the window", **more)
    return failed("no application is connected: has it fallen back to its own memory?", **more)


@check(
    id="caching.usage.not_idle",
    component="caching",
    severity="info",
    requires="caching.reach.connect",
    privilege="+info",
    fix="readiness audit ...  # again at a time with traffic, so that the window has something to measure",
    effort="minutes",
    reference="https://valkey.io/commands/info/",
    verify="redis-cli -u $REDIS_URL INFO stats | grep instantaneous_ops_per_sec",
    verdicts=("pass", "warn"),
)
def not_idle(redis: RedisFacts, *, at_least: float = 1.0) -> Finding:
    """The cache had traffic while it was measured.

    Rates that were measured on an idle server say little about a busy one.
    """
    rate = redis.window.commands / redis.window.seconds if redis.window.seconds else 0.0
    more: dict[str, Any] = {"observed": f"{rate:.1f} commands/s", "expected": f"at least {at_least:g} commands/s"}
    if rate >= at_least:
        return passed(f"{rate:,.1f} commands/s", **more)
    return warn(f"{rate:.1f} commands/s: what the window measured says little", **more)
