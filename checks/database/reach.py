"""Whether the deployment can be read at all; every other check of a server requires it."""

from __future__ import annotations

from readiness.api import Finding, check, failed, passed
from readiness.facts.mongodb import MongoFacts

from ._members import REACH, counted


@check(
    id=REACH,
    component="database",
    severity="critical",
    requires=(),
    effort="hours",
    fix="Start mongod, open the network path to it, and give mongodb.uri an account that can log in",
    verify='mongosh "$MONGODB_URI" --eval "db.runCommand({ping: 1})"',
    reference="https://www.mongodb.com/docs/manual/reference/command/ping/",
    verdicts=("pass", "fail"),
)
def connect(mongo: MongoFacts) -> Finding:
    """The database answers commands.

    One member that holds data and answers is enough to pass: nothing can be said of the others without it. Members that
    are down are judged by database.repl.health. Each is asked over a direct connection of its own, because a client of
    the whole set waits for a primary that may be missing.
    """
    silent = {member.address: member.reason for member in mongo.members if not member.readable}
    evidence = {**silent, **{entry.address: f"not contacted: {entry.reason}" for entry in mongo.not_followed}}
    observed = f"{len(mongo.readable)} of {counted(len(mongo.members), 'member')}"
    expected = "a member that holds data and answers"
    if not mongo.readable:
        return failed("no member that holds data answers", observed=observed, expected=expected, evidence=evidence)
    message = f"{observed} can be read ({mongo.topology.replace('_', ' ')})"
    return passed(message, observed=observed, expected=expected, evidence=evidence)
