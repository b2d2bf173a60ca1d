"""An ordinary service of our own in a thread, which keeps what it was asked for."""

from __future__ import annotations

import contextlib
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from typing import Any

SECURE = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
METRICS = b"# HELP up Whether it runs.\n# TYPE up gauge\nup 1\n"
ANSWERS = {
    "/": (200, "text/plain", b"ok"),
    "/health": (200, "application/json", json.dumps({"status": "ok", "checks": {"database": "ok"}}).encode()),
    "/metrics": (200, "text/plain; version=0.0.4", METRICS),
}


class Recorder(http.server.ThreadingHTTPServer):
    """An ordinary service at one loopback address that keeps what it was asked for."""

    daemon_threads = True

    def __init__(self, address: str, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[str] = []
        self.names: list[str | None] = []
        super().__init__((address, port), _Handler)
        if tls is not None:
            tls.sni_callback = lambda connection, name, context: self.names.append(name)
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are ordinary here."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert isinstance(self.server, Recorder)
        self.server.asked.append(f"{self.headers['Host']} {self.path}")
        status, kind, body = ANSWERS.get(self.path, (404, "application/json", b'{"error": "not found"}'))
        self.send_response(status)
        for name, value in {**SECURE, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_OPTIONS = do_POST = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def recording(address: str, port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Recorder]:
    with Recorder(address, port, tls) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
