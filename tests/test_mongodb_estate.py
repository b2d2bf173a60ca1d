"""What the MongoDB probes read around a member, without a server: hosts, pools, shards, effective client options."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from readiness.checks.database._drivers import identify

from readiness.facts.base import Absent, absent
from readiness.facts.mongodb import MongoMember
from readiness.facts.mongodb_client import ClientOptionsFacts
from readiness.facts.mongodb_server import Counters
from readiness.probes import mongodb_estate as estate
from readiness.probes.mongodb_client import client_options
from readiness.probes.mongodb_connect import COMMANDS, READABLE, Forbidden, permit
from readiness.settings import MongoDBSettings

START = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)


def options(uri: str | None = None, **beside: Any) -> ClientOptionsFacts:
    settings = MongoDBSettings(app_uri=SecretStr(uri) if uri else None, options=beside)
    return asyncio.run(client_options(settings))


class Canned:
    """A session that has its answers ready, in order, and keeps what was asked."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def ask(self, command: dict[str, Any], database: str = "admin") -> Any:
        permit(command, database)
        self.asked.append((database, command))
        return self._answers.pop(0)

    async def rows(self, collection: str, pipeline: list[dict[str, Any]], database: str = "admin") -> Any:
        return await self.ask({"aggregate": collection, "pipeline": pipeline}, database)


def batch(*rows: Mapping[str, Any]) -> dict[str, Any]:
    return {"cursor": {"firstBatch": list(rows)}}


@pytest.mark.parametrize(
    ("command", "database"),
    [
        ({"profile": 0}, "shop"),
        ({"profile": 2}, "shop"),
        ({"profile": -1, "slowms": 20}, "shop"),
        ({"profile": -1, "sampleRate": 0.5}, "shop"),
        ({"profile": -1, "filter": {}}, "shop"),
        ({"find": "oplog.rs", "projection": {"ts": 1, "_id": 0}}, "shop"),
        ({"find": "mongos", "projection": {"_id": 1, "ping": 1}}, "shop"),
        ({"find": "mongos", "projection": {"_id": 1}}, "config"),
        ({"find": "collections"}, "config"),
        ({"find": "collections", "projection": {"_id": 1}}, "shop"),
        ({"find": "pbmBackups", "projection": {"_id": 0}}, "admin"),
        ({"find": "system.users", "projection": {"_id": 1}}, "admin"),
    ],
    ids=str,
)
def test_forbidden(command: dict[str, Any], database: str) -> None:
    with pytest.raises(Forbidden):
        permit(command, database)


def test_permitted() -> None:
    permit({"profile": -1}, "shop")
    permit({"getDiagnosticData": 1})
    for (database, collection), projection in READABLE.items():
        permit({"find": collection, "projection": dict(projection)}, database)
    assert not COMMANDS & {"setParameter", "insert", "update", "delete", "killOp", "compact", "collMod", "fsync"}


def metrics(seconds: float, busy: float, idle: float, swapped: int = 0, waiting: float = 0) -> dict[str, Any]:
    cpu = {f"{name}_ms": 0.0 for name in ("nice", "system", "irq", "softirq", "steal")}
    return {
        "start": START + dt.timedelta(seconds=seconds),
        "cpu": cpu | {"user_ms": busy, "idle_ms": idle, "iowait_ms": waiting},
        "memory": {"MemAvailable_kb": 250, "MemTotal_kb": 1000},
        "vmstat": {"pswpin": swapped},
    }


def test_the_load_of_a_host_is_a_difference() -> None:
    load = estate.host_load(metrics(0, 1e9, 1e9), metrics(3, 1e9 + 1500, 1e9 + 4000, 7, 500))
    assert load == {
        "seconds": 3.0, "cpu_busy": 0.25, "io_wait": pytest.approx(500 / 6000), "memory_available": 0.25,
        "pages_swapped_in": 7,
    }  # fmt: skip
    same = estate.host_load(metrics(0, 100, 100), metrics(0, 100, 100))
    assert same["seconds"] == 0
    assert isinstance(same["cpu_busy"], Absent)


def test_a_host_that_tells_nothing() -> None:
    refused = absent("getDiagnosticData was refused (code 13)", "clusterMonitor")
    assert estate.host_load(metrics(0, 1, 1), refused) is refused
    assert isinstance(estate.host_load(metrics(0, 1, 1), {"memory": {}}), Absent)
    # Other systems than Linux record other figures.
    assert isinstance(asyncio.run(estate.host_sample(Canned({"data": {"serverStatus": {}}}))), Absent)  # type: ignore[arg-type]


def client(connections: int, logged_in: int, app: str = "shop", host: str = "10.0.0.9") -> dict[str, Any]:
    return {"app": app, "host": host, "driver": "nodejs", "connections": connections, "logged_in": logged_in}


def test_the_smallest_pool_of_two_samples() -> None:
    before = [client(6, 4), client(9, 7, host="10.0.0.8")]
    after = [client(14, 12), client(3, 0, app="new")]
    assert [group["least"] for group in estate.pools(before, after)] == [4, 3]
    assert [group["least"] for group in estate.pools(absent("refused"), after)] == [12, 3]
    assert isinstance(estate.pools(before, absent("refused")), Absent)


def test_the_profiler_is_asked_once_a_database_and_not_on_after_a_refusal() -> None:
    session = Canned({"was": 2, "slowms": 100, "sampleRate": 1.0}, {"was": 0, "slowms": 100, "sampleRate": 1.0})
    found = asyncio.run(estate.profiling(session, ["shop.a", "shop.b", "logs.a"]))  # type: ignore[arg-type]
    assert [(entry["database"], entry["level"]) for entry in found] == [("shop", 2), ("logs", 0)]
    refused = Canned(absent("profile was refused (code 13)"))
    assert isinstance(asyncio.run(estate.profiling(refused, ["shop.a", "logs.a"])), Absent)  # type: ignore[arg-type]
    assert len(refused.asked) == 1


def test_backups_are_looked_for_where_their_records_are() -> None:
    nothing = Canned()
    assert asyncio.run(estate.backups(nothing, {"shop.a": {}})) == {"pbm": False, "last_done": None}  # type: ignore[arg-type]
    session = Canned(batch({"last_transition_ts": int(START.timestamp())}))
    found = asyncio.run(estate.backups(session, {"admin.pbmBackups": {}}))  # type: ignore[arg-type]
    assert found == {"pbm": True, "last_done": START}
    none = asyncio.run(estate.backups(Canned(batch()), {"admin.pbmBackups": {}}))  # type: ignore[arg-type]
    assert none == {"pbm": True, "last_done": None}
    odd = asyncio.run(estate.backups(Canned(batch({"last_transition_ts": "soon"})), {"admin.pbmBackups": {}}))  # type: ignore[arg-type]
    assert isinstance(odd["last_done"], Absent)


def test_routers_and_shards_of_a_cluster() -> None:
    session = Canned(batch({"_id": "r1:27017", "ping": START}, {"_id": "r2:27017", "ping": START}))
    status = {"localTime": START + dt.timedelta(seconds=5)}
    found = asyncio.run(estate.routers(session, status))  # type: ignore[arg-type]
    assert found[0] == {"name": "r1:27017", "seen_seconds_ago": 5.0}
    parts = [{"shard": "a", "storageStats": {"size": 70}}, {"shard": "b", "storageStats": {"size": 30}}]
    session = Canned(batch({"_id": "shop.orders"}, {"_id": "config.system.sessions"}, {"_id": "shop.users"}))
    session._answers += [parts, [{"shard": "b", "storageStats": {"size": 5}}]]
    assert asyncio.run(estate.shards(session)) == [  # type: ignore[arg-type]
        {"name": "a", "data_bytes": 70},
        {"name": "b", "data_bytes": 35},
    ]
    assert [database for database, _ in session.asked] == ["config", "shop", "shop"]


def test_histograms_are_differences_too() -> None:
    def reading(*counts: int) -> Counters:
        buckets = [{"micros": 2**number, "count": count} for number, count in enumerate(counts, 4)]
        return Counters.model_validate({"opLatencies": {"reads": {"histogram": buckets}}})

    window = reading(10, 7, 1).since(reading(4, 7))
    assert window.reads_histogram == {16: 6, 32: 0, 64: 1}
    assert Counters.from_json(window.to_json()) == window
    assert "restarted" in reading(1).since(reading(4)).__dict__["reads_histogram"].reason


def test_where_the_application_reads_and_how_it_connects() -> None:
    facts = options(
        "mongodb://h1/?readPreference=SecondaryPreferred&maxStalenessSeconds=120&maxConnecting=10"
        "&heartbeatFrequencyMS=5000"
    )
    assert (facts.read_preference, facts.max_staleness_seconds) == ("secondaryPreferred", 120)
    assert (facts.max_connecting, facts.heartbeat_ms) == (10, 5000)
    assert facts.refused == ()
    assert options("mongodb://h1/?maxStalenessSeconds=-1").max_staleness_seconds == -1
    odd = options("mongodb://h1/?readPreference=closest&maxStalenessSeconds=-7&maxConnecting=few")
    assert set(odd.refused) == {"readpreference", "maxstalenessseconds", "maxconnecting"}


def test_the_driver_is_no_option() -> None:
    facts = options("mongodb://h1/?maxPoolSize=10", driver="mongoose", maxPoolSize=50)
    assert facts.driver == "mongoose"
    assert facts.beside == ("maxpoolsize",)
    assert facts.unknown == ()
    assert options("mongodb://h1/?driver=x").unknown == ("driver",)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("nodejs|Mongoose", "Node.js"),
        ("PyMongo|c|async", "PyMongo"),
        ("mongo-java-driver|sync|spring-boot", "the Java driver"),
        ("mongoc / ext-mongodb:PHP / PHPLIB", "PHP"),
        ("mongoc / mongocxx", "the C driver"),
        ("Mongoose", "Node.js"),
        ("go", "the Go driver"),
        ("mongo-ruby-driver", None),
        ("", None),
    ],
)
def test_drivers_are_known_by_what_they_call_themselves(text: str, name: str | None) -> None:
    found = identify(text)
    assert (found.name if found else None) == name


hostile = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.just(START),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@given(hostile, hostile)
def test_hostile_samples(before: Any, after: Any) -> None:
    load = estate.host_load(before, after)
    member = MongoMember.model_validate({"address": "x", "host_load": load, "profiling": after, "backups": before})
    assert MongoMember.from_json(member.to_json()) == member
    sampled = estate.host_load(metrics(0, 1, 1) | {"cpu": before}, metrics(1, 2, 2) | {"cpu": after})
    MongoMember.model_validate({"address": "x", "host_load": sampled})


@given(st.lists(st.dictionaries(st.sampled_from(["micros", "count"]), hostile, max_size=2), max_size=5))
def test_hostile_histograms(buckets: list[Any]) -> None:
    counters = Counters.model_validate({"opLatencies": {"reads": {"histogram": buckets}}})
    counters.since(counters)


@given(hostile)
def test_hostile_records(rows: Any) -> None:
    def ask(coroutine: Any) -> Any:
        return asyncio.run(coroutine)

    answer = {"cursor": {"firstBatch": rows}}
    found = {
        "backups": ask(estate.backups(Canned(answer), {"admin.pbmBackups": {}})),  # type: ignore[arg-type]
        "routers": ask(estate.routers(Canned(answer), {"localTime": rows})),  # type: ignore[arg-type]
        "shards": ask(estate.shards(Canned(answer, *[rows] * 5))),  # type: ignore[arg-type]
        "profiling": ask(estate.profiling(Canned({"was": rows, "slowms": rows}), ["shop.a"])),  # type: ignore[arg-type]
    }
    MongoMember.model_validate({"address": "x", **found})
