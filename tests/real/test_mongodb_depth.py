"""What is read around a member, on real servers: pools, tails of latency, sorts, the host, the profiler, backups."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from pymongo import MongoClient

from readiness import collect, judge, loader
from readiness.facts.collected import Collected, Outcome
from readiness.facts.mongodb import MongoFacts
from readiness.model import Finding, Status
from readiness.probes import mongodb_estate
from readiness.probes.mongodb_client import client_options
from readiness.probes.mongodb_connect import Session
from readiness.probes.mongodb_target import Address, Target
from readiness.settings import MongoDBSettings, Settings

from .conftest import APP_PASSWORD, AUDITOR_PASSWORD, Mongod, until

pytestmark = pytest.mark.real

REGISTRY = loader.load()
CHECKS = {id: spec for id, spec in REGISTRY.checks.items() if spec.component == "database"}
LEAST = 4


def audit(uri: str, seconds: float = 0.5, **mongodb: Any) -> tuple[MongoFacts, Mapping[str, Finding]]:
    settings = Settings.model_validate({"mongodb": {"uri": uri, **mongodb}, "limits": {"window_seconds": seconds}})
    found: Mapping[type[Any], Collected] = collect.collect(
        collect.plan(CHECKS.values(), REGISTRY.probes), settings, lambda name, outcome: None
    ).collected
    facts = found[MongoFacts].facts
    assert isinstance(facts, MongoFacts), found[MongoFacts].reason
    return facts, judged(found)


def judged(found: Mapping[type[Any], Collected]) -> Mapping[str, Finding]:
    findings = {entry.spec.id: entry.finding for entry in judge.judge(CHECKS, found, Settings(), {})}
    assert not [id for id, finding in findings.items() if "check itself failed" in finding.message]
    return findings


def declaring(facts: MongoFacts, app_uri: str) -> Mapping[str, Finding]:
    """The findings over the same servers if that were the application's URI."""
    client = asyncio.run(client_options(MongoDBSettings.model_validate({"app_uri": app_uri})))
    none = {kind: Collected(Outcome.NOT_CONFIGURED, needs=spec.needs) for kind, spec in REGISTRY.probes.items()}
    told = {MongoFacts: Collected(Outcome.COLLECTED, facts), type(client): Collected(Outcome.COLLECTED, client)}
    return judged({**none, **told})


def auditor(server: Mongod) -> str:
    return f"mongodb://readiness:{AUDITOR_PASSWORD}@{server.address}/"


def shop(server: Mongod, options: str) -> str:
    return f"mongodb://shop:{APP_PASSWORD}@{server.address}/shop?authSource=admin&appName=shop-api&{options}"


@contextmanager
def buying(uri: str) -> Iterator[None]:
    """A client that looks up products by index, and sorts them by a field that no index has."""
    stop = threading.Event()
    with MongoClient(uri) as client:
        until(lambda: _pools(client) >= LEAST)

        def buy() -> None:
            while not stop.wait(0.001):
                list(client.shop.products.find({"artisan": 7}).limit(5))
                list(client.shop.products.find({"artisan": 8}).sort("name", 1).limit(5))

        thread = threading.Thread(target=buy)
        thread.start()
        try:
            time.sleep(0.2)
            yield
        finally:
            stop.set()
            thread.join()


def _pools(client: MongoClient[dict[str, Any]]) -> int:
    client.shop.products.find_one()
    return sum(len(server.pool.conns) for server in client._topology._servers.values())


def test_the_pool_that_runs(guarded_mongod: Mongod) -> None:
    with buying(shop(guarded_mongod, f"minPoolSize={LEAST}&maxPoolSize=20")):
        facts, findings = audit(
            auditor(guarded_mongod), 1.0, app_uri=shop(guarded_mongod, f"minPoolSize={LEAST}&maxPoolSize=20")
        )
    (group,) = [group for group in facts.members[0].connections if group.app == "shop-api"]
    assert LEAST <= group.least <= group.logged_in < group.connections
    assert group.driver.startswith("PyMongo")
    pool = findings["database.conn.pool_size"]
    assert pool.status is Status.PASS, pool
    assert pool.evidence["declared"].startswith("maxPoolSize 20, declared in mongodb.app_uri")
    assert "from 1 host" in pool.evidence["observed on the server"]
    more = declaring(facts, shop(guarded_mongod, "minPoolSize=15&maxPoolSize=60"))
    assert more["database.conn.pool_size"].status is Status.WARN
    assert more["database.conn.pool_size"].message.startswith("minPoolSize is 15, but")
    other = declaring(facts, f"mongodb://{guarded_mongod.address}/?appName=shop-2")
    assert other["database.conn.pool_size"].message == "no connection is named shop-2: another configuration runs"
    # The driver is the one that is seen, and not that of the audit by accident: its defaults fill the gaps.
    assert "default of PyMongo" in findings["database.client.timeouts"].evidence["connectTimeoutMS"]
    # Under this load the tail and the sorts are known, and named.
    assert findings["database.latency.op_p95"].status is not Status.UNTESTED
    assert findings["database.index.in_memory_sort"].status is Status.FAIL
    metrics = findings["database.conn.metrics"]
    assert metrics.status is Status.PASS
    assert metrics.evidence["average response time"].endswith(" ms")
    assert metrics.evidence["error rate"] == "0.0 %"
    assert int(metrics.evidence["active connections"]) >= 1


def test_the_host_as_mongod_records_it(guarded_mongod: Mongod) -> None:
    facts, findings = audit(auditor(guarded_mongod), 2.2)
    load = facts.members[0].host_load
    assert 0.9 < load.seconds < 5
    assert 0 <= load.cpu_busy <= 1
    assert 0 < load.memory_available < 1
    assert findings["database.host.resources"].status in (Status.PASS, Status.WARN, Status.FAIL)


def test_the_profiler_is_asked_and_left_as_it_is(open_mongod: Mongod) -> None:
    with open_mongod.client() as client:
        client.shop.command("profile", 2, slowms=100)
        try:
            _, findings = audit(open_mongod.uri)
            assert client.shop.command("profile", -1)["was"] == 2
        finally:
            client.shop.command("profile", 0)
            client.shop.drop_collection("system.profile")
    finding = findings["database.query.profiler"]
    assert finding.status is Status.WARN
    assert finding.message.startswith(f"shop on {open_mongod.address}: the profiler records every operation")


def test_backups_that_leave_records(guarded_mongod: Mongod) -> None:
    done = dt.datetime.now(dt.UTC) - dt.timedelta(hours=30)
    assert audit(auditor(guarded_mongod))[1]["database.storage.backup_hint"].status is Status.UNTESTED
    with guarded_mongod.client() as client:
        client.admin.pbmBackups.insert_many(
            [
                {"status": "done", "last_transition_ts": int(done.timestamp()), "secret": "a1"},
                {"status": "error", "last_transition_ts": int(done.timestamp()) + 90_000},
            ]
        )
        # The least right that shows it, and nothing else of that database.
        found = {"resource": {"db": "admin", "collection": "pbmBackups"}, "actions": ["find"]}
        client.admin.command("createRole", "seesBackups", privileges=[found], roles=["clusterMonitor"])
        client.admin.command("createUser", "auditor2", pwd="x", roles=["seesBackups"])
        try:
            _, refused = audit(auditor(guarded_mongod))
            facts, findings = audit(f"mongodb://auditor2:x@{guarded_mongod.address}/")
        finally:
            client.admin.drop_collection("pbmBackups")
            client.admin.command("dropUser", "auditor2")
            client.admin.command("dropRole", "seesBackups")
    assert "grant find on admin.pbmBackups" in refused["database.storage.backup_hint"].message
    assert findings["database.storage.backup_hint"].message == "the last backup was finished 30 hours ago"
    assert findings["database.storage.backup_hint"].status is Status.WARN
    assert "a1" not in str(facts.to_json())


def test_what_a_router_would_be_asked(open_mongod: Mongod) -> None:
    """There is no mongos here, but any server answers the same questions about the same collections."""

    async def ask() -> tuple[Any, Any]:
        session = Session(Address("127.0.0.1", open_mongod.port), Target((), None, None, {}, {}), "readiness/test")
        try:
            status = await session.ask({"serverStatus": 1})
            return await mongodb_estate.routers(session, status), await mongodb_estate.shards(session)
        finally:
            await session.close()

    with open_mongod.client() as client:
        names = ("r1:27017", "r2:27017")
        ping = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=100)
        client.config.mongos.insert_many([{"_id": name, "ping": ping, "up": 7} for name in names])
        client.config.collections.insert_one({"_id": "shop.products", "key": {"artisan": 1}})
        try:
            routers, shards = asyncio.run(ask())
        finally:
            client.drop_database("config")
    assert {entry["name"] for entry in routers} == set(names)
    assert all(95 < entry["seen_seconds_ago"] < 160 for entry in routers)
    # A plain server has no shard to name.
    assert not isinstance(shards, list)
