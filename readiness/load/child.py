"""The other end of `Processes`: a process that makes one call and talks about it with whoever started it.

It reads the pickled call and then lines (`go`, `stop WHY`) from standard input, and writes pickled pairs of a name and
a value to what was its standard output. The end of its input is the end of the one who started it, and stops it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import select
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, BinaryIO, Protocol, TypeVar

from readiness.load.control import Progress, Stoppable

T = TypeVar("T")

_link: ContextVar[Link | None] = ContextVar("link", default=None)


def link() -> Link | None:
    """The line to whoever made this call, or None where nobody listens."""
    return _link.get()


def call_over(over: Link, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Makes a call that finds `over` as its link: for executors that are not made of processes of their own."""
    token = _link.set(over)
    try:
        return function(*args, **kwargs)
    finally:
        _link.reset(token)


class Link(Protocol):
    """What a shard says to whoever waits for its result, and how it hears of the common start and of the end."""

    def attach(self, control: Stoppable) -> None:
        """From now on, in the running event loop, `stop` reaches this run."""

    async def ready(self) -> None:
        """Says that the connections are open, and waits until everybody's are."""

    def progress(self, progress: Progress) -> None:
        """Passes it on."""

    def stopping(self, why: str) -> None:
        """Says that the run ends early, so that the others end too."""


class Reins:
    """The common start and the end of one run, told from any thread at any time, before the run has begun as well."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._control: Stoppable | None = None
        self._go: asyncio.Event | None = None
        self._stopped: str | None = None
        self._released = False

    def attach(self, control: Stoppable) -> None:
        """From now on, in the running event loop, `stop` reaches this run."""
        with self._lock:
            self._loop, self._control, self._go = asyncio.get_running_loop(), control, asyncio.Event()
            if self._released:
                self._go.set()
            if self._stopped is not None:
                control.stop(self._stopped)

    async def released(self) -> None:
        """Waits for the start."""
        assert self._go is not None
        await self._go.wait()

    def release(self) -> None:
        """Lets the run start."""
        self._tell(None)

    def stop(self, why: str) -> None:
        """Ends the run early."""
        self._tell(why)

    def _tell(self, why: str | None) -> None:
        with self._lock:
            if why is not None:
                self._stopped = self._stopped or why
            self._released = True
            loop, control, go = self._loop, self._control, self._go
        if loop is None or control is None or go is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            if why is not None:
                loop.call_soon_threadsafe(control.stop, why)
            loop.call_soon_threadsafe(go.set)


class Pipes:
    """The link of a process to the one that started it."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._reins = Reins()

    def attach(self, control: Stoppable) -> None:
        """From now on, in the running event loop, `stop` reaches this run."""
        self._reins.attach(control)

    async def ready(self) -> None:
        """Says that the connections are open, and waits until everybody's are."""
        self.send("ready", None)
        await self._reins.released()

    def progress(self, progress: Progress) -> None:
        """Passes it on, unless the other side does not read."""
        if select.select([], [self._output], [], 0)[1]:
            self.send("progress", tuple(progress))

    def stopping(self, why: str) -> None:
        """Says that the run ends early, so that the others end too."""
        self.send("stopping", why)

    def send(self, name: str, value: Any) -> None:
        with contextlib.suppress(OSError):  # nobody listens: the input has ended too, and stops the run
            self._output.write(pickle.dumps((name, value)))
            self._output.flush()

    def listen(self, source: BinaryIO) -> None:
        """Reads what is said until nobody is left to say it. Runs in a thread of its own."""
        for line in source:
            word, _, rest = line.decode(errors="replace").strip().partition(" ")
            if word == "stop":
                self._reins.stop(rest)
            else:
                self._reins.release()
        self._reins.stop("the process that started this one is gone")


def main() -> None:
    """Makes the call. Ends without ceremony, because a thread still reads."""
    source = sys.stdin.buffer
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else prints must not garble the answers
    pipes = Pipes(output)
    function, args, kwargs = pickle.load(source)
    threading.Thread(target=pipes.listen, args=(source,), daemon=True).start()
    try:
        pipes.send("result", call_over(pipes, function, *args, **kwargs))
    except BaseException as error:
        pipes.send("error", _picklable(error))
    output.flush()
    os._exit(0)


def _picklable(error: BaseException) -> BaseException:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
