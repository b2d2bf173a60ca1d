"""A machine that gets no processor time: what it then measures is not the server's, and no check may say so."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from readiness import loader
from readiness.collect import collect
from readiness.facts.collected import Collected, Outcome
from readiness.facts.load import LatencyFacts
from readiness.judge import call
from readiness.load import Plan, Result, measure
from readiness.model import Finding, Status
from readiness.settings import Settings

from .counting import Counting

REGISTRY = loader.load()
JUDGED = ("performance.latency.average", "performance.latency.p95", "performance.latency.spread")


@contextlib.contextmanager
def starved(seconds: float) -> Iterator[None]:
    """Another thread keeps the interpreter for itself, for so long at a time: nothing interrupts a call into C."""
    began = time.perf_counter()
    sum(range(1_000_000))
    numbers = range(int(1_000_000 * seconds / (time.perf_counter() - began)))
    enough = threading.Event()

    def burn() -> None:
        while not enough.is_set():
            sum(numbers)

    thread = threading.Thread(target=burn)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def test_a_starved_engine_says_that_it_was_late() -> None:
    with Counting() as server:
        plan = Plan(server.url, rate=100, duration=1, connections=10)
        with starved(0.05):
            result = measure(plan)
    assert result.late
    assert result.total.lateness.percentile(99) > 20
    assert result.to_json()["late"]
    assert server.requests == result.total.requests == 100, "late, but no more and no fewer"


def test_a_starved_engine_leaves_out_what_would_be_wrong() -> None:
    with Counting() as server:
        plan = Plan(server.url, rate=100, duration=1, connections=10, tolerance=0.01)
        with starved(0.05):
            result = measure(plan)
    assert result.total.skipped > 25
    assert result.total.lateness.max <= 10
    assert server.requests == result.total.requests == 100 - result.total.skipped


def judged(url: str) -> tuple[LatencyFacts, dict[str, Finding]]:
    """The light profile's facts, and what the checks make of them."""
    settings = Settings.model_validate({"http": {"url": url}, "limits": {"window_seconds": 1}})
    collected = collect({LatencyFacts: REGISTRY.probes[LatencyFacts]}, settings, lambda *_: None).collected
    facts = collected[LatencyFacts].facts
    assert isinstance(facts, LatencyFacts), collected[LatencyFacts].reason
    everything = {each: Collected(Outcome.NOT_CONFIGURED, needs="nothing") for each in REGISTRY.probes} | collected
    return facts, {id: call(REGISTRY.checks[id], everything, settings, {}) for id in JUDGED}


def test_checks_judge_nothing_that_a_starved_machine_measured() -> None:
    with Counting() as server, starved(0.3):
        facts, findings = judged(server.url)
    assert facts.endpoints[0].skipped > 0
    for finding in findings.values():
        assert finding.status is Status.ERROR, finding
        assert "this machine could not send" in finding.message, finding


def test_the_same_machine_with_time_to_spare_does_judge() -> None:
    for _ in range(3):
        with Counting() as server:
            facts, findings = judged(server.url)
        if not facts.endpoints[0].skipped:
            assert {finding.status for finding in findings.values()} == {Status.PASS}
            return
    pytest.skip("the machine is too busy to measure")


def test_a_blocked_event_loop_is_late_whatever_the_rate() -> None:
    """Work of one's own in the same loop is as bad as another process."""

    async def go() -> Result:
        from readiness.load import run

        with Counting() as server:
            blocking = asyncio.get_running_loop().create_task(block())
            result = await run(Plan(server.url, rate=5, duration=1, connections=2))
            blocking.cancel()
            return result

    async def block() -> None:
        while True:
            sum(range(3_000_000))
            await asyncio.sleep(0)

    assert asyncio.run(go()).late
