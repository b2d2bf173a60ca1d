"""Latency as a client measures it: requests on a fixed schedule, counted from the moment each was due.

Times are milliseconds.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from readiness.facts.base import ABSENT, Fact, Facts

Milliseconds = Annotated[float, Field(ge=0)]

NOT_ERRORS = frozenset({"2xx", "3xx", "429"})
"""A redirect is no page but no error either, and a rate limit protects the service."""

LATE = "this machine could not send"
"""How the reason for a missing figure begins where the auditor's machine, and not the service, was too slow."""


class Timing(Facts):
    """Times of successful answers. All are absent where there was none, or where this machine sent too many late."""

    count: int = 0
    mean_ms: Fact[Milliseconds] = ABSENT
    p50_ms: Fact[Milliseconds] = ABSENT
    p95_ms: Fact[Milliseconds] = ABSENT
    p99_ms: Fact[Milliseconds] = ABSENT
    max_ms: Fact[Milliseconds] = ABSENT


class Answers(Facts):
    """Every request that was due by how it ended.

    The kinds are 2xx, 3xx, 4xx, 429, 5xx, timeout, reset, short_body, malformed, oversized, connect, unsent.
    """

    answers: dict[str, int] = {}

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


class EndpointLatency(Answers):
    """One endpoint, asked with GET.

    `path` is as configured, `asked` where its redirects within the origin led.
    `windows` are the parts of the measurement, and each figure of `timing` is the median of theirs, but the maximum.
    `cold_ms` is the first answer, on a connection of its own. `bytes` is the size of that answer with its headers.
    `closed` counts the answers after which the server closed the connection, `skipped` the requests that were not sent
    because this machine was too late with them.
    `stopped` says why the measurement ended early, or why there was none.
    """

    path: str
    asked: str
    rate: float = 0.0
    timing: Timing = Timing()
    windows: tuple[Timing, ...] = ()
    first_byte_ms: Fact[Milliseconds] = ABSENT
    cold_ms: Fact[Milliseconds] = ABSENT
    bytes: int = 0
    closed: int = 0
    skipped: int = 0
    stopped: str = ""
    retry_after: str = ""


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


Ended = Literal["rate", "connections", "duration", "latency", "errors", "refused"]


class LoadStep(Answers):
    """Load at one rate, over all endpoints together.

    `rate` is how many requests a second became due during `seconds`, and `sent` how many of them went out: this machine
    leaves out those that it is too late with, and counts them as `skipped`. `drained` is how many seconds later the
    last one ended. `connections` of the `wanted` ones were open at the same time, and `held` of them still at the end,
    not counting what was closed between two requests.
    `saturated` says that this machine had no time left, `retry_after` what a refusal said, `stopped` why the step ended
    before its time.
    `wrong` is empty where it was answered as the base was: `late` means that this machine could not send it, `latency`
    that p95 was twice that of the base and worth noticing, `errors` that more than 1 % of the requests failed,
    `refused` that a limit for this client answered.
    """

    rate: float
    sent: float = 0.0
    seconds: float = 0.0
    drained: float = 0.0
    connections: int = 0
    wanted: int = 0
    held: int = 0
    skipped: int = 0
    saturated: bool = False
    timing: Timing = Timing()
    lateness_ms: Fact[Milliseconds] = ABSENT
    retry_after: str = ""
    stopped: str = ""
    wrong: Literal["", "late", "latency", "errors", "refused"] = ""


class LoadFacts(Facts):
    """The service under the load that the configuration permits.

    `rate`, `connections` and `seconds` are the ceilings as configured; `requests`, `most_connections` and `lasted` what
    was made of them. `steps` begin with the base, a light load, and follow in the order in which they were sent; one
    that went wrong is repeated once. `ended` says why the rate did not rise further: `rate`, `connections` and
    `duration` are ceilings of the configuration, the others what was `wrong` with the last step. It is absent where
    this machine could not send more. `after` is the base again when the ramp is over. `hold` is a light load over as
    many connections as users are expected, or as are permitted. Either is None where `seconds` left no time for it, or
    nothing went before.
    """

    url: str
    paths: tuple[str, ...] = ()
    rate: float = 0.0
    connections: int = 0
    seconds: float = 0.0
    requests: int = 0
    most_connections: int = 0
    lasted: float = 0.0
    steps: tuple[LoadStep, ...] = ()
    ended: Fact[Ended] = ABSENT
    after: Fact[LoadStep | None] = ABSENT
    hold: Fact[LoadStep | None] = ABSENT

    @property
    def base(self) -> LoadStep | None:
        """The light load before the ramp, or None where that went wrong already."""
        return next((step for step in self.steps if not step.wrong), None)

    @property
    def sustained(self) -> float:
        """The highest rate that was sent and answered as at the base; 0 where there is none."""
        return max((step.sent for step in self.steps if not step.wrong), default=0.0)

    @property
    def usual_p95_ms(self) -> float:
        """The p95 of a rate that was held, the lowest: a hiccup during the base says nothing."""
        return min(step.timing.p95_ms for step in self.steps if not step.wrong)

    @property
    def beyond(self) -> tuple[LoadStep, ...]:
        """The steps above every rate that was answered as at the base, without those that were not sent on time."""
        highest = max((step.rate for step in self.steps if not step.wrong), default=0.0)
        return tuple(step for step in self.steps if step.rate > highest and step.wrong != "late")
