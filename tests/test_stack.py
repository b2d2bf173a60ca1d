"""What the service is made of, recognised by its signs: for the choice of a fix."""

from __future__ import annotations

from typing import Any

import pytest

from readiness.facts.base import Facts
from readiness.facts.collected import Collected, Outcome
from readiness.facts.delivery import DeliveryFacts
from readiness.facts.http import HttpFacts
from readiness.facts.kubernetes import KubernetesFacts
from readiness.facts.mongodb import MongoFacts
from readiness.facts.redis import RedisFacts
from readiness.facts.redis_client import CacheClientFacts
from readiness.facts.service import ServiceFacts
from readiness.facts.stack import recognised

KINDS = (HttpFacts, DeliveryFacts, ServiceFacts, MongoFacts, RedisFacts, CacheClientFacts, KubernetesFacts)


def found(*facts: Facts) -> dict[str, str]:
    return recognised({type(each).__name__: Collected(Outcome.COLLECTED, each) for each in facts})


def http(status: int = 200, body: str = "", *headers: tuple[str, str]) -> Facts:
    answer = {"method": "GET", "url": "https://x/", "status": status, "headers": headers, "body": body}
    facts: Facts = HttpFacts.from_json({"base": "https://x", "not_found": answer})
    return facts


def metrics(*families: str) -> Facts:
    listed = [{"name": name, "type": "gauge"} for name in families]
    facts: Facts = ServiceFacts.from_json({"metrics": {"state": "parsed", "families": listed}})
    return facts


def mongodb(**group: Any) -> Facts:
    member = {"address": "db:27017", "answers": True, "connections": [{"connections": 4} | group]}
    facts: Facts = MongoFacts.from_json({"now": "2026-03-02T00:00:00Z", "topology": "standalone", "members": [member]})
    return facts


@pytest.mark.parametrize(
    ("header", "stack"),
    [
        (("Server", "nginx/1.27.2"), "nginx"),
        (("server", "openresty"), "nginx"),
        (("X-Powered-By", "Express"), "express node"),
        (("X-Powered-By", "Next.js"), "node"),
        (("Server", "uvicorn"), "fastapi python"),
        (("Server", "gunicorn"), "python"),
        (("Server", "Werkzeug/3.0 Python/3.12"), "python"),
        (("Server", "daphne"), "django python"),
        (("Set-Cookie", "csrftoken=abc; Path=/"), "django python"),
        (("Set-Cookie", "connect.sid=s%3Aabc; Path=/"), "express node"),
        (("Server", "Apache"), ""),
        (("X-Powered-By", "PHP/8.3"), ""),
        (("Server", "my-nginx-lookalike"), ""),
    ],
)
def test_headers(header: tuple[str, str], stack: str) -> None:
    assert " ".join(found(http(200, "", header))) == stack


@pytest.mark.parametrize(
    ("body", "stack"),
    [
        ("<!DOCTYPE html><pre>Cannot GET /readiness-1</pre>", "express node"),
        ('{"detail":"Not Found"}', "fastapi python"),
        ('{"detail":"Not found."}', "django python"),
        ("<h1>Not Found</h1><p>The requested resource was not found on this server.</p>", "django python"),
        ("<hr><center>nginx/1.22.1</center>", "nginx"),
        ("default backend - 404", "kubernetes"),
        ("404 page not found", ""),
        ('{"error": "Not Found"}', ""),
    ],
)
def test_error_pages(body: str, stack: str) -> None:
    assert " ".join(found(http(404, body))) == stack
    assert found(http(200, body)) == {}  # a page may quote anything


def test_metrics() -> None:
    assert " ".join(found(metrics("nodejs_version_info", "http_requests_total"))) == "node"
    assert " ".join(found(metrics("python_info"))) == "python"
    assert " ".join(found(metrics("starlette_requests_total"))) == "fastapi python"
    assert " ".join(found(metrics("django_http_requests_total_by_view"))) == "django python"
    assert found(metrics("process_cpu_seconds_total", "go_goroutines")) == {}


def test_clients_of_the_database_and_of_the_cache() -> None:
    assert found(mongodb(driver="nodejs|Mongoose")) == {"node": "its database driver nodejs|Mongoose"}
    assert " ".join(found(mongodb(driver="PyMongo|c|async"))) == "python"
    assert found(mongodb(driver="nodejs|mongosh", app="mongosh 2.3")) == {}
    assert found(mongodb(driver="PyMongo|c", app="readiness")) == {}
    assert found(mongodb(driver="NetworkInterfaceTL-ReplNetwork")) == {}
    assert " ".join(found(CacheClientFacts(library="ioredis"))) == "node"
    clients = {"groups": [{"host": "10.0.0.1", "library": "redis-py", "kind": "client", "count": 3}]}
    assert " ".join(found(RedisFacts.from_json({"clients": clients}))) == "python"


@pytest.mark.parametrize(
    ("name", "is_pod"),
    [
        ("shop-7d4b9c8f6d-x2vfz", True),
        ("shop-api-5f6dc7b8c9-2kzqw", True),
        ("shop-1", False),
        ("ip-10-0-0-12", False),
        ("shop-7d4b9c8f6d-x2vfa", False),  # pods' names have no vowels
        ("i-0abc1234def567890", False),
    ],
)
def test_pods_by_their_names(name: str, is_pod: bool) -> None:
    facts = DeliveryFacts.from_json({"url": "https://x", "instances": {"x-instance-id": [name]}})
    assert ("kubernetes" in found(facts)) == is_pod


def test_an_asgi_server_in_front_of_django_is_no_fastapi() -> None:
    facts = http(404, "", ("Server", "uvicorn"), ("Set-Cookie", "csrftoken=x"))
    assert found(facts) == {"django": "its cookie csrftoken", "python": "its cookie csrftoken"}


def test_several_layers_in_the_order_of_the_vocabulary() -> None:
    facts = http(404, "", ("X-Powered-By", "Express"), ("Server", "nginx"))
    assert list(found(facts)) == ["nginx", "express", "node"]


def test_facts_that_are_all_absent_say_nothing() -> None:
    assert found(*(kind.unavailable("refused") for kind in KINDS)) == {}
    assert recognised({}) == {}


def test_hostile_evidence_is_short() -> None:
    assert len(found(http(200, "", ("Server", "nginx/" + "x" * 10_000)))["nginx"]) <= 100
    assert found(http(404, "<pre>Cannot GET /" + "(" * 100_000)) != {}
