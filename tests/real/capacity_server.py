"""A service of known capacity for the tests of the load probe: `python capacity_server.py PORT [MOST_CONNECTIONS]`.

/work answers 200 requests a second and no more: four at a time, 20 ms each, the others wait. The other paths do that
too, and each has a way of its own to be overloaded. /seen tells what arrived, since it was last asked.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus

WORKERS, SECONDS = 4, 0.02
LIMIT = 60
"""Requests within a second that are too many for /limited, /firewall and /stuck."""
MOST_CONNECTIONS = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000


@dataclass
class Seen:
    """What arrived since it was last asked."""

    arrivals: deque[float] = field(default_factory=deque)
    most_connections: int = 0
    most_at_once: int = 0


seen = Seen()
state = {"connections": 0, "at_once": 0, "stuck": 0}
recent: deque[float] = deque()
gates: dict[str, asyncio.Semaphore] = {}


def queue() -> int:
    return state["at_once"] - WORKERS


async def work(path: str) -> None:
    async with gates.setdefault(path, asyncio.Semaphore(WORKERS)):
        await asyncio.sleep(SECONDS)


async def answer(path: str) -> tuple[int, str]:
    """Status and extra headers."""
    now = time.monotonic()
    recent.append(now)
    while recent[0] < now - 1:
        recent.popleft()
    match path:
        case "/limited" if len(recent) > LIMIT:
            return 429, "Retry-After: 60\r\n"
        case "/firewall" if len(recent) > LIMIT:
            return 403, ""
        case "/shedding" if queue() > 20:
            return 503, "Retry-After: 1\r\n"
        case "/failing" if queue() > 20:
            return 500, ""
        case "/stuck":  # once there were too many, every answer takes longer
            state["stuck"] = state["stuck"] or len(recent) > LIMIT
            await work(path)
            await asyncio.sleep(0.06 * state["stuck"])
        case "/fast":
            pass
        case _:
            await work(path)
    return 200, ""


def report() -> str:
    arrivals = list(seen.arrivals)
    busiest = max((sum(each <= other < each + 1 for other in arrivals) for each in arrivals), default=0)
    told = {
        "requests": len(arrivals),
        "busiest_second": busiest,
        "lasted": arrivals[-1] - arrivals[0] if arrivals else 0.0,
        "since_last": time.monotonic() - arrivals[-1] if arrivals else None,
        "most_connections": seen.most_connections,
        "most_at_once": seen.most_at_once,
    }
    seen.__init__()  # type: ignore[misc]
    state["stuck"] = 0
    return json.dumps(told)


async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if state["connections"] >= MOST_CONNECTIONS:
        writer.transport.abort()
        return
    state["connections"] += 1
    seen.most_connections = max(seen.most_connections, state["connections"])
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            path = head.split(b" ", 2)[1].decode().partition("?")[0]
            if path == "/seen":
                status, headers, body = 200, "", report()
            else:
                seen.arrivals.append(time.monotonic())
                state["at_once"] += 1
                seen.most_at_once = max(seen.most_at_once, state["at_once"])
                try:
                    status, headers = await answer(path)
                finally:
                    state["at_once"] -= 1
                body = "ok"
            reason = HTTPStatus(status).phrase
            writer.write(f"HTTP/1.1 {status} {reason}\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        state["connections"] -= 1
        writer.transport.abort()


async def main() -> None:
    server = await asyncio.start_server(connected, "127.0.0.1", int(sys.argv[1]), backlog=1000)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
