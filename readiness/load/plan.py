"""What to send: validated before anything is sent."""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from readiness.urls import http_url

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_TARGET = re.compile(r"[\x21-\x7e]+")
METHODS = ("GET", "HEAD")
_OWN = {"connection", "content-length", "transfer-encoding", "expect", "upgrade"}


class LoadError(Exception):
    """The run could not be made at all: the target cannot be reached, or this machine lacks the means."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One run of GET or HEAD requests against one URL.

    Args:
        url: http or https, without credentials.
        headers: sent with every request; they may hold secrets and are left out of `repr`.
        rate: requests a second, due at fixed times. 0 is a closed loop: every connection asks again at once.
        duration: seconds during which requests become due.
        connections: how many requests are under way at most, each on a connection of its own.
        timeout: seconds from the due time until a request is given up.
        max_requests: the run ends early after so many.
        max_bytes: an answer longer than this is `oversized`.
        tolerance: a request that this machine notices more than so many seconds late is left out, and counted as
            skipped: whatever it took would say nothing of the server. None sends them all.
        windows: equal parts of the duration whose samples are also kept apart.
        warm: open all connections before the first request is due; otherwise on demand.
        ssl_context: for https; made of `ca_pem` and `verify` when None. A plan with one cannot be pickled.
        method: GET, or HEAD.
        offset: seconds between the start and the first due request of an open loop. The shards of a schedule take
            turns by it.
        ca_pem: certificates that are trusted instead of the system's, as PEM text.
        verify: False accepts any certificate.
        addresses: IP addresses of the host, the first that answers is used; looked up when there are none.

    Raises:
        ValueError: where any of this cannot be sent as asked.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    rate: float = 25.0
    duration: float = 3.0
    connections: int = 10
    timeout: float = 10.0
    max_requests: int | None = None
    max_bytes: int = 16 * 1024 * 1024
    tolerance: float | None = None
    windows: int = 1
    warm: bool = True
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)
    method: str = "GET"
    offset: float = 0.0
    ca_pem: str | None = field(default=None, repr=False)
    verify: bool = True
    addresses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("rate", "duration", "timeout", "offset"):
            if not math.isfinite(getattr(self, name)) or getattr(self, name) < 0:
                raise ValueError(f"{name} must be a finite number, not below 0")
        for name in ("duration", "timeout", "connections", "max_bytes", "windows"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0")
        if self.max_requests is not None and self.max_requests <= 0:
            raise ValueError("max_requests must be above 0")
        if self.method not in METHODS:
            raise ValueError(f"method must be {' or '.join(METHODS)}")
        self.target()
        self.request()

    @property
    def due(self) -> int | None:
        """How many requests the schedule holds, or None in a closed loop without a limit."""
        if not self.rate:
            return self.max_requests
        count = max(0, math.ceil(self.rate * (self.duration - self.offset) - 1e-9))
        return count if self.max_requests is None else min(count, self.max_requests)

    def target(self) -> tuple[str, int, bool]:
        """Host, port, and whether to speak TLS."""
        parts = urlsplit(http_url(self.url))
        secure = parts.scheme == "https"
        return parts.hostname or "", parts.port or (443 if secure else 80), secure

    def request(self) -> bytes:
        """The request as it goes over the wire."""
        host, port, secure = self.target()
        parts = urlsplit(http_url(self.url))
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not _TARGET.fullmatch(path):
            raise ValueError("the path and query must be percent-encoded ASCII")
        name = f"[{host}]" if ":" in host else host.encode("idna").decode()
        lines = [f"{self.method} {path} HTTP/1.1"]
        if not any(key.lower() == "host" for key in self.headers):
            lines.append(f"Host: {name}" + ("" if port == (443 if secure else 80) else f":{port}"))
        for key, value in self.headers.items():
            # Never quote the value: it may be a secret.
            if not _TOKEN.fullmatch(key) or not _VALUE.fullmatch(value):
                raise ValueError(f"the header {key!r} cannot be sent")
            if key.lower() in _OWN:
                raise ValueError(f"the header {key!r} belongs to the engine")
            lines.append(f"{key}: {value}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")
