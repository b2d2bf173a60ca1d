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
from typing import Any, BinaryIO

from readiness.load.control import Control, Progress

_link: Link | None = None


def link() -> Link | None:
    """The line to the process that started this one, or None in a process that was started otherwise."""
    return _link


class Link:
    """Waits for the common start, passes progress on, and stops the run when told so."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._control: Control | None = None
        self._go: asyncio.Event | None = None
        self._stopped: str | None = None
        self._released = False

    def attach(self, control: Control) -> None:
        """From now on, in the running event loop, `stop` reaches this run."""
        with self._lock:
            self._loop, self._control, self._go = asyncio.get_running_loop(), control, asyncio.Event()
            if self._released:
                self._go.set()
            if self._stopped is not None:
                control.stop(self._stopped)

    async def ready(self) -> None:
        """Says that the connections are open, and waits until everybody's are."""
        assert self._go is not None
        self.send("ready", None)
        await self._go.wait()

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
            self._heard(word, rest)
        self._heard("stop", "the process that started this one is gone")

    def _heard(self, word: str, rest: str) -> None:
        with self._lock:
            if word == "stop":
                self._stopped = self._stopped or rest
            self._released = True
            loop, control, go = self._loop, self._control, self._go
        if loop is None or control is None or go is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            if word == "stop":
                loop.call_soon_threadsafe(control.stop, rest)
            loop.call_soon_threadsafe(go.set)


def main() -> None:
    """Makes the call. Ends without ceremony, because a thread still reads."""
    global _link
    source = sys.stdin.buffer
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else prints must not garble the answers
    _link = Link(output)
    function, args, kwargs = pickle.load(source)
    threading.Thread(target=_link.listen, args=(source,), daemon=True).start()
    try:
        _link.send("result", function(*args, **kwargs))
    except BaseException as error:
        _link.send("error", _picklable(error))
    output.flush()
    os._exit(0)


def _picklable(error: BaseException) -> BaseException:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
