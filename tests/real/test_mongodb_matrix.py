"""Every shape of a MongoDB deployment on real servers: exactly what is wrong with each, and nothing else."""

from __future__ import annotations

import datetime as dt
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.write_concern import WriteConcern

from readiness.model import Status

from .conftest import APP_PASSWORD, Mongod, MongoSet, fill, until
from .mongodb_audit import MACHINE, audit
from .mongodb_servers import Client, encrypted, guarded_set, reconfigure, sampled, trading, uri

pytestmark = pytest.mark.real
PASS, WARN, FAIL, ERROR, BLOCKED = Status.PASS, Status.WARN, Status.FAIL, Status.ERROR, Status.BLOCKED

# What every server here is told: 6.0.5 is what there is, with the compressors that it offers of itself.
OLD = {"database.version.eol": FAIL, "database.version.cve": FAIL}
# Nobody but the auditor is connected.
UNUSED = {"database.conn.app_pool": WARN}
# The members' names are addresses of this machine.
LOOPBACK = {"database.repl.hostnames": WARN}

OPEN_STANDALONE = OLD | UNUSED | {
    "database.repl.topology": FAIL,
    "database.security.auth": FAIL,
    "database.errors.startup_warnings": FAIL,  # mongod itself says that everybody may log in
}  # fmt: skip
GUARDED_STANDALONE = OLD | UNUSED | {"database.repl.topology": FAIL}
WITHOUT_RIGHTS = {"database.version.eol": FAIL, "database.repl.topology": FAIL}
HEALTHY_SET = OLD | UNUSED | LOOPBACK
ONE_KILLED = HEALTHY_SET | {"database.repl.health": WARN}
NO_PRIMARY = HEALTHY_SET | {
    "database.repl.health": FAIL,
    "database.repl.lag": ERROR,  # behind whom?
    "database.repl.elections": ERROR,
}
ARBITER = HEALTHY_SET | {"database.repl.topology": WARN, "database.repl.write_concern_default": WARN}
TLS = GUARDED_STANDALONE
BAD_CERTIFICATE = TLS | {"database.security.tls": FAIL}
MISSING_INDEX = OLD | LOOPBACK | {
    "database.index.targeting": FAIL,
    "database.index.collscan": FAIL,
    "database.index.collscan_by_collection": FAIL,
}  # fmt: skip
STOPPED_APPLYING = OLD | LOOPBACK | {"database.repl.lag": FAIL}
STOPPED = STOPPED_APPLYING | {"database.repl.health": WARN}
STOPPED_AND_NOTICED = OLD | LOOPBACK | {"database.repl.health": WARN}

# How fast a machine of two cores is, and how its memory fares, while it scans whole collections.
SLOW = {
    "database.latency.op_avg", "database.latency.op_p95", "database.cache.fill", "database.cache.app_evictions",
    "database.pressure.queue",
}  # fmt: skip
# What an account without any right can still find out.
STILL_KNOWN = {
    "database.reach.connect", "database.security.auth", "database.security.auditor_least_privilege",
    "database.shard.readiness",
}  # fmt: skip


def test_standalone(open_mongod: Mongod) -> None:
    with open_mongod.client() as client:
        sampled(client)
    found = audit(open_mongod.uri)
    assert found.wrong == OPEN_STANDALONE, found.text


def test_standalone_with_accounts(guarded_mongod: Mongod) -> None:
    with guarded_mongod.client() as client:
        sampled(client)
    found = audit(uri(guarded_mongod))
    assert found.wrong == GUARDED_STANDALONE, found.text


def test_an_account_without_rights(guarded_mongod: Mongod) -> None:
    with guarded_mongod.client() as client:
        client.admin.command("createUser", "poor", pwd="poor-pass-4", roles=[])
    found = audit(uri(guarded_mongod, "poor", "poor-pass-4"))
    refused = {id: finding for id, finding in found.findings.items() if finding.status is ERROR}
    assert found.wrong == WITHOUT_RIGHTS | dict.fromkeys(refused, ERROR), found.text
    # No check takes silence for an answer, and each names the role that it lacks.
    assert {id for id, finding in found.findings.items() if finding.status is PASS} - MACHINE == STILL_KNOWN
    assert {str(finding.evidence) for finding in refused.values()} == {"{'needs': 'clusterMonitor'}"}


def test_a_set_that_loses_its_members(tmp_path: Path) -> None:
    with guarded_set(tmp_path) as members:
        with members.primary().client() as client:
            fill(client)
        found = audit(uri(members))
        assert found.wrong == HEALTHY_SET, found.text

        primary = members.primary()
        next(member for member in members.members if member is not primary).server.stop(kill=True)
        members.settle(1, 2, 8)
        found = audit(uri(members))
        assert found.wrong == ONE_KILLED, found.text

        primary.server.stop(kill=True)
        members.settle(2, 8, 8)
        found = audit(uri(members))
        assert found.wrong == NO_PRIMARY, found.text
        assert found.seconds < 15


def test_primary_secondary_arbiter(arbiter_set: MongoSet) -> None:
    found = audit(uri(arbiter_set))
    assert found.wrong == ARBITER, found.text


def test_a_young_oplog_is_no_finding(arbiter_set: MongoSet) -> None:
    """The first import sets a pace that would fill the oplog within a day, and says nothing of the days to come."""
    with arbiter_set.members[0].client() as client:
        fill(client)
    found = audit(uri(arbiter_set))
    oplog = found.facts.readable[0].oplog
    assert (oplog.last - oplog.first).total_seconds() < 600
    assert (oplog.last - oplog.first).total_seconds() / 3600 * oplog.max_size / oplog.size < 24
    assert "database.repl.oplog_window" not in found.wrong, found.text


def test_a_private_authority(tmp_path: Path) -> None:
    with encrypted(tmp_path, "127.0.0.1") as trusting:
        found = audit(trusting)
        assert found.wrong == TLS, found.text
        assert found.findings["database.security.tls"].status is PASS
        stranger = audit(trusting.partition("&tlsCAFile")[0])
    assert "self-signed certificate in certificate chain" in stranger.collected.reason


@pytest.mark.parametrize("flaw", ["expired", "another host"])
def test_a_certificate_that_is_not_valid(tmp_path: Path, flaw: str) -> None:
    name, ends = "127.0.0.1", dt.datetime.now(dt.UTC) + dt.timedelta(days=90)
    if flaw == "expired":
        ends = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=5)
    else:
        name = "db.example.com"
    with encrypted(tmp_path, name, not_after=ends) as trusting:
        if flaw == "expired":
            time.sleep(max(0.0, (ends - dt.datetime.now(dt.UTC)).total_seconds() + 1.1))
        strict, lax = audit(trusting), audit(f"{trusting}&tlsAllowInvalidCertificates=true")
    assert strict.findings["database.reach.connect"].status is ERROR
    assert set(strict.wrong.values()) == {ERROR, BLOCKED}
    said = "certificate has expired" if flaw == "expired" else "not valid for '127.0.0.1'"
    assert said in strict.findings["database.reach.connect"].message
    assert lax.wrong == BAD_CERTIFICATE, lax.text
    assert said in lax.findings["database.security.tls"].message


def test_a_missing_index_under_load(tmp_path: Path) -> None:
    count = 110_000

    def order(client: Client, number: int) -> None:
        orders = client.shop.orders
        orders.find_one({"customer": number * 7919 % count})
        for other in range(5):
            orders.find_one({"_id": (number + other) % count})
        orders.update_one({"_id": number % count}, {"$inc": {"paid": 1}})

    with guarded_set(tmp_path) as members:
        application = f"{uri(members, 'shop', APP_PASSWORD)}&appName=shop-api"
        with MongoClient[dict[str, Any]](application) as client:
            orders = client.shop.get_collection("orders", write_concern=WriteConcern(3))
            orders.insert_many([{"_id": number, "customer": number} for number in range(count)])
        with trading(application, order, pause=0.01, before=16):
            found = audit(uri(members), 2)
    assert {id: status for id, status in found.wrong.items() if id not in SLOW} == MISSING_INDEX, found.text
    assert "shop.orders" in found.findings["database.index.collscan_by_collection"].message


def test_a_secondary_that_lags(tmp_path: Path) -> None:
    """First one that is alive and applies nothing, then one that is stopped, before and after its set notices."""

    def write(client: Client, number: int) -> None:
        client.shop.products.update_one({"_id": number % 100}, {"$inc": {"price": 1}})

    strict = {"database.repl.lag": {"good": 1, "bad": 2}}  # by default ten seconds and a minute
    with guarded_set(tmp_path, "--setParameter", "enableTestCommands=1") as members:
        with members.primary().client() as client:
            fill(client)
        primary = members.primary()
        slow = next(member for member in members.members if member is not primary)
        reconfigure(members, chainingAllowed=False)  # or the other secondary might wait for this one
        until(lambda: _sources(primary) == {primary.address})

        def behind() -> float:
            return (_last_write(primary) - _last_write(slow)).total_seconds()

        with slow.client() as client, trading(f"{uri(members, 'shop', APP_PASSWORD)}&appName=shop", write, pause=0.02):
            client.admin.command("configureFailPoint", "rsSyncApplyStop", mode="alwaysOn")
            until(lambda: behind() >= 3)
            found = audit(uri(members), parameters=strict)
            assert found.wrong == STOPPED_APPLYING, found.text
            assert f"{slow.address}: lag is" in found.findings["database.repl.lag"].message

            slow.server.signal(signal.SIGSTOP)
            found = audit(uri(members), parameters=strict)
            assert found.wrong == STOPPED, found.text

            reconfigure(members, heartbeatTimeoutSecs=1, electionTimeoutMillis=1000)
            members.settle(1, 2, 8)
            found = audit(uri(members), parameters=strict)
            assert found.wrong == STOPPED_AND_NOTICED, found.text
            slow.server.signal(signal.SIGCONT)


def _sources(primary: Mongod) -> set[str]:
    """From whom the secondaries copy."""
    with primary.client() as client:
        members = client.admin.command("replSetGetStatus")["members"]
    return {member["syncSourceHost"] for member in members if member["state"] == 2}


def _last_write(member: Mongod) -> dt.datetime:
    with member.client() as client:
        date: dt.datetime = client.admin.command("hello")["lastWrite"]["lastWriteDate"]
    return date
