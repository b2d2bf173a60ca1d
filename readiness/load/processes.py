"""An executor with a process of its own for every call, so that one that dies takes no other with it."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import IO, Any, ParamSpec, TypeVar

from readiness.load.control import Progress

P = ParamSpec("P")
T = TypeVar("T")
_ROOT = str(Path(__file__).resolve().parents[2])


class ProcessLost(Exception):
    """A process ended without a result; the message says how."""


class Processes(Executor):
    """Starts all calls together once as many as announced are ready, and can stop them.

    Interrupts from the keyboard do not reach the processes; `stop` does, and so does the end of this process.

    Args:
        parties: how many calls will be submitted.
    """

    def __init__(self, parties: int) -> None:
        self.parties = self._waiting_for = parties
        self._lock = threading.Lock()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._threads: list[threading.Thread] = []
        self._progress: dict[int, Progress] = {}
        self._stopped: str | None = None
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """The processes in the order of submission."""
        return [process.pid for process in self._processes]

    def progress(self) -> Progress:
        """How far all calls together have come; the elapsed time is the longest."""
        with self._lock:
            parts = list(self._progress.values())
        elapsed, *sums = zip(*parts, strict=True) if parts else [(0.0,)] * 5
        return Progress(max(elapsed), *map(sum, sums))

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Starts a process that makes the call, which must pickle, as must its result."""
        call = pickle.dumps((fn, args, kwargs))
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            if self._closed:
                raise RuntimeError("submitted after the executor was shut down")
            with _no_interrupt():
                process = _start()
                self._processes.append(process)
            number, stopped = len(self._processes), self._stopped
        _tell(process, call)
        if stopped is not None:
            _tell(process, _stop_line(stopped))
        # Not a daemon: whoever waits for the future counts on it.
        thread = threading.Thread(target=self._attend, args=(number, process, future), name=f"load process {number}")
        self._threads.append(thread)
        thread.start()
        return future

    def stop(self, why: str) -> None:
        """Tells every call to end early and to bring what it has."""
        with self._lock:
            if self._stopped is not None:
                return
            self._stopped = why
            processes = list(self._processes)
        for process in processes:
            _tell(process, _stop_line(why))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends every process that still runs, and waits for it."""
        self._closed = True
        for process in self._processes:
            if process.poll() is None:
                process.kill()
        if wait:
            for thread in self._threads:
                thread.join()

    def _attend(self, number: int, process: subprocess.Popen[bytes], future: Future[Any]) -> None:
        """Listens to one process until it has ended. Runs in a thread of its own."""
        ready, error, results = False, None, []
        assert process.stdout is not None
        for name, value in _messages(process.stdout):
            match name:
                case "ready":
                    ready = True
                    self._arrived()
                case "progress":
                    with self._lock:
                        self._progress[number] = Progress(*value)
                case "stopping":
                    self.stop(value)
                case "error":
                    error = value
                case "result":
                    results.append(value)
        code = process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        if not ready:
            self._arrived()
        if results:
            future.set_result(results[0])
        else:
            future.set_exception(error or ProcessLost(_ending(code)))

    def _arrived(self) -> None:
        """One more is ready, or will never be."""
        with self._lock:
            self._waiting_for -= 1
            processes = list(self._processes) if self._waiting_for == 0 else []
        for process in processes:
            _tell(process, b"go\n")


def _start() -> subprocess.Popen[bytes]:
    path = os.pathsep.join(part for part in (_ROOT, os.environ.get("PYTHONPATH", "")) if part)
    return subprocess.Popen(
        [sys.executable, "-P", "-c", "from readiness.load.child import main; main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )


@contextlib.contextmanager
def _no_interrupt() -> Iterator[None]:
    """Lets a process begin with SIGINT blocked: Ctrl-C goes to every process of the terminal, and we tell ours."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _tell(process: subprocess.Popen[bytes], data: bytes) -> None:
    with contextlib.suppress(OSError, ValueError):  # it has ended, and that is noticed elsewhere
        assert process.stdin is not None
        process.stdin.write(data)
        process.stdin.flush()


def _stop_line(why: str) -> bytes:
    return f"stop {' '.join(why.split())}\n".encode()


def _messages(stream: IO[bytes]) -> Iterator[tuple[str, Any]]:
    """What a process says until it ends, possibly in the middle of a message."""
    with contextlib.suppress(EOFError, pickle.UnpicklingError, OSError, ValueError):
        while True:
            yield pickle.load(stream)


def _ending(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
        return f"killed by signal {-code}"
    return f"ended with status {code}"
