"""The hardening probe against an application that has each flaw, one that has none, and everything that looks alike."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from readiness import judge, loader
from readiness.demo.processes import accepts, free_ports
from readiness.facts.collected import Collected, Outcome
from readiness.facts.hardening import HardeningFacts
from readiness.facts.http import HttpFacts
from readiness.model import Finding, Status
from readiness.probes.hardening import MOST_REQUESTS, probe_hardening
from readiness.probes.http import probe_http
from readiness.settings import HttpSettings, Limits, LoadSettings, Settings
from readiness.spec import Context
from readiness.window import Window

from .nginx import PROGRAM, nginx

pytestmark = pytest.mark.real
REGISTRY = loader.load()
CANARY = "rdy-0123456789ab"
METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PATCH", "TRACE"]
ROWS = [{"name": name} for name in ("bowl", "cup", "jug")]
SIGNED = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"
NAMED: dict[str, Any] = {
    "endpoints": ["/api/search?q=bowl", "/api/plain"],
    "protected": ["/api/orders"],
    "writable": ["/api/search"],
    "headers": {"Authorization": f"Bearer {SIGNED}"},
}


@contextlib.contextmanager
def serving(app: Any) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Runs an ASGI application in a thread; yields its URL, and what it was asked."""
    (port,) = free_ports(1)
    asked: list[dict[str, Any]] = []

    async def recording(scope: Any, receive: Any, send: Any) -> None:
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        asked.append({"method": scope["method"], "path": scope["path"], "headers": headers})
        await app(scope, receive, send)

    config = uvicorn.Config(recording, port=port, log_level="critical", lifespan="off", server_header=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not accepts(port) and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}", asked
    finally:
        server.should_exit = True
        thread.join(10)


def collect(url: str, *, load: bool = False, **settings: Any) -> tuple[HttpFacts, HardeningFacts]:
    context = Context(Window(0, 1), Limits(request_seconds=5), "readiness/test", CANARY)
    http_settings = HttpSettings(url=url, **settings)

    async def both() -> tuple[HttpFacts, HardeningFacts]:
        http = await probe_http(http_settings, context)
        return http, await probe_hardening(http_settings, LoadSettings(allow=load), http, context)

    http, hardening = asyncio.run(both())
    assert HardeningFacts.from_json(hardening.to_json()) == hardening
    return http, hardening


def judged(http: HttpFacts, hardening: HardeningFacts) -> dict[str, Finding]:
    checks = {id: s for id, s in REGISTRY.checks.items() if id.startswith("security.") or id.endswith("reach.http")}
    collection = {kind: Collected(Outcome.NOT_CONFIGURED, needs=spec.needs) for kind, spec in REGISTRY.probes.items()}
    collection[HttpFacts] = Collected(Outcome.COLLECTED, http)
    collection[HardeningFacts] = Collected(Outcome.COLLECTED, hardening)
    return {result.spec.id: result.finding for result in judge.judge(checks, collection, Settings(), {})}


def audit(app: Any, *, load: bool = False, **settings: Any) -> dict[str, Finding]:
    with serving(app) as (url, _):
        return judged(*collect(url, load=load, **settings))


def nested(request: Request) -> dict[str, Any]:
    """Query parameters as some frameworks read them: q[$ne]=x is {"q": {"$ne": "x"}}."""
    read: dict[str, Any] = {}
    for name, value in parse_qsl(request.url.query, keep_blank_values=True):
        found = re.fullmatch(r"(\w+)\[(.+)\]", name)
        if found:
            read[found[1]] = {found[2]: value}
        else:
            read[name] = value
    return read


def find(condition: Any) -> list[dict[str, str]]:
    """What a document store finds for {"name": condition}."""
    if isinstance(condition, dict):
        if "$ne" in condition:
            return [row for row in ROWS if row["name"] != condition["$ne"]]
        return [row for row in ROWS if row["name"] == condition.get("$eq")]
    return [row for row in ROWS if condition is None or row["name"] == condition]


def vulnerable() -> Starlette:
    async def search(request: Request) -> Response:
        if request.method == "TRACE":
            lines = "".join(f"{name}: {value}\n" for name, value in request.headers.items())
            return Response(f"TRACE / HTTP/1.1\n{lines}", media_type="message/http")
        value = nested(request).get("q")
        if isinstance(value, str) and value.count("'") % 2:
            return PlainTextResponse('unterminated quoted string at or near "\'"', 500)
        return JSONResponse({"data": {"items": find(value)}})

    async def orders(request: Request) -> Response:
        if request.url.path.endswith("/"):  # the filter in front knows one spelling only
            return JSONResponse([{"owner": "ada"}])
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        claims = token.split(".")[1] if token.count(".") == 2 else ""
        if scheme == "Bearer" and claims and "sub" in json.loads(base64.urlsafe_b64decode(claims + "==")):
            return JSONResponse([{"owner": "ada"}])  # whoever signed it, and whenever it ended
        return PlainTextResponse("", 401)

    async def env(request: Request) -> Response:
        return PlainTextResponse("DATABASE_URL=mongodb://db\nSECRET=hunter2\n")

    async def pprof(request: Request) -> Response:
        return HTMLResponse("<title>/debug/pprof/</title>")

    async def openapi(request: Request) -> Response:
        return JSONResponse({"openapi": "3.1.0", "paths": {}})

    return Starlette(
        routes=[
            Route("/", lambda request: HTMLResponse("<h1>Shop</h1>")),
            Route("/api/search", search, methods=METHODS),
            Route("/api/plain", lambda request: JSONResponse(ROWS)),
            Route("/api/orders", orders),
            Route("/api/orders/", orders),
            Route("/.env", env),
            Route("/debug/pprof/", pprof),
            Route("/openapi.json", openapi),
        ]
    )


def fixed() -> Starlette:
    count = 0

    async def search(request: Request) -> Response:
        if request.method != "GET":
            return PlainTextResponse("", 405)
        if any("[" in name for name, _ in parse_qsl(request.url.query)):
            return JSONResponse({"message": "unknown parameter"}, 400)
        return JSONResponse({"data": {"items": find(request.query_params.get("q"))}})

    async def limited(request: Request) -> Response:
        nonlocal count
        count += 1
        return JSONResponse(ROWS)

    async def orders(request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {SIGNED}":
            return PlainTextResponse("", 401)
        return JSONResponse([{"owner": "ada"}])

    async def contact(request: Request) -> Response:
        return PlainTextResponse("Contact: mailto:security@example.com\nExpires: 2999-01-01T00:00:00Z\n")

    return Starlette(
        routes=[
            Route("/", lambda request: HTMLResponse("<h1>Shop</h1>")),
            Route("/api/search", search, methods=METHODS),
            Route("/api/plain", limited),
            Route("/api/orders", orders),
            Route("/.well-known/security.txt", contact),
        ]
    )


ACTIVE = (
    "security.exposed_files", "security.debug_consoles", "security.public_interfaces", "security.trace_method",
    "security.input.nosql_operators", "security.input.sql_quotes", "security.auth.enforced", "security.security_txt",
)  # fmt: skip


def test_each_flaw_is_found() -> None:
    with serving(vulnerable()) as (url, asked):
        http, hardening = collect(url, **NAMED)
    findings = judged(http, hardening)
    wrong = {id: findings[id].status for id in ACTIVE}
    assert wrong == dict.fromkeys(ACTIVE, Status.FAIL) | {
        "security.public_interfaces": Status.WARN,
        "security.security_txt": Status.WARN,
    }
    assert http.requests + hardening.requests == len(asked) <= MOST_REQUESTS
    saved = json.dumps([http.to_json(), hardening.to_json()])
    for secret in ("hunter2", SIGNED, SIGNED.rpartition(".")[0], "ada"):
        assert secret not in saved
    path = http.protected[0]
    assert {name for name, attempt in path.attempts() if attempt.answer.ok} >= {"unsigned", "expired", "tampered"}
    assert {name for name, attempt in path.spellings() if attempt.answer.ok} == {"slash"}


def test_the_fixed_one_has_no_finding() -> None:
    findings = audit(fixed(), **NAMED)
    assert {id: findings[id].message for id in ACTIVE if findings[id].status is not Status.PASS} == {}


def test_without_named_paths_only_harmless_methods_are_used() -> None:
    with serving(vulnerable()) as (url, asked):
        findings = judged(*collect(url, endpoints=NAMED["endpoints"]))
    for request in asked:
        assert request["method"] in ("GET", "HEAD", "OPTIONS") or request["path"].startswith(f"/{CANARY}-")
        assert "content-length" not in request["headers"] or request["path"].startswith(f"/{CANARY}-")
    assert findings["security.trace_method"].status is Status.UNTESTED


def test_the_whole_budget() -> None:
    many = [f"/api/p{number}" for number in range(20)]
    with serving(fixed()) as (url, asked):
        settings = {**NAMED, "endpoints": many, "protected": many, "writable": many}
        http, hardening = collect(url, load=True, **settings)
    assert http.requests + hardening.requests == len(asked) <= MOST_REQUESTS == 120


def everywhere(answer: Callable[[Request], Response]) -> Starlette:
    async def handler(request: Request) -> Response:
        return answer(request)

    return Starlette(routes=[Route("/{path:path}", handler, methods=METHODS)])


ENV = "A=1\nB=2\n"
TRAPS: dict[str, Callable[[Request], Response]] = {
    "single-page application": lambda r: HTMLResponse("<!doctype html><div id=app></div><script src=/a.js></script>"),
    "soft 404": lambda r: HTMLResponse(f"<h1>Sorry</h1><p>{hash(r.url.path)} is not here", 200),
    "a text for everything": lambda r: PlainTextResponse(ENV),
    "a dump for everything": lambda r: Response(b"REDIS0011", media_type="application/octet-stream"),
    "login page with 200": lambda r: HTMLResponse("<form><input type=password name=p></form>"),
    "the page for every method": lambda r: HTMLResponse("<h1>Shop</h1>"),
    "echo in a 404 page": lambda r: HTMLResponse("<p>No page " + r.url.path.replace("<", "&lt;"), 404),
    "a wall": lambda r: PlainTextResponse("", 403),
    "400 for everything": lambda r: JSONResponse({"message": "no"}, 400),
    "422 for everything": lambda r: JSONResponse({"detail": []}, 422),
    "405 for everything": lambda r: JSONResponse({}, 405, {"allow": "GET"}),
    "the same list always": lambda r: JSONResponse(ROWS),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_what_looks_like_a_flaw_is_none(trap: str) -> None:
    findings = audit(everywhere(TRAPS[trap]), endpoints=["/api/search"], writable=["/api/search"])
    wrong = {Status.FAIL, Status.WARN}
    named = {id: f.message for id, f in findings.items() if id in ACTIVE and f.status in wrong}
    named.pop("security.security_txt", None)
    assert named == {}
    assert findings["security.input.reflection"].status in (Status.PASS, Status.BLOCKED)


def test_growing_data_are_no_operator() -> None:
    rows = 0

    def growing(request: Request) -> Response:
        nonlocal rows
        rows += request.url.path == "/api/search" and rows < 3
        return JSONResponse([{}] * rows)

    findings = audit(everywhere(growing), endpoints=["/api/search?q=x"])
    assert findings["security.input.nosql_operators"].status is Status.PASS


def limiting(status: int, headers: dict[str, str], after: int = 150) -> Starlette:
    count = 0

    def answer(request: Request) -> Response:
        nonlocal count
        count += request.url.path == "/api/hot" and not request.url.query
        return JSONResponse({}, status, headers) if count > after else JSONResponse({})

    return everywhere(answer)


@pytest.mark.parametrize(
    ("status", "headers", "verdict", "words"),
    [
        (429, {"retry-after": "7"}, Status.PASS, "refuses with 429"),
        (429, {}, Status.WARN, "without Retry-After"),
        (503, {}, Status.WARN, "503 instead of 429"),
    ],
)
def test_a_burst_finds_the_limit_where_load_is_allowed(
    status: int, headers: dict[str, str], verdict: Status, words: str
) -> None:
    finding = audit(limiting(status, headers, after=15), load=True, endpoints=["/api/hot"])["security.rate_limit"]
    assert finding.status is verdict
    assert words in finding.message


def test_without_load_there_is_no_burst_and_without_limit_no_failure() -> None:
    with serving(limiting(429, {}, after=10_000)) as (url, _):
        _, hardening = collect(url, endpoints=["/api/hot"])
        assert hardening.burst is None
        http, hardening = collect(url, load=True, endpoints=["/api/hot"])
    assert hardening.burst is not None
    assert len(hardening.burst.statuses) == 30
    finding = judged(http, hardening)["security.rate_limit"]
    assert finding.status is Status.WARN
    assert "30 requests" in finding.message


def test_a_limit_that_is_told_and_high_is_not_tried() -> None:
    fields = {"ratelimit-policy": '"a";q=600;w=60', "ratelimit": '"a";r=599;t=60'}
    with serving(everywhere(lambda r: JSONResponse({}, 200, fields))) as (url, _):
        _, hardening = collect(url, load=True, endpoints=["/api/hot"])
    assert hardening.burst is None


def test_six_origins_are_tried() -> None:
    def echo(request: Request) -> Response:
        origin = request.headers.get("origin", "")
        trusting = "rdy" in origin and origin.endswith(("127.0.0.1", ".invalid"))
        granted = {"access-control-allow-origin": origin, "access-control-allow-credentials": "true"}
        return JSONResponse({}, headers=granted if trusting else {})

    with serving(everywhere(echo)) as (url, _):
        http, hardening = collect(url)
    assert {asked.origin for asked in http.cors} == {
        "https://rdy.invalid", "null", "https://127.0.0.1.rdy.invalid", "https://rdy127.0.0.1", url,
    }  # fmt: skip
    assert judged(http, hardening)["security.cors"].status is Status.FAIL


def test_a_service_that_refuses_by_429_is_not_asked_again() -> None:
    with serving(everywhere(lambda r: JSONResponse({}, 429))) as (url, asked):
        context = Context(Window(0, 1), Limits(request_seconds=5), "readiness/test", CANARY)
        context.pace.given_up = True
        answer = {"method": "GET", "url": url, "status": 429}
        http = HttpFacts.from_json({"base": url, "limited": answer})
        facts = asyncio.run(probe_hardening(HttpSettings(url=url), LoadSettings(), http, context))
    assert asked == []
    assert facts.requests == 0


REPOSITORY = {".git/HEAD": "ref: refs/heads/main\n"}


@pytest.mark.skipif(PROGRAM is None, reason="nginx is not installed")
def test_a_sane_limit_of_nginx_costs_time_and_no_check() -> None:
    """Ten requests a second and five at once; how many it takes to meet it depends on this machine."""
    zone = "limit_req_zone $binary_remote_addr zone=z:1m rate=10r/s; limit_req_status 429;"
    with nginx(http=zone, server="limit_req zone=z burst=5 nodelay;", site=REPOSITORY) as url:
        http, hardening = collect(url)
    assert http.limited.status == 429
    findings = judged(http, hardening)
    assert findings["security.exposed_files"].status is Status.FAIL
    assert "/.git/HEAD" in findings["security.exposed_files"].message
    assert [id for id, finding in findings.items() if finding.status is Status.ERROR] == []
    assert findings["security.rate_limit"].status is Status.PASS


@pytest.mark.skipif(PROGRAM is None, reason="nginx is not installed")
def test_what_lies_at_the_origin_is_found_although_the_base_url_has_a_path() -> None:
    site = {
        **REPOSITORY,
        "api/.env": "DATABASE=shop\nPASSWORD=secret\n",
        ".well-known/security.txt": "Contact: mailto:a@b.example\nExpires: 2099-01-01T00:00:00Z\n",
        "api/index.html": "{}",
    }
    with nginx(server="location ~ txt$ { default_type text/plain; types {} }", site=site) as url:
        http, hardening = collect(f"{url}/api/")
    served = {entry.path for entry in hardening.exposed if entry.status in (200, 206)}
    assert served == {"/.git/HEAD", "/api/.env"}
    findings = judged(http, hardening)
    assert findings["security.exposed_files"].status is Status.FAIL
    assert set(findings["security.exposed_files"].evidence) == {"/.git/HEAD", "/api/.env"}
    assert findings["security.security_txt"].status is Status.PASS
    assert hardening.requests <= len(hardening.exposed) + 2


@pytest.mark.skipif(PROGRAM is None, reason="nginx is not installed")
def test_an_application_that_answers_everything_at_the_origin_is_not_accused() -> None:
    everything = "try_files $uri /index.html; types {} default_type text/plain;"
    everything = f"location / {{ {everything} }} location /api/ {{ return 404; }}"
    with nginx(server=everything, site={"index.html": "ref: refs/heads/main"}) as url:
        http, hardening = collect(f"{url}/api")
    assert judged(http, hardening)["security.exposed_files"].status is Status.PASS
