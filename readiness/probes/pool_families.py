"""The families of a scrape that tell of the database driver's connection pool.

Recognised are the OpenTelemetry conventions, of before and after their renaming (`db.client.connections.usage`,
`db.client.connection.count` and so on), Micrometer's and its imitators' `mongodb_driver_pool_*`, and gauges of an
application's own such as `database_pool_connections{state}`.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator

from readiness.facts.metrics import PoolMetrics
from readiness.probes.exposition import Exposition, Labels, Sample
from readiness.probes.histograms import key

_BY_NAME = (
    re.compile(r"mongodb_driver_pool_(?P<role>size|checkedout|waitqueuesize|max|min)$"),
    re.compile(r"(?:^|_)db_client_connections?_(?P<role>max|idle_min|pending_requests)$"),
    re.compile(r"(?:^|_)(?:db|database|mongo|mongodb|mongoose)_(?:client_)?pool_(?P<role>[a-z_]{1,20})$"),
)
_BY_STATE = (
    re.compile(r"(?:^|_)db_client_connections?_(?:usage|count)$"),
    re.compile(r"(?:^|_)(?:db|database|mongo|mongodb|mongoose)_(?:client_)?(?:connection_)?pool_connections$"),
)
_STATES = ("state", "db_client_connection_state", "status")
_ROLES = {
    "size": "open", "open": "open", "total": "open", "current": "open",
    "used": "used", "active": "used", "in_use": "used", "busy": "used", "checkedout": "used", "checked_out": "used",
    "idle": "idle", "available": "idle", "free": "idle",
    "waitqueuesize": "waiting", "waiting": "waiting", "pending": "waiting", "pending_requests": "waiting",
    "queued": "waiting", "wait_queue_size": "waiting",
    "max": "largest", "max_size": "largest", "min": "smallest", "min_size": "smallest", "idle_min": "smallest",
}  # fmt: skip
_BOUNDS = ("largest", "smallest")
_FOREIGN = re.compile(
    r"postgres|mysql|mariadb|sqlite|sqlserver|mssql|oracle|jdbc|hikari|redis|valkey|jedis|lettuce", re.I
)


def pool(exposition: Exposition) -> PoolMetrics | None:
    """The pool of the database driver, or None where nothing tells of one; the driver's own families come first."""
    told: dict[int, list[tuple[str, Sample]]] = defaultdict(list)
    for rank, role, sample in _recognised(exposition):
        told[rank].append((role, sample))
    if not told:
        return None
    entries = told[min(told)]
    values: dict[str, float] = {}
    for role, sample in entries:
        known = values.get(role)
        if role in _BOUNDS:
            values[role] = sample.value if known is None else max(known, sample.value)
        else:
            values[role] = sample.value + (known or 0.0)
    if "open" not in values and {"used", "idle"} <= values.keys():
        values["open"] = values["used"] + values["idle"]
    pools = {key(_without_state(sample.labels)) for _, sample in entries}
    return PoolMetrics(family=entries[0][1].name[:200], pools=len(pools), **values)


def _recognised(exposition: Exposition) -> Iterator[tuple[int, str, Sample]]:
    """How good each sample's family is (0 the best), its role, and the sample."""
    for family in exposition.families.values():
        if family.type in ("histogram", "gaugehistogram", "summary"):
            continue
        name = family.name.replace(".", "_").lower()
        for sample in family.samples:
            if not math.isfinite(sample.value) or sample.value < 0 or _FOREIGN.search(" ".join(_words(sample.labels))):
                continue
            rank, word = _role(name, sample.labels)
            if word in _ROLES:
                yield rank, _ROLES[word], sample


def _role(name: str, labels: Labels) -> tuple[int, str]:
    for state in _BY_STATE:
        if state.search(name):
            word = next((value.lower() for label, value in labels.items() if _is_state(label)), "")
            return (1 if "db_client" in name else 2), word
    for rank, pattern in enumerate(_BY_NAME):
        if found := pattern.search(name):
            return rank, found["role"]
    return len(_BY_NAME), ""


def _is_state(label: str) -> bool:
    return label.replace(".", "_").lower() in _STATES


def _without_state(labels: Labels) -> Labels:
    return {label: value for label, value in labels.items() if not _is_state(label)}


def _words(labels: Labels) -> Iterator[str]:
    """Where the labels say which system the pool belongs to."""
    for label, value in labels.items():
        if "pool" in label or "system" in label or label in ("name", "driver", "datasource"):
            yield value[:200]
