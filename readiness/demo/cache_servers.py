"""A Valkey primary with a replica, watched by three sentinels; every client has an account of its own."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from readiness.demo.processes import Server

NAME = "cache"
_MEMORY = "64mb"
_APP = (
    "~user:* ~product:* ~artisan:* ~products:* ~artisans:* ~ratelimit:* ~warm:* resetchannels -@all "
    "+@connection +get +set +del +incrby +expire"
)
_AUDITOR = (
    "%R~user:* %R~product:* %R~artisan:* resetchannels -@all +ping +info +config|get +client|list +client|id "
    "+slowlog|get +slowlog|len +latency|latest +memory|stats +memory|usage +dbsize +role +lastsave +acl|whoami "
    "+cluster|info +cluster|shards +scan +ttl"
)
_REPLICA = "resetchannels -@all +psync +replconf +ping"
_SENTINEL = (
    "allchannels -@all +multi +exec +slaveof +replicaof +ping +subscribe +publish +info +role "
    "+config|rewrite +client|setname +client|kill +script|kill"
)


def _password() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True)
class CacheServers:
    """`ports` are those of primary and replica, `sentinel_ports` those of the sentinels."""

    binary: Path
    folder: Path
    ports: tuple[int, int]
    sentinel_ports: tuple[int, ...]
    app_password: str = field(default_factory=_password, repr=False)
    auditor_password: str = field(default_factory=_password, repr=False)
    sentinel_password: str = field(default_factory=_password, repr=False)
    _replica_password: str = field(default_factory=_password, repr=False)
    _watch_password: str = field(default_factory=_password, repr=False)

    @property
    def auditor_url(self) -> str:
        return f"redis://readiness:{self.auditor_password}@127.0.0.1:{self.ports[0]}/0"

    def servers(self) -> list[Server]:
        """Primary, replica and sentinels, not started yet."""
        primary, replica = self.ports
        return [
            self._server("valkey", primary, []),
            self._server("valkey-replica", replica, [f"replicaof 127.0.0.1 {primary}"]),
            *(self._sentinel(number, port) for number, port in enumerate(self.sentinel_ports, 1)),
        ]

    def _server(self, name: str, port: int, more: list[str]) -> Server:
        lines = [
            *self._common(name, port),
            f"maxmemory {_MEMORY}",
            "maxmemory-policy allkeys-lru",
            'save ""',  # a cache: what is lost is loaded again
            "appendonly no",
            "repl-diskless-sync-delay 0",
            "latency-monitor-threshold 100",
            "user default off",
            f"user market on >{self.app_password} {_APP}",
            f"user readiness on >{self.auditor_password} {_AUDITOR}",
            f"user replica on >{self._replica_password} {_REPLICA}",
            f"user sentinel on >{self._watch_password} {_SENTINEL}",
            "masteruser replica",
            f"masterauth {self._replica_password}",
            *more,
        ]
        return self._process(name, lines, [])

    def _sentinel(self, number: int, port: int) -> Server:
        name = f"sentinel-{number}"
        lines = [
            *self._common(name, port),
            f"requirepass {self.sentinel_password}",
            f"sentinel sentinel-pass {self.sentinel_password}",
            f"sentinel monitor {NAME} 127.0.0.1 {self.ports[0]} 2",
            f"sentinel auth-user {NAME} sentinel",
            f"sentinel auth-pass {NAME} {self._watch_password}",
            f"sentinel down-after-milliseconds {NAME} 5000",
            f"sentinel failover-timeout {NAME} 30000",
        ]
        return self._process(name, lines, ["--sentinel"])

    def _common(self, name: str, port: int) -> list[str]:
        data = self.folder / name
        data.mkdir()
        return [f"port {port}", "bind 127.0.0.1", f'dir "{data}"', "daemonize no"]

    def _process(self, name: str, lines: list[str], arguments: list[str]) -> Server:
        config = self.folder / f"{name}.conf"
        config.touch(0o600)
        config.write_text("\n".join(lines) + "\n")
        return Server(name, [self.binary, config, *arguments], log=self.folder / f"{name}.log")
