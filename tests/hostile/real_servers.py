"""Real servers for the tests of this folder to disturb: MongoDB, Valkey and a web server on free ports of loopback."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from readiness.demo.processes import Server, accepts, free_ports, mongod_binary, running, stop_all, valkey_binary

SETTLE_SECONDS = 60.0
# Elects at once, and notices a loss within two seconds.
QUICK = {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 300, "heartbeatTimeoutSecs": 1}


@dataclass(frozen=True)
class Mongod:
    server: Server
    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def uri(self) -> str:
        return f"mongodb://{self.address}/"

    @contextlib.contextmanager
    def client(self, **options: Any) -> Iterator[MongoClient[dict[str, Any]]]:
        """A client of this member alone, of the test's own."""
        usual: dict[str, Any] = {"directConnection": True, "serverSelectionTimeoutMS": 2000, "appname": "test"}
        with MongoClient(host="127.0.0.1", port=self.port, **usual | options) as client:
            yield client

    def start(self) -> None:
        self.server.log.unlink(missing_ok=True)
        self.server.start(self.server.logged("Waiting for connections"))


@dataclass(frozen=True)
class MongoSet:
    members: tuple[Mongod, ...]

    @property
    def uri(self) -> str:
        return f"mongodb://{','.join(member.address for member in self.members)}/?replicaSet=rs0"

    def states(self) -> dict[str, int]:
        """The members' states, as the first one that is alive sees them."""
        alive = next(member for member in self.members if member.server.alive)
        with alive.client() as client:
            status = client.admin.command("replSetGetStatus")
        return {entry["name"]: entry["state"] for entry in status["members"]}

    def primary(self) -> Mongod:
        """The primary, once there is one."""
        until(lambda: 1 in self.states().values())
        states = self.states()
        return next(member for member in self.members if states[member.address] == 1)

    def settle(self, *wanted: int) -> None:
        until(lambda: sorted(self.states().values()) == sorted(wanted))


def until(holds: Callable[[], bool], seconds: float = SETTLE_SECONDS) -> None:
    """Waits until `holds()`; fails the test where that does not come."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(PyMongoError, redis.RedisError, StopIteration):
            if holds():
                return
        time.sleep(0.05)
    raise AssertionError("the servers did not come to what was waited for")


def mongod(folder: Path, *more: str) -> Mongod:
    """A server that is not started yet."""
    binary = mongod_binary()
    assert binary is not None
    (port,) = free_ports(1)
    data = folder / f"mongod-{port}"
    data.mkdir()
    options = ["--bind_ip", "127.0.0.1", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25", *more]
    argv = [binary, "--port", str(port), "--dbpath", data, *options]
    return Mongod(Server(f"mongod-{port}", argv, log=folder / f"mongod-{port}.log"), port)


@contextlib.contextmanager
def standalone(folder: Path) -> Iterator[Mongod]:
    found = mongod(folder)
    with running(found.server, found.server.logged("Waiting for connections")):
        yield found


@contextlib.contextmanager
def replica_set(folder: Path) -> Iterator[MongoSet]:
    """Three members that hold data."""
    found = MongoSet(tuple(mongod(folder, "--replSet", "rs0", "--oplogSize", "990") for _ in range(3)))
    servers = [member.server for member in found.members]
    try:
        for server in servers:
            server.spawn()
        for server in servers:
            server.wait(server.logged("Waiting for connections"))
        members = [{"_id": number, "host": member.address} for number, member in enumerate(found.members)]
        with found.members[0].client() as client:
            client.admin.command("replSetInitiate", {"_id": "rs0", "members": members, "settings": QUICK})
        found.settle(1, 2, 2)
        yield found
    finally:
        stop_all(servers, kill=True)  # asked politely, a member waits ten seconds for another primary


@dataclass(frozen=True)
class Valkey:
    server: Server
    port: int

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def client(self) -> Iterator[Any]:
        with redis.Redis(port=self.port, decode_responses=True, protocol=2, socket_timeout=10) as client:
            yield client

    def start(self) -> None:
        self.server.start(lambda: accepts(self.port))


@contextlib.contextmanager
def valkey(folder: Path, *more: str) -> Iterator[Valkey]:
    binary = valkey_binary()
    assert binary is not None
    (port,) = free_ports(1)
    home = folder / f"valkey-{port}"
    home.mkdir()
    argv = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", home, *more]
    found = Valkey(Server(f"valkey-{port}", argv, log=folder / f"valkey-{port}.log"), port)
    with running(found.server, lambda: accepts(port)):
        yield found


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[tuple[Valkey, ...]]:
    """Three primaries that share the slots between them."""
    buses = free_ports(3)
    with contextlib.ExitStack() as stack:
        flags = ("--cluster-enabled", "yes", "--cluster-node-timeout", "5000")
        nodes = tuple(stack.enter_context(valkey(folder, *flags, "--cluster-port", str(bus))) for bus in buses)
        for index, node in enumerate(nodes):
            with node.client() as client:
                first, last = 16_384 * index // 3, 16_384 * (index + 1) // 3 - 1
                client.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", index + 1)
                client.execute_command("CLUSTER MEET", "127.0.0.1", nodes[0].port, buses[0])

        def agreed() -> bool:
            states = []
            for node in nodes:
                with node.client() as client:
                    states.append(str(client.execute_command("CLUSTER INFO")))
            return all("'cluster_known_nodes': '3'" in state and "'cluster_state': 'ok'" in state for state in states)

        until(agreed)
        yield nodes


@contextlib.contextmanager
def site(folder: Path) -> Iterator[tuple[Server, int]]:
    """The web server of the standard library, with one page."""
    (folder / "site").mkdir()
    (folder / "site/index.html").write_text("<!doctype html><title>A site</title><p>Hello\n")
    (port,) = free_ports(1)
    argv = [sys.executable, "-u", "-m", "http.server", str(port), "--bind", "127.0.0.1", "-d", folder / "site"]
    server = Server("http.server", argv, log=folder / "http.log")
    with running(server, lambda: accepts(port)):
        yield server, port
