"""What a word for a cache says: in the application's process, on its disk, or shared between instances."""

from __future__ import annotations

import re
from typing import Literal

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
