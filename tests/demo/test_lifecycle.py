"""Nothing is left behind: not after a crash, a Ctrl-C or a SIGKILL; and a port that somebody took is survived."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pymongo
import pytest
import yaml

from readiness.demo import STAGES, StartError, deployment
from readiness.demo import launch as module
from readiness.demo.processes import PortTaken, Server, free_ports, mongod_binary, running, stop_all
from readiness.errors import ConfigError

from .helpers import alive, children, client, eventually

pytestmark = pytest.mark.real
needs_mongod = pytest.mark.skipif(mongod_binary() is None, reason="no mongod for this platform")
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def test_an_unknown_stage_is_refused() -> None:
    with pytest.raises(ConfigError, match="no stage 'staging'"), deployment("staging"):
        pass


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_NEEDED", ("uvicorn", "surely_not_installed"))
    expected = r"surely_not_installed \(in a clone: pip install '\.\[demo\]'\)"
    with pytest.raises(ConfigError, match=expected), deployment("current"):
        pass


@needs_mongod
def test_a_taken_port_is_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []

    def ports(count: int) -> list[int]:
        found = free_ports(count)
        counts.append(count)
        if len(counts) == 1:
            found[1] = taken.getsockname()[1]  # of the second mongod
        elif len(counts) == 2:
            found[-3] = taken.getsockname()[1]  # of the service
        return found

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(module, "free_ports", ports)
        monkeypatch.setattr(module, "STAGES", {"current": replace(STAGES["current"], run_in=100)})
        with deployment("current", folder=tmp_path) as started:
            assert len(counts) == 3
            assert [path.name for path in tmp_path.iterdir()] == [started.folder.name]
            with client(started) as anyone:
                assert anyone.get("/health").status_code == 200
            with pymongo.MongoClient(started.config["mongodb"]["app_uri"]) as shop:
                assert shop.market.products.index_information().keys() > {"_id_", "category_1"}
                assert shop.market.orders.index_information().keys() == {"_id_", "created_at_-1"}
    assert not list(tmp_path.iterdir())


def test_ports_that_are_always_taken_end_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(module, "mongod_binary", lambda: None)
        monkeypatch.setattr(module, "free_ports", lambda count: [taken.getsockname()[1]] * count)
        with pytest.raises(PortTaken, match="payments ended"), deployment("current", folder=tmp_path):
            pass
    assert not list(tmp_path.iterdir())


def test_without_mongod_the_rest_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "mongod_binary", lambda: None)
    with deployment("current", folder=tmp_path) as started:
        [sentence] = started.missing
        assert "no mongod was found" in sentence
        assert "mongodb" not in started.config
        assert "waivers" not in started.config
        with client(started) as anyone:
            assert anyone.get("/health/live").status_code == 200
            assert anyone.get("/health").status_code == 503
            products = anyone.get("/api/products")
            assert products.status_code == 503
            assert products.headers["retry-after"]
            assert anyone.get("/api/orders").status_code == 401


def test_a_wrong_override_is_reported_and_cleaned_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "mongod_binary", lambda: None)
    wrong = deployment("current", folder=tmp_path, overrides={"no_such_setting": 1})
    with pytest.raises(StartError, match=r"service-1 ended.*no_such_setting"), wrong:
        pass
    assert not list(tmp_path.iterdir())


def test_an_exception_stops_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "mongod_binary", lambda: None)
    servers: list[Server] = []

    def crash() -> None:
        with deployment("current", folder=tmp_path) as started:
            servers.extend(started.processes.values())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        crash()
    assert servers
    assert not any(server.alive for server in servers)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def command(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """python -m readiness.demo production, with its temporary folder in `tmp_path`."""
    with subprocess.Popen(
        [sys.executable, "-m", "readiness.demo", "production"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        start_new_session=True,
    ) as process:
        yield process
        process.kill()


def configuration(process: subprocess.Popen[str]) -> dict[str, dict[str, str]]:
    """What the command prints, up to the empty line that ends it."""
    assert process.stdout
    lines = []
    for line in process.stdout:
        if not line.strip():
            break
        lines.append(line)
    loaded: dict[str, dict[str, str]] = yaml.safe_load("".join(lines))
    return loaded


@needs_mongod
@linux
def test_ctrl_c_ends_the_command_and_all_servers(command: subprocess.Popen[str], tmp_path: Path) -> None:
    printed = configuration(command)
    trusted = ssl.create_default_context(cafile=printed["http"]["ca_file"])
    assert httpx.get(printed["http"]["url"] + "/health", verify=trusted, trust_env=False).status_code == 200
    servers = children(command.pid)
    assert len(servers) >= 6
    command.send_signal(signal.SIGINT)
    assert command.wait(30) == 130
    assert not alive(servers)
    assert not list(tmp_path.iterdir())


@needs_mongod
@linux
def test_ctrl_c_while_it_starts_leaves_nothing(command: subprocess.Popen[str], tmp_path: Path) -> None:
    servers = eventually(lambda: found if len(found := children(command.pid)) >= 4 else None)
    command.send_signal(signal.SIGINT)
    assert command.wait(30) == 130
    assert not alive(servers)
    assert not list(tmp_path.iterdir())


@needs_mongod
@linux
def test_killing_the_command_leaves_no_server(command: subprocess.Popen[str]) -> None:
    configuration(command)
    servers = children(command.pid)
    assert len(servers) >= 6
    command.send_signal(signal.SIGKILL)
    command.wait(10)
    eventually(lambda: not alive(servers))


def test_the_helper_explains_itself() -> None:
    result = subprocess.run([sys.executable, "-m", "readiness.demo"], capture_output=True, text=True, timeout=30)
    assert result.returncode == 2
    assert result.stderr.strip() == f"usage: python -m readiness.demo {'|'.join(STAGES)}"


def test_a_server_that_never_gets_ready_is_stopped(tmp_path: Path) -> None:
    server = Server("sleeper", [sys.executable, "-c", "print('yawn', flush=True); import time; time.sleep(60)"],
                    log=tmp_path / "log")  # fmt: skip
    server.spawn()
    with pytest.raises(StartError, match="sleeper was not ready within 1 s: yawn"):
        server.wait(lambda: False, 1)
    assert not server.alive


def test_a_server_that_ends_is_reported_with_its_last_words(tmp_path: Path) -> None:
    server = Server("quitter", [sys.executable, "-c", "raise SystemExit('no licence')"], log=tmp_path / "log")
    with pytest.raises(StartError, match="quitter ended with status 1: no licence"), running(server, lambda: False):
        pass


def test_a_server_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    server = Server("stubborn", [sys.executable, "-c", code], log=tmp_path / "log")
    server.start(server.logged("up"))
    stop_all([server], seconds=0.3)
    assert not server.alive
