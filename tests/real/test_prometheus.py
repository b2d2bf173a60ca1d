"""The Prometheus probe against Debian's Prometheus and Alertmanager, and against servers that only look like them."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import json
import shutil
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, start_http_server

from readiness import judge, loader
from readiness.demo.processes import Server, free_ports, running
from readiness.errors import ProbeError
from readiness.facts.base import Absent
from readiness.facts.collected import Collected, Outcome
from readiness.facts.metrics import MetricsFacts
from readiness.facts.prometheus import PrometheusFacts
from readiness.facts.service import ServiceFacts
from readiness.model import Finding, Status
from readiness.probes.prometheus import prometheus
from readiness.settings import HttpSettings, Limits, PrometheusSettings, Settings
from readiness.spec import Context
from readiness.window import Window

pytestmark = pytest.mark.real
REGISTRY = loader.load()
TEMPLATE = Path("/usr/share/prometheus/alertmanager/default.tmpl")
HOOK_SECRET = "h00k-s3cret"

RULES = """
groups:
- name: service
  interval: 1s
  rules:
  - alert: InstanceDown
    expr: up == 0
    labels: {severity: warning}
    annotations: {summary: down}
  - alert: HighErrorRatio
    expr: sum(rate(http_request_duration_seconds_count{status_code=~"5.."}[1m])) > 0.05
    labels: {severity: page}
    annotations: {summary: errors}
"""
ALERTMANAGER = """
route:
  receiver: oncall
  group_wait: 0s
  group_interval: 1s
  routes: [{receiver: blackhole, matchers: ['severity="none"']}]
receivers:
- name: oncall
  webhook_configs: [{url: "http://127.0.0.1:%d/%s"}]
- name: blackhole
"""


@dataclass(frozen=True)
class Stack:
    """A monitored service with its Prometheus and its Alertmanager; `dead` is a port where nothing listens."""

    service: str
    started: float
    prometheus: str
    alertmanager: str


def answer(url: str) -> Any:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            body = response.read()
    except OSError:
        return None
    with contextlib.suppress(ValueError):
        return json.loads(body)
    return body.decode()


def wait_for(what: str, ready: Callable[[], bool], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, f"no {what} within {seconds} s"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    binary, manager = shutil.which("prometheus"), shutil.which("prometheus-alertmanager")
    if binary is None:
        pytest.skip("no prometheus on PATH")
    if manager is None or not TEMPLATE.exists():
        pytest.skip(f"no prometheus-alertmanager on PATH, or no {TEMPLATE}, without which Debian's stops")
    folder = tmp_path_factory.mktemp("prometheus")
    service, port, alerting, dead = free_ports(4)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    durations = Histogram("http_request_duration_seconds", "d", ["method", "route", "status_code"], registry=registry)
    durations.labels("GET", "/", "200").observe(0.01)
    (folder / "rules.yml").write_text(RULES)
    (folder / "alertmanager.yml").write_text(ALERTMANAGER % (dead, HOOK_SECRET))
    (folder / "prometheus.yml").write_text(
        f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{alerting}"]}}]}}]}}
scrape_configs:
- job_name: api
  static_configs: [{{targets: ["localhost:{service}"]}}]
- job_name: dead
  static_configs: [{{targets: ["127.0.0.1:{dead}"]}}]
"""
    )
    server, thread = start_http_server(service, "127.0.0.1", registry)
    url, managed = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{alerting}"
    prom = Server(
        "prometheus",
        [binary, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
         f"--web.listen-address=127.0.0.1:{port}"],
        log=folder / "prometheus.log",
    )  # fmt: skip
    alertmanager = Server(
        "alertmanager",
        [manager, f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/alerts",
         f"--web.listen-address=127.0.0.1:{alerting}", "--cluster.listen-address="],
        log=folder / "alertmanager.log",
    )  # fmt: skip
    try:
        with (
            running(alertmanager, lambda: answer(f"{managed}/-/ready") is not None),
            running(prom, lambda: answer(f"{url}/-/ready") is not None),
        ):
            started = registry.get_sample_value("process_start_time_seconds")
            assert started is not None
            wait_for("scrape", lambda: "ok" in str(answer(f"{url}/api/v1/rules")) and _healths(url) == {"up", "down"})
            wait_for("failed notification", lambda: _failed(managed))
            yield Stack(f"http://127.0.0.1:{service}", started, url, managed)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def _healths(url: str) -> set[str]:
    return {target["health"] for target in answer(f"{url}/api/v1/targets")["data"]["activeTargets"]}


def _failed(url: str) -> bool:
    lines = str(answer(f"{url}/metrics")).splitlines()
    counts = [line for line in lines if line.startswith("alertmanager_notification_requests_failed_total{")]
    return any(line.split()[-1] != "0" for line in counts)


def collect(url: str, alertmanager: str | None = None, service: str | None = None) -> PrometheusFacts:
    context = Context(Window(0.1, 1), Limits(), "readiness/test", "rdy0123")
    settings = PrometheusSettings(url=url, alertmanager=alertmanager)
    headers: Any = {"Authorization": "Bearer s3cr3t"}
    return asyncio.run(prometheus(settings, HttpSettings(url=service, headers=headers), context))


def verdict(facts: PrometheusFacts, id: str, service: ServiceFacts | None = None, **parameters: Any) -> Finding:
    spec = REGISTRY.checks[f"monitoring.{id}"]
    collection: dict[Any, Collected] = {
        kind: Collected(Outcome.NOT_CONFIGURED, needs=probe.needs) for kind, probe in REGISTRY.probes.items()
    }
    collection[PrometheusFacts] = Collected(Outcome.COLLECTED, facts)
    if service is not None:
        collection[ServiceFacts] = Collected(Outcome.COLLECTED, service)
    return judge.call(spec, collection, Settings(), parameters)


def test_a_real_prometheus_is_read(stack: Stack) -> None:
    began = time.monotonic()
    facts = collect(stack.prometheus, stack.alertmanager, stack.service)
    assert time.monotonic() - began < 5
    assert facts.ready
    assert facts.version[:1].isdecimal()
    assert facts.reload_succeeded
    assert facts.retention
    ours, other = facts.targets
    assert (ours.job, ours.ours, ours.health) == ("api", True, "up"), "localhost and 127.0.0.1 are the same host"
    assert ours.started == pytest.approx(stack.started, abs=0.01)
    assert ours.interval == 1
    assert ours.age < 60
    assert (other.job, other.health) == ("dead", "down")
    assert {rule.name: rule.unknown_metrics for rule in facts.rules} == {"InstanceDown": (), "HighErrorRatio": ()}
    assert [(alert.name, alert.state) for alert in facts.alerts] == [("InstanceDown", "firing")]
    assert len(facts.alertmanagers) == 1
    assert PrometheusFacts.from_json(facts.to_json()) == facts


def test_a_real_alertmanager_is_read(stack: Stack) -> None:
    facts = collect(stack.prometheus, stack.alertmanager)
    manager = facts.alertmanager
    assert manager is not None
    assert manager.ready
    assert manager.cluster == "disabled"
    assert manager.root_receiver == "oncall"
    assert manager.receivers == {"oncall": ("webhook",), "blackhole": ()}
    assert manager.notifications_failed > 0
    assert HOOK_SECRET not in str(facts.to_json())


@pytest.mark.parametrize(
    ("id", "status", "message"),
    [
        ("prometheus.ready", Status.PASS, "is ready"),
        ("prometheus.config", Status.PASS, "succeeded"),
        ("prometheus.targets", Status.WARN, "1 of 2 targets are down"),
        ("prometheus.rules", Status.PASS, "2 rules"),
        ("prometheus.firing", Status.WARN, "InstanceDown is firing"),
        ("prometheus.alertmanagers", Status.PASS, "alerts go to"),
        ("alertmanager.ready", Status.PASS, "is ready"),
        ("alertmanager.receivers", Status.PASS, "oncall notifies by webhook"),
        ("alertmanager.delivery", Status.FAIL, "requests to receivers failed"),
        ("alertmanager.silences", Status.PASS, "no silence"),
    ],
)
def test_the_verdicts_on_a_real_pair(stack: Stack, id: str, status: Status, message: str) -> None:
    finding = verdict(collect(stack.prometheus, stack.alertmanager, stack.service), id)
    assert finding.status is status, finding
    assert message in finding.message


def test_a_service_known_by_another_name_is_recognised_by_its_start(stack: Stack) -> None:
    facts = collect(stack.prometheus, service="https://shop.example.com")
    exposed = MetricsFacts(state="parsed", started=stack.started)
    assert verdict(facts, "prometheus.targets", ServiceFacts(metrics=exposed)).status is Status.WARN
    assert verdict(facts, "prometheus.targets", ServiceFacts()).status is Status.FAIL
    assert verdict(facts, "prometheus.targets", ServiceFacts(), job="api").status is Status.WARN
    assert verdict(facts, "prometheus.targets", ServiceFacts(), job="dead").status is Status.FAIL


@contextlib.contextmanager
def pretending(status: int, body: bytes, kind: str = "application/json") -> Iterator[tuple[str, list[Any]]]:
    """A server that gives one answer to everything, and the headers of the requests that it got."""
    requests: list[Any] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(dict(self.headers))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"null",
        b'{"status": "success", "data": []}',
        b'{"status": "success", "data": {"activeTargets": 5, "groups": {}, "alerts": "x", "activeAlertmanagers": 0}}',
        b'{"status": "success", "data": {"version": {"a": 1}, "reloadConfigSuccess": "so", "storageRetention": NaN}}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_prometheus_gives_absent_facts_and_no_crash(body: bytes) -> None:
    with pretending(200, body) as (url, _):
        facts = collect(url, url)
    for name in ("version", "reload_succeeded", "targets", "rules", "alerts", "alertmanagers"):
        assert isinstance(facts.__dict__[name], Absent), name
    for id in ("prometheus.targets", "prometheus.rules", "prometheus.firing", "alertmanager.receivers"):
        assert verdict(facts, id).status is Status.ERROR


def test_a_prometheus_that_is_not_ready_fails_and_one_behind_a_login_is_unknown() -> None:
    with pretending(503, b"Service Unavailable", "text/plain") as (url, _):
        assert verdict(collect(url), "prometheus.ready").status is Status.FAIL
    with pretending(401, b"", "text/plain") as (url, requests):
        assert verdict(collect(url, url), "prometheus.ready").status is Status.ERROR
        assert verdict(collect(url, url), "alertmanager.ready").status is Status.ERROR
        assert all("Authorization" not in headers for headers in requests), "the service's credentials stay at home"


def test_nobody_at_home_is_a_probe_error_and_a_missing_alertmanager_a_failure() -> None:
    (port,) = free_ports(1)
    nowhere = f"http://127.0.0.1:{port}"
    with pytest.raises(ProbeError, match="could not connect"):
        collect(nowhere)
    with pretending(200, b"{}") as (url, _):
        facts = collect(url, nowhere)
    assert verdict(facts, "alertmanager.ready").status is Status.FAIL
    assert verdict(collect_without(), "alertmanager.ready").status is Status.UNTESTED


def collect_without() -> PrometheusFacts:
    with pretending(200, b"{}") as (url, _):
        return collect(url)
