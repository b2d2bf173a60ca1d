"""The application's own cache, as its health or status JSON or its metrics report it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from readiness.facts.base import absent, maybe
from readiness.facts.metrics import CacheMetrics, MetricsFacts
from readiness.facts.service import AppCache

MAX_NODES = 2000
MAX_DEPTH = 8

_KEYS = frozenset({"cache", "caching", "cachestats", "cachestatistics", "cachestatus", "cacheservice", "cachemanager"})
_STORES = ("store", "driver", "type", "backend", "engine", "provider", "implementation", "adapter")
_INSIDE = ("stats", "statistics", "details", "data", "metrics", "info", "config", "options", "keyspace")
_NO_STORE = frozenset({"cache", "datastore", "component", "system", "internal", "external", "readiness", "liveness"})
_COUNTS: Mapping[str, tuple[str, ...]] = {
    "hits": ("hits", "hit", "hitcount", "cachehits", "totalhits"),
    "misses": ("misses", "miss", "misscount", "cachemisses", "totalmisses"),
    "entries": ("keys", "size", "entries", "items", "keycount", "entrycount", "currentsize", "count", "itemcount"),
    "max_entries": ("maxkeys", "max", "limit", "maxsize", "maxentries", "maxitems", "capacity"),
    "evictions": ("evictions", "evicted", "evictedkeys", "evictioncount", "totalevictions"),
}
_RATES = ("hitrate", "hitratio", "cachehitrate", "cachehitratio")
_POLICIES = ("policy", "evictionpolicy", "eviction", "strategy", "algorithm")
_TTLS = ("ttl", "stdttl", "defaultttl", "ttlseconds", "ttlms", "defaultttlms", "maxage")
_CLEANUPS = (
    "cleanupinterval", "checkperiod", "cleanupintervalms", "cleanupintervalseconds", "cleanupms", "cleanup",
    "sweepinterval", "purgeinterval",
)  # fmt: skip
_AMBIGUOUS = {"ttl_seconds": 100_000.0, "cleanup_seconds": 10_000.0}
"""From here on a number without a unit may as well be milliseconds, and is not guessed at."""


def read(documents: Sequence[tuple[str, Any]], metrics: MetricsFacts | None) -> Any:
    """The value of `ServiceFacts.cache`: the richest report among the JSON answers, completed from the metrics."""
    reports = [fields for path, data in documents for fields in _reports(path, data)]
    best = max(reports, key=len, default={})
    counted = _from_metrics(metrics)
    if len(best) + len(counted) == 0:
        return absent("no health, status or metrics endpoint reports a cache of the application's own")
    return AppCache.model_validate({**counted, **best})


def _reports(path: str, data: Any) -> Iterator[dict[str, Any]]:
    """What every object of a document that lies under a cache key says; `source` is added to what says anything."""
    waiting: list[tuple[Any, int]] = [(data, 0)]
    for _ in range(MAX_NODES):
        if not waiting:
            return
        node, depth = waiting.pop()
        if isinstance(node, list):
            waiting += [(inner, depth + 1) for inner in node[:50] if depth < MAX_DEPTH]
        elif isinstance(node, dict):
            for name, value in list(node.items())[:200]:
                if isinstance(value, dict) and _plain(name.partition(":")[0]) in _KEYS:
                    fields = _fields(value)
                    if fields:
                        yield {"source": path} | fields
                elif isinstance(value, (dict, list)) and depth < MAX_DEPTH:
                    waiting.append((value, depth + 1))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower()[:80])


def _fields(report: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for node in [report, *(report[name] for name in _INSIDE if isinstance(report.get(name), dict))]:
        for name, value in list(node.items())[:100]:
            flat.setdefault(_plain(name), value)
    found: dict[str, Any] = {}
    store = next((flat[name] for name in _STORES if isinstance(flat.get(name), str)), "").strip().lower()
    if store and len(store) <= 40 and store not in _NO_STORE:
        found["store"] = store
    for field, names in _COUNTS.items():
        count = next((_whole(flat[name]) for name in names if _whole(flat.get(name)) is not None), None)
        if count is not None:
            found[field] = count
    rate = next((_share(flat[name]) for name in _RATES if _share(flat.get(name)) is not None), None)
    if rate is not None:
        found["hit_rate"] = rate
    policy = next((flat[name] for name in _POLICIES if isinstance(flat.get(name), str)), "").strip().lower()
    if policy and len(policy) <= 40:
        found["policy"] = policy
    for field, names in (("ttl_seconds", _TTLS), ("cleanup_seconds", _CLEANUPS)):
        name = next((name for name in names if _number(flat.get(name)) is not None), None)
        if name is not None:
            found[field] = _seconds(field, name, _number(flat[name]) or 0.0)
    return found


def _seconds(field: str, name: str, value: float) -> Any:
    if name.endswith("ms"):
        return value / 1000
    if value >= _AMBIGUOUS[field] and not name.endswith("seconds"):
        return absent(f"{name} {value:g} has no unit")
    return value


def _number(value: Any) -> float | None:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float, str))
        or (isinstance(value, str) and len(value) > 30)
    ):
        return None
    try:
        number = float(value[:30]) if isinstance(value, str) else float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _whole(value: Any) -> int | None:
    number = None if isinstance(value, str) else _number(value)
    return int(number) if number is not None and number == int(number) and number < 2**63 else None


def _share(value: Any) -> float | None:
    """0.93, 93, "93%" or "93 %" as a share between 0 and 1."""
    if isinstance(value, str) and value.strip().endswith("%"):
        percent = _number(value.strip().removesuffix("%").strip())
        return percent / 100 if percent is not None and percent <= 100 else None
    number = _number(value)
    if number is None or number > 100:
        return None
    return number if number <= 1 else number / 100


def _from_metrics(metrics: MetricsFacts | None) -> dict[str, Any]:
    cache: CacheMetrics | None = maybe(lambda: metrics.cache) if metrics is not None else None
    if metrics is None or cache is None:
        return {}
    found: dict[str, Any] = {"source": metrics.path}
    for field in ("hits", "misses"):
        count = _whole(maybe(lambda field=field: getattr(cache, field)))  # type: ignore[misc]
        if count is not None:
            found[field] = count
    rate = _share(maybe(lambda: cache.gauge_value))
    if rate is None and found.get("hits", 0) + found.get("misses", 0) > 0 and "misses" in found and "hits" in found:
        rate = found["hits"] / (found["hits"] + found["misses"])
    if rate is not None:
        found["hit_rate"] = rate
    return found if len(found) > 1 else {}
