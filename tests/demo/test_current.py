"""The stage `current`, started once: it serves, its database is a set of three, and traffic flows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pymongo
import pytest

from readiness import config
from readiness.config import Source
from readiness.demo import Deployment, deployment
from readiness.demo.processes import mongod_binary
from readiness.loader import load

from .helpers import alive, answers, client, eventually

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(mongod_binary() is None, reason="no mongod for this platform"),
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    parent = tmp_path_factory.mktemp("demo")
    with deployment("current", folder=parent) as started:
        yield started
        pids = {server.pid for server in started.processes.values() if server.pid}
        assert len(alive(pids)) == len(started.processes)
    assert not alive(pids)
    assert not list(parent.iterdir())


def test_the_configuration_is_a_valid_one(running: Deployment) -> None:
    registry = load([])
    known = set(registry.checks)
    data = dict(running.config)
    # Only what is loaded can be waived; this test is about everything else.
    data["waivers"] = [waiver for waiver in data["waivers"] if waiver["check"] in known]
    settings = config.validate(Source(data), registry)
    assert settings.service == "artisan-market"
    assert running.missing == ()
    assert [waiver["check"] for waiver in running.config["waivers"]] == [
        "database.version.eol",
        "database.version.cve",
    ]
    assert "redis" not in running.config


def test_it_serves_what_a_customer_wants(running: Deployment) -> None:
    with client(running) as customer:
        front = customer.get("/")
        assert front.status_code == 200
        assert 'href="/static/market.css"' in front.text
        assert customer.get("/static/market.js").headers["content-type"].startswith("text/javascript")
        products = customer.get("/api/products", params={"category": "pottery"}).json()["items"]
        assert len(products) == 100
        assert {product["category"] for product in products} == {"pottery"}
        [product] = customer.get("/api/products", params={"q": "Mug", "limit": 1}).json()["items"]
        assert "mug" in product["name"]
        assert customer.get(f"/api/products/{product['id']}").json()["artisan_id"] == product["artisan_id"]
        assert customer.get(f"/api/artisans/{product['artisan_id']}").json()["craft"] == "pottery"
        for path in running.config["http"]["endpoints"]:
            assert customer.get(path).status_code == 200


def test_a_login_gives_a_token_that_buys(running: Deployment) -> None:
    email, password = running.accounts[1]
    with client(running) as customer:
        assert customer.post("/api/login", json={"email": email, "password": "wrong"}).status_code == 401
        token = customer.post("/api/login", json={"email": email, "password": password}).json()["token"]
        customer.headers["Authorization"] = f"Bearer {token}"
        [product] = customer.get("/api/products", params={"limit": 1}).json()["items"]
        placed = customer.post("/api/orders", json={"product_id": product["id"], "quantity": 2, "note": "<b>soon</b>"})
        assert placed.status_code == 201
        assert placed.json()["total_cents"] == 2 * product["price_cents"]
        assert customer.get(placed.headers["location"]).json()["note"] == "<b>soon</b>"
        assert placed.json()["id"] in {order["id"] for order in customer.get("/api/orders").json()["items"]}


@pytest.mark.parametrize("token", ["", "Bearer garbage", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.", "Basic Og=="])
def test_orders_need_a_valid_token(running: Deployment, token: str) -> None:
    with client(running) as stranger:
        refused = stranger.get("/api/orders", headers={"Authorization": token} if token else {})
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Bearer")
        assert "items" not in refused.json()


def test_every_error_but_that_of_the_router_has_the_same_shape(running: Deployment) -> None:
    with client(running, token=True) as customer:
        post = {"Content-Type": "application/json"}
        failures = {
            404: customer.get(f"/api/products/{'0' * 24}"),
            405: customer.delete("/api/products"),
            415: customer.post("/api/orders", content=b"<order/>", headers={"Content-Type": "application/xml"}),
            400: customer.post("/api/orders", content=b'{"a": ', headers=post),
        }
        for status, answer in failures.items():
            assert answer.status_code == status
            body = answer.json()
            assert body.keys() >= {"status", "code", "message", "requestId"}
            assert body["status"] == status
            assert body["requestId"] == answer.headers["x-request-id"]
            assert "Traceback" not in answer.text
        assert "<h1>" in customer.get("/nowhere").text
        assert failures[405].headers["allow"] == "GET, HEAD"
        wrong = customer.post("/api/orders", json={"product_id": "1", "quantity": 0}).json()
        assert {error["field"] for error in wrong["errors"]} == {"product_id", "quantity"}


def test_health_tells_of_the_cache_in_the_process(running: Deployment) -> None:
    with client(running) as anyone:
        health = anyone.get("/health").json()
        assert health["status"] == "ok"
        cache = health["cache"]
        assert cache["type"] == "memory"
        assert cache["hits"] > cache["misses"] > 0
        assert 0 < cache["keys"] <= cache["maxKeys"]


def test_it_lacks_what_the_assessment_found_missing(running: Deployment) -> None:
    with client(running) as anyone:
        answer = anyone.get("/api/products", headers={"Accept-Encoding": "gzip"})
        for header in ("content-security-policy", "strict-transport-security", "content-encoding", "etag"):
            assert header not in answer.headers
        assert anyone.get("/metrics").status_code == 404
        assert anyone.get("/health/ready").json()["checks"].keys() == {"database"}
        assert anyone.get("/api/products", params={"q": "<i>x</i>"}).json()["query"] == "<i>x</i>"


def test_callers_are_told_what_their_limit_leaves(running: Deployment) -> None:
    with client(running) as anyone:
        remaining = [
            int(anyone.get("/api/artisans").headers["ratelimit"].split("r=")[1].split(";")[0]) for _ in range(2)
        ]
        assert remaining[1] < remaining[0] or remaining[1] > 59_000  # or a new minute began


def test_the_database_has_a_primary_and_two_secondaries(running: Deployment) -> None:
    with pymongo.MongoClient(running.config["mongodb"]["uri"]) as auditor:
        status = auditor.admin.command("replSetGetStatus")
        assert sorted(member["stateStr"] for member in status["members"]) == ["PRIMARY", "SECONDARY", "SECONDARY"]
        assert auditor.admin.command("replSetGetConfig")["config"]["settings"]["electionTimeoutMillis"] == 10_000
        with pytest.raises(pymongo.errors.OperationFailure, match="not authorized"):
            auditor.market.users.find_one()
    hosts = running.config["mongodb"]["uri"].rpartition("@")[2].partition("/")[0]
    anonymous = f"mongodb://{hosts}/?replicaSet=market"
    with pymongo.MongoClient(anonymous) as stranger, pytest.raises(pymongo.errors.OperationFailure):
        stranger.admin.command("listDatabases")


def test_traffic_flows_without_errors(running: Deployment) -> None:
    before = sum(answers(running).values())
    eventually(lambda: sum(answers(running).values()) > before + 100)
    assert answers(running).keys() <= {"200", "201"}


def test_the_log_is_json_without_secrets(running: Deployment) -> None:
    with client(running, token=True) as customer:
        id = customer.get("/api/orders").headers["x-request-id"]
    log = running.processes["service-1"]
    eventually(lambda: id in log.output())
    lines = [json.loads(line) for line in log.output().splitlines()[1:]]  # the first may be cut off
    assert {"time", "level", "msg", "request_id", "route", "status", "duration_ms"} <= lines[-1].keys()
    assert "Bearer" not in log.output()
    for _, password in running.accounts:
        assert password not in log.output()


def test_its_files_are_for_its_owner_only(running: Deployment) -> None:
    assert running.folder.stat().st_mode & 0o077 == 0
    assert Path(running.folder, "service-1.json").stat().st_mode & 0o077 == 0
