"""python -m readiness.demo.balancer PORT BACKEND_PORT...: a TCP load balancer, round robin over loopback ports.

It does not look into the connections, so TLS ends at the instances. An instance that refuses a connection is passed
over for a moment, and the connection goes to the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
import time
from collections.abc import Sequence

HOST = "127.0.0.1"
_CHUNK = 64 * 1024
_CONNECT_SECONDS = 1.0
_REST_SECONDS = 2.0
_BACKLOG = 4096

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Balancer:
    def __init__(self, backends: Sequence[int]) -> None:
        self._backends = list(backends)
        self._turn = itertools.count()
        self._resting: dict[int, float] = {}

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Joins one client with one instance until both have hung up."""
        backend = await self._connect()
        if backend is None:
            writer.transport.abort()
            return
        try:
            await asyncio.gather(_copy(reader, backend[1]), _copy(backend[0], writer))
        finally:
            writer.close()
            backend[1].close()

    async def _connect(self) -> Stream | None:
        for port in self._order():
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    return await asyncio.open_connection(HOST, port)
            except (OSError, TimeoutError):
                self._resting[port] = time.monotonic() + _REST_SECONDS
        return None

    def _order(self) -> list[int]:
        """All instances, beginning with the one whose turn it is; those that rest come last."""
        turn = next(self._turn) % len(self._backends)
        order = self._backends[turn:] + self._backends[:turn]
        now = time.monotonic()
        return sorted(order, key=lambda port: self._resting.get(port, 0.0) > now)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the reading side ends; then the writing side learns of it."""
    with contextlib.suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


async def serve(port: int, backends: Sequence[int]) -> None:
    server = await asyncio.start_server(Balancer(backends).handle, HOST, port, backlog=_BACKLOG)
    print("balancing", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(serve(int(sys.argv[1]), [int(port) for port in sys.argv[2:]]))
