"""The application's connection pool and time-outs, as its URI or options state them."""

from __future__ import annotations

from functools import partial

from readiness.api import Finding, check, failed, maybe, passed, show, untested, warn
from readiness.facts.mongodb import MongoFacts, MongoMember
from readiness.facts.mongodb_client import ClientOptionsFacts
from readiness.facts.service import ServiceFacts

from . import _fixes
from ._drivers import described, driver_of, effective
from ._members import GUIDE
from ._pools import NOTHING_DECLARED, bound, exposed, source, three_ways

SERVER_IDLE_MS = 60_000
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
    fixes=_fixes.POOL_MAX,
    verify="grep -o 'maxPoolSize=[0-9]*' <<< \"$APP_MONGODB_URI\"",
    reference="https://www.mongodb.com/docs/manual/tutorial/connection-pool-performance-tuning/",
)
def pool_max(
    client: ClientOptionsFacts | None,
    mongo: MongoFacts | None,
    service: ServiceFacts | None,
    *,
    at_least: int = 10,
    at_most: int = 200,
    instances: int = 1,
    share: float = 0.8,
) -> Finding:
    """The application's connection pool has a stated size that the server can hold.

    Without maxPoolSize the driver's default of mostly 100 connections a server applies, which nobody has chosen; 0
    means no limit at all, and a slow query then becomes a flood of connections. `instances` is how many processes of
    the application run: each opens up to maxPoolSize and two monitoring connections to every server, and all of them
    together should leave a fifth of what a server accepts. Judged is what the configuration declares, else what the
    application exposes as the bound of its pool; the evidence shows both beside what the server sees.
    """
    if client is None and mongo is None:
        return untested(NOTHING_DECLARED)
    size, origin = source(client, "maxPoolSize", bound(exposed(service), "largest"))
    expected = f"maxPoolSize of {at_least} to {at_most}"
    evidence = dict(three_ways(client, mongo, service))
    if size is None and client is None:
        return untested(NOTHING_DECLARED)
    if size is None:
        driver = None if client is None else driver_of(client, mongo)
        whose = "the driver's default of 100"
        if driver is not None:
            whose = f"the default of {driver.name}" + (f", {driver.max_pool_size}," if driver.max_pool_size else "")
        message = f"maxPoolSize is not set, so {whose} applies"
        return warn(message, observed="none", expected=expected, evidence=evidence)
    if size == 0:
        message = f"maxPoolSize=0, {origin}: the pool has no limit"
        return failed(message, observed="0 (unlimited)", expected=expected, evidence=evidence)
    evidence["formula"] = f"{instances} instances x ({size} + {MONITORS}) connections a server"
    limit, fleet = _limit(mongo), instances * (size + MONITORS)
    if limit is not None and fleet > share * limit:
        how, verdict = ("exceed", failed) if fleet > limit else ("leave little of", warn)
        message = f"{fleet} connections from {instances} instances {how} the {limit} that a server accepts"
        return verdict(message, observed=show(fleet), expected=f"at most {share:.0%} of {limit}", evidence=evidence)
    verdict = passed if at_least <= size <= at_most else warn
    return verdict(f"maxPoolSize is {size}, {origin}", observed=show(size), expected=expected, evidence=evidence)


def _limit(mongo: MongoFacts | None) -> int | None:
    """How many connections the smallest member accepts, where that is known."""
    if mongo is None:
        return None
    known = [maybe(partial(_accepted, member)) for member in maybe(lambda: mongo.readable) or ()]
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
    fixes=_fixes.POOL_MIN,
    reference="https://www.mongodb.com/docs/manual/reference/connection-string-options/#mongodb-urioption-urioption.minPoolSize",
    verdicts=("pass", "warn"),
    verify="tr '?&' '\\n' <<< \"$APP_MONGODB_URI\" | grep -i 'minPoolSize'",
)
def pool_min(
    client: ClientOptionsFacts | None, mongo: MongoFacts | None, service: ServiceFacts | None, *, at_least: int = 5
) -> Finding:
    """The pool keeps some connections open for the first burst.

    With minPoolSize at its default of 0 the first requests after a quiet time wait for TCP, TLS and login. A minimum
    above half of the maximum leaves the pool no room to breathe. Serverless functions are better off without one.
    Whether the server really sees that many is judged by database.conn.pool_size.
    """
    pool = exposed(service)
    size, origin = source(client, "minPoolSize", bound(pool, "smallest"))
    if (client is None and size is None) or (client is None and mongo is None):
        return untested(NOTHING_DECLARED)
    largest, _ = source(client, "maxPoolSize", bound(pool, "largest"))
    expected = f"minPoolSize of at least {at_least}, at most half of maxPoolSize"
    evidence = three_ways(client, mongo, service)
    if size is None or size < at_least:
        message = "minPoolSize is not set" if size is None else f"minPoolSize is {size}, {origin}"
        return warn(message, observed=show(size or 0), expected=expected, evidence=evidence)
    if largest and size > largest / 2:
        message = f"minPoolSize {size} is more than half of {largest}"
        return warn(message, observed=show(size), expected=expected, evidence=evidence)
    return passed(f"minPoolSize is {size}, {origin}", observed=show(size), expected=expected, evidence=evidence)


@check(
    id="database.client.max_idle",
    component="database",
    severity="low",
    effort="minutes",
    fix="Set maxIdleTimeMS below the idle time-out of firewalls and NAT on the way, for example maxIdleTimeMS=300000",
    fixes=_fixes.MAX_IDLE,
    reference="https://www.mongodb.com/docs/manual/reference/connection-string-options/#mongodb-urioption-urioption.maxIdleTimeMS",
    verdicts=("pass", "warn"),
    verify="tr '?&' '\\n' <<< \"$APP_MONGODB_URI\" | grep -i 'maxIdleTimeMS'",
)
def max_idle(
    client: ClientOptionsFacts, mongo: MongoFacts | None, *, at_least: int = 10_000, at_most: int = 600_000
) -> Finding:
    """Idle connections are closed before something on the way drops them.

    Without maxIdleTimeMS a pooled connection lives for ever in most drivers, also when a firewall or NAT has forgotten
    it; the next operation on it then hangs until a time-out. Below ten seconds the pool churns. The 30 seconds of many
    recipes are MongoDB's advice for serverless functions; for servers its guide says five to ten minutes, which saves
    logins. Both are accepted, as long as it is below the idle time-out of whatever lies between.
    """
    driver = driver_of(client, mongo)
    idle = effective(client.max_idle_ms, driver, "max_idle_ms")
    text = described(client, "maxIdleTimeMS", client.max_idle_ms, driver, "max_idle_ms")
    expected = f"{at_least} to {at_most} ms; MongoDB's guide: 300000 to 600000 for servers ({GUIDE})"
    if not idle:
        return warn("maxIdleTimeMS is not set: idle connections live for ever", observed=text, expected=expected)
    message = f"maxIdleTimeMS is {idle}"
    if not at_least <= idle <= at_most:
        return warn(message, observed=text, expected=expected)
    if idle < SERVER_IDLE_MS:
        message += ": MongoDB's guide advises that for serverless, 300000 for servers"
    return passed(message, observed=text, expected=expected)


@check(
    id="database.client.timeouts",
    component="database",
    severity="high",
    phase=2,
    item="Database Optimization",
    effort="minutes",
    fix="Add serverSelectionTimeoutMS=5000&connectTimeoutMS=10000&socketTimeoutMS=45000 (or timeoutMS) to the URI",
    fixes=_fixes.TIMEOUTS,
    verify="tr '?&' '\\n' <<< \"$APP_MONGODB_URI\" | grep -i timeout",
    reference="https://www.mongodb.com/docs/manual/reference/connection-string-options/#timeout-options",
)
def timeouts(
    client: ClientOptionsFacts,
    mongo: MongoFacts | None,
    *,
    selection_ms: int = 10_000,
    connect_ms: int = 10_000,
    socket_ms: tuple[int, int] = (10_000, 60_000),
) -> Finding:
    """A dead database node costs the application seconds, not half a minute or for ever.

    Drivers wait 30 s for a usable server and 10 to 30 s for a connection by default, and most of them wait for an
    answer without any limit. What is not set has the default of the application's own driver, as its connections or
    `driver` in mongodb.options name it (PyMongo 30 s, 20 s, never; Node.js 30 s, 30 s, never; Java 30 s, 10 s, never);
    where it is not known, only what is set counts. socketTimeoutMS ends the wait of the client, not the operation.
    """
    driver = driver_of(client, mongo)
    written = {
        "serverSelectionTimeoutMS": (client.server_selection_ms, "server_selection_ms"),
        "connectTimeoutMS": (client.connect_ms, "connect_ms"),
        "socketTimeoutMS": (client.socket_ms, "socket_ms"),
    }
    evidence = {name: described(client, name, value, driver, field) for name, (value, field) in written.items()}
    evidence["timeoutMS"] = "not set" if client.timeout_ms is None else show(client.timeout_ms, "ms")
    given = {name: value for name, (value, _) in written.items()} | {"timeoutMS": client.timeout_ms}
    text = ", ".join(f"{name} {show(value)}" for name, value in given.items() if value is not None) or "none is set"
    expected = (
        f"selection and connect at most {selection_ms} ms; socket {socket_ms[0]} to {socket_ms[1]} ms, or timeoutMS"
    )
    if client.socket_ms == 0 and not client.timeout_ms:
        message = "socketTimeoutMS=0 without timeoutMS: an operation may wait for ever"
        return failed(message, observed=text, expected=expected, evidence=evidence)
    selection, connect, socket = (effective(value, driver, field) or 0 for value, field in written.values())
    loose = [
        *(["serverSelectionTimeoutMS"] if not 0 < selection <= selection_ms else []),
        *(["connectTimeoutMS"] if not 0 < connect <= connect_ms else []),
    ]
    if not client.timeout_ms and not socket_ms[0] <= socket <= socket_ms[1]:
        loose.append("socketTimeoutMS or timeoutMS")
    if loose:
        message = f"time-outs not set or out of bounds: {', '.join(loose)}"
        return warn(message, observed=text, expected=expected, evidence=evidence)
    return passed("every wait of the driver is bounded", observed=text, expected=expected, evidence=evidence)


@check(
    id="database.client.wait_queue",
    component="database",
    severity="low",
    effort="minutes",
    fix="Add waitQueueTimeoutMS=5000 to the application's URI",
    fixes=_fixes.WAIT_QUEUE,
    reference="https://www.mongodb.com/docs/manual/reference/connection-string-options/#mongodb-urioption-urioption.waitQueueTimeoutMS",
    verdicts=("pass", "warn"),
    verify="tr '?&' '\\n' <<< \"$APP_MONGODB_URI\" | grep -i 'waitQueueTimeoutMS'",
)
def wait_queue(
    client: ClientOptionsFacts, mongo: MongoFacts | None, *, at_least: int = 1000, at_most: int = 10_000
) -> Finding:
    """Requests fail fast when the connection pool is exhausted.

    Without waitQueueTimeoutMS a request waits for a free connection without a limit in most drivers, and two minutes
    in those for Java and .NET, so that an exhausted pool becomes a pile of hanging requests. Drivers with timeoutMS set
    bound this wait by it, and ignore waitQueueTimeoutMS.
    """
    driver = driver_of(client, mongo)
    wait = effective(client.wait_queue_ms, driver, "wait_queue_ms")
    text = described(client, "waitQueueTimeoutMS", client.wait_queue_ms, driver, "wait_queue_ms")
    expected = f"waitQueueTimeoutMS of {at_least} to {at_most} ms, or timeoutMS"
    if client.timeout_ms:
        return passed("timeoutMS bounds the wait", observed=show(client.timeout_ms, "ms"), expected=expected)
    if not wait:
        message = "waitQueueTimeoutMS is not set: requests wait for a connection without limit"
        return warn(message, observed=text, expected=expected)
    message = f"waitQueueTimeoutMS is {wait}"
    if not at_least <= wait <= at_most:
        return warn(message, observed=text, expected=expected)
    return passed(message, observed=text, expected=expected)
