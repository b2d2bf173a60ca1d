"""MongoDB servers for the tests of this folder, on free ports of loopback; each is stopped by its pid."""

from __future__ import annotations

import base64
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from readiness.demo.processes import Server, free_ports, mongod_binary, running, stop_all

ADMIN_PASSWORD = "admin-pass-1"
AUDITOR_PASSWORD = "auditor-pass-2"
APP_PASSWORD = "app-pass-3"
SETTLE_SECONDS = 30.0
# Elects at once, and notices a loss within two seconds.
QUICK = {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 300, "heartbeatTimeoutSecs": 1}


@dataclass
class Mongod:
    """One running mongod."""

    server: Server
    port: int
    admin: str = ""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def uri(self) -> str:
        return f"mongodb://{self.address}/"

    @contextlib.contextmanager
    def client(self, **options: Any) -> Iterator[MongoClient[dict[str, Any]]]:
        """A direct client with every right."""
        login = {"username": "admin", "password": self.admin} if self.admin else {}
        with MongoClient(host="127.0.0.1", port=self.port, directConnection=True, **{**login, **options}) as client:
            yield client


@dataclass
class MongoSet:
    """A replica set, its members in the order of its configuration."""

    members: list[Mongod] = field(default_factory=list)

    @property
    def uri(self) -> str:
        return f"mongodb://{','.join(member.address for member in self.members)}/?replicaSet=rs0"

    @property
    def alive(self) -> list[Mongod]:
        return [member for member in self.members if member.server.alive]

    def states(self) -> dict[str, int]:
        """The members' states, as the first one that is alive sees them."""
        with self.alive[0].client(serverSelectionTimeoutMS=2000) as client:
            status = client.admin.command("replSetGetStatus")
        return {entry["name"]: entry["state"] for entry in status["members"]}

    def primary(self) -> Mongod:
        return next(member for member in self.members if self.states()[member.address] == 1)

    def settle(self, *wanted: int) -> None:
        """Waits until the states of the members are these, in any order."""
        until(lambda: sorted(self.states().values()) == sorted(wanted))


def until(holds: Callable[[], bool]) -> None:
    """Waits until `holds()`, and fails the test if that does not come."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(PyMongoError, StopIteration):
            if holds():
                return
        time.sleep(0.1)
    pytest.fail("the servers did not settle")


def mongod(folder: Path, *more: str) -> tuple[Server, int]:
    """A mongod that is not started yet, and its port."""
    binary = mongod_binary()
    if binary is None:
        pytest.skip("no mongod here")
    (port,) = free_ports(1)
    data = folder / f"mongod-{port}"
    data.mkdir()
    options = ["--bind_ip", "127.0.0.1", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25", *more]
    argv = [binary, "--port", str(port), "--dbpath", data, *options]
    return Server(f"mongod-{port}", argv, log=folder / f"mongod-{port}.log"), port


@contextlib.contextmanager
def one(folder: Path, *more: str) -> Iterator[Mongod]:
    """A standalone server."""
    server, port = mongod(folder, *more)
    with running(server, server.logged("Waiting for connections")):
        yield Mongod(server, port)


@contextlib.contextmanager
def replica_set(folder: Path, *more: str, arbiters: int = 0) -> Iterator[MongoSet]:
    """A set of three; the last `arbiters` of them hold no data."""
    made = [mongod(folder, "--replSet", "rs0", "--oplogSize", "990", *more) for _ in range(3)]
    servers = [server for server, _ in made]
    try:
        for server in servers:
            server.spawn()
        for server in servers:
            server.wait(server.logged("Waiting for connections"))
        found = MongoSet([Mongod(server, port) for server, port in made])
        members = [
            {"_id": number, "host": member.address, "arbiterOnly": number >= 3 - arbiters}
            for number, member in enumerate(found.members)
        ]
        with found.members[0].client() as client:
            client.admin.command("replSetInitiate", {"_id": "rs0", "members": members, "settings": QUICK})
            until(lambda: bool(client.admin.command("hello")["isWritablePrimary"]))
        yield found
    finally:
        stop_all(servers, kill=True)  # asked politely, a member waits ten seconds for another primary


def add_accounts(client: MongoClient[dict[str, Any]]) -> None:
    """An administrator, through the localhost exception."""
    client.admin.command("createUser", "admin", pwd=ADMIN_PASSWORD, roles=["root"])


def add_auditor(client: MongoClient[dict[str, Any]], copies: int = 1) -> None:
    """The auditor with clusterMonitor alone, and an application that reads and writes one database."""
    for user, password, role in (
        ("readiness", AUDITOR_PASSWORD, {"role": "clusterMonitor", "db": "admin"}),
        ("shop", APP_PASSWORD, {"role": "readWrite", "db": "shop"}),
    ):
        client.admin.command("createUser", user, pwd=password, roles=[role], writeConcern={"w": copies})


def fill(client: MongoClient[dict[str, Any]], documents: int = 3000) -> None:
    """A collection with an index, and one that is small."""
    shop = client.shop
    shop.products.insert_many([{"_id": n, "artisan": n % 50, "price": n} for n in range(documents)])
    shop.products.create_index([("artisan", 1), ("price", -1)])
    shop.settings.insert_one({"_id": "currency", "value": "not for the auditor"})


@contextlib.contextmanager
def shoppers(uri: str, count: int = 2) -> Iterator[None]:
    """Clients that look up and change products by index until the end of the block."""
    stop = threading.Event()

    def shop() -> None:
        with MongoClient(uri, appname="shop-api", maxPoolSize=5) as client:
            products, number = client.shop.products, 0
            while not stop.wait(0.002):
                number += 1
                list(products.find({"artisan": number % 50}).sort("price", -1).limit(20))
                products.find_one({"_id": number % 1000})
                if number % 5 == 0:
                    products.update_one({"_id": number % 1000}, {"$inc": {"price": 1}})

    threads = [threading.Thread(target=shop) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(0.3)
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.fixture(scope="module")
def open_mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """A standalone server without access control, with some data."""
    with one(tmp_path_factory.mktemp("open")) as found:
        with found.client() as client:
            fill(client)
        yield found


@pytest.fixture(scope="module")
def guarded_mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """A standalone server with access control and three accounts: admin, readiness, shop."""
    with one(tmp_path_factory.mktemp("guarded"), "--auth") as found:
        with found.client() as client:
            add_accounts(client)
        found.admin = ADMIN_PASSWORD
        with found.client() as client:
            add_auditor(client)
            fill(client)
        yield found


@pytest.fixture(scope="module")
def healthy_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoSet]:
    """Three members that hold data, without access control, with some data. Do not break it."""
    with replica_set(tmp_path_factory.mktemp("set")) as found:
        with MongoClient(found.uri) as client:
            fill(client)
        found.settle(1, 2, 2)
        yield found


@pytest.fixture
def breakable_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoSet]:
    """The same, for a test that kills members."""
    with replica_set(tmp_path_factory.mktemp("breakable")) as found:
        with MongoClient(found.uri) as client:
            fill(client, 100)
        found.settle(1, 2, 2)
        yield found


@pytest.fixture(scope="module")
def arbiter_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoSet]:
    """Two members that hold data and an arbiter, with access control, where nobody can log in on the arbiter."""
    folder = tmp_path_factory.mktemp("arbiter")
    key = folder / "key"
    key.touch(0o600)
    key.write_bytes(base64.b64encode(b"only a test has such a key file, of some length"))
    with replica_set(folder, "--keyFile", str(key), arbiters=1) as found:
        with found.members[0].client() as client:
            add_accounts(client)
        for member in found.members[:2]:
            member.admin = ADMIN_PASSWORD
        with found.members[0].client() as client:
            add_auditor(client, copies=2)
        found.settle(1, 2, 7)
        yield found
