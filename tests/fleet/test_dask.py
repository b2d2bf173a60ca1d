"""Audits and load on a Dask cluster: two workers in processes of their own, on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from readiness.cli import app
from readiness.cluster import Cluster, Senders, connect, connection
from readiness.errors import ConfigError, ProbeError
from readiness.load import LoadError, Plan, Result, run_shards, split
from readiness.load.shards import INTERRUPTED, merge
from readiness.machine import cores
from readiness.probes import load_remote
from readiness.sealed import Sealed
from readiness.settings import LoadSettings

from .clusters import Started, cluster, readiness, running, wait_until, write_fleet
from .conftest import Run
from .recorded import replay, slow


@pytest.fixture(scope="module")
def started() -> Iterator[Started]:
    with cluster(2, 8, "eu=1000") as found:
        yield found


@pytest.fixture(scope="module")
def connected(started: Started) -> Iterator[Cluster]:
    with connect(started.address) as found:
        yield found


# Audits.


def test_workers_find_what_local_processes_find(ports: list[int], local: Run, started: Started, tmp_path: Path) -> None:
    """And a worker that is killed in the middle loses no audit."""
    file, data = write_fleet(tmp_path / "fleet.yaml", ports), tmp_path / "out.json"
    state = tmp_path / "out-reports/.state"
    victim = started.workers()[0]
    with running("fleet", file, "-o", data, "--dask", started.address) as process:
        wait_until(lambda: state.is_dir() and any(state.iterdir()), "the first audit")
        os.kill(victim, signal.SIGKILL)
        output, errors = process.communicate(timeout=100)
    assert process.returncode == 0, output + errors
    assert "Traceback" not in errors
    remote = {row["name"]: row for row in json.loads(data.read_text())["deployments"]}
    assert {row["audit"] for row in remote.values()} == {"done"}
    for name, row in local.rows.items():
        if not (row["late"] or remote[name]["late"]):  # figures that a busy machine could not measure
            differing = set(row["components"].items()) ^ set(remote[name]["components"].items())
            # Latency is measured anew; everything else is the same.
            assert {component for component, _ in differing} <= {"performance"}, name
            assert differing or row["score"] == remote[name]["score"], name
    wait_until(lambda: len(started.workers()) == 2, "another worker in place of the one that was killed")


def test_a_scheduler_that_dies_leaves_a_report_of_what_was_finished(ports: list[int], tmp_path: Path) -> None:
    file, data = write_fleet(tmp_path / "fleet.yaml", ports), tmp_path / "out.json"
    state = tmp_path / "out-reports/.state"
    with (
        cluster(1, 2) as doomed,
        running("fleet", file, "-o", data, "--dask", doomed.address) as process,
    ):
        wait_until(lambda: state.is_dir() and len(list(state.iterdir())) >= 2, "two audits")
        os.kill(doomed.pid, signal.SIGKILL)
        _, errors = process.communicate(timeout=100)
    assert process.returncode == 3, errors
    assert "Traceback" not in errors
    rows = json.loads(data.read_text())["deployments"]
    assert 2 <= sum(row["audit"] == "done" for row in rows) < 12
    lost = [row for row in rows if row["audit"] != "done"]
    assert {row["reason"] for row in lost} == {f"the scheduler at {doomed.address} is gone"}


def _seen(dask_scheduler: Any) -> str:
    """Everything that the scheduler would show of its tasks."""
    tasks = [*dask_scheduler.tasks.values()]
    return " ".join(f"{task!r} {task.key!r} {task.run_spec!r} {task.group_key}" for task in tasks) + str(
        dask_scheduler.get_logs()
    )


def test_the_scheduler_sees_no_secret(connected: Cluster) -> None:
    secret = Sealed({"password": "sentinel-4711"})
    future = connected.executor().submit(slow, secret)
    wait_until(lambda: "slow" in connected.client.run_on_scheduler(_seen), "the call")
    seen = connected.client.run_on_scheduler(_seen)
    assert "sentinel" not in seen
    assert future.result(timeout=30) == "sentinel-4711"


def test_regions_are_resources_of_workers(connected: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    connected.demand([None, "eu"])
    with pytest.raises(ConfigError, match=r"no worker has the region 'us'.*there is eu"):
        connected.demand(["us"])
    assert connected.executor("eu").submit(abs, -1).result(timeout=30) == 1
    assert connected.trouble([None, "eu"]) == {}
    monkeypatch.setattr(connected, "_patience", 0.0)
    assert connected.trouble(["us", "eu"]) == {"us": "no worker of region us is left, and none came for 0 s"}


def test_every_worker_has_its_share_of_the_cores(connected: Cluster) -> None:
    assert connected.cores == cores() / 2


def test_what_cannot_be_used_is_named(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(ConfigError, match=r"--dask: no scheduler at tcp://127.0.0.1:9"),
        connect("tcp://127.0.0.1:9", seconds=1),
    ):
        pass
    monkeypatch.setattr(connection, "__version__", "0.0.0")
    with pytest.raises(ConfigError, match=r"has readiness .* this is readiness 0\.0\.0"), connect(started.address):
        pass


# Load.


def test_two_senders_measure_what_one_does(connected: Cluster) -> None:
    plan = Plan("http://127.0.0.1:9/", rate=500, duration=4, connections=10)
    alone = Result.unpack(replay(split(plan, 1)[0]))
    shards = split(plan, 2)
    senders = Senders(connected, 2)
    futures = [senders.submit(replay, shard) for shard in shards]
    together = merge([Result.unpack(future.result(timeout=30)) for future in futures])
    senders.shutdown()
    assert together.total.requests == alone.total.requests == 2000
    for percent in (0, 1, 25, 50, 75, 90, 95, 98, 99, 99.5, 99.9, 100):
        assert together.percentile(percent) == alone.percentile(percent)
    assert together.total.latency.encoded() == alone.total.latency.encoded()
    assert together.total.latency.max == alone.total.latency.max


def test_the_rate_is_split_and_begins_together(connected: Cluster, ports: list[int]) -> None:
    plan = Plan(f"http://127.0.0.1:{ports[0]}/", rate=100, duration=1.5, connections=4)
    senders = Senders(connected)
    assert senders.parties == 2
    merged = run_shards(split(plan, 2), senders)
    assert merged.complete
    assert merged.result.total.requests == 150
    assert merged.result.connections == 4
    assert merged.apart < 0.5
    assert senders.progress().requests > 0


def test_a_lost_worker_is_named_with_its_share(started: Started, ports: list[int], tmp_path: Path) -> None:
    """And what the others measured is reported."""
    data = tmp_path / "out.json"
    url = f"http://127.0.0.1:{ports[0]}/"
    arguments = ("--rate", 100, "--duration", "4s", "--connections", 4, "--dask", started.address, "-o", data)
    before = started.workers()
    with running("load", url, *arguments) as process:
        assert process.stderr is not None
        wait_until(lambda: "requests," in process.stderr.readline(), "the load")
        os.kill(before[0], signal.SIGKILL)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 3, output + errors
    (lost,) = json.loads(data.read_text())["lost"]
    assert "of 2 (50 requests/s over 2 connections) was lost: the worker at tcp://127.0.0.1:" in lost
    assert json.loads(data.read_text())["requests"] >= 190
    assert lost in output
    wait_until(lambda: len(started.workers()) == 2, "another worker in place of the one that was killed")


def test_what_stops_one_sender_stops_all(connected: Cluster, ports: list[int]) -> None:
    wait_until(lambda: len(connected.workers) == 2, "two workers")
    plan = Plan(f"http://127.0.0.1:{ports[0]}/", rate=50, duration=30, connections=2)
    senders = Senders(connected, 2)
    began = time.monotonic()

    def look() -> None:
        if senders.progress().requests > 5:
            raise KeyboardInterrupt

    merged = run_shards(split(plan, 2), senders, look=look)
    assert merged.result.stopped == INTERRUPTED
    assert not merged.lost
    assert 5 < merged.result.total.requests < 1000
    assert time.monotonic() - began < 25


def test_nobody_there_to_send_to(connected: Cluster) -> None:
    with pytest.raises(LoadError, match="could not connect"):
        run_shards(split(Plan("http://127.0.0.1:9/", rate=10, duration=1, connections=2), 2), Senders(connected, 2))


def test_more_senders_than_workers(connected: Cluster) -> None:
    with pytest.raises(ValueError, match="3 senders on 2 workers"):
        Senders(connected, 3)
    with pytest.raises(ValueError, match="1 senders on 0 workers"):
        Senders(connected, region="us")


def test_the_load_checks_send_from_the_workers(started: Started, ports: list[int], tmp_path: Path) -> None:
    facts, config = tmp_path / "facts.json", tmp_path / "readiness.yaml"
    config.write_text("limits: {window_seconds: 0.5}\nload: {duration: 5, rate: 60}\n")
    more = ("--load", "--dask", started.address, "--only", "performance.*", "-c", config, "--save-facts", facts)
    done = readiness("audit", f"http://127.0.0.1:{ports[0]}/", *more)
    assert done.returncode == 0, done.stdout + done.stderr
    load = json.loads(facts.read_text())["collected"]["LoadFacts"]["facts"]
    assert load["steps"][0]["answers"]["2xx"] > 10
    assert load["most_connections"] >= 10


def test_no_cluster_to_send_the_load_from(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(address: str) -> None:
        raise ConfigError(f"no scheduler at {address}", place="--dask")

    async def enter() -> None:
        async with load_remote.senders(LoadSettings(dask="tcp://127.0.0.1:9")):
            pass

    monkeypatch.setattr("readiness.cluster.connect", refuse)
    with pytest.raises(ProbeError, match=r"load.dask: no scheduler at tcp://127.0.0.1:9"):
        asyncio.run(enter())


USAGE = {
    "no address": (
        ["--dask", "nowhere"],
        "load.dask: expected the address of a Dask scheduler, such as tcp://HOST:8786",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), USAGE.values(), ids=USAGE)
def test_usage(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["audit", "http://127.0.0.1:9/", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_region_needs_a_cluster() -> None:
    result = CliRunner().invoke(app, ["load", "http://127.0.0.1:9/", "--region", "eu"])
    assert result.exit_code == 2
    assert "only the workers of a cluster have regions" in result.stderr
