"""The shared quiet window: every probe reads its counters, all wait together, every probe reads again."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future

GRACE_SECONDS = 1.5
"""How long the first probe waits for the others before the window opens without them."""


class Window:
    """A barrier over the event loops of several probes, then `seconds` of quiet.

    Each participant awaits `opened()` after its first reading and `closed()` before its second. A probe that arrives
    late, or alone, gets a full window of its own. `leave()` withdraws a participant that will not come.
    """

    def __init__(self, seconds: float, participants: int) -> None:
        self.seconds = seconds
        self._expected = participants
        self._arrived = 0
        self._lock = threading.Lock()
        self._open: Future[float] = Future()

    def _settle(self, *, force: bool = False) -> None:
        if (force or self._arrived >= self._expected) and not self._open.done():
            self._open.set_result(time.monotonic())

    def leave(self) -> None:
        """One participant fewer: it failed, or it finished without a window."""
        with self._lock:
            self._expected -= 1
            self._settle()

    async def opened(self) -> float:
        """Waits for the others, and returns the monotonic time at which this participant's window begins."""
        with self._lock:
            late = self._open.done()
            self._arrived += 1
            self._settle()
        if late:
            return time.monotonic()
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._open)), GRACE_SECONDS)
        except TimeoutError:
            with self._lock:
                self._settle(force=True)
            return self._open.result()

    async def closed(self, opened: float) -> None:
        """Sleeps until the window that began at `opened` has lasted its full length."""
        await asyncio.sleep(max(0.0, opened + self.seconds - time.monotonic()))

    async def quiet(self) -> None:
        """Opens and closes: for probes that do nothing in between."""
        await self.closed(await self.opened())
