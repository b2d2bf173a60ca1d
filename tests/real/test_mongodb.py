"""The MongoDB probe and its checks against real servers: alone, guarded, as a set, and with members missing."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from readiness import __version__, judge, loader
from readiness.errors import FactMissing, ProbeError
from readiness.facts.base import Facts
from readiness.facts.collected import Collected, Outcome
from readiness.facts.mongodb import MongoFacts
from readiness.model import Finding, Status
from readiness.probes.mongodb import mongodb
from readiness.probes.mongodb_connect import Forbidden, Session
from readiness.probes.mongodb_target import Address, Target
from readiness.settings import Limits, MongoDBSettings, Settings
from readiness.spec import Context
from readiness.window import Window

from .conftest import ADMIN_PASSWORD, AUDITOR_PASSWORD, Mongod, MongoSet, one, shoppers

pytestmark = pytest.mark.real

REGISTRY = loader.load()
# What any server of the tests has: an old version, started by root with few open files, on a disk that others use.
HERE = {"database.version.eol", "database.version.cve"}
MACHINE = {"database.storage.disk", "database.errors.startup_warnings", "database.host.resources"}


def collect(uri: str, seconds: float = 1.0) -> MongoFacts:
    facts, _ = timed(uri, seconds)
    return facts


def timed(uri: str, seconds: float = 1.0) -> tuple[MongoFacts, float]:
    """The facts, and how long the probe took besides its window."""
    limits = Limits(window_seconds=seconds)
    context = Context(Window(seconds, 1), limits, f"readiness/{__version__}", "rdy-0123456789ab")
    began = time.monotonic()
    facts = asyncio.run(mongodb(MongoDBSettings.model_validate({"uri": uri}), context))
    took = time.monotonic() - began - seconds
    assert MongoFacts.from_json(json.loads(json.dumps(facts.to_json()))) == facts
    return facts, took


def judged(*facts: Facts) -> dict[str, Finding]:
    """Every check of the database over these facts."""
    collection = {kind: Collected(Outcome.NOT_CONFIGURED, needs=spec.needs) for kind, spec in REGISTRY.probes.items()}
    collection |= {type(each): Collected(Outcome.COLLECTED, each) for each in facts}
    checks = {id: spec for id, spec in REGISTRY.checks.items() if spec.component == "database"}
    return {entry.spec.id: entry.finding for entry in judge.judge(checks, collection, Settings(), {})}


def having(findings: Mapping[str, Finding], *statuses: Status) -> set[str]:
    return {id for id, finding in findings.items() if finding.status in statuses} - MACHINE


def report(findings: Mapping[str, Finding]) -> str:
    return "\n".join(f"{finding.status:15} {id:45} {finding.message}" for id, finding in findings.items())


def test_open_standalone(open_mongod: Mongod) -> None:
    facts, took = timed(open_mongod.uri)
    (member,) = facts.members
    assert took < 15
    assert facts.topology == "standalone"
    assert facts.primary == member.address == open_mongod.address
    assert member.readable
    assert member.loopback
    assert member.anonymous is True
    assert member.version == "6.0.5"
    assert member.gauges.cache_max == 256 * 1024**2
    names = {collection.name: collection for collection in member.collections}
    assert set(names) == {"shop.products", "shop.settings"}
    assert {index.name for index in names["shop.products"].indexes} == {"_id_", "artisan_1_price_-1"}
    with pytest.raises(FactMissing, match="fewer than 30 operations"):
        _ = facts.operation_ms
    findings = judged(facts)
    assert having(findings, Status.FAIL) == HERE | {"database.repl.topology", "database.security.auth"}, report(
        findings
    )
    assert having(findings, Status.ERROR, Status.BLOCKED) == set(), report(findings)
    assert findings["database.repl.lag"].status is Status.NOT_APPLICABLE
    assert findings["database.security.tls"].status is Status.NOT_APPLICABLE
    assert findings["database.latency.op_avg"].status is Status.UNTESTED


def test_the_monitoring_account_is_enough(guarded_mongod: Mongod) -> None:
    facts = collect(f"mongodb://readiness:{AUDITOR_PASSWORD}@{guarded_mongod.address}/")
    (member,) = facts.members
    assert member.anonymous is False
    assert member.account.roles == ("clusterMonitor@admin",)
    findings = judged(facts)
    assert having(findings, Status.FAIL) == HERE | {"database.repl.topology"}, report(findings)
    assert having(findings, Status.ERROR) == set(), report(findings)
    assert findings["database.security.auditor_least_privilege"].status is Status.PASS


def test_an_account_of_the_application_is_not(guarded_mongod: Mongod) -> None:
    facts = collect(f"mongodb://shop:app-pass-3@{guarded_mongod.address}/?authSource=admin")
    findings = judged(facts)
    headroom = findings["database.conn.headroom"]
    assert headroom.status is Status.ERROR
    assert headroom.evidence == {"needs": "clusterMonitor"}
    assert findings["database.security.auth"].status is Status.PASS
    assert findings["database.security.auditor_least_privilege"].message == "the account can write: shop.*"


def test_wrong_credentials_are_not_repeated(guarded_mongod: Mongod) -> None:
    with pytest.raises(ProbeError, match=r"rejected the credentials") as caught:
        collect(f"mongodb://readiness:not-the-password@{guarded_mongod.address}/")
    assert "not-the-password" not in str(caught.value)


def test_nobody_there() -> None:
    began = time.monotonic()
    with pytest.raises(ProbeError, match=r"127\.0\.0\.1:1: connection refused"):
        collect("mongodb://127.0.0.1:1/")
    assert time.monotonic() - began < 5


def test_healthy_set_under_load(healthy_set: MongoSet) -> None:
    with shoppers(healthy_set.uri):
        facts, took = timed(healthy_set.members[0].uri)
    assert took < 15
    assert facts.topology == "replica_set"
    assert {member.address for member in facts.members} == {member.address for member in healthy_set.members}
    assert all(member.readable for member in facts.members)
    assert 0 < facts.operation_ms < 1000
    findings = judged(facts)
    expected = HERE | {"database.security.auth"}
    # A busy test machine may be slow: how fast it is is not what is tested here.
    slow = {"database.latency.op_avg", "database.latency.ping", "database.cache.fill"}
    assert having(findings, Status.FAIL) - slow == expected, report(findings)
    assert having(findings, Status.ERROR, Status.BLOCKED) == set(), report(findings)
    for id in ("repl.topology", "repl.health", "repl.lag", "index.targeting", "index.collscan"):
        assert findings[f"database.{id}"].status is Status.PASS, report(findings)
    assert "shop-api" in findings["database.conn.app_pool"].message
    assert findings["database.latency.op_avg"].status is not Status.UNTESTED


def test_members_missing(breakable_set: MongoSet) -> None:
    secondary = next(member for member in breakable_set.members if breakable_set.states()[member.address] == 2)
    secondary.server.stop(kill=True)
    # The set has not noticed yet; the auditor has.
    findings = judged(collect(breakable_set.uri))
    assert findings["database.reach.connect"].status is Status.PASS
    assert findings["database.repl.health"].status is Status.WARN, report(findings)
    breakable_set.settle(1, 2, 8)
    findings = judged(collect(breakable_set.uri))
    assert findings["database.repl.health"].message == f"{secondary.address} down; 0 more may fail"
    assert findings["database.repl.lag"].status is Status.PASS, report(findings)

    breakable_set.primary().server.stop(kill=True)
    breakable_set.settle(2, 8, 8)
    facts, took = timed(breakable_set.uri)
    assert took < 15
    assert [member.answers for member in facts.members].count(True) == 1
    findings = judged(facts)
    assert findings["database.repl.health"].message == "there is no primary: nothing can be written"
    assert findings["database.repl.lag"].status is Status.ERROR
    assert "database.repl.health" in having(findings, Status.FAIL)
    assert "database.repl.topology" not in having(findings, Status.FAIL, Status.ERROR)


def test_an_arbiter_is_greeted_and_left_alone(arbiter_set: MongoSet) -> None:
    facts = collect(f"mongodb://readiness:{AUDITOR_PASSWORD}@{arbiter_set.members[0].address}/")
    arbiter = next(member for member in facts.members if member.address == arbiter_set.members[2].address)
    assert not arbiter.data_bearing
    assert arbiter.reason == "an arbiter holds no data"
    findings = judged(facts)
    assert having(findings, Status.ERROR) == set(), report(findings)
    assert findings["database.repl.topology"].message.startswith("two copies of the data")
    assert findings["database.repl.health"].status is Status.PASS, report(findings)
    assert findings["database.repl.write_concern_default"].status is Status.WARN
    assert having(findings, Status.FAIL) == HERE, report(findings)
    assert findings["database.repl.hostnames"].status is Status.WARN, report(findings)


def test_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    bundle, trusted = tmp_path / "server.pem", tmp_path / "ca.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(bundle)
    authority.cert_pem.write_to_path(trusted)
    with one(tmp_path, "--tlsMode", "preferTLS", "--tlsCertificateKeyFile", str(bundle)) as found:
        facts = collect(f"{found.uri}?tls=true&tlsCAFile={trusted}")
        (member,) = facts.members
        assert member.tls.used
        assert member.tls.protocol == "TLSv1.3"
        assert member.tls.not_after > facts.now
        assert judged(facts)["database.security.tls"].message.endswith("mode preferTLS still takes plain text")
        with pytest.raises(ProbeError, match="its certificate is not accepted"):
            collect(f"{found.uri}?tls=true")
        (plain,) = collect(found.uri).members
        assert not plain.tls.used
        assert plain.tls.offered


def test_nothing_is_changed(healthy_set: MongoSet) -> None:
    """Data, write counters and oplog are as before, but for what the set writes by itself."""
    with MongoClient(healthy_set.uri) as client:
        before = _state(client)
        collect(healthy_set.uri)
        assert _state(client) == before


def _state(client: MongoClient[dict[str, Any]]) -> dict[str, Any]:
    status = client.admin.command("serverStatus")
    writes = {name: status["opcounters"][name] for name in ("insert", "update", "delete")}
    commands = status["metrics"]["commands"]
    entries = client.local["oplog.rs"].count_documents({"op": {"$ne": "n"}, "ns": {"$ne": "config.system.sessions"}})
    return {
        "hash": client.shop.command("dbHash")["collections"],
        "writes": writes,
        "documents": {k: v for k, v in status["metrics"]["document"].items() if k != "returned"},
        "commands": {name: commands.get(name, {}).get("total", 0) for name in _WRITING},
        "oplog": entries,
        "profile": client.shop.command("profile", -1)["was"],
    }


_WRITING = ("insert", "update", "delete", "findAndModify", "create", "createIndexes", "drop", "dropDatabase")


@pytest.mark.parametrize(
    "command",
    [
        {"insert": "x", "documents": [{"a": 1}]},
        {"dropDatabase": 1},
        {"profile": 2},
        {"setParameter": 1, "logLevel": 5},
        {"find": "products"},
        {"find": "oplog.rs", "projection": {"_id": 0}},
        {"aggregate": "products", "pipeline": [{"$out": "copy"}], "cursor": {}},
        {"aggregate": "products", "pipeline": [{"$match": {}}, {"$merge": "copy"}], "cursor": {}},
    ],
    ids=lambda command: "-".join(map(str, next(iter(command.items())))),
)
def test_commands_off_the_list_never_leave(open_mongod: Mongod, command: dict[str, Any]) -> None:
    async def send() -> None:
        target = Target((), None, None, {}, {})
        session = Session(Address("127.0.0.1", open_mongod.port), target, "readiness/test")
        with pytest.raises(Forbidden):
            await session.ask(dict(command), "shop")
        # The driver's own listener stands behind that, for whoever goes around `ask`.
        with pytest.raises(Forbidden):
            await session._client["shop"].command(dict(command))
        await session.close()

    with open_mongod.client() as client:
        asked = client.admin.command("serverStatus")["metrics"]["commands"]
        asyncio.run(send())
        later = client.admin.command("serverStatus")["metrics"]["commands"]
    name = next(iter(command))
    assert later.get(name, {}).get("total", 0) == asked.get(name, {}).get("total", 0)


def test_no_secret_and_no_document_in_the_facts(guarded_mongod: Mongod) -> None:
    facts = collect(f"mongodb://admin:{ADMIN_PASSWORD}@{guarded_mongod.address}/")
    text = json.dumps(facts.to_json())
    assert ADMIN_PASSWORD not in text
    assert "not for the auditor" not in text
    auditor = {"username": "readiness", "password": AUDITOR_PASSWORD}
    with guarded_mongod.client(**auditor) as client, pytest.raises(OperationFailure):
        client.shop.settings.find_one()
