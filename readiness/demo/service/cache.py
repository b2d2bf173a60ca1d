"""Cache-aside: a least-recently-used cache in the process, and Valkey shared by all instances before it."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from readiness.demo.service.settings import MemoryCacheSettings, SharedCacheSettings

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = logging.getLogger("market.cache")

RETRY_SECONDS = 2.0
"""How long the shared cache is left alone after it failed."""
_WARM_BATCH = 500


@dataclass(slots=True)
class Counters:
    """Lookups of this process since it started."""

    hits: int = 0
    misses: int = 0
    evictions: int = 0
    errors: int = 0

    @property
    def hit_rate(self) -> float:
        return self.hits / (self.hits + self.misses) if self.hits + self.misses else 0.0


class Cache(Protocol):
    """What the service needs of a cache. Values are JSON data."""

    counters: Counters

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def get(self, key: str) -> Any | None: ...
    async def set(self, key: str, value: Any, ttl: float | None = None) -> None: ...
    async def fill(self, entries: Iterable[tuple[str, Any]]) -> None: ...
    async def delete(self, *keys: str) -> None: ...
    async def ping(self) -> None: ...
    def statistics(self) -> dict[str, Any]: ...


async def aside(cache: Cache, key: str, load: Callable[[], Awaitable[Any | None]], ttl: float | None = None) -> Any:
    """The entry, or what `load` gives, which is then kept. None is not kept: a new object must be found at once."""
    value = await cache.get(key)
    if value is None:
        value = await load()
        if value is not None:
            await cache.set(key, value, ttl)
    return value


class MemoryCache:
    """Least recently used entries go first when `max_keys` is reached; expired ones also in regular clean-ups."""

    def __init__(self, settings: MemoryCacheSettings, now: Callable[[], float] = time.monotonic) -> None:
        self.counters = Counters()
        self._settings = settings
        self._now = now
        self._entries: OrderedDict[str, tuple[float, Any]] = OrderedDict()
        self._cleaner: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._cleaner = asyncio.create_task(self._clean_regularly())

    async def stop(self) -> None:
        if self._cleaner:
            self._cleaner.cancel()

    async def get(self, key: str) -> Any | None:
        expires, value = self._entries.get(key, (0.0, None))
        if expires <= self._now():
            self._entries.pop(key, None)
            self.counters.misses += 1
            return None
        self._entries.move_to_end(key)
        self.counters.hits += 1
        return value

    async def set(self, key: str, value: Any, ttl: float | None = None) -> None:
        self._entries[key] = (self._now() + (ttl or self._settings.ttl), value)
        self._entries.move_to_end(key)
        while len(self._entries) > self._settings.max_keys:
            self._entries.popitem(last=False)
            self.counters.evictions += 1

    async def fill(self, entries: Iterable[tuple[str, Any]]) -> None:
        for key, value in entries:
            await self.set(key, value)

    async def delete(self, *keys: str) -> None:
        for key in keys:
            self._entries.pop(key, None)

    async def ping(self) -> None:
        pass

    def clean(self) -> None:
        """Removes what has expired."""
        now = self._now()
        for key in [key for key, (expires, _) in self._entries.items() if expires <= now]:
            del self._entries[key]

    def statistics(self) -> dict[str, Any]:
        return {
            "type": "memory",
            "policy": "lru",
            "hits": self.counters.hits,
            "misses": self.counters.misses,
            "hitRate": round(self.counters.hit_rate, 4),
            "keys": len(self._entries),
            "maxKeys": self._settings.max_keys,
            "evictions": self.counters.evictions,
            "ttl": self._settings.ttl,
            "cleanupInterval": self._settings.cleanup_interval,
        }

    async def _clean_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._settings.cleanup_interval)
            self.clean()


class SharedCache:
    """Valkey, shared by all instances. While it is away each instance falls back to its own memory."""

    def __init__(self, settings: SharedCacheSettings, fallback: MemoryCache) -> None:
        self.counters = Counters()
        self._settings = settings
        self._fallback = fallback
        self._away_until = 0.0
        self.client: Redis = connect(settings)

    async def start(self) -> None:
        await self._fallback.start()

    async def stop(self) -> None:
        await self._fallback.stop()
        await self.client.aclose()

    async def get(self, key: str) -> Any | None:
        raw = await self.guarded(lambda: self.client.get(key))
        value = json.loads(raw) if raw is not None else None
        if value is None and self.away:
            value = await self._fallback.get(key)
        if value is None:
            self.counters.misses += 1
        else:
            self.counters.hits += 1
        return value

    async def set(self, key: str, value: Any, ttl: float | None = None) -> None:
        text, seconds = json.dumps(value), self._ttl(ttl)
        await self.guarded(lambda: self.client.set(key, text, ex=seconds))
        if self.away:
            await self._fallback.set(key, value, ttl)

    async def fill(self, entries: Iterable[tuple[str, Any]]) -> None:
        """Many entries in few round trips, for warming."""
        pending = list(entries)
        for start in range(0, len(pending), _WARM_BATCH):
            pipeline = self.client.pipeline(transaction=False)
            for key, value in pending[start : start + _WARM_BATCH]:
                pipeline.set(key, json.dumps(value), ex=self._ttl(None))
            await self.guarded(pipeline.execute)

    async def delete(self, *keys: str) -> None:
        await self.guarded(lambda: self.client.delete(*keys))
        await self._fallback.delete(*keys)

    async def ping(self) -> None:
        """Raises what the client raises where Valkey does not answer."""
        await self.client.ping()

    async def claim(self, name: str, seconds: int) -> bool:
        """Whether this instance is the first of all to claim the name within that time."""
        return bool(await self.guarded(lambda: self.client.set(name, "1", nx=True, ex=seconds)))

    @property
    def away(self) -> bool:
        return time.monotonic() < self._away_until

    def statistics(self) -> dict[str, Any]:
        return {
            "type": "valkey",
            "hits": self.counters.hits,
            "misses": self.counters.misses,
            "hitRate": round(self.counters.hit_rate, 4),
            "errors": self.counters.errors,
            "ttl": self._settings.ttl,
            "fallback": "in use" if self.away else "idle",
        }

    async def guarded(self, call: Callable[[], Awaitable[Any]]) -> Any | None:
        """The call's result, or None where Valkey is away; a failure opens the circuit for a moment."""
        from redis.exceptions import RedisError

        if self.away:
            return None
        try:
            return await call()
        except (RedisError, OSError, TimeoutError) as error:
            self.counters.errors += 1
            self._away_until = time.monotonic() + RETRY_SECONDS
            log.warning("shared cache is away, using memory", extra={"error": f"{type(error).__name__}: {error}"})
            return None

    def _ttl(self, ttl: float | None) -> int:
        """Whole seconds, spread so that entries written together do not expire together."""
        seconds = ttl or self._settings.ttl
        return max(1, round(seconds * (1 + self._settings.ttl_jitter * random.uniform(-1, 1))))


def connect(settings: SharedCacheSettings) -> Redis:
    """A client of the primary: the one that the sentinels name, or the configured one."""
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.asyncio.sentinel import Sentinel
    from redis.backoff import NoBackoff

    options: dict[str, Any] = {
        "username": settings.username,
        "password": settings.password.get_secret_value(),
        "socket_timeout": settings.timeout,
        "socket_connect_timeout": settings.timeout,
        "protocol": 2,
        "retry": Retry(NoBackoff(), 1),
        "decode_responses": True,
    }
    if not settings.sentinels:
        return Redis(host=settings.host, port=settings.port, **options)
    sentinel_options = {
        "password": settings.sentinel_password.get_secret_value(),
        "socket_timeout": settings.timeout,
        "socket_connect_timeout": settings.timeout,
        "protocol": 2,
    }
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        list(settings.sentinels), sentinel_kwargs=sentinel_options, **options
    )
    client: Redis = sentinel.master_for(settings.sentinel_name)
    return client
