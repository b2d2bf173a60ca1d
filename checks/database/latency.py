"""How long the database takes, as the server counts it and as the network adds to it."""

from __future__ import annotations

from collections.abc import Mapping

from readiness.api import Expectations, Finding, check, failed, passed, scaled, show, warn, worst
from readiness.facts.mongodb import MongoFacts, MongoMember

from . import _fixes
from ._members import MONITOR, REACH, each, quiet

LEAST_OPERATIONS = 30
LEAST_FOR_A_PERCENTILE = 100
HALVED_FROM = 2048


@check(
    id="database.latency.ping",
    component="database",
    severity="medium",
    requires=REACH,
    effort="days",
    fix="Move the database and the application into one region and network; run the audit next to the application",
    verify='mongosh "$MONGODB_URI" --eval "t=Date.now(); db.runCommand({ping: 1}); Date.now()-t"',
    reference="https://www.mongodb.com/docs/manual/reference/command/ping/",
)
def ping(mongo: MongoFacts, *, good: float = 5, bad: float = 50) -> Finding:
    """The way to the database and back is short.

    The fastest of a few pings on an established connection, measured from where the audit runs: another distance
    applies to the application unless both stand side by side. What made the others slower is no part of the way, and
    may have been the auditor's own machine. Every query pays this at least once.
    """

    def judge(member: MongoMember) -> Finding:
        return scaled(min(member.ping_ms), good=good, bad=bad, what="ping from the auditor", unit="ms")

    return each(mongo, judge)


@check(
    id="database.latency.op_avg",
    component="database",
    severity="high",
    phase=2,
    item="Database Optimization",
    expectation="database_query_ms",
    requires=REACH,
    privilege=MONITOR,
    effort="days",
    fix="Find the slow operations with db.setProfilingLevel(1, {slowms: 100}), and give them indexes",
    fixes=_fixes.PROFILE,
    verify='mongosh "$MONGODB_URI" --eval "db.serverStatus().opLatencies"',
    reference="https://www.mongodb.com/docs/manual/reference/command/serverStatus/#oplatencies",
)
def op_avg(mongo: MongoFacts, expectations: Expectations, *, bad_factor: float = 2) -> Finding:
    """Operations are as fast on the server as was promised.

    The mean server-side time of reads, writes and commands in the quiet window, each class by itself and without the
    auditor's own. The average since the start of the server would say little: a bulk load in the past can raise it
    twentyfold. Full credit to expectations.database_query_ms, none from twice that. A class with fewer than 30
    operations in the window is not judged.
    """
    good, findings = expectations.database_query_ms, {}
    for member in mongo.readable:
        for name, milliseconds in _averages(member).items():
            what = f"mean time of {name}"
            findings[f"{member.address} {name}"] = scaled(
                milliseconds, good=good, bad=bad_factor * good, what=what, unit="ms", measured=milliseconds
            )
    if not findings:
        return quiet(f"fewer than {LEAST_OPERATIONS} operations of a kind", mongo.readable[0].window_seconds)
    slowest = max(finding.measured or 0 for finding in findings.values())
    verdict = worst(findings, what="kinds of operations")
    return Finding(
        verdict.status, verdict.message, f"{slowest:.3g} ms", verdict.expected, verdict.evidence, verdict.credit,
        measured=slowest,
    )  # fmt: skip


def _averages(member: MongoMember) -> dict[str, float]:
    """Milliseconds an operation, by class, where there were enough of them."""
    did = member.activity
    classes = {
        "reads": (did.reads, did.reads_us, did.reads),
        "writes": (did.writes, did.writes_us, did.writes),
        "commands": (did.commands, did.commands_us, did.commands - did.housekeeping),
    }
    return {name: us / ops / 1000 for name, (ops, us, own) in classes.items() if own >= LEAST_OPERATIONS}


@check(
    id="database.latency.op_p95",
    component="database",
    severity="medium",
    requires=REACH,
    privilege=MONITOR,
    effort="days",
    fix="Find the slow operations with db.setProfilingLevel(1, {slowms: 100}), and give them indexes",
    verify='mongosh "$MONGODB_URI" --eval "db.serverStatus({opLatencies: {histograms: true}}).opLatencies"  # twice',
    reference="https://www.mongodb.com/docs/manual/reference/operator/aggregation/collStats/#latencystats-document",
)
def op_p95(mongo: MongoFacts, *, good: float = 100, bad: float = 250) -> Finding:
    """Nineteen of twenty reads and writes are fast on the server too.

    From the server's own histograms over the quiet window; a mean hides the slow ones. The buckets are coarse, each up
    to twice as wide as the one before, so the percentile is a range and its lower bound is judged. Reads and writes are
    taken by themselves, each only where there were a hundred; commands are left out, because heartbeats are most of
    them.
    """
    findings = {}
    expected = f"at most {show(good, 'ms')}"
    for member in mongo.readable:
        kinds = {"reads": member.activity.reads_histogram, "writes": member.activity.writes_histogram}
        for name, buckets in kinds.items():
            if sum(buckets.values()) < LEAST_FOR_A_PERCENTILE:
                continue
            low, high = _percentile(buckets, 0.95)
            observed = f"{show(low)} to {show(high, 'ms')}"
            verdict = passed if low <= good else warn if low <= bad else failed
            message = f"the 95th percentile of {name} is {observed}"
            findings[f"{member.address} {name}"] = verdict(message, observed=observed, expected=expected)
    if not findings:
        what = f"fewer than {LEAST_FOR_A_PERCENTILE} reads and as few writes"
        return quiet(what, mongo.readable[0].window_seconds)
    return worst(findings, what="kinds of operations")


def _percentile(buckets: Mapping[int, int], share: float) -> tuple[float, float]:
    """The bounds in milliseconds of the bucket that holds the percentile; the buckets are in microseconds."""
    wanted, seen, low = share * sum(buckets.values()), 0, 0
    for low in sorted(buckets):
        seen += buckets[low]
        if seen >= wanted:
            break
    # Up to 2048 the bounds double; from there on each power of two is halved once.
    power = low & (low - 1) == 0
    high = 2 * low if low < HALVED_FROM else low * 3 // 2 if power else low * 4 // 3
    return low / 1000, max(high, 2) / 1000


@check(
    id="database.latency.long_ops",
    component="database",
    severity="medium",
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix="Look at the operation with db.currentOp({secs_running: {$gte: 10}}), and give its query a maxTimeMS",
    fixes=_fixes.LONG_OPERATIONS,
    verify='mongosh "$MONGODB_URI" --eval "db.currentOp({active: true, secs_running: {\\$gte: 10}}).inprog.length"',
    reference="https://www.mongodb.com/docs/manual/reference/operator/aggregation/currentOp/",
)
def long_ops(mongo: MongoFacts, *, warn_seconds: int = 10, fail_seconds: int = 60) -> Finding:
    """No client operation has been running for ten seconds or more.

    A stuck operation holds a ticket, memory and often locks. Greetings that wait by design, replication and index
    builds are left out.
    """
    expected = f"none above {warn_seconds} s"

    def judge(member: MongoMember) -> Finding:
        found = [entry for entry in member.long_operations if entry.max_seconds >= warn_seconds]
        if not found:
            return passed("no long operation", observed="none", expected=expected)
        longest = max(found, key=lambda entry: entry.max_seconds)
        message = f"{sum(entry.count for entry in found)} long, a {longest.op} for {longest.max_seconds} s"
        verdict = failed if longest.max_seconds > fail_seconds else warn
        return verdict(message, observed=show(longest.max_seconds, "s"), expected=expected)

    return each(mongo, judge)


@check(
    id="database.latency.clock_skew",
    component="database",
    severity="low",
    requires=REACH,
    privilege=MONITOR,
    effort="minutes",
    fix="Run chrony or another NTP client on every member",
    verify='mongosh "$MONGODB_URI" --eval "db.hello().localTime"',
    reference="https://www.mongodb.com/docs/manual/administration/production-checklist-operations/",
)
def clock_skew(mongo: MongoFacts, *, good: float = 1, bad: float = 5) -> Finding:
    """The clocks of the members agree.

    TTL indexes, tokens and the arithmetic of replication lag rely on it. Members are compared with each other, so that
    a wrong clock of the auditor does not matter; a single one can only be compared with the auditor's.
    """
    ahead = [member.clock_ahead_seconds for member in mongo.readable]
    skew = max(ahead) - min(ahead) if len(ahead) > 1 else abs(ahead[0])
    whose = "between members" if len(ahead) > 1 else "to the auditor's"
    return scaled(skew, good=good, bad=bad, what=f"difference of clocks {whose}", unit="s")
