"""What the service's metrics endpoint exposes, read in the Prometheus text format or as OpenMetrics."""

from __future__ import annotations

from typing import Literal

from readiness.facts.base import ABSENT, Fact, Facts

MetricsState = Literal["parsed", "empty", "unparsable", "missing"]


class Family(Facts):
    """One metric family under the name that it is exposed by.

    `labelsets` counts distinct label sets without `le` and `quantile`; `labels` gives the distinct values of each.
    """

    name: str
    type: str
    help: bool = False
    samples: int = 0
    labelsets: int = 0
    labels: dict[str, int] = {}


class Latency(Facts):
    """A family that was recognised as the latency of HTTP requests or of database queries.

    `exact` says whether it has the recommended name. `labels` maps a meaning (method, route, status; collection,
    operation) to the label that carries it; it is absent while nothing has been observed, because labels without
    observations are not exposed. `unit` is seconds, milliseconds, microseconds, or empty where the name says none.
    """

    family: str
    type: str
    unit: str
    exact: bool = False
    observations: float = 0.0
    labels: Fact[dict[str, str]] = ABSENT


class HistogramFault(Facts):
    """A broken invariant of one histogram, with one label set (shortened) in which it is broken."""

    family: str
    fault: str
    where: str = ""


class HistogramShape(Facts):
    """How well the buckets of a histogram fit: shares of all observations, bounds in the family's own unit."""

    family: str
    observations: float
    first_bound: float
    last_bound: float
    in_first: float
    above_last: float


class HighEntropy(Facts):
    """A label whose values grow without bound; `pattern` names what they look like, never a value."""

    family: str
    label: str
    pattern: str
    values: int


class Derived(Facts):
    """What two scrapes say of the requests between them, without those for health and metrics.

    Times are in milliseconds. The percentile is interpolated inside its bucket, from `p95_low_ms` to `p95_high_ms`;
    a summary has none. `error_ratio` is the share of answers with a 5xx status.
    """

    family: str
    seconds: float
    requests: float
    mean_ms: Fact[float] = ABSENT
    p95_ms: Fact[float] = ABSENT
    p95_low_ms: Fact[float] = ABSENT
    p95_high_ms: Fact[float] = ABSENT
    error_ratio: Fact[float] = ABSENT


class CacheMetrics(Facts):
    """Cache families. Counters are since the start of the process, `window_*` are between the two scrapes.

    `gauge_value` is as exposed: a share, or a percentage.
    """

    gauge: Fact[str] = ABSENT
    gauge_value: Fact[float] = ABSENT
    hits_family: Fact[str] = ABSENT
    misses_family: Fact[str] = ABSENT
    hits: Fact[float] = ABSENT
    misses: Fact[float] = ABSENT
    window_hits: Fact[float] = ABSENT
    window_misses: Fact[float] = ABSENT


class PoolMetrics(Facts):
    """The connection pool of the database driver as the application exposes it, summed over its pools.

    `family` names one family that told. `open` counts all connections, `waiting` requests that wait for one; `largest`
    and `smallest` are the configured bounds of one pool.
    """

    family: str
    pools: int = 1
    open: Fact[float] = ABSENT
    used: Fact[float] = ABSENT
    idle: Fact[float] = ABSENT
    waiting: Fact[float] = ABSENT
    largest: Fact[float] = ABSENT
    smallest: Fact[float] = ABSENT


class MetricsFacts(Facts):
    """The metrics endpoint. Only with the state "parsed" are there families.

    `problem` says what is wrong in every other state. `violation` is what a strict OpenMetrics parser objects to, where
    the endpoint calls its answer OpenMetrics. `truncated` says that a limit of bytes, series or time cut it off: then
    what was not found is absent instead of None. `instances_differ` says that counters fell between the scrapes: the
    process restarted, or several instances answer in turn.
    """

    state: MetricsState
    path: str = ""
    status: int = 0
    content_type: str = ""
    problem: str = ""
    size: int = 0
    seconds: float = 0.0
    openmetrics: bool = False
    violation: str = ""
    exemplars: bool = False
    truncated: bool = False
    series: int = 0
    family_count: int = 0
    families: tuple[Family, ...] = ()
    http: Fact[Latency | None] = ABSENT
    database: Fact[Latency | None] = ABSENT
    cache: Fact[CacheMetrics | None] = ABSENT
    pool: Fact[PoolMetrics | None] = ABSENT
    process: Fact[tuple[str, ...]] = ABSENT
    runtime: Fact[tuple[str, ...]] = ABSENT
    build_info: tuple[str, ...] = ()
    started: Fact[float] = ABSENT
    histograms: int = 0
    faults: Fact[tuple[HistogramFault, ...]] = ABSENT
    shapes: tuple[HistogramShape, ...] = ()
    high_entropy: Fact[tuple[HighEntropy, ...]] = ABSENT
    derived: Fact[Derived] = ABSENT
    instances_differ: bool = False
