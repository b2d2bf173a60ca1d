"""What is learned beside the main connection: the network, TLS, what a stranger is told, and replicas."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from readiness.errors import ProbeError
from readiness.facts.base import Absent, absent
from readiness.facts.redis import Handshake, Network, Node
from readiness.probes.network import kind, refusal, widest
from readiness.probes.redis_client import Client, Target, connect
from readiness.probes.redis_info import INFO_BYTES, Info, memory_of, parse_info, server_of
from readiness.probes.redis_protocol import Refused

MOST_REPLICAS = 3

# Managed services by the end of the host name that they hand out.
PROVIDERS = {
    ".cache.amazonaws.com": "ElastiCache",
    ".upstash.io": "Upstash",
    ".redis.cache.windows.net": "Azure Cache for Redis",
    ".redis.azure.net": "Azure Managed Redis",
    ".redis-cloud.com": "Redis Cloud",
    ".redislabs.com": "Redis Cloud",
    ".aivencloud.com": "Aiven",
    ".db.ondigitalocean.com": "DigitalOcean",
}


def provider_of(host: str, os: str = "") -> str:
    """The managed service behind a host name, or an empty string."""
    name = host.lower().rstrip(".")
    if ".memorydb." in name and name.endswith(".amazonaws.com"):
        return "MemoryDB"
    if "elasticache" in os.lower():
        return "ElastiCache"
    return next((provider for ending, provider in PROVIDERS.items() if name.endswith(ending)), "")


async def network_of(target: Target) -> Network:
    """The widest kind of network among the target's addresses. Raises ProbeError where the name does not resolve."""
    if target.path:
        return "unix"
    try:
        async with asyncio.timeout(min(target.limits.connect_seconds, target.seconds)):
            found = await asyncio.get_running_loop().getaddrinfo(target.host, target.port)
    except OSError as error:
        late = isinstance(error, TimeoutError)
        reason = "the host name was not resolved in time" if late else "the host name does not resolve"
        raise ProbeError(f"{target.shown}: {reason}") from None
    found_kind = widest(str(address[0]) for *_, address in found)
    return "private" if found_kind == "special" else found_kind


async def handshake_of(target: Target) -> Handshake:
    """A verified TLS handshake on a connection that sends nothing. Raises ProbeError where it fails."""
    try:
        context = ssl.create_default_context()
        if target.ca_file:
            context.load_verify_locations(target.ca_file)
        if target.cert_file:
            context.load_cert_chain(target.cert_file, target.key_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ProbeError(f"redis.url: its certificate files cannot be used ({_told(error)})") from None
    try:
        async with asyncio.timeout(target.limits.handshake_seconds):
            _, writer = await asyncio.open_connection(target.host, target.port, ssl=context)
    except TimeoutError:
        raise ProbeError(f"{target.shown}: no answer in time to the TLS handshake; is it a plain-text port?") from None
    except ssl.SSLCertVerificationError as error:
        raise ProbeError(f"{target.shown}: the certificate is not trusted ({error.verify_message})") from None
    except OSError as error:
        raise ProbeError(f"{target.shown}: the TLS handshake failed ({_told(error)})") from None
    try:
        return _handshake(writer.get_extra_info("ssl_object"), target)
    finally:
        writer.transport.abort()


def _told(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or type(error).__name__
    return error.strerror or type(error).__name__


def _handshake(connection: ssl.SSLObject, target: Target) -> Handshake:
    certificate = connection.getpeercert() or {}
    ends, cipher = certificate.get("notAfter"), connection.cipher()
    return Handshake(
        version=connection.version() or "",
        cipher=cipher[0] if cipher else "",
        expires=int(ssl.cert_time_to_seconds(ends)) if isinstance(ends, str) else absent("no end in the certificate"),
        self_signed=certificate.get("issuer") == certificate.get("subject"),
        ca_file=bool(target.ca_file and Path(target.ca_file).is_file()),
    )


async def anonymous_of(target: Target) -> Any:
    """What a connection without credentials is told, on a connection of its own."""
    try:
        stranger = await connect(target, anonymously=True)
    except ProbeError as error:
        return absent(f"the connection without credentials failed ({error.reason})")
    try:
        return await greeting(stranger)
    except ProbeError as error:
        return absent(f"the connection without credentials failed ({error.reason})")
    finally:
        await stranger.close()


async def greeting(client: Client) -> Any:
    """`open`, `limited`, `refused` or `protected`, by the answers to PING and INFO on an anonymous connection."""
    answer = await client.ask("PING")
    if isinstance(answer, Refused) and answer.code in ("NOAUTH", "WRONGPASS", "DENIED"):
        return "protected" if answer.code == "DENIED" else "refused"
    # Somebody without PING may still be allowed everything else, and the other way round.
    info = await client.ask("INFO", "server")
    if not isinstance(info, Refused):
        return "open"
    return "limited" if info.code == "NOPERM" else info.fact


@dataclass(slots=True)
class Companion:
    """A replica, or another primary, with an open connection, and its latest reading of INFO."""

    address: str
    client: Client
    info: Info
    essential: bool = False

    async def read(self) -> Info:
        """A new reading. Where it is gone, a replica adds nothing to any difference; without an essential server there
        is none."""
        try:
            self.info = await read_info(self.client)
        except ProbeError:
            if self.essential:
                self.info = Info({}, frozenset())
        return self.info


async def read_info(client: Client) -> Info:
    """INFO with all sections. Raises ProbeError where it is refused or too large."""
    reply = await client.ask("INFO", "all")
    if isinstance(reply, Refused):
        raise ProbeError(f"{client.target.shown}: {reply.fact.reason}", privilege=reply.fact.privilege)
    if not isinstance(reply, str) or len(reply) > INFO_BYTES:
        raise ProbeError(f"{client.target.shown}: INFO is not a text of at most {INFO_BYTES:,} bytes")
    return parse_info(reply)


async def companions(
    target: Target, network: Network, addresses: Sequence[str], most: int = MOST_REPLICAS
) -> list[Companion | Node]:
    """The first of these nodes, each connected and read, or as a node that says why it could not be."""
    return list(await asyncio.gather(*(_companion(target, network, each) for each in addresses[:most])))


async def _companion(target: Target, network: Network, address: str) -> Companion | Node:
    place = permitted(target, network, address)
    if isinstance(place, Absent):
        return Node(address=address, version=place, memory=place, aof_enabled=place)
    client: Client | None = None
    try:
        client = await connect(place)
        return Companion(address, client, await read_info(client))
    except ProbeError as error:
        if client is not None:
            await client.close()
        reason = absent(f"this node could not be read ({error.reason})", error.privilege)
        return Node(address=address, version=reason, memory=reason, aof_enabled=reason)


def permitted(target: Target, network: Network, address: str) -> Target | Absent:
    """The target for an announced node, or why it is not contacted.

    The server chooses what it announces, so only an IP address is believed, and a public one only where TLS proves who
    answers: the connection carries the credentials of `redis.url`.
    """
    host, _, port = address.rpartition(":")
    try:
        announced = kind(host)
    except ValueError:
        return _refuse("is announced by a name, not by an IP address")
    if not port.isdecimal() or not 0 < int(port[:6]) < 65_536:
        return _refuse("is announced without a port")
    if why := refusal(target.limits, address, announced, (network,)):
        return _refuse(f"is not to be followed ({why})")
    if announced == "public" and not target.tls:
        return _refuse("is announced on a public address, and redis.url is without TLS")
    return replace(target, host=host, port=int(port))


def _refuse(why: str) -> Absent:
    reason: Absent = absent(f"the node {why}: not contacted")
    return reason


def node_of(companion: Companion | Node) -> Node:
    if isinstance(companion, Node):
        return companion
    return Node(
        address=companion.address,
        version=companion.info.text(
            "valkey_version" if server_of(companion.info).name == "valkey" else "redis_version"
        ),
        memory=memory_of(companion.info),
        aof_enabled=companion.info.flag("aof_enabled"),
    )
