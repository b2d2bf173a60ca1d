"""What the tests of fleets start: services on loopback, a Dask cluster, and `readiness` itself; ended by pid."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parents[2] / "benchmarks/fleet"
PATIENCE = 60.0


@contextlib.contextmanager
def services(count: int) -> Iterator[list[int]]:
    """The ports of so many services of varied quality."""
    argv = [sys.executable, str(BENCHMARKS / "services.py"), str(count)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield json.loads(server.stdout.readline())
        finally:
            _end(server)


def _end(process: subprocess.Popen[Any]) -> None:
    """Closes its input, at which it ends, and ends it where it does not."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()


@dataclass(frozen=True)
class Started:
    """A Dask cluster: its address, and the process of its scheduler, whose children are the workers."""

    address: str
    pid: int

    def workers(self) -> list[int]:
        """The processes that do the work."""
        pids = [pid for pid in _children(self.pid) if b"resource_tracker" not in _command(pid)]
        return [pid for pid in pids if b"multiprocessing" in _command(pid)]


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(each) for each in (task / "children").read_text().split()]
    return found


def _command(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


@contextlib.contextmanager
def cluster(workers: int = 2, threads: int = 12, *resources: str) -> Iterator[Started]:
    """A Dask scheduler with workers in processes of their own, without a dashboard."""
    argv = [sys.executable, str(BENCHMARKS / "cluster.py"), str(workers), str(threads), *resources]
    # The workers import functions of the tests.
    environment = {**os.environ, "PYTHONPATH": str(BENCHMARKS.parents[1])}
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Started(process.stdout.readline().strip(), process.pid)
        finally:
            _end(process)


def write_fleet(path: Path, ports: Sequence[int], more: str = "") -> Path:
    """A fleet of these services, with short windows."""
    (path.parent / "base.yaml").write_text("limits: {window_seconds: 0.3}\n")
    listed = [
        f"  - {{name: service-{n:02}, http: {{url: 'http://127.0.0.1:{port}/'}}}}" for n, port in enumerate(ports)
    ]
    path.write_text("\n".join(["fleet: loopback", "extends: base.yaml", more, "deployments:", *listed, ""]))
    return path


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "readiness", *map(str, arguments)]


def readiness(*arguments: object, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=110, env={**os.environ, **(environment or {})}
    )


@contextlib.contextmanager
def running(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """As a shell would start it: in a process group of its own, which Ctrl-C reaches as a whole."""
    process = subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_until(condition: object, what: str) -> None:
    """Until a function returns something true."""
    assert callable(condition)
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
