"""The reins of a run: how it is going, and how to end it early."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol


class Progress(NamedTuple):
    """How far a run has come: seconds since its start, requests that have ended, how many of them failed, the sum of
    the successes' latencies in seconds, and the connections that are open."""

    elapsed: float = 0.0
    requests: int = 0
    failed: int = 0
    seconds: float = 0.0
    connections: int = 0


class Stoppable(Protocol):
    def stop(self, why: str) -> None: ...


class Control:
    """Give one to `run` and call `stop` to end that run early; belongs to the run's event loop and thread.

    Args:
        on_progress: called about ten times a second, in the event loop that measures: it must be quick.
        on_stop: called once with the reason, at the moment when the run ends early of itself (too many errors, 429).
    """

    def __init__(
        self, on_progress: Callable[[Progress], object] | None = None, on_stop: Callable[[str], object] | None = None
    ) -> None:
        self.on_progress = on_progress
        self.on_stop = on_stop
        self.stopped: str | None = None
        self._run: Stoppable | None = None

    def stop(self, why: str) -> None:
        """Sends nothing more; the answers under way have a second to come. Before the run has begun it never will."""
        if self.stopped is None:
            self.stopped = why
            if self._run is not None:
                self._run.stop(why)

    def attach(self, run: Stoppable) -> None:
        """Called by the run."""
        self._run = run
        if self.stopped is not None:
            run.stop(self.stopped)
