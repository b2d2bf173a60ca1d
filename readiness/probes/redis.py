"""Reads one Redis or Valkey server: two readings of INFO around the shared window, and what INFO does not tell."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from readiness.api import Context, ProbeError, RedisSettings, maybe, probe
from readiness.facts.base import Absent, absent
from readiness.facts.redis import IDLE, Deltas, Network, Ping, RedisFacts
from readiness.probes._accounts import redis_account
from readiness.probes.redis_aside import (
    Companion,
    anonymous_of,
    companions,
    greeting,
    handshake_of,
    network_of,
    node_of,
    provider_of,
    read_info,
)
from readiness.probes.redis_client import Client, Target, connect, parse_url
from readiness.probes.redis_cluster import (
    Primaries,
    deltas_of_each,
    described_shards,
    keyspace_of_all,
    primaries_of,
    summed,
)
from readiness.probes.redis_info import (
    Info,
    connections_of,
    deltas_of,
    keyspace_of,
    memory_of,
    now_of,
    p99_of,
    persistence_of,
    replication_of,
    server_of,
    totals_of,
)
from readiness.probes.redis_protocol import Refused
from readiness.probes.redis_replies import (
    PARAMETERS,
    SLOW_ENTRIES,
    clients_of,
    cluster_of,
    config_of,
    latency_of,
    slow_log_of,
)
from readiness.probes.redis_sample import sample_keys
from readiness.probes.redis_sentinel import masters_at, primary_behind, watching

PINGS = 10
MOST_CLIENTS = 5_000

# These answer the first PING where the server is there but cannot serve.
NOT_READY = {"LOADING", "MISCONF", "MASTERDOWN", "BUSY", "CLUSTERDOWN"}
_SHUT_OUT = {
    "NOAUTH": "the server asks for a password; put it into redis.url",
    "DENIED": "protected mode refuses connections from other hosts without a password",
    "MAXCLIENTS": "the server is at maxclients and takes no more connections",
}
_NO_DATA = "redis.url leads to a Sentinel, which holds no data, and to no single primary behind it"


@probe(needs="redis.url", windowed=True, drivers=("redis.asyncio",), account=redis_account)
async def read_redis(settings: RedisSettings, context: Context) -> RedisFacts:
    """Connects, reads what does not change, then the counters around the window, and the keys last.

    With `+ping +info` alone most facts are there; each command that the account may not run leaves its facts absent.

    Raises:
        ProbeError: the server cannot be reached, trusted or logged in to, or does not speak the protocol.
    """
    assert settings.url is not None  # the engine runs no probe whose key is missing
    target = parse_url(settings.url.get_secret_value(), context.limits)
    facts: dict[str, Any] = {
        "role": settings.role,
        "warm_keys": settings.warm_keys,
        "host": target.host or "unix",
        "port": target.port,
        "tls": target.tls,
        "authenticates": target.authenticates,
        "database": target.database,
        "network": await network_of(target),
        "provider": provider_of(target.host),
        "now": time.time(),
    }
    if target.tls:
        facts["handshake"] = await handshake_of(target)
    client = await connect(target)
    try:
        facts |= await _read(client, settings, context, facts["network"])
    finally:
        await client.close()
    return RedisFacts(**facts, commands_sent=client.sent, refused=tuple(client.refused))


async def _read(
    client: Client, settings: RedisSettings, context: Context, network: Network, *, follow: bool = True
) -> dict[str, Any]:
    facts: dict[str, Any] = {"not_ready": await _greet(client), "ping": await _ping(client)}
    try:
        info = await read_info(client)
    except ProbeError as error:
        if error.privilege is None:
            raise
        return facts | await _without_info(client, error)
    if isinstance(facts["not_ready"], Absent):
        facts["not_ready"] = "LOADING" if info.flag("loading") is True else ""
    if server_of(info).mode == "sentinel":
        masters = await masters_at(client)
        primary = primary_behind(client.target, network, masters)
        if primary is None or not follow:
            return facts | await _sentinel(client, info, masters)
        return await _follow(primary, settings, context, network) | {"masters": masters}
    facts |= await _standing(client, info)
    facts["masters"] = await watching(client.target, network, settings.sentinels, facts["clients"])
    facts["provider"] = provider_of(client.target.host, info.fields.get("os", ""))
    if client.target.authenticates:
        facts["anonymous"] = await anonymous_of(client.target)
    else:
        facts["anonymous"] = "open"  # this very connection has no credentials, and may run INFO
    replication = replication_of(info)
    replicas = () if isinstance(replication, Absent) else maybe(lambda: replication.replicas) or ()
    fellows = await companions(client.target, network, [each.address for each in replicas])
    readable = [each for each in fellows if isinstance(each, Companion)]
    primaries = await primaries_of(client, network, facts["cluster"], info)
    try:
        counted = await _window(client, context, readable, primaries)
        facts |= described(counted.info) | _rates(counted.deltas)
        facts["window"], facts["keyspace"] = counted.deltas, keyspace_of_all([counted.info, *counted.others])
        facts["nodes"] = tuple(map(node_of, [*fellows, *primaries.others, *primaries.unread]))
        own, *rest = zip([counted.info, *counted.others], counted.parts, strict=True)
        facts["cluster"] = described_shards(facts["cluster"], primaries, own, rest)
        if settings.warm_keys:
            facts["sample"] = await _sample(client, settings.warm_keys, facts, readable, primaries)
    finally:
        await primaries.close()
        for each in readable:
            await each.client.close()
    return facts


async def _follow(primary: Target, settings: RedisSettings, context: Context, network: Network) -> dict[str, Any]:
    """The primary that a Sentinel at redis.url names, read in the Sentinel's place."""
    client = await connect(primary)
    try:
        facts = await _read(client, settings, context, network, follow=False)
    finally:
        await client.close()
    return facts | {"host": primary.host, "port": primary.port}


async def _greet(client: Client) -> Any:
    """The code with which a server that cannot serve refused the first PING, an empty string, or an absent fact."""
    answer = await client.ask("PING")
    if isinstance(answer, Refused):
        if answer.code in _SHUT_OUT:
            raise ProbeError(f"{client.target.shown}: {_SHUT_OUT[answer.code]}")
        return answer.code if answer.code in NOT_READY else answer.fact
    if answer != "PONG":
        raise ProbeError(f"{client.target.shown}: the answer to PING is not PONG; is this a Redis server?")
    return ""


async def _ping(client: Client) -> Any:
    """Round trips one after the other; the greeting was the first, which is not counted."""
    seconds = []
    for _ in range(PINGS):
        began = time.perf_counter()
        answer = await client.ask("PING")
        seconds.append(time.perf_counter() - began)
        if isinstance(answer, Refused):
            return answer.fact
    return Ping(median_ms=1000 * statistics.median(seconds), max_ms=1000 * max(seconds), count=len(seconds))


async def _standing(client: Client, info: Info) -> dict[str, Any]:
    """What needs no window, in one round trip."""
    clustered = info.flag("cluster_enabled") is True
    several = _asks_for_several(info)
    commands: list[tuple[str, ...]] = [("CONFIG", "GET", *(PARAMETERS if several else PARAMETERS[:1]))]
    commands += [("SLOWLOG", "GET", str(SLOW_ENTRIES)), ("LATENCY", "LATEST")]
    crowded = (maybe(lambda: connections_of(info).open) or 0) > MOST_CLIENTS
    commands += [] if crowded else [("CLIENT", "LIST")]
    commands += [("CLUSTER", "INFO"), ("CLUSTER", "SHARDS")] if clustered else []
    replies = dict(zip([" ".join(each[:2]) for each in commands], await client.pipeline(commands), strict=True))
    parameters = [replies["CONFIG GET"]]
    if not several and not isinstance(parameters[0], Refused):
        parameters += await client.pipeline([("CONFIG", "GET", name) for name in PARAMETERS[1:]])
    config = config_of(parameters)
    threshold = None if isinstance(config, Absent) else maybe(lambda: config.slowlog_threshold_us)
    return {
        "config": config,
        "slow_log": slow_log_of(replies["SLOWLOG GET"], threshold),
        "latency_events": latency_of(replies["LATENCY LATEST"]),
        "clients": absent(f"more than {MOST_CLIENTS:,} connections: not listed")
        if crowded
        else clients_of(replies["CLIENT LIST"]),
        "cluster": cluster_of(replies["CLUSTER INFO"], replies["CLUSTER SHARDS"], client.target.tls)
        if clustered
        else absent("cluster mode is off"),
    }


def _asks_for_several(info: Info) -> bool:
    """CONFIG GET takes several parameters since Redis 7.0; every Valkey does."""
    major = info.fields.get("redis_version", "").partition(".")[0]
    return major.isdecimal() and len(major) < 4 and int(major) >= 7


@dataclass(frozen=True, slots=True)
class _Counted:
    """The window: of the whole, of each primary with the connected server first, and their last readings."""

    deltas: Deltas
    parts: list[Deltas]
    info: Info
    others: list[Info]


async def _window(client: Client, context: Context, replicas: Sequence[Companion], primaries: Primaries) -> _Counted:
    """The counters of the server, its replicas and the other primaries before and after the shared window."""
    opened = await context.window.opened()
    # Read once more only now: what other probes caused while they connected must not count.
    began = time.monotonic()
    before, *earlier = await _readings(client, [*replicas, *primaries.others])
    await context.window.closed(opened)
    after, *later = await _readings(client, [*replicas, *primaries.others])
    elapsed = time.monotonic() - began
    first, last = now_of(before), now_of(after)
    seconds = last - first if first is not None and last is not None and last > first else elapsed
    # INFO counts itself only after it has answered, so of the two readings one is inside.
    count = len(replicas)
    own = deltas_of(before, after, seconds, zip(earlier[:count], later[:count], strict=True), own=1)
    parts = [own, *deltas_of_each(earlier[count:], later[count:], seconds)]
    return _Counted(summed(parts), parts, after, later[count:])


async def _readings(client: Client, others: Sequence[Companion]) -> list[Info]:
    return list(await asyncio.gather(read_info(client), *(each.read() for each in others)))


def _rates(deltas: Deltas) -> dict[str, Any]:
    lookups = maybe(lambda: deltas.hits + deltas.misses)
    if lookups is None:
        hit_rate = lookups_fact = absent("INFO has no keyspace_hits or keyspace_misses, or they were reset")
    else:
        lookups_fact = lookups
        hit_rate = deltas.hits / lookups if lookups >= IDLE else absent(f"fewer than {IDLE} lookups in the window")
    return {
        "hit_rate": hit_rate,
        "lookups": lookups_fact,
        "error_rate": _error_rate(deltas),
        "average_us": _average(deltas),
    }


def _average(deltas: Deltas) -> Any:
    commands = maybe(lambda: deltas.commands_by_name)
    if commands is None:
        return absent("INFO has no section Commandstats, or it was reset")
    others = [each for each in commands if each.name not in ("info", "ping")]
    calls = sum(each.calls for each in others)
    return sum(each.microseconds for each in others) / calls if calls else absent("no commands in the window")


def _error_rate(deltas: Deltas) -> Any:
    replies, commands = maybe(lambda: deltas.error_replies), maybe(lambda: deltas.commands)
    if replies is None or commands is None:
        return absent("INFO has no total_error_replies (Redis before 6.2), or it was reset")
    # A cluster's redirections tell the client where to go; nothing failed.
    redirected = sum((maybe(lambda: deltas.errors) or {}).get(code, 0) for code in ("MOVED", "ASK"))
    attempted = commands + replies  # a rejected command is not counted as processed
    return max(0, replies - redirected) / attempted if attempted else absent("no commands in the window")


def described(info: Info) -> dict[str, Any]:
    """The facts that one reading of INFO holds."""
    now = now_of(info)
    return {
        "server": server_of(info),
        "memory": memory_of(info),
        "connections": connections_of(info),
        "persistence": persistence_of(info),
        "replication": replication_of(info),
        "keyspace": keyspace_of(info),
        "totals": totals_of(info),
        "p99_us": p99_of(info),
        "cluster_enabled": info.flag("cluster_enabled"),
    } | ({} if now is None else {"now": now})


async def _without_info(client: Client, error: ProbeError) -> dict[str, Any]:
    """An account without INFO: what is left, so that every check can name the right that it lacks."""
    refused = absent(error.reason.partition(": ")[2], error.privilege)
    standing = await _standing(client, Info({}, frozenset()))
    names = (
        "hit_rate",
        "lookups",
        "error_rate",
        "average_us",
        "window",
        "nodes",
        "cluster",
        *described(Info({}, frozenset())),
    )
    anonymous = await (anonymous_of(client.target) if client.target.authenticates else greeting(client))
    return standing | {"anonymous": anonymous} | dict.fromkeys(names, refused)


async def _sentinel(client: Client, info: Info, masters: Any) -> dict[str, Any]:
    """A Sentinel knows about failover and about nothing else."""
    known: dict[str, Any] = {"server": server_of(info), "masters": masters, "cluster_enabled": False}
    learned_without_data = {"not_ready", "ping", "handshake", "anonymous", "commands_sent", "refused"}
    missing = {
        name: absent(_NO_DATA)
        for name, declared in RedisFacts.model_fields.items()
        if isinstance(declared.default, Absent) and name not in learned_without_data | known.keys()
    }
    known["anonymous"] = await anonymous_of(client.target) if client.target.authenticates else "open"
    return missing | known


async def _sample(
    client: Client,
    wanted: dict[str, int],
    facts: dict[str, Any],
    replicas: Sequence[Companion],
    primaries: Primaries,
) -> Any:
    """The key sample: of all primaries of a cluster, or else of a replica where one can be read.

    Scanning a primary deletes keys that have expired; a replica of a cluster refuses to look keys up.
    """
    keys = _keys_in(facts["keyspace"], client.target.database)
    clustered = not isinstance(facts["cluster"], Absent)
    try:
        if replicas and not clustered:
            return await sample_keys([replicas[0].client], wanted, keys, on_replica=True)
        return await sample_keys([client, *(each.client for each in primaries.others)], wanted, keys, on_replica=False)
    except ProbeError as error:
        return absent(f"the keys could not be sampled ({error.reason})")


def _keys_in(keyspace: Any, index: int) -> int | None:
    if isinstance(keyspace, Absent):
        return None
    database = next((each for each in keyspace if each.index == index), None)
    return 0 if database is None else maybe(lambda: database.keys)
