"""Audits over a network that loses packets, is cut, or is slow, with the kernel's TCP at both ends of it."""

from __future__ import annotations

import contextlib
import functools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from readiness.demo.processes import Server, running, valkey_binary

from . import wire
from .auditing import Outcome, assert_unharmed, audit
from .real_servers import until

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
WINDOW = 2.5
LIMITS = {
    "connect_seconds": 4,  # a lost SYN is sent again after a second, and then after two more
    "read_seconds": 4,
    "request_seconds": 4,
    "probe_seconds": 7,
    "window_seconds": WINDOW,
    "audit_seconds": 12,
}
DELAY = 0.15
HTTP, VALKEY = 8080, 6379
# They compare an answer with others of the same audit, and a busy machine delays one where it likes.
UNSTEADY = {"performance.latency.spread", "performance.cold_start", "performance.connect"}


def passed(outcome: Outcome) -> set[str]:
    return {id for id, status in outcome.statuses().items() if status == "pass"}


@dataclass(frozen=True)
class Deployment:
    """A web server and a cache at the far end of a wire, and an auditor at the near one."""

    folder: Path
    wire: wire.Wire
    cache: redis.Redis

    def audited(self) -> Outcome:
        configuration = {
            "http": {"url": f"http://{wire.FAR}:{HTTP}/", "endpoints": ["/"]},
            "redis": {"url": f"redis://{wire.FAR}:{VALKEY}"},
            "limits": LIMITS,
            "gate": {"min_coverage": 0},  # what is lacking is then what was lost
            "checks": {"caching.latency.ping": {"good_ms": 100, "bad_ms": 200}},  # even on a busy machine
        }
        outcome = audit(self.folder / "audit", configuration, through=self.wire.near)
        assert_unharmed(outcome, LIMITS["audit_seconds"])
        assert not outcome.report["interrupted"]
        return outcome

    def in_the_window(self) -> None:
        """Returns when the auditor has asked the cache for INFO, and a moment later."""
        until(lambda: any(each["cmd"].startswith("info") for each in self.cache.client_list(_type="normal")))
        time.sleep(WINDOW / 2)


@contextlib.contextmanager
def deployed(folder: Path) -> Iterator[Deployment]:
    (folder / "site").mkdir()
    (folder / "site/index.html").write_text("<!doctype html><title>A site</title><p>Hello\n")
    binary = valkey_binary()
    assert binary is not None
    door = folder / "door"  # in the file system, where no namespace is in the way of the test
    with wire.wire() as found, contextlib.ExitStack() as stack:
        http = ["-u", "-m", "http.server", str(HTTP), "-b", wire.FAR, "-p", "HTTP/1.1", "-d", str(folder / "site")]
        valkey = ["--port", str(VALKEY), "--bind", wire.FAR, "--protected-mode", "no", "--unixsocket", str(door)]
        valkey += ["--save", "", "--dir", str(folder)]
        for name, argv, says in (
            ("http", [sys.executable, *http], "Serving HTTP"),
            ("valkey", [str(binary), *valkey], "Ready to accept connections"),
        ):
            server = Server(name, [*found.far, *argv], log=folder / f"{name}.log")
            stack.enter_context(running(server, server.logged(says)))
        cache = stack.enter_context(redis.Redis(unix_socket_path=str(door), decode_responses=True, protocol=2))
        yield Deployment(folder, found, cache)


def over(folder: Path, loss: float = 0.0, delay: float = 0.0) -> Outcome:
    with deployed(folder) as found:
        found.wire.set(loss=loss, delay=delay)
        return found.audited()


def cut_in_the_window(folder: Path) -> Outcome:
    with deployed(folder) as found, ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(found.audited)
        found.in_the_window()
        found.wire.set(loss=1)
        return outcome.result()


SCENARIOS: dict[str, Callable[[Path], Outcome]] = {
    "lossy": functools.partial(over, loss=0.1),
    "slow": functools.partial(over, delay=DELAY),
    "cut in the window": cut_in_the_window,
    "cut": functools.partial(over, loss=1),
    "well": over,
}


@pytest.fixture(scope="module", autouse=True)
def wired() -> None:
    if not wire.possible():
        pytest.skip(wire.NEEDS)


@pytest.fixture(scope="module")
def outcomes(wired: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Outcome]]]:
    """All audits at once: most of their time is waiting."""
    with ThreadPoolExecutor(len(SCENARIOS)) as pool:
        yield {name: pool.submit(each, tmp_path_factory.mktemp("wire")) for name, each in SCENARIOS.items()}


def test_without_loss_everything_is_reached(outcomes: dict[str, Future[Outcome]]) -> None:
    """What the others are compared with."""
    outcome = outcomes["well"].result()
    assert outcome.code == 1, outcome.texts["stderr"]
    assert not outcome.report["incomplete"]
    assert {"caching.reach.connect", "error_handling.reach.http"} <= passed(outcome)


def test_loss_makes_nothing_better(outcomes: dict[str, Future[Outcome]]) -> None:
    """What is lost is sent again, later and later, so most is still learnt; nothing is judged better for it."""
    well, lossy = outcomes["well"].result(), outcomes["lossy"].result()
    assert {"caching.reach.connect", "error_handling.reach.http"} & passed(lossy)
    assert passed(lossy) <= passed(well) | UNSTEADY
    assert lossy.report["score"] <= well.report["score"]
    assert lossy.code == (3 if lossy.report["incomplete"] else 1)


def test_a_cut_cable_is_an_outage(outcomes: dict[str, Future[Outcome]]) -> None:
    outcome = outcomes["cut"].result()
    assert outcome.code == 3, outcome.texts["stderr"]
    assert outcome.report["incomplete"]
    assert outcome.statuses()["caching.reach.connect"] == outcome.statuses()["error_handling.reach.http"] == "error"
    assert passed(outcome) == set()
    assert outcome.report["score"] == 0


def test_a_cable_that_is_cut_in_the_window_leaves_what_was_learnt_before(outcomes: dict[str, Future[Outcome]]) -> None:
    well, outcome = outcomes["well"].result(), outcomes["cut in the window"].result()
    assert outcome.code == 3, outcome.texts["stderr"]
    assert outcome.report["incomplete"]
    assert outcome.statuses().keys() == well.statuses().keys()
    assert outcome.statuses()["caching.reach.connect"] == "error"
    assert {id for id in passed(outcome) if id.startswith("caching.")} == set(), "its second reading is missing"
    assert outcome.statuses()["performance.errors"] != "pass"
    assert passed(outcome) <= passed(well) | UNSTEADY
    assert 0 < outcome.report["score"] < well.report["score"]


def test_the_time_that_packets_are_under_way_is_part_of_every_latency(outcomes: dict[str, Future[Outcome]]) -> None:
    outcome, least = outcomes["slow"].result(), 2000 * DELAY
    [response] = [each for each in outcome.report["expectations"] if each["metric"] == "response_time_ms"]
    assert response["measured"] >= least
    assert not response["met"]
    for id in ("caching.latency.ping", "performance.connect"):
        [check] = [check for check in outcome.report["checks"] if check["id"] == id]
        number, unit = check["observed"].split()
        assert (check["status"], unit) == ("fail", "ms")
        assert float(number) >= least


ECHO = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 7))
print("bound", flush=True)
while True:
    server.sendto(*server.recvfrom(100))
"""
COUNT = """
import socket, sys, time
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(0.6)
came, least = 0, 9.0
for _ in range(3):
    for _ in range(200):
        client.sendto(str(time.monotonic()).encode(), (sys.argv[1], 7))
    try:
        for _ in range(200):
            sent = float(client.recv(100))
            came, least = came + 1, min(least, time.monotonic() - sent)
    except TimeoutError:
        pass
print(came / 600, least)
"""


def test_the_wire_does_what_it_is_told() -> None:
    with wire.wire() as found:
        argv = [*found.far, sys.executable, "-c", ECHO, wire.FAR]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as echo:
            try:
                assert echo.stdout is not None
                assert echo.stdout.readline() == "bound\n"
                shares = {}
                for loss, delay in ((0.0, 0.0), (0.1, DELAY), (1.0, 0.0)):
                    found.set(loss=loss, delay=delay)
                    argv = [*found.near, sys.executable, "-c", COUNT, wire.FAR]
                    done = subprocess.run(argv, capture_output=True, text=True, check=True)
                    share, least = map(float, done.stdout.split())
                    shares[loss] = share
                    assert least >= 2 * delay
            finally:
                echo.kill()
    assert shares == {0.0: 1.0, 0.1: pytest.approx(0.9 * 0.9, abs=0.06), 1.0: 0.0}
