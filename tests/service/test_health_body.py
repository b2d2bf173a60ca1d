"""Health answers in the shapes that frameworks give them, and in shapes that nobody should."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from readiness.facts.exchange import Exchange
from readiness.probes import app_cache
from readiness.probes.health_body import amount_ms, digest, disclosed, kind_of, read
from readiness.probes.soft404 import Baseline, signature


def told(data: Any) -> dict[str, tuple[str, str, float | None]]:
    return {
        each.name: (
            each.kind,
            each.status,
            each.response_ms if isinstance(each.__dict__["response_ms"], float) else None,
        )
        for each in read("", data).dependencies
    }


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"status": "pass"}, "good"),
        ({"status": "UP"}, "good"),
        ({"status": "Healthy"}, "good"),
        ({"health": "GOOD"}, "good"),
        ({"health": "true"}, "good"),
        ({"ok": True}, "good"),
        ({"status": {"status": "ok"}}, "good"),
        ({"success": True, "data": {"status": "down", "checks": {}}}, "bad"),
        ({"status": "warn"}, "degraded"),
        ({"status": "Out of service"}, "degraded"),
        ({"status": "DOWN"}, "bad"),
        ({"ready": False}, "bad"),
        ({"database": "ok", "version": "9.1"}, "good"),
        ({"storage": True, "cache": False}, "bad"),
        ({"uptime": 17}, "unknown"),
        ({"status": None}, "unknown"),
        ({"status": 200}, "unknown"),
        ({"status": {"a": {}}}, "unknown"),
        ({"status": "x" * 1_000_000}, "unknown"),
        ([], "unknown"),
        ([{"name": "db", "status": "down"}], "bad"),
        ("ok", "good"),
        (5, "unknown"),
    ],
)
def test_the_overall_state_is_read(data: Any, status: str) -> None:
    assert read("", data).status == status


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("OK", "good"),
        (" ok \n", "good"),
        ("Degraded", "degraded"),
        ("Unhealthy", "bad"),
        ("pong", "good"),
        ("", "unknown"),
    ],
)
def test_plain_words_are_read(text: str, status: str) -> None:
    assert read(text, None).status == status


def test_the_shapes_of_the_usual_frameworks_are_understood() -> None:
    ietf = {
        "status": "pass",
        "checks": {"redis:responseTime": [{"status": "ok", "observedValue": 3, "observedUnit": "ms"}]},
    }
    assert told(ietf) == {"redis": ("cache", "good", 3.0)}
    spring = {"status": "UP", "components": {"db": {"status": "UP"}, "redis": {"status": "DOWN"}}}
    assert told(spring) == {"db": ("database", "good", None), "redis": ("cache", "bad", None)}
    micro = {"status": "UP", "checks": [{"name": "Database connection", "status": "UP", "data": {"latency": "3ms"}}]}
    assert told(micro) == {"Database connection": ("database", "good", 3.0)}
    aspnet = {"status": "Healthy", "entries": {"sqlserver": {"duration": "00:00:00.0125", "status": "Healthy"}}}
    assert told(aspnet) == {"sqlserver": ("database", "good", 12.5)}
    terminus = {"status": "ok", "info": {"db": {"status": "up"}}, "error": {}, "details": {"db": {"status": "up"}}}
    assert told(terminus) == {"db": ("database", "good", None)}
    plain = {"status": "healthy", "database": {"status": "healthy", "responseTime": 5}, "cacheStats": {"hits": 1}}
    assert told(plain) == {"database": ("database", "good", 5.0)}
    verbose = read("[+]ping ok\n[-]etcd failed: reason withheld\n", None)
    assert [(each.name, each.status) for each in verbose.dependencies] == [("ping", "good"), ("etcd", "bad")]


def test_several_measurements_are_one_dependency_in_its_worst_state() -> None:
    data = {
        "checks": {
            "mongodb:connections": [{"status": "warn", "observedValue": 90}],
            "mongodb:responseTime": [{"status": "pass", "observedValue": 0.002, "observedUnit": "s"}],
        }
    }
    assert told(data) == {"mongodb": ("database", "degraded", 2.0)}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("mongo", "database"),
        ("userDb", "database"),
        ("postgres-main", "database"),
        ("redis", "cache"),
        ("cacheService", "cache"),
        ("stripe", "external"),
        ("smtp", "external"),
        ("feedback", "other"),
        ("diskSpace", "other"),
    ],
)
def test_names_tell_what_a_dependency_is(name: str, kind: str) -> None:
    assert kind_of(name) == kind


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (12, "ms", 12.0),
        (1.5, "s", 1500.0),
        ("12 ms", "ms", 12.0),
        ("1.2s", "ms", 1200.0),
        ("00:00:01.5", "ms", 1500.0),
        (True, "ms", None),
        (-1, "ms", None),
        (float("nan"), "ms", None),
        (float("inf"), "ms", None),
        (10**400, "ms", None),
        ("soon", "ms", None),
        (None, "ms", None),
        ("9" * 5000, "ms", None),
    ],
)
def test_times_are_milliseconds_or_nothing(value: Any, unit: str, expected: float | None) -> None:
    assert amount_ms(value, unit) == expected


def test_hostile_documents_are_survived() -> None:
    deep: Any = "ok"
    for _ in range(100):
        deep = {"components": {"db": deep, "status": "up"}}
    for data in (deep, {"checks": [[[]]] * 1000}, {"checks": {str(i): {"status": "up"} for i in range(100_000)}}):
        body = read("", data)
        assert len(body.dependencies) <= 100
        assert len(digest("", data)) == 16
    listed = {"checks": [None, 1, {"name": 5}, {"name": "db", "status": [1]}, {"name": "x" * 10_000, "status": "up"}]}
    assert all(len(each.name) <= 80 for each in read("", listed).dependencies)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ('{"uri": "mongodb://app:hunter2@db/shop"}', "credentials"),
        ('{"db_password": "hunter2"}', "credentials"),
        ("-----BEGIN RSA PRIVATE KEY-----", "credentials"),
        ('{"NODE_ENV": "production", "PATH": "/bin"}', "environment variables"),
        ("Error: no\n    at ping (/srv/app/db.js:12:5)", "stack trace"),
        ("Traceback (most recent call last):", "stack trace"),
        ('{"code": "/usr/lib/python3/site-packages/x.py"}', "file path"),
        ('{"version": "1.2.3"}', "version"),
        ('{"host": "db-1.internal"}', "internal address"),
        ('{"peer": "10.0.0.7"}', "internal address"),
        ('{"status": "ok", "password": "***", "uri": "mongodb://app:***@db/shop"}', ""),
        ('{"links": {"self": "/api/health", "docs": "https://example.com/app/docs/x"}}', ""),
        ('{"status": "pass", "checks": {"db": {"status": "pass", "responseTime": 10.5}}}', ""),
    ],
)
def test_disclosures_are_named_and_never_quoted(text: str, pattern: str) -> None:
    assert (pattern in disclosed(text)) if pattern else disclosed(text) == ()
    assert "hunter2" not in str(disclosed(text))


def test_no_pattern_takes_long_over_hostile_text() -> None:
    for unit in ("at ", "at (a", "a://b:c", '"', "/app/aaa.", "a-", 'File "', "10.1.1."):
        began = time.monotonic()
        disclosed((unit * 65_536)[:65_536])
        assert time.monotonic() - began < 5, unit


def test_the_digest_is_of_the_structure() -> None:
    one, other = {"status": "up", "ms": 1, "at": "x"}, {"at": "y", "status": "down", "ms": 7}
    assert digest("", one) == digest("", other) != digest("", {"status": "up"})
    assert digest("ok 17", None) == digest("ok 18", None) != digest("no", None)


def answer(
    path: str, status: int, body: str = "", media_type: str = "application/json", location: str = ""
) -> Exchange:
    headers = [("content-type", media_type), *([("location", location)] if location else [])]
    return Exchange(method="GET", url=f"http://h{path}", status=status, headers=tuple(headers), body=body)


def test_an_answer_like_that_to_an_unknown_path_is_recognised() -> None:
    baseline = Baseline((signature(answer("/x1y", 404, '{"path": "/x1y", "at": 17}')),))
    assert baseline.matches(answer("/health", 404, '{"path": "/health", "at": 18}'))
    assert not baseline.matches(answer("/health", 200, '{"path": "/health", "at": 18}'))
    page = Baseline((signature(answer("/x1y", 200, "<p>nonce 1", "text/html")),))
    assert page.soft
    assert page.matches(answer("/health", 200, "<p>other page", "text/html"))
    assert not page.matches(answer("/health", 200, '{"status": "ok"}'))
    away = Baseline((signature(answer("/x1y", 303, location="/login")),))
    assert away.matches(answer("/health", 303, location="/login"))
    assert not away.matches(answer("/health", 303, location="/v1/health"))
    assert Baseline((signature(answer("/x", 401)), signature(answer("/y", 403)))).walled


def cache(document: Any) -> dict[str, Any]:
    facts = app_cache.read([("/health", document)], None)
    return facts.to_json() if hasattr(facts, "to_json") else {}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            {"cache": {"type": "memory", "hits": 90, "misses": 10, "keys": 5, "maxKeys": 100, "stdTTL": 300}},
            {"store": "memory", "hits": 90, "misses": 10, "entries": 5, "max_entries": 100, "ttl_seconds": 300.0},
        ),
        ({"cacheStats": {"hits": 1, "keys": 2, "ksize": 8, "vsize": 9}}, {"hits": 1, "entries": 2}),
        ({"cache": {"size": 1, "checkperiod": 60}}, {"entries": 1, "cleanup_seconds": 60.0}),
        (
            {"checks": {"cache": {"status": "up", "details": {"driver": "Redis", "hitRate": "85%"}}}},
            {"store": "redis", "hit_rate": 0.85},
        ),
        (
            {"data": {"caching": {"store": "lru", "max": 500, "policy": "LRU", "evictions": 3}}},
            {"store": "lru", "max_entries": 500, "policy": "lru", "evictions": 3},
        ),
        ({"cache": {"ttlMs": 5000, "hit_rate": 93}}, {"ttl_seconds": 5.0, "hit_rate": 0.93}),
        ({"cache": {"status": "up", "type": "cache"}}, None),
        ({"cache": "ok"}, None),
        ({"cache": {"hits": -1, "keys": True, "size": "big", "hitRate": 1e9}}, None),
        ([[{"cache": {"hits": 3}}]], {"hits": 3}),
    ],
)
def test_the_applications_own_cache_is_read(document: Any, expected: dict[str, Any] | None) -> None:
    found = cache(document)
    assert found == ({"source": "/health"} | expected if expected else {})


def test_a_time_without_a_unit_is_not_guessed_at() -> None:
    assert "$absent" in cache({"cache": {"hits": 1, "ttl": 300_000}})["ttl_seconds"]


def test_a_deep_document_is_searched_to_a_limit() -> None:
    deep: Any = {"cache": {"hits": 1}}
    for _ in range(100):
        deep = {"a": deep}
    assert cache(deep) == {}
    assert cache(json.loads("[" * 500 + "]" * 500)) == {}
