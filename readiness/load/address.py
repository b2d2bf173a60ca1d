"""Where to connect, and why it did not work."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl

from readiness.load.plan import LoadError, Plan

Place = tuple[int, tuple[object, ...]]
"""An address family and an address of it to connect to."""


async def resolve(loop: asyncio.AbstractEventLoop, host: str, port: int) -> list[Place]:
    """Where a host can be connected to. Raises OSError where the name is unknown."""
    try:
        return [place(host, port)]
    except ValueError:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [(family, address) for family, _, _, _, address in found[:8]]


def place(address: str, port: int) -> Place:
    """The place of an IP address. Raises ValueError where it is none."""
    if ipaddress.ip_address(address).version == 4:
        return socket.AF_INET, (address, port)
    return socket.AF_INET6, (address, port, 0, 0)


def tls(plan: Plan) -> ssl.SSLContext | None:
    """The context for the plan's connections, or None for plain HTTP. Raises LoadError for unusable certificates."""
    if not plan.target()[2]:
        return None
    if plan.ssl_context is not None:
        return plan.ssl_context
    try:
        if plan.ca_pem is None:
            context = ssl.create_default_context()
        else:  # only comments are not ASCII; and no text at all must not mean the system's store
            context = ssl.create_default_context(cadata=plan.ca_pem.encode("ascii", "ignore").decode() or " ")
    except ssl.SSLError as error:
        raise LoadError(f"the certificates to trust cannot be read ({reason(error)})") from None
    if not plan.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def reason(error: OSError) -> str:
    """Why there is no connection, in a few words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or 'failed').replace('_', ' ').lower()}"
    if isinstance(error, TimeoutError):
        return "timed out"
    # asyncio writes sentences of its own, with the address in them, where the system has a word.
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or type(error).__name__
