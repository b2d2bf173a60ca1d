"""What the endpoints share: settings, database, cache, payments, tokens, limits."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from readiness.demo.service.auth import Tokens
from readiness.demo.service.cache import Cache, MemoryCache, SharedCache
from readiness.demo.service.database import Database
from readiness.demo.service.health import Dependency
from readiness.demo.service.limits import RateLimiter
from readiness.demo.service.metrics import Metrics, PoolUse, QueryTimes
from readiness.demo.service.pages import Pages
from readiness.demo.service.payments import Payments
from readiness.demo.service.settings import Settings

log = logging.getLogger("market")

_WARM_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Market:
    settings: Settings
    database: Database
    cache: Cache
    payments: Payments
    tokens: Tokens
    limiter: RateLimiter
    pages: Pages
    metrics: Metrics | None

    @property
    def dependencies(self) -> Mapping[str, Dependency]:
        """What /health asks. The cache has a fallback, and without payments the catalogue can still be read."""
        return {
            "database": Dependency(self.database.ping),
            "cache": Dependency(self.cache.ping, required=False, details=self.cache.statistics),
            "payments": Dependency(self.payments.ping, required=False),
        }

    async def start(self) -> None:
        await self.database.start()
        await self.cache.start()
        await self._warm()
        if self.metrics and self.settings.management_port:
            self.metrics.expose(self.settings.host, self.settings.management_port)

    async def stop(self) -> None:
        await self.cache.stop()
        await self.database.stop()
        await self.payments.stop()

    async def _warm(self) -> None:
        """Loads what is asked for most into the cache, once for all instances that start together."""
        if not self.settings.warm or self.settings.database_uri is None:
            return
        if isinstance(self.cache, SharedCache) and not await self.cache.claim("warm:claim", _WARM_SECONDS):
            return
        for kind, count in self.settings.warm.items():
            documents = await self.database.popular(kind, count)
            await self.cache.fill((f"{kind}:{document['id']}", document) for document in documents)
            log.info("cache warmed", extra={"kind": kind, "entries": len(documents)})


def build(settings: Settings) -> Market:
    """The parts of one instance, not started yet."""
    metrics = Metrics() if settings.management_port else None
    memory = MemoryCache(settings.memory_cache)
    shared = SharedCache(settings.shared_cache, memory) if settings.shared_cache else None
    cache: Cache = shared or memory
    if metrics:
        metrics.watch(cache)
    return Market(
        settings=settings,
        database=Database(settings, [QueryTimes(metrics), PoolUse(metrics)] if metrics else []),
        cache=cache,
        payments=Payments(settings.payments_url),
        tokens=Tokens(settings.token_secret.get_secret_value(), settings.name, settings.token_seconds),
        limiter=RateLimiter(shared),
        pages=Pages(hashed=settings.hashed_assets),
        metrics=metrics,
    )
