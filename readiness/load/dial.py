"""Opens connections, and keeps how long that took."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from time import perf_counter

from readiness.load.address import Place, place, reason, resolve, tls
from readiness.load.connection import Connection
from readiness.load.histogram import Histogram
from readiness.load.plan import LoadError, Plan

OPENING = 128
"""How many connections are opened at the same time."""


class Dial:
    """Knows the target's addresses. `connect` and `handshake` hold the times of TCP and of TLS."""

    def __init__(self, plan: Plan, make: Callable[[], Connection]) -> None:
        self._plan = plan
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._host, self._port, _ = plan.target()
        self._tls = tls(plan)
        self._addresses: list[Place] = []
        self.connect, self.handshake = Histogram(), Histogram()

    async def resolve(self) -> None:
        """Finds the addresses. Raises LoadError where there are none."""
        if self._plan.addresses:
            self._addresses = [place(address, self._port) for address in self._plan.addresses]
            return
        try:
            async with asyncio.timeout(self._plan.timeout):
                self._addresses = await resolve(self._loop, self._host, self._port)
        except (OSError, UnicodeError) as error:
            why = reason(error) if isinstance(error, OSError) else "no name that can be looked up"
            raise LoadError(f"{self._host}: {why}") from None

    async def several(self, connections: int, keep: Callable[[Connection], None]) -> int:
        """Opens so many and hands each on; returns how many could not be opened. Raises LoadError where none could."""
        gate, failed = asyncio.Semaphore(OPENING), list[OSError]()

        async def open_one() -> None:
            async with gate:
                try:
                    keep(await self())
                except OSError as error:
                    failed.append(error)

        await asyncio.gather(*(open_one() for _ in range(connections)))
        if full := next((error for error in failed if error.errno in (errno.EMFILE, errno.ENFILE)), None):
            raise LoadError(f"{connections - len(failed)} connections, then {reason(full)}: raise `ulimit -n`")
        if len(failed) == connections:
            raise LoadError(f"could not connect to {self._host}:{self._port} ({reason(failed[0])})")
        return len(failed)

    async def __call__(self) -> Connection:
        """One open connection. Raises OSError."""
        connection = self._make()
        async with asyncio.timeout(self._plan.timeout):
            began = perf_counter()
            sock = await self._socket()
            self.connect.record(perf_counter() - began)
            try:
                began = perf_counter()
                name = self._host if self._tls else None
                await self._loop.create_connection(lambda: connection, sock=sock, ssl=self._tls, server_hostname=name)
            except BaseException:
                sock.close()
                raise
            if self._tls:
                self.handshake.record(perf_counter() - began)
        if not connection.usable:  # closed again before anybody looked
            raise ConnectionResetError(errno.ECONNRESET, "closed at once")
        return connection

    async def _socket(self) -> socket.socket:
        failure: OSError | None = None
        for family, address in list(self._addresses):
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setblocking(False)
            try:
                await self._loop.sock_connect(sock, address)
            except OSError as error:
                sock.close()
                failure = error
            except BaseException:
                sock.close()
                raise
            else:
                if failure is not None:  # start with the address that works next time
                    self._addresses.insert(0, self._addresses.pop(self._addresses.index((family, address))))
                return sock
        raise failure or OSError(errno.EADDRNOTAVAIL, "no address")
