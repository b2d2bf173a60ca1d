"""A machine that gets no processor time: what it then measures is not the server's, and no check may say so."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
import timeit
from collections.abc import Iterator

import pytest

from readiness import loader
from readiness.collect import collect
from readiness.facts.collected import Collected, Outcome
from readiness.facts.load import LatencyFacts
from readiness.judge import call
from readiness.load import Plan, Result, measure, run
from readiness.model import Finding, Status
from readiness.settings import Settings

from .counting import Counting

REGISTRY = loader.load()
JUDGED = ("performance.latency.average", "performance.latency.p95", "performance.latency.spread")


@contextlib.contextmanager
def starved(seconds: float) -> Iterator[None]:
    """Another thread keeps the interpreter for itself, for so long at a time: nothing interrupts a call into C."""
    million = min(timeit.repeat(lambda: sum(range(1_000_000)), number=1, repeat=5))
    numbers = range(int(1_000_000 * seconds / million))
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
        # The server is starved as well: its every call to the system may cost it such a turn.
        plan = Plan(server.url, rate=100, duration=1, connections=10, timeout=60)
        with starved(0.05):
            result = measure(plan)
    assert result.late
    assert result.total.lateness.percentile(99) > 20
    assert result.to_json()["late"]
    assert server.requests == result.total.requests == 100, "late, but no more and no fewer"


def test_a_starved_engine_leaves_out_what_would_be_wrong() -> None:
    with Counting() as server:
        plan = Plan(server.url, rate=100, duration=1, connections=10, tolerance=0.01, timeout=60)
        with starved(0.05):
            result = measure(plan)
    assert result.total.skipped > 25
    assert result.total.lateness.max <= 10
    assert server.requests == result.total.requests == 100 - result.total.skipped


SERVER = """
import asyncio
class Server(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        self.transport.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
async def main():
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


def test_an_engine_with_no_time_left_says_so_although_it_is_hardly_late() -> None:
    """It sends within half a millisecond; the queue that grows in it is latency, and none of it the server's."""

    async def block() -> None:
        while True:
            end = time.perf_counter() + 0.0005
            while time.perf_counter() < end:
                pass
            await asyncio.sleep(0)

    async def go(url: str) -> Result:
        blocking = asyncio.get_running_loop().create_task(block())
        result = await run(Plan(url, rate=5000, duration=0.5, connections=1))
        blocking.cancel()
        return result

    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        result = asyncio.run(go(f"http://127.0.0.1:{int(server.stdout.readline())}/"))
    finally:
        server.kill()
        server.communicate()
    assert result.total.service.percentile(50) < result.percentile(50) / 5
    assert result.late


def judged(url: str) -> tuple[LatencyFacts, dict[str, Finding]]:
    """The light profile's facts, and what the checks make of them."""
    settings = Settings.model_validate({"http": {"url": url}, "limits": {"window_seconds": 1}})
    collected = collect({LatencyFacts: REGISTRY.probes[LatencyFacts]}, settings, lambda *_: None).collected
    facts = collected[LatencyFacts].facts
    assert isinstance(facts, LatencyFacts), collected[LatencyFacts].reason
    everything = {each: Collected(Outcome.NOT_CONFIGURED, needs="nothing") for each in REGISTRY.probes} | collected
    return facts, {id: call(REGISTRY.checks[id], everything, settings, {}) for id in JUDGED}


def test_checks_judge_nothing_that_a_starved_machine_measured() -> None:
    with Counting() as server, starved(0.15):
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
