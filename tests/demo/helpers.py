"""What the tests of the demo share: a client of a running deployment, and what is left of processes."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import httpx

from readiness.demo import Deployment


def client(running: Deployment, *, token: bool = False) -> httpx.Client:
    """An HTTP client of the deployment's service, with the auditor's token or anonymous."""
    http = running.config["http"]
    verify = ssl.create_default_context(cafile=http["ca_file"]) if "ca_file" in http else True
    headers = http["headers"] if token else {}
    return httpx.Client(base_url=http["url"], verify=verify, headers=headers, trust_env=False, timeout=10)


def answers(running: Deployment) -> dict[str, int]:
    """How often the traffic got which status, as it last reported."""
    lines = [line for line in running.processes["traffic"].output().splitlines() if line.startswith("{")]
    counted: dict[str, int] = json.loads(lines[-1])["answers"]
    return counted


def eventually(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """The condition's value as soon as it is true; fails the test after that many seconds."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.1)
    return value


def children(pid: int) -> set[int]:
    """The ids of a process's children (Linux)."""
    found: set[int] = set()
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        found |= {int(child) for child in path.read_text().split()}
    return found


def alive(pids: Iterable[int]) -> set[int]:
    """Those that still run; a zombie that nobody has collected yet does not."""
    running = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state not in "ZX":
            running.add(pid)
    return running
