"""Clusters: every slot served, every shard with a replica, no shard that carries the others' load."""

from __future__ import annotations

from functools import partial
from typing import Any

from readiness.api import Finding, check, failed, maybe, not_applicable, passed, warn
from readiness.facts.redis import RedisFacts, Shard

from ._common import expendable, size


@check(
    id="caching.cluster.slots",
    component="caching",
    severity="critical",
    requires="caching.reach.connect",
    privilege="+cluster|info",
    fix="redis-cli --cluster fix HOST:6379",
    effort="hours",
    reference="https://valkey.io/topics/cluster-spec/",
    verify="redis-cli -u $REDIS_URL CLUSTER INFO",
    verdicts=("pass", "fail"),
)
def cluster_slots(redis: RedisFacts) -> Finding:
    """The cluster serves every slot.

    A key whose slot nobody serves can be neither read nor written; by default the whole cluster then refuses.
    """
    if not redis.cluster_enabled:
        return not_applicable("cluster mode is off", cluster_enabled=0)
    cluster = redis.cluster
    more: dict[str, Any] = {
        "observed": f"{cluster.state}, {cluster.slots_ok:,} of {cluster.slots_assigned:,} assigned slots ok",
        "expected": "ok, 16,384 slots",
    }
    if cluster.state == "ok" and cluster.slots_ok == 16_384:
        return passed("all 16,384 slots are served", **more)
    return failed(f"cluster state {cluster.state}, {cluster.slots_ok:,} of 16,384 slots served", **more)


@check(
    id="caching.cluster.replicas_per_shard",
    component="caching",
    severity="high",
    requires="caching.reach.connect",
    privilege="+cluster|shards",
    fix="redis-cli --cluster add-node NEW:6379 HOST:6379 --cluster-slave",
    effort="hours",
    reference="https://valkey.io/topics/cluster-spec/",
    verify="redis-cli -u $REDIS_URL CLUSTER SHARDS",
)
def shard_replicas(redis: RedisFacts) -> Finding:
    """Every shard of the cluster has a live replica.

    The loss of a shard without one takes its share of the keys away, and by default stops the whole cluster.
    """
    if not redis.cluster_enabled:
        return not_applicable("cluster mode is off", cluster_enabled=0)
    shards = redis.cluster.shards
    bare = [shard.name for shard in shards if not shard.replicas_online]
    more: dict[str, Any] = {
        "observed": f"{len(shards) - len(bare)} of {len(shards)} shards have a live replica",
        "expected": "all",
        "evidence": {"without": bare[:20]},
    }
    if not bare:
        return passed(f"each of {len(shards)} shards has a live replica", **more)
    text = f"{len(bare)} of {len(shards)} shards have no live replica"
    return warn(text, **more) if expendable(redis) else failed(text, **more)


@check(
    id="caching.cluster.balance",
    component="caching",
    severity="low",
    requires="caching.reach.connect",
    privilege="+info on every primary, +cluster|shards",
    fix="redis-cli --cluster rebalance HOST:6379  # or fewer keys with the same {hash tag}",
    effort="hours",
    reference="https://valkey.io/topics/cluster-spec/",
    verify="redis-cli --cluster info HOST:6379",
)
def balance(
    redis: RedisFacts, *, good: float = 1.5, bad: float = 2.0, fewest_keys: int = 1000, fewest_commands: int = 1000
) -> Finding:
    """No shard of the cluster carries the load of the others.

    The fullest or busiest shard decides when the whole cluster is full or slow; adding shards does not help it. Judged
    is the largest against the mean, in memory, keys and commands of the window, the latter two from 1,000 on. Hash tags
    that many keys share are the usual cause.
    """
    if not redis.cluster_enabled:
        return not_applicable("cluster mode is off", cluster_enabled=0)
    shards = redis.cluster.shards
    if len(shards) < 2:
        return not_applicable("there is a single shard", shards=len(shards))
    ratios = {
        "memory": _spread(shards, [each.used for each in shards], 1),
        "keys": _spread(shards, [each.keys for each in shards], fewest_keys),
        "commands": _spread(
            shards, [maybe(partial(getattr, each, "commands")) or 0 for each in shards], fewest_commands
        ),
    }
    judged = {what: pair for what, pair in ratios.items() if pair is not None}
    what, (ratio, shard) = max(judged.items(), key=lambda pair: pair[1][0])
    largest = max(each.used for each in shards)
    more: dict[str, Any] = {
        "observed": ", ".join(f"{name} {pair[0]:.2f}" for name, pair in judged.items()),
        "expected": f"largest below {good:g} times the mean",
        "evidence": {"shards": len(shards), "largest": size(largest)},
    }
    message = f"{shard.name} has {ratio:.2f} times the mean of {what}"
    if ratio < good:
        return passed(message, **more)
    return warn(message, **more) if ratio < bad else failed(message, **more)


def _spread(shards: tuple[Shard, ...], values: list[int], fewest: int) -> tuple[float, Shard] | None:
    """The largest value against the mean, and its shard; None where there is too little to compare."""
    total = sum(values)
    if total < fewest:
        return None
    largest = max(range(len(values)), key=lambda index: values[index])
    return len(values) * values[largest] / total, shards[largest]
