"""What the service says of itself: health, metrics, its own cache."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from readiness.facts.base import ABSENT, Fact, Facts
from readiness.facts.exchange import Exchange
from readiness.facts.metrics import MetricsFacts

Condition = Literal["good", "degraded", "bad", "unknown"]
HealthKind = Literal["readiness", "liveness", "startup", "general"]
DependencyKind = Literal["database", "cache", "external", "other"]


class AppCache(Facts):
    """The cache as the application reports it on its health, status or metrics endpoint.

    `store` is the application's own word for what holds the entries, in lower case (memory, lru, redis, valkey, ...).
    Counters are since the start of the answering process; `hit_rate` is a share between 0 and 1.
    """

    source: str
    store: Fact[str] = ABSENT
    hits: Fact[int] = ABSENT
    misses: Fact[int] = ABSENT
    hit_rate: Fact[float] = ABSENT
    entries: Fact[int] = ABSENT
    max_entries: Fact[int] = ABSENT
    evictions: Fact[int] = ABSENT
    policy: Fact[str] = ABSENT
    ttl_seconds: Fact[float] = ABSENT
    cleanup_seconds: Fact[float] = ABSENT


class Dependency(Facts):
    """One dependency as a health endpoint reports it; `response_ms` is absent where it gives no time."""

    name: str
    kind: DependencyKind
    status: Condition
    response_ms: Fact[float] = ABSENT


class Health(Facts):
    """One health endpoint. The exchange has no body and few headers: a body may hold the service's own secrets.

    `word` is the service's own word for its state. `disclosed` names the patterns of things that do not belong into a
    public answer, never the things. `digest` is equal for answers of equal structure.
    """

    kind: HealthKind
    path: str
    exchange: Exchange
    status: Condition = "unknown"
    word: str = ""
    dependencies: tuple[Dependency, ...] = ()
    disclosed: tuple[str, ...] = ()
    digest: str = ""


class HealthTiming(Facts):
    """Repeated requests to one health endpoint, as a balancer sends them: seconds each, and the last answer's headers.

    `failures` counts those without an answer in time.
    """

    path: str
    kind: HealthKind
    seconds: tuple[float, ...] = ()
    failures: int = 0
    last: Fact[Exchange] = ABSENT
    head_status: Fact[int] = ABSENT


class Tracking(Facts):
    """Whether requests can be told apart and followed.

    `header` is the request id's header on a successful answer, `error_header` on a 404, either empty where there is
    none. `kept` says that an id that we sent came back. `trace_header` is the response header in which the trace id of
    our `traceparent` came back. `vendors` are monitoring products seen in headers, `browser_vendors` in the page.
    """

    path: str
    header: str = ""
    error_header: str = ""
    unique: Fact[bool] = ABSENT
    kept: Fact[bool] = ABSENT
    trace_id: str = ""
    trace_header: str = ""
    server_timing: bool = False
    vendors: tuple[str, ...] = ()
    browser_vendors: tuple[str, ...] = ()


class ServiceFacts(Facts):
    """Self-reported facts of the service.

    `tried` gives the status of every health path that was asked for, 0 where no answer came. `health` is empty where
    nothing was found, and absent where an authentication wall hides whether there is anything.
    """

    now: Fact[dt.datetime] = ABSENT
    unknown_status: Fact[int] = ABSENT
    tried: dict[str, int] = {}
    health: Fact[tuple[Health, ...]] = ABSENT
    timing: Fact[HealthTiming] = ABSENT
    tracking: Fact[Tracking] = ABSENT
    metrics: Fact[MetricsFacts] = ABSENT
    cache: Fact[AppCache] = ABSENT
    requests: int = 0
