"""Servers whose latency is known: `python server.py PORT known|stalling`.

known: of every 100 answers in a row 95 take 20 ms, 4 take 100 ms and 1 takes 400 ms. stalling: for one second in every
five no answer goes out, otherwise each takes 5 ms. `/took` answers how many milliseconds every answer since the last
such question took here, as JSON.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from typing import cast

HEAD = b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n%s"
ANSWER = HEAD % (2, b"ok")
EARLY = 0.0005
"""Timers are about this much late."""
began = time.perf_counter()
numbers = itertools.count()
took: list[float] = []


def known() -> float:
    place = next(numbers) * 37 % 100  # spread evenly: 37 and 100 have no common divisor
    return 0.02 if place < 95 else 0.1 if place < 99 else 0.4


def stalling() -> float:
    phase = (time.perf_counter() - began) % 5
    return max(0.005, 4 - phase if 3 <= phase < 4 else 0.0)


class Server(asyncio.Protocol):
    """Answers every request after the delay; the clients here have one at a time on a connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.rest = b""

    def data_received(self, data: bytes) -> None:
        *requests, self.rest = (self.rest + data).split(b"\r\n\r\n")
        for request in requests:
            if request.startswith(b"GET /took "):
                self.transport.write(HEAD % (len(body := json.dumps(took).encode()), body))
                took.clear()
            else:
                asyncio.get_running_loop().call_later(delay() - EARLY, self.answer, time.perf_counter())

    def answer(self, came: float) -> None:
        if not self.transport.is_closing():
            self.transport.write(ANSWER)
            took.append(1000 * (time.perf_counter() - came))


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    delay = {"known": known, "stalling": stalling}[sys.argv[2]]
    asyncio.run(main(int(sys.argv[1])))
