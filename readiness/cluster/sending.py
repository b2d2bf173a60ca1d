"""Senders of load on Dask workers: one call on each, a common start, progress, and an end that reaches all of them.

A call finds a `Link` as it does in a process of `readiness.load.Processes`. Here the client asks each worker several
times a second how its sender is, and says in the same way when to begin and when to stop; a sender that is asked no
more, because the client is gone, stops of itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field
from typing import Any, NamedTuple, ParamSpec, TypeVar

from readiness.cluster.connection import Cluster
from readiness.load.child import Reins, call_over
from readiness.load.control import Progress, Stoppable
from readiness.load.processes import ProcessLost
from readiness.sealed import Sealed

P = ParamSpec("P")
T = TypeVar("T")
LOOK_SECONDS = 0.1
ASK_SECONDS = 3.0
"""For one answer of a worker about its sender."""
LEAD_SECONDS = 0.5
"""Between the moment when everybody is ready and the common start, in which everybody hears of it."""
BEGIN_SECONDS = 30.0
"""For a worker to begin with its call."""
SILENCE_SECONDS = 15.0
"""Without a question from the client, after which a sender stops."""
CLOCK_ROUNDS = 5


# On the worker.


class State(NamedTuple):
    """How a sender is: whether its connections are open, how far it has come, and why it ends early, if so."""

    ready: bool
    progress: Progress
    stopping: str | None


class Line:
    """The link of one sender."""

    def __init__(self) -> None:
        self._reins = Reins()
        self._state = State(False, Progress(), None)
        self._begin = 0.0
        self._heard = time.monotonic()

    def attach(self, control: Stoppable) -> None:
        """From now on, in the running event loop, `stop` reaches this run."""
        self._reins.attach(control)

    async def ready(self) -> None:
        """Says that the connections are open, and waits for the common start."""
        self._state = self._state._replace(ready=True)
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._reins.released()
                    break
            self._listen()
        await asyncio.sleep(self._begin - time.time())

    def progress(self, progress: Progress) -> None:
        """Keeps it for the next question."""
        self._state = self._state._replace(progress=progress)
        self._listen()

    def stopping(self, why: str) -> None:
        """Keeps for the next question that the run ends early."""
        self._state = self._state._replace(stopping=why)

    def _listen(self) -> None:
        if time.monotonic() - self._heard > SILENCE_SECONDS:
            self._reins.stop("the one that started this load is gone")

    def asked(self) -> State:
        """The answer to a question."""
        self._heard = time.monotonic()
        return self._state

    def release(self, begin: float) -> None:
        """Begins at a moment of this worker's clock."""
        self._begin = begin
        self._reins.release()

    def stop(self, why: str) -> None:
        """Ends the run early."""
        self._reins.stop(why)


_lines: dict[str, Line] = {}


def send(name: str, call: Sealed) -> Any:
    """Makes the sealed call with a link; the function that Dask is given."""
    function, args, kwargs = call.open()
    line = _lines[name] = Line()
    try:
        return call_over(line, function, *args, **kwargs)
    finally:
        del _lines[name]


def ask(name: str, begin: float | None, stop: str | None) -> State | None:
    """How a sender is, or None before it begins and after it has ended; tells it when to begin, and to stop."""
    line = _lines.get(name)
    if line is None:
        return None
    if begin is not None:
        line.release(begin)
    if stop is not None:
        line.stop(stop)
    return line.asked()


# Where the load was asked for.


@dataclass(slots=True)
class _Sender:
    address: str
    name: str
    inner: Future[Any]
    outer: Future[Any]
    submitted: float = field(default_factory=time.monotonic)
    begun: bool = False
    arrived: bool = False
    released: bool = False
    ahead: float = 0.0  # seconds that the worker's clock is ahead of ours
    progress: Progress = field(default_factory=Progress)


class Senders(Executor):
    """Makes one call on each of several workers, all starting together.

    Args:
        parties: how many calls will be submitted; as many as there are workers where it is left out, up to `most`.
        region: only workers that have this resource.

    Raises:
        ValueError: fewer workers than parties.
    """

    def __init__(
        self, cluster: Cluster, parties: int | None = None, region: str | None = None, most: int = 1000
    ) -> None:
        self._cluster = cluster
        able = [each.address for each in cluster.workers.values() if region is None or region in each.regions]
        if not able or (parties or 0) > len(able):
            raise ValueError(f"{parties or 1} senders on {len(able)} workers")
        self._addresses = able[: most if parties is None else parties]
        self._lock = threading.Lock()
        self._senders: list[_Sender] = []
        self._begin: float | None = None
        self._stopped: str | None = None

    @property
    def parties(self) -> int:
        """How many calls there will be."""
        return len(self._addresses)

    @property
    def addresses(self) -> list[str]:
        """The workers in the order of submission."""
        return list(self._addresses)

    def progress(self) -> Progress:
        """How far all senders together have come; the elapsed time is the longest."""
        parts = [sender.progress for sender in self._senders]
        elapsed, *sums = zip(*parts, strict=True) if parts else [(0.0,)] * 5
        return Progress(max(elapsed), *map(sum, sums))

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Makes a call on the next worker. It must pickle, as must its result."""
        outer: Future[T] = Future()
        outer.set_running_or_notify_cancel()
        with self._lock:
            address, name = self._addresses[len(self._senders)], uuid.uuid4().hex
            executor = self._cluster.client.get_executor(pure=False, workers=[address])
            sender = _Sender(address, name, executor.submit(send, name, Sealed((fn, args, kwargs))), outer)
            self._senders.append(sender)
        threading.Thread(target=self._attend, args=(sender,), name=f"sender {address}", daemon=True).start()
        return outer

    def stop(self, why: str) -> None:
        """Tells every sender to end early and to bring what it has."""
        with self._lock:
            self._stopped = self._stopped or why

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Calls off whatever still runs; its result would reach nobody."""
        self.stop("it was called off")
        for sender in self._senders:
            sender.inner.cancel()
        if wait:
            wait_for([sender.outer for sender in self._senders], timeout=ASK_SECONDS)

    # One sender; in a thread of its own.

    def _attend(self, sender: _Sender) -> None:
        try:
            sender.ahead = self._cluster.clocks.get(sender.address) or self._clock(sender)
            self._cluster.clocks[sender.address] = sender.ahead
            result = self._awaited(sender)
        except BaseException as error:
            self._arrived(sender)
            sender.outer.set_exception(error)
        else:
            self._arrived(sender)
            sender.outer.set_result(_shifted(result, sender.ahead))

    def _awaited(self, sender: _Sender) -> Any:
        """The call's result. Raises what it raised, or ProcessLost."""
        while not wait_for([sender.inner], timeout=LOOK_SECONDS).done:
            if not self._there(sender):
                sender.inner.cancel()
                raise ProcessLost(f"the worker at {sender.address} is gone")
            begin = self._begin if sender.arrived and not sender.released else None
            state: State | None = self._ask(sender, ask, sender.name, begin and begin + sender.ahead, self._stopped)
            self._noted(sender, state, begin is not None)
        try:
            return sender.inner.result()
        except CancelledError:
            where = f"the worker at {sender.address} is gone" if self._cluster.connected else "the scheduler is gone"
            raise ProcessLost(where) from None

    def _noted(self, sender: _Sender, state: State | None, told: bool) -> None:
        if state is None:
            late = time.monotonic() - sender.submitted > BEGIN_SECONDS
            if not sender.begun and not sender.inner.done() and (late or self._stopped):
                sender.inner.cancel()
                reason = self._stopped or f"it did not begin within {BEGIN_SECONDS:.0f} s, its threads being busy"
                raise ProcessLost(f"the worker at {sender.address}: {reason}")
            return
        sender.begun = True
        sender.released = sender.released or told
        sender.progress = Progress(*state.progress)
        if state.stopping is not None:
            self.stop(state.stopping)
        if state.ready:
            self._arrived(sender)

    def _arrived(self, sender: _Sender) -> None:
        """One more is ready, or will never be; with the last one, all begin."""
        with self._lock:
            sender.arrived = True
            if self._begin is None and sum(each.arrived for each in self._senders) == self.parties:
                self._begin = time.time() + LEAD_SECONDS

    def _there(self, sender: _Sender) -> bool:
        return not self._cluster.connected or sender.address in self._cluster.workers

    def _clock(self, sender: _Sender) -> float:
        """How far the worker's clock is ahead, or 0 where that is less than can be measured."""
        best = (float("inf"), 0.0)
        for _ in range(CLOCK_ROUNDS):
            began = time.time()
            theirs = self._ask(sender, time.time)
            took = time.time() - began
            if theirs is not None:
                best = min(best, (took, theirs - began - took / 2))
        took, ahead = best
        return ahead if abs(ahead) > took / 2 else 0.0

    def _ask(self, sender: _Sender, function: Callable[..., Any], *args: Any) -> Any:
        """What a function returns on the sender's worker, beside its threads; None where there is no answer in time."""
        answer: Future[Any] = Future()

        def run() -> None:
            try:
                answer.set_result(self._cluster.client.run(function, *args, workers=[sender.address]))
            except BaseException as error:  # the worker or the scheduler is gone
                answer.set_exception(error)

        # Dask tries for half a minute to reach a worker that is gone.
        threading.Thread(target=run, daemon=True).start()
        try:
            return answer.result(timeout=ASK_SECONDS).get(sender.address)
        except Exception:
            return None


def _shifted(result: Any, ahead: float) -> Any:
    """Packed results of load with the times of our own clock."""
    if isinstance(result, (list, tuple)):
        return [_shifted(each, ahead) for each in result]
    if isinstance(result, dict) and result.get("started_at"):
        return {**result, "started_at": result["started_at"] - ahead}
    return result
