"""What came back: answers counted by kind, times in histograms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from readiness.load.histogram import Histogram, merged

LATE_MS, LATE_SHARE = 1.0, 0.10
"""A request that goes out later than both, the share being of a usual answer, is measured wrong by this machine."""
BUSY_SHARE = 0.9
"""The share of a processor above which the engine, not the server, may be what limits a run."""
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


_HISTOGRAMS = ("_whole", "_parted", "_first", "lateness", "service")


class Sample:
    """Answers of one run, or of one window of it. Latency and time to first byte are those of the successes.

    `service` is the latency of an open loop's successes without the wait for a free connection.
    `lateness` is how late the engine itself noticed that a request was due, whatever the server did. `skipped` counts
    the requests that were not sent because that was later than the plan tolerates.
    """

    __slots__ = ("_first", "_parted", "_whole", "lateness", "others", "service", "skipped")

    def __init__(self) -> None:
        self.skipped = 0
        self.others: Counter[Kind] = Counter()
        self.lateness = Histogram()
        self.service = Histogram()
        # Nearly every answer comes in one piece, and its time to first byte is its latency: one histogram for both.
        self._whole = Histogram()
        self._parted, self._first = Histogram(), Histogram()

    def succeed(self, latency: float, first_byte: float) -> None:
        """Counts a success with its times in seconds."""
        if latency == first_byte:
            self._whole.record(latency)
        else:
            self._parted.record(latency)
            self._first.record(first_byte)

    def revoke(self, latency: float, first_byte: float, service: float | None = None) -> None:
        """Turns a success with these times into a malformed answer."""
        self.others[Kind.MALFORMED] += 1
        if service is not None:
            self.service.forget(service)
        if latency == first_byte:
            self._whole.forget(latency)
        else:
            self._parted.forget(latency)
            self._first.forget(first_byte)

    def add(self, other: Sample) -> None:
        """Adds the answers of another sample."""
        self.skipped += other.skipped
        self.others.update(other.others)
        for name in _HISTOGRAMS:
            getattr(self, name).add(getattr(other, name))

    def pack(self) -> dict[str, Any]:
        """Plain data that `unpack` makes the same sample of."""
        packed = {name: getattr(self, name).pack() for name in _HISTOGRAMS}
        return {"skipped": self.skipped, "others": {kind.value: count for kind, count in self.others.items()}, **packed}

    @classmethod
    def unpack(cls, data: Mapping[str, Any]) -> Sample:
        """The sample that was packed."""
        made = cls()
        made.skipped = data["skipped"]
        made.others.update({Kind(kind): count for kind, count in data["others"].items()})
        for name in _HISTOGRAMS:
            setattr(made, name, Histogram.unpack(data[name]))
        return made

    @property
    def latency(self) -> Histogram:
        """The times of the successes, from the moment each request was due."""
        return merged((self._whole, self._parted)) if self._parted.count else self._whole

    @property
    def first_byte(self) -> Histogram:
        """The same to the first byte of the answer."""
        return merged((self._whole, self._first)) if self._first.count else self._whole

    @property
    def seconds(self) -> float:
        """The sum of all latencies."""
        return self._whole.seconds + self._parted.seconds

    @property
    def successes(self) -> int:
        """How many answers were 2xx."""
        return self._whole.count + self._parted.count

    @property
    def answers(self) -> dict[str, int]:
        """Every request by how it ended, successes and failures, the most frequent first."""
        counts = Counter({Kind.SUCCESS.value: self.successes}) + Counter({k.value: n for k, n in self.others.items()})
        return dict(counts.most_common())

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


_PACKED = frozenset({"total", "windows", "connect", "tls"})


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
        unfinished: requests that were sent and then left, because the run was stopped; they are counted nowhere else.
        started_at: when the first request was due, in Unix time.
        cpu_seconds: processor time of the engine meanwhile, without what it spent on waiting for the next due time.
        busy_share: the same and the wait for a processor, as a share of the duration; of the busiest engine where there
            were several.
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
    unfinished: int = 0
    started_at: float = 0.0
    cpu_seconds: float = 0.0
    busy_share: float = 0.0

    @property
    def requests_per_second(self) -> float:
        """Answers and failures a second, from the first due request to the last end."""
        return self.total.requests / self.duration_seconds if self.duration_seconds else 0.0

    @property
    def late(self) -> bool:
        """Whether this machine, not the server, was the bottleneck: the latency then says nothing of the server.

        It sent too late, or had no time left to send: a queue that grows here must not be counted against the server,
        so that lateness is compared with the service, which does not grow with it.
        """
        lateness = self.total.lateness.percentile(99)
        return lateness is not None and (self.saturated or too_late(lateness, self.total.service.percentile(50)))

    @property
    def saturated(self) -> bool:
        """Whether the engine was busy all the time: more than it sent, one process cannot send."""
        return self.busy_share > BUSY_SHARE

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
            "answers": self.total.answers,
            "errors": self.total.errors,
            "redirects": self.total.others[Kind.REDIRECT],
            "service_ms": self.total.service.summary((50, 99)),
            "lateness_ms": self.total.lateness.summary((50, 99)),
            "late": self.late,
            "skipped": self.total.skipped,
            "connect_ms": self.connect.summary((50, 99)),
            "tls_ms": self.tls.summary((50, 99)),
            "connections": self.connections,
            "refused": self.refused,
            "closed": self.closed,
            "bytes_received": self.received,
            "duration_seconds": round(self.duration_seconds, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "busy_share": round(self.busy_share, 3),
            "stopped": self.stopped,
            "retry_after": self.retry_after,
            "unfinished": self.unfinished,
        }

    def pack(self) -> dict[str, Any]:
        """Plain data (mappings, lists, numbers, strings) that `unpack` makes the same result of."""
        rest = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in _PACKED}
        windows = [window.pack() for window in self.windows]
        return {**rest, "windows": windows, "connect": self.connect.pack(), "tls": self.tls.pack()}

    @classmethod
    def unpack(cls, data: Mapping[str, Any]) -> Result:
        """The result that was packed."""
        rest = {each.name: data[each.name] for each in fields(cls) if each.name not in _PACKED}
        windows = tuple(map(Sample.unpack, data["windows"]))
        connect, tls = Histogram.unpack(data["connect"]), Histogram.unpack(data["tls"])
        return cls(total=whole(windows), windows=windows, connect=connect, tls=tls, **rest)


def too_late(lateness_p99: float | None, latency_p50: float | None) -> bool:
    """Whether lateness blurs the latency: p99 above 1 ms and above a tenth of the median (both in ms)."""
    if lateness_p99 is None or latency_p50 is None:
        return False
    return lateness_p99 > max(LATE_MS, LATE_SHARE * latency_p50)


def combined(samples: Iterable[Sample]) -> Sample:
    """One sample with the answers of all."""
    total = Sample()
    for each in samples:
        total.add(each)
    return total


def whole(windows: Sequence[Sample]) -> Sample:
    """All windows of a run as one; the same object where there is one only."""
    return windows[0] if len(windows) == 1 else combined(windows)


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
