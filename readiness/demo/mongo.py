"""A MongoDB replica set of three members with key file and accounts, ready within seconds."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from readiness.demo.certificates import Certificates
from readiness.demo.processes import Server, StartError

if TYPE_CHECKING:
    from pymongo import MongoClient

SET_NAME = "market"
DATABASE = "market"
_CACHE_GB = 0.25
_OPLOG_MB = 990
_SETTLE_SECONDS = 60.0
# One second elects at once; afterwards the defaults, so that a busy machine does not cause elections.
_QUICK = {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 200}
_USUAL = {"electionTimeoutMillis": 10_000, "heartbeatIntervalMillis": 2000}


def _password() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True)
class ReplicaSet:
    """Three members on loopback. `start()` spawns them, `establish()` makes them a set with accounts."""

    binary: Path
    folder: Path
    ports: tuple[int, ...]
    tls: Certificates | None = None
    oplog_hours: int = 48
    admin_password: str = field(default_factory=_password, repr=False)
    app_password: str = field(default_factory=_password, repr=False)
    auditor_password: str = field(default_factory=_password, repr=False)

    def servers(self) -> list[Server]:
        """The members, not started yet."""
        key = self.folder / "mongod.keyfile"
        key.touch(0o600)
        key.write_bytes(base64.b64encode(secrets.token_bytes(256)))
        servers = []
        for number, port in enumerate(self.ports, 1):
            data, config = self.folder / f"mongod-{number}", self.folder / f"mongod-{number}.conf"
            data.mkdir()
            config.write_text(json.dumps(self._config(port, data, key), indent=2))
            log = self.folder / f"mongod-{number}.log"
            servers.append(Server(f"mongod-{number}", [self.binary, "--config", config], log=log))
        return servers

    def _config(self, port: int, data: Path, key: Path) -> dict[str, Any]:
        """mongod.conf: YAML, of which JSON is a part."""
        net: dict[str, Any] = {"bindIp": "127.0.0.1", "port": port, "unixDomainSocket": {"enabled": False}}
        if self.tls:
            # zlib stays off: 6.0.5 leaks memory through it to anybody (CVE-2025-14847).
            net["compression"] = {"compressors": "snappy,zstd"}
            net["tls"] = {
                "mode": "requireTLS",
                "certificateKeyFile": str(self.tls.bundle),
                "CAFile": str(self.tls.authority),
                "allowConnectionsWithoutCertificates": True,
            }
        storage: dict[str, Any] = {
            "dbPath": str(data),
            "wiredTiger": {"engineConfig": {"cacheSizeGB": _CACHE_GB}},
        }
        if self.oplog_hours:
            storage["oplogMinRetentionHours"] = self.oplog_hours
        return {
            "storage": storage,
            "net": net,
            "security": {"keyFile": str(key), "authorization": "enabled"},
            "replication": {"replSetName": SET_NAME, "oplogSizeMB": _OPLOG_MB},
        }

    @property
    def hosts(self) -> str:
        return ",".join(f"127.0.0.1:{port}" for port in self.ports)

    def uri(self, user: str, password: str, options: Mapping[str, str], seeds: int | None = None) -> str:
        """A connection string for that account that names the first `seeds` members.

        What TLS and the set need is added to the options.
        """
        every = {"replicaSet": SET_NAME, "authSource": "admin", **options}
        if self.tls:
            every |= {"tls": "true", "tlsCAFile": str(self.tls.authority)}
        hosts = ",".join(self.hosts.split(",")[:seeds])
        return f"mongodb://{user}:{password}@{hosts}/{DATABASE}?" + "&".join(f"{k}={v}" for k, v in every.items())

    @property
    def auditor_uri(self) -> str:
        return self.uri("readiness", self.auditor_password, {})

    def establish(self, servers: Sequence[Server]) -> None:
        """Waits for the members, makes them a set, and creates the accounts through the localhost exception."""
        for server in servers:
            server.wait(server.logged("Waiting for connections"))
        self._initiate()
        roles: dict[str, tuple[str, list[dict[str, str]]]] = {
            "admin": (self.admin_password, [{"role": "root", "db": "admin"}]),
            "shop": (self.app_password, [{"role": "readWrite", "db": DATABASE}]),
            "readiness": (self.auditor_password, [{"role": "clusterMonitor", "db": "admin"}]),
        }
        with self._client() as client:
            self._create(client, "admin", *roles.pop("admin"))
        with self.admin() as client:
            for user, (password, granted) in roles.items():
                self._create(client, user, password, granted)

    def admin(self) -> MongoClient[dict[str, Any]]:
        """A client with every right, for setting up."""
        return self._client(username="admin", password=self.admin_password, authSource="admin")

    def _client(self, **options: Any) -> MongoClient[dict[str, Any]]:
        from pymongo import MongoClient

        every: dict[str, Any] = {
            "host": f"mongodb://{self.hosts}",
            "replicaSet": SET_NAME,
            # A client that looks for the primary should find it as soon as it is elected.
            "heartbeatFrequencyMS": 500,
            "serverSelectionTimeoutMS": int(_SETTLE_SECONDS * 1000),
            "w": 1,
        }
        if self.tls:
            every |= {"tls": True, "tlsCAFile": str(self.tls.authority)}
        return MongoClient(**every | options)

    def _initiate(self) -> None:
        from pymongo.errors import OperationFailure

        members = [{"_id": number, "host": f"127.0.0.1:{port}"} for number, port in enumerate(self.ports)]
        config = {"_id": SET_NAME, "version": 1, "members": members, "settings": _QUICK}
        with self._client(replicaSet=None, directConnection=True, host=f"127.0.0.1:{self.ports[0]}") as client:
            try:
                client.admin.command("replSetInitiate", config)
            except OperationFailure as error:
                raise StartError(f"the replica set could not be initiated: {error}") from None

    def _create(self, client: Any, user: str, password: str, roles: list[dict[str, str]]) -> None:
        client.admin.command("createUser", user, pwd=password, roles=roles)

    def report(self) -> None:
        """What a nightly report asks: sales above a sum and products that sell badly, neither by any index."""
        with self.admin() as client:
            list(client[DATABASE].orders.find({"total_cents": {"$gt": 50_000}}, {"total_cents": 1}))
            list(client[DATABASE].products.find({"stock": {"$gt": 5}}, {"stock": 1}))

    def settle(self, write_concern: int | str) -> None:
        """Waits until both secondaries have caught up, then sets the default write concern and the usual timing."""
        with self.admin() as client:
            deadline = time.monotonic() + _SETTLE_SECONDS
            while True:
                members = client.admin.command("replSetGetStatus")["members"]
                if sorted(member["state"] for member in members) == [1, 2, 2]:
                    break
                if time.monotonic() > deadline:
                    states = ", ".join(member["stateStr"] for member in members)
                    raise StartError(f"the replica set did not settle within {_SETTLE_SECONDS:g} s: {states}")
                time.sleep(0.05)
            client.admin.command("setDefaultRWConcern", 1, defaultWriteConcern={"w": write_concern})
            config = client.admin.command("replSetGetConfig")["config"]
            config["version"] += 1
            config["settings"] |= _USUAL
            client.admin.command("replSetReconfig", config)
