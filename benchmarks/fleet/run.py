"""A fleet on loopback, audited by local processes and through a Dask cluster: `python benchmarks/fleet/run.py`.

Starts HTTP services of varied quality in one process, runs `readiness fleet` on them, and watches its processes. The
ideal is what no scheduling can beat: all processor time, that of the services included, evenly over the cores, or the
slowest single audit where that takes longer; on a machine that others use as well it is also given for what those
left. Memory is the peak of the proportional set sizes of all processes; what
a deployment costs is the difference between a large and a small fleet. What is printed is Markdown.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from readiness.machine import cores

HERE = Path(__file__).parent
DASK_WORKERS, DASK_THREADS = 2, 16
SMALL = 40
"""Deployments of the fleet against which the growth of memory is measured."""


@contextlib.contextmanager
def services(count: int) -> Iterator[tuple[list[int], psutil.Process]]:
    """The ports, and the process that serves them."""
    argv = [sys.executable, str(HERE / "services.py"), str(count)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield json.loads(server.stdout.readline()), psutil.Process(server.pid)
        finally:
            server.stdin.close()


@contextlib.contextmanager
def cluster() -> Iterator[tuple[str, psutil.Process]]:
    """The address of a Dask scheduler with two workers, and the process that started them."""
    argv = [sys.executable, str(HERE / "cluster.py"), str(DASK_WORKERS), str(DASK_THREADS)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdin is not None
        assert started.stdout is not None
        try:
            yield started.stdout.readline().strip(), psutil.Process(started.pid)
        finally:
            started.stdin.close()


@dataclass
class Watch:
    """Processor time and memory of processes and all that they start, looked at once a second.

    The time of single audits is left out: their processes come and go, and each tells in its row what it took.
    """

    roots: list[psutil.Process]
    before: dict[int, float] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    peak: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Watch:
        self._look(self.before)
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        looks = 0
        while not self._over.wait(1):
            looks += 1
            size = self._look(self.seconds, memory=looks % 5 == 0)
            self.peak = max(self.peak, size)

    def _look(self, seconds: dict[int, float], memory: bool = False) -> int:
        size = 0
        for root in self.roots:
            zygotes = set()
            with contextlib.suppress(psutil.Error):
                for process in [root, *root.children(recursive=True)]:
                    with contextlib.suppress(psutil.Error):
                        if memory:  # which the kernel has to add up page by page
                            size += process.memory_full_info().pss
                        if process.ppid() in zygotes:
                            continue
                        if any("zygote()" in part for part in process.cmdline()):
                            zygotes.add(process.pid)
                        seconds[process.pid] = sum(process.cpu_times()[:2])
        return size

    @property
    def cpu(self) -> float:
        return sum(spent - self.before.get(pid, 0.0) for pid, spent in self.seconds.items())


@dataclass(frozen=True)
class Run:
    """One run: seconds, megabytes, and the rows by name."""

    name: str
    deployments: int
    wall: float
    cpu: float
    served: float
    slowest: float
    memory: float
    rows: dict[str, dict[str, Any]]
    busy: float

    @property
    def others(self) -> float:
        """How many cores were busy with something else meanwhile."""
        return max(0.0, self.busy - self.cpu - self.served) / self.wall

    @property
    def ideal(self) -> float:
        return max((self.cpu + self.served) / cores(), self.slowest)

    @property
    def left(self) -> float:
        """The ideal on what others left of the machine."""
        return max((self.cpu + self.served) / (cores() - self.others), self.slowest)

    def line(self) -> str:
        late = sum(row["late"] for row in self.rows.values())
        return (
            f"| {self.name} | {self.deployments} | {self.wall:.1f} | {self.cpu:.1f} + {self.served:.1f} | "
            f"{self.slowest:.1f} | {self.ideal:.1f} | **{self.wall / self.ideal:.2f}** | {self.others:.2f} | "
            f"{self.wall / self.left:.2f} | {late} | {self.cpu / self.deployments:.2f} | {self.memory:.0f} |"
        )


def busy() -> float:
    """Seconds of processor time that the machine has spent on anything, since it started."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def run(name: str, count: int, *more: str, also: psutil.Process | None = None) -> Run:
    """`readiness fleet` over so many services. `also` is a process whose children do the work."""
    with tempfile.TemporaryDirectory() as folder, services(count) as (ports, server):
        path = Path(folder) / "fleet.yaml"
        listed = [f"  - {{name: service-{n:03}, http: {{url: 'http://127.0.0.1:{p}/'}}}}" for n, p in enumerate(ports)]
        path.write_text("\n".join(["deployments:", *listed, ""]))
        argv = [sys.executable, "-m", "readiness", "fleet", str(path), "-q", "-o", f"{folder}/fleet.json", *more]
        began, before = time.monotonic(), busy()
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as audited:
            with Watch([psutil.Process(audited.pid), *([also] if also else [])]) as watch, Watch([server]) as served:
                audited.wait()
            wall, spent = time.monotonic() - began, busy() - before
        rows = {row["name"]: row for row in json.loads(Path(f"{folder}/fleet.json").read_text())["deployments"]}
    slowest = max(row["seconds"] for row in rows.values())
    audits = sum(row["cpu_seconds"] for row in rows.values())
    return Run(name, count, wall, audits + watch.cpu, served.cpu, slowest, watch.peak / 1e6, rows, spent)


def compared(one: Run, other: Run) -> Iterator[str]:
    """Where two runs over the same services disagree, apart from audits that lacked processor time in one of them."""
    both = [name for name, row in one.rows.items() if not (row["late"] or other.rows[name]["late"])]
    pairs = {name: (one.rows[name], other.rows[name]) for name in both}
    differing = [name for name, (a, b) in pairs.items() if (a["audit"], a["score"]) != (b["audit"], b["score"])]
    most = max((abs((a["score"] or 0) - (b["score"] or 0)) for a, b in pairs.values()), default=0)
    parts = {part for a, b in pairs.values() for part, _ in set(a["components"].items()) ^ set(b["components"].items())}
    verdicts = [name for name, (a, b) in pairs.items() if any(set(a[key]) ^ set(b[key]) for key in ("fail", "error"))]
    yield f"{len(one.rows) - len(both)} of {len(one.rows)} were late in one of the runs and are not compared"
    where = ", ".join(sorted(parts)) or "no component"
    yield f"{len(differing)} of {len(both)} scores differ, by at most {most:.1f}; in {where}"
    yield f"{len(verdicts)} of {len(both)} fail at another check: {', '.join(verdicts[:10]) or 'none'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deployments", type=int, default=200)
    parser.add_argument("--only", choices=["local", "dask"])
    options = parser.parse_args()
    runs: list[Run] = []
    growth = []
    print(f"{cores()} cores, {platform.python_implementation()} {platform.python_version()}\n")
    titles = (
        "where", "deployments", "wall s", "CPU s, audits + services", "slowest audit s", "ideal s", "wall / ideal",
        "cores that others used", "wall / ideal on the rest", "late", "CPU s a deployment", "peak MB",
    )  # fmt: skip
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}", flush=True)

    def made(name: str, *more: str, also: psutil.Process | None = None) -> None:
        small = run(f"{name}, small", SMALL, *more, also=also)
        print(small.line(), flush=True)
        large = run(name, options.deployments, *more, also=also)
        print(large.line(), flush=True)
        runs.append(large)
        growth.append((name, (large.memory - small.memory) / (large.deployments - small.deployments)))

    if options.only != "dask":
        made("local")
    if options.only != "local":
        with cluster() as (address, started):
            made(f"Dask, {DASK_WORKERS} workers", "--dask", address, also=started)
    print()
    for name, each in growth:
        print(f"{name}: {each:.2f} MB more a deployment")
    if len(runs) == 2:
        print("\n".join(compared(*runs)))


if __name__ == "__main__":
    main()
