"""Asks an instance of the service whose cache the user has switched off. Nothing is switched by this program."""

from __future__ import annotations

import asyncio
import time

from readiness.api import Context, HttpSettings, ProbeError, RedisSettings, probe
from readiness.facts.cache_fallback import Attempt, CacheFallbackFacts
from readiness.probes.fetch import Fetcher, fetcher

MOST_PATHS = 5


@probe(needs="redis.without_url")
async def cache_fallback(http: HttpSettings, redis: RedisSettings, context: Context) -> CacheFallbackFacts:
    """One GET for each of the first endpoints, without the configured headers: they belong to http.url."""
    assert redis.without_url is not None  # the engine runs no probe whose key is missing
    instance = http.model_copy(update={"url": redis.without_url, "headers": {}})
    paths = http.endpoints[:MOST_PATHS] or ("/",)
    async with fetcher(instance, context) as fetch:
        attempts = await asyncio.gather(*(_attempt(fetch, path) for path in paths))
    return CacheFallbackFacts(url=redis.without_url, attempts=tuple(attempts))


async def _attempt(fetch: Fetcher, path: str) -> Attempt:
    began = time.monotonic()
    try:
        exchange = await fetch.get(path, keep=0)
    except ProbeError:
        return Attempt(path=path, seconds=time.monotonic() - began)
    return Attempt(path=path, status=exchange.status, seconds=exchange.seconds)
