"""What the service says of itself: health, metrics, its own cache, and whether its requests can be followed."""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from readiness.api import Context, HttpSettings, ProbeError, absent, probe
from readiness.facts.metrics import MetricsFacts
from readiness.facts.service import Health, HealthTiming, ServiceFacts
from readiness.probes import app_cache, health_discovery, metrics_scrape, request_tracking
from readiness.probes.fetch import fetcher
from readiness.probes.polite import Polite, calibrate

TIMED_REQUESTS = 5
TIMING_SECONDS = 12.0


@probe(needs="http.url", windowed=True)
async def service(http: HttpSettings, context: Context) -> ServiceFacts:
    """Looks for health and metrics, scrapes the metrics before and after the window, times health inside it."""
    keep = int(context.limits.response_mb * 1_000_000)
    async with fetcher(http, context) as fetch:
        polite = Polite(fetch)
        baseline, unknown = await calibrate(polite, context.canary)
        ordinary = next(iter(http.endpoints), "/")
        health, metrics, tracking = await asyncio.gather(
            health_discovery.discover(polite, baseline, http.health, context.canary),
            metrics_scrape.discover(polite, baseline, http.metrics, keep),
            request_tracking.track(polite, ordinary, unknown, context.canary),
        )
        opened = await context.window.opened()
        timing = await _time(polite, list(health.health.values()))
        await context.window.closed(opened)
        first = metrics.scrape
        if first is not None and first.state == "parsed":
            second = await metrics_scrape.again(polite, first, keep)
            routes = {urlsplit(path).path for path in [first.path, *health.tried]}
            exposed: Any = metrics_scrape.facts(first, second, (context.canary,), _own(routes))
        else:
            exposed = metrics_scrape.missing(metrics, baseline)
        return ServiceFacts(
            now=dt.datetime.now(dt.UTC),
            unknown_status=unknown.status,
            tried=health.tried,
            health=health.facts(baseline),
            timing=timing or absent("no health endpoint to time"),
            tracking=tracking or absent("no answer to an ordinary request"),
            metrics=exposed,
            cache=app_cache.read(health.documents, exposed if isinstance(exposed, MetricsFacts) else None),
            requests=polite.sent,
        )


def _own(routes: set[str]) -> Any:
    def skip(route: str) -> bool:
        # Some libraries join alternatives ("/health,/health/ready") or name the route without its first slash.
        return any(part.strip() in routes or "/" + part.strip() in routes for part in route.split(","))

    return skip


async def _time(polite: Polite, found: list[Health]) -> HealthTiming | None:
    """Five requests as a balancer sends them, and one HEAD, to the readiness endpoint or the next best."""
    order = ("readiness", "general", "liveness", "startup")
    health = min(found, key=lambda each: order.index(each.kind), default=None)
    if health is None:
        return None
    seconds: list[float] = []
    failures, last = 0, None
    with suppress(TimeoutError):
        async with asyncio.timeout(TIMING_SECONDS):
            for _ in range(TIMED_REQUESTS):
                try:
                    last = await polite.request("GET", health.path)
                except ProbeError:
                    failures += 1
                else:
                    seconds.append(last.seconds)
    return HealthTiming(
        path=health.path,
        kind=health.kind,
        seconds=tuple(seconds),
        failures=failures,
        last=health_discovery.small(last) if last is not None else absent("no answer in time"),
        head_status=await _head(polite, health.path),
    )


async def _head(polite: Polite, path: str) -> Any:
    try:
        return (await polite.request("HEAD", path)).status
    except ProbeError as error:
        return absent(error.reason)
