"""The service probe against real applications: honest ones, lying ones, and ones that have nothing to say."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.platform_collector import PlatformCollector
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route

from readiness import judge, loader
from readiness.demo.processes import Server, accepts, free_ports, running, valkey_binary
from readiness.errors import ProbeError
from readiness.facts.base import Absent
from readiness.facts.collected import Collected, Outcome
from readiness.facts.redis import RedisFacts
from readiness.facts.service import ServiceFacts
from readiness.model import Finding, Status
from readiness.probes.polite import MAX_REQUESTS
from readiness.probes.service import service
from readiness.settings import HttpSettings, Limits, Settings
from readiness.spec import Context
from readiness.window import Window

pytestmark = pytest.mark.real
REGISTRY = loader.load()
CANARY = "rdy0123456789ab"
SECRET = "s3cr3t-t0ken"
NO_STORE = {"Cache-Control": "no-store"}

Handler = Callable[[Request], Awaitable[Response]]


class Asked:
    """A running application, and the requests it got."""

    def __init__(self, url: str, requests: list[tuple[str, str, dict[str, str]]]) -> None:
        self.url, self.requests = url, requests

    def paths(self) -> list[str]:
        return [path for _, path, _ in self.requests]


@contextlib.contextmanager
def serving(app: Any) -> Iterator[Asked]:
    """Runs an ASGI application in a thread and records what it is asked."""
    requests: list[tuple[str, str, dict[str, str]]] = []

    async def recording(scope: Any, receive: Any, send: Any) -> None:
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        requests.append((scope["method"], scope["path"], headers))
        await app(scope, receive, send)

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(recording, log_level="critical", ws="none", lifespan="off", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield Asked(f"http://127.0.0.1:{listener.getsockname()[1]}", requests)
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


def collect(url: str, *, seconds: float = 0.05, **http: Any) -> ServiceFacts:
    limits = Limits(request_seconds=http.pop("request_seconds", 10), response_mb=http.pop("response_mb", 5))
    context = Context(Window(seconds, 1), limits, "readiness/test", CANARY)
    return asyncio.run(service(HttpSettings(url=url, **http), context))


def verdict(facts: ServiceFacts, id: str, **http: Any) -> Finding:
    spec = REGISTRY.checks[f"monitoring.{id}"]
    collection: dict[Any, Collected] = {
        kind: Collected(Outcome.NOT_CONFIGURED, needs=probe.needs) for kind, probe in REGISTRY.probes.items()
    }
    collection[ServiceFacts] = Collected(Outcome.COLLECTED, facts)
    settings = Settings.model_validate({"http": {"url": "http://127.0.0.1", **http}})
    return judge.call(spec, collection, settings, {})


def app(*routes: Any, dispatch: Any = None) -> Starlette:
    return Starlette(
        routes=[route if not isinstance(route, tuple) else Route(*route, methods=["GET", "HEAD"]) for route in routes],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=dispatch)] if dispatch else [],
    )


def answers(data: Any, status: int = 200, **headers: str) -> Handler:
    async def handler(_: Request) -> Response:
        return JSONResponse(data, status, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return handler


def says(text: str, media_type: str = "text/plain; version=0.0.4") -> Handler:
    async def handler(_: Request) -> Response:
        return Response(text, headers={"Content-Type": media_type})

    return handler


def honest(*, raw_paths: bool = False, openmetrics: bool = False) -> Starlette:
    """An application that does everything right: health that is split, metrics, request ids."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    durations = Histogram(
        "http_request_duration_seconds", "Requests", ["method", "route", "status_code"], registry=registry
    )
    queries = Histogram("database_query_duration_seconds", "Queries", ["collection", "operation"], registry=registry)
    hits, misses = (Counter(f"cache_{what}", what, registry=registry) for what in ("hits", "misses"))
    hits.inc(95)
    misses.inc(5)

    async def dispatch(request: Request, call_next: Any) -> Response:
        began = time.perf_counter()
        response: Response = await call_next(request)
        found = request.scope.get("route")
        route = request.url.path if raw_paths else found.path if found else "unmatched"
        durations.labels(request.method, route, str(response.status_code)).observe(time.perf_counter() - began)
        response.headers["X-Request-Id"] = request.headers.get("x-request-id") or uuid.uuid4().hex
        if "traceparent" in request.headers:
            response.headers["traceresponse"] = request.headers["traceparent"]
        return response

    async def home(_: Request) -> Response:
        queries.labels("products", "find").observe(0.002)
        return JSONResponse({"name": "shop"})

    async def metrics(_: Request) -> Response:
        if openmetrics:
            kind = "application/openmetrics-text; version=1.0.0; charset=utf-8"
            return Response(generate_openmetrics(registry), headers={"Content-Type": kind})
        return Response(generate_latest(registry), headers={"Content-Type": "text/plain; version=0.0.4"})

    checks = {
        "database": {"status": "healthy", "responseTime": 0.8},
        "cache": {"status": "healthy", "responseTime": 0.2, "type": "memory", "keys": 7, "maxKeys": 100},
    }
    return app(
        ("/", home),
        ("/metrics", metrics),
        ("/health/live", answers({"status": "alive"}, **NO_STORE)),
        ("/health/ready", answers({"status": "healthy", "checks": checks}, **NO_STORE)),
        dispatch=dispatch,
    )


def test_an_honest_service_passes_everything_within_the_budget() -> None:
    with serving(honest()) as asked:
        began = time.monotonic()
        facts = collect(asked.url)
        assert time.monotonic() - began < 5
    assert len(asked.requests) == facts.requests <= MAX_REQUESTS
    assert {method for method, _, _ in asked.requests} <= {"GET", "HEAD"}
    for id in (
        "health.exists", "health.split", "health.status", "health.deps", "health.resptime", "health.time",
        "health.cache", "health.leak", "health.methods", "metrics.exists", "metrics.format", "metrics.http",
        "metrics.database", "metrics.cache", "metrics.errors", "metrics.histogram", "metrics.cardinality",
        "metrics.runtime", "metrics.lint", "trace.request_id", "trace.context", "apm",
    ):  # fmt: skip
        finding = verdict(facts, id)
        assert finding.status is Status.PASS, (id, finding)
    assert [health.path for health in facts.health] == ["/health/ready", "/health/live"]
    assert all(health.exchange.body == "" for health in facts.health)
    cache = facts.cache
    assert (cache.store, cache.hits, cache.misses, cache.entries, cache.max_entries) == ("memory", 95, 5, 7, 100)
    assert cache.hit_rate == pytest.approx(0.95)
    assert ServiceFacts.from_json(facts.to_json()) == facts


def test_openmetrics_is_negotiated_and_read() -> None:
    with serving(honest(openmetrics=True)) as asked:
        facts = collect(asked.url)
    assert facts.metrics.openmetrics
    assert facts.metrics.violation == ""
    assert verdict(facts, "metrics.http").status is Status.PASS
    assert verdict(facts, "metrics.lint").status is Status.PASS


def test_labels_of_raw_paths_are_found_out() -> None:
    with serving(honest(raw_paths=True)) as asked:
        finding = verdict(collect(asked.url), "metrics.cardinality")
    assert finding.status is Status.FAIL
    assert "paths that nobody defined" in finding.message


def test_figures_are_derived_from_requests_between_the_scrapes() -> None:
    with serving(honest()) as asked:
        ask = threading.Thread(target=_ask_often, args=(asked,))
        ask.start()
        facts = collect(asked.url, seconds=1.5)
        ask.join()
    derived = facts.metrics.derived
    assert derived.requests >= 20
    assert 0 < derived.mean_ms < 1000
    assert derived.p95_low_ms <= derived.p95_ms <= derived.p95_high_ms
    assert derived.error_ratio == 0


def _ask_often(asked: Asked) -> None:
    import httpx

    # Only once health is being timed has the first scrape surely been taken.
    while asked.paths().count("/health/ready") < 2:
        time.sleep(0.01)
    with httpx.Client(base_url=asked.url) as client:
        for _ in range(40):
            client.get("/")


def test_the_configured_credentials_are_sent_and_never_kept() -> None:
    async def dispatch(request: Request, call_next: Any) -> Response:
        if request.headers.get("authorization") != f"Bearer {SECRET}":
            return PlainTextResponse("no", 401)
        response: Response = await call_next(request)
        response.headers["X-Echo"] = request.headers["authorization"]
        return response

    service_app = app(("/health", answers({"status": "ok"})), ("/metrics", says("a 1\n")), dispatch=dispatch)
    with serving(service_app) as asked:
        walled = collect(asked.url)
        known = collect(asked.url, headers={"Authorization": f"Bearer {SECRET}"})
    for id in ("health.exists", "metrics.exists"):
        finding = verdict(walled, id)
        assert finding.status is Status.ERROR, "an authentication wall is not a missing endpoint"
        assert "http.headers" in str(finding.evidence)
        assert verdict(known, id).status is Status.PASS
    assert SECRET not in str(known.to_json())


def test_a_single_page_application_has_no_health_and_no_metrics() -> None:
    numbers = itertools.count()

    async def page(_: Request) -> Response:
        return HTMLResponse(f"<!doctype html><title>shop</title><script nonce='{next(numbers)}'>status: ok</script>")

    with serving(app(("/{path:path}", page))) as asked:
        facts = collect(asked.url)
    assert facts.health == ()
    assert verdict(facts, "health.exists").status is Status.FAIL
    assert verdict(facts, "metrics.exists").status is Status.FAIL


def test_a_json_catch_all_is_no_health_either() -> None:
    async def echo(request: Request) -> Response:
        return JSONResponse({"path": request.url.path, "at": time.time(), "id": uuid.uuid4().hex})

    with serving(app(("/{path:path}", echo))) as asked:
        assert collect(asked.url).health == ()


def test_redirects_to_one_place_are_no_health_and_those_to_health_are() -> None:
    async def away(_: Request) -> Response:
        return RedirectResponse("/login", 303)

    async def versioned(request: Request) -> Response:
        return RedirectResponse(f"/v1{request.url.path}", 307)

    with serving(app(("/login", answers({"status": "ok"})), ("/{path:path}", away))) as asked:
        facts = collect(asked.url)
        assert facts.health == ()
        assert facts.requests <= MAX_REQUESTS
    health = answers({"status": "ok", "checks": {"db": {"status": "up"}}})
    with serving(app(("/v1/health", health), Mount("/v1", app()), ("/{path:path}", versioned))) as asked:
        facts = collect(asked.url)
        assert [each.path for each in facts.health] == ["/health"]
        assert facts.requests <= MAX_REQUESTS


def test_no_redirect_leads_to_another_origin() -> None:
    with serving(app(("/health", answers({"status": "ok"})))) as other:

        async def elsewhere(_: Request) -> Response:
            return RedirectResponse(f"{other.url}/health", 302)

        with serving(app(("/health", elsewhere), ("/metrics", elsewhere))) as asked:
            facts = collect(asked.url, headers={"X-Api-Key": SECRET})
        assert other.requests == []
    assert facts.health == ()


def test_a_handler_mounted_on_a_prefix_is_one_endpoint() -> None:
    everything = Mount("/health", app(("/{path:path}", answers({"status": "ok"}))))
    with serving(app(("/health", answers({"status": "ok"})), everything)) as asked:
        facts = collect(asked.url)
    assert [health.kind for health in facts.health] == ["general"]
    assert verdict(facts, "health.split").status is Status.WARN


def test_health_that_says_down_under_200_fails() -> None:
    body = {
        "status": "DOWN",
        "components": {"mongo": {"status": "DOWN", "details": {"uri": f"mongodb://a:{SECRET}@db/x"}}},
    }
    with serving(app(("/health", answers(body)))) as asked:
        facts = collect(asked.url)
    assert verdict(facts, "health.status").status is Status.FAIL
    assert verdict(facts, "health.leak").status is Status.FAIL
    assert SECRET not in str(facts.to_json())


def test_a_configured_path_that_is_wrong_is_said_so() -> None:
    with serving(app(("/health", answers({"status": "ok"})))) as asked:
        facts = collect(asked.url, health="/wrong")
    finding = verdict(facts, "health.exists", health="/wrong")
    assert finding.status is Status.FAIL
    assert finding.observed == "404"


def test_health_and_metrics_on_an_internal_port() -> None:
    internal = app(("/status", answers({"status": "up"})), ("/m", says("# TYPE a gauge\na 1\n")))
    with serving(app(("/", answers({})))) as asked, serving(internal) as inside:
        facts = collect(
            asked.url, health=f"{inside.url}/status", metrics=f"{inside.url}/m", headers={"X-Api-Key": SECRET}
        )
        assert all("x-api-key" not in headers for _, _, headers in inside.requests)
        assert any("x-api-key" in headers for _, _, headers in asked.requests)
    assert [health.path for health in facts.health] == [f"{inside.url}/status"]
    assert facts.metrics.state == "parsed"


@pytest.mark.parametrize(
    ("handler", "state", "problem"),
    [
        (answers({"heapUsed": 1}), "unparsable", "JSON"),
        (says("<html>", "text/html"), "unparsable", "HTML"),
        (says("Active connections: 1\nserver accepts handled requests\n"), "unparsable", "could not convert"),
        (says(""), "empty", "no sample"),
        (says('a{x="1"} NaN\nb +Inf\n'), "parsed", ""),
    ],
)
def test_what_is_not_metrics_is_named(handler: Handler, state: str, problem: str) -> None:
    with serving(app(("/metrics", handler))) as asked:
        facts = collect(asked.url)
    assert (facts.metrics.state, problem in facts.metrics.problem) == (state, True)
    assert verdict(facts, "metrics.exists").status is (Status.PASS if state == "parsed" else Status.FAIL)


def test_endless_metrics_are_cut_and_fail() -> None:
    async def endless(_: Request) -> Response:
        async def lines() -> Any:
            for number in range(5000):  # far beyond the limit; nobody stops it when the reader has gone
                yield f'a_total{{x="{number}"}} 1\n' * 100

        return StreamingResponse(lines(), headers={"Content-Type": "text/plain; version=0.0.4"})

    with serving(app(("/metrics", endless))) as asked:
        facts = collect(asked.url, response_mb=0.5)
    assert facts.metrics.truncated
    assert verdict(facts, "metrics.cardinality").status is Status.FAIL
    assert verdict(facts, "metrics.http").status is Status.ERROR, "what was not read may still be there"


def test_hidden_faults_of_a_histogram_are_found() -> None:
    text = """# HELP http_request_duration_seconds d
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{method="GET",route="/",status_code="200",le="0.1"} 9
http_request_duration_seconds_bucket{method="GET",route="/",status_code="200",le="1"} 4
http_request_duration_seconds_sum{method="GET",route="/",status_code="200"} 1
http_request_duration_seconds_count{method="GET",route="/",status_code="200"} 9
"""
    with serving(app(("/metrics", says(text)))) as asked:
        facts = collect(asked.url)
    assert verdict(facts, "metrics.http").status is Status.PASS
    finding = verdict(facts, "metrics.histogram")
    assert finding.status is Status.FAIL
    for fault in ("no +Inf bucket", "counts that fall from one bucket to the next"):
        assert fault in str(finding.evidence["faults"])


def test_a_health_endpoint_that_hangs_is_a_finding_not_a_hang() -> None:
    async def hang(_: Request) -> Response:
        await asyncio.sleep(30)
        return JSONResponse({})

    with serving(app(("/health", hang), ("/", answers({})))) as asked:
        began = time.monotonic()
        facts = collect(asked.url, health="/health", request_seconds=0.5)
        assert time.monotonic() - began < 20
    finding = verdict(facts, "health.exists", health="/health")
    assert finding.status is Status.FAIL
    assert "no answer" in finding.observed


def test_a_service_that_is_not_there_is_a_probe_error() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(ProbeError, match="could not connect"):
            collect(f"http://127.0.0.1:{closed.getsockname()[1]}")


def test_a_constant_request_id_fails_and_one_on_successes_only_warns() -> None:
    async def constant(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers["X-Request-Id"] = "42"
        return response

    with serving(app(("/", answers({})), dispatch=constant)) as asked:
        assert verdict(collect(asked.url), "trace.request_id").status is Status.FAIL

    async def partial(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        if response.status_code < 400:
            response.headers["X-Correlation-Id"] = uuid.uuid4().hex
        return response

    with serving(app(("/", answers({})), dispatch=partial)) as asked:
        facts = collect(asked.url)
        assert verdict(facts, "trace.request_id").status is Status.WARN
        assert not isinstance(facts.__dict__["tracking"], Absent)


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[int]:
    binary = valkey_binary()
    if binary is None:
        pytest.skip("no valkey-server and no redis-server")
    (port,) = free_ports(1)
    argv = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", tmp_path]
    with running(Server("valkey", argv, log=tmp_path / "valkey.log"), lambda: accepts(port)):
        yield port


@pytest.mark.parametrize(
    ("asks", "lists", "short", "long"),
    [
        (True, True, Status.PASS, Status.PASS),
        (True, False, Status.PASS, Status.PASS),
        (False, True, Status.WARN, Status.FAIL),
        (False, False, Status.WARN, Status.FAIL),
    ],
)
def test_health_that_asks_is_told_from_health_that_only_says_so(
    valkey: int, asks: bool, lists: bool, short: Status, long: Status
) -> None:
    async def health(_: Request) -> Response:
        if asks:
            reader, writer = await asyncio.open_connection("127.0.0.1", valkey)
            writer.write(b"PING\r\n")
            await reader.readline()
            writer.close()
        return JSONResponse({"status": "ok"} | ({"checks": {"redis": {"status": "up"}}} if lists else {}))

    async def both(url: str) -> tuple[ServiceFacts, RedisFacts]:
        limits = Limits()
        context = Context(Window(0.3, 2), limits, "readiness/test", CANARY)
        settings = Settings.model_validate({"http": {"url": url}, "redis": {"url": f"redis://127.0.0.1:{valkey}"}})
        probe = REGISTRY.probes[RedisFacts]
        wanted = {name: context if kind is Context else settings.section(kind) for name, kind in probe.inputs.items()}
        found = await asyncio.gather(service(settings.http, context), probe.function(**wanted))
        return found[0], found[1]  # type: ignore[return-value]

    with serving(app(("/health", health))) as asked:
        facts, redis = asyncio.run(both(asked.url))
    collection: dict[Any, Collected] = {
        kind: Collected(Outcome.NOT_CONFIGURED, needs=probe.needs) for kind, probe in REGISTRY.probes.items()
    }
    collection |= {type(each): Collected(Outcome.COLLECTED, each) for each in (facts, redis)}
    spec = REGISTRY.checks["monitoring.health.truth"]
    for seconds, status in ((5.0, short), (0.1, long)):
        finding = judge.call(spec, collection, Settings(), {"sure_after_seconds": seconds})
        assert finding.status is status, finding
