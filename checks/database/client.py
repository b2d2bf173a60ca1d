"""The application's connection pool and time-outs, as its URI or options state them."""

from __future__ import annotations

from functools import partial

from readiness.api import Finding, check, failed, maybe, passed, show, warn
from readiness.facts.mongodb import MongoFacts, MongoMember
from readiness.facts.mongodb_client import ClientOptionsFacts

MONITORS = 2
"""Connections that every client keeps to every server besides its pool, for monitoring."""


@check(
    id="database.client.pool_max",
    component="database",
    severity="medium",
    phase=2,
    item="Database Optimization",
    effort="minutes",
    fix="Set maxPoolSize in the application's URI, for example maxPoolSize=50: operations/s x mean seconds, plus 20 %",
    verify="grep -o 'maxPoolSize=[0-9]*' <<< \"$APP_MONGODB_URI\"",
    reference="https://www.mongodb.com/docs/manual/tutorial/connection-pool-performance-tuning/",
)
def pool_max(
    client: ClientOptionsFacts,
    mongo: MongoFacts | None,
    *,
    at_least: int = 10,
    at_most: int = 200,
    instances: int = 1,
    share: float = 0.8,
) -> Finding:
    """The application's connection pool has a stated size that the server can hold.

    Without maxPoolSize the driver's default of 100 connections a server applies, which nobody has chosen; 0 means no
    limit at all, and a slow query then becomes a flood of connections. `instances` is how many processes of the
    application run: each opens up to maxPoolSize and two monitoring connections to every server, and all of them
    together should leave a fifth of what a server accepts.
    """
    size = client.max_pool_size
    expected = f"maxPoolSize of {at_least} to {at_most}"
    if size is None:
        return warn(
            "maxPoolSize is not set, so the driver's default of 100 applies", observed="none", expected=expected
        )
    if size == 0:
        return failed("maxPoolSize=0: the pool has no limit", observed="0 (unlimited)", expected=expected)
    evidence = {"formula": f"{instances} instances x ({size} + {MONITORS}) connections a server"}
    limit, fleet = _limit(mongo), instances * (size + MONITORS)
    if limit is not None and fleet > limit:
        message = f"{fleet} connections from {instances} instances exceed the {limit} that a server accepts"
        return failed(message, observed=show(fleet), expected=f"at most {share:.0%} of {limit}", evidence=evidence)
    if limit is not None and fleet > share * limit:
        message = f"{fleet} connections from {instances} instances leave little of the {limit} of a server"
        return warn(message, observed=show(fleet), expected=f"at most {share:.0%} of {limit}", evidence=evidence)
    message = f"maxPoolSize is {size}"
    if not at_least <= size <= at_most:
        return warn(message, observed=show(size), expected=expected, evidence=evidence)
    return passed(message, observed=show(size), expected=expected, evidence=evidence)


def _limit(mongo: MongoFacts | None) -> int | None:
    """How many connections the smallest member accepts, where that is known."""
    if mongo is None:
        return None
    known = [maybe(partial(_accepted, member)) for member in mongo.readable]
    return min((limit for limit in known if limit is not None), default=None)


def _accepted(member: MongoMember) -> int:
    return member.gauges.connections + member.gauges.connections_left


@check(
    id="database.client.pool_min",
    component="database",
    severity="low",
    phase=2,
    item="Database Optimization",
    effort="minutes",
    fix="Add minPoolSize=10 to the URI of long-running servers; leave it out on serverless platforms",
    reference="https://www.mongodb.com/docs/manual/reference/connection-string-options/#mongodb-urioption-urioption.minPoolSize",
    verdicts=("pass", "warn"),
    verify="tr '?&' '\\n' <<< \"$APP_MONGODB_URI\" | grep -i 'minPoolSize'",
)
def pool_min(client: ClientOptionsFacts, *, at_least: int = 5) -> Finding:
    """The pool keeps some connections open for the first burst.

    With minPoolSize at its default of 0 the first requests after a quiet time wait for TCP, TLS and login. A minimum
    above half of the maximum leaves the pool no room to breathe. Serverless functions are better off without one.
    """
    size, largest = client.min_pool_size or 0, client.max_pool_size
    expected = f"minPoolSize of at least {at_least}, at most half of maxPoolSize"
    if size < at_least:
        message = "minPoolSize is not set" if client.min_pool_size is None else f"minPoolSize is {size}"
        return warn(message, observed=show(size), expected=expected)
    if largest and size > largest / 2:
        return warn(f"minPoolSize {size} is more than half of {largest}", observed=show(size), expected=expected)
    return passed(f"minPoolSize is {size}", observed=show(size), expected=expected)


@check(
    id="database.client.max_idle",
    component="database",
    severity="low",
    effort="minutes",
    fix="Set maxIdleTimeMS below the idle time-out of firewalls and NAT on the way, for example maxIdleTimeMS=300000",
    reference="https://www.mongodb.com/docs/manual/reference/connection-string-options/#mongodb-urioption-urioption.maxIdleTimeMS",
    verdicts=("pass", "warn"),
    verify="tr '?&' '\\n' <<< \"$APP_MONGODB_URI\" | grep -i 'maxIdleTimeMS'",
)
def max_idle(client: ClientOptionsFacts, *, at_least: int = 10_000, at_most: int = 600_000) -> Finding:
    """Idle connections are closed before something on the way drops them.

    Without maxIdleTimeMS a pooled connection lives for ever, also when a firewall or NAT has forgotten it; the next
    operation on it then hangs until a time-out. Below ten seconds the pool churns.
    """
    idle, expected = client.max_idle_ms, f"{at_least} to {at_most} ms"
    if not idle:
        return warn("maxIdleTimeMS is not set: idle connections live for ever", observed="none", expected=expected)
    message = f"maxIdleTimeMS is {idle}"
    if not at_least <= idle <= at_most:
        return warn(message, observed=show(idle, "ms"), expected=expected)
    return passed(message, observed=show(idle, "ms"), expected=expected)


@check(
    id="database.client.timeouts",
    component="database",
    severity="high",
    phase=2,
    item="Database Optimization",
    effort="minutes",
    fix="Add serverSelectionTimeoutMS=5000&connectTimeoutMS=10000&socketTimeoutMS=45000 (or timeoutMS) to the URI",
    verify="tr '?&' '\\n' <<< \"$APP_MONGODB_URI\" | grep -i timeout",
    reference="https://www.mongodb.com/docs/manual/reference/connection-string-options/#timeout-options",
)
def timeouts(
    client: ClientOptionsFacts,
    *,
    selection_ms: int = 10_000,
    connect_ms: int = 10_000,
    socket_ms: tuple[int, int] = (10_000, 60_000),
) -> Finding:
    """A dead database node costs the application seconds, not half a minute or for ever.

    Drivers wait 30 s for a usable server and 10 to 30 s for a connection by default, and most of them wait for an
    answer without any limit. Only what is set is judged, because the defaults differ from driver to driver (PyMongo
    30 s, 20 s, never; Node.js 30 s, 30 s, never). socketTimeoutMS ends the wait of the client, not the operation.
    """
    observed = {
        "serverSelectionTimeoutMS": client.server_selection_ms,
        "connectTimeoutMS": client.connect_ms,
        "socketTimeoutMS": client.socket_ms,
        "timeoutMS": client.timeout_ms,
    }
    text = ", ".join(f"{name} {show(value)}" for name, value in observed.items() if value is not None) or "none is set"
    expected = (
        f"selection and connect at most {selection_ms} ms; socket {socket_ms[0]} to {socket_ms[1]} ms, or timeoutMS"
    )
    if client.socket_ms == 0 and not client.timeout_ms:
        message = "socketTimeoutMS=0 without timeoutMS: an operation may wait for ever"
        return failed(message, observed=text, expected=expected)
    loose = [
        *(["serverSelectionTimeoutMS"] if not 0 < (client.server_selection_ms or 0) <= selection_ms else []),
        *(["connectTimeoutMS"] if not 0 < (client.connect_ms or 0) <= connect_ms else []),
    ]
    if not client.timeout_ms and not socket_ms[0] <= (client.socket_ms or 0) <= socket_ms[1]:
        loose.append("socketTimeoutMS or timeoutMS")
    if loose:
        return warn(f"time-outs not set or out of bounds: {', '.join(loose)}", observed=text, expected=expected)
    return passed("every wait of the driver is bounded", observed=text, expected=expected)


@check(
    id="database.client.wait_queue",
    component="database",
    severity="low",
    effort="minutes",
    fix="Add waitQueueTimeoutMS=5000 to the application's URI",
    reference="https://www.mongodb.com/docs/manual/reference/connection-string-options/#mongodb-urioption-urioption.waitQueueTimeoutMS",
    verdicts=("pass", "warn"),
    verify="tr '?&' '\\n' <<< \"$APP_MONGODB_URI\" | grep -i 'waitQueueTimeoutMS'",
)
def wait_queue(client: ClientOptionsFacts, *, at_least: int = 1000, at_most: int = 10_000) -> Finding:
    """Requests fail fast when the connection pool is exhausted.

    Without waitQueueTimeoutMS a request waits for a free connection without a limit, so that an exhausted pool becomes
    a pile of hanging requests. Drivers with timeoutMS set bound this wait by it, and ignore waitQueueTimeoutMS.
    """
    wait, expected = client.wait_queue_ms, f"waitQueueTimeoutMS of {at_least} to {at_most} ms, or timeoutMS"
    if client.timeout_ms:
        return passed("timeoutMS bounds the wait", observed=show(client.timeout_ms, "ms"), expected=expected)
    if not wait:
        message = "waitQueueTimeoutMS is not set: requests wait for a connection without limit"
        return warn(message, observed="none", expected=expected)
    message = f"waitQueueTimeoutMS is {wait}"
    if not at_least <= wait <= at_most:
        return warn(message, observed=show(wait, "ms"), expected=expected)
    return passed(message, observed=show(wait, "ms"), expected=expected)
