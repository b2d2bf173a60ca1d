"""INFO as facts: a tolerant reading of its text, and the difference between two readings."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from readiness.facts.base import Absent, absent, maybe
from readiness.facts.redis import (
    CommandTime,
    Connections,
    Database,
    Deltas,
    Memory,
    Persistence,
    Replica,
    Replication,
    Server,
    Totals,
)

INFO_BYTES = 1_000_000
INFO_LINES = 10_000
_MOST = 500  # commands, databases, replicas
_LARGEST = 2**63

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Info:
    """The fields of one reading and the sections it had, both in lower case."""

    fields: Mapping[str, str]
    sections: frozenset[str]

    def text(self, name: str) -> Any:
        return self.fields.get(name, absent(f"INFO has no {name}"))

    def integer(self, name: str) -> Any:
        return self._parsed(name, _integer)

    def number(self, name: str) -> Any:
        return self._parsed(name, _number)

    def flag(self, name: str) -> Any:
        return self._parsed(name, lambda text: {"0": False, "1": True}.get(text))

    def prefixed(self, prefix: str) -> dict[str, dict[str, str]]:
        """`name -> {key: value}` of the lines `<prefix>name:key=value,...`."""
        found = ((name.removeprefix(prefix), text) for name, text in self.fields.items() if name.startswith(prefix))
        return {name[:64]: pairs(text) for name, text in list(found)[:_MOST]}

    def _parsed(self, name: str, parse: Callable[[str], Any]) -> Any:
        if name not in self.fields:
            return absent(f"INFO has no {name}")
        value = parse(self.fields[name])
        return absent(f"INFO has an unreadable {name}") if value is None else value


def parse_info(text: str) -> Info:
    """Reads `name:value` lines under `# Section` headings, and ignores everything else."""
    fields: dict[str, str] = {}
    sections: set[str] = set()
    for line in text.splitlines()[:INFO_LINES]:
        if line.startswith("#"):
            sections.add(line.lstrip("# ").strip().lower())
        else:
            name, colon, value = line.partition(":")
            if colon:
                fields.setdefault(name.strip().lower(), value.strip()[:4096])
    return Info(fields, frozenset(sections))


def pairs(text: str) -> dict[str, str]:
    """`{"keys": "3", "expires": "1"}` of `keys=3,expires=1`."""
    return {key: value for key, _, value in (part.partition("=") for part in text.split(",")) if value}


def _integer(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?[0-9]{1,19}", text) and abs(int(text)) < _LARGEST else None


def _number(text: str) -> float | None:
    try:
        value = float(text[:40])
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _in(part: Mapping[str, str], key: str) -> Any:
    value = _integer(part.get(key, ""))
    return absent(f"INFO has no {key}") if value is None else value


def now_of(info: Info) -> float | None:
    micros = info.integer("server_time_usec")
    return None if isinstance(micros, Absent) else micros / 1e6


def server_of(info: Info) -> Server:
    name, version = "redis", info.text("redis_version")
    for other in ("valkey", "dragonfly", "keydb"):
        # Valkey goes on reporting redis_version 7.2.4, whatever its own version is.
        if f"{other}_version" in info.fields or info.fields.get("server_name") == other:
            name, version = other, info.text(f"{other}_version")
    executable = info.fields.get("executable", "")
    if name == "redis" and "keydb" in executable.rpartition("/")[2]:
        name = "keydb"
    mode = info.fields.get("server_mode") or info.fields.get("redis_mode", "standalone")
    return Server(
        name=name,
        version=version,
        mode=mode if mode in ("sentinel", "cluster") else "standalone",
        os=info.text("os"),
        executable=info.text("executable"),
        allocator=info.text("mem_allocator"),
        uptime_seconds=info.integer("uptime_in_seconds"),
    )


def memory_of(info: Info) -> Memory:
    return Memory(
        used=info.integer("used_memory"),
        limit=info.integer("maxmemory"),
        policy=info.text("maxmemory_policy"),
        not_evictable=info.integer("mem_not_counted_for_evict"),
        resident=info.integer("used_memory_rss"),
        fragmentation_ratio=info.number("mem_fragmentation_ratio"),
        fragmentation_bytes=info.integer("mem_fragmentation_bytes"),
        host_total=info.integer("total_system_memory"),
        over_limit_ms=info.integer("current_eviction_exceeded_time"),
    )


def connections_of(info: Info) -> Connections:
    return Connections(
        open=info.integer("connected_clients"),
        limit=info.integer("maxclients"),
        blocked=info.integer("blocked_clients"),
        largest_output_buffer=info.integer("client_recent_max_output_buffer"),
    )


def persistence_of(info: Info) -> Persistence:
    activities = {
        "loading": info.flag("loading"),
        "async_loading": info.flag("async_loading"),
        "rdb_bgsave": info.flag("rdb_bgsave_in_progress"),
        "aof_rewrite": info.flag("aof_rewrite_in_progress"),
    }
    return Persistence(
        aof_enabled=info.flag("aof_enabled"),
        rdb_last_save=info.integer("rdb_last_save_time"),
        rdb_changes=info.integer("rdb_changes_since_last_save"),
        rdb_state=info.text("rdb_last_bgsave_status"),
        aof_write_state=info.text("aof_last_write_status"),
        aof_rewrite_state=info.text("aof_last_bgrewrite_status"),
        busy=activities["loading"]
        if isinstance(activities["loading"], Absent)
        else tuple(name for name, going_on in activities.items() if going_on is True),
    )


def replication_of(info: Info) -> Replication | Absent:
    role = info.fields.get("role")
    if role not in ("master", "slave"):
        missing: Absent = absent("INFO has no role")
        return missing
    listed = [pairs(text) for name, text in info.fields.items() if re.fullmatch(r"slave[0-9]+", name) and "ip=" in text]
    replicas = tuple(
        Replica(
            address=f"{each.get('ip', '')}:{each.get('port', '')}"[:100],
            state=each.get("state", absent("INFO has no state of this replica")),
            lag=_in(each, "lag"),
            offset=_in(each, "offset"),
        )
        for each in listed[:_MOST]
    )
    return Replication(
        role=role,
        offset=info.integer("master_repl_offset"),
        replicas=replicas if "connected_slaves" in info.fields else absent("INFO has no connected_slaves"),
        link=info.text("master_link_status"),
        link_idle_seconds=info.integer("master_last_io_seconds_ago"),
        syncing=info.flag("master_sync_in_progress"),
    )


def keyspace_of(info: Info) -> tuple[Database, ...] | Absent:
    if "keyspace" not in info.sections:
        missing: Absent = absent("INFO has no section Keyspace")
        return missing
    databases = {name: part for name, part in info.prefixed("db").items() if name.isdecimal() and len(name) < 6}
    return tuple(
        Database(
            index=int(name), keys=_in(part, "keys"), expires=_in(part, "expires"), average_ttl_ms=_in(part, "avg_ttl")
        )
        for name, part in databases.items()
    )


def errors_of(info: Info) -> dict[str, int] | Absent:
    """Error replies by code since the start; servers before 6.2 do not count them."""
    if "errorstats" not in info.sections:
        missing: Absent = absent("INFO has no section Errorstats")
        return missing
    counts = ((name.upper(), _in(part, "count")) for name, part in info.prefixed("errorstat_").items())
    return {name: count for name, count in counts if isinstance(count, int)}


def calls_of(info: Info) -> dict[str, tuple[int, int]] | Absent:
    """`{command: (calls, microseconds)}` since the start."""
    if "commandstats" not in info.sections:
        missing: Absent = absent("INFO has no section Commandstats")
        return missing
    read = ((name, _in(part, "calls"), _in(part, "usec")) for name, part in info.prefixed("cmdstat_").items())
    return {name: (calls, usec) for name, calls, usec in read if isinstance(calls, int) and isinstance(usec, int)}


def totals_of(info: Info) -> Totals:
    calls = calls_of(info)
    return Totals(
        hits=info.integer("keyspace_hits"),
        misses=info.integer("keyspace_misses"),
        evicted=info.integer("evicted_keys"),
        rejected_connections=info.integer("rejected_connections"),
        latest_fork_us=info.integer("latest_fork_usec"),
        errors=errors_of(info),
        calls=calls if isinstance(calls, Absent) else {name: count for name, (count, _) in calls.items()},
    )


def p99_of(info: Info) -> dict[str, float] | Absent:
    if "latencystats" not in info.sections:
        missing: Absent = absent("INFO has no section Latencystats")
        return missing
    read = {name: _number(part.get("p99", "")) for name, part in info.prefixed("latency_percentiles_usec_").items()}
    return {name: value for name, value in read.items() if value is not None}


def deltas_of(before: Info, after: Info, seconds: float, nodes: Iterable[tuple[Info, Info]], own: int) -> Deltas:
    """What happened between two readings, less `own` commands.

    `nodes` are the readings of replicas, whose look-ups count too. Every figure is absent where the server restarted
    or its counters were reset in between.
    """
    restarted = _restarted(before, after)

    def delta(name: str, less: int = 0) -> Any:
        return _difference(before, after, name, restarted, less)

    def lookups(name: str) -> Any:
        parts = [delta(name), *(_difference(one, other, name, _restarted(one, other), 0) for one, other in nodes)]
        return next((part for part in parts if isinstance(part, Absent)), None) or sum(parts)

    nodes = list(nodes)
    denied = [name for name in after.fields if name.startswith("acl_access_denied_")]
    return Deltas(
        seconds=seconds,
        commands=delta("total_commands_processed", own),
        hits=lookups("keyspace_hits"),
        misses=lookups("keyspace_misses"),
        evicted=delta("evicted_keys"),
        expired=delta("expired_keys"),
        connections=delta("total_connections_received"),
        rejected_connections=delta("rejected_connections"),
        error_replies=delta("total_error_replies"),
        errors=_errors(before, after, restarted),
        full_syncs=delta("sync_full"),
        failed_partial_syncs=delta("sync_partial_err"),
        acl_denied=_sum([delta(name) for name in denied]) if denied else _denials(before, after, restarted),
        output_limit_disconnections=delta("client_output_buffer_limit_disconnections"),
        commands_by_name=_commands(before, after, restarted),
    )


def _restarted(before: Info, after: Info) -> bool:
    started = maybe(lambda: server_of(before).uptime_seconds), maybe(lambda: server_of(after).uptime_seconds)
    return before.text("run_id") != after.text("run_id") or (started[0] or 0) > (started[1] or 0)


_RESET: Absent = absent("the server restarted, or its counters were reset, during the window")


def _difference(before: Info, after: Info, name: str, restarted: bool, less: int) -> Any:
    first, second = before.integer(name), after.integer(name)
    for value in (first, second):
        if isinstance(value, Absent):
            return value
    return _RESET if restarted or second < first else max(0, second - first - less)


def _by_name(before: Any, after: Any, restarted: bool, difference: Callable[[T, T], T], zero: T) -> Any:
    for part in (before, after):
        if isinstance(part, Absent):
            return part
    if restarted:
        return _RESET
    return {name: difference(before.get(name, zero), value) for name, value in after.items()}


def _commands(before: Info, after: Info, restarted: bool) -> Any:
    changes = _by_name(
        calls_of(before), calls_of(after), restarted, lambda old, new: (new[0] - old[0], new[1] - old[1]), (0, 0)
    )
    if isinstance(changes, Absent):
        return changes
    return tuple(
        CommandTime(name=name, calls=calls, microseconds=micros)
        for name, (calls, micros) in changes.items()
        if calls > 0 and micros >= 0
    )


def _errors(before: Info, after: Info, restarted: bool) -> Any:
    changes = _by_name(errors_of(before), errors_of(after), restarted, lambda old, new: new - old, 0)
    return changes if isinstance(changes, Absent) else {code: count for code, count in changes.items() if count > 0}


def _denials(before: Info, after: Info, restarted: bool) -> Any:
    changes = _errors(before, after, restarted)
    if isinstance(changes, Absent):
        return changes
    return sum(changes.get(code, 0) for code in ("NOPERM", "WRONGPASS"))


def _sum(values: list[Any]) -> Any:
    return next((value for value in values if isinstance(value, Absent)), None) or sum(values)
