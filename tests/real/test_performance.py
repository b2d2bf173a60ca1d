"""The load and delivery probes against Debian's nginx and a small application behind it."""

from __future__ import annotations

import collections
import contextlib
import resource
import shutil
import socketserver
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from readiness import loader
from readiness.collect import collect
from readiness.demo.processes import Server, accepts, free_ports, running
from readiness.facts.base import Facts, maybe
from readiness.facts.collected import Collected, Outcome
from readiness.facts.delivery import DeliveryFacts
from readiness.facts.http import HttpFacts
from readiness.facts.load import LatencyFacts
from readiness.judge import call
from readiness.load import Kind, Plan, measure
from readiness.settings import Settings

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx"),
]
REGISTRY = loader.load()
APP = Path(__file__).with_name("performance_app.py")

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
worker_rlimit_nofile 8000;
events {{ worker_connections 4000; }}
http {{
  include /etc/nginx/mime.types;
  log_format times '$msec $connection $status $request_uri';
  access_log {folder}/access.log times;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  proxy_cache_path {folder}/cache keys_zone=edge:1m;
  keepalive_requests 100000;
  upstream app {{ server 127.0.0.1:{first}; server 127.0.0.1:{second}; keepalive 16; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    listen 127.0.0.1:{tls} ssl http2;
    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.pem;
    gzip on; gzip_vary on; gzip_types application/json text/css application/javascript;
    add_header X-Upstream $upstream_addr;
    location /static/ {{
      proxy_pass http://127.0.0.1:{origin}; proxy_cache edge; proxy_cache_valid 200 1m;
      proxy_ignore_headers Cache-Control; expires 30d; add_header X-Cache $upstream_cache_status;
    }}
    location = /fast {{ return 200 "fast"; }}
    location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
  server {{ listen 127.0.0.1:{origin}; access_log off; root {folder}/www; }}
}}
"""


@dataclass
class Site:
    """A running deployment: nginx by HTTP and HTTPS, and the first application itself."""

    folder: Path
    url: str
    https: str
    app: str

    def log(self) -> list[tuple[float, int, int, str]]:
        lines = (self.folder / "access.log").read_text().splitlines()
        fields = (line.split(" ", 3) for line in lines)
        return [(float(when), int(connection), int(status), uri) for when, connection, status, uri in fields]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    port, tls, origin, first, second = free_ports(5)
    static = folder / "www" / "static"
    static.mkdir(parents=True)
    (static / "app-4f3a9c1d.js").write_text("console.log('hello');\n" * 1000)
    (static / "style.css").write_text("body { margin: 0 }\n" * 500)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    config = NGINX.format(folder=folder, port=port, tls=tls, origin=origin, first=first, second=second)
    (folder / "nginx.conf").write_text(config)
    servers = [
        (Server("first", [sys.executable, APP, str(first), "web-1"], log=folder / "first.log"), first),
        (Server("second", [sys.executable, APP, str(second), "web-2"], log=folder / "second.log"), second),
        (Server("nginx", ["nginx", "-c", folder / "nginx.conf"], log=folder / "nginx.log"), port),
    ]
    with contextlib.ExitStack() as stack:
        for server, each in servers:
            stack.enter_context(running(server, partial(accepts, each)))
        base = "http://127.0.0.1:"
        yield Site(folder, f"{base}{port}", f"https://127.0.0.1:{tls}", f"{base}{first}")


def probe(facts: type[Facts], http: dict[str, Any], **sections: Any) -> Collected:
    limits = {"window_seconds": 1, "request_seconds": 3, **sections.pop("limits", {})}
    settings = Settings.model_validate({"http": http, "limits": limits, **sections})
    return collect({facts: REGISTRY.probes[facts]}, settings, lambda *_: None).collected[facts]


def latency(http: dict[str, Any], **sections: Any) -> LatencyFacts:
    collected = probe(LatencyFacts, http, **sections)
    assert isinstance(collected.facts, LatencyFacts), collected.reason
    return LatencyFacts.from_json(collected.facts.to_json())


def undisturbed(http: dict[str, Any], before: Callable[[], object] = lambda: None, **sections: Any) -> LatencyFacts:
    """Latency from a run in which other work on this machine did not delay the requests."""
    for _ in range(3):
        before()
        facts = latency(http, **sections)
        if all(maybe(lambda each=each: each.timing.mean_ms) is not None for each in facts.endpoints):
            return facts
    pytest.skip("the machine is too busy to measure")


def delivery(http: dict[str, Any]) -> DeliveryFacts:
    collected = probe(DeliveryFacts, http)
    assert isinstance(collected.facts, DeliveryFacts), collected.reason
    return DeliveryFacts.from_json(collected.facts.to_json())


def judged(*facts: Facts) -> dict[str, str]:
    """The statuses of this component's checks over these facts."""
    collection = {each: Collected(Outcome.NOT_CONFIGURED, needs="nothing") for each in REGISTRY.probes}
    collection |= {type(each): Collected(Outcome.COLLECTED, each) for each in facts}
    checks = [spec for id, spec in REGISTRY.checks.items() if id.startswith("performance.")]
    findings = {spec.id.removeprefix("performance."): call(spec, collection, Settings(), {}) for spec in checks}
    assert not [each for each in findings.values() if "the check itself failed" in each.message], findings
    return {id: finding.status.value for id, finding in findings.items()}


# Latency.


def test_endpoints_are_measured_within_the_limits(site: Site) -> None:
    http = {"url": site.url, "endpoints": ["/api/items", "/api/slow", "/fast"]}
    log_file = site.folder / "access.log"
    facts = undisturbed(http, before=lambda: log_file.write_text(""), limits={"window_seconds": 3})
    items, slow, fast = facts.endpoints
    assert items.timing.mean_ms == pytest.approx(21, abs=12)
    assert slow.timing.p50_ms == pytest.approx(151, abs=20)
    assert fast.timing.p50_ms < 10
    assert all(endpoint.answers == {"2xx": endpoint.timing.count} for endpoint in facts.endpoints)
    assert len(slow.windows) == 3
    assert slow.first_byte_ms <= slow.timing.max_ms
    assert facts.overall.count == sum(endpoint.timing.count for endpoint in facts.endpoints)
    assert facts.declared
    assert facts.seconds == 3

    time.sleep(0.2)
    log = site.log()
    assert len(log) == facts.requests <= 200
    assert len({connection for _, connection, _, _ in log}) <= 10 + len(facts.endpoints)
    seconds = [when for when, *_ in log]
    busiest = max(sum(1 for other in seconds if when <= other < when + 1) for when in seconds)
    assert busiest <= 27, "25 a second, give or take the log's own clock"
    assert judged(facts)["latency.average"] == "warn"


def test_the_budget_of_requests_holds_over_a_long_window(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("readiness.probes.load.REQUESTS", 20)
    facts = latency({"url": site.url, "endpoints": ["/fast", "/api/items"]}, limits={"window_seconds": 2})
    assert 10 <= facts.requests <= 20


def test_without_endpoints_the_page_is_measured_where_redirects_lead(site: Site) -> None:
    facts = latency({"url": f"{site.url}/moved"})
    assert [endpoint.asked for endpoint in facts.endpoints] == ["/api/items?page=1"]
    assert not facts.declared
    assert facts.endpoints[0].successes == facts.overall.count > 10


def test_a_redirect_to_another_origin_is_not_followed(site: Site) -> None:
    facts = latency({"url": f"{site.url}/away"})
    assert facts.endpoints[0].answers == {"3xx": 1}
    assert judged(facts)["latency.average"] == "untested"


def test_slow_answers_do_not_queue_for_our_own_connections(site: Site) -> None:
    paths = ["/api/slow", "/fast", "/api/items", "/", "/health", "/api/slow?a", "/api/slow?b"]
    facts = undisturbed({"url": site.url, "endpoints": paths})
    slow = facts.endpoints[0]
    assert slow.timing.p95_ms < 280, "one connection at half its capacity"
    assert slow.rate == pytest.approx(0.5 / 0.155, rel=0.2)


def test_headers_are_sent_and_kept_secret(site: Site) -> None:
    http = {"url": site.url, "endpoints": ["/api/hidden"], "headers": {"Authorization": "Bearer s3cret-token"}}
    facts = latency(http)
    assert facts.endpoints[0].successes > 5
    assert "s3cret" not in str(facts.to_json())
    refused = latency({"url": site.url, "endpoints": ["/api/hidden", "/fast"]})
    assert refused.endpoints[0].answers == {"4xx": 1}
    statuses = judged(refused)
    assert statuses["latency.average"] == "error"
    assert statuses["errors"] == "fail"


def test_errors_are_counted(site: Site) -> None:
    facts = latency({"url": site.app, "endpoints": ["/flaky", "/api/broken"]})
    flaky, broken = facts.endpoints
    assert flaky.error_ratio == pytest.approx(0.2, abs=0.1)
    assert broken.error_ratio == 1
    assert flaky.timing.count == flaky.successes
    assert judged(facts)["errors"] == "fail"


def test_a_rate_limit_ends_the_measurement(site: Site) -> None:
    facts = latency({"url": site.app, "endpoints": ["/limited"]})
    (limited,) = facts.endpoints
    assert limited.answers == {"2xx": 9, "429": 1}
    assert (limited.stopped, limited.retry_after) == ("429 with Retry-After", "60")
    assert judged(facts)["errors"] == "pass"


def test_a_hanging_endpoint_costs_one_deadline(site: Site) -> None:
    began = time.monotonic()
    facts = latency({"url": site.app, "endpoints": ["/hanging", "/health"]}, limits={"request_seconds": 1})
    assert time.monotonic() - began < 5
    assert facts.endpoints[0].answers == {"timeout": 1}
    assert facts.endpoints[1].successes > 5
    assert judged(facts)["errors"] == "fail"


def test_tls_with_a_private_authority(site: Site) -> None:
    facts = latency({"url": site.https, "endpoints": ["/fast"], "ca_file": str(site.folder / "ca.pem")})
    assert facts.tls_ms > 0
    assert facts.round_trip_ms <= facts.connect_ms
    assert judged(facts)["connect"] == "pass"
    untrusted = probe(LatencyFacts, {"url": site.https})
    assert untrusted.outcome is Outcome.FAILED
    assert "certificate" in untrusted.reason


def test_nothing_listens() -> None:
    for facts in (LatencyFacts, DeliveryFacts):
        collected = probe(facts, {"url": "http://127.0.0.1:9"})
        assert collected.outcome is Outcome.FAILED
        assert "could not connect" in collected.reason


class _OneByOne(BaseHTTPRequestHandler):
    """HTTP/1.0: closes after every answer, and serves one connection after the other."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def one_by_one() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _OneByOne) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_a_server_that_takes_one_connection_after_the_other() -> None:
    with one_by_one() as url:
        facts = latency({"url": url})
    assert facts.endpoints[0].errors == {}
    assert facts.endpoints[0].closed == facts.endpoints[0].answered > 10
    assert judged(facts)["keepalive"] == "fail"


class _Garbage(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.rfile.readline()
        self.wfile.write(b"\x00\xffgarbage\r\n\r\n" * 100)


def test_a_server_that_speaks_no_http() -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Garbage) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            facts = latency({"url": f"http://127.0.0.1:{server.server_address[1]}"})
            delivered = probe(DeliveryFacts, {"url": f"http://127.0.0.1:{server.server_address[1]}"})
        finally:
            server.shutdown()
            thread.join()
    assert set(facts.endpoints[0].answers) <= {"malformed", "reset"}
    assert judged(facts)["latency.average"] == "error"
    assert delivered.outcome is Outcome.FAILED


# Delivery.


def test_delivery_of_a_page_behind_a_cache_and_a_balancer(site: Site) -> None:
    (site.folder / "access.log").write_text("")
    facts = delivery({"url": site.url, "endpoints": ["/api/items"]})
    page, script, style, items = facts.resources
    assert (page.kind, script.path, style.path) == ("page", "/static/app-4f3a9c1d.js", "/static/style.css")
    assert facts.page
    assert facts.assets == 3
    assert facts.foreign == {"cdn.example.com": 1}
    assert script.hashed
    assert not style.hashed
    assert page.compressed is None, "too small"
    for text in (script, style, items):
        assert text.compressed is not None
        assert text.compressed.header("content-encoding") == "gzip"
        assert text.compressed.size < text.plain.size / 2
    assert page.revalidated is not None
    assert page.revalidated.status == 200, "the application ignores its own validator"
    assert script.revalidated is not None
    assert script.revalidated.status == 304
    assert facts.repeated.header("x-cache") == "HIT"
    assert len(facts.instances["x-upstream"]) == 2
    assert [(each.path, each.__dict__["items"]) for each in facts.payloads][1] == ("/api/items", 200)

    time.sleep(0.2)
    log = site.log()
    assert len(log) == facts.requests <= 25
    connections = collections.Counter(connection for _, connection, _, _ in log)
    assert max(connections.values()) == 1, "every request on a connection of its own"

    statuses = judged(facts, HttpFacts(base=site.url, profile="web"))
    assert {
        name: statuses[name]
        for name in ("compression", "caching.validators", "caching.static", "cdn", "load_balancing", "http2", "payload")
    } == {
        "compression": "pass",
        "caching.validators": "warn",
        "caching.static": "pass",
        "cdn": "pass",
        "load_balancing": "pass",
        "http2": "not_applicable",
        "payload": "pass",
    }


def test_delivery_of_a_bare_application(site: Site) -> None:
    facts = delivery({"url": f"{site.app}/api/items"})
    assert not facts.page
    statuses = judged(facts, HttpFacts(base=site.app, profile="api"))
    assert statuses["compression"] == "warn"
    assert statuses["cdn"] == statuses["caching.static"] == "not_applicable"


def test_instances_are_told_apart_by_health(site: Site) -> None:
    facts = delivery({"url": site.app})
    assert facts.instances["health hostname"] == ("web-1",)
    assert facts.requests <= 25
    assert judged(facts, HttpFacts(base=site.app))["load_balancing"] == "fail"


def test_http2_over_tls(site: Site) -> None:
    facts = delivery({"url": site.https, "ca_file": str(site.folder / "ca.pem")})
    assert facts.alpn == "h2"
    assert judged(facts, HttpFacts(base=site.https))["http2"] == "pass"


# The engine.


def test_the_engine_in_a_closed_loop_against_nginx(site: Site) -> None:
    result = measure(Plan(f"{site.url}/fast", rate=0, duration=1, connections=32))
    assert result.total.requests == result.total.successes > 3000
    assert result.closed == 0


def test_the_engine_holds_many_connections_in_little_memory(site: Site) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 3000:
        pytest.skip("needs 3000 file descriptors")
    code = f"""
import resource
from readiness.load import Plan, measure
resource.setrlimit(resource.RLIMIT_NOFILE, ({max(soft, 3000)}, {hard}))
result = measure(Plan("{site.url}/fast", rate=1000, duration=2, connections=2000))
# Not ru_maxrss: a child inherits that of the process that started it.
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(result.connections, result.total.successes, int(peak) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    connections, successes, megabytes = map(int, done.stdout.split())
    assert connections == 2000
    assert successes == 2000
    assert megabytes < 100


def test_the_engine_over_tls_keeps_its_connections(site: Site) -> None:
    context = ssl.create_default_context(cafile=str(site.folder / "ca.pem"))
    result = measure(Plan(f"{site.https}/fast", rate=100, duration=1, connections=5, ssl_context=context))
    assert result.total.successes == 100
    assert result.tls.count == result.connections == 5
    assert result.total.others[Kind.RESET] == 0
