"""The service's Prometheus metrics, and the listeners that feed them from the database driver."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckOutFailedEvent,
    ConnectionCheckOutStartedEvent,
    ConnectionClosedEvent,
    ConnectionCreatedEvent,
    ConnectionPoolListener,
    ConnectionReadyEvent,
    PoolClearedEvent,
    PoolClosedEvent,
    PoolCreatedEvent,
    PoolReadyEvent,
)

from readiness.demo.service.cache import Cache

_HTTP_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_QUERY_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


class Metrics:
    """The service's own metrics, in the process-wide registry beside those of the process and the interpreter."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.requests = Histogram(
            "http_request_duration_seconds",
            "Duration of HTTP requests in seconds.",
            ("method", "route", "status_code"),
            buckets=_HTTP_BUCKETS,
            registry=registry,
        )
        self.queries = Histogram(
            "database_query_duration_seconds",
            "Duration of database commands in seconds, as the driver saw them.",
            ("collection", "operation"),
            buckets=_QUERY_BUCKETS,
            registry=registry,
        )
        self.query_errors = Counter(
            "database_query_errors_total", "Database commands that failed.", ("operation",), registry=registry
        )
        self.pool = Gauge(
            "database_pool_connections", "Connections in the database driver's pool.", ("state",), registry=registry
        )
        self.errors = Counter(
            "application_errors_total", "Requests that ended in an unhandled exception.", ("type",), registry=registry
        )
        self._registry = registry

    def watch(self, cache: Cache) -> None:
        """Reads the cache's own counters at every scrape."""
        self._registry.register(_CacheCollector(cache))

    def expose(self, host: str, port: int) -> None:
        """Serves /metrics on a port of its own, away from the public one."""
        start_http_server(port, addr=host)


class QueryTimes(CommandListener):
    """The duration of every database command, by collection and operation."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._collections: dict[int, str] = {}

    def started(self, event: CommandStartedEvent) -> None:
        value = event.command.get("collection" if event.command_name == "getMore" else event.command_name)
        if isinstance(value, str):
            self._collections[event.request_id] = value

    def succeeded(self, event: CommandSucceededEvent) -> None:
        self._observe(event.request_id, event.command_name, event.duration_micros)

    def failed(self, event: CommandFailedEvent) -> None:
        self._observe(event.request_id, event.command_name, event.duration_micros)
        self._metrics.query_errors.labels(event.command_name).inc()

    def _observe(self, request: int, operation: str, micros: int) -> None:
        collection = self._collections.pop(request, None)
        if collection is not None:
            self._metrics.queries.labels(collection, operation).observe(micros / 1_000_000)


class PoolUse(ConnectionPoolListener):
    """How many connections are open, in use, and waited for."""

    def __init__(self, metrics: Metrics) -> None:
        self._open = metrics.pool.labels("open")
        self._used = metrics.pool.labels("used")
        self._waiting = metrics.pool.labels("waiting")

    def connection_created(self, event: ConnectionCreatedEvent) -> None:
        self._open.inc()

    def connection_closed(self, event: ConnectionClosedEvent) -> None:
        self._open.dec()

    def connection_check_out_started(self, event: ConnectionCheckOutStartedEvent) -> None:
        self._waiting.inc()

    def connection_check_out_failed(self, event: ConnectionCheckOutFailedEvent) -> None:
        self._waiting.dec()

    def connection_checked_out(self, event: ConnectionCheckedOutEvent) -> None:
        self._waiting.dec()
        self._used.inc()

    def connection_checked_in(self, event: ConnectionCheckedInEvent) -> None:
        self._used.dec()

    def pool_created(self, event: PoolCreatedEvent) -> None: ...
    def pool_ready(self, event: PoolReadyEvent) -> None: ...
    def pool_cleared(self, event: PoolClearedEvent) -> None: ...
    def pool_closed(self, event: PoolClosedEvent) -> None: ...
    def connection_ready(self, event: ConnectionReadyEvent) -> None: ...


class _CacheCollector(Collector):
    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def collect(self) -> Iterator[Metric]:
        counters = self._cache.counters
        yield GaugeMetricFamily("cache_hit_rate", "Cache hits per lookup, 0 to 1.", counters.hit_rate)
        yield CounterMetricFamily("cache_hits", "Lookups answered from the cache.", counters.hits)
        yield CounterMetricFamily("cache_misses", "Lookups not answered from the cache.", counters.misses)
        yield CounterMetricFamily("cache_errors", "Failures of the shared cache.", counters.errors)
