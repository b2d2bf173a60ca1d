"""A TCP server of our own in a thread, whose connections are handed to one misbehaviour."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator

Misbehaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.contextmanager
def serving(misbehaviour: Misbehaviour, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port at which every connection meets `misbehaviour`, which may do what it likes until the client leaves."""
    loop = asyncio.new_event_loop()
    started: list[int] = []
    ready = threading.Event()
    stop = asyncio.Event()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(EOFError, OSError, asyncio.LimitOverrunError, ValueError):
                await misbehaviour(reader, writer)
        finally:
            writer.transport.abort()

    async def main() -> None:
        server = await asyncio.start_server(one, "127.0.0.1", 0, ssl=tls, limit=1 << 20)
        started.append(server.sockets[0].getsockname()[1])
        ready.set()
        await stop.wait()
        server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # for the transports to close

    loop.set_exception_handler(lambda loop, context: None)  # connections that end badly are the point
    thread = threading.Thread(
        target=lambda: (asyncio.set_event_loop(loop), loop.run_until_complete(main())), daemon=True
    )
    thread.start()
    assert ready.wait(10)
    try:
        yield started[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
