"""What the service says of itself: health, metrics, its own cache."""

from __future__ import annotations

from readiness.facts.base import ABSENT, Fact, Facts


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


class ServiceFacts(Facts):
    """Self-reported facts of the service."""

    cache: Fact[AppCache] = ABSENT
