"""Connections: room for more, none turned away, pooled, and no reader that falls behind."""

from __future__ import annotations

from typing import Any

from readiness.api import Finding, check, failed, maybe, passed, scaled, show, warn
from readiness.facts.redis import RedisFacts

from . import _fixes
from ._common import MEGABYTE, expendable, size

_CLIENTS = "https://valkey.io/topics/clients/"


@check(
    id="caching.conn.headroom",
    component="caching",
    severity="high",
    requires="caching.reach.connect",
    privilege="+info",
    fixes=_fixes.CLIENTS,
    effort="minutes",
    reference=_CLIENTS,
    verify="redis-cli -u $REDIS_URL INFO clients",
)
def headroom(redis: RedisFacts) -> Finding:
    """New instances of the application can still connect.

    At maxclients the server turns connections away, just when a deploy or an autoscaler adds instances. Sentinels,
    exporters and this audit are counted, replicas are not.
    """
    connections = redis.connections
    used = connections.open / max(1, connections.limit)
    evidence = {"connected_clients": connections.open, "maxclients": connections.limit}
    return scaled(used, good=0.60, bad=0.80, what="connections' share of maxclients", unit="%", evidence=evidence)


@check(
    id="caching.conn.rejected",
    component="caching",
    severity="high",
    requires="caching.reach.connect",
    privilege="+info",
    fix="CONFIG SET maxclients 20000  # after looking for a leak: CLIENT LIST, grouped by address",
    effort="hours",
    reference=_CLIENTS,
    verify="redis-cli -u $REDIS_URL INFO stats | grep rejected_connections",
)
def rejected(redis: RedisFacts) -> Finding:
    """No connection was turned away.

    A connection is rejected at maxclients only, and the caller sees an error at once.
    """
    now, ever = redis.window.rejected_connections, redis.totals.rejected_connections
    more: dict[str, Any] = {"observed": f"{now} in the window, {ever:,} since the start", "expected": "0"}
    if now:
        return failed(f"{now} connections rejected in {redis.window.seconds:.1f} s", **more)
    if ever:
        return warn(f"{ever:,} connections rejected since the start, none in the window", **more)
    return passed("no connection was rejected", **more)


@check(
    id="caching.conn.churn",
    component="caching",
    severity="medium",
    requires="caching.reach.connect",
    privilege="+info",
    fixes=_fixes.ONE_CLIENT,
    effort="hours",
    reference=_CLIENTS,
    verify="redis-cli -u $REDIS_URL INFO stats | grep total_connections_received  # twice",
)
def churn(redis: RedisFacts) -> Finding:
    """Clients keep their connections.

    A connection for every request costs a handshake each, a login and a TLS negotiation included. Health checks that
    connect every few seconds are no harm: a failure takes ten new connections a second, and a tenth of all commands.
    """
    window = redis.window
    rate = window.connections / window.seconds
    share = window.connections / max(1, window.commands)
    more: dict[str, Any] = {"observed": f"{rate:.1f}/s", "expected": "below 1/s"}
    message = f"{rate:,.1f} new connections/s"
    if rate < 1:
        return passed(message, **more)
    if rate >= 10 and share > 0.10:
        return failed(f"{message}, one for every {1 / share:.0f} commands", **more)
    return warn(message, **more)


@check(
    id="caching.conn.blocked",
    component="caching",
    severity="info",
    requires="caching.reach.connect",
    privilege="+info",
    fix="redis-cli -u $REDIS_URL CLIENT LIST | grep flags=b  # a queue on a cache? give it a server of its own",
    effort="hours",
    reference=_CLIENTS,
    verify="redis-cli -u $REDIS_URL INFO clients | grep blocked_clients",
    verdicts=("pass", "warn"),
)
def blocked(redis: RedisFacts) -> Finding:
    """Clients of a cache do not wait in blocking commands.

    Workers that wait for jobs are normal in a queue. On a cache they are a sign that it serves as one.
    """
    waiting, total = redis.connections.blocked, redis.connections.open
    more: dict[str, Any] = {"observed": f"{waiting} of {total}", "expected": "at most half"}
    if expendable(redis) and waiting > total / 2:
        return warn(f"{waiting} of {total} clients wait in blocking commands", **more)
    return passed(f"{waiting} of {total} clients wait in blocking commands", **more)


@check(
    id="caching.conn.buffers",
    component="caching",
    severity="low",
    requires="caching.reach.connect",
    privilege="+info +client|list",
    fixes=_fixes.BUFFERS,
    effort="hours",
    reference=_CLIENTS,
    verify="redis-cli -u $REDIS_URL INFO clients | grep max_output_buffer",
)
def buffers(redis: RedisFacts) -> Finding:
    """No client falls behind in reading its answers.

    What a slow reader has not fetched yet lies in the server's memory, beside the data. The links of replicas are not
    counted where the list of clients can be read.
    """
    listed = maybe(lambda: redis.clients.largest_output_memory)
    largest = redis.connections.largest_output_buffer if listed is None else listed
    cut = maybe(lambda: redis.window.output_limit_disconnections) or 0
    more: dict[str, Any] = {"observed": f"{size(largest)}, {cut} cut off", "expected": "below 1.0 MB, none cut off"}
    if cut:
        return failed(f"{cut} clients cut off in the window because of their output buffer", **more)
    message = f"the largest output buffer is {size(largest)}"
    if largest < MEGABYTE:
        return passed(message, **more)
    return warn(message, **more) if largest < 32 * MEGABYTE else failed(message, **more)


@check(
    id="caching.conn.idle_timeout",
    component="caching",
    severity="low",
    requires="caching.reach.connect",
    privilege="+config|get",
    fixes=_fixes.KEEPALIVE,
    effort="minutes",
    reference=_CLIENTS,
    verify="redis-cli -u $REDIS_URL CONFIG GET tcp-keepalive",
    verdicts=("pass", "warn"),
)
def keepalive(redis: RedisFacts, *, at_most: int = 300) -> Finding:
    """Dead peers are noticed.

    Without TCP keep-alive, the connections of a host that vanished count towards maxclients until the server restarts.
    """
    seconds = redis.config.tcp_keepalive
    more: dict[str, Any] = {"observed": show(seconds, "s"), "expected": f"1 to {at_most} s"}
    if 0 < seconds <= at_most:
        return passed(f"tcp-keepalive is {seconds} s", **more)
    return warn("tcp-keepalive is off" if seconds <= 0 else f"tcp-keepalive is {seconds} s", **more)
