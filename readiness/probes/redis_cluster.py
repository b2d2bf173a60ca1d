"""The shards of a cluster: every primary read on a connection of its own, and their counters added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from readiness.facts.base import Absent, absent, maybe
from readiness.facts.redis import CommandTime, Database, Deltas, Network, Node, Shard
from readiness.probes.redis_aside import Companion, companions
from readiness.probes.redis_client import Client
from readiness.probes.redis_info import Info, deltas_of, keyspace_of, memory_of


@dataclass(slots=True)
class Primaries:
    """The primaries of a cluster besides the connected server, and by which address it is itself known there."""

    others: list[Companion] = field(default_factory=list)
    unread: list[Node] = field(default_factory=list)
    own: str = ""

    async def close(self) -> None:
        for each in self.others:
            await each.client.close()


async def primaries_of(client: Client, network: Network, cluster: Any, info: Info) -> Primaries:
    """Connects to the first primaries that CLUSTER SHARDS names, the connected one left out."""
    found = Primaries()
    shards = () if isinstance(cluster, Absent) else maybe(lambda: cluster.shards) or ()
    addresses = [shard.address for shard in shards if shard.address]
    for each in await companions(client.target, network, addresses, client.target.limits.shards):
        if isinstance(each, Node):
            found.unread.append(each)
        elif each.info.fields.get("run_id") == info.fields.get("run_id"):
            found.own = each.address
            await each.client.close()
        else:
            each.essential = True
            found.others.append(each)
    return found


def described_shards(
    cluster: Any, primaries: Primaries, own: tuple[Info, Deltas], others: Sequence[tuple[Info, Deltas]]
) -> Any:
    """The cluster with what each primary holds and did in the window."""
    shards = None if isinstance(cluster, Absent) else maybe(lambda: cluster.shards)
    if shards is None:
        return cluster
    read = {each.address: part for each, part in zip(primaries.others, others, strict=True)}
    read[primaries.own] = own
    return cluster.model_copy(update={"shards": tuple(_loaded(shard, read.get(shard.address)) for shard in shards)})


def _loaded(shard: Shard, part: tuple[Info, Deltas] | None) -> Shard:
    if part is None:
        return shard
    info, deltas = part
    commands, keyspace = maybe(lambda: deltas.commands), keyspace_of(info)
    keys = None if isinstance(keyspace, Absent) else sum(maybe(lambda each=each: each.keys) or 0 for each in keyspace)  # type: ignore[misc]
    used = maybe(lambda: memory_of(info).used)
    learned = {"keys": keys, "used": used, "commands": commands}
    return shard.model_copy(update={name: value for name, value in learned.items() if value is not None})


def deltas_of_each(earlier: Sequence[Info], later: Sequence[Info], seconds: float) -> list[Deltas]:
    return [deltas_of(before, after, seconds, (), own=1) for before, after in zip(earlier, later, strict=True)]


def summed(parts: Sequence[Deltas]) -> Deltas:
    """The whole cluster's window; a figure that one of its primaries does not give is absent."""
    first, *rest = parts
    if not rest:
        return first
    total: dict[str, Any] = {"seconds": first.seconds}
    for name in Deltas.model_fields.keys() - {"seconds"}:
        values = [part.__dict__[name] for part in parts]
        missing = next((value for value in values if isinstance(value, Absent)), None)
        total[name] = missing if missing is not None else _add(name, values)
    return Deltas(**total)


def _add(name: str, values: list[Any]) -> Any:
    if name == "errors":
        errors: Counter[str] = Counter()
        for value in values:
            errors.update(value)
        return dict(errors)
    if name == "commands_by_name":
        calls: Counter[str] = Counter()
        micros: Counter[str] = Counter()
        for each in (each for value in values for each in value):
            calls[each.name] += each.calls
            micros[each.name] += each.microseconds
        return tuple(CommandTime(name=each, calls=calls[each], microseconds=micros[each]) for each in calls)
    return sum(values)


def keyspace_of_all(infos: Sequence[Info]) -> Any:
    """Keys by database over all primaries. The average time to live is that of the connected one."""
    first, *rest = [keyspace_of(info) for info in infos]
    if not rest or isinstance(first, Absent):
        return first
    databases: dict[int, Database] = {each.index: each for each in first}
    for part in rest:
        if isinstance(part, Absent):
            return absent("a primary of the cluster does not report its keyspace")
        for each in part:
            known = databases.get(each.index)
            databases[each.index] = each if known is None else known.model_copy(update=_sums(known, each))
    return tuple(databases[index] for index in sorted(databases))


def _sums(one: Database, other: Database) -> dict[str, Any]:
    pairs = {name: (one.__dict__[name], other.__dict__[name]) for name in ("keys", "expires")}
    return {
        name: next((each for each in pair if isinstance(each, Absent)), None) or sum(pair)
        for name, pair in pairs.items()
    }
