"""How fast one audit asks a service: freely, until that answers 429; then after a pause, and slowly from there on."""

from __future__ import annotations

import asyncio
import threading
import time

from readiness.errors import ProbeError

PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.5, 3.0
"""How long to wait after a 429: without a Retry-After, and at most, whatever the service says."""
INTERVAL_SECONDS, LONGEST_INTERVAL_SECONDS = 0.15, 0.3
"""Between two requests after the first pause, twice as much after each further one, and at most."""
FRUITLESS, PAUSES = 3, 8
"""So many pauses in a row that no answer followed, or in all, are enough: from then on a 429 is final."""


class Pace:
    """What the probes of one audit, in their several threads, know of the limit that a service sets them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._interval = 0.0
        self._next = 0.0
        self._paused = 0.0
        self._pauses = self._fruitless = 0
        self.given_up = False

    async def turn(self, until: float) -> float:
        """Waits for the next turn, and returns when it came. Raises ProbeError where it would come after `until`."""
        while True:
            with self._lock:
                pauses, due = self._pauses, max(time.monotonic(), self._next)
                if self.given_up or not self._interval:
                    return time.monotonic()
                if due > until:
                    raise ProbeError("the service answered 429 Too Many Requests, and waiting for it takes too long")
                self._next = due + self._interval
            await asyncio.sleep(due - time.monotonic())
            with self._lock:
                if pauses == self._pauses or self.given_up:
                    return time.monotonic()

    def answered(self, sent: float) -> None:
        """A request of that moment got an answer of its own."""
        with self._lock:
            if sent >= self._paused:
                self._fruitless = 0

    def refused(self, sent: float, retry_after: str | None) -> bool:
        """A request of that moment got 429: whether to ask again. What was under way together counts once."""
        with self._lock:
            if self.given_up:
                return False
            if self._pauses and sent < self._paused:
                return True
            if self._fruitless >= FRUITLESS or self._pauses >= PAUSES:
                self.given_up = True
                return False
            self._pauses += 1
            self._fruitless += 1
            self._interval = min(LONGEST_INTERVAL_SECONDS, 2 * self._interval or INTERVAL_SECONDS)
            self._paused = time.monotonic()
            self._next = self._paused + pause(retry_after)
            return True


def pause(retry_after: str | None) -> float:
    """The seconds to wait: what the service says within our bounds; a date, or nonsense, is worth the usual pause."""
    text = (retry_after or "").strip()
    if not (text.isascii() and text.isdigit()):
        return PAUSE_SECONDS
    return min(LONGEST_PAUSE_SECONDS, max(1.0, float(text[:9])))
