"""Reads the application's Redis options out of its URL. Nothing is connected to and no name is resolved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from readiness.api import ProbeError, RedisSettings, absent, probe
from readiness.facts.redis_client import CacheClientFacts
from readiness.probes.network import kind
from readiness.probes.redis_client import DEFAULT_PORT

# library -> option in lower case -> (fact, milliseconds a unit); retries count as they are.
_OPTIONS: Mapping[str, Mapping[str, tuple[str, float]]] = {
    "redis-py": {
        "socket_connect_timeout": ("connect_ms", 1000),
        "socket_timeout": ("command_ms", 1000),
        "retry_on_timeout": ("", 0),
        "health_check_interval": ("", 0),
        "max_connections": ("", 0),
        "ssl_cert_reqs": ("", 0),
        "ssl_check_hostname": ("", 0),
        "ssl_ca_certs": ("", 0),
        "ssl_certfile": ("", 0),
        "ssl_keyfile": ("", 0),
        "decode_responses": ("", 0),
        "client_name": ("", 0),
    },
    "ioredis": {
        "connecttimeout": ("connect_ms", 1),
        "commandtimeout": ("command_ms", 1),
        "sockettimeout": ("command_ms", 1),
        "maxretriesperrequest": ("retries", 1),
        "keepalive": ("", 0),
        "connectionname": ("", 0),
        "enablereadycheck": ("", 0),
        "enableofflinequeue": ("", 0),
        "lazyconnect": ("", 0),
        "family": ("", 0),
    },
    "go-redis": {
        "dial_timeout": ("connect_ms", 1000),
        "read_timeout": ("command_ms", 1000),
        "write_timeout": ("", 0),
        "max_retries": ("retries", 1),
        "pool_size": ("", 0),
        "pool_timeout": ("", 0),
        "min_idle_conns": ("", 0),
        "max_idle_conns": ("", 0),
        "conn_max_idle_time": ("", 0),
        "skip_verify": ("", 0),
    },
    "Lettuce": {"timeout": ("command_ms", 1000), "clientname": ("", 0), "libraryname": ("", 0)},
}
_SHARED = {"db", "database", "protocol"}
_UNITS = {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1000.0, "m": 60_000.0, "h": 3_600_000.0, "d": 86_400_000.0}
_TRUE = ("true", "1", "yes", "on", "t")


@probe(needs="redis.app_url")
async def client_url(settings: RedisSettings) -> CacheClientFacts:
    """Parses the URL. Raises ProbeError, which never quotes it, for one that no library takes."""
    assert settings.app_url is not None  # the engine runs no probe whose key is missing
    url = settings.app_url.get_secret_value()
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or DEFAULT_PORT
        options = {name.lower(): value.strip() for name, value in parse_qsl(parts.query, max_num_fields=100)}
    except ValueError:
        raise ProbeError("redis.app_url: host, port or options cannot be read") from None
    unix = parts.scheme == "unix"
    tls = parts.scheme in ("rediss", "valkeys")
    table = {name for names in _OPTIONS.values() for name in names} | _SHARED
    found: dict[str, Any] = {
        "host": "unix" if unix else host,
        "port": 0 if unix else port,
        "network": "unix" if unix else _network(host),
        "library": _library(options),
        "tls": tls,
        "tls_verified": _verified(options) if tls else absent("no TLS"),
        "logs_in": bool(parts.password),
        "default_user": bool(parts.password) and parts.username in ("", None, "default"),
        "unknown": tuple(name[:60] for name in options if name not in table),
    }
    return CacheClientFacts(**found | _times(options))


def _library(options: Mapping[str, str]) -> str:
    """The library that most of the option names belong to."""
    known = {library: len(names.keys() & options.keys()) for library, names in _OPTIONS.items()}
    best = max(known, key=lambda library: known[library])
    return best if known[best] else ""


def _times(options: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for names in _OPTIONS.values():
        for name, (fact, unit) in names.items():
            if fact and name in options and fact not in found:
                found[fact] = _retries(options[name]) if fact == "retries" else _milliseconds(options[name], unit)
    return found


def _milliseconds(text: str, unit: float) -> Any:
    """`2.5`, `500ms` or `3s`; None is how redis-py spells that there is no limit."""
    if text.lower() in ("none", "null", ""):
        return None
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    suffix = text[len(digits) :]
    try:
        value = float(digits) * (_UNITS[suffix] if suffix else unit)
    except (ValueError, KeyError):
        return absent("the application's time-out is not a number")
    return value if math.isfinite(value) and value >= 0 else absent("the application's time-out is not a number")


def _retries(text: str) -> Any:
    if text.lower() in ("none", "null", ""):
        return None
    return int(text) if text.isdecimal() and len(text) < 9 else absent("the number of retries is not a number")


def _verified(options: Mapping[str, str]) -> bool:
    lax = options.get("ssl_cert_reqs", "").lower() in ("none", "cert_none", "0", "optional")
    return not (lax or options.get("skip_verify", "").lower() in _TRUE)


def _network(host: str) -> Any:
    if host == "localhost":
        return "loopback"
    try:
        found = kind(host)
    except ValueError:
        return absent("the host is a name, which is not resolved")
    return "private" if found == "special" else found
