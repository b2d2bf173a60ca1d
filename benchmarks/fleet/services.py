"""HTTP services of varied quality, many of them in one process: `python benchmarks/fleet/services.py 200`.

Each listens on a loopback port of its own; what is good and bad about it follows from its number alone. Prints the
ports as JSON, a closed port where that service is down, and runs until its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import cast

import httptools

HARDENED = {
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
TALKATIVE = {"Server": "Apache/2.4.49 (Unix)", "X-Powered-By": "PHP/7.2.1", "Access-Control-Allow-Origin": "*"}
TRACE = "Traceback (most recent call last):\n  File \"/srv/app/main.py\", line 12, in handle\nKeyError: 'path'\n"
BUCKETS = (0.005, 0.05, 0.1, 0.25, 1.0, 5.0)


@dataclass(frozen=True)
class Quality:
    """What one service is like; neighbours differ in everything."""

    number: int

    @property
    def down(self) -> bool:
        return self.number % 50 == 49

    @property
    def web(self) -> bool:
        return self.number % 2 == 1

    @property
    def headers(self) -> Mapping[str, str]:
        return (HARDENED, {"X-Content-Type-Options": "nosniff"}, {}, TALKATIVE)[self.number % 4]

    @property
    def seconds(self) -> float:
        """Before every answer; far from what is expected, so that no verdict is a matter of luck."""
        return (0.0, 0.005, 0.0, 0.4)[self.number // 4 % 4]

    @property
    def health(self) -> int:
        """0: none, 1: a constant, 2: with what it depends on."""
        return self.number % 3

    @property
    def metrics(self) -> bool:
        return self.number % 5 < 3

    @property
    def failing(self) -> bool:
        return self.number % 40 == 37


class Service:
    """The answers of one service, made once where they never change."""

    def __init__(self, quality: Quality) -> None:
        self.quality = quality
        self.requests = 0
        headers = dict(quality.headers)
        page = "<!doctype html><html lang=en><title>Shop</title><script src=/app.js></script><h1>Shop</h1></html>"
        root = page if quality.web else json.dumps({"service": quality.number, "items": list(range(20))})
        kind = "text/html; charset=utf-8" if quality.web else "application/json"
        cache = {"Cache-Control": "no-store"} if quality.number % 4 < 2 else {}
        self._known = {
            "/": answer(503 if quality.failing else 200, kind, root, headers | cache),
            "/app.js": answer(200, "text/javascript", "'use strict';", headers | {"Cache-Control": "max-age=31536000"}),
        }
        if quality.health:
            deep = {"status": "ok"} | ({"checks": {"database": "ok", "cache": "ok"}} if quality.health == 2 else {})
            known = answer(200, "application/json", json.dumps(deep), headers | {"Cache-Control": "no-store"})
            self._known |= {"/health": known, "/healthz": known}
        if quality.number % 4 == 0:
            missing = json.dumps({"type": "about:blank", "title": "Not Found", "status": 404})
            self._missing = answer(404, "application/problem+json", missing, headers)
        else:
            self._missing = answer(404, "text/plain", TRACE if quality.number % 4 == 3 else "Not Found", headers)

    def answer(self, method: str, path: str) -> bytes:
        self.requests += 1
        if path == "/metrics" and self.quality.metrics:
            made = answer(200, "text/plain; version=0.0.4", self._metrics(), self.quality.headers)
        else:
            made = self._known.get(path, self._missing)
        return made[: made.index(b"\r\n\r\n") + 4] if method == "HEAD" else made

    def _metrics(self) -> str:
        count, seconds = self.requests, self.quality.seconds
        lines = [
            "# HELP http_requests_total Requests by status.",
            "# TYPE http_requests_total counter",
            f'http_requests_total{{method="GET",status="200"}} {count}',
            "# HELP http_request_duration_seconds How long a request took.",
            "# TYPE http_request_duration_seconds histogram",
            *(f'http_request_duration_seconds_bucket{{le="{le:g}"}} {count if seconds < le else 0}' for le in BUCKETS),
            f'http_request_duration_seconds_bucket{{le="+Inf"}} {count}',
            f"http_request_duration_seconds_sum {count * seconds:g}",
            f"http_request_duration_seconds_count {count}",
            "# HELP process_resident_memory_bytes Resident memory.",
            "# TYPE process_resident_memory_bytes gauge",
            "process_resident_memory_bytes 5.1e+07",
        ]
        return "\n".join([*lines, ""])


def answer(status: int, kind: str, body: str, headers: Mapping[str, str]) -> bytes:
    """A whole answer as it goes over the wire."""
    words = {200: "OK", 404: "Not Found", 503: "Service Unavailable"}
    data = body.encode()
    fields = {"Content-Type": kind, "Content-Length": str(len(data)), **headers}
    lines = [f"HTTP/1.1 {status} {words[status]}", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode() + data


class Connection(asyncio.Protocol):
    """One client of one service; requests are answered in order."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._free = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_message_begin(self) -> None:
        self._url = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_message_complete(self) -> None:
        path = self._url.partition(b"?")[0].decode("latin-1")
        made = self._service.answer(self._parser.get_method().decode(), path)
        if seconds := self._service.quality.seconds:
            self._loop.call_later(seconds, self._send, made, self._parser.should_keep_alive())
        else:
            self._send(made, self._parser.should_keep_alive())

    def _send(self, made: bytes, keep: bool) -> None:
        if not self._transport.is_closing():
            self._transport.write(made)
            if not keep:
                self._transport.close()


async def serve(count: int) -> None:
    ports, servers = [], []
    loop = asyncio.get_running_loop()
    for number in range(count):
        listener = socket.create_server(("127.0.0.1", 0))
        ports.append(listener.getsockname()[1])
        quality = Quality(number)
        if quality.down:
            listener.close()
        else:
            servers.append(await loop.create_server(partial(Connection, Service(quality)), sock=listener))
    print(json.dumps(ports), flush=True)
    threading.Thread(target=until_input_ends, daemon=True).start()
    await loop.create_future()


def until_input_ends() -> None:
    """Ends the process with its input, whatever connections are open."""
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(int(sys.argv[1])))
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(int(sys.argv[1])))
