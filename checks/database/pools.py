"""Whether the pool that runs is the one that was declared, and what is known of connections in all."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from readiness.api import Finding, check, maybe, passed, show, untested, warn
from readiness.facts.mongodb import MongoFacts, MongoMember
from readiness.facts.mongodb_client import ClientOptionsFacts
from readiness.facts.mongodb_server import HOUSEKEEPING
from readiness.facts.service import ServiceFacts

from ._drivers import applications_of, own_groups
from ._members import MONITOR, REACH, applications, listed
from ._pools import NOTHING_DECLARED, OBSERVED, bound, exposed, source, three_ways

LEAST_COMMANDS = 100
LEAST_DOCUMENTS = 100


@check(
    id="database.conn.pool_size",
    component="database",
    severity="medium",
    phase=2,
    item="Database Optimization",
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix="Find out which URI the running application really has, and give the audit the same one in mongodb.app_uri",
    verify='mongosh "$MONGODB_URI" --eval "db.currentOp(true).inprog.map(o => [o.appName, o.client])"',
    reference="https://www.mongodb.com/docs/manual/administration/connection-pool-overview/",
    verdicts=("pass", "warn"),
)
def pool_size(mongo: MongoFacts, client: ClientOptionsFacts | None, service: ServiceFacts | None) -> Finding:
    """The pool that runs is the one that was declared.

    A URI in a configuration proves little until somebody looks at the server. Of each host of the application the
    smallest number of connections in the window must reach minPoolSize, on every member that it is connected to;
    several processes on a host only make it more. Where the application exposes its pool, its bounds must be those that
    were declared. The evidence gives all three sides. A pool needs some seconds after a start to fill.
    """
    if client is None:
        return untested(NOTHING_DECLARED)
    everyone = [group for member in mongo.readable for group in applications(member.connections)]
    evidence = three_ways(client, mongo, service)
    expected = "the pool that is declared"
    if not everyone:
        return untested("no application is connected while the audit looks")
    if not own_groups(client, mongo):
        message = f"no connection is named {client.app_name}: another configuration runs"
        names = listed(dict.fromkeys(group.app or group.driver for group in everyone))
        return warn(message, observed=names, expected=f"connections of {client.app_name}", evidence=evidence)
    differing = [*_below(mongo, client), *_other_bounds(client, service)]
    if differing:
        return warn(differing[0], observed=listed(differing), expected=expected, evidence=evidence)
    seen = evidence[OBSERVED].partition(";")[0]
    minimum = client.min_pool_size or 0
    message = f"the server sees the pool that is declared, minPoolSize {minimum}"
    return passed(message, observed=seen, expected=expected, evidence=evidence)


def _below(mongo: MongoFacts, client: ClientOptionsFacts) -> Iterator[str]:
    """The hosts whose connections on a member do not reach minPoolSize."""
    wanted = client.min_pool_size or 0
    for member in mongo.readable:
        hosts: dict[str, int] = {}
        for group in applications_of(client, member):
            hosts[group.host] = hosts.get(group.host, 0) + group.least
        for host, least in hosts.items():
            if least < wanted:
                yield f"minPoolSize is {wanted}, but {member.address} sees {least} from {host or 'a client'}"


def _other_bounds(client: ClientOptionsFacts, service: ServiceFacts | None) -> Iterator[str]:
    pool = exposed(service)
    for option, name in (("maxPoolSize", "largest"), ("minPoolSize", "smallest")):
        declared, _ = source(client, option, None)
        told = bound(pool, name)
        if declared is not None and told is not None and told != declared:
            yield f"{option} is {declared}, but the application exposes {told}"


@check(
    id="database.conn.metrics",
    component="database",
    severity="info",
    phase=2,
    item="Database Optimization",
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix="Export these figures all the time: percona/mongodb_exporter, and the driver's pool on the metrics endpoint",
    verify='mongosh "$MONGODB_URI" --eval "db.serverStatus().connections"',
    reference="https://www.mongodb.com/docs/manual/reference/command/serverStatus/#connections",
    verdicts=("pass",),
)
def metrics(mongo: MongoFacts, client: ClientOptionsFacts | None, service: ServiceFacts | None) -> Finding:
    """Connections are measured: active, available, queued, response time, error rate.

    For information, with query performance and the use of indexes beside them. Connections are counted over all members
    that hold data; what is available is that of the member with the fewest. Requests that wait for a connection wait
    inside the application, so only its own metrics can tell of them; the server knows operations that wait. Times,
    errors and documents are of the quiet window, and say so where there was too little traffic.
    """
    gauges = [member.gauges for member in mongo.readable]
    waiting = maybe(lambda: sum(each.connections_queued for each in gauges))
    pool = exposed(service)
    asked = None if pool is None else maybe(lambda: pool.waiting)
    queued = "not known: the application exposes no metrics of its pool"
    if asked is not None:
        queued = f"{show(int(asked))} (exposed by the application)"
    elif waiting is not None:
        queued = f"{show(waiting)} wait to be accepted (observed on the server)"
    active, left = maybe(lambda: sum(each.connections_active for each in gauges)), _left(mongo)
    speed, errors = maybe(lambda: mongo.operation_ms), _error_rate(mongo)
    evidence = {
        "active connections": "not reported" if active is None else show(active),
        "open connections": show(sum(each.connections for each in gauges)),
        "available connections": show(left),
        "queued connections": queued,
        "queued operations": show(max(max(each.queued) for each in gauges)),
        "average response time": _NO_TRAFFIC if speed is None else show(speed, "ms"),
        "error rate": _NO_TRAFFIC if errors is None else show(float(errors), "%"),
        "query performance": _targeting(mongo),
        "index use": maybe(lambda: _index_use(mongo)) or "not known",
        **three_ways(client, mongo, service),
    }
    told = [f"{evidence['active connections']} active", f"{show(left)} available", f"{queued.partition(' ')[0]} queued"]
    if asked is None and waiting is None:
        told.pop()
    told += [f"{show(speed, 'ms')} on average"] if speed is not None else []
    told += [f"{show(float(errors), '%')} errors"] if errors is not None else []
    return passed(", ".join(told), observed=", ".join(told), expected="known figures", evidence=evidence)


_NO_TRAFFIC = "not measured: too little traffic in the window"


def _left(mongo: MongoFacts) -> int:
    return min(member.gauges.connections_left for member in mongo.readable)


def _error_rate(mongo: MongoFacts) -> Fraction | None:
    """The share of failed commands over all members, without housekeeping."""
    total = failed = 0
    for member in mongo.readable:
        for name, entry in member.activity.by_command.items():
            if name not in HOUSEKEEPING:
                total, failed = total + entry.total, failed + min(entry.failed, entry.total)
    return Fraction(failed, total) if total >= LEAST_COMMANDS else None


def _targeting(mongo: MongoFacts) -> str:
    returned = sum(member.activity.documents_returned for member in mongo.readable)
    if returned < LEAST_DOCUMENTS:
        return _NO_TRAFFIC
    scanned = sum(member.activity.documents_scanned for member in mongo.readable)
    return f"{scanned / returned:.1f} documents examined for each returned"


def _index_use(mongo: MongoFacts) -> str:
    """How many of the indexes any member has used; that on _id, which nobody can drop, counts too."""
    uses: dict[tuple[str, str], int] = {}
    for member in mongo.readable:
        for (collection, index), count in _uses(member):
            uses[collection, index] = uses.get((collection, index), 0) + count
    if not uses:
        return "no index yet"
    return f"{sum(count > 0 for count in uses.values())} of {len(uses)} indexes used since the start of the servers"


def _uses(member: MongoMember) -> Iterator[tuple[tuple[str, str], int]]:
    for collection in maybe(lambda: member.collections) or ():
        for index in maybe(lambda each=collection: each.indexes) or ():  # type: ignore[misc]
            yield (collection.name, index.name), index.uses
