"""Real servers that are not the demo: a mongod, a Valkey, and an npm-free HTTP server of the standard library."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from readiness.demo.processes import Server, accepts, free_ports, mongod_binary, running, valkey_binary


@dataclass(frozen=True)
class Deployment:
    url: str
    mongodb: str
    redis: str
    valkey: Server
    redis_port: int


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("deployment")
    mongod, valkey = mongod_binary(), valkey_binary()
    assert mongod is not None
    assert valkey is not None
    http_port, mongo_port, redis_port = free_ports(3)
    (folder / "data").mkdir()
    (folder / "site").mkdir()
    (folder / "site/index.html").write_text("<!doctype html><title>A site</title><p>Hello\n")
    servers = [
        (_python_http(folder, http_port), http_port),
        (_mongod(folder, mongod, mongo_port), mongo_port),
        (_valkey(folder, valkey, redis_port), redis_port),
    ]
    with contextlib.ExitStack() as stack:
        for server, port in servers:
            stack.enter_context(running(server, lambda port=port: accepts(port)))  # type: ignore[misc]
        yield Deployment(
            f"http://127.0.0.1:{http_port}",
            f"mongodb://127.0.0.1:{mongo_port}",
            f"redis://127.0.0.1:{redis_port}",
            servers[2][0],
            redis_port,
        )


def _python_http(folder: Path, port: int) -> Server:
    argv = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", folder / "site"]
    return Server("http.server", argv, log=folder / "http.log")


def _mongod(folder: Path, binary: Path, port: int) -> Server:
    argv = [binary, "--dbpath", folder / "data", "--port", str(port), "--bind_ip", "127.0.0.1"]
    return Server("mongod", [*argv, "--wiredTigerCacheSizeGB", "0.25"], log=folder / "mongod.log")


def _valkey(folder: Path, binary: Path, port: int) -> Server:
    argv = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
    return Server("valkey", argv, log=folder / "valkey.log")
