"""What came back: answers counted by kind, times in histograms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from readiness.load.histogram import Histogram, merged

LATE_MS, LATE_SHARE = 1.0, 0.10
"""A request that goes out later than both, the share being of a usual answer, is measured wrong by this machine."""
_PERCENTS = (50, 75, 90, 95, 99, 99.5)


class Kind(StrEnum):
    """How one request ended."""

    SUCCESS = "2xx"
    REDIRECT = "3xx"
    CLIENT_ERROR = "4xx"  # but 429
    LIMITED = "429"
    SERVER_ERROR = "5xx"
    TIMEOUT = "timeout"  # no complete answer before the deadline
    RESET = "reset"  # the connection ended before the answer's headers were complete
    SHORT_BODY = "short_body"  # it ended before the announced body was complete
    MALFORMED = "malformed"  # not HTTP/1.1, or more than one answer to one request
    OVERSIZED = "oversized"
    CONNECT = "connect"  # no connection could be opened
    UNSENT = "unsent"  # no connection was free before the deadline

    @property
    def failed(self) -> bool:
        """Whether this counts as an error: everything but a success and a redirect."""
        return self not in (Kind.SUCCESS, Kind.REDIRECT)

    @property
    def answered(self) -> bool:
        """Whether a complete answer came."""
        return self.value[0].isdigit()


class Sample:
    """Answers of one run, or of one window of it. Latency and time to first byte are those of the successes.

    `lateness` is how late the engine itself noticed that a request was due, whatever the server did. `skipped` counts
    the requests that were not sent because that was later than the plan tolerates.
    """

    __slots__ = ("first_byte", "latency", "lateness", "others", "skipped", "successes")

    def __init__(self) -> None:
        self.successes = self.skipped = 0
        self.others: Counter[Kind] = Counter()
        self.latency = Histogram()
        self.first_byte = Histogram()
        self.lateness = Histogram()

    def succeed(self, latency: float, first_byte: float) -> None:
        """Counts a success with its times in seconds."""
        self.successes += 1
        self.latency.record(latency)
        self.first_byte.record(first_byte)

    def revoke(self, latency: float, first_byte: float) -> None:
        """Turns a success with these times into a malformed answer."""
        self.successes -= 1
        self.others[Kind.MALFORMED] += 1
        self.latency.forget(latency)
        self.first_byte.forget(first_byte)

    @property
    def requests(self) -> int:
        """All requests that came to an end."""
        return self.successes + self.others.total()

    @property
    def errors(self) -> dict[str, int]:
        """The failures by kind."""
        return {kind.value: count for kind, count in self.others.items() if kind.failed}

    def percentile(self, percent: float) -> float | None:
        """A percentile of the latency in milliseconds, or None without a success."""
        return self.latency.percentile(percent)


@dataclass(frozen=True, slots=True)
class Result:
    """One run.

    Attributes:
        total: every request of the run; `windows` holds the same requests by the window in which they were due.
        connect, tls: times of the connections opened, warm-up included.
        connections: how many were open at the same time at most; `refused` counts those that could not be opened.
        closed: answers after which the server closed the connection.
        received: bytes, headers included.
        stopped: why the run ended before its time, or None.
        location, retry_after: these headers of the last answer that had them; whatever the server wrote.
    """

    total: Sample
    windows: tuple[Sample, ...]
    connect: Histogram
    tls: Histogram
    duration_seconds: float
    connections: int
    refused: int = 0
    closed: int = 0
    received: int = 0
    stopped: str | None = None
    location: str | None = None
    retry_after: str | None = None

    @property
    def requests_per_second(self) -> float:
        """Answers and failures a second, from the first due request to the last end."""
        return self.total.requests / self.duration_seconds if self.duration_seconds else 0.0

    @property
    def late(self) -> bool:
        """Whether this machine, not the server, was the bottleneck: the figures then say nothing of the server."""
        return too_late(self.total.lateness.percentile(99), self.percentile(50))

    def percentile(self, percent: float) -> float | None:
        """A percentile of the latency in milliseconds, or None without a success."""
        return self.total.percentile(percent)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready figures; a time that was not measured is None."""
        return {
            "requests": self.total.requests,
            "requests_per_second": round(self.requests_per_second, 3),
            "latency_ms": self.total.latency.summary(_PERCENTS),
            "first_byte_ms": self.total.first_byte.summary((50, 99)),
            "errors": self.total.errors,
            "redirects": self.total.others[Kind.REDIRECT],
            "lateness_ms": self.total.lateness.summary((50, 99)),
            "late": self.late,
            "skipped": self.total.skipped,
            "connect_ms": self.connect.summary((50, 99)),
            "tls_ms": self.tls.summary((50, 99)),
            "connections": self.connections,
            "refused": self.refused,
            "duration_seconds": round(self.duration_seconds, 3),
            "stopped": self.stopped,
        }


def too_late(lateness_p99: float | None, latency_p50: float | None) -> bool:
    """Whether the engine's lateness blurs the latency: p99 above 1 ms and above a tenth of the median (both in ms)."""
    if lateness_p99 is None or latency_p50 is None:
        return False
    return lateness_p99 > max(LATE_MS, LATE_SHARE * latency_p50)


def combined(samples: Iterable[Sample]) -> Sample:
    """One sample with the answers of all."""
    parts = list(samples)
    total = Sample()
    for part in parts:
        total.successes += part.successes
        total.skipped += part.skipped
        total.others.update(part.others)
    total.latency = merged(part.latency for part in parts)
    total.first_byte = merged(part.first_byte for part in parts)
    total.lateness = merged(part.lateness for part in parts)
    return total


def kind_of(status: int) -> Kind:
    """The kind of a complete answer with this status."""
    match status // 100:
        case 2:
            return Kind.SUCCESS
        case 3:
            return Kind.REDIRECT
        case 4:
            return Kind.LIMITED if status == 429 else Kind.CLIENT_ERROR
        case 5:
            return Kind.SERVER_ERROR
        case _:
            return Kind.MALFORMED


KINDS: Mapping[int, Kind] = {status: kind_of(status) for status in range(1000)}
