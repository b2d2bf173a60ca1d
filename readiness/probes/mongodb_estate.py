"""What is read around a member: its host's load, pools over the window, the profiler, backups, shards and routers.

Every function returns a fact's value, or an absent one with the reason.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping
from typing import Any

from readiness.facts.base import Absent, absent
from readiness.probes.mongodb_connect import Session, first_batch
from readiness.probes.mongodb_read import reduced

MOST_DATABASES = 20
MOST_SHARDED = 50
MOST_ROUTERS = 100
_BUSY = ("user_ms", "nice_ms", "system_ms", "irq_ms", "softirq_ms", "steal_ms")
_WAITING = "iowait_ms"


async def host_sample(session: Session) -> Any:
    """The latest sample of the machine that mongod took: it takes one a second, and asking costs it nothing."""
    young = absent("mongod has not looked at its machine yet: it does so once a second")
    answer = await session.ask({"getDiagnosticData": 1})
    return reduced(answer, lambda found: found["data"]["systemMetrics"] if found["data"] else young)


def host_load(before: Any, after: Any) -> Any:
    """The load between two samples."""
    for sample in (before, after):
        if isinstance(sample, Absent):
            return sample
    return reduced(after, lambda now: _load(before, now))


def _load(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    memory = now["memory"]
    load: dict[str, Any] = {
        "seconds": (now["start"] - before["start"]).total_seconds(),
        "memory_available": reduced(memory, lambda found: found["MemAvailable_kb"] / found["MemTotal_kb"]),
        "pages_swapped_in": reduced(now, lambda found: found["vmstat"]["pswpin"] - before["vmstat"]["pswpin"]),
    }
    spent = {name: now["cpu"][name] - before["cpu"][name] for name in (*_BUSY, _WAITING, "idle_ms")}
    whole = sum(spent.values())
    if not (math.isfinite(whole) and whole > 0):
        alike = absent("both samples are the same one: mongod takes one a second, and the window is shorter")
        return load | {"seconds": 0, "cpu_busy": alike, "io_wait": alike}
    return load | {"cpu_busy": sum(spent[name] for name in _BUSY) / whole, "io_wait": spent[_WAITING] / whole}


def pools(before: Any, after: Any) -> Any:
    """The groups of `after`, each with the smallest pool that the two samples show."""
    if isinstance(after, Absent):
        return after
    earlier = {_client(group): _pool(group) for group in ([] if isinstance(before, Absent) else before)}
    # A client that came within the window has not lost any connection.
    return [group | {"least": min(_pool(group), earlier.get(_client(group), _pool(group)))} for group in after]


def _client(group: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(group.get(name)) for name in ("app", "host", "driver", "driver_version"))


def _pool(group: Mapping[str, Any]) -> int:
    counts = (group.get(name) for name in ("logged_in", "connections"))
    return next((count for count in counts if isinstance(count, int) and count > 0), 0)


async def profiling(session: Session, ranked: Any) -> Any:
    """How the profiler is set in the databases of the busiest collections; -1 asks and changes nothing."""
    if isinstance(ranked, Absent):
        return ranked
    found = []
    for database in list(dict.fromkeys(name.partition(".")[0] for name in ranked))[:MOST_DATABASES]:
        answer = await session.ask({"profile": -1}, database)
        if isinstance(answer, Absent):
            return answer  # the others would be refused too, with a line in the log for each
        setting = {"level": answer.get("was"), "slow_ms": answer.get("slowms"), "sample_rate": answer.get("sampleRate")}
        found.append({"database": database, **setting})
    return found


async def backups(session: Session, totals: Any) -> Any:
    """Whether Percona Backup keeps its records here, and when it last finished one."""
    if isinstance(totals, Absent):
        return totals
    if "admin.pbmBackups" not in totals:
        return {"pbm": False, "last_done": None}
    command = {
        "find": "pbmBackups", "filter": {"status": "done"}, "sort": {"last_transition_ts": -1}, "limit": 1,
        "singleBatch": True, "projection": {"last_transition_ts": 1, "_id": 0},
    }  # fmt: skip
    rows = first_batch(await session.ask(command))
    return {"pbm": True, "last_done": reduced(rows, lambda found: _done(found[0]) if found else None)}


def _done(record: Mapping[str, Any]) -> dt.datetime:
    return dt.datetime.fromtimestamp(record["last_transition_ts"], dt.UTC)


async def routers(session: Session, status: Any) -> Any:
    """Every mongos that has registered itself with the cluster, removed ones too."""
    command = {
        "find": "mongos", "limit": MOST_ROUTERS, "batchSize": MOST_ROUTERS, "singleBatch": True,
        "projection": {"_id": 1, "ping": 1},
    }  # fmt: skip
    rows = first_batch(await session.ask(command, "config"))
    for answer in (rows, status):
        if isinstance(answer, Absent):
            return answer
    now = status.get("localTime")
    return reduced(
        rows,
        lambda found: [{"name": row["_id"], "seen_seconds_ago": (now - row["ping"]).total_seconds()} for row in found],
    )


async def shards(session: Session) -> Any:
    """How many bytes of the sharded collections each shard holds."""
    command = {
        "find": "collections", "limit": MOST_SHARDED, "batchSize": MOST_SHARDED, "singleBatch": True,
        "projection": {"_id": 1},
    }  # fmt: skip
    rows = first_batch(await session.ask(command, "config"))
    if isinstance(rows, Absent):
        return rows
    parts: list[Mapping[str, Any]] = []
    for name in (row.get("_id") for row in rows):
        database, _, collection = str(name).partition(".")
        if database == "config" or not collection:
            continue
        answer = await session.rows(collection, [{"$collStats": {"storageStats": {}}}, {"$project": _SHARD}], database)
        if isinstance(answer, Absent):
            return answer
        parts += answer
    return reduced(parts, _by_shard)


_SHARD = {"_id": 0, "shard": 1, "storageStats.size": 1}


def _by_shard(parts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    sizes: dict[str, int] = {}
    for part in parts:
        sizes[str(part["shard"])] = sizes.get(str(part["shard"]), 0) + int(part["storageStats"]["size"])
    return [{"name": name, "data_bytes": size} for name, size in sizes.items()]
