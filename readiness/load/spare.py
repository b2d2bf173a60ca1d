"""How much of its thread an event loop leaves unused, although polling for the next due time takes all of it."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol
from weakref import WeakKeyDictionary

POLL_SECONDS = 0.0001
"""Polls in a row are closer together than this, unless other work or another process came between."""


class Worker(Protocol):
    """Who works in the loop; `answered` changes whenever it has done something."""

    answered: int


class Spare:
    """Adds up the time between polls that found nothing to do, over all runs of one event loop."""

    def __init__(self) -> None:
        self._workers: list[Worker] = []
        self._seconds = self._last = 0.0
        self._done = 0

    def enter(self, worker: Worker) -> float:
        """Returns what `leave` wants."""
        self._workers.append(worker)
        return time.thread_time() - self._seconds

    def leave(self, worker: Worker, entered: float) -> float:
        """The seconds of processor time that this thread has worked since then."""
        self._workers.remove(worker)
        return max(0.0, time.thread_time() - self._seconds - entered)

    def begins(self, now: float) -> None:
        """A poll begins; where nothing happened since the last one has ended, the time between was to spare."""
        if now - self._last < POLL_SECONDS and self._done == sum(worker.answered for worker in self._workers):
            self._seconds += now - self._last

    def ends(self, now: float) -> None:
        """The poll has ended, and whatever was due is sent."""
        self._last = now
        self._done = sum(worker.answered for worker in self._workers)


_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Spare] = WeakKeyDictionary()


def of(loop: asyncio.AbstractEventLoop) -> Spare:
    """The one of this loop."""
    return _loops.setdefault(loop, Spare())
