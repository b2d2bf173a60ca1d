"""`readiness load`, the installed command, against servers that count."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme
from hdrh.histogram import HdrHistogram
from typer.testing import CliRunner

from readiness.cli import app

from .counting import Counting

FIGURES = ["mean", "p50", "p75", "p90", "p95", "p99", "p99.5", "max"]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "readiness", "load", *arguments]


def load(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=90)


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
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


def children(pid: int) -> list[int]:
    """The processes that do the work, once there are any."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def server() -> Iterator[Counting]:
    with Counting() as counting:
        yield counting


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that gives every request the same answer."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=talk, args=(listening.accept()[0],)).start()

        def talk(peer: socket.socket) -> None:
            with peer, contextlib.suppress(OSError):
                while peer.recv(65536):
                    peer.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def within_the_ceiling(server: Counting, rate: float, connections: int) -> bool:
    """No request before it was due, and no more connections or requests at once than asked."""
    first = server.arrivals[0]
    early = [when for index, when in enumerate(server.arrivals) if when - first < index / rate - 0.5]
    return not early and server.most_open <= connections and server.most_under_way <= connections


# What it prints and writes.


def test_a_run(server: Counting, tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    done = load(
        server.url, "--rate", "100", "--duration", "1.2", "--connections", "5", "--processes", "2", "-o", str(file)
    )
    assert done.returncode == 0, done.stderr
    assert server.requests == 120
    assert server.connections == 5
    assert within_the_ceiling(server, 100, 5)

    assert re.search(r"^requests +120 in 1\.\d\d s: \d+\.\d/s, ", done.stdout, re.MULTILINE)
    assert re.search(r"^answers +2xx 120$", done.stdout, re.MULTILINE)
    assert re.search(r"^errors +none$", done.stdout, re.MULTILINE)
    assert re.search(r"^ms +" + " +".join(map(re.escape, FIGURES)) + "$", done.stdout, re.MULTILINE)
    for row in ("latency", "first byte", "connect", "lateness"):
        assert re.search(rf"^{row}( +[\d.,]+){{8}}$", done.stdout, re.MULTILINE), row
    assert "TLS" not in done.stdout
    assert re.search(r"^p99 +[▁▂▃▄▅▆▇█]{6} ", done.stdout, re.MULTILINE)
    assert done.stderr.splitlines()[0] == f"GET {server.url}: 100 requests/s for 1.2 s over 5 connections"
    assert re.search(r"^1 s: \d+ requests, \d+/s, mean [\d.]+ ms, 0 errors$", done.stderr, re.MULTILINE)
    assert f"wrote {file}" in done.stderr

    data = json.loads(file.read_text())
    assert data["requests"] == data["answers"]["2xx"] == 120
    assert 50 < data["requests_per_second"] <= 105
    assert list(data["latency_ms"]) == FIGURES
    assert all(0 < value < 60_000 for value in data["latency_ms"].values())
    assert data["errors"] == {}
    assert {"p50", "p99", "max"} <= set(data["lateness_ms"])
    assert data["connect_ms"]["p50"] > 0
    assert (data["connections"], data["processes"], data["lost"], data["stopped"]) == (5, 2, [], None)
    assert 1.1 < data["duration_seconds"] < 30
    assert data["cpu_seconds"] > 0
    assert sum(each["requests"] for each in data["over_time"]) == 120
    assert HdrHistogram.decode(data["histogram"]).get_total_count() == 120


def test_a_closed_loop_with_a_limit_on_standard_output() -> None:
    with Counting(delay=0.01) as server:
        done = load(server.url, "-r", "0", "-d", "30s", "-c", "4", "-n", "50", "-q", "-o", "-")
        assert done.returncode == 0
        assert done.stderr == ""
        data = json.loads(done.stdout)
        assert data["requests"] == server.requests == 50
        assert data["lateness_ms"]["p99"] is None
        assert server.most_under_way <= 4


def test_headers_and_method(tmp_path: Path) -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n") as url:
        file = tmp_path / "out.json"
        arguments = ("--method", "head", "-H", "Authorization: Bearer s3cret", "-H", "user-agent: me", "-o", str(file))
        done = load(f"{url}?token=t0psecret", "-n", "5", "-c", "1", *arguments)
    assert done.returncode == 0, done.stderr
    data = json.loads(file.read_text())
    assert (data["method"], data["requests"]) == ("HEAD", 5)
    for secret in ("s3cret", "t0psecret"):
        assert secret not in done.stdout + done.stderr + file.read_text()


def test_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate, ca = authority.issue_cert("localhost"), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca)
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    code = (
        "import http.server, ssl, sys\n"
        "class Handler(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200); self.send_header('Content-Length', '0'); self.end_headers()\n"
        "server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)\n"
        "context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)\n"
        f"context.load_cert_chain({str(tmp_path / 'server.pem')!r})\n"
        "server.socket = context.wrap_socket(server.socket, server_side=True)\n"
        "print(server.server_port, flush=True)\n"
        "server.serve_forever()\n"
    )
    service = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert service.stdout is not None
        port = service.stdout.readline().decode().strip()
        by_name = f"https://localhost:{port}/"
        trusted = load(by_name, "-n", "5", "-c", "2", "--ca-file", str(ca))
        assert trusted.returncode == 0, trusted.stderr
        assert re.search(r"^TLS( +[\d.,]+){8}$", trusted.stdout, re.MULTILINE)
        refused = load(by_name, "-n", "5", "-c", "2")
        assert refused.returncode == 3
        assert "certificate" in refused.stderr
        assert load(f"https://127.0.0.1:{port}/", "-n", "5", "-c", "2", "--insecure").returncode == 0
    finally:
        service.kill()
        service.communicate()


def test_live_progress_on_a_terminal(server: Counting) -> None:
    master, terminal = pty.openpty()
    arguments = command(server.url, "--rate", "100", "--duration", "1")
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=terminal, env=environment)
    os.close(terminal)
    seen = b""
    with contextlib.suppress(OSError):  # EIO is the end of a terminal
        while data := os.read(master, 65536):
            seen += data
    os.close(master)
    assert process.stdout is not None
    printed = process.stdout.read().decode()
    process.stdout.close()
    assert process.wait() == 0
    assert b"0 errors" in seen
    assert b"\x1b[" in seen
    assert "\x1b" not in printed
    assert "requests   100 in" in printed


# What cannot be done.

BAD: dict[str, tuple[Sequence[str], str]] = {
    "no scheme": (["127.0.0.1:80"], "URL: expected http://HOST"),
    "credentials": (["http://user:s3cret@127.0.0.1/"], "URL: credentials belong into a header"),
    "port": (["http://127.0.0.1:99999/"], "URL: the port must be between 1 and 65535"),
    "rate": (["URL", "--rate", "-1"], "--rate: rate must be"),
    "rate NaN": (["URL", "--rate", "nan"], "--rate: rate must be"),
    "rate word": (["URL", "--rate", "fast"], "--rate"),
    "duration": (["URL", "--duration", "soon"], "--duration: expected a time"),
    "no duration": (["URL", "--duration", "0s"], "--duration: duration must be above 0"),
    "timeout": (["URL", "--timeout", "-3"], "--timeout: expected a time"),
    "connections": (["URL", "--connections", "0"], "--connections: connections must be above 0"),
    "requests": (["URL", "-n", "0"], "--requests: max_requests must be above 0"),
    "processes": (["URL", "--processes", "60"], "--processes: 60 processes cannot share 50 connections"),
    "no processes": (["URL", "--processes", "0"], "--processes"),
    "method": (["URL", "--method", "DELETE"], "--method: method must be GET or HEAD"),
    "header": (["URL", "-H", "s3cret"], "--header: expected 'NAME: VALUE'"),
    "own header": (["URL", "-H", "Content-Length: 5"], "--header: the header 'Content-Length' belongs to the engine"),
    "header lines": (["URL", "-H", "X: s3cret\r\nY: z"], "--header: the header 'X' cannot be sent"),
    "no CA file": (["URL", "--ca-file", "missing.pem"], "missing.pem: cannot be read"),
    "bad CA file": (["https://127.0.0.1/", "--ca-file", __file__], "the certificates to trust cannot be read"),
    "format": (["URL", "-o", "report.html"], "-o: no format for 'report.html'"),
    "folder": (["URL", "-o", "nowhere/out.json"], "no folder nowhere"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_message_and_nothing_is_contacted(name: str, server: Counting) -> None:
    arguments, message = BAD[name]
    # In this process: twenty interpreters would take as many seconds.
    done = CliRunner().invoke(app, ["load", *(server.url if each == "URL" else each for each in arguments)])
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "s3cret" not in done.stderr
    assert (done.stdout, server.connections) == ("", 0)


def test_nothing_listens(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    done = load("http://127.0.0.1:9/", "-o", str(file), "--processes", "2")
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1] == "readiness: could not connect to 127.0.0.1:9 (Connection refused)"
    assert not file.exists()


# Stopping.


def test_a_rate_limit_stops_the_run_and_is_reported(server: Counting) -> None:
    server.limit_after = 20
    done = load(server.url, "--rate", "100", "--duration", "60", "--connections", "4", "-q", "-o", "-")
    assert done.returncode == 3
    data = json.loads(done.stdout)
    assert (data["stopped"], data["retry_after"]) == ("429 with Retry-After", "7")
    assert data["answers"] == {"2xx": 20, "429": server.requests - 20}
    assert server.requests == data["requests"] + data["unfinished"] < 30


def test_what_the_server_writes_does_not_reach_the_terminal() -> None:
    with answering(b"HTTP/1.1 503 X\r\nRetry-After: \xc2\x9b31m;\x9b\r\nContent-Length: 0\r\n\r\n") as url:
        done = load(url, "-n", "3", "-c", "1")
        assert done.returncode == 3
        assert "stopped early: 503 with Retry-After: Â31m;" in done.stdout
    with answering(b"HTTP/1.1 302 X\r\nLocation: /\x9b\xe1\r\nContent-Length: 0\r\n\r\n") as url:
        done = load(url, "-n", "3", "-c", "1")
        assert done.returncode == 0
        assert "redirects are not followed; the last one led to /á" in done.stdout
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", done.stdout)


@pytest.mark.parametrize(("number", "rate"), [(signal.SIGINT, 200), (signal.SIGINT, 0), (signal.SIGTERM, 200)])
def test_ctrl_c_ends_the_load_and_keeps_what_was_measured(number: int, rate: float, tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    with Counting(delay=0.01) as server:
        arguments = ("--rate", str(rate), "--duration", "60", "--connections", "6", "--processes", "2", "-o", str(file))
        with running(server.url, *arguments) as process:
            server.wait_for(100)
            began = time.monotonic()
            if number == signal.SIGINT:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
            printed, errors = process.communicate(timeout=30)
            took = time.monotonic() - began
        assert process.returncode == 130, errors
        assert "Traceback" not in errors
        assert took < 15
        data = json.loads(file.read_text())
        assert data["stopped"] == "interrupted"
        assert data["requests"] >= 50
        assert data["requests"] <= server.requests <= data["requests"] + data["unfinished"]
        assert "stopped early: interrupted" in printed
        assert server.most_open <= 6
        assert not rate or within_the_ceiling(server, rate, 6)
        sent = server.requests
        time.sleep(0.3)
        assert server.requests == sent, "no request after the end"


def test_ctrl_c_while_connections_are_still_being_opened(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:  # nobody accepts, and the queue is soon full
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        with running(url, "--connections", "20", "--timeout", "60s", "-o", str(file)) as process:
            deadline = time.monotonic() + 30
            while not children(process.pid) and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(0.5)
            began = time.monotonic()
            os.killpg(process.pid, signal.SIGINT)
            printed, errors = process.communicate(timeout=30)
        assert time.monotonic() - began < 15
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "requests   0 in 0.00 s" in printed
    assert json.loads(file.read_text())["stopped"] == "interrupted"


def test_a_lost_process_is_named_and_the_exit_code_says_so(server: Counting) -> None:
    with running(server.url, "--rate", "100", "--duration", "2", "--processes", "2", "-o", "-") as process:
        server.wait_for(20)
        os.kill(children(process.pid)[1], signal.SIGKILL)
        printed, errors = process.communicate(timeout=60)
    assert process.returncode == 3
    why = "process 2 of 2 (50 requests/s over 25 connections) was lost: killed by SIGKILL"
    assert why in errors
    data: dict[str, Any] = json.loads(printed)
    assert data["lost"] == [why]
    assert 100 <= data["requests"] <= server.requests


def test_a_machine_that_is_held_up_says_so(server: Counting) -> None:
    """SIGSTOP is what a starved machine does to a process: it gets no processor for a while."""
    with running(server.url, "--rate", "100", "--duration", "2", "-o", "-") as process:
        server.wait_for(20)
        (worker,) = children(process.pid)
        os.kill(worker, signal.SIGSTOP)
        time.sleep(0.7)
        os.kill(worker, signal.SIGCONT)
        printed, _ = process.communicate(timeout=60)
    data = json.loads(printed)
    assert process.returncode == 0
    assert data["late"]
    assert data["requests"] == server.requests == 200
    assert data["lateness_ms"]["max"] > 500
    assert data["lateness_ms"]["p99"] > 500
