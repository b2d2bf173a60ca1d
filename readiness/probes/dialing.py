"""Connections to where a name led when this audit first looked it up, and to nowhere else.

A name that answers with another address from one moment to the next (DNS rebinding) could otherwise send requests past
every look at where the target lies: to the metadata service of a cloud, or to whatever listens on this machine.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import httpx

from readiness.names import Names


async def open_connection(
    names: Names, host: str, port: int, *, tls: ssl.SSLContext | None = None, **more: Any
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Like `asyncio.open_connection`, at one address of the host after the other. Raises OSError of the last one."""
    for address, last in _in_turn(await names.addresses(host)):
        try:
            pair = await asyncio.open_connection(
                address, port, ssl=tls, server_hostname=host if tls is not None else None, **more
            )
        except ssl.SSLError:  # somebody is there
            raise
        except OSError:
            if last:
                raise
        else:
            names.answers(host, address)
            return pair
    raise AssertionError("unreachable")


def host_of(url: httpx.URL | str) -> str:
    """The host of a URL as it is looked up and named in TLS: in ASCII."""
    return httpx.URL(url).raw_host.decode("ascii")


class Pinned(httpx.AsyncBaseTransport):
    """Sends each request to an address of its host, under the host's own name in TLS and in the Host header.

    `tls` is asked for with the first request over TLS: reading the certificates that a system trusts is slow.
    """

    def __init__(self, names: Names, tls: Callable[[], ssl.SSLContext], **options: Any) -> None:
        self._names = names
        self._tls = tls
        self._options = options
        self._inner: dict[str, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = host_of(request.url)
        try:
            addresses = await self._names.addresses(host)
        except OSError as error:
            raise httpx.ConnectError(str(error), request=request) from None
        for address, last in _in_turn(addresses):
            try:
                response = await self._transport(request.url.scheme).handle_async_request(_to(address, request, host))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if last:
                    raise
            else:
                self._names.answers(host, address)
                return response
        raise AssertionError("unreachable")

    async def aclose(self) -> None:
        for transport in self._inner.values():
            await transport.aclose()

    def _transport(self, scheme: str) -> httpx.AsyncHTTPTransport:
        if scheme not in self._inner:
            # Without TLS there is nobody to trust.
            trusted = self._tls() if scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._inner[scheme] = httpx.AsyncHTTPTransport(verify=trusted, trust_env=False, **self._options)
        return self._inner[scheme]


def _in_turn(addresses: tuple[str, ...]) -> list[tuple[str, bool]]:
    """Each address, and whether it is the last."""
    return [(address, address == addresses[-1]) for address in addresses]


def _to(address: str, request: httpx.Request, host: str) -> httpx.Request:
    if address == host:
        return request
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={"sni_hostname": host, **request.extensions},
    )
