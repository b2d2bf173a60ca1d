"""Ten thousand pods: a server in a process of its own, the probe in another, whose time and memory are measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from readiness.demo.certificates import Certificates

from .api_server import Running, recorded

MEASURED = """
import asyncio, json, re, sys, time
from pathlib import Path
import httpx
from readiness.probes.kubernetes import kubernetes
from readiness.settings import KubernetesSettings, Limits
from readiness.spec import Context
from readiness.window import Window

def peak():
    # Not ru_maxrss, which begins with what the parent had.
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

before = peak()
context = Context(Window(0, 0), Limits(), "readiness/test", "canary")
began, worked = time.monotonic(), time.process_time()
facts = asyncio.run(kubernetes(KubernetesSettings(kubeconfig=Path(sys.argv[1])), context))
print(json.dumps({
    "seconds": time.monotonic() - began,
    "cpu_seconds": time.process_time() - worked,
    "megabytes": peak() - before,
    "megabytes_in_all": peak(),
    "pods": sum(workload.pods.total for workload in facts.workloads),
    "workloads": len(facts.workloads),
    "with_services": sum(bool(workload.services) for workload in facts.workloads),
}))
"""


def test_ten_thousand_pods(certificates: Certificates, tmp_path: Path) -> None:
    folder = certificates.authority.parent
    command = [sys.executable, str(Path(__file__).parent / "heavy_server.py"), str(folder), "10000", "25"]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        url, megabytes = server.stdout.readline().split()
        running = Running(url, recorded(), certificates.authority.read_text())
        command = [sys.executable, "-c", MEASURED, str(running.kubeconfig(tmp_path))]
        measured = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    finally:
        server.stdin.close()
        server.wait(20)
        server.stdout.close()
    found = SimpleNamespace(**json.loads(measured.stdout))
    print(megabytes, "MB of pods:", measured.stdout)
    assert int(megabytes) > 40
    assert (found.pods, found.workloads, found.with_services) == (10_000, 400, 400)
    # Two seconds is the promise; the rest is for a machine that is shared.
    assert found.cpu_seconds < 6
    assert 0 < found.megabytes < 100
