"""Where to connect, and why it did not work."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl

from readiness.load.plan import Plan


async def resolve(loop: asyncio.AbstractEventLoop, host: str, port: int) -> list[tuple[int, tuple[object, ...]]]:
    """Address families and addresses to connect to. Raises OSError where the name is unknown."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [(family, address) for family, _, _, _, address in found[:8]]
    return [(socket.AF_INET, (host, port))] if version == 4 else [(socket.AF_INET6, (host, port, 0, 0))]


def tls(plan: Plan) -> ssl.SSLContext | None:
    """The context for the plan's connections, or None for plain HTTP."""
    if not plan.target()[2]:
        return None
    return plan.ssl_context or ssl.create_default_context()


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
