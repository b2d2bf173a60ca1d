"""What the application's own word for its cache says: in its process, on its disk, or shared between instances."""

from __future__ import annotations

import re
from typing import Literal

from readiness.api import maybe
from readiness.facts.service import AppCache, ServiceFacts

Kind = Literal["process", "disk", "shared", "unknown"]

_WORDS: dict[Kind, set[str]] = {
    "shared": {
        "redis", "ioredis", "valkey", "keydb", "dragonfly", "elasticache", "memorystore", "upstash", "memcached",
        "memcache", "hazelcast", "infinispan", "ignite", "coherence", "couchbase", "shared", "distributed",
    },
    "disk": {"disk", "diskcache", "file", "filesystem", "sqlite", "leveldb", "rocksdb", "lmdb"},
    "process": {
        "memory", "inmemory", "mem", "map", "lru", "lrucache", "lfu", "nodecache", "local", "locmem", "process",
        "inprocess", "heap", "keyv", "quicklru", "caffeine", "guava", "ehcache", "cache2k", "concurrentmap", "dict",
        "simple", "cachetools", "ttlcache", "ristretto", "bigcache", "freecache", "memorycache", "imemorycache",
    },
}  # fmt: skip


def kind_of(store: str) -> Kind:
    """The kind of cache that a word such as `memory`, `node-cache` or `redis-cluster` stands for."""
    whole = re.sub(r"[^a-z0-9]", "", store.lower())
    parts = [part for part in re.split(r"[^a-z0-9]+", store.lower()) if part]
    for kind, words in _WORDS.items():
        if whole in words or any(part in words for part in parts):
            return kind
    return "unknown"


def reported(service: ServiceFacts | None) -> AppCache | None:
    """The cache that the service reports, or None. Raises FactMissing where the service could not be asked."""
    if service is None:
        return None
    asked = service.reached()
    return maybe(lambda: asked.cache)


def store_of(cache: AppCache | None) -> tuple[str, Kind]:
    """The service's word for its cache and the kind it stands for; ("", "unknown") where it has none."""
    word = "" if cache is None else maybe(lambda: cache.store) or ""
    return word, kind_of(word)
