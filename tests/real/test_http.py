"""The HTTP probe against real servers: Starlette under uvicorn, Debian's nginx, and sockets that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from readiness import judge, loader
from readiness.demo.processes import Server, accepts, free_ports, running
from readiness.errors import ProbeError
from readiness.facts.collected import Collected, Outcome
from readiness.facts.http import HttpFacts
from readiness.model import Finding, Status
from readiness.pace import LONGEST_PAUSE_SECONDS
from readiness.probes.fetch import fetcher
from readiness.probes.http import MOST_REQUESTS, probe_http
from readiness.settings import HttpSettings, Limits, Settings
from readiness.spec import Context
from readiness.window import Window

pytestmark = pytest.mark.real
REGISTRY = loader.load()
CANARY = "rdy-0123456789ab"
TOKEN = "s3cr3t-t0ken"
LIMIT = 256 * 1024
HEADERS = {
    "content-security-policy": "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), microphone=()",
    "ratelimit-policy": '"default";q=100;w=60',
    "ratelimit": '"default";r=99;t=60',
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
EVERYTHING = {
    "endpoints": ["/api/products", "/api/artisans"],
    "protected": ["/api/orders", "/api/users"],
    "writable": ["/api/products"],
    "headers": {"Authorization": f"Bearer {TOKEN}", "X-Api-Key": TOKEN},
}


class Seen:
    """A request as an application got it."""

    def __init__(self, method: str, path: str, headers: Mapping[str, str], size: int) -> None:
        self.method, self.path, self.headers, self.size = method, path, headers, size


class App:
    """A running application and what it was asked."""

    def __init__(self, url: str, requests: list[Seen]) -> None:
        self.url, self.requests = url, requests


@contextlib.contextmanager
def serving(app: Any) -> Iterator[App]:
    """Runs an ASGI application in a thread, and records every request with the size of its body."""
    (port,) = free_ports(1)
    requests: list[Seen] = []

    async def recording(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        seen = Seen(scope["method"], scope["path"], headers, int(headers.get("content-length", 0)))
        requests.append(seen)
        await app(scope, receive, send)

    config = uvicorn.Config(recording, port=port, log_level="critical", lifespan="off", server_header=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not accepts(port) and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        yield App(f"http://127.0.0.1:{port}", requests)
    finally:
        server.should_exit = True
        thread.join(10)


def collect(url: str, seconds: float = 5, **settings: Any) -> HttpFacts:
    context = Context(Window(0, 1), Limits(request_seconds=seconds), "readiness/test", CANARY)
    facts = asyncio.run(probe_http(HttpSettings(url=url, **settings), context))
    assert HttpFacts.from_json(facts.to_json()) == facts
    return facts


def judged(facts: HttpFacts) -> dict[str, Finding]:
    checks = {id: spec for id, spec in REGISTRY.checks.items() if id.startswith(("security.", "error_handling."))}
    collection = {kind: Collected(Outcome.NOT_CONFIGURED, needs=spec.needs) for kind, spec in REGISTRY.probes.items()}
    collection[HttpFacts] = Collected(Outcome.COLLECTED, facts)
    results = judge.judge(checks, collection, Settings(), {})
    return {result.spec.id: result.finding for result in results}


def with_status(findings: Mapping[str, Finding], *statuses: Status) -> set[str]:
    return {id for id, finding in findings.items() if finding.status in statuses}


# --- applications

Handler = Callable[[Request], Awaitable[Response]]
_ids = iter(range(10_000_000))


def _problem(status: int, request_id: str, **headers: str) -> JSONResponse:
    body = {"code": f"e{status}", "message": "refused", "requestId": request_id}
    return JSONResponse(body, status, {"x-request-id": request_id, **HEADERS, **headers})


def good_app() -> Starlette:
    """What the checks ask for, behind a middleware that knows every error."""

    async def root(request: Request) -> Response:
        page = "<!doctype html><title>Shop</title><script src=/app.js></script>"
        cookie = "__Host-session=abcdefgh0123; Path=/; Secure; HttpOnly; SameSite=Lax"
        return HTMLResponse(page, headers={**HEADERS, "set-cookie": cookie, "cache-control": "no-store"})

    async def script(request: Request) -> Response:
        return Response("1", media_type="text/javascript", headers=HEADERS)

    async def products(request: Request) -> Response:
        if request.method == "POST":
            await accept_json(request)
        return JSONResponse([{"name": "bowl"}], headers=HEADERS)

    async def orders(request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            raise HTTPException(401, headers={"www-authenticate": "Bearer"})
        return JSONResponse([], headers={**HEADERS, "cache-control": "no-store"})

    async def refuse(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _problem(error.status_code, f"r{next(_ids)}", **(error.headers or {}))

    async def accept_json(request: Request) -> None:
        if int(request.headers.get("content-length", 0)) > LIMIT:
            raise HTTPException(413)
        if request.headers.get("content-type") != "application/json":
            raise HTTPException(415)
        raise HTTPException(400)

    routes = [
        Route("/", root),
        Route("/app.js", script),
        Route("/api/products", products, methods=["GET", "POST"]),
        Route("/api/artisans", products, methods=["GET"]),
        Route("/api/orders", orders),
        Route("/api/users", orders),
    ]
    inner = Starlette(routes=routes, exception_handlers={HTTPException: refuse})
    return _strict(inner)


def _strict(inner: Any) -> Any:
    """Refuses what a server in front usually refuses: a large header, a broken target."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            if sum(len(value) for _, value in scope["headers"]) > 16_384:
                await _problem(431, f"r{next(_ids)}")(scope, receive, send)
                return
            if b"%A" in scope["raw_path"] and not scope["raw_path"].endswith(b"%A0"):
                await _problem(400, f"r{next(_ids)}")(scope, receive, send)
                return
        await inner(scope, receive, send)

    return app


def bad_app() -> Starlette:
    """Each fault that the checks know, one handler for all paths of the API."""

    async def root(request: Request) -> Response:
        page = f"<h1>Shop</h1><script src=app.js></script><p>{request.query_params.get('rdy', '')}</p>"
        return HTMLResponse(page, headers={"server": "Apache/2.4.1", "set-cookie": "session=abcdefgh; Path=/"})

    async def script(request: Request) -> Response:
        return Response("1", media_type="text/javascript")

    async def products(request: Request) -> Response:
        headers = {}
        if origin := request.headers.get("origin"):
            headers = {"access-control-allow-origin": origin, "access-control-allow-credentials": "true"}
        if request.method in ("POST", "PATCH"):
            await request.body()
            return JSONResponse({"id": 1}, 201, headers=headers)
        return JSONResponse({"success": False, "error": "no database"}, headers=headers)

    async def orders(request: Request) -> Response:
        return JSONResponse([{"owner": "ada"}], headers={"cache-control": "public, max-age=600"})

    async def crash(request: Request, error: Exception) -> Response:
        trace = 'Traceback (most recent call last):\n  File "/srv/shop/main.py", line 3, in handler\nKeyError: 1'
        return PlainTextResponse(trace, 500)

    routes = [
        Route("/", root),
        Route("/app.js", script),
        Route("/api/products", products, methods=["GET", "POST", "PATCH", "OPTIONS"]),
        Route("/api/artisans", products),
        Route("/api/orders", orders),
        Route("/api/users", orders),
    ]
    return Starlette(routes=routes, exception_handlers={404: crash})


def spa_app(body: str = "<!doctype html><div id=app></div>", kind: str = "text/html") -> Starlette:
    """One answer for every path and method, as the fallback of a single-page application gives it."""

    async def shell(request: Request) -> Response:
        return Response(body, media_type=kind, headers=HEADERS)

    return Starlette(routes=[Route("/{path:path}", shell, methods=["GET", "HEAD", "POST", "PUT", "OPTIONS"])])


# --- Starlette


def test_a_good_service_has_nothing_wrong() -> None:
    with serving(good_app()) as app:
        facts = collect(app.url, **EVERYTHING)
    findings = judged(facts)
    # Over plain http there is no HSTS, and the TLS checks have no facts here.
    wrong = with_status(findings, Status.FAIL, Status.WARN, Status.ERROR, Status.BLOCKED)
    assert {id: findings[id].message for id in wrong} == {}
    for id in ("security.headers.csp", "security.auth.enforced", "error_handling.too_large", "security.cors"):
        assert findings[id].status is Status.PASS, findings[id]
    assert facts.profile == "web"
    assert facts.network == "loopback"
    assert facts.credentials


def test_a_bad_service_fails_by_name() -> None:
    with serving(bad_app()) as app:
        facts = collect(app.url, **EVERYTHING)
    findings = judged(facts)
    assert with_status(findings, Status.FAIL) >= {
        "security.headers.csp", "security.headers.framing", "security.headers.mime_sniffing", "security.cookies",
        "security.cors", "security.auth.enforced", "security.cache_control",
        "security.input.reflection", "security.input.malformed", "error_handling.notfound.status",
        "error_handling.leak", "error_handling.request_id", "error_handling.status_codes", "error_handling.malformed",
        "error_handling.media_type", "error_handling.method",
    }  # fmt: skip
    assert with_status(findings, Status.WARN) >= {
        "security.headers.referrer", "security.headers.permissions", "security.rate_limit", "security.version_leak",
        "error_handling.too_large", "error_handling.header_size",
    }  # fmt: skip
    assert with_status(findings, Status.ERROR) == set()
    saved = str(facts.to_json())
    assert "session=abcdefgh" not in saved, "cookie values are masked"
    assert "ada" not in saved, "the bodies of protected paths are not kept"


@pytest.mark.parametrize(
    "app",
    [spa_app(), spa_app("ref: refs/heads/main\n", "text/plain"), spa_app("<input type=password name=p>")],
    ids=["shell", "text-that-looks-like-git", "login-page"],
)
def test_an_answer_for_everything_is_no_evidence(app: Starlette) -> None:
    with serving(app) as running_app:
        findings = judged(collect(running_app.url, protected=["/api/orders"], writable=["/api/products"]))
    assert findings["security.auth.enforced"].status in (Status.UNTESTED, Status.PASS, Status.WARN)
    assert findings["error_handling.notfound.status"].status is Status.FAIL, "a soft 404 is its own finding"
    assert findings["error_handling.leak"].status in (Status.UNTESTED, Status.PASS)
    assert findings["error_handling.reach.http"].status is Status.PASS


def test_a_shell_for_browsers_only_is_a_warning() -> None:
    shell = spa_app()

    async def api_first(scope: Any, receive: Any, send: Any) -> None:
        asks_for_json = (b"accept", b"application/json") in scope["headers"]
        await (_problem(404, "x") if asks_for_json else shell)(scope, receive, send)

    with serving(api_first) as app:
        findings = judged(collect(app.url))
    assert findings["error_handling.notfound.status"].status is Status.WARN
    assert "single-page" in findings["error_handling.notfound.status"].message


@pytest.mark.parametrize("app", [good_app(), bad_app(), spa_app()], ids=["good", "bad", "spa"])
def test_without_writable_no_body_is_sent_at_all(app: Any) -> None:
    with serving(app) as running_app:
        collect(running_app.url, endpoints=["/api/products"], protected=["/api/orders"])
    sent = [request for request in running_app.requests if request.size or "transfer-encoding" in request.headers]
    assert not sent, [request.path for request in sent]
    assert {request.method for request in running_app.requests} <= {"GET", "HEAD", "OPTIONS"}


def test_bodies_on_writable_paths_cannot_validate() -> None:
    bodies: list[tuple[str, bytes]] = []

    async def keep(request: Request) -> Response:
        bodies.append((request.url.path, await request.body()))
        return JSONResponse({}, 400)

    routes = [Route("/{path:path}", keep, methods=["GET", "POST", "PATCH", "OPTIONS"])]
    with serving(Starlette(routes=routes)) as app:
        collect(app.url, writable=["/api/products"])
    sent = [body for path, body in bodies if path == "/api/products" and body]
    assert len(sent) == 4
    for body in sent:
        assert body == b"<a" or (body.startswith(b'{"a": ') and not body.endswith((b"}", b'"')))


def test_the_budget_of_requests() -> None:
    with serving(good_app()) as app:
        facts = collect(app.url, endpoints=EVERYTHING["endpoints"], protected=["/api/orders"])
    assert facts.requests == len(app.requests) <= 46
    many = [f"/api/p{n}" for n in range(20)]
    with serving(good_app()) as app:
        settings = {**EVERYTHING, "endpoints": many, "protected": many, "writable": many}
        facts = collect(app.url, **settings)
    assert facts.requests == len(app.requests) <= MOST_REQUESTS < 80
    assert set(facts.left_out) >= {"/api/p19"}
    assert not any("budget" in str(value) for value in facts.to_json().values())


def test_it_is_quick() -> None:
    with serving(good_app()) as app:
        collect(app.url)
        began = time.perf_counter()
        collect(app.url, **EVERYTHING)
        assert time.perf_counter() - began < 3  # about 0.15 s; only a hang must not pass


def test_credentials_stay_with_their_origin_and_their_requests() -> None:
    async def other(request: Request) -> Response:
        return PlainTextResponse("hello")

    with serving(Starlette(routes=[Route("/{path:path}", other)])) as foreign:

        async def leave(request: Request) -> Response:
            return RedirectResponse(f"{foreign.url}/login", 302)

        with serving(Starlette(routes=[Route("/{path:path}", leave)])) as app:
            facts = collect(app.url, **EVERYTHING)
    assert foreign.requests == [], "a redirect to another origin is not followed"
    assert facts.root.status == 302
    assert facts.chain == ()
    garbage = [r for r in app.requests if "rdy-garbage" in r.headers.get("authorization", "")]
    assert garbage
    assert not any("x-api-key" in request.headers for request in garbage), "a forged request carries no real credential"
    assert any(request.headers.get("x-api-key") == TOKEN for request in app.requests)


def test_requests_to_another_origin_carry_no_configured_header() -> None:
    async def other(request: Request) -> Response:
        return PlainTextResponse("hello")

    async def ask(url: str, foreign: str) -> None:
        settings = HttpSettings(url=url, headers=EVERYTHING["headers"])
        async with fetcher(settings, Context(Window(0, 1), Limits(), "readiness/test", CANARY)) as fetch:
            await fetch.get(f"{foreign}/login")
            await fetch.get("/own")

    everywhere = Starlette(routes=[Route("/{path:path}", other)])
    with serving(everywhere) as own, serving(everywhere) as foreign:
        asyncio.run(ask(own.url, foreign.url))
    assert [request.headers.get("x-api-key") for request in own.requests] == [TOKEN]
    assert [request.headers.get("x-api-key") for request in foreign.requests] == [None]
    assert "authorization" not in foreign.requests[0].headers


def test_redirects_within_the_origin_are_followed_three_times() -> None:
    async def step(request: Request) -> Response:
        number = int(request.path_params["number"])
        return RedirectResponse(f"/{number + 1}") if number < 3 else HTMLResponse("<p>here")

    async def root(request: Request) -> Response:
        return RedirectResponse("/1")

    with serving(Starlette(routes=[Route("/", root), Route("/{number:int}", step)])) as app:
        facts = collect(app.url)
    assert facts.root.status == 200
    assert [hop.status for hop in facts.chain] == [307, 307, 307]
    assert facts.root.url.endswith("/3")

    async def forever(request: Request) -> Response:
        return RedirectResponse(request.url.path + "x")

    with serving(Starlette(routes=[Route("/{path:path}", forever)])) as app:
        facts = collect(app.url)
    assert facts.root.status == 307
    assert len(facts.chain) == 3


def test_an_auth_wall_hides_everything_behind_it() -> None:
    async def wall(request: Request) -> Response:
        return JSONResponse({"message": "who are you?"}, 401)

    with serving(Starlette(routes=[Route("/{path:path}", wall, methods=["GET", "HEAD", "POST", "OPTIONS"])])) as app:
        facts = collect(app.url)
    assert facts.auth_wall
    findings = judged(facts)
    assert findings["error_handling.notfound.status"].status is Status.UNTESTED
    assert "http.headers" in findings["error_handling.notfound.status"].message


def test_a_rate_limited_service_is_left_alone() -> None:
    count = 0

    async def limited(request: Request) -> Response:
        nonlocal count
        count += 1
        return JSONResponse({}, 429 if count > 6 else 200, {"retry-after": "60"} if count > 6 else {})

    with serving(Starlette(routes=[Route("/{path:path}", limited, methods=["GET", "HEAD", "POST", "OPTIONS"])])) as app:
        began = time.monotonic()
        facts = collect(app.url)
    assert time.monotonic() - began < 3 * LONGEST_PAUSE_SECONDS + 3, "a minute was asked for"
    assert len(app.requests) <= 6 + 4 + 3 * 4, "what was under way may end, and three times it is asked again"
    findings = judged(facts)
    assert findings["security.rate_limit"].status is Status.PASS
    assert findings["error_handling.encoding"].status is Status.ERROR
    assert "429" in findings["error_handling.encoding"].message


def test_profile_is_guessed_from_the_answers() -> None:
    async def data(request: Request) -> Response:
        return JSONResponse({"name": "shop"})

    with serving(Starlette(routes=[Route("/", data)])) as app:
        facts = collect(app.url)
        assert (facts.profile, facts.profile_configured) == ("api", False)
        assert judged(facts)["security.headers.csp"].status is Status.NOT_APPLICABLE
        assert collect(app.url, profile="internal").profile == "internal"
        assert collect(app.url.replace("127.0.0.1", "localhost")).network == "loopback"


# --- nginx

NGINX = """
daemon off; pid {work}/nginx.pid; error_log {work}/error.log; worker_processes 1;
events {{}}
http {{
  access_log off; types {{ text/html html; text/css css; }} default_type application/octet-stream;
  client_body_temp_path {work}/body; proxy_temp_path {work}/proxy; fastcgi_temp_path {work}/fcgi;
  uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
  server {{ listen 127.0.0.1:{port}; root {work}/www; {extra} }}
}}
"""


@contextlib.contextmanager
def nginx(work: Path, extra: str = "") -> Iterator[str]:
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if binary is None:
        pytest.skip("no nginx here")
    (port,) = free_ports(1)
    (work / "www").mkdir()
    (work / "www/index.html").write_text("<!doctype html><link rel=stylesheet href='/site.css'><h1>Shop</h1>")
    (work / "www/site.css").write_text("h1 { color: #222 }")
    config = work / "nginx.conf"
    config.write_text(NGINX.format(work=work, port=port, extra=extra))
    work.chmod(0o755)
    server = Server("nginx", [binary, "-p", work, "-c", config], log=work / "log")
    with running(server, lambda: accepts(port)):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    for folder in (tmp_path, *tmp_path.parents[:3]):  # nginx's workers run as another user
        with contextlib.suppress(PermissionError):
            folder.chmod(folder.stat().st_mode | 0o055)
    return tmp_path


def test_nginx_as_it_comes(work: Path) -> None:
    with nginx(work) as url:
        facts = collect(url, writable=["/api/products"])
    assert facts.profile == "web"
    assert facts.asset.media_type == "text/css"
    assert facts.not_found.status == 404
    assert facts.encoding.status == 400
    assert facts.large_header.status == 400
    assert facts.writable[0].oversized.status == 413
    assert facts.options.status == 405
    findings = judged(facts)
    assert findings["security.version_leak"].status is Status.WARN
    assert "nginx/" in findings["security.version_leak"].message
    assert findings["error_handling.header_size"].status is Status.PASS
    assert findings["error_handling.too_large"].status is Status.PASS
    assert findings["error_handling.notfound.status"].status is Status.PASS
    assert findings["error_handling.notfound.shape"].status is Status.NOT_APPLICABLE
    assert findings["error_handling.method"].status is Status.WARN, "nginx sends 405 without Allow"
    assert findings["error_handling.leak"].status is Status.PASS
    assert findings["security.headers.csp"].status is Status.FAIL


def test_nginx_location_that_drops_the_inherited_headers(work: Path) -> None:
    extra = "add_header X-Content-Type-Options nosniff; location = /site.css { add_header X-Other 1; }"
    with nginx(work, extra) as url:
        findings = judged(collect(url))
    finding = findings["security.headers.mime_sniffing"]
    assert finding.status is Status.FAIL
    assert finding.message.startswith("asset")


def test_nginx_headers_that_errors_lack(work: Path) -> None:
    with nginx(work, "add_header X-Content-Type-Options nosniff;") as url:
        findings = judged(collect(url))
    finding = findings["security.headers.mime_sniffing"]
    assert finding.status is Status.WARN
    assert finding.message.startswith("unknown page")


def test_nginx_behind_a_path(work: Path) -> None:
    extra = "location = /shop/ { default_type text/html; return 200 'hello'; } location / { return 404; }"
    with nginx(work, extra) as url:
        facts = collect(f"{url}/shop/", endpoints=["/api/é"])
    assert facts.root.status == 200
    assert facts.not_found.url.startswith(f"{url}/shop/{CANARY}")
    assert facts.endpoints[0].answer.url == f"{url}/shop/api/%C3%A9"


# --- servers that misbehave


@contextlib.contextmanager
def raw(answer: Callable[[bytes], bytes | None]) -> Iterator[str]:
    """A server that answers each request with bytes of its own, closes on b"", and never answers on None."""
    listener = socket.create_server(("127.0.0.1", 0))
    kept: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.settimeout(2)
            with contextlib.suppress(OSError):
                reply = answer(connection.recv(65536))
                if reply is None:
                    kept.append(connection)
                    continue
                connection.sendall(reply)
            connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
        for connection in kept:
            connection.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
GONE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def test_nothing_there() -> None:
    (port,) = free_ports(1)
    with pytest.raises(ProbeError, match="could not connect"):
        collect(f"http://127.0.0.1:{port}")


def test_a_root_that_never_answers() -> None:
    with raw(lambda request: None) as url, pytest.raises(ProbeError, match=r"no complete answer within 0\.3 s"):
        collect(url, seconds=0.3)


def test_a_request_that_never_is_answered_costs_one_fact() -> None:
    with raw(lambda request: None if b"%E0%A4%A" in request else (OK if b"GET / " in request else GONE)) as url:
        facts = collect(url, seconds=0.5)
    findings = judged(facts)
    assert findings["error_handling.encoding"].status is Status.ERROR
    assert "no complete answer" in findings["error_handling.encoding"].message
    assert findings["error_handling.notfound.status"].status is Status.PASS


def test_a_connection_that_is_closed_is_a_fact() -> None:
    with raw(lambda request: b"" if b"%E0%A4%A" in request else (OK if b"GET / " in request else GONE)) as url:
        facts = collect(url)
    assert facts.closed == ("encoding",)
    assert judged(facts)["error_handling.encoding"].status is Status.FAIL


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nSet-Cookie: s=\xff\xfe\xc3; Expires=\xe9\r\nContent-Security-Policy: \xc3;;,;\r\n"
        b"Strict-Transport-Security: =;\"\r\nLocation: http://[::1\r\nContent-Type: text/html; charset=hex\r\n"
        b"Connection: close\r\n\r\n<script src='http://[x/a.js'></script><script src='//'></script>\x00\xff",
        b"HTTP/1.1 302 Found\r\nLocation: //\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + b"[" * 50_000,
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + b'{"a":' + b"9" * 6000,
        b"HTTP/1.1 404 Nope\r\nRateLimit: \x9b\r\nVia: \x9b[2J\r\nConnection: close\r\n\r\n" + b"at (" * 20_000,
    ],
    ids=["bytes", "empty-authority", "deep", "digits", "patterns"],
)  # fmt: skip
def test_hostile_answers_are_judged_not_raised(answer: bytes) -> None:
    began = time.monotonic()
    with raw(lambda request: answer) as url:
        facts = collect(url, **EVERYTHING)
        findings = judged(facts)
    assert time.monotonic() - began < 20
    for id, finding in findings.items():
        assert "the check itself failed" not in finding.message, id
        assert len(finding.message) <= 200, id


def test_a_redirect_to_nowhere_is_a_failed_request() -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nConnection: close\r\n\r\n"
    with raw(lambda request: answer) as url, pytest.raises(ProbeError, match="Invalid URL"):
        collect(url)


def test_a_service_that_only_fails_is_not_pestered() -> None:
    asked = []

    def fail(request: bytes) -> bytes:
        asked.append(request)
        return b"HTTP/1.1 503 Busy\r\nRetry-After: 999999999\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    with raw(fail) as url:
        facts = collect(url)
    assert len(asked) < 12
    findings = judged(facts)
    assert findings["error_handling.reach.http"].status is Status.FAIL
    assert findings["security.headers.csp"].status is Status.BLOCKED
