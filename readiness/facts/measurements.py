"""Figures of the database's connections and queries for the report, one set a member; they are shown, not judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from readiness.facts.base import maybe
from readiness.facts.collected import Collected
from readiness.facts.mongodb import MongoFacts, MongoMember
from readiness.facts.mongodb_server import HOUSEKEEPING
from readiness.model import Measurement

CONNECTIONS = "Database connections"
QUERIES = "Database queries"
MOST_MEMBERS = 20


def database(collected: Mapping[str, Collected]) -> tuple[Measurement, ...]:
    """What every member that answered tells of its connections and of the quiet window; absent figures are left out.

    `collected` is by the name of the facts.
    """
    entry = collected.get(MongoFacts.__name__)
    facts = entry.facts if entry is not None else None
    mongodb = maybe(facts.reached) if isinstance(facts, MongoFacts) else None
    if mongodb is None:
        return ()
    members = maybe(lambda: mongodb.readable) or ()
    return tuple(each for member in members[:MOST_MEMBERS] for each in _of(member))


def _of(member: MongoMember) -> Iterator[Measurement]:
    for group, name, unit, read in _FIGURES:
        value = maybe(lambda read=read: read(member))  # type: ignore[misc]
        if value is not None:
            yield Measurement(group, member.address, name, round(float(value), 4), unit)


def _response_ms(member: MongoMember) -> float | None:
    did = member.activity
    operations = did.reads + did.writes + did.commands
    return (did.reads_us + did.writes_us + did.commands_us) / operations / 1000 if operations else None


def _error_rate(member: MongoMember) -> float | None:
    ran = [entry for name, entry in member.activity.by_command.items() if name not in HOUSEKEEPING]
    total = sum(entry.total for entry in ran)
    return sum(min(entry.failed, entry.total) for entry in ran) / total if total else None


def _examined(member: MongoMember) -> float | None:
    did = member.activity
    return did.documents_scanned / did.documents_returned if did.documents_returned else None


def _queries(member: MongoMember) -> float | None:
    return member.activity.queries / member.window_seconds if member.window_seconds else None


def _scans(member: MongoMember) -> float | None:
    return member.activity.collection_scans / member.window_seconds if member.window_seconds else None


def _used_indexes(member: MongoMember) -> float | None:
    """The share of the busiest collections' indexes that were used since counting began; _id is always needed."""
    used = [index.uses > 0 for each in member.collections for index in each.indexes if index.name != "_id_"]
    return sum(used) / len(used) if used else None


def _queued(member: MongoMember) -> float | None:
    return max(member.gauges.queued, default=None)


_FIGURES: tuple[tuple[str, str, str, Callable[[MongoMember], float | None]], ...] = (
    (CONNECTIONS, "open", "", lambda member: member.gauges.connections),
    (CONNECTIONS, "active", "", lambda member: member.gauges.connections_active),
    (CONNECTIONS, "available", "", lambda member: member.gauges.connections_left),
    (CONNECTIONS, "waiting to connect", "", lambda member: member.gauges.connections_queued),
    (CONNECTIONS, "queued operations", "", _queued),
    (CONNECTIONS, "average response", "ms", _response_ms),
    (CONNECTIONS, "error rate", "%", _error_rate),
    (QUERIES, "finds", "per s", _queries),
    (QUERIES, "examined per returned", "", _examined),
    (QUERIES, "collection scans", "per s", _scans),
    (QUERIES, "indexes in use", "%", _used_indexes),
)
