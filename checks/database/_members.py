"""What the checks of this component share: one verdict over all members, and what does not apply to a standalone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from readiness.api import Finding, Status, maybe, not_applicable, untested, worst
from readiness.facts.mongodb import MongoFacts, MongoMember, ReplicaConfig, ReplicaStatus
from readiness.facts.mongodb_server import Collection, ConnectionGroup

REACH = "database.reach.connect"
MONITOR = "clusterMonitor"
OPEN_FILES = 22184
"""The id of mongod's own complaint about its limit of open files."""
TOOLS = (
    "mongosh", "MongoDB Compass", "mongodb_exporter", "readiness", "mongodump", "mongorestore", "mongoexport",
    "mongostat", "mongotop", "MongoDB Automation", "MongoDB Monitoring", "MongoDB Backup", "pbm",
)  # fmt: skip
"""How the connections of tools are named."""
GUIDE = "https://github.com/mongodb/agent-skills/blob/main/skills/mongodb-connection/SKILL.md"
"""MongoDB's own guide to connection options, which differs from common recipes here and there."""


def each(mongo: MongoFacts, judge: Callable[[MongoMember], Finding]) -> Finding:
    """The verdict over every member that holds data and answered: the worst decides."""
    return worst({member.address: judge(member) for member in mongo.readable}, what="members")


def collections(mongo: MongoFacts, judge: Callable[[Collection], Finding]) -> Finding:
    """The verdict over the busiest collections of every member: the worst decides."""
    found: dict[str, Finding] = {}
    for member in mongo.readable:
        for collection in member.collections:
            finding = judge(collection)
            known = found.setdefault(collection.name, finding)
            found[collection.name] = max(known, finding, key=lambda one: GRAVITY[one.status])
    return worst(found, what="collections") if found else not_applicable("there is no collection yet", collections=0)


GRAVITY = {Status.PASS: 0, Status.WARN: 1, Status.FAIL: 2}


def applications(groups: Iterable[ConnectionGroup]) -> list[ConnectionGroup]:
    """The groups of connections that are neither the deployment's own nor those of tools."""
    return [group for group in groups if not group.internal and not group.app.startswith(TOOLS)]


def standalone(mongo: MongoFacts) -> Finding | None:
    """Not applicable on a standalone server, which has nothing to replicate to; `database.repl.topology` fails it."""
    if mongo.topology != "standalone":
        return None
    return not_applicable("a standalone server: hello names no replica set", topology=mongo.topology)


def by_name(mongo: MongoFacts) -> dict[str, MongoMember]:
    """The readable members by the name they were contacted by, and by the one that their set uses."""
    found: dict[str, MongoMember] = {}
    for member in mongo.readable:
        found[member.address] = member
        if (name := maybe(partial(_own_name, member))) is not None:
            found.setdefault(name, member)
    return found


def _own_name(member: MongoMember) -> str:
    return member.hello.me


def config(mongo: MongoFacts) -> ReplicaConfig:
    """The configuration of the set, as its first readable member has it."""
    return mongo.readable[0].replica_config


def status(mongo: MongoFacts) -> ReplicaStatus:
    """The state of the set in the eyes of the primary, or of another member where there is none."""
    members = sorted(mongo.readable, key=lambda member: member.hello.__dict__["writable"] is not True)
    return members[0].replica_status


def quiet(what: str, seconds: float) -> Finding:
    """For a window with too little traffic to judge anything by."""
    return untested(f"{what} in the {seconds:.0f} s window: audit under traffic, or raise limits.window_seconds")


def counted(number: int, noun: str) -> str:
    """`1 member`, `3 members`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(names: Iterable[str], most: int = 3) -> str:
    """The first few names, and how many more there are."""
    given = list(names)
    return ", ".join(given[:most]) + (f" and {len(given) - most} more" if len(given) > most else "")
