"""Whatever health and metrics send over the wire: a finding or an error, never a crash, within bytes and seconds."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from readiness.facts.metrics import MetricsFacts
from readiness.facts.service import ServiceFacts
from readiness.model import Finding, Status
from readiness.settings import Settings

from .service_servers import collect, findings, serving

pytestmark = pytest.mark.real
TEXT = "text/plain; version=0.0.4"
OPEN = "application/openmetrics-text; version=1.0.0"
LONGEST = 25  # seconds on a busy machine; a hang is what is looked for


def buckets(*pairs: str, count: str = "9", total: str = "1") -> bytes:
    lines = ["# HELP http_request_duration_seconds d", "# TYPE http_request_duration_seconds histogram"]
    labels = 'method="GET",route="/",status_code="200"'
    for pair in pairs:
        bound, _, value = pair.partition(":")
        lines.append(f'http_request_duration_seconds_bucket{{{labels},le="{bound}"}} {value}')
    lines += [
        f"http_request_duration_seconds_{name}{{{labels}}} {value}"
        for name, value in (("sum", total), ("count", count))
    ]
    return ("\n".join(lines) + "\n").encode()


def audited(
    metrics: bytes, kind: str, health: bytes, health_kind: str, megabytes: float = 5
) -> tuple[ServiceFacts, Mapping[str, Finding]]:
    async def exposed(_: Request) -> Response:
        return Response(metrics, headers={"Content-Type": kind} if kind else {})

    async def healthy(_: Request) -> Response:
        return Response(health, headers={"Content-Type": health_kind} if health_kind else {})

    async def home(_: Request) -> Response:
        return JSONResponse({})

    app = Starlette(routes=[Route("/", home), Route("/metrics", exposed), Route("/health", healthy)])
    settings = Settings.model_validate({"http": {"url": "http://127.0.0.1"}, "limits": {"response_mb": megabytes}})
    with serving(app) as url:
        settings = settings.model_copy(update={"http": settings.http.model_copy(update={"url": url})})
        began = time.monotonic()
        facts = collect(settings, ServiceFacts, seconds=0.05)
        found = findings(settings, facts, "monitoring.")
        assert time.monotonic() - began < LONGEST
    service = facts[ServiceFacts]
    assert isinstance(service, ServiceFacts)
    json.dumps(service.to_json(), allow_nan=False)
    for id, finding in found.items():
        assert "the check itself failed" not in finding.message, (id, finding)
        json.dumps(dict(finding.evidence), allow_nan=False)
    return service, found


OK = (b'{"status": "ok"}', "application/json")
SERIES = b"# HELP hits_total d\n# TYPE hits_total counter\n" + b"".join(
    b'hits_total{path="/%d"} %d\n' % (number, number) for number in range(500_000)
)


@pytest.mark.parametrize("megabytes", [5, 40], ids=["cut by bytes", "cut by series"])
def test_half_a_million_series(megabytes: float) -> None:
    service, found = audited(SERIES, TEXT, *OK, megabytes)
    metrics: MetricsFacts = service.metrics
    assert metrics.truncated
    assert 1000 < metrics.series <= 50_001
    assert metrics.size <= megabytes * 1_000_000 + 100_000
    assert found["monitoring.metrics.exists"].status is Status.PASS
    assert found["monitoring.metrics.cardinality"].status is Status.FAIL
    assert found["monitoring.metrics.http"].status is Status.ERROR


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (buckets("0.1:1", "0.1:1", "1:5", "+Inf:9"), "the same bucket twice"),
        (buckets("0.1:9", "1:5", "+Inf:9"), "counts that fall"),
        (buckets("0.1:NaN", "+Inf:9"), "no whole numbers"),
        (buckets("0.1:1", "+Inf:+Inf", count="+Inf"), "no whole numbers"),
        (buckets("0.1:1", "+Inf:9", total="NaN"), "_sum"),
        (buckets("0.1:1", "+Inf:9", total="-Inf"), "_sum"),
        (buckets("0.1:-1", "+Inf:9"), "no whole numbers"),
        (buckets("NaN:1", "+Inf:9"), "readable le"),
        (buckets("many:1", "+Inf:9"), "readable le"),
        (buckets("0.1:1", "1:9"), "no +Inf bucket"),
        (buckets(count="9"), "no +Inf bucket"),
        (buckets("0.1:1", "+Inf:1e308", count="9"), "differs from _count"),
    ],
)
def test_a_histogram_that_cannot_be_is_a_finding(body: bytes, fault: str) -> None:
    _, found = audited(body, TEXT, *OK)
    finding = found["monitoring.metrics.histogram"]
    assert finding.status is Status.FAIL
    assert fault in str(finding.evidence["faults"])


@pytest.mark.parametrize("kind", [TEXT, OPEN])
def test_unsorted_buckets_are_read_like_sorted_ones(kind: str) -> None:
    body = buckets("+Inf:9", "1:9", "0.1:1") + (b"# EOF\n" if kind == OPEN else b"")
    _, found = audited(body, kind, *OK)
    assert found["monitoring.metrics.histogram"].status is Status.PASS
    # OpenMetrics demands the order, the text format does not.
    assert found["monitoring.metrics.format"].status is (Status.WARN if kind == OPEN else Status.PASS)


@pytest.mark.parametrize(
    ("body", "kind", "exists"),
    [
        (b"up 1\n", "", Status.PASS),
        (b"up 1\n", "application/octet-stream", Status.PASS),
        (b"up 1\n", "image/png", Status.PASS),
        (b"up 1\n", "text/html", Status.FAIL),
        (b'{"up": 1}', TEXT, Status.FAIL),
        (b"up 1\n", OPEN, Status.PASS),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 100, "image/png", Status.FAIL),
        (b"\xff\xfe" + "up 1\n".encode("utf-16-le"), TEXT, Status.FAIL),
        (b"\x1f\x8b\x08" + b"\x00" * 1000, TEXT, Status.FAIL),
        (b"# HELP " * 100_000, TEXT, Status.FAIL),
        (b"up{" + b'a="1",' * 100_000 + b"} 1\n", TEXT, Status.FAIL),
        (b"a" * 3_000_000, TEXT, Status.FAIL),
        (b"# TYPE a histogram\n# TYPE a counter\na 1\na_bucket 2\na{le=} 1\n", TEXT, None),
        (b"up NaN\nup +Inf\nup -Inf\nup 1e400\n", TEXT, Status.PASS),
        (b"up 0x1p-3\n", TEXT, None),
    ],
)  # fmt: skip
def test_metrics_that_are_none_or_declared_as_something_else(body: bytes, kind: str, exists: Status | None) -> None:
    _, found = audited(body, kind, *OK)
    assert exists is None or found["monitoring.metrics.exists"].status is exists, found["monitoring.metrics.exists"]
    if exists is Status.PASS and not kind.startswith((TEXT, OPEN)):
        assert found["monitoring.metrics.format"].status is Status.WARN


def nested(levels: int) -> bytes:
    return b'{"components": {"db": ' * levels + b'{"status": "up"}' + b"}}" * levels


@pytest.mark.parametrize(
    ("body", "kind", "exists"),
    [
        (nested(100), "application/json", None),
        (b"[" * 100 + b"]" * 100, "application/json", None),
        (nested(50_000), "application/json", None),
        (b'{"status": "up", "checks": ' + nested(100) + b"}", "application/health+json", Status.PASS),
        (b'{"status": "up", "a": NaN, "b": Infinity, "c": -Infinity, "d": 1e999}', "application/json", Status.PASS),
        (b'{"status": "up", "status": "down"}', "application/json", Status.PASS),
        (b'{"status": ["up"], "checks": 7, "components": [1, null, {}]}', "application/json", None),
        (b'{"checks": [' + b'{"name": "db", "status": "up"},' * 50_000 + b"{}]}", "application/json", None),
        (b'{"status": "up"}', "image/png", Status.PASS),
        (b'{"status": "up"}', "text/html", Status.PASS),
        (b'{"status": "u', "application/json", None),
        (b"\xff\xfe\x00", "application/json", None),
        (b"", "", Status.PASS),
        (b'{"status": "up\\u0000\\ud800", "checks": {"\\u001b[31mdb": {"status": "up"}}}', "application/json", None),
        (b'{"status": "up", "checks": {"db": {"status": "up", "responseTime": 1e308}}}', "application/json", None),
    ],
    ids=lambda value: None if not isinstance(value, bytes) else value[:24].decode("latin-1"),
)  # fmt: skip
def test_health_of_any_shape(body: bytes, kind: str, exists: Status | None) -> None:
    _, found = audited(b"up 1\n", TEXT, body, kind)
    assert found["monitoring.health.exists"].status in ((exists,) if exists else (Status.PASS, Status.FAIL))
