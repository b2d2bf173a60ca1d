"""A server in a thread of this process that counts requests, connections, and how many are under way at once."""

from __future__ import annotations

import asyncio
import threading
import time
from types import TracebackType

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LIMITED = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
PATIENCE = 60.0


class Counting:
    """`delay` in seconds before every answer; after `limit_after` requests every answer is a 429 with Retry-After."""

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self.limit_after: float = float("inf")
        self.requests = self.connections = 0
        self.open = self.most_open = 0
        self.under_way = self.most_under_way = 0
        self.arrivals: list[float] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Counting:
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1000)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async def end() -> None:
            self._server.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"

    def wait_for(self, requests: int) -> None:
        """Until so many have come."""
        deadline = time.monotonic() + PATIENCE
        while self.requests < requests:
            assert time.monotonic() < deadline, f"{self.requests} of {requests} requests came"
            time.sleep(0.02)

    def wait_until_quiet(self) -> None:
        """Until nobody is connected any more."""
        deadline = time.monotonic() + PATIENCE
        while self.open:
            assert time.monotonic() < deadline, f"{self.open} connections are still open"
            time.sleep(0.02)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.arrivals.append(time.monotonic())
                self.requests += 1
                self.under_way += 1
                self.most_under_way = max(self.most_under_way, self.under_way)
                try:
                    if self.delay:
                        await asyncio.sleep(self.delay)
                finally:
                    self.under_way -= 1
                writer.write(OK if self.requests <= self.limit_after else LIMITED)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            writer.transport.abort()
