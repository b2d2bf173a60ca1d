"""What is promised of an audit of MongoDB, on real servers: fairness, speed, nothing changed, nothing given away.

That no command off the list leaves is tested in test_mongodb.py and tests/test_mongodb_probe.py, a young oplog in
test_mongodb_matrix.py.
"""

from __future__ import annotations

import contextlib
import html
import math
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from pymongo.errors import PyMongoError

from readiness.demo.mongo import DATABASE
from readiness.model import Status

from .conftest import ADMIN_PASSWORD, APP_PASSWORD, Mongod, add_accounts, one
from .mongodb_audit import EVERY_OUTPUT, SECONDS, audit, command
from .mongodb_servers import Client, Secured, secured, shop, trading, uri

pytestmark = pytest.mark.real

WAIVED = [
    {"check": f"database.version.{id}", "reason": "6.0.5 is what there is", "owner": "tests", "expires": "2999-12-31"}
    for id in ("eol", "cve")
]
# What a set without flaws may be told on the machine that runs the tests, because it is true of that machine.
TRUE_HERE = {
    "database.repl.hostnames",  # the members are 127.0.0.1, which nobody else can reach
    "database.errors.startup_warnings",  # started by root, on a file system that is not XFS
    "database.conn.os_limits",  # the machine allows fewer open files than mongod asks for
    "database.storage.disk",  # its disk is fuller than 70 %
    "database.host.resources",  # its processor is busy: three servers, an application and an audit share it
    "database.latency.ping",  # which makes answers slow
    "database.repl.elections",  # untested: this set is seconds old
    "database.latency.op_p95",  # and majority writes wait for its disk
    "database.cache.app_evictions",  # likewise
}
# mongod knows nothing of how its files are copied.
BACKUPS = {
    "statement": "snapshots of the volumes every six hours", "evidence": "https://wiki.example.com/backups",
    "owner": "tests", "expires": "2999-12-31",
}  # fmt: skip
AS_IT_SHOULD_BE = ("pass", "not_applicable", "waived")
WRITING = (
    "insert", "update", "delete", "findAndModify", "create", "createIndexes", "drop", "dropDatabase", "setParameter",
    "setFeatureCompatibilityVersion", "replSetReconfig", "killOp", "createUser",
)  # fmt: skip
SECRETS = {
    "password": "corr&ct/h0rse@battery",
    "password of the application": "app-secret-9",
    "password of a key": "key-secret-9",
    "value of a document": "Grace Hopper",
    "literal of a running query": "123-45-6789",
    "comment of a running query": "for case 4711",
    "literal of a profiled query": "grace@example.com",
    "literal of an index": "gold-card",
}


@dataclass(frozen=True)
class Keeper:
    """A server full of secrets, some of which a query has been asking for since `began`."""

    found: Mongod
    began: float

    @property
    def auditor(self) -> str:
        return uri(self.found, "auditor", quote_plus(SECRETS["password"]))


@pytest.fixture(scope="module", autouse=True)
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keeper]:
    """Started before everything else, so that its query has been running for long when its turn comes."""
    with one(tmp_path_factory.mktemp("keeper"), "--auth") as found:
        with found.client() as client:
            add_accounts(client)
        found.admin = ADMIN_PASSWORD
        with found.client() as client:
            roles = [{"role": "clusterMonitor", "db": "admin"}]
            client.admin.command("createUser", "auditor", pwd=SECRETS["password"], roles=roles)
            people = client.shop.people
            person = {"name": SECRETS["value of a document"], "ssn": SECRETS["literal of a running query"]}
            people.insert_many([person | {"_id": number} for number in range(1000)])
            people.create_index("name", partialFilterExpression={"card": SECRETS["literal of an index"]})
            client.shop.command("profile", 2)
            people.find_one({"email": SECRETS["literal of a profiled query"]})
        worker = threading.Thread(target=_ask, args=(found,))
        worker.start()
        yield Keeper(found, time.monotonic())
    worker.join()  # the server has ended, and so has its query


def _ask(found: Mongod) -> None:
    query = {"ssn": SECRETS["literal of a running query"], "$where": "sleep(500) || true"}
    with found.client(appname="slow-report", retryReads=False) as client, contextlib.suppress(PyMongoError):
        list(client.shop.people.find(query, comment=SECRETS["comment of a running query"]))


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """The set that is as it should be. The tests that write to it come last."""
    with secured(tmp_path_factory.mktemp("market")) as found:
        yield found


def test_three_members_take_little_longer_than_the_window(market: Secured) -> None:
    found = audit(market.auditor)
    assert len(found.facts.readable) == 3
    assert found.seconds < 15  # promised is half a second; the rest is for a machine that is shared


def test_nothing_is_changed_on_any_member(market: Secured) -> None:
    """A member that starts to read another's oplog asks a query as well, so the least of three audits counts."""
    fewest: float = math.inf
    with market.each() as clients:
        for _ in range(3):
            before = [_state(client) for client in clients]
            audit(market.auditor)
            after = [_state(client) for client in clients]
            asked = [late.pop("queries") - early.pop("queries") for early, late in zip(before, after, strict=True)]
            assert after == before
            fewest = min(fewest, max(asked))
            if fewest <= 2:  # the two ends of the oplog
                return
    pytest.fail(f"an audit asked {fewest} queries of a member")


def _state(client: Client) -> dict[str, Any]:
    """Data, what was written since the start, and what the oplog has but for its regular sign of life."""
    status = client.admin.command("serverStatus")
    entries = client.local["oplog.rs"].count_documents({"op": {"$ne": "n"}})
    commands = status["metrics"]["commands"]
    return {
        "hash": {name: client[name].command("dbHash")["md5"] for name in (DATABASE, "admin")},
        "written": {name: status["opcounters"][name] for name in ("insert", "update", "delete")},
        "replicated": {name: status["opcountersRepl"][name] for name in ("insert", "update", "delete")},
        "documents": {name: count for name, count in status["metrics"]["document"].items() if name != "returned"},
        "commands": {name: commands.get(name, {}).get("total", 0) for name in WRITING},
        "profile": client[DATABASE].command("profile", -1)["was"],
        "oplog": entries,
        "queries": status["opcounters"]["query"],
    }


def test_its_own_commands_are_no_load(market: Secured) -> None:
    """After several audits, another one sees nobody: no query, no scan, no error, no connection."""
    for _ in range(3):
        found = audit(market.auditor)
    for member in found.facts.members:
        did = member.activity
        assert (did.queries, did.collection_scans, did.documents_returned, did.asserts_user) == (0, 0, 0, 0), did
        assert {"find", "aggregate", "top", "replSetGetStatus"}.isdisjoint(did.by_command), did
        assert did.by_command["serverStatus"].total == 0, did
    assert "fewer than 30 operations" in str(found.facts.__dict__["operation_ms"])
    for id in ("latency.op_avg", "index.targeting", "index.collscan", "errors.command_rate"):
        assert found.findings[f"database.{id}"].status is Status.UNTESTED, found.text
    assert found.findings["database.index.collscan_by_collection"].status is Status.PASS, found.text
    assert found.findings["database.conn.app_pool"].message == "no application is connected"


def test_a_wrong_password_is_not_given_away(keeper: Keeper, tmp_path: Path) -> None:
    wrong = uri(keeper.found, "auditor", "not-the-passw0rd")
    done = command(tmp_path, {"mongodb": {"uri": wrong}}, *EVERY_OUTPUT)
    assert done.status == 3, done.printed
    assert "rejected the credentials" in done.everything
    assert "not-the-passw0rd" not in done.everything


def test_latencies_are_microseconds(guarded_mongod: Mongod) -> None:
    """Reads that take twenty milliseconds are reported as such, not as twenty seconds."""

    def slow(client: Client, number: int) -> None:
        client.shop.settings.find_one({"$where": "sleep(20) || true"})

    with trading(uri(guarded_mongod, "shop", APP_PASSWORD), slow):
        found = audit(uri(guarded_mongod), 1)
    assert 20 <= found.facts.operation_ms < 1000


def test_the_doctor_names_the_role_and_what_lacks_it(guarded_mongod: Mongod, tmp_path: Path) -> None:
    with guarded_mongod.client() as client:
        client.admin.command("createUser", "poor", pwd="poor-pass-4", roles=[])
    poor = uri(guarded_mongod, "poor", "poor-pass-4")
    done = command(tmp_path, {"mongodb": {"uri": poor}}, "doctor")
    assert done.status == 3, done.printed
    named = re.search(r"^without clusterMonitor, \d+ checks cannot be judged: (.*)$", done.printed, re.MULTILINE)
    assert named is not None, done.printed
    refused = {id for id, finding in audit(poor).findings.items() if finding.status is Status.ERROR}
    assert {id for id in named[1].split(", ") if id.startswith("database.")} == refused
    # What the printed line would do in mongosh.
    made = re.search(r'createUser\(\{user: "\w+", .*roles: \[\{role: "(\w+)", db: "(\w+)"\}\]\}\)', done.printed)
    assert made is not None, done.printed
    with guarded_mongod.client() as client:
        client.admin.command("createUser", "fresh", pwd="fresh-pass-5", roles=[{"role": made[1], "db": made[2]}])
    found = audit(uri(guarded_mongod, "fresh", "fresh-pass-5"))
    assert Status.ERROR not in found.wrong.values(), found.text


def test_an_idle_set_does_not_lag(market: Secured) -> None:
    """Every ten seconds an idle set writes a sign of life, and seems to lag as much until the next heartbeat."""
    with market.each() as clients:
        primary = next(client for client in clients if client.admin.command("hello")["isWritablePrimary"])
        deadline = time.monotonic() + 60
        while _naive_lag(primary) < 9:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        found = audit(market.auditor, 0.2)
    assert found.findings["database.repl.lag"].status is Status.PASS, found.text
    assert "lag is 0 s" in found.findings["database.repl.lag"].message


def _naive_lag(client: Client) -> float:
    """Seconds that the slowest secondary is behind in the eyes of the member."""
    seen = client.admin.command("replSetGetStatus")["members"]
    newest = next(member["optimeDate"] for member in seen if member["state"] == 1)
    return max((newest - member["optimeDate"]).total_seconds() for member in seen if member["state"] == 2)


def test_nothing_is_given_away(keeper: Keeper, tmp_path: Path) -> None:
    """No password, no value of a document, no literal of a query is in any file or on the screen."""
    application = "mongodb://shop:app-secret-9@127.0.0.1:1/?tls=true&tlsCertificateKeyFilePassword=key-secret-9"
    configuration = {
        "mongodb": {"uri": keeper.auditor, "app_uri": application},
        "limits": {"window_seconds": SECONDS},
    }
    time.sleep(max(0.0, keeper.began + 10.5 - time.monotonic()))  # from then on the query counts as a long one
    done = command(tmp_path, configuration, *EVERY_OUTPUT)
    assert set(done.files) == {"report.json", "report.html", "report.md", "facts.json"}
    (seen,) = [check for check in done.report["checks"] if check["id"] == "database.latency.long_ops"]
    assert seen["status"] in ("warn", "fail"), seen
    assert "slow-report" in done.files["facts.json"]
    for what, secret in SECRETS.items():
        for spelling in {secret, quote_plus(secret), html.escape(secret)}:
            assert spelling not in done.everything, what


def test_a_busy_set_without_flaws_is_ready(market: Secured, tmp_path: Path) -> None:
    configuration = {
        "mongodb": {"uri": market.auditor, "app_uri": market.application},
        "limits": {"window_seconds": 2},
        "waivers": WAIVED,
        "attestations": {"backups": BACKUPS},
    }
    with trading(market.driver, shop, pause=0.01):
        time.sleep(1)  # until the pools are filled
        done = command(tmp_path, configuration, *EVERY_OUTPUT)
    assert done.status == 0, done.printed
    checks = [check for check in done.report["checks"] if check["component"] == "database"]
    told = {check["id"]: check for check in checks if check["status"] not in AS_IT_SHOULD_BE}
    text = "\n".join(f"{check['status']} {id}: {check['message']}" for id, check in told.items())
    assert set(told) <= TRUE_HERE, text
    failing = {check["id"] for check in checks if check["status"] == "fail"}
    assert failing <= {"database.storage.disk"}, text  # which may be fuller than 85 %
    (database,) = [entry for entry in done.report["components"] if entry["id"] == "database"]
    assert database["score"] >= 9.0, text
    assert database["coverage"] > 0.97  # all but the elections


def test_three_hundred_collections(market: Secured) -> None:
    before = audit(market.auditor).seconds
    with market.admin() as client, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: client.archive[f"year_{number}"].insert_one({"_id": number}), range(300)))
    found = audit(market.auditor)
    assert found.facts.members[0].collections_total >= 300
    assert found.seconds - before < 10  # promised are 2.5 s
