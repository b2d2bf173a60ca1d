"""The installed command, and a small service that counts its requests."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMAND = Path(sys.executable).with_name("readiness")
HOSTS = ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "GITLAB_CI")


@dataclass
class Service:
    """What it calls itself in its answers, how often it was asked, and an event that the first request sets."""

    url: str = ""
    hits: int = 0
    server: str = "small"
    asked: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serving() -> Iterator[Service]:
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            service.hits += 1
            service.asked.set()
            body = b'{"status": "ok"}'
            self.send_response(200 if self.path in ("/", "/health") else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):  # an auditor that was interrupted reads no answer
                self.wfile.write(body)

        def version_string(self) -> str:
            return service.server

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def environment(**more: str) -> dict[str, str]:
    """Ours without what a CI system has set for the tests themselves."""
    own = {name: value for name, value in os.environ.items() if name not in HOSTS}
    return {**own, "NO_COLOR": "1", "COLUMNS": "100", **more}


def readiness(*arguments: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    command = [COMMAND, *arguments]
    return subprocess.run(
        command, cwd=cwd, env=environment(**more), capture_output=True, encoding="utf-8", timeout=90, check=False
    )
