"""Whether the set survives the loss of a member: who is there, how fresh, how long one may be away."""

from __future__ import annotations

from readiness.api import Finding, check, failed, maybe, passed, scaled, show, untested, warn, worst
from readiness.facts.mongodb import MongoFacts, MongoMember, ReplicaMember

from . import _fixes
from ._members import MONITOR, REACH, by_name, config, counted, each, listed, standalone, status

PRIMARY, SECONDARY, STARTUP, ARBITER, STARTUP2, DOWN = 1, 2, 0, 7, 5, 8
STATES = {0: "starting", 3: "recovering", 5: "starting", 6: "unknown", 8: "down", 9: "rolling back", 10: "removed"}
SAME_MOMENT_SECONDS = 1.0


@check(
    id="database.repl.topology",
    component="database",
    severity="critical",
    requires=REACH,
    privilege=MONITOR,
    effort="days",
    fix="Run three members that hold data, in three zones: mongod --replSet rs0 on each, then rs.initiate({...})",
    verify='mongosh "$MONGODB_URI" --eval "rs.conf().members.map(m => [m.host, m.votes, m.arbiterOnly])"',
    reference="https://www.mongodb.com/docs/manual/core/replica-set-architectures/",
)
def topology(mongo: MongoFacts, *, at_least: int = 3, most_votes: int = 7) -> Finding:
    """Another member takes over by itself when one is lost.

    Three members that hold data and vote keep a majority and two copies when one fails. An arbiter votes but holds
    nothing: with two copies, the loss of one leaves writes without a majority that has them.
    """
    expected = f"{at_least} members that hold data and vote, an odd number of votes"
    if mongo.topology == "standalone":
        message = "a standalone server: its loss is an outage"
        return failed(message, observed="standalone", expected=expected)
    members = config(mongo).members
    holding = [member for member in members if not member.arbiter and member.votes]
    votes = sum(member.votes for member in members)
    arbiters = sum(member.arbiter for member in members)
    observed = f"{len(holding)} hold data, {arbiters} arbiters, {votes} votes"
    if len(holding) < 2:
        return failed(f"one copy of the data: {observed}", observed=observed, expected=expected)
    if len(holding) < at_least:
        return warn(f"two copies of the data: {observed}", observed=observed, expected=expected)
    if votes % 2 == 0 or votes > most_votes:
        return warn(f"an uneven majority: {observed}", observed=observed, expected=expected)
    return passed(observed, observed=observed, expected=expected)


@check(
    id="database.repl.health",
    component="database",
    severity="critical",
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix="Bring the member back: start mongod, look into its log, or resync it",
    verify='mongosh "$MONGODB_URI" --eval "rs.status().members.map(m => [m.name, m.stateStr])"',
    reference="https://www.mongodb.com/docs/manual/reference/replica-states/",
)
def health(mongo: MongoFacts) -> Finding:
    """Every member is up, and one more may fail.

    Without a primary nothing can be written. A member that starts up, or a single one that is down, leaves a set that
    works but has nothing in reserve. The set notices a loss after up to ten seconds, so a member that refuses the
    auditor counts even while the others still believe in it.
    """
    if (alone := standalone(mongo)) is not None:
        return alone
    seen = status(mongo)
    states = {member.name: member.state for member in seen.members}
    broken = {name: STATES.get(state, str(state)) for name, state in states.items() if state not in (1, 2, 7)}
    silent = [m.address for m in mongo.members if m.address not in broken and not m.answers and _expected_up(m, states)]
    votes = {member.host: member.votes for member in config(mongo).members}
    margin = sum(votes.get(name, 0) for name in states if name not in {*broken, *silent}) - seen.majority_votes
    observed = ", ".join(f"{name} {state}" for name, state in broken.items()) or "all up"
    expected = "a primary, all members up, one vote more than a majority"
    evidence = {**broken, **dict.fromkeys(silent, "does not answer the auditor"), "margin": margin}
    if PRIMARY not in states.values():
        return failed(
            "there is no primary: nothing can be written", observed=observed, expected=expected, evidence=evidence
        )
    grave = [name for name in broken if states[name] not in (STARTUP, STARTUP2, DOWN)]
    if grave or len(broken) + len(silent) > 1:
        message = f"not healthy: {listed([*broken, *silent])}"
        return failed(message, observed=observed, expected=expected, evidence=evidence)
    if broken or silent:
        name = next(iter([*broken, *silent]))
        how = broken.get(name, "does not answer the auditor")
        message = f"{name} {how}; {max(0, margin)} more may fail"
        return warn(message, observed=f"{name} {how}", expected=expected, evidence=evidence)
    if margin < 1:
        message = "all members are up, but none may fail"
        return warn(message, observed=f"margin of {margin} votes", expected=expected, evidence=evidence)
    message = f"{len(states)} members are up, {margin} may fail"
    return passed(message, observed="all up", expected=expected, evidence=evidence)


def _expected_up(member: MongoMember, states: dict[str, int]) -> bool:
    """Whether the set believes a member to be up that did not even greet us."""
    greeted = maybe(lambda: member.hello) is not None
    return not greeted and states.get(member.address) in (PRIMARY, SECONDARY)


@check(
    id="database.repl.lag",
    component="database",
    severity="high",
    requires=REACH,
    privilege=MONITOR,
    effort="days",
    fix="Give the secondary the disk and network of the primary; look for long index builds and bulk writes",
    verify='mongosh "$MONGODB_URI" --eval "rs.printSecondaryReplicationInfo()"',
    reference="https://www.mongodb.com/docs/manual/tutorial/troubleshoot-replica-sets/#check-the-replication-lag",
)
def lag(mongo: MongoFacts, *, good: float = 10, bad: float = 60) -> Finding:
    """The secondaries are as fresh as the primary.

    What a secondary has not applied yet is lost, or has to wait, when the primary fails. Members are asked themselves,
    before and after the window, and the smaller difference counts: in the eyes of the primary an idle set lags ten
    seconds now and then, because nothing but a heartbeat is written. A delay that was configured is taken off; members
    that are down are left to database.repl.health.
    """
    if (alone := standalone(mongo)) is not None:
        return alone
    own = by_name(mongo)
    primary = own[mongo.primary]
    seen = primary.replica_status.members
    delays = {member.host: member.delay_seconds for member in config(mongo).members}
    findings = {}
    for entry in seen:
        if entry.state == SECONDARY:
            behind = _behind(primary, own.get(entry.name), entry) - delays.get(entry.name, 0)
            findings[entry.name] = scaled(max(0.0, behind), good=good, bad=bad, what="lag", unit="s")
    if not findings:
        return failed("there is no secondary", observed="none", expected=f"at most {show(good, 's')}")
    return worst(findings, what="secondaries")


def _behind(primary: MongoMember, secondary: MongoMember | None, entry: ReplicaMember) -> float:
    """Seconds between the last writes, by the members' own word if there is one of the same moment."""
    pairs = [
        (first.date - second.date).total_seconds()
        for first in primary.last_writes
        for second in (secondary.last_writes if secondary is not None else ())
        if abs(first.at - second.at) <= SAME_MOMENT_SECONDS
    ]
    if pairs:
        return min(max(0.0, seconds) for seconds in pairs)
    return (primary.replica_status.primary.optime - entry.optime).total_seconds()


@check(
    id="database.repl.oplog_window",
    component="database",
    severity="high",
    requires=REACH,
    privilege=MONITOR,
    effort="minutes",
    fix="db.adminCommand({replSetResizeOplog: 1, size: <MB>, minRetentionHours: 48}) on every member",
    fixes=_fixes.OPLOG,
    verify='mongosh "$MONGODB_URI" --eval "rs.printReplicationInfo()"',
    reference="https://www.mongodb.com/docs/manual/core/replica-set-oplog/#oplog-window",
)
def oplog_window(
    mongo: MongoFacts, *, good_hours: float = 48, bad_hours: float = 24, full: float = 0.9, young_hours: float = 1
) -> Finding:
    """A member may be away for two days and still catch up.

    The oplog keeps the last writes; a member that was away for longer has to copy everything anew. An oplog that is not
    full yet is projected to its size at the pace so far, so a young set is not blamed for its age: the projection alone
    is a warning at most, and in the first hour, when the pace is that of the first import, not even that.
    """
    if (alone := standalone(mongo)) is not None:
        return alone

    def judge(member: MongoMember) -> Finding:
        log = member.oplog
        span = max(0.0, (log.last - log.first).total_seconds()) / 3600
        projected = log.size < full * log.max_size
        # A minute at least: the first seconds of a set have no pace to speak of.
        hours = max(span, 1 / 60) * log.max_size / max(1, log.size) if projected else span
        hours = max(hours, log.min_retention_hours)
        kind = "would span" if projected else "spans"
        message, observed = f"the oplog {kind} {hours:,.0f} hours", show(hours, "hours")
        expected = f"at least {show(good_hours, 'hours')}"
        if hours >= good_hours:
            return passed(message, observed=observed, expected=expected)
        if projected and span < young_hours:
            age = counted(round(span * 60), "minute")
            return untested(f"the oplog began {age} ago: too young to tell for how long it lasts")
        verdict = failed if hours < bad_hours and not projected else warn
        return verdict(message, observed=observed, expected=expected)

    return each(mongo, judge)


@check(
    id="database.repl.write_concern_default",
    component="database",
    severity="high",
    requires=REACH,
    privilege=MONITOR,
    effort="minutes",
    fix='db.adminCommand({setDefaultRWConcern: 1, defaultWriteConcern: {w: "majority"}}); replace the arbiter',
    fixes=_fixes.DEFAULT_WRITE_CONCERN,
    verify='mongosh "$MONGODB_URI" --eval "db.adminCommand({getDefaultRWConcern: 1})"',
    reference="https://www.mongodb.com/docs/manual/reference/mongodb-defaults/#default-write-concern",
)
def write_concern_default(mongo: MongoFacts) -> Finding:
    """Writes whose client says nothing are acknowledged by a majority.

    Since 5.0 the server's own default is majority, but not in a set with an arbiter and two members that hold data:
    there the answer carries no default at all, which means w: 1, and a failover loses what only the old primary had.
    """
    if (alone := standalone(mongo)) is not None:
        return alone
    expected = "majority"
    majority = max(2, len([m for m in config(mongo).members if m.votes]) // 2 + 1) if mongo.topology != "mongos" else 2

    def judge(member: MongoMember) -> Finding:
        default = member.gauges.default_write_concern
        w = default.__dict__["w"]
        if not isinstance(w, (int, str)):
            message = f"the default is w: 1 ({default.source}, none is set)"
            return warn(message, observed="w: 1", expected=expected)
        observed = f"w: {w}"
        if w == 0:
            return failed("the default is w: 0: nobody sees errors of writes", observed=observed, expected=expected)
        if isinstance(w, int) and w < majority:
            return warn(f"the default is {observed}", observed=observed, expected=expected)
        return passed(f"the default is {observed}", observed=observed, expected=expected)

    return each(mongo, judge)
