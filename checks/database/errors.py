"""What goes wrong inside the server: failed commands, internal errors, its own complaints."""

from __future__ import annotations

from readiness.api import Finding, check, failed, maybe, passed, scaled, warn
from readiness.facts.mongodb import MongoFacts, MongoMember
from readiness.facts.mongodb_server import HOUSEKEEPING

from ._members import MONITOR, OPEN_FILES, REACH, counted, each, listed, quiet

LEAST_COMMANDS = 100
NO_ACCESS_CONTROL = 22120


@check(
    id="database.errors.command_rate",
    component="database",
    severity="high",
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix="Read the errors in the application's log; the evidence names the commands that failed",
    verify='mongosh "$MONGODB_URI" --eval "db.serverStatus().metrics.commands.find"  # twice',
    reference="https://www.mongodb.com/docs/manual/reference/command/serverStatus/#mongodb-serverstatus-serverstatus.metrics.commands",
)
def command_rate(mongo: MongoFacts, *, good: float = 0.001, bad: float = 0.01) -> Finding:
    """Commands succeed.

    Failed against all commands in the window, without the housekeeping of drivers and of the set. Duplicate keys and
    failed validations do not count as failed commands, so the errors that clients got are shown beside it.
    """

    def judge(member: MongoMember) -> Finding:
        ran = {name: entry for name, entry in member.activity.by_command.items() if name not in HOUSEKEEPING}
        total = sum(entry.total for entry in ran.values())
        if total < LEAST_COMMANDS:
            return quiet(f"fewer than {LEAST_COMMANDS} commands", member.window_seconds)
        broken = {name: min(entry.failed, entry.total) for name, entry in ran.items() if entry.failed}
        evidence = {name: f"{count} failed" for name, count in list(broken.items())[:10]}
        asserted = maybe(lambda: member.activity.asserts_user)
        if asserted is not None:
            evidence["errors to clients"] = f"{1000 * asserted / total:.1f} per 1000 commands"
        share = sum(broken.values()) / total
        what = f"failed share of {total} commands"
        return scaled(share, good=good, bad=bad, what=what, unit="%", evidence=evidence)

    return each(mongo, judge)


@check(
    id="database.errors.asserts",
    component="database",
    severity="medium",
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix="Look for the error in mongod's log at that time, and upgrade if it is a known bug",
    verify='mongosh "$MONGODB_URI" --eval "db.serverStatus().asserts"',
    reference="https://www.mongodb.com/docs/manual/reference/command/serverStatus/#asserts",
    verdicts=("pass", "fail"),
)
def asserts(mongo: MongoFacts) -> Finding:
    """The server meets no internal errors.

    Regular, message and tripwire assertions in the window are bugs or damage inside the server. User assertions, which
    a client causes, do not count here.
    """

    def judge(member: MongoMember) -> Finding:
        did = member.activity
        counts = {"regular": did.asserts_regular, "msg": did.asserts_msg, "tripwire": did.asserts_tripwire}
        raised = {name: count for name, count in counts.items() if count}
        if raised:
            text = ", ".join(f"{count} {name}" for name, count in raised.items())
            return failed(f"internal errors in the window: {text}", observed=text, expected="none")
        return passed("no internal error in the window", observed="none", expected="none")

    return each(mongo, judge)


@check(
    id="database.errors.startup_warnings",
    component="database",
    severity="medium",
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix="Follow the advice in each message, and restart mongod",
    verify='mongosh "$MONGODB_URI" --eval "db.adminCommand({getLog: \'startupWarnings\'}).log"',
    reference="https://www.mongodb.com/docs/manual/administration/production-notes/",
)
def startup_warnings(mongo: MongoFacts) -> Finding:
    """mongod itself has nothing to complain of.

    At its start mongod checks its machine: limits of files, its user, memory settings, access control. The advice
    differs between versions, so the server's own words count; they stay until the next start. The limit of open files
    is left to database.conn.os_limits.
    """

    def judge(member: MongoMember) -> Finding:
        warnings = [entry for entry in member.startup_warnings if entry.severity != "I" and entry.id != OPEN_FILES]
        if not warnings:
            return passed("no warning at the start", observed="none", expected="none")
        evidence = {str(entry.id): entry.message for entry in warnings[:10]}
        observed = listed((str(entry.id) for entry in warnings), 10)
        open_door = next((entry for entry in warnings if entry.id == NO_ACCESS_CONTROL), None)
        shown = open_door or warnings[0]
        message = f"{counted(len(warnings), 'warning')}: {shown.message.partition('. ')[0][:80]}"
        verdict = failed if open_door else warn
        return verdict(message, observed=observed, expected="none", evidence=evidence)

    return each(mongo, judge)
