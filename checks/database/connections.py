"""Connections as the servers see them: how many, how often new ones, whose."""

from __future__ import annotations

from readiness.api import Finding, check, maybe, not_applicable, passed, scaled, show, warn
from readiness.facts.mongodb import MongoFacts, MongoMember

from . import _fixes
from ._members import MONITOR, OPEN_FILES, REACH, applications, counted, each, listed
from ._pools import OBSERVED


@check(
    id="database.conn.headroom",
    component="database",
    severity="high",
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix="Lower maxPoolSize or the number of instances, or raise LimitNOFILE of mongod to 64000",
    verify='mongosh "$MONGODB_URI" --eval "db.serverStatus().connections"',
    reference="https://www.mongodb.com/docs/manual/reference/command/serverStatus/#connections",
)
def headroom(mongo: MongoFacts, *, good: float = 0.6, bad: float = 0.8) -> Finding:
    """The server can take the next storm of connections.

    Every client that loses its primary connects anew at once. Beyond the limit, which follows from the number of open
    files, connections are refused, also those of the people who want to repair it.
    """

    def judge(member: MongoMember) -> Finding:
        current, left = member.gauges.connections, member.gauges.connections_left
        what = f"use of {current + left} connections"
        evidence = {"active connections": maybe(lambda: member.gauges.connections_active), "open connections": current}
        evidence["available connections"] = left
        return scaled(current / max(1, current + left), good=good, bad=bad, what=what, unit="%", evidence=evidence)

    return each(mongo, judge)


@check(
    id="database.conn.churn",
    component="database",
    severity="medium",
    phase=2,
    item="Database Optimization",
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix="Create one MongoClient a process and share it; raise maxIdleTimeMS",
    fixes=_fixes.ONE_CLIENT,
    verify='mongosh "$MONGODB_URI" --eval "db.serverStatus().connections.totalCreated"  # twice',
    reference="https://www.mongodb.com/docs/manual/administration/connection-pool-overview/",
)
def churn(mongo: MongoFacts, *, good: float = 0.2, bad: float = 5) -> Finding:
    """Connections are kept and shared, not opened for each request.

    A new connection costs TCP, TLS and a login of several milliseconds of CPU on both sides. Counted over the window,
    after the auditor's own were open; a deployment under way shows as a peak.
    """

    def judge(member: MongoMember) -> Finding:
        # A single one is no rate in a window of seconds: the set itself opens one now and then.
        rate = max(0, member.activity.connections_created - 1) / member.window_seconds
        return scaled(rate, good=good, bad=bad, what="rate of new connections", unit="per s")

    return each(mongo, judge)


@check(
    id="database.conn.memory",
    component="database",
    severity="medium",
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix="Lower maxPoolSize, or give the host more memory",
    verify='mongosh "$MONGODB_URI" --eval "[db.serverStatus().connections.current, db.hostInfo().system.memLimitMB]"',
    reference="https://www.mongodb.com/docs/manual/administration/production-notes/",
)
def memory(mongo: MongoFacts, *, good: float = 0.10, bad: float = 0.25, mb_each: float = 1) -> Finding:
    """Connections do not eat the memory that data needs.

    Each connection has a stack of up to 1 MB. The limit of a container counts, not the memory of its host.
    """

    def judge(member: MongoMember) -> Finding:
        share = member.gauges.connections * mb_each / max(1, member.host.memory_mb)
        what = f"memory for {member.gauges.connections} connections"
        return scaled(share, good=good, bad=bad, what=what, unit="%")

    return each(mongo, judge)


@check(
    id="database.conn.app_pool",
    component="database",
    severity="medium",
    phase=2,
    item="Database Optimization",
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix="Share one MongoClient in each process of the application, and set appName in its URI",
    fixes=_fixes.ONE_CLIENT,
    verify='mongosh "$MONGODB_URI" --eval "db.currentOp(true).inprog.map(o => [o.appName, o.client])"',
    reference="https://www.mongodb.com/docs/manual/reference/operator/aggregation/currentOp/",
    verdicts=("pass", "warn"),
)
def app_pool(mongo: MongoFacts) -> Finding:
    """The application is connected here, through a pool.

    Groups the connections by application, host and driver. The set's own and those of tools are left out, and so are
    the two monitoring connections of a client, as far as a login tells them apart. No client at all is also what a
    deployment looks like just after its start, or one that scales to zero.
    """
    groups = [group for member in mongo.readable for group in applications(member.connections)]
    expected = "an application with more than one connection a host"
    if not groups:
        return warn("no application is connected", observed="no client", expected=expected)
    hosts: dict[tuple[str, str], int] = {}
    for group in groups:
        name = group.app or group.driver
        hosts[name, group.host] = hosts.get((name, group.host), 0) + group.pool
    evidence = {
        f"{name} on {host}": f"{count} connections {OBSERVED}" for (name, host), count in list(hosts.items())[:20]
    }
    single = [name for (name, _), count in hosts.items() if count < 2]
    observed = f"{counted(sum(hosts.values()), 'connection')} from {counted(len(hosts), 'client')}"
    if len(single) == len(hosts):
        message = f"a single connection a host: {listed(single)}"
        return warn(message, observed=observed, expected=expected, evidence=evidence)
    message = f"{observed}: {listed(dict.fromkeys(name for name, _ in hosts))}"
    return passed(message, observed=observed, expected=expected, evidence=evidence)


@check(
    id="database.conn.os_limits",
    component="database",
    severity="medium",
    requires=REACH,
    privilege=MONITOR,
    effort="minutes",
    fix="LimitNOFILE=64000 in the unit of mongod (or --ulimit nofile=64000:64000 for a container), and restart it",
    verify='mongosh "$MONGODB_URI" --eval "db.adminCommand({getLog: \'startupWarnings\'}).log"',
    reference="https://www.mongodb.com/docs/manual/reference/ulimit/",
    verdicts=("pass", "warn"),
)
def os_limits(mongo: MongoFacts) -> Finding:
    """The operating system lets mongod open as many files as the load may need.

    Each connection takes a file descriptor, and so does each collection and index. mongod compares its limit with what
    it recommends when it starts, and its complaint stays until the next start; its own words decide. The number of
    connections that it accepts follows from the same limit.
    """
    if mongo.platform != "self_managed":
        return not_applicable("the platform sets the limits of its servers", platform=mongo.platform)

    def judge(member: MongoMember) -> Finding:
        expected = "no complaint about open files"
        complaint = next((entry for entry in member.startup_warnings if entry.id == OPEN_FILES), None)
        if complaint is None:
            return passed("mongod does not complain of its limit of open files", observed="none", expected=expected)
        limit, wanted = maybe(lambda: complaint.current), maybe(lambda: complaint.recommended)
        if limit is None or wanted is None:
            return warn("the limit of open files is too low for mongod", observed="too low", expected=expected)
        message = f"{show(limit)} open files are allowed, mongod asks for {show(wanted)}"
        return warn(message, observed=show(limit, "open files"), expected=f"at least {show(wanted)}")

    return each(mongo, judge)
