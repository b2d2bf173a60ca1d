"""A process for every call, made by forking one that has imported everything.

An audit measures times in threads of its own, and threads of other audits in the same interpreter would make it late;
the kernel is fairer to processes. A process for every audit also takes along whatever hangs in it, leaks or crashes.
Forking costs a few hundredths of a second, where starting an interpreter would cost as much as several audits.

    forks = Forks()
    forks.call(function, argument)      # from any thread; both must pickle, as must what is returned

The first process, the zygote, runs nothing and has one thread, so that it can be forked. Each call has a socket pair:
one end goes to the zygote, which passes it on to its copy, and the end of either process closes it for the other.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
START_SECONDS = 60.0
_ROOT = str(Path(__file__).resolve().parents[2])
_LENGTH = struct.Struct("!Q")
_START = "from readiness.fleet.forks import zygote; zygote()"


class ForkLost(Exception):
    """The process of a call ended without a result."""


class Forks:
    """Makes calls in processes of their own. The zygote is started with the first call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._zygote: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._closed = False

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """What the function returns or raises. Raises ForkLost where its process ends before."""
        ours = self._fork()
        try:
            _send(ours, (function, args))
            succeeded, value = _receive(ours)
        except (OSError, EOFError):
            raise ForkLost("the process that made it ended") from None
        finally:
            with self._lock:
                self._open.discard(ours)
            ours.close()
        if not succeeded:
            raise value
        result: T = value
        return result

    def close(self) -> None:
        """Ends every process; calls under way raise ForkLost, and so do later ones."""
        with self._lock:
            self._closed = True
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            if self._control is not None:
                self._control.close()
            zygote, self._zygote, self._control = self._zygote, None, None
        if zygote is not None:
            zygote.wait()

    def _fork(self) -> socket.socket:
        """Our end of the connection to a new process."""
        with self._lock:
            if self._closed:
                raise ForkLost("it was called off")
            if self._zygote is not None and self._zygote.poll() is not None:
                self._zygote = None  # killed: the next call has another
            if self._zygote is None:
                self._start()
            assert self._control is not None
            ours, theirs = socket.socketpair()
            with theirs:
                try:
                    socket.send_fds(self._control, [b"f"], [theirs.fileno()])
                except OSError:
                    ours.close()
                    raise ForkLost("no process could be started") from None
            self._open.add(ours)
            return ours

    def _start(self) -> None:
        if self._control is not None:
            self._control.close()
        self._control, theirs = socket.socketpair()
        with theirs:
            environment = dict(
                os.environ, PYTHONPATH=os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH")]))
            )
            self._zygote = subprocess.Popen(
                [sys.executable, "-c", _START, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,  # the keyboard's interrupt is for us alone
            )
        if not select.select([self._control], [], [], START_SECONDS)[0] or self._control.recv(1) != b"r":
            self._zygote.kill()
            self._zygote.wait()
            self._zygote = None
            raise ForkLost("no process could be started")


def _send(to: socket.socket, value: Any) -> None:
    data = pickle.dumps(value)
    to.sendall(_LENGTH.pack(len(data)) + data)


def _receive(source: socket.socket) -> Any:
    (length,) = _LENGTH.unpack(_exactly(source, _LENGTH.size))
    return pickle.loads(_exactly(source, length))


def _exactly(source: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = source.recv(min(size - len(data), 1 << 20))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)


# In the zygote and its copies.


def zygote() -> None:
    """Imports what audits need, and forks once for every socket that it is sent, until nobody is left to send one."""
    from readiness.fleet import work

    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    work.warm()
    gc.collect()
    gc.freeze()  # a collection in a copy would touch, and so copy, every page
    control.sendall(b"r")
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        connection = socket.socket(fileno=descriptors[0])
        if os.fork() == 0:
            control.close()
            _serve(connection)
        connection.close()


def _serve(connection: socket.socket) -> None:
    """Makes one call, and ends without ceremony: a driver may have left a thread behind."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    code = 1
    try:
        function, args = _receive(connection)
        threading.Thread(target=_orphaned, args=(connection,), daemon=True).start()
        try:
            answer = (True, function(*args))
        except BaseException as error:
            answer = (False, _picklable(error))
        _send(connection, answer)
        code = 0
    finally:
        os._exit(code)


def _orphaned(connection: socket.socket) -> None:
    """Ends this process when whoever waits for it has ended."""
    with contextlib.suppress(OSError):
        connection.recv(1)
    os._exit(1)


def _picklable(error: BaseException) -> BaseException:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
