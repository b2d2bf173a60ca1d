"""The drawing of the deployment: what there is, what is missing, and above all what is not known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

import pytest

from readiness.facts.architecture import architecture
from readiness.facts.base import Facts
from readiness.facts.collected import Collected, Outcome
from readiness.facts.delivery import DeliveryFacts
from readiness.facts.http import HttpFacts
from readiness.facts.mongodb import MongoFacts
from readiness.facts.prometheus import PrometheusFacts
from readiness.facts.redis import RedisFacts
from readiness.facts.service import ServiceFacts

NOW = dt.datetime(2026, 3, 2, tzinfo=dt.UTC).isoformat()
ALL = (HttpFacts, DeliveryFacts, ServiceFacts, MongoFacts, RedisFacts, PrometheusFacts)
HTTPS = HttpFacts(base="https://shop.example")


def made(kind: type[Facts], **data: Any) -> Facts:
    facts: Facts = kind.from_json(data)
    return facts


def delivery(headers: dict[str, str] | None = None, **data: Any) -> Facts:
    plain = {"path": "/a.js", "status": 200, "headers": headers or {}}
    resource = {"kind": "asset", "path": "/a.js", "status": 200, "plain": plain}
    return made(
        DeliveryFacts, **{"url": "https://shop.example", "page": True, "assets": 2, "resources": [resource]} | data
    )


def mongodb(topology: str, hosts: int = 1, **data: Any) -> Facts:
    hello = {"hosts": [f"db{n}:27017" for n in range(hosts)]}
    member = {"address": "db0:27017", "answers": True, "data_bearing": True, "version": "8.0.17", "hello": hello}
    return made(MongoFacts, now=NOW, topology=topology, members=[member], **data)


def redis(replicas: int = 0, **data: Any) -> Facts:
    replication = {"role": "master", "replicas": [{"address": f"10.0.0.{n}:6379"} for n in range(replicas)]}
    return made(RedisFacts, server={"name": "valkey", "version": "9.1.2"}, replication=replication, **data)


def service(**data: Any) -> Facts:
    return made(ServiceFacts, **data)


def prometheus(**data: Any) -> Facts:
    return made(PrometheusFacts, now=NOW, url="http://prometheus:9090", version="3.5.0", **data)


def drawn(*facts: Facts, failed: Iterable[type[Facts]] = (), **more: Any) -> tuple[dict[str, str], dict[str, str]]:
    """Current and recommended: role -> `name, detail, state`."""
    collected = {each.__name__: Collected(Outcome.NOT_CONFIGURED) for each in ALL}
    collected |= {type(each).__name__: Collected(Outcome.COLLECTED, each) for each in facts}
    collected |= {each.__name__: Collected(Outcome.FAILED, reason="refused") for each in failed}
    result = architecture(collected, "shop", **more)
    sides = (result.current, result.recommended)
    current, recommended = (
        {
            box["role"]: f"{box['name']}, {box['detail']}, {box['state']}"
            for tier in side.get("flow", ())
            for box in tier
        }
        for side in sides
    )
    return current, recommended


def test_nothing_collected_draws_nothing() -> None:
    assert drawn() == ({}, {})
    assert drawn(failed=[MongoFacts]) == ({}, {})


def test_one_url_claims_nothing_that_it_could_not_see() -> None:
    current, recommended = drawn(HTTPS, delivery(page=False, assets=0), service())
    assert current == {"clients": "Clients, HTTPS, present", "service": "shop, no instance names itself, present"}
    assert set(recommended) == {"clients", "balancer", "service", "cache", "monitoring"}
    assert all(recommended[role].endswith("unknown") for role in recommended if role != "clients")


def test_facts_that_are_all_absent_are_tolerated() -> None:
    stand_ins = [kind.unavailable("refused") for kind in ALL]
    current, recommended = drawn(*stand_ins)
    assert not any("missing" in part for part in (*current.values(), *recommended.values()))


@pytest.mark.parametrize(
    ("facts", "role", "current", "recommended"),
    [
        (HTTPS, "clients", "Clients, HTTPS, present", "Clients, HTTPS, present"),
        (HttpFacts(base="http://shop"), "clients", "Clients, plain HTTP, present", "Clients, HTTPS, change"),
        (delivery(), "edge", None, "CDN, for scripts, styles and images, missing"),
        (delivery({"cf-ray": "1"}), "edge", *["Cloudflare, in front of the service, present"] * 2),
        (delivery({"age": "4"}), "edge", *["A shared cache (age), in front of the service, present"] * 2),
        (delivery(page=False), "edge", None, None),
        (delivery(foreign={"cdn.example": 3}), "edge", None, "CDN, other hosts serve some assets, unknown"),
        (delivery(), "balancer", None, "Load balancer, leaves no sign in the answers, unknown"),
        (
            delivery(instances={"x-instance-id": ["a"]}),
            "balancer",
            None,
            "Load balancer, before several instances, missing",
        ),
        (delivery(balancers=["cookie AWSALB"]), "balancer", *["Load balancer, cookie AWSALB, present"] * 2),
        (delivery(addresses=3), "balancer", *["Load balancer, 3 addresses, present"] * 2),
        (
            delivery(instances={"x-instance-id": ["a"]}),
            "service",
            "shop, 1 instance, present",
            "shop, 2 instances or more, change",
        ),
        (delivery(instances={"x-instance-id": ["a", "b"]}), "service", *["shop, 2 instances, present"] * 2),
        (
            delivery(instances={"health pid": ["1", "2"]}),
            "service",
            "shop, no instance names itself, present",
            "shop, 2 instances or more, unknown",
        ),
        (
            mongodb("standalone"),
            "database",
            "MongoDB 8.0.17, standalone, present",
            "MongoDB, replica set, 3 members, change",
        ),
        (mongodb("replica_set", 3), "database", *["MongoDB 8.0.17, replica set, 3 members, present"] * 2),
        (
            mongodb("replica_set", 1),
            "database",
            "MongoDB 8.0.17, replica set, 1 member, present",
            "MongoDB 8.0.17, replica set, 3 members, change",
        ),
        (mongodb("mongos"), "database", *["MongoDB 8.0.17, sharded cluster, present"] * 2),
        (
            mongodb("replica_set", 3, platform="atlas"),
            "database",
            *["MongoDB Atlas 8.0.17, replica set, 3 members, present"] * 2,
        ),
        (redis(), "cache", "Valkey 9.1.2, no replica, present", "Valkey 9.1.2, primary and replica, change"),
        (redis(2), "cache", *["Valkey 9.1.2, primary and 2 replicas, present"] * 2),
        (redis(cluster_enabled=True), "cache", *["Valkey 9.1.2, cluster, present"] * 2),
        (redis(provider="ElastiCache"), "cache", *["Valkey 9.1.2, managed: ElastiCache, present"] * 2),
        (
            service(cache={"source": "/health", "store": "memory"}),
            "cache",
            "In-memory cache, one in each instance, present",
            "Redis or Valkey, shared by all instances, missing",
        ),
        (
            service(cache={"source": "/health", "store": "redis"}),
            "cache",
            *["redis, named by the service, unknown"] * 2,
        ),
        (
            service(cache={"source": "/health"}),
            "cache",
            "Cache, its kind is not known, present",
            "Redis or Valkey, shared by all instances, unknown",
        ),
        (
            prometheus(alertmanagers=["http://am:9093"]),
            "monitoring",
            *["Prometheus 3.5.0, with an Alertmanager, present"] * 2,
        ),
        (
            prometheus(alertmanagers=[]),
            "monitoring",
            "Prometheus 3.5.0, no Alertmanager, present",
            "Prometheus 3.5.0, with an Alertmanager, change",
        ),
        (
            prometheus(),
            "monitoring",
            "Prometheus 3.5.0, alerting not readable, present",
            "Prometheus 3.5.0, with an Alertmanager, unknown",
        ),
        (
            service(metrics={"state": "parsed"}),
            "monitoring",
            "Metrics endpoint, who reads it was not looked at, present",
            "Prometheus, metrics, dashboards and alerts, unknown",
        ),
        (
            service(metrics={"state": "missing"}),
            "monitoring",
            None,
            "Prometheus, metrics, dashboards and alerts, missing",
        ),
        (
            service(tracking={"path": "/", "vendors": ["Sentry"]}),
            "monitoring",
            *["Sentry, seen in the answers, present"] * 2,
        ),
    ],
)
def test_a_part(facts: Facts, role: str, current: str | None, recommended: str | None) -> None:
    now, wanted = drawn(facts)
    assert (now.get(role), wanted.get(role)) == (current, recommended)


def test_a_system_that_could_not_be_read_is_neither_there_nor_missing() -> None:
    current, recommended = drawn(HTTPS, service(), failed=[MongoFacts, RedisFacts, PrometheusFacts])
    for role in ("database", "cache", "monitoring"):
        assert current[role].endswith("could not be read, unknown")
        assert recommended[role] == current[role]


def test_what_was_declared_absent_is_not_recommended() -> None:
    reported = service(cache={"source": "/health", "store": "memory"}, metrics={"state": "missing"})
    _, recommended = drawn(HTTPS, reported, declined={"caching": "no cache", "monitoring": "elsewhere"})
    assert not {"cache", "monitoring"} & set(recommended)


def test_a_dependency_that_only_health_names() -> None:
    dependency = {"name": "orders-db", "kind": "database", "status": "good"}
    exchange = {"method": "GET", "url": "https://shop.example/health", "status": 200}
    health = {"kind": "general", "path": "/health", "exchange": exchange, "dependencies": [dependency]}
    current, recommended = drawn(service(health=[health]))
    assert current["database"] == recommended["database"] == "orders-db, named by the health endpoint, unknown"


def test_tiers_run_from_the_users_down() -> None:
    collected = {
        type(facts).__name__: Collected(Outcome.COLLECTED, facts)
        for facts in (HTTPS, delivery(), mongodb("standalone"), redis(), prometheus())
    }
    flow = architecture(collected, "shop").recommended["flow"]
    assert [[box["role"] for box in tier] for tier in flow] == [
        ["clients"], ["edge"], ["balancer"], ["service"], ["database", "cache"], ["monitoring"],
    ]  # fmt: skip
