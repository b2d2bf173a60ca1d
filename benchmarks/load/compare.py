"""`readiness load` beside wrk, hey and ab, in one run on one machine: `python benchmarks/load/compare.py`.

The tools take turns, so that whatever else the machine does meets all of them; each figure is the median of its rounds,
and each ratio the median of the ratios of a round. What is printed is Markdown. Takes about three minutes.
Needs nginx; wrk, hey and ab (apache2-utils) are left out where they are missing.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import cast

from readiness.demo.processes import Server, accepts, free_ports, running

NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
worker_rlimit_nofile {files};
events {{ worker_connections {files}; }}
http {{
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ return 200 "{body}"; }}
    location /unique {{ return 200 "${{request_id}}{rest}"; }}
  }}
}}
"""
BODY = "x" * 120
CONNECTIONS = 64
RATE = 200
HELD = 10_000
KNOWN = (50, 95, 99, 99.5)
STALLING = {"p75": 5.0, "p90": 500.0, "p95": 750.0, "p99": 950.0}
Percentiles = dict[str, float]
notes: list[str] = []
Speed = tuple[float, float]
"""Requests a second, and seconds of processor time a request."""


def output(*argv: str) -> str:
    """What a command printed on standard output."""
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout


def readiness(url: str, seconds: float, *options: str) -> dict[str, object]:
    command = [sys.executable, "-m", "readiness", "load", url, "--duration", str(seconds), "-q", "-o", "-", *options]
    # An early end is a figure too, and the exit code says no more than the document.
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return cast(dict[str, object], json.loads(done.stdout))


def found(pattern: str, text: str) -> float:
    match = re.search(pattern, text)
    if match is None:
        raise SystemExit(f"cannot read the output of a tool: {pattern!r} is not in\n{text}")
    return float(match[1])


# Requests a second in a closed loop.

UNIQUE = "readiness, no two answers alike"


def own(url: str, seconds: float) -> Speed:
    data = readiness(url, seconds, "--rate", "0", "--connections", str(CONNECTIONS))
    return cast(float, data["requests_per_second"]), cast(float, data["cpu_seconds"]) / cast(int, data["requests"])


def other(pattern: str, *argv: str) -> Speed:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    rate = found(pattern, output(*argv))
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return rate, spent / (rate * seconds)


THROUGHPUT: Mapping[str, Callable[[str, float], Speed]] = {
    "readiness": own,
    UNIQUE: lambda url, seconds: own(f"{url}unique", seconds),
    "wrk": lambda url, seconds: other(
        r"Requests/sec:\s+([\d.]+)", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url
    ),
    "hey": lambda url, seconds: other(
        r"Requests/sec:\s+([\d.]+)", "hey", "-z", f"{seconds}s", "-c", str(CONNECTIONS), url
    ),
    "ab": lambda url, seconds: other(
        r"Requests per second:\s+([\d.]+)",
        *("ab", "-k", "-q", "-c", str(CONNECTIONS), "-t", f"{seconds:g}", "-n", "100000000", url),
    ),
}


# Latency in milliseconds, against servers that are known.


def readiness_latency(url: str, seconds: float) -> Percentiles:
    data = readiness(url, seconds, "--rate", str(RATE), "--connections", "250")
    if data["late"]:
        notes.append(f"readiness itself says of {url}: this machine was too slow to send on time; nothing to compare.")
    return {name: value for name, value in cast(Percentiles, data["latency_ms"]).items() if name.startswith("p")}


def wrk_latency(url: str, seconds: float) -> Percentiles:
    text = output("wrk", "-t1", "-c20", f"-d{seconds}s", "--latency", url)
    units = {"us": 0.001, "ms": 1.0, "s": 1000.0}
    values = re.findall(r"(\d+)%\s+([\d.]+)(us|ms|s)\n", text)
    return {f"p{percent}": float(value) * units[unit] for percent, value, unit in values}


def hey_latency(url: str, seconds: float) -> Percentiles:
    text = output("hey", "-z", f"{seconds}s", "-c", "20", "-q", str(RATE // 20), url)
    return {f"p{percent}": 1000 * float(value) for percent, value in re.findall(r"(\d+)% in ([\d.]+) secs", text)}


def ab_latency(url: str, seconds: float) -> Percentiles:
    text = output("ab", "-k", "-q", "-c", "20", "-t", f"{seconds:g}", "-n", "100000000", url)
    return {f"p{percent}": float(value) for percent, value in re.findall(r"(\d+)%\s+(\d+)", text)}


LATENCY: Mapping[str, Callable[[str, float], Percentiles]] = {
    "readiness": readiness_latency,
    "wrk": wrk_latency,
    "hey": hey_latency,
    "ab": ab_latency,
}


# Servers.


@contextlib.contextmanager
def nginx(folder: Path) -> Iterator[str]:
    (port,) = free_ports(1)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    config = NGINX.format(folder=folder, port=port, body=BODY, rest=BODY[32:], files=min(hard, HELD + 1000))
    (folder / "nginx.conf").write_text(config)
    server = Server("nginx", ["nginx", "-c", folder / "nginx.conf"], log=folder / "nginx.log")
    with running(server, partial(accepts, port)):
        yield f"http://127.0.0.1:{port}/"


@contextlib.contextmanager
def python_server(folder: Path, kind: str) -> Iterator[str]:
    (port,) = free_ports(1)
    script = Path(__file__).with_name("server.py")
    server = Server(kind, [sys.executable, script, str(port), kind], log=folder / f"{kind}.log")
    with running(server, partial(accepts, port)):
        yield f"http://127.0.0.1:{port}/"


# What is measured.


def closed_loop(url: str, tools: Sequence[str], rounds: int, seconds: float) -> None:
    """Requests a second, and the processor time of the client for each."""
    rates: dict[str, list[float]] = {tool: [] for tool in tools}
    costs: dict[str, list[float]] = {tool: [] for tool in tools}
    for _ in range(rounds):
        for tool in tools:
            rate, cost = THROUGHPUT[tool](url, seconds)
            rates[tool].append(rate)
            costs[tool].append(1e6 * cost)
    print(f"\n### Closed loop: {CONNECTIONS} connections, nginx with one worker, {len(BODY)} bytes\n")
    table("tool", "requests/s", "lowest", "highest", "readiness / this one", "CPU µs a request")
    for tool in tools:
        some = [f"{figure:,.0f}" for figure in (statistics.median(rates[tool]), min(rates[tool]), max(rates[tool]))]
        row(tool, *some, f"{ratio(rates['readiness'], rates[tool]):.2f}", f"{statistics.median(costs[tool]):.1f}")


def ratio(ones: Sequence[float], others: Sequence[float]) -> float:
    """The median of the ratios, round by round."""
    return statistics.median(one / other for one, other in zip(ones, others, strict=True))


def known(url: str, tools: Sequence[str], rounds: int, seconds: float) -> None:
    """What a tool says, and what the server itself took meanwhile: its timers are a busy machine's too."""
    said: dict[str, list[tuple[Percentiles, Percentiles]]] = {tool: [] for tool in tools}
    for _ in range(rounds):
        for tool in tools:
            said[tool].append((LATENCY[tool](url, seconds), _took(url)))
    print(f"\n### Known distribution: 95 % 20 ms, 4 % 100 ms, 1 % 400 ms; {RATE} requests/s\n")
    names = [f"p{percent:g}" for percent in KNOWN]
    table("ms, and what it truly was", *names)
    for tool in tools:
        row(tool, *(_against(*((measured.get(name), true[name]) for measured, true in said[tool])) for name in names))


def _took(url: str) -> Percentiles:
    """How long the server took for what it answered since the last such question."""
    with urllib.request.urlopen(f"{url}took") as answer:
        took = sorted(json.load(answer))
    return {f"p{percent:g}": took[max(0, round(len(took) * percent / 100) - 1)] for percent in KNOWN}


def stalling(url: str, tools: Sequence[str], seconds: float) -> None:
    print(f"\n### Stalling server: no answer for 1 s in every 5 s, else 5 ms; {RATE} requests/s\n")
    table("ms, and what a constant rate meets", *STALLING)
    for tool in tools:
        measured = LATENCY[tool](url, seconds)
        row(tool, *(_against((measured.get(name), value)) for name, value in STALLING.items()))


def _against(*rounds: tuple[float | None, float]) -> str:
    """Medians of what was measured, of the truth, and of how far the one was from the other in its round."""
    pairs = [(value, truth) for value, truth in rounds if value is not None]
    if not pairs:
        return "–"
    value, truth = (statistics.median(side) for side in zip(*pairs, strict=True))
    return f"{value:.4g} of {truth:.4g} ({100 * (ratio(*zip(*pairs, strict=True)) - 1):+.0f} %)"


def held(url: str) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    connections = min(HELD, hard - 1000)
    options = ("--rate", "2000", "--connections", str(connections))
    command = [sys.executable, "-m", "readiness", "load", url, "--duration", "6", "-q", "-o", "-", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    most: dict[int, int] = {}
    while process.poll() is None:
        for pid in [process.pid, *children(process.pid)]:
            most[pid] = max(most.get(pid, 0), peak(pid))
        time.sleep(0.1)
    assert process.stdout is not None
    data = json.loads(process.stdout.read())
    print(f"\n### {connections:,} connections held, 2,000 requests/s over them\n")
    table("held", "requests", "errors", "p50 ms", "p99 ms", "memory of the engine's process")
    latency = data["latency_ms"]
    row(
        f"{data['connections']:,}",
        f"{data['requests']:,}",
        str(sum(data["errors"].values()) + data["refused"]),
        *(f"{latency[name]:.3g}" for name in ("p50", "p99")),
        f"{max(size for pid, size in most.items() if pid != process.pid) / 1024:.0f} MB",
    )


def children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def peak(pid: int) -> int:
    """The most memory that a process has held, in kB."""
    with contextlib.suppress(OSError):
        match = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
        return int(match[1]) if match else 0  # none while it ends
    return 0


# Output.


def table(*titles: str) -> None:
    row(*titles)
    row(*("---" if index == 0 else "---:" for index, _ in enumerate(titles)))


def row(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


def machine(tools: Sequence[str]) -> str:
    model = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    packages = {"wrk": "wrk", "hey": "hey", "ab": "apache2-utils", "nginx": "nginx"}
    versions = [f"{tool} {debian(packages[tool])}" for tool in [*tools[1:], "nginx"]]
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    return (
        f"{cores} cores of {model[1].strip() if model else platform.machine()}, Linux {platform.release()}, "
        f"Python {platform.python_version()}, {uvloop_version()}, {', '.join(versions)}; "
        f"load average before the run {load:.1f}"
    )


def debian(package: str) -> str:
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        return output("dpkg-query", "-W", "-f", "${Version}", package)
    return "of unknown version"


def uvloop_version() -> str:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return f"uvloop {importlib.metadata.version('uvloop')}"
    return "no uvloop"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8, help="of the closed loop (8)")
    parser.add_argument("--seconds", type=int, default=1, help="for each tool in a round (1)")
    arguments = parser.parse_args()
    tools = ["readiness", *(tool for tool in ("wrk", "hey", "ab") if shutil.which(tool))]
    print(machine(tools))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with nginx(folder) as url:
            closed_loop(url, ["readiness", UNIQUE, *tools[1:]], arguments.rounds, arguments.seconds)
            held(url)
        with python_server(folder, "known") as url:
            known(url, tools, 3, 5)
        with python_server(folder, "stalling") as url:
            stalling(url, tools, 10)
    print("\np95 is the slowest of the 20 ms answers, so that it tells most of what else the machine did.")
    print("wrk and ab know no rate: they send as fast as 20 connections are answered.", *notes, sep="\n")


if __name__ == "__main__":
    main()
