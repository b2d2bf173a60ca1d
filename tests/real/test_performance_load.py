"""The load that has to be permitted, against a service whose capacity and whose ways to fail are known."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
import urllib.request
from collections.abc import Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from readiness import loader
from readiness.collect import collect
from readiness.demo.processes import Server, accepts, free_ports, running
from readiness.errors import ProbeError
from readiness.facts.base import maybe
from readiness.facts.collected import Collected, Outcome
from readiness.facts.load import EndpointLatency, LatencyFacts, LoadFacts, Timing
from readiness.judge import call
from readiness.model import Finding, Status
from readiness.probes.load_ramp import ramp
from readiness.settings import Settings
from readiness.spec import Context
from readiness.window import Window

pytestmark = pytest.mark.real
REGISTRY = loader.load()
SERVER = Path(__file__).with_name("capacity_server.py")
CAPACITY = 200
"""Answers a second of the service."""
CHECKS = ("throughput.capacity", "concurrency", "recovery", "degradation")


@contextlib.contextmanager
def serving(folder: Path, *options: str) -> Iterator[str]:
    (port,) = free_ports(1)
    command = [sys.executable, SERVER, str(port), *options]
    with running(Server("capacity", command, log=folder / f"{port}.log"), partial(accepts, port)):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("capacity")) as url:
        yield url


def seen(url: str) -> dict[str, Any]:
    """What arrived at the service since this was last asked."""
    with urllib.request.urlopen(f"{url}/seen", timeout=5) as answer:
        told: dict[str, Any] = json.load(answer)
    return told


def configured(url: str, **load: Any) -> Settings:
    users = load.pop("users", 10)
    load["allow"] = True
    return Settings.model_validate({"http": {"url": url}, "load": load, "expectations": {"concurrent_users": users}})


def loading(settings: Settings, *paths: str) -> Coroutine[Any, Any, LoadFacts]:
    """The probe, as it goes on after a light load that found nothing."""
    times = Timing(count=20, mean_ms=21, p50_ms=21, p95_ms=22, p99_ms=23, max_ms=24)
    endpoints = tuple(EndpointLatency(path=path, asked=path, answers={"2xx": 20}, timing=times) for path in paths)
    latency = LatencyFacts(url=settings.http.url or "", declared=True, endpoints=endpoints)
    context = Context(Window(1, 1), settings.limits, "readiness/test", "canary")
    return ramp(settings.http, settings.load, settings.expectations, latency, context)


def undisturbed(settings: Settings, *paths: str) -> LoadFacts:
    """A run in which other work on this machine did not delay the requests."""
    for _ in range(3):
        seen(settings.http.url or "")
        facts = asyncio.run(loading(settings, *paths))
        if told(facts):
            read: LoadFacts = LoadFacts.from_json(facts.to_json())
            return read
    pytest.skip("the machine is too busy to measure")


def told(facts: LoadFacts) -> bool:
    """Whether this machine never was the limit."""
    if (ended := maybe(lambda: facts.ended)) == "refused":
        return True
    return ended is not None and maybe(lambda: (facts.after, facts.hold)) is not None


def judged(facts: LoadFacts, settings: Settings, **parameters: Any) -> dict[str, Finding]:
    collection = {each: Collected(Outcome.NOT_CONFIGURED, needs="nothing") for each in REGISTRY.probes}
    collection[LoadFacts] = Collected(Outcome.COLLECTED, facts)
    collection[LatencyFacts] = Collected(Outcome.COLLECTED, LatencyFacts(url=facts.url, declared=True))
    specs = {id: REGISTRY.checks[f"performance.{id}"] for id in CHECKS}
    return {id: call(spec, collection, settings, parameters.get(id, {})) for id, spec in specs.items()}


def test_the_ramp_finds_the_capacity(service: str) -> None:
    settings = configured(service, rate=400, connections=300, duration=8, users=200)
    facts = undisturbed(settings, "/work")
    arrived = seen(service)
    assert facts.ended == "latency"
    assert CAPACITY / 3 < facts.sustained < CAPACITY * 1.15
    assert facts.beyond
    assert arrived["requests"] == facts.requests
    assert arrived["most_connections"] <= 300
    assert arrived["busiest_second"] <= 410
    assert arrived["lasted"] <= 8
    assert facts.hold is None or facts.hold.connections == 200
    findings = judged(facts, settings)
    assert findings["throughput.capacity"].status is Status.PASS, "the peak of 200 users is 20 a second"
    assert findings["recovery"].status is Status.PASS
    assert findings["degradation"].status is Status.PASS
    assert findings["concurrency"].measured == (None if facts.hold is None else 200)
    short = judged(facts, configured(service, rate=400, users=10_000))["throughput.capacity"]
    assert short.status is Status.FAIL
    assert "p95 rises from" in short.message


def test_never_more_than_the_ceilings(service: str) -> None:
    settings = configured(service, rate=60, connections=15, duration=5, users=10_000)
    facts = undisturbed(settings, "/fast?a=1", "/fast?b=2", "/fast")
    arrived = seen(service)
    assert facts.ended == "rate"
    assert max(step.rate for step in facts.steps) == 60
    assert arrived["requests"] == facts.requests
    assert arrived["busiest_second"] <= 66, "60, and what a late request adds to the next second"
    assert arrived["most_connections"] <= 15
    assert arrived["lasted"] <= 5
    findings = judged(facts, settings)
    assert {finding.status for id, finding in findings.items() if id != "recovery"} == {Status.UNTESTED}
    assert "all that load.rate permits" in findings["throughput.capacity"].message
    assert "raise load.connections to 10,000 and load.rate to 1,000" in findings["concurrency"].message
    assert findings["recovery"].status is Status.PASS


@pytest.mark.parametrize(
    ("path", "refusal"),
    [("/limited", "429 with Retry-After: 60"), ("/shedding", "503 with Retry-After: 1"), ("/firewall", "4xx")],
)
def test_a_refusal_ends_the_load_at_once(service: str, path: str, refusal: str) -> None:
    settings = configured(service, rate=400, connections=100, duration=6, users=5000)
    facts = undisturbed(settings, path)
    arrived = seen(service)
    assert facts.ended == "refused"
    assert arrived["requests"] == facts.requests
    if facts.steps[-1].retry_after:
        assert facts.steps[-1].stopped == refusal.partition(":")[0]
        assert sum(facts.steps[-1].answers.get(kind, 0) for kind in ("429", "5xx")) < 10
    findings = judged(facts, settings)
    assert findings["throughput.capacity"].status is Status.UNTESTED
    assert refusal in findings["throughput.capacity"].message
    assert findings["recovery"].status is findings["concurrency"].status is Status.UNTESTED
    shed = findings["degradation"].status is Status.PASS
    assert shed == (path == "/shedding")


def test_a_service_that_stays_slow_is_told_from_one_that_recovers(service: str) -> None:
    settings = configured(service, rate=400, connections=100, duration=6)
    facts = undisturbed(settings, "/stuck")
    findings = judged(facts, settings)
    assert findings["recovery"].status is Status.FAIL
    assert "p50" in findings["recovery"].message


def test_errors_above_capacity(service: str) -> None:
    settings = configured(service, rate=400, connections=200, duration=5, users=5000)
    facts = undisturbed(settings, "/failing")
    assert facts.ended == "errors"
    assert facts.sustained < CAPACITY * 1.15
    findings = judged(facts, settings)
    assert findings["throughput.capacity"].status is Status.FAIL
    assert "5xx" in findings["throughput.capacity"].message
    assert findings["degradation"].status is Status.PASS, "it fails quickly, and answers the rest"


def test_connections_that_the_service_does_not_hold(tmp_path: Path) -> None:
    with serving(tmp_path, "20") as url:
        settings = configured(url, rate=60, connections=100, duration=5, users=60)
        facts = undisturbed(settings, "/fast")
        assert seen(url)["most_connections"] == 20
    assert facts.hold is not None
    assert facts.hold.wanted == 60
    assert facts.hold.held == 20
    assert judged(facts, settings)["concurrency"].status is Status.FAIL


def test_a_starved_machine_judges_nothing(service: str) -> None:
    settings = configured(service, rate=200, connections=20, duration=3)

    async def starved() -> LoadFacts:
        async def starve() -> None:
            while True:
                time.sleep(0.1)  # noqa: ASYNC251  # as if another process had the processor
                await asyncio.sleep(0.001)

        task = asyncio.create_task(starve())
        try:
            return await loading(settings, "/fast")
        finally:
            task.cancel()

    findings = judged(asyncio.run(starved()), settings)
    assert {finding.status for finding in findings.values()} == {Status.ERROR}
    assert all("this machine could not send" in finding.message for finding in findings.values()), findings


def test_an_interrupted_load_stops_sending(service: str) -> None:
    settings = configured(service, rate=200, connections=50, duration=10)

    async def interrupted() -> None:
        task = asyncio.create_task(loading(settings, "/work"))
        await asyncio.sleep(1.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    seen(service)
    asyncio.run(interrupted())
    time.sleep(0.1)
    assert seen(service)["requests"] > 20
    time.sleep(0.3)
    assert seen(service)["requests"] == 0


def test_load_that_does_not_fit_into_the_audit_is_not_begun(service: str) -> None:
    seen(service)
    with pytest.raises(ProbeError, match=r"load\.duration 60 does not fit into limits\.probe_seconds: set that to 70"):
        asyncio.run(loading(configured(service, duration=60), "/work"))
    assert seen(service)["requests"] == 0


def test_only_with_permission_and_after_the_light_load(service: str) -> None:
    planned = {facts: REGISTRY.probes[facts] for facts in (LatencyFacts, LoadFacts)}
    settings = configured(service, rate=60, duration=3)
    settings = settings.model_copy(update={"limits": settings.limits.model_copy(update={"window_seconds": 1})})
    without = settings.model_copy(update={"load": settings.load.model_copy(update={"allow": False})})
    collected = collect(planned, without, lambda *_: None).collected
    assert collected[LoadFacts].outcome is Outcome.NOT_CONFIGURED
    assert seen(service)["requests"] <= 40
    finding = call(REGISTRY.checks["performance.throughput.capacity"], collected, without, {})
    assert (finding.status, finding.message) == (
        Status.UNTESTED,
        "needs load.allow in the configuration",
    )
    collected = collect(planned, settings, lambda *_: None).collected
    assert collected[LoadFacts].outcome is Outcome.COLLECTED, collected[LoadFacts].reason
    light, facts = collected[LatencyFacts].facts, collected[LoadFacts].facts
    assert isinstance(light, LatencyFacts)
    assert isinstance(facts, LoadFacts)
    assert facts.paths == ("/",)
    assert seen(service)["requests"] == light.requests + facts.requests
