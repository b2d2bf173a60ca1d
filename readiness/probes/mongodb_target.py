"""Whom to contact: the configured URI taken apart, which announced addresses to follow, and the first knock."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from readiness.errors import ProbeError
from readiness.facts.mongodb import MongoTls
from readiness.settings import Limits

RESOLVE_SECONDS = 1.0

_CREDENTIAL_OPTIONS = ("authSource", "authMechanism", "authMechanismProperties")
_TLS_OPTIONS = (
    "tls", "tlsCAFile", "tlsCertificateKeyFile", "tlsCertificateKeyFilePassword", "tlsInsecure",
    "tlsAllowInvalidCertificates", "tlsAllowInvalidHostnames", "tlsCRLFile",
)  # fmt: skip


class Unreachable(Exception):
    """A member that cannot be connected to; the message is the reason, without credentials."""


@dataclass(frozen=True, slots=True)
class Address:
    """`host` and `port` of one member; a path and None for a Unix socket."""

    host: str
    port: int | None

    @property
    def name(self) -> str:
        if self.port is None:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Address | None:
        """An announced address, or None where it is none."""
        found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,253})):(\d{1,5})", text)
        if found is None or not 0 < int(found[3]) < 65536:
            return None
        return cls((found[1] or found[2]).lower(), int(found[3]))


@dataclass(frozen=True, slots=True)
class Target:
    """The configured URI, taken apart. `options` are those that concern identity and TLS, and no others."""

    seeds: tuple[Address, ...]
    username: str | None
    password: str | None = field(repr=False)
    credentials: Mapping[str, str] = field(repr=False)
    tls: Mapping[str, str] = field(repr=False)
    limits: Limits = field(default_factory=Limits)

    @property
    def uses_tls(self) -> bool:
        return self.tls.get("tls", "").lower() == "true"

    @property
    def discloses(self) -> bool:
        """Whether logging in shows the password itself to the server."""
        return self.credentials.get("authMechanism", "").upper() == "PLAIN"

    @property
    def logs_in(self) -> bool:
        return self.username is not None or "authMechanism" in self.credentials


async def target(uri: str, limits: Limits) -> Target:
    """Parses the URI; of mongodb+srv it asks DNS for the seeds. Raises ProbeError without quoting anything."""
    from pymongo import uri_parser
    from pymongo.errors import PyMongoError

    try:
        async with asyncio.timeout(limits.connect_seconds + RESOLVE_SECONDS):
            if uri.startswith("mongodb+srv"):
                parsed = await asyncio.to_thread(
                    uri_parser.parse_uri, uri, validate=False, connect_timeout=limits.connect_seconds
                )
            else:
                parsed = uri_parser.parse_uri(uri, validate=False)
    except TimeoutError:
        raise ProbeError("mongodb.uri: no answer from DNS") from None
    except (PyMongoError, ValueError, TypeError) as error:
        raise ProbeError(f"mongodb.uri: the driver refuses it ({type(error).__name__})") from None
    options = {name.lower(): str(value) for name, value in parsed["options"].items()}
    if "ssl" in options:
        options.setdefault("tls", options["ssl"])
    pick = {name: options[name.lower()] for name in (*_CREDENTIAL_OPTIONS, *_TLS_OPTIONS) if name.lower() in options}
    credentials = {name: pick[name] for name in _CREDENTIAL_OPTIONS if name in pick}
    if parsed["username"] is not None and "authSource" not in credentials and "authMechanism" not in credentials:
        credentials["authSource"] = parsed["database"] or "admin"
    return Target(
        seeds=tuple(Address(host, port) for host, port in dict.fromkeys(parsed["nodelist"])),
        username=parsed["username"],
        password=parsed["password"],
        credentials=credentials,
        tls={name: pick[name] for name in _TLS_OPTIONS if name in pick},
        limits=limits,
    )


async def resolve(address: Address) -> list[str]:
    """The IP addresses of a host, or none where the name is unknown here."""
    if address.port is None:
        return ["127.0.0.1"]
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        return []
    return [str(entry[4][0]) for entry in found]


async def knock(address: Address, target: Target, *, tls: bool) -> tuple[str, MongoTls]:
    """Opens and closes a connection: the IP address of the peer, and what its TLS handshake showed.

    A refused connection shows at once here, while the driver would keep trying. No credential is sent.

    Raises:
        Unreachable: nobody answers, or no TLS handshake succeeds.
    """
    if not tls:
        return await _open(address, target.limits), MongoTls(used=False)
    found: dict[str, Any] = {"used": target.uses_tls, "offered": True}
    try:
        peer = await _open(address, target.limits, tls_context(target, verify=True), found)
    except ssl.SSLCertVerificationError as error:
        found["problem"] = error.verify_message
        peer = await _open(address, target.limits, tls_context(target, verify=False), found)
    return peer, MongoTls(**found)


async def _open(
    address: Address, limits: Limits, context: ssl.SSLContext | None = None, found: dict[str, Any] | None = None
) -> str:
    seconds = limits.connect_seconds if context is None else max(limits.connect_seconds, limits.handshake_seconds)
    try:
        async with asyncio.timeout(seconds):
            if address.port is None:
                _, writer = await asyncio.open_unix_connection(address.host)
            else:
                _, writer = await asyncio.open_connection(address.host, address.port, ssl=context)
    except TimeoutError:
        raise Unreachable(f"no answer within {seconds:g} s") from None
    except ssl.SSLCertVerificationError:
        raise
    except ssl.SSLError as error:
        raise Unreachable(f"the TLS handshake failed ({error.reason or 'unknown reason'})") from None
    except socket.gaierror:
        raise Unreachable("its name cannot be resolved here") from None
    except (OSError, UnicodeError) as error:
        number = error.errno if isinstance(error, OSError) else None
        raise Unreachable(os.strerror(number).lower() if number else "no connection") from None
    try:
        if context is not None and found is not None:
            found |= _handshake(writer.get_extra_info("ssl_object"))
        peer = writer.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) else "127.0.0.1"
    finally:
        writer.transport.abort()


def _handshake(connection: ssl.SSLObject) -> dict[str, Any]:
    cipher, certificate = connection.cipher(), connection.getpeercert()
    found: dict[str, Any] = {"protocol": connection.version(), "cipher": cipher[0] if cipher else None}
    if certificate and "notAfter" in certificate:
        seconds = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
        found["not_after"] = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return found


def tls_context(target: Target, *, verify: bool) -> ssl.SSLContext:
    """A context with the CA and client certificate of the URI. Raises ProbeError where a file is unusable."""
    options = target.tls
    try:
        context = ssl.create_default_context(cafile=options.get("tlsCAFile"))
        if "tlsCertificateKeyFile" in options:
            context.load_cert_chain(
                options["tlsCertificateKeyFile"], password=options.get("tlsCertificateKeyFilePassword")
            )
    except (OSError, ssl.SSLError, ValueError):
        raise ProbeError("mongodb.uri: tlsCAFile or tlsCertificateKeyFile cannot be used") from None
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif _on(options, "tlsAllowInvalidHostnames") or _on(options, "tlsInsecure"):
        context.check_hostname = False
    return context


def _on(options: Mapping[str, str], name: str) -> bool:
    return options.get(name, "").lower() == "true"


def lax(target: Target) -> bool:
    """Whether the URI itself says that a certificate need not be valid."""
    return _on(target.tls, "tlsInsecure") or _on(target.tls, "tlsAllowInvalidCertificates")
