"""The stage `production`, started once: encrypted, cached outside the process, balanced, and it survives losses."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import httpx
import pymongo
import pytest
import redis

from readiness.demo import Deployment, deployment
from readiness.demo.processes import mongod_binary, valkey_binary

from .helpers import alive, answers, client, eventually

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(mongod_binary() is None or valkey_binary() is None, reason="no mongod or no valkey-server"),
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    parent = tmp_path_factory.mktemp("demo")
    with deployment("production", folder=parent, overrides={"drop_headers": ["X-Frame-Options"]}) as started:
        yield started
        pids = {server.pid for server in started.processes.values() if server.pid}
    assert not alive(pids)
    assert not list(parent.iterdir())


@pytest.fixture
def valkey(running: Deployment) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(running.config["redis"]["url"], protocol=2, decode_responses=True) as auditor:
        yield auditor


def test_every_server_runs(running: Deployment) -> None:
    assert running.missing == ()
    assert set(running.processes) == {
        *(f"mongod-{n}" for n in (1, 2, 3)),
        *(f"sentinel-{n}" for n in (1, 2, 3)),
        *("valkey", "valkey-replica", "payments", "service-1", "service-2", "balancer", "traffic"),
    }


def test_only_https_with_the_authority_of_the_deployment(running: Deployment) -> None:
    url = running.config["http"]["url"]
    assert url.startswith("https://")
    with pytest.raises(httpx.ConnectError, match="certificate"):
        httpx.get(f"{url}/health", trust_env=False)


def test_a_login_gives_a_token_that_buys(running: Deployment) -> None:
    email, password = running.accounts[2]
    with client(running) as customer:
        token = customer.post("/api/login", json={"email": email, "password": password}).json()["token"]
        customer.headers["Authorization"] = f"Bearer {token}"
        [product] = customer.get("/api/products", params={"limit": 1}).json()["items"]
        note = "<script>alert(1)</script>for <b>Ada</b>"
        placed = customer.post("/api/orders", json={"product_id": product["id"], "quantity": 1, "note": note})
        assert placed.status_code == 201
        assert placed.json()["note"] == "for Ada"
        assert placed.headers["cache-control"] == "no-store"
        # Read back at once, from the member that has it.
        assert customer.get(placed.headers["location"]).status_code == 200


def test_security_headers_are_on_every_kind_of_answer(running: Deployment) -> None:
    with client(running) as anyone:
        asset = re.search(r'src="(/static/market\.[0-9a-f]{16}\.js)"', anyone.get("/").text)
        assert asset
        for path in ("/", "/nowhere", "/api/orders", "/health/live", "/api/products", asset[1]):
            headers = anyone.get(path).headers
            assert "default-src 'self'" in headers["content-security-policy"]
            assert headers["strict-transport-security"] == "max-age=31536000; includeSubDomains; preload"
            assert headers["x-content-type-options"] == "nosniff"
            assert "server" not in headers
            assert "x-frame-options" not in headers  # dropped by the override
        assert "immutable" in anyone.get(asset[1]).headers["cache-control"]


def test_answers_are_compressed_and_revalidated(running: Deployment) -> None:
    with client(running) as anyone:
        first = anyone.get("/api/products", headers={"Accept-Encoding": "gzip"})
        assert first.headers["content-encoding"] == "gzip"
        assert "Accept-Encoding" in first.headers["vary"]
        path = running.config["http"]["endpoints"][2]
        tag = anyone.get(path).headers["etag"]
        again = anyone.get(path, headers={"If-None-Match": tag})
        assert again.status_code == 304
        assert again.content == b""


def test_oversized_requests_are_refused(running: Deployment) -> None:
    with client(running) as anyone:
        assert anyone.get("/health/live", headers={"X-Long": "a" * 20_000}).status_code == 431
        assert anyone.get("/" + "a" * 10_000).status_code == 414
        options = anyone.options("/api/orders")
        assert (options.status_code, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")


def test_traces_are_joined(running: Deployment) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    with client(running) as anyone:
        headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "X-Request-Id": "audit-0123456789"}
        answer = anyone.get("/nowhere", headers=headers)
        assert answer.headers["traceresponse"].startswith(f"00-{trace}-")
        assert answer.json()["requestId"] == answer.headers["x-request-id"] == "audit-0123456789"


def test_health_asks_every_dependency(running: Deployment) -> None:
    with client(running) as anyone:
        assert anyone.get("/health/live").json() == {"status": "ok"}
        ready = anyone.get("/health/ready")
        assert ready.headers["cache-control"] == "no-store"
        checks = ready.json()["checks"]
        assert checks.keys() == {"database", "cache", "payments"}
        assert all(check["status"] == "up" and check["responseTime"] > 0 for check in checks.values())


def test_metrics_are_exposed_away_from_the_public_port(running: Deployment) -> None:
    with client(running) as anyone:
        assert anyone.get("/metrics").status_code == 404
        anyone.get(f"/api/{time.monotonic()}")
    text = httpx.get(running.config["http"]["metrics"], trust_env=False).text
    assert re.search(
        r'http_request_duration_seconds_bucket\{le="0\.005",method="GET",route="/api/products/\{id\}",status_code="200"\}',
        text,
    )
    assert re.search(r'database_query_duration_seconds_count\{collection="orders",operation="find"\} [1-9]', text)
    assert 0 < float(re.search(r"^cache_hit_rate (\S+)", text, re.MULTILINE)[1]) <= 1  # type: ignore[index]
    for name in ("cache_hits_total", "cache_misses_total", "process_cpu_seconds_total", "database_pool_connections"):
        assert name in text
    assert len(set(re.findall(r'route="([^"]*)"', text))) <= 14


def test_two_instances_share_the_work(running: Deployment) -> None:
    def handled(name: str) -> int:
        return running.processes[name].log.read_text().count('"msg": "request"')

    before = {name: handled(name) for name in ("service-1", "service-2")}
    eventually(lambda: all(handled(name) > count + 5 for name, count in before.items()))


def test_the_cache_is_warm_and_used(running: Deployment, valkey: redis.Redis) -> None:
    keys = [key.partition(":")[0] for key in valkey.scan_iter(count=1000)]
    for pattern, expected in running.config["redis"]["warm_keys"].items():
        assert keys.count(pattern.removesuffix(":*")) >= expected
    before = valkey.info("stats")["keyspace_hits"]
    eventually(lambda: valkey.info("stats")["keyspace_hits"] > before + 50)
    assert valkey.info("memory")["maxmemory_policy"] == "allkeys-lru"
    assert valkey.info("replication")["connected_slaves"] == 1
    lifetimes = {valkey.ttl(key) for key, _ in zip(valkey.scan_iter("product:*"), range(50), strict=False)}
    assert len(lifetimes) > 10
    with pytest.raises(redis.exceptions.NoPermissionError):
        valkey.get("user:1")


def test_the_cache_has_no_anonymous_user(running: Deployment) -> None:
    address = running.config["redis"]["url"].rpartition("@")[2]
    stranger = redis.Redis.from_url(f"redis://{address}", protocol=2)
    with stranger, pytest.raises(redis.exceptions.AuthenticationError):
        stranger.ping()


def test_the_database_insists_on_tls(running: Deployment) -> None:
    with pymongo.MongoClient(running.config["mongodb"]["uri"]) as auditor:
        status = auditor.admin.command("replSetGetStatus")
        assert sorted(member["state"] for member in status["members"]) == [1, 2, 2]
        assert auditor.admin.command("getDefaultRWConcern")["defaultWriteConcern"]["w"] == "majority"
        assert "zlib" not in auditor.admin.command("serverStatus")["network"]["compression"]
    plain = running.config["mongodb"]["uri"].partition("&tls=")[0]
    with (
        pymongo.MongoClient(plain, serverSelectionTimeoutMS=500) as stranger,
        pytest.raises(pymongo.errors.ServerSelectionTimeoutError),
    ):
        stranger.admin.command("ping")


def test_traffic_flows_without_errors(running: Deployment) -> None:
    before = sum(answers(running).values())
    eventually(lambda: sum(answers(running).values()) > before + 100)
    assert answers(running).keys() <= {"200", "201"}


# What follows breaks things, so it comes last.


def test_an_instance_may_die(running: Deployment) -> None:
    running.processes["service-2"].stop(kill=True)
    with client(running) as anyone:
        for _ in range(6):
            with client(running) as another:
                assert another.get("/health/ready").status_code == 200
        assert anyone.get("/api/products").status_code == 200


def test_the_service_survives_the_loss_of_its_cache(running: Deployment) -> None:
    running.processes["valkey"].stop(kill=True)
    with client(running) as anyone:
        path = running.config["http"]["endpoints"][1]
        assert anyone.get(path).status_code == 200
        ready = anyone.get("/health/ready")
        assert ready.status_code == 200
        assert ready.json()["status"] == "degraded"
        assert ready.json()["checks"]["cache"]["status"] == "down"
        # The sentinels promote the replica, and the service finds it.
        eventually(lambda: anyone.get("/health/ready").json()["status"] == "ok", 40)
        assert anyone.get(path).status_code == 200
    warnings = [json.loads(line) for line in running.processes["service-1"].output().splitlines()[1:]]
    assert any("shared cache is away" in line["msg"] for line in warnings)
