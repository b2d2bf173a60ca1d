"""MongoDB servers in the shapes that the matrix of topologies asks for, and applications that use them."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from pymongo.read_preferences import Nearest

from readiness.demo.certificates import issue
from readiness.demo.mongo import DATABASE, ReplicaSet
from readiness.demo.processes import Server, free_ports, mongod_binary, stop_all

from .conftest import (
    ADMIN_PASSWORD,
    AUDITOR_PASSWORD,
    SETTLE_SECONDS,
    Mongod,
    MongoSet,
    add_accounts,
    add_auditor,
    one,
    replica_set,
    until,
)

Client = MongoClient[dict[str, Any]]
POOR = "poor-pass-4"
# A pool and time-outs as a long-running service should have them.
APP_OPTIONS = {
    "appName": "shop-api", "maxPoolSize": "20", "minPoolSize": "5", "maxIdleTimeMS": "300000",
    "waitQueueTimeoutMS": "5000", "serverSelectionTimeoutMS": "5000", "connectTimeoutMS": "10000",
    "socketTimeoutMS": "45000", "retryWrites": "true", "retryReads": "true", "w": "majority",
    "compressors": "zstd,snappy",
}  # fmt: skip


@dataclass(frozen=True)
class Secured:
    """Three members with TLS and accounts, and the usual timing of elections and heartbeats."""

    members: ReplicaSet
    servers: list[Server]

    @property
    def auditor(self) -> str:
        return self.members.auditor_uri

    @property
    def application(self) -> str:
        """The URI of the application, for the auditor to read."""
        return self.members.uri("shop", self.members.app_password, APP_OPTIONS)

    @property
    def driver(self) -> str:
        """The same for the driver of the tests, which lacks the compressors."""
        known = {name: value for name, value in APP_OPTIONS.items() if name != "compressors"}
        return self.members.uri("shop", self.members.app_password, known)

    def admin(self) -> Client:
        """A client of the whole set with every right."""
        return self.members.admin()

    @contextlib.contextmanager
    def each(self) -> Iterator[list[Client]]:
        """A direct client with every right for each member."""
        assert self.members.tls is not None
        login = {"username": "admin", "password": self.members.admin_password}
        options = {"directConnection": True, "tls": True, "tlsCAFile": str(self.members.tls.authority), **login}
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(Client("127.0.0.1", port, **options)) for port in self.members.ports]


@contextlib.contextmanager
def secured(folder: Path) -> Iterator[Secured]:
    """A set that is configured as it should be, with majority writes and an oplog of two days."""
    binary = mongod_binary()
    assert binary is not None
    members = ReplicaSet(binary, folder, tuple(free_ports(3)), tls=issue(folder))
    servers = members.servers()
    try:
        for server in servers:
            server.spawn()
        members.establish(servers)
        members.settle("majority")
        with members.admin() as client:
            client.admin.command("createUser", "poor", pwd=POOR, roles=[], writeConcern={"w": 3})
            products = client[DATABASE].products
            products.insert_many([{"_id": n, "artisan": n % 50, "price": n} for n in range(3000)])
            products.create_index([("artisan", 1), ("price", -1)])
        yield Secured(members, servers)
    finally:
        stop_all(servers, kill=True)  # asked politely, a member waits ten seconds for another primary


def keyed(folder: Path) -> tuple[str, str]:
    """The options that give the members of a set a key file, and so access control."""
    key = folder / "key"
    key.touch(0o600)
    key.write_bytes(base64.b64encode(b"only a test has such a key file, of some length"))
    return "--keyFile", str(key)


@contextlib.contextmanager
def guarded_set(folder: Path, *more: str, arbiters: int = 0) -> Iterator[MongoSet]:
    """Three members with access control; the last `arbiters` of them hold no data, and no accounts."""
    copies = 3 - arbiters
    with replica_set(folder, *keyed(folder), *more, arbiters=arbiters) as found:
        with found.members[0].client() as client:
            add_accounts(client)
        for member in found.members[:copies]:
            member.admin = ADMIN_PASSWORD
        with found.members[0].client() as client:
            add_auditor(client, copies=copies)
        # Elected at once; from now on a busy machine causes no elections.
        reconfigure(found, electionTimeoutMillis=10_000, heartbeatTimeoutSecs=10)
        found.settle(*[1, *[2] * (copies - 1), *[7] * arbiters])
        yield found


def sampled(client: Client) -> None:
    """Waits until a server that has just started has looked at its machine, which it does once a second."""
    until(lambda: bool(client.admin.command("getDiagnosticData")["data"]))


def reconfigure(found: MongoSet, **settings: int | bool) -> None:
    """Changes settings of the set, such as the time-outs of its elections."""
    with found.primary().client() as client:
        config = client.admin.command("replSetGetConfig")["config"]
        config["version"] += 1
        config["settings"] |= settings
        client.admin.command("replSetReconfig", config)


def uri(found: Mongod | MongoSet, user: str = "readiness", password: str = AUDITOR_PASSWORD) -> str:
    """The URI of an account, by default of the one with clusterMonitor."""
    start, separator = f"mongodb://{user}:{password}@", "&" if "?" in found.uri else "?"
    return f"{found.uri.replace('mongodb://', start)}{separator}authSource=admin"


@contextlib.contextmanager
def encrypted(folder: Path, *names: str, not_after: dt.datetime | None = None) -> Iterator[str]:
    """A standalone server that takes TLS only, with a certificate for `names`; its URI, which trusts its authority.

    `not_after` must lie in the future: mongod does not start with an expired certificate.
    """
    bundle, trusted = folder / "server.pem", folder / "ca.pem"
    authority = trustme.CA()
    moment = not_after.astimezone(dt.UTC).replace(tzinfo=None) if not_after else None
    leaf = authority.issue_cert(*names, not_after=moment)
    leaf.private_key_and_cert_chain_pem.write_to_path(bundle)
    authority.cert_pem.write_to_path(trusted)
    options = ("--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(bundle), "--tlsCAFile", str(trusted))
    with one(folder, *options, "--tlsAllowConnectionsWithoutCertificates", "--auth") as found:
        made = f"mongodb://127.0.0.1:{found.port}/?tls=true&tlsCAFile={trusted}&tlsAllowInvalidCertificates=true"
        with MongoClient(made, directConnection=True) as client:
            add_accounts(client)
        with MongoClient(made, directConnection=True, username="admin", password=ADMIN_PASSWORD) as client:
            add_auditor(client)
            sampled(client)
        yield f"mongodb://readiness:{AUDITOR_PASSWORD}@127.0.0.1:{found.port}/?tls=true&tlsCAFile={trusted}"


@contextlib.contextmanager
def trading(
    uri: str, act: Callable[[Client, int], object], *, threads: int = 4, pause: float = 0.002, before: int = 1
) -> Iterator[None]:
    """One application: threads that share a client and act until the block ends.

    The block begins once each thread has acted `before` times, and fails at its end if one of them met an error.
    """
    stop, errors, begun = threading.Event(), list[PyMongoError](), threading.Barrier(threads + 1)

    def work(client: Client, first: int) -> None:
        number = first
        for _ in range(before):
            act(client, number)
            number += threads
        begun.wait(SETTLE_SECONDS)
        while not stop.wait(pause):
            number += threads
            try:
                act(client, number)
            except PyMongoError as error:
                errors.append(error)
                return

    with MongoClient(uri) as client:
        workers = [threading.Thread(target=work, args=(client, first)) for first in range(threads)]
        for worker in workers:
            worker.start()
        try:
            begun.wait(SETTLE_SECONDS)
            yield
        finally:
            stop.set()
            for worker in workers:
                worker.join()
    assert not errors


def shop(client: Client, number: int) -> None:
    """What a service does that has its indexes: two reads, one of them from any member, and sometimes a write."""
    products = client[DATABASE].products
    list(products.find({"artisan": number % 50}).sort("price", -1).limit(20))
    products.with_options(read_preference=Nearest()).find_one({"_id": number % 3000})
    if number % 5 == 0:
        products.update_one({"_id": number % 3000}, {"$inc": {"price": 1}})
