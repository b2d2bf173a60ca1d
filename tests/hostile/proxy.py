"""A TCP proxy that treats bytes as a bad network does: late, one by one, lost for ever, or with a cut-off."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from .serving import serving

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


@dataclass(frozen=True)
class Network:
    """What happens to the bytes that a server sends.

    Each piece comes `delay` seconds late and has at most `piece` bytes. After `most` bytes of a connection it is `cut`,
    or else nothing arrives any more, in either direction.
    """

    delay: float = 0.0
    piece: int = 65_536
    most: int | None = None
    cut: bool = False


@contextlib.contextmanager
def proxied(port: int, network: Network) -> Iterator[int]:
    """The port at which the server at `port` is met through that network."""

    async def between(reader: Reader, writer: Writer) -> None:
        upstream, downstream = await asyncio.open_connection("127.0.0.1", port)
        sending = asyncio.create_task(_copy(reader, downstream, Network()))
        try:
            await _copy(upstream, writer, network)
            if network.most is not None and not network.cut:
                sending.cancel()
                await asyncio.sleep(3600)
        finally:
            sending.cancel()
            downstream.transport.abort()

    with serving(between) as own:
        yield own


async def _copy(reader: Reader, writer: Writer, network: Network) -> None:
    left = network.most
    while left is None or left > 0:
        data = await reader.read(network.piece if left is None else min(left, network.piece))
        if not data:
            return
        await asyncio.sleep(network.delay)
        writer.write(data)
        await writer.drain()
        left = None if left is None else left - len(data)
