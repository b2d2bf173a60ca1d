"""The security checks against what people deploy: Express with and without helmet, Starlette with secure, nginx."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from readiness import judge, loader, scoring
from readiness.demo.processes import Server, accepts, free_ports, running
from readiness.facts.collected import Collected, Outcome
from readiness.facts.hardening import HardeningFacts
from readiness.facts.http import HttpFacts
from readiness.facts.tls import TlsFacts
from readiness.model import Finding, Status
from readiness.probes.hardening import probe_hardening
from readiness.probes.http import probe_http
from readiness.probes.tls import probe_tls
from readiness.settings import HttpSettings, Limits, LoadSettings, Settings
from readiness.spec import Context
from readiness.window import Window

pytestmark = pytest.mark.real
REGISTRY = loader.load()
PACKAGES = ("express@5", "helmet@8")
SHOP = """
const fs = require('fs'), https = require('https'), express = require('express'), helmet = require('helmet');
const [port, folder, guarded, own] = process.argv.slice(2);
const app = express();
if (guarded === 'helmet') app.use(helmet());
if (own) app.use(helmet({contentSecurityPolicy: {directives: JSON.parse(own)},
  hsts: {maxAge: 31536000, includeSubDomains: true, preload: true}, referrerPolicy: {policy: 'same-origin'}}));
app.get('/', (req, res) => res.send('<!doctype html><title>Shop</title><script src="/app.js"></script>'));
app.get('/app.js', (req, res) => res.type('js').send('1'));
app.get('/api/products', (req, res) => res.json([{name: 'bowl'}]));
https.createServer({key: fs.readFileSync(folder + '/key.pem'), cert: fs.readFileSync(folder + '/chain.pem')}, app)
  .listen(Number(port), '127.0.0.1');
"""
ASSESSMENT = """{"defaultSrc": ["'self'"], "styleSrc": ["'self'", "'unsafe-inline'"], "scriptSrc": ["'self'"],
"imgSrc": ["'self'", "data:", "https:"], "connectSrc": ["'self'"], "fontSrc": ["'self'"], "objectSrc": ["'none'"],
"mediaSrc": ["'self'"], "frameSrc": ["'none'"]}"""


@pytest.fixture(scope="module")
def modules() -> Path:
    """A folder with express and helmet, kept between runs; npm fetches them once."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("no Node.js here")
    folder = Path(tempfile.gettempdir()) / f"readiness-test-peers-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    if not all((folder / "node_modules" / package.partition("@")[0] / "package.json").exists() for package in PACKAGES):
        command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, *PACKAGES]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100)
        if done.returncode:
            pytest.skip(f"npm could not install express and helmet: {done.stderr.strip()[-200:]}")
    return folder


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CA, and a certificate of it for localhost."""
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    leaf = ca.issue_cert("localhost")
    leaf.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "chain.pem").write_bytes(b"".join(part.bytes() for part in leaf.cert_chain_pems))
    return folder


def audit(url: str, ca_file: Path | None = None, **settings: Any) -> dict[str, Finding]:
    """Every security check over what the three probes learn."""
    context = Context(Window(0, 1), Limits(request_seconds=5), "readiness/test", "rdy-0123456789ab")
    http_settings = HttpSettings(url=url, ca_file=ca_file, **settings)

    async def collect() -> tuple[HttpFacts, HardeningFacts, TlsFacts]:
        http = await probe_http(http_settings, context)
        hardening = await probe_hardening(http_settings, LoadSettings(), http, context)
        return http, hardening, await probe_tls(http_settings, context)

    checks = {id: s for id, s in REGISTRY.checks.items() if id.startswith("security.") or id.endswith("reach.http")}
    collection = {kind: Collected(Outcome.NOT_CONFIGURED, needs=spec.needs) for kind, spec in REGISTRY.probes.items()}
    collection |= {type(facts): Collected(Outcome.COLLECTED, facts) for facts in asyncio.run(collect())}
    return {result.spec.id: result.finding for result in judge.judge(checks, collection, Settings(), {})}


def header_score(findings: dict[str, Finding]) -> float:
    items = [
        scoring.Item(id, "security", REGISTRY.checks[id].severity, finding.status, finding.credit)
        for id, finding in findings.items()
        if id.startswith("security.headers.")
    ]
    score = scoring.component(items).score
    assert score is not None
    return float(score)


def statuses(findings: dict[str, Finding], *wanted: Status) -> set[str]:
    return {id for id, finding in findings.items() if finding.status in wanted}


@contextlib.contextmanager
def express(modules: Path, authority: Path, guarded: str, own: str = "") -> Iterator[str]:
    (port,) = free_ports(1)
    script = modules / "shop.js"
    script.write_text(SHOP)
    node = shutil.which("node")
    assert node is not None
    argv = [node, script, str(port), authority, guarded, own]
    with running(Server("express", argv, log=authority / "express.log"), lambda: accepts(port)):
        yield f"https://localhost:{port}"


def test_the_defaults_of_helmet(modules: Path, authority: Path) -> None:
    with express(modules, authority, "helmet") as url:
        findings = audit(url, authority / "ca.pem", endpoints=["/api/products"])
    assert header_score(findings) >= 9
    wrong = statuses({id: f for id, f in findings.items() if ".headers." in id}, Status.FAIL, Status.WARN, Status.ERROR)
    assert wrong == {"security.headers.permissions"}, "helmet sends no Permissions-Policy"
    assert findings["security.version_leak"].status is Status.PASS


def test_the_headers_that_guides_recommend(modules: Path, authority: Path) -> None:
    with express(modules, authority, "", ASSESSMENT) as url:
        findings = audit(url, authority / "ca.pem", endpoints=["/api/products"])
    for family in ("csp", "hsts", "mime_sniffing", "referrer", "xss_filter", "framing"):
        assert findings[f"security.headers.{family}"].status is Status.PASS, findings[f"security.headers.{family}"]


def test_express_without_helmet(modules: Path, authority: Path) -> None:
    with express(modules, authority, "") as url:
        findings = audit(url, authority / "ca.pem", endpoints=["/api/products"])
    assert statuses(findings, Status.FAIL) == {
        "security.headers.csp", "security.headers.framing", "security.headers.hsts", "security.headers.mime_sniffing",
    }  # fmt: skip
    assert statuses(findings, Status.WARN) >= {
        "security.headers.referrer", "security.headers.permissions", "security.headers.isolation",
    }  # fmt: skip
    assert findings["security.headers.xss_filter"].status is Status.PASS
    assert statuses(findings, Status.ERROR, Status.BLOCKED) == set()
    assert header_score(findings) < 5


def guarded_by_secure(preset: str) -> Starlette:
    secure = pytest.importorskip("secure", reason="the PyPI package secure is not installed")
    guard = secure.Secure.from_preset(getattr(secure.Preset, preset))

    async def root(request: Request) -> Response:
        response = HTMLResponse("<!doctype html><title>Shop</title>")
        guard.set_headers(response)
        return response

    async def unknown(request: Request, error: Exception) -> Response:
        response = HTMLResponse("<!doctype html><title>Not here</title>", 404)
        guard.set_headers(response)
        return response

    return Starlette(routes=[Route("/", root)], exception_handlers={404: unknown})


@contextlib.contextmanager
def starlette(app: Starlette, authority: Path) -> Iterator[str]:
    (port,) = free_ports(1)
    config = uvicorn.Config(
        app, port=port, log_level="critical", lifespan="off", server_header=False,
        ssl_keyfile=str(authority / "key.pem"), ssl_certfile=str(authority / "chain.pem"),
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not accepts(port) and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        yield f"https://localhost:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.mark.parametrize(("preset", "wrong"), [("BASIC", {"permissions"}), ("BALANCED", set()), ("STRICT", set())])
def test_starlette_with_secure(preset: str, wrong: set[str], authority: Path) -> None:
    with starlette(guarded_by_secure(preset), authority) as url:
        findings = audit(url, authority / "ca.pem")
    headers = {id: finding for id, finding in findings.items() if ".headers." in id}
    found = statuses(headers, Status.FAIL, Status.WARN, Status.ERROR)
    assert found == {f"security.headers.{name}" for name in wrong}, {id: headers[id].message for id in found}
    assert header_score(findings) >= 9


NGINX = """
daemon off; pid {work}/nginx.pid; error_log {work}/error.log; worker_processes 1; events {{}}
http {{
  access_log off; types {{ text/html html; text/css css; }} default_type application/octet-stream; charset utf-8;
  client_body_temp_path {work}/body; proxy_temp_path {work}/proxy; fastcgi_temp_path {work}/fcgi;
  uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl; root {work}/www; ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate {tls}/chain.pem; ssl_certificate_key {tls}/key.pem; {extra}
  }}
}}
"""
HEADERS = """
server_tokens off;
add_header Content-Security-Policy "default-src 'self'; object-src 'none'; frame-ancestors 'none'" always;
add_header Strict-Transport-Security "max-age=31536000; includeSubDomains" always;
add_header X-Content-Type-Options nosniff always;
add_header Referrer-Policy strict-origin-when-cross-origin always;
add_header Permissions-Policy "camera=(), microphone=(), geolocation=()" always;
add_header Cross-Origin-Opener-Policy same-origin always;
"""


@contextlib.contextmanager
def nginx(work: Path, tls: Path, extra: str) -> Iterator[str]:
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if binary is None:
        pytest.skip("no nginx here")
    (port,) = free_ports(1)
    for folder in (work, *work.parents[:3]):  # nginx's workers run as another user
        with contextlib.suppress(PermissionError):
            folder.chmod(folder.stat().st_mode | 0o055)
    (work / "www").mkdir()
    (work / "www/index.html").write_text("<!doctype html><title>Shop</title><link rel=stylesheet href='/site.css'>")
    (work / "www/site.css").write_text("h1 { color: #222 }")
    config = work / "nginx.conf"
    config.write_text(NGINX.format(work=work, tls=tls, port=port, extra=extra))
    with running(Server("nginx", [binary, "-p", work, "-c", config], log=work / "log"), lambda: accepts(port)):
        yield f"https://localhost:{port}"


def test_nginx_with_headers(tmp_path: Path, authority: Path) -> None:
    with nginx(tmp_path, authority, HEADERS) as url:
        findings = audit(url, authority / "ca.pem")
    assert statuses(findings, Status.FAIL, Status.ERROR, Status.BLOCKED) == set()
    assert {id for id in statuses(findings, Status.WARN) if ".headers." in id} == set()
    assert findings["security.version_leak"].status is Status.PASS
    assert findings["security.exposed_files"].status is Status.PASS


def test_nginx_that_forgets_always(tmp_path: Path, authority: Path) -> None:
    with nginx(tmp_path, authority, HEADERS.replace(" always;", ";")) as url:
        findings = audit(url, authority / "ca.pem")
    assert findings["security.headers.csp"].status is Status.WARN
    assert findings["security.headers.hsts"].status is Status.WARN
    assert "unknown page" in findings["security.headers.csp"].message


def test_nginx_without_headers(tmp_path: Path, authority: Path) -> None:
    with nginx(tmp_path, authority, "") as url:
        (tmp_path / "www/.env").write_text("A=1\nB=2\n")
        findings = audit(url, authority / "ca.pem")
    assert statuses(findings, Status.FAIL) == {
        "security.headers.csp", "security.headers.framing", "security.headers.hsts", "security.headers.mime_sniffing",
        "security.exposed_files",
    }  # fmt: skip
    assert findings["security.version_leak"].status is Status.WARN
    assert "nginx/" in findings["security.version_leak"].message
