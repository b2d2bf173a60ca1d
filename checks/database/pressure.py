"""Whether operations wait: queues, tickets, conflicts, cursors, the brake on writes."""

from __future__ import annotations

from readiness.api import Finding, Status, check, expect, failed, passed, scaled, show, warn
from readiness.facts.mongodb import MongoFacts, MongoMember

from ._members import MONITOR, REACH, counted, each, standalone


@check(
    id="database.pressure.queue",
    component="database",
    severity="high",
    requires=REACH,
    privilege=MONITOR,
    effort="days",
    fix="Find the slow operations first (database.latency.op_avg, database.index.targeting), then add cores",
    verify='mongosh "$MONGODB_URI" --eval "db.serverStatus().globalLock.currentQueue"',
    reference="https://www.mongodb.com/docs/manual/reference/command/serverStatus/#globallock",
)
def queue(mongo: MongoFacts, *, factor: int = 5, at_most: int = 100) -> Finding:
    """Operations do not queue up inside the server.

    The largest of several samples of the queue. As many as there are cores is normal work; more than five times that,
    or a hundred, means that the server is behind. A spike between the samples is not seen.
    """

    def judge(member: MongoMember) -> Finding:
        waiting = max(member.gauges.queued)
        if waiting == 0:
            return passed("no operation waits", observed="0 waiting", expected="at most one a core")
        cores = member.host.cores
        message, observed, expected = (
            f"{counted(waiting, 'operation')} waiting",
            show(waiting, "waiting"),
            f"at most {cores}",
        )
        if waiting > min(factor * cores, at_most):
            return failed(message, observed=observed, expected=expected)
        if waiting > cores:
            return warn(message, observed=observed, expected=expected)
        return passed(message, observed=observed, expected=expected)

    return each(mongo, judge)


@check(
    id="database.pressure.tickets",
    component="database",
    severity="low",
    requires=REACH,
    privilege=MONITOR,
    effort="days",
    fix="Shorten the slow operations that hold the tickets; do not raise the number of tickets",
    verify='mongosh "$MONGODB_URI" --eval "db.serverStatus().wiredTiger.concurrentTransactions"',
    reference="https://www.mongodb.com/docs/manual/reference/command/serverStatus/#wiredtiger",
)
def tickets(mongo: MongoFacts, *, good: float = 0.5, bad: float = 0.9) -> Finding:
    """The storage engine admits operations at once.

    An operation needs a ticket while it works in WiredTiger. Since 7.0 their number follows the load, so that few free
    ones mean nothing by themselves: only together with a queue are used-up tickets a failure.
    """

    def judge(member: MongoMember) -> Finding:
        pairs = member.gauges.read_tickets, member.gauges.write_tickets
        used = max(pair.out / max(1, pair.total) for pair in pairs)
        message, observed = f"{used:.0%} of the tickets are in use", show(used, "%")
        expected = f"at most {good:.0%}"
        if used > bad and max(member.gauges.queued) > 0:
            return failed(f"{message}, and operations wait", observed=observed, expected=expected)
        return (warn if used > good else passed)(message, observed=observed, expected=expected)

    return each(mongo, judge)


@check(
    id="database.pressure.write_conflicts",
    component="database",
    severity="low",
    requires=REACH,
    privilege=MONITOR,
    effort="days",
    fix="Spread the counter or the hot document over several documents",
    verify='mongosh "$MONGODB_URI" --eval "db.serverStatus().metrics.operation.writeConflicts"  # twice',
    reference="https://www.mongodb.com/docs/manual/faq/concurrency/",
)
def write_conflicts(mongo: MongoFacts, *, good: float = 10, bad: float = 100) -> Finding:
    """Writers do not fight for the same documents.

    A write that meets another one is rolled back and repeated, unseen by the client except for the time it takes.
    """

    def judge(member: MongoMember) -> Finding:
        rate = member.activity.write_conflicts / member.window_seconds
        return scaled(rate, good=good, bad=bad, what="rate of write conflicts", unit="per s")

    return each(mongo, judge)


@check(
    id="database.pressure.flow_control",
    component="database",
    severity="medium",
    requires=REACH,
    privilege=MONITOR,
    effort="days",
    fix="Give the secondaries the disk and network of the primary",
    verify='mongosh "$MONGODB_URI" --eval "db.serverStatus().flowControl"',
    reference="https://www.mongodb.com/docs/manual/replication/#replication-lag-and-flow-control",
    verdicts=("pass", "fail"),
)
def flow_control(mongo: MongoFacts) -> Finding:
    """The primary does not have to slow down writes for its secondaries.

    When the majority falls behind, the primary holds writes back, and every writing request gets slower.
    """
    if (alone := standalone(mongo)) is not None:
        return alone

    def judge(member: MongoMember) -> Finding:
        lagged = member.gauges.flow_control_lagged or member.activity.flow_control_lagged_us > 0
        held = f"{member.activity.flow_control_lagged_us / 1000:.0f} ms of the window"
        if lagged:
            return failed(f"writes are held back, {held}", observed="held back", expected="not held back")
        return passed("writes are not held back", observed="not held back", expected="not held back")

    return each(mongo, judge)


@check(
    id="database.pressure.cursors",
    component="database",
    severity="low",
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix="Close cursors, or read them to the end; do not use noCursorTimeout",
    verify='mongosh "$MONGODB_URI" --eval "db.serverStatus().metrics.cursor"',
    reference="https://www.mongodb.com/docs/manual/reference/command/serverStatus/#mongodb-serverstatus-serverstatus.metrics.cursor",
    verdicts=("pass", "warn"),
)
def cursors(mongo: MongoFacts, *, at_most: int = 10_000, timed_out_per_minute: float = 100) -> Finding:
    """Cursors are closed after use.

    A cursor that is left open keeps memory and a snapshot for ten minutes until the server ends it. Those of
    replication and of change streams count too.
    """

    def judge(member: MongoMember) -> Finding:
        rate = member.activity.cursors_timed_out * 60 / member.window_seconds
        if rate > timed_out_per_minute:
            expected = f"at most {show(timed_out_per_minute, 'per min')}"
            return warn(f"{rate:.0f} cursors a minute time out", observed=show(rate, "per min"), expected=expected)
        return expect(member.gauges.cursors_open, what="number of open cursors", at_most=at_most, otherwise=Status.WARN)

    return each(mongo, judge)
