"""The default executor: one process a core, with several calls at a time in threads of each.

An audit waits more than it works, so that many overlap; a process for each would cost thirty times the memory. A
process that ends takes the calls in it along: each of those is made once more, in a process of its own, so that the
one that ended it is found and the others come through.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import pickle
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
PATIENCE_SECONDS = 0.2
"""How long a process waits for a call to end before it asks for more calls."""
ALONE = 4
"""Calls that are made once more, each in a process of its own, at the same time."""


class WorkerLost(Exception):
    """The process that made a call ended, twice; the second time there was no other call in it."""


@dataclass(slots=True)
class _Call:
    number: int
    future: Future[Any]
    pickled: bytes


class Local(Executor):
    """Makes `jobs` calls at a time, in as many processes as this one may use cores.

    Args:
        jobs: calls at a time over all processes.
        processes: how many processes; one a core where it is left out, and no more than `jobs`.
    """

    def __init__(self, jobs: int, processes: int | None = None) -> None:
        self.processes = max(1, min(jobs, processes or cores()))
        self.threads = math.ceil(jobs / self.processes)
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._number = 0
        self._closed = False
        self._lanes: list[_Lane] = []

    @property
    def pids(self) -> list[int]:
        """The processes that are at work."""
        return [lane.pid for lane in self._lanes if lane.pid]

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Schedules a call, which must pickle, as must its result."""
        pickled, future = pickle.dumps((fn, args, kwargs)), Future[T]()
        with self._lock:
            if self._closed:
                raise RuntimeError("submitted after the executor was shut down")
            self._number += 1
            self._calls.put(_Call(self._number, future, pickled))
            if len(self._lanes) < self.processes:
                self._lanes.append(_Lane(self._calls, self.threads, len(self._lanes)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the processes once what was submitted is done; at once where the futures are cancelled."""
        with self._lock:
            self._closed = True
        if cancel_futures:
            for call in _drained(self._calls):
                if call is not None:
                    call.future.cancel()
            for lane in self._lanes:
                lane.kill()
        for _ in self._lanes:
            self._calls.put(None)
        if wait:
            for lane in self._lanes:
                lane.thread.join()


class _Lane:
    """One process and the thread that feeds it."""

    def __init__(self, calls: queue.SimpleQueue[_Call | None], threads: int, number: int) -> None:
        self._calls = calls
        self._threads = threads
        self._running: dict[int, _Call] = {}
        self._more = True
        self._killed = False
        self.pid = 0
        self.thread = threading.Thread(target=self._serve, name=f"audits {number + 1}", daemon=True)
        self.thread.start()

    def kill(self) -> None:
        """Ends the process, and with it every call that it makes."""
        self._killed = True
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def _serve(self) -> None:
        while self._more and not self._killed:
            with _pool() as pool:
                try:
                    self.pid = pool.submit(os.getpid).result()
                    self._feed(pool)
                    self.kill()  # a driver that hangs would keep it from ending
                except BrokenProcessPool:
                    self.pid = 0
                    self._again()

    def _feed(self, pool: ProcessPoolExecutor) -> None:
        """Passes calls to the process and results back until there are no more calls."""
        while self._more or self._running:
            new = self._taken()
            self._running |= {call.number: call for call in new}
            for number, ended in pool.submit(exchange, [(call.number, call.pickled) for call in new]).result():
                _settle(self._running.pop(number).future, ended)

    def _taken(self) -> list[_Call]:
        """Calls for the free threads; waits for one only where nothing is running."""
        new: list[_Call] = []
        while self._more and len(self._running) + len(new) < self._threads:
            try:
                call = self._calls.get(block=not self._running and not new)
            except queue.Empty:
                break
            if call is None:
                self._more = False
            elif call.future.set_running_or_notify_cancel():
                new.append(call)
        return new

    def _again(self) -> None:
        """What was under way when the process ended, each call in a process of its own."""
        suspects, self._running = list(self._running.values()), {}
        if self._killed:
            for call in suspects:
                call.future.set_exception(WorkerLost("it was called off"))
            return
        with ThreadPoolExecutor(ALONE) as threads:
            list(threads.map(_alone, suspects))


def _drained(calls: queue.SimpleQueue[T]) -> Iterator[T]:
    with contextlib.suppress(queue.Empty):
        while True:
            yield calls.get_nowait()


def _alone(call: _Call) -> None:
    with _pool() as pool:
        try:
            _settle(call.future, pool.submit(_made, call.pickled).result())
        except BrokenProcessPool:
            call.future.set_exception(WorkerLost("the process that audited it ended, twice"))


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=_context(), initializer=_begin)


def _context() -> Any:
    methods = multiprocessing.get_all_start_methods()
    return multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")


def _settle(future: Future[Any], ended: bytes) -> None:
    succeeded, value = pickle.loads(ended)
    if succeeded:
        future.set_result(value)
    else:
        future.set_exception(value)


def cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not everywhere
        return os.cpu_count() or 1


# In the process.


_ended: queue.SimpleQueue[tuple[int, bytes]] = queue.SimpleQueue()


def _begin() -> None:
    """Leaves the keyboard's interrupt to the parent, and ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_orphaned, daemon=True).start()


def _orphaned() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def exchange(calls: Sequence[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Begins the calls, waits a little, and returns what has ended since the last time. Runs in the process."""
    for number, pickled in calls:
        threading.Thread(target=_make, args=(number, pickled), daemon=True).start()
    ended = []
    with contextlib.suppress(queue.Empty):
        ended.append(_ended.get(timeout=PATIENCE_SECONDS))
        while True:
            ended.append(_ended.get_nowait())
    return ended


def _make(number: int, pickled: bytes) -> None:
    _ended.put((number, _made(pickled)))


def _made(pickled: bytes) -> bytes:
    try:
        function, args, kwargs = pickle.loads(pickled)
        return pickle.dumps((True, function(*args, **kwargs)))
    except BaseException as error:
        try:
            pickled = pickle.dumps((False, error))
            pickle.loads(pickled)
        except Exception:
            pickled = pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))
        return pickled
