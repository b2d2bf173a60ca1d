"""Replies other than INFO as facts. Each reading keeps what a check needs and drops user data on arrival."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from readiness.facts.base import absent
from readiness.facts.redis import ClientGroup, Clients, Cluster, Config, LatencyEvent, Master, Shard, SlowCommand
from readiness.probes.redis_info import parse_info
from readiness.probes.redis_protocol import Refused, Reply

SLOW_ENTRIES = 128
_MOST_GROUPS = 200
_TEXT = 64

# The parameters that are asked for by name. Never a pattern: `*` would return passwords.
PARAMETERS = (
    "save",
    "appendfsync",
    "bind",
    "protected-mode",
    "tcp-keepalive",
    "timeout",
    "slowlog-log-slower-than",
    "latency-monitor-threshold",
    "min-replicas-to-write",
    "min-replicas-max-lag",
)


def config_of(replies: list[Reply]) -> Any:
    """The parameters of one or several CONFIG GET replies, or the absent fact that the refusal amounts to."""
    found: dict[str, str] = {}
    for reply in replies:
        if isinstance(reply, Refused):
            return reply.fact
        found |= {str(name): str(value) for name, value in _couples(reply)}

    def text(name: str) -> Any:
        return found.get(name, absent(f"CONFIG GET knows no {name}"))

    return Config(
        save=text("save"),
        appendfsync=text("appendfsync"),
        bind=text("bind"),
        protected_mode=text("protected-mode"),
        tcp_keepalive=text("tcp-keepalive"),
        timeout=text("timeout"),
        slowlog_threshold_us=text("slowlog-log-slower-than"),
        latency_threshold_ms=text("latency-monitor-threshold"),
        min_replicas=text("min-replicas-to-write"),
        min_replicas_max_lag=text("min-replicas-max-lag"),
    )


def clients_of(reply: Reply) -> Any:
    """CLIENT LIST, grouped, without the connection that asked."""
    if isinstance(reply, Refused):
        return reply.fact
    if not isinstance(reply, str):
        return absent("CLIENT LIST has an unexpected shape")
    lines = [dict(_fields(line)) for line in reply.splitlines()]
    asking = [index for index, line in enumerate(lines) if line.get("cmd", "").startswith("client")]
    if asking:
        del lines[asking[-1]]
    groups: Counter[tuple[str, str, str, str]] = Counter()
    watching: set[str] = set()
    largest = 0
    for line in lines:
        name, flags = line.get("name", "")[:_TEXT], line.get("flags", "")
        kind = _kind(name, flags)
        if sentinel := re.match(r"sentinel-([0-9a-f]{8})-", name):
            watching.add(sentinel[1])
            name = "sentinel"
        library = line.get("lib-name", "")[:_TEXT]
        groups[(_host(line.get("addr", "")), name, library, kind)] += 1
        if kind != "replica":
            largest = max(largest, int(omem) if (omem := line.get("omem", "")).isdecimal() and len(omem) < 19 else 0)
    return Clients(
        groups=tuple(
            ClientGroup.model_validate({"host": host, "name": name, "library": library, "kind": kind, "count": count})
            for (host, name, library, kind), count in groups.most_common(_MOST_GROUPS)
        ),
        sentinels=len(watching),
        largest_output_memory=largest,
    )


def _fields(line: str) -> Iterator[tuple[str, str]]:
    for part in line.split(" "):
        key, equals, value = part.partition("=")
        if equals:
            yield key, value


def _kind(name: str, flags: str) -> str:
    if "S" in flags:
        return "replica"
    if "M" in flags:
        return "primary"
    if re.match(r"sentinel-[0-9a-f]{8}-", name):
        return "sentinel"
    return "exporter" if name in ("redis_exporter", "valkey_exporter") else "client"


def _host(address: str) -> str:
    if address.startswith("/"):  # a Unix socket: /path:0
        return "unix"
    return address.rpartition(":")[0].strip("[]")[:_TEXT] or "unknown"


def slow_log_of(reply: Reply, threshold: int | None) -> Any:
    """SLOWLOG GET; with a negative threshold nothing is recorded, so an empty log says nothing."""
    if isinstance(reply, Refused):
        return reply.fact
    if threshold is not None and threshold < 0:
        return absent("the slow log is off (slowlog-log-slower-than is negative)")
    entries = []
    for entry in reply if isinstance(reply, list) else []:
        match entry:
            case [int(id), int(time), int(micros), [str(command), *_], *_]:
                name = re.sub(r"[^A-Z0-9._|-]", "", command.upper())[:32]
                entries.append(SlowCommand(id=id, time=time, microseconds=micros, command=name or "?"))
            case _:
                return absent("SLOWLOG GET has an unexpected shape")
    return tuple(entries)


def latency_of(reply: Reply) -> Any:
    if isinstance(reply, Refused):
        return reply.fact
    events = []
    for entry in reply if isinstance(reply, list) else []:
        match entry:
            case [str(name), int(time), int(latest), int(highest), *_]:
                events.append(LatencyEvent(name=name[:_TEXT], time=time, latest_ms=latest, max_ms=highest))
            case _:
                return absent("LATENCY LATEST has an unexpected shape")
    return tuple(events)


def cluster_of(state: Reply, shards: Reply, tls: bool = False) -> Any:
    """CLUSTER INFO and CLUSTER SHARDS. `tls` chooses which of a primary's ports is its address."""
    if isinstance(state, Refused):
        return state.fact
    info = parse_info(state if isinstance(state, str) else "")
    return Cluster(
        state=info.text("cluster_state"),
        slots_assigned=info.integer("cluster_slots_assigned"),
        slots_ok=info.integer("cluster_slots_ok"),
        slots_pfail=info.integer("cluster_slots_pfail"),
        slots_fail=info.integer("cluster_slots_fail"),
        shards=_shards(shards, tls),
    )


def _shards(reply: Reply, tls: bool) -> Any:
    if isinstance(reply, Refused):
        return reply.fact
    shards = []
    for each in reply if isinstance(reply, list) else []:
        part = dict(_couples(each))
        listed = part.get("nodes")
        nodes = [
            dict(_couples(node)) for node in (listed if isinstance(listed, list) else []) if isinstance(node, list)
        ]
        replicas = [node for node in nodes if node.get("role") in ("replica", "slave")]
        primaries = [node for node in nodes if node.get("role") == "master"]
        slots = part.get("slots")
        if not slots and not replicas:
            continue  # a node that joined and serves nothing yet
        name = "-".join(str(slot) for slot in slots[:2]) if isinstance(slots, list) and slots else "no slots"
        shards.append(
            Shard(
                name=f"slots {name}",
                replicas=len(replicas),
                replicas_online=sum(node.get("health") == "online" for node in replicas),
                primary_online=any(node.get("health") == "online" for node in primaries),
                address=next((_address(node, tls) for node in primaries if node.get("health") == "online"), ""),
            )
        )
    return tuple(shards) if shards else absent("CLUSTER SHARDS names no shard")


def _address(node: dict[str, Any], tls: bool) -> str:
    port = node.get("tls-port" if tls else "port") or node.get("port")
    return f"{node.get('ip')}:{port}"[:100]


def masters_of(reply: Reply) -> Any:
    """SENTINEL MASTERS, as far as it describes them; the quorum is another question."""
    if isinstance(reply, Refused):
        return reply.fact
    masters = []
    for each in reply if isinstance(reply, list) else []:
        part = {key: str(value) for key, value in _couples(each)}
        others = part.get("num-other-sentinels", "")
        masters.append(
            Master(
                name=part.get("name", "")[:_TEXT],
                address=f"{part['ip']}:{part['port']}"[:100] if {"ip", "port"} <= part.keys() else absent("not listed"),
                flags=part.get("flags", absent("not listed")),
                replicas=part.get("num-slaves", absent("not listed")),
                sentinels=int(others) + 1 if others.isdecimal() and len(others) < 6 else absent("not listed"),
                quorum=part.get("quorum", absent("not listed")),
            )
        )
    return tuple(masters[:20])


def quorum_of(reply: Reply) -> Any:
    """SENTINEL CKQUORUM: OK, or an error with the code NOQUORUM."""
    if isinstance(reply, Refused):
        return False if reply.code == "NOQUORUM" else reply.fact
    return isinstance(reply, str) and reply.startswith("OK")


def _couples(reply: Reply) -> list[tuple[str, Any]]:
    """`[("a", 1), ...]` of a flat list `["a", 1, ...]`."""
    if not isinstance(reply, list):
        return []
    return [(str(name), value) for name, value in zip(reply[::2], reply[1::2], strict=False)]
