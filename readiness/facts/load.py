"""Latency as a client measures it: requests on a fixed schedule, counted from the moment each was due.

Times are milliseconds.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from readiness.facts.base import ABSENT, Fact, Facts

Milliseconds = Annotated[float, Field(ge=0)]

NOT_ERRORS = frozenset({"2xx", "3xx", "429"})
"""A redirect is no page but no error either, and a rate limit protects the service."""


class Timing(Facts):
    """Times of successful answers. All are absent where there was none, or where this machine sent too many late."""

    count: int = 0
    mean_ms: Fact[Milliseconds] = ABSENT
    p50_ms: Fact[Milliseconds] = ABSENT
    p95_ms: Fact[Milliseconds] = ABSENT
    p99_ms: Fact[Milliseconds] = ABSENT
    max_ms: Fact[Milliseconds] = ABSENT


class EndpointLatency(Facts):
    """One endpoint, asked with GET.

    `path` is as configured, `asked` where its redirects within the origin led. `answers` counts every request that was
    due by how it ended: 2xx, 3xx, 4xx, 429, 5xx, timeout, reset, short_body, malformed, oversized, connect, unsent.
    `windows` are the parts of the measurement, and each figure of `timing` is the median of theirs, but the maximum.
    `cold_ms` is the first answer, on a connection of its own. `bytes` is the size of that answer with its headers.
    `closed` counts the answers after which the server closed the connection, `skipped` the requests that were not sent
    because this machine was too late with them.
    `stopped` says why the measurement ended early, or why there was none.
    """

    path: str
    asked: str
    rate: float = 0.0
    answers: dict[str, int] = {}
    timing: Timing = Timing()
    windows: tuple[Timing, ...] = ()
    first_byte_ms: Fact[Milliseconds] = ABSENT
    cold_ms: Fact[Milliseconds] = ABSENT
    bytes: int = 0
    closed: int = 0
    skipped: int = 0
    stopped: str = ""
    retry_after: str = ""

    @property
    def requests(self) -> int:
        return sum(self.answers.values())

    @property
    def successes(self) -> int:
        return self.answers.get("2xx", 0)

    @property
    def answered(self) -> int:
        """Complete answers, whatever they said."""
        return sum(count for kind, count in self.answers.items() if kind[0].isdigit())

    @property
    def errors(self) -> dict[str, int]:
        """The answers that count as errors, by kind."""
        return {kind: count for kind, count in self.answers.items() if kind not in NOT_ERRORS}

    @property
    def error_ratio(self) -> float:
        """The share of errors in all requests but those that a rate limit refused."""
        judged = self.requests - self.answers.get("429", 0)
        return sum(self.errors.values()) / judged if judged else 0.0


class LatencyFacts(Facts):
    """The service under a light load.

    `declared` says that the endpoints were configured; otherwise the base URL alone was asked. `left_out` are
    configured ones beyond what this load allows. `rate` and `connections` are over all endpoints. `round_trip_ms` is
    the shortest TCP connect, which no answer can beat; `connect_ms` and `tls_ms` are medians of connections opened one
    by one. `lateness_ms` is the p99 of how late this machine itself was.
    """

    url: str
    declared: bool = False
    endpoints: tuple[EndpointLatency, ...] = ()
    left_out: tuple[str, ...] = ()
    rate: float = 0.0
    connections: int = 0
    seconds: float = 0.0
    requests: int = 0
    overall: Timing = Timing()
    round_trip_ms: Fact[Milliseconds] = ABSENT
    connect_ms: Fact[Milliseconds] = ABSENT
    tls_ms: Fact[Milliseconds] = ABSENT
    lateness_ms: Fact[Milliseconds] = ABSENT

    @property
    def https(self) -> bool:
        return self.url.startswith("https://")
