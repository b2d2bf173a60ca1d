"""How much of its thread an event loop leaves unused, although polling for the next due time takes all of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from weakref import WeakKeyDictionary

POLL_SECONDS = 0.0001
"""Polls in a row are closer together than this, unless other work or another process came between."""


class Worker(Protocol):
    """Who works in the loop; `answered` changes whenever it has done something."""

    answered: int


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds that the thread worked, and that it was ready to work while others had the processor."""

    worked: float
    waited: float

    def since(self, before: Spent) -> Spent:
        return Spent(max(0.0, self.worked - before.worked), max(0.0, self.waited - before.waited))


class Spare:
    """Adds up the time between polls that found nothing to do, over all runs of one event loop."""

    def __init__(self) -> None:
        self._workers: list[Worker] = []
        self._seconds = self._last = 0.0
        self._done = 0

    def enter(self, worker: Worker) -> Spent:
        """Returns what `leave` wants."""
        self._workers.append(worker)
        return self._spent()

    def leave(self, worker: Worker, entered: Spent) -> Spent:
        """What this thread has spent since then."""
        self._workers.remove(worker)
        return self._spent().since(entered)

    def _spent(self) -> Spent:
        return Spent(time.thread_time() - self._seconds, _waited())

    def begins(self, now: float) -> None:
        """A poll begins; where nothing happened since the last one has ended, the time between was to spare."""
        if now - self._last < POLL_SECONDS and self._done == sum(worker.answered for worker in self._workers):
            self._seconds += now - self._last

    def ends(self, now: float) -> None:
        """The poll has ended, and whatever was due is sent."""
        self._last = now
        self._done = sum(worker.answered for worker in self._workers)


def _waited() -> float:
    """Seconds that this thread has waited for a processor so far; 0 where the system does not tell."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Spare] = WeakKeyDictionary()


def of(loop: asyncio.AbstractEventLoop) -> Spare:
    """The one of this loop."""
    return _loops.setdefault(loop, Spare())
