"""The metrics endpoint found and scraped twice, and what the two scrapes say."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from readiness.errors import ProbeError
from readiness.facts.base import absent
from readiness.facts.exchange import Exchange
from readiness.facts.metrics import Latency, MetricsFacts
from readiness.probes import histograms, metric_families, pool_families
from readiness.probes.exposition import Exposition, parse
from readiness.probes.polite import Polite
from readiness.probes.soft404 import Baseline

HEADERS = {"Accept": "application/openmetrics-text;version=1.0.0;q=0.9,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"}
MIN_REQUESTS = 20
"""Fewer requests between two scrapes give no figure worth printing."""

_CANDIDATES = ("/metrics", "/actuator/prometheus", "/api/metrics", "/-/metrics")
_RARE = ("/q/metrics", "/__metrics__", "/v1/__metrics__", "/debug/metrics/prometheus")
_RANK = {"parsed": 3, "empty": 2, "unparsable": 1, "missing": 0}


@dataclass(frozen=True, slots=True)
class Scrape:
    """One answer of the metrics endpoint, read. `at` is monotonic."""

    path: str
    exchange: Exchange
    exposition: Exposition
    at: float

    @property
    def state(self) -> str:
        if self.exposition.problem:
            return "unparsable"
        return "parsed" if self.exposition.series else "empty"


@dataclass(frozen=True, slots=True)
class MetricsSearch:
    """The first scrape, or the statuses of everything that was tried."""

    scrape: Scrape | None
    tried: dict[str, int]


async def discover(polite: Polite, baseline: Baseline, configured: str | None, keep: int) -> MetricsSearch:
    """Looks for the metrics endpoint: the configured one alone, or the usual paths."""
    tried: dict[str, int] = {}
    best: Scrape | None = None
    for paths in [(configured,)] if configured else [_CANDIDATES, _RARE]:
        answers = await asyncio.gather(*(polite.find(path, baseline, headers=HEADERS, keep=keep) for path in paths))
        for found in answers:
            tried[found.path] = found.status
            if found.exchange is not None and found.exchange.ok:
                seen = read(found.path, found.exchange, polite.limits.series)
                if best is None or _RANK[seen.state] > _RANK[best.state]:
                    best = seen
        if best is not None and best.state == "parsed":
            break
    return MetricsSearch(best, tried)


def read(path: str, exchange: Exchange, series: int) -> Scrape:
    at = time.monotonic()
    parsed = parse(exchange.body, exchange.media_type, cut=exchange.truncated, max_series=series)
    return Scrape(path, exchange, parsed, at)


async def again(polite: Polite, first: Scrape, keep: int) -> Scrape:
    """The second scrape, or the first one once more where none came."""
    try:
        exchange = await polite.request("GET", first.path, headers=HEADERS, keep=keep)
    except ProbeError:
        return first
    second = read(first.path, exchange, polite.limits.series)
    return second if exchange.ok and second.state == "parsed" else first


def missing(search: MetricsSearch, baseline: Baseline) -> Any:
    """The value of `ServiceFacts.metrics` where nothing could be parsed: what is there instead, or why nobody knows."""
    first = search.scrape
    if first is not None:
        return MetricsFacts(
            state=first.state,
            path=first.path,
            status=first.exchange.status,
            content_type=_content_type(first.exchange),
            problem=first.exposition.problem or "no sample",
            size=first.exchange.size,
            seconds=first.exchange.seconds,
        )
    refused = next((path for path, status in search.tried.items() if status in (401, 403)), None)
    if refused is not None or baseline.walled:
        reason = f"{refused} answers {search.tried[refused]}" if refused else "every path asks for credentials"
        return absent(
            reason, "credentials for the metrics endpoint in http.headers, or its internal URL in http.metrics"
        )
    path, status = next(iter(search.tried.items()), ("/metrics", 0))
    return MetricsFacts(state="missing", path=path, status=status, problem=f"{len(search.tried)} usual paths tried")


def facts(first: Scrape, second: Scrape, marks: Sequence[str], skip: Callable[[str], bool]) -> MetricsFacts:
    """Everything the two scrapes say.

    Args:
        marks: random words of paths that were asked for before the second scrape.
        skip: says of a route whether it is health or metrics, and not part of the service's work.
    """
    exposition, exchange = second.exposition, second.exchange
    cut = exposition.truncated
    unseen = absent("the metrics were cut off at a limit, so what was not found may still be there")

    def sure(value: Any) -> Any:
        """A find counts in any case, a "nothing" only where everything was read."""
        return unseen if cut and not value else value

    families = list(exposition.families.values())
    http = metric_families.http_latency(exposition)
    names = list(exposition.families)
    with_buckets = [family for family in families if family.type == "histogram" and family.samples]
    faults = [fault for family in with_buckets for fault in histograms.faults(family)][: histograms.MAX_FAULTS]
    entropy = metric_families.high_entropy(families, marks)
    fell = histograms.fell(first.exposition, exposition)
    return MetricsFacts(
        state="parsed",
        path=second.path,
        status=exchange.status,
        content_type=_content_type(exchange),
        size=exchange.size,
        seconds=exchange.seconds,
        openmetrics=exposition.openmetrics,
        violation=exposition.violation,
        exemplars=exposition.exemplars,
        truncated=cut,
        series=exposition.series,
        family_count=len(families),
        families=tuple(metric_families.summary(family) for family in families[: metric_families.MAX_FAMILIES]),
        http=sure(http),
        database=sure(metric_families.database_latency(exposition)),
        cache=sure(metric_families.cache(first.exposition, exposition)),
        pool=sure(pool_families.pool(exposition)),
        process=sure(metric_families.process(names)),
        runtime=sure(metric_families.runtime(names)),
        build_info=metric_families.build_info(names),
        started=_started(exposition),
        histograms=len(with_buckets),
        faults=sure(tuple(faults)),
        shapes=tuple(filter(None, map(histograms.shape, with_buckets[:200]))),
        high_entropy=sure(tuple(entropy)),
        derived=_derived(first, second, http, fell, skip),
        instances_differ=fell or _started(first.exposition) != _started(exposition),
    )


def _derived(first: Scrape, second: Scrape, http: Latency | None, fell: bool, skip: Callable[[str], bool]) -> Any:
    if http is None or http.type not in ("histogram", "summary"):
        return absent("no family with the latency of HTTP requests")
    if first is second:
        return absent("the second scrape did not succeed")
    if fell:
        return absent("counters fell between the scrapes: the process restarted, or several instances answer")
    derived = histograms.derive(first.exposition, second.exposition, http, second.at - first.at, skip)
    if derived.requests < MIN_REQUESTS:
        return absent(f"{derived.requests:g} requests between the scrapes, {MIN_REQUESTS} are needed")
    return derived


def _started(exposition: Exposition) -> Any:
    family = exposition.families.get("process_start_time_seconds")
    value = family.samples[0].value if family and family.samples else math.nan
    return value if math.isfinite(value) else absent("no process_start_time_seconds")


def _content_type(exchange: Exchange) -> str:
    return (exchange.header("content-type") or "")[:200]
