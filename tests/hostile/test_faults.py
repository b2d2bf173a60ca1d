"""Real servers that die, freeze, restart or change their roles in the middle of an audit, bad networks, odd clocks.

However an audit is hit, it ends in time with a complete report, and what it lost is never called ready.
"""

from __future__ import annotations

import contextlib
import functools
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import PyMongoError

from readiness import loader
from readiness.model import Status

from .auditing import CONTROL, Outcome, audit
from .proxy import Network, proxied
from .real_servers import Mongod, Valkey, cluster, replica_set, site, standalone, until, valkey

AT_ONCE = 4
pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(600),
    # Connections that end badly are the point.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
EVERY_CHECK = frozenset(loader.load().checks)
WINDOW = 2.5
LIMITS = {
    "connect_seconds": 2,
    "read_seconds": 3,
    "request_seconds": 3,
    "probe_seconds": 9,
    "window_seconds": WINDOW,
    "audit_seconds": 15,
}
Scenario = Callable[[Path], None]
SCENARIOS: dict[str, Scenario] = {}


def scenario(function: Scenario) -> Scenario:
    """Of all that is here, a few are played at once: most of their time is waiting."""
    SCENARIOS[function.__name__] = function
    return function


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[None]]]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {name: pool.submit(each, tmp_path_factory.mktemp("fault")) for name, each in SCENARIOS.items()}


def audited(folder: Path, configuration: dict[str, Any], *, act: Callable[[], None] = lambda: None) -> Outcome:
    """The outcome of an audit, and of a fault while it waits for its window to close; its gate asks for 9 points.

    What must hold however it was hit is looked at here.
    """
    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(audit, folder / "audit", {"limits": LIMITS, **configuration}, ("json", "html"))
        try:
            act()
        finally:
            outcome = beside.result()
    shown = outcome.texts["stderr"][-2000:]
    assert outcome.code in (1, 3), shown
    for name, text in outcome.texts.items():
        assert "Traceback (most recent call last)" not in text, f"{name}: {shown}"
        assert CONTROL.search(text) is None, name
    report = outcome.report
    components = {check["component"] for check in report["checks"]}
    assert {"database", "caching", "security", "monitoring", "error_handling", "performance"} <= components
    expected = {id for id in EVERY_CHECK if id.partition(".")[0] in components}
    assert expected == {check["id"] for check in report["checks"]}
    assert {check["status"] for check in report["checks"]} <= {*Status}
    assert not [check["id"] for check in report["checks"] if "itself failed" in check["message"]]
    assert report["duration_seconds"] <= LIMITS["audit_seconds"] + 1
    assert not report["interrupted"]
    return outcome


def passed(outcome: Outcome, prefix: str) -> set[str]:
    return {id for id, status in outcome.statuses(prefix).items() if status == "pass"}


def message(outcome: Outcome, id: str) -> str:
    return next(str(check["message"]) for check in outcome.report["checks"] if check["id"] == id)


# --- MongoDB


def in_the_window(member: Mongod) -> None:
    """Returns when the auditor has been at the member long enough to have taken its first readings."""
    with member.client() as client:

        def seen() -> bool:
            pipeline: list[dict[str, Any]] = [
                {"$currentOp": {"allUsers": True, "idleConnections": True}},
                {"$match": {"appName": {"$regex": "^readiness/"}}},
            ]
            return bool(list(client.admin.aggregate(pipeline)))

        until(seen)
    time.sleep(WINDOW / 2)


@scenario
def a_set_fails_over_then_freezes_then_dies(folder: Path) -> None:
    """The test steps the primary down, stops a secondary, and kills the primary, in an audit each."""
    with replica_set(folder) as found:
        with found.primary().client() as client:
            client.shop.products.insert_many([{"n": n} for n in range(100)])
        first = found.primary()

        def step_down() -> None:
            in_the_window(first)
            with first.client() as client, contextlib.suppress(PyMongoError):
                client.admin.command("replSetStepDown", 30, secondaryCatchUpPeriodSecs=10)

        configuration = {"mongodb": {"uri": found.uri}}
        outcome = audited(folder / "failover", configuration, act=step_down)
        assert outcome.statuses()["database.reach.connect"] == "pass"
        found.settle(1, 2, 2)
        primary = found.primary()
        assert primary is not first
        secondary = next(member for member in found.members if member is not primary)

        def freeze() -> None:
            in_the_window(secondary)
            secondary.server.signal(signal.SIGSTOP)

        outcome = audited(folder / "frozen", configuration, act=freeze)
        assert outcome.statuses()["database.repl.health"] in ("warn", "fail", "error")
        assert str(secondary.port) in message(outcome, "database.repl.health")
        secondary.server.signal(signal.SIGCONT)
        found.settle(1, 2, 2)
        primary = found.primary()

        def kill() -> None:
            in_the_window(primary)
            primary.server.signal(signal.SIGKILL)

        outcome = audited(folder / "killed", configuration, act=kill)
        assert outcome.statuses()["database.repl.health"] in ("warn", "fail", "error")
        assert str(primary.port) in message(outcome, "database.repl.health")


@scenario
def a_mongod_restarts(folder: Path) -> None:
    with standalone(folder) as found:

        def restart() -> None:
            in_the_window(found)
            found.server.stop(kill=True)
            found.start()

        outcome = audited(folder, {"mongodb": {"uri": found.uri}}, act=restart)
    # What is a difference between two readings is not judged by counters that began anew in between.
    differences = {
        "latency.op_avg",
        "latency.op_p95",
        "index.targeting",
        "conn.churn",
        "conn.metrics",
        "errors.command_rate",
    }
    assert not passed(outcome, "database.") & {f"database.{name}" for name in differences}


# --- Valkey


@contextlib.contextmanager
def warm(folder: Path) -> Iterator[Valkey]:
    with valkey(folder, "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru") as found:
        with found.client() as client:
            for number in range(300):
                client.set(f"user:{number}", "x", ex=1000)
                client.get(f"user:{number}")
        yield found


def reading(cache: Valkey) -> None:
    """Returns when the auditor has asked for INFO, and a moment later."""
    with cache.client() as client:
        until(lambda: any(each["cmd"].startswith("info") for each in client.client_list()))
    time.sleep(WINDOW / 2)


def lost(outcome: Outcome) -> None:
    """The server was lost, so none of its checks has passed, and the audit is incomplete."""
    assert outcome.code == 3, outcome.texts["stderr"]
    assert outcome.report["incomplete"]
    assert outcome.statuses()["caching.reach.connect"] == "error"
    assert passed(outcome, "caching.") == set()


@scenario
def a_valkey_freezes(folder: Path) -> None:
    with warm(folder) as cache:

        def freeze() -> None:
            reading(cache)
            cache.server.signal(signal.SIGSTOP)

        lost(audited(folder, {"redis": {"url": cache.url}}, act=freeze))


@scenario
def a_valkey_restarts(folder: Path) -> None:
    with warm(folder) as cache:

        def restart() -> None:
            reading(cache)
            cache.server.stop(kill=True)
            cache.start()

        lost(audited(folder, {"redis": {"url": cache.url, "warm_keys": {"user:*": 1}}}, act=restart))


@scenario
def a_valkey_is_killed(folder: Path) -> None:
    with warm(folder) as cache:

        def kill() -> None:
            reading(cache)
            cache.server.stop(kill=True)

        lost(audited(folder, {"redis": {"url": cache.url}}, act=kill))


@scenario
def a_replica_restarts(folder: Path) -> None:
    """Its look-ups count for the hit rate, which may not be made of counters that began anew."""
    with warm(folder) as primary, valkey(folder, "--replicaof", f"127.0.0.1 {primary.port}") as replica:
        with primary.client() as client:
            until(lambda: client.info("replication").get("slave0", {}).get("state") == "online")
        with replica.client() as client:
            for _ in range(3):
                client.get("user:1")

        def restart() -> None:
            reading(replica)
            replica.server.stop(kill=True)
            replica.start()
            with replica.client() as client:  # more than it had before, so that no counter seems to have fallen
                until(lambda: bool(client.info("replication")["master_link_status"] == "up"))
                for _ in range(200):
                    client.get("user:1")

        outcome = audited(folder, {"redis": {"url": primary.url}}, act=restart)
    assert "caching.hit_rate.window" not in passed(outcome, "caching.")


@scenario
def a_primary_of_a_cluster_is_killed(folder: Path) -> None:
    """The figures of the whole lack its part, so there are none."""
    with cluster(folder) as nodes:

        def kill() -> None:
            reading(nodes[2])
            nodes[2].server.signal(signal.SIGKILL)

        outcome = audited(folder, {"redis": {"url": nodes[0].url}}, act=kill)
    assert outcome.statuses()["caching.reach.connect"] == "pass"
    counted = {"hit_rate.window", "errors.rate", "latency.command_avg", "memory.evictions"}
    assert not passed(outcome, "caching.") & {f"caching.{name}" for name in counted}


# --- HTTP


def a_service_is_killed(folder: Path, requests: int) -> None:
    with site(folder) as (server, port):

        def kill() -> None:
            until(lambda: server.output().count('HTTP/1.1"') >= requests)
            server.signal(signal.SIGKILL)

        outcome = audited(folder, {"http": {"url": f"http://127.0.0.1:{port}", "endpoints": ["/"]}}, act=kill)
    assert outcome.code == 3, outcome.texts["stderr"]
    assert outcome.report["score"] < 4


SCENARIOS["a_service_is_killed_at_once"] = functools.partial(a_service_is_killed, requests=1)
SCENARIOS["a_service_is_killed_later"] = functools.partial(a_service_is_killed, requests=20)


# --- the network


NETWORKS = {
    "late": Network(delay=0.1),
    "in_pieces": Network(delay=0.001, piece=97),
    "byte_by_byte": Network(delay=0.05, piece=1),
    "cut_off_at_once": Network(most=0, cut=True),
    "cut_off_early": Network(most=600, cut=True),
    "cut_off_later": Network(most=9_000, cut=True),
    "dead_at_once": Network(most=0),
    "dead_early": Network(most=600),
    "dead_later": Network(most=9_000),
}


def over_a_network(folder: Path, name: str) -> None:
    with contextlib.ExitStack() as stack:
        _, web = stack.enter_context(site(folder))
        database, cache = stack.enter_context(standalone(folder)), stack.enter_context(valkey(folder))
        http, mongodb, redis = (
            stack.enter_context(proxied(port, NETWORKS[name])) for port in (web, database.port, cache.port)
        )
        configuration = {
            "http": {"url": f"http://127.0.0.1:{http}"},
            "mongodb": {"uri": f"mongodb://127.0.0.1:{mongodb}"},
            "redis": {"url": f"redis://127.0.0.1:{redis}"},
            "limits": {**LIMITS, "window_seconds": 0.5},
        }
        outcome = audited(folder, configuration)
    reached = {id: outcome.statuses()[id] for id in ("database.reach.connect", "caching.reach.connect")}
    if name in ("late", "in_pieces"):
        assert set(reached.values()) == {"pass"}, reached
        return
    assert outcome.code == 3, outcome.texts["stderr"]
    assert "pass" not in reached.values() or name.endswith("later"), reached
    if name.endswith("at_once"):
        assert outcome.report["score"] < 1


for _name in NETWORKS:
    SCENARIOS[f"over_a_network_{_name}"] = functools.partial(over_a_network, name=_name)


# --- the clock


JUMP = """
import datetime
import sys
import time

_began, _time, _real = time.monotonic(), time.time, datetime.datetime


def _ahead():
    # The first readings are taken by then, the second ones are not.
    return {jump} if time.monotonic() - _began > {after} else 0.0


class datetime_that_jumps(_real):
    @classmethod
    def now(cls, tz=None):
        return _real.fromtimestamp(_time() + _ahead(), tz)


time.time = lambda: _time() + _ahead()
datetime.datetime = datetime_that_jumps
for module in list(sys.modules.values()):
    if getattr(module, "datetime", None) is _real:
        module.datetime = datetime_that_jumps
"""


def the_clock_jumps(folder: Path, seconds: float) -> None:
    """The auditor's own; that of a server is among the misbehaviours of test_stores.py."""
    pack = folder / "audit/mine"
    pack.mkdir(parents=True)
    (pack / "jump.py").write_text(JUMP.format(jump=seconds, after=WINDOW / 2 + 0.5))
    with site(folder) as (_, web), standalone(folder) as database, valkey(folder) as cache:
        configuration = {
            "http": {"url": f"http://127.0.0.1:{web}"},
            "mongodb": {"uri": database.uri},
            "redis": {"url": cache.url},
            "packs": ["mine"],
        }
        report = audited(folder, configuration).report
    assert report["facts"]["RedisFacts"]["state"] == report["facts"]["MongoFacts"]["state"] == "collected"
    assert report["duration_seconds"] >= 2
    assert all(0 <= record["seconds"] < 60 for record in report["facts"].values())


SCENARIOS["the_clock_jumps_ahead"] = functools.partial(the_clock_jumps, seconds=86_400 * 400)
SCENARIOS["the_clock_jumps_back"] = functools.partial(the_clock_jumps, seconds=-86_400 * 400)


@pytest.mark.parametrize("name", SCENARIOS)
def test_it_ends_well(played: dict[str, Future[None]], name: str) -> None:
    played[name].result()
