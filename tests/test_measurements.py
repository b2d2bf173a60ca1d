"""Figures of the database that are shown beside the scores."""

from __future__ import annotations

from typing import Any

import pytest

from readiness.facts.base import Facts
from readiness.facts.collected import Collected, Outcome
from readiness.facts.measurements import database
from readiness.facts.mongodb import MongoFacts
from readiness.facts.mongodb_server import Counters, Gauges

ACTIVITY = {
    "reads": 80, "reads_us": 40_000, "writes": 20, "writes_us": 40_000, "commands": 100, "commands_us": 20_000,
    "queries": 60, "documents_scanned": 900, "documents_returned": 300, "collection_scans": 3,
    "by_command": {
        "find": {"total": 150, "failed": 3}, "insert": {"total": 50, "failed": 0}, "ping": {"total": 9, "failed": 9}
    },
}  # fmt: skip
GAUGES = {"connections": 24, "connections_left": 815, "connections_active": 3, "queued": [0, 2, 1]}
INDEXES = [{"name": "_id_", "uses": 5}, {"name": "a_1", "uses": 7}, {"name": "b_1", "uses": 0}]


def measured(**member: Any) -> dict[tuple[str, str], tuple[float, str]]:
    given = {
        "address": "db1:27017", "answers": True, "data_bearing": True, "window_seconds": 3.0,
        "collections": [{"name": "shop.products", "indexes": INDEXES}],
    }  # fmt: skip
    base: Facts = MongoFacts.from_json(
        {"now": "2026-03-02T00:00:00Z", "topology": "standalone", "members": [given | member]}
    )
    assert isinstance(base, MongoFacts)
    found = database({"MongoFacts": Collected(Outcome.COLLECTED, base)})
    assert {each.subject for each in found} <= {"db1:27017"}
    return {(each.group, each.name): (each.value, each.unit) for each in found}


def test_every_figure() -> None:
    found = measured(activity=ACTIVITY, gauges=GAUGES)
    group = "Database connections"
    assert found[group, "open"] == (24, "")
    assert found[group, "active"] == (3, "")
    assert found[group, "available"] == (815, "")
    assert found[group, "queued operations"] == (2, "")
    assert found[group, "average response"] == (pytest.approx(0.5), "ms")
    assert found[group, "error rate"] == (pytest.approx(3 / 200), "%")
    group = "Database queries"
    assert found[group, "finds"] == (pytest.approx(20), "per s")
    assert found[group, "examined per returned"] == (3, "")
    assert found[group, "collection scans"] == (1, "per s")
    assert found[group, "indexes in use"] == (0.5, "%")


def test_what_is_absent_or_nothing_to_divide_by_is_left_out() -> None:
    assert measured(collections=[]) == {}
    found = measured(activity=ACTIVITY | {"documents_returned": 0, "reads": 0, "writes": 0, "commands": 0})
    assert ("Database queries", "examined per returned") not in found
    assert ("Database connections", "average response") not in found
    assert ("Database connections", "open") not in found


def test_without_a_database_there_is_nothing() -> None:
    assert database({}) == ()
    assert database({"MongoFacts": Collected(Outcome.FAILED, reason="refused")}) == ()
    assert database({"MongoFacts": Collected(Outcome.COLLECTED, MongoFacts.unavailable("refused"))}) == ()


def test_the_fields_are_those_of_the_facts() -> None:
    assert set(ACTIVITY) <= set(Counters.model_fields)
    assert set(GAUGES) <= set(Gauges.model_fields)
