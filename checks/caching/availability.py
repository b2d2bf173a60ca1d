"""Copies of the data, who promotes them, and whether they would behave like the original."""

from __future__ import annotations

from typing import Any

from readiness.api import Finding, check, failed, maybe, not_applicable, passed, show, untested, warn, worst
from readiness.facts.redis import Master, Node, RedisFacts

from . import _fixes
from ._common import expendable, size

_REPLICATION = "https://valkey.io/topics/replication/"
_SENTINEL = "https://valkey.io/topics/sentinel/"

# They replicate behind one endpoint, of which a client sees a single node.
_PLATFORMS = ("MemoryDB", "Upstash")


@check(
    id="caching.ha.replicas",
    component="caching",
    severity="high",
    requires="caching.reach.connect",
    privilege="+info",
    fixes=_fixes.REPLICA,
    effort="hours",
    reference=_REPLICATION,
    verify="redis-cli -u $REDIS_URL INFO replication",
)
def replicas(redis: RedisFacts, *, most_lag: int = 10) -> Finding:
    """A live copy of the data exists.

    Without one, the loss of a server is the loss of everything in it: a cold start for a cache, lost sessions and jobs
    for the other roles. A store needs two, so that one may be down for maintenance.
    """
    if redis.provider in _PLATFORMS:
        return not_applicable(f"{redis.provider} replicates behind its endpoint", host=redis.host)
    replication = redis.replication
    wanted = 2 if redis.role == "store" else 1
    if replication.role == "slave":
        alive, listed = (1 if replication.link == "up" else 0), 1
    else:
        listed = len(replication.replicas)
        alive = sum(each.online and each.lag <= most_lag for each in replication.replicas)
    more: dict[str, Any] = {
        "observed": f"{alive} online of {listed}",
        "expected": f"at least {wanted} with a lag of at most {most_lag} s",
    }
    if alive >= wanted:
        return passed(f"{alive} replicas online" if alive > 1 else "1 replica online", **more)
    if alive:
        return warn(f"{alive} replica online; a store needs {wanted}", **more)
    text = "no replica" if not listed else f"none of {listed} replicas is online and up to date"
    return warn(text, **more) if expendable(redis) else failed(f"{text}: the {redis.role} has one copy", **more)


@check(
    id="caching.ha.failover",
    component="caching",
    severity="high",
    requires="caching.reach.connect",
    privilege="+info +client|list, in a cluster +cluster|info +cluster|shards",
    fix="sentinel monitor cache PRIMARY_HOST 6379 2  # in sentinel.conf, on three hosts; or a cluster",
    effort="days",
    reference=_SENTINEL,
    verify="redis-cli -u $REDIS_URL CLIENT LIST | grep -o 'name=sentinel-[0-9a-f]*' | sort -u",
)
def failover(redis: RedisFacts) -> Finding:
    """Somebody promotes a replica when the primary is gone.

    Replication alone waits for a person. Three Sentinels, or a cluster, agree on a loss and act. Sentinels show as
    clients of the servers that they watch; whether they have a quorum only they can tell.
    """
    masters = maybe(lambda: redis.masters)
    if masters is not None:
        return _by_sentinels(masters)
    if redis.provider in _PLATFORMS:
        return not_applicable(f"{redis.provider} fails over behind its endpoint", host=redis.host)
    if redis.cluster_enabled:
        return _by_cluster(redis)
    replication = redis.replication
    expected = "a replica and at least 3 Sentinels"
    if replication.role == "master" and not replication.replicas:
        text = "there is no replica to promote"
        more: dict[str, Any] = {"observed": "no replica", "expected": expected}
        return warn(text, **more) if expendable(redis) else failed(text, **more)
    if redis.provider:
        text = f"is {redis.provider}'s automatic failover on? It cannot be seen from here"
        return warn(text, observed=redis.provider, expected="automatic failover")
    count = redis.clients.sentinels
    more = {"observed": f"{count} Sentinels", "expected": expected}
    if count >= 3:
        return passed(f"{count} Sentinels watch this server", **more)
    if count:
        return warn(f"{count} Sentinels: a majority needs 3", **more)
    return failed("replicas, but nobody to promote them", **more)


def _by_sentinels(masters: tuple[Master, ...]) -> Finding:
    if not masters:
        return failed("this Sentinel watches no primary", observed="none", expected="at least one")
    # Several Sentinels may have been asked for the same primary, and see it differently.
    views = {f"primary {each.name}" + f" as {each.seen_by} sees it" * bool(each.seen_by): each for each in masters}
    return worst({view: _watched(each) for view, each in views.items()}, what="views")


def _watched(master: Master) -> Finding:
    more: dict[str, Any] = {
        "observed": f"{master.flags}, {master.sentinels} Sentinels, {master.replicas} replicas",
        "expected": "master, quorum, at least 3 Sentinels and a replica",
    }
    if master.flags != "master":
        return failed(f"the Sentinels call it {master.flags}", **more)
    if not master.quorum_ok:
        return failed("the Sentinels have no quorum", **more)
    if not master.replicas:
        return failed("there is no replica to promote", **more)
    if master.sentinels < 3:
        return warn(f"{master.sentinels} Sentinels: a majority needs 3", **more)
    return passed(f"{master.sentinels} Sentinels with a quorum, {master.replicas} replicas", **more)


def _by_cluster(redis: RedisFacts) -> Finding:
    cluster = redis.cluster
    shards = cluster.shards
    bare = [shard.name for shard in shards if not shard.replicas_online]
    more: dict[str, Any] = {
        "observed": f"state {cluster.state}, {len(shards) - len(bare)} of {len(shards)} shards with a replica",
        "expected": "state ok, and a replica in every shard",
    }
    if cluster.state != "ok" or cluster.slots_fail:
        return failed(f"the cluster's state is {cluster.state}, {cluster.slots_fail} slots failed", **more)
    if not bare:
        return passed(f"a cluster of {len(shards)} shards, each with a replica", **more)
    text = f"{len(bare)} of {len(shards)} shards have no replica to promote"
    return warn(text, **more) if expendable(redis) else failed(text, **more)


@check(
    id="caching.ha.link",
    component="caching",
    severity="high",
    requires="caching.reach.connect",
    privilege="+info",
    fix="redis-cli -u $REDIS_URL INFO replication  # masterauth, the network to the primary, its output buffer limit",
    effort="hours",
    reference=_REPLICATION,
    verify="redis-cli -u $REDIS_URL INFO replication | grep master_",
)
def link(redis: RedisFacts, *, most_seconds: int = 10) -> Finding:
    """A replica is attached to its primary.

    While the link is down, the replica serves what it had, and falls behind.
    """
    replication = redis.replication
    if replication.role == "master":
        return not_applicable("this server is a primary", role="master")
    idle = replication.link_idle_seconds
    more: dict[str, Any] = {
        "observed": f"{replication.link}, last heard of {idle} s ago",
        "expected": f"up, within {most_seconds} s",
    }
    if replication.link != "up":
        return failed(f"the link to the primary is {replication.link}", **more)
    if 0 <= idle < most_seconds:
        return passed(f"attached to its primary, heard of {idle} s ago", **more)
    return warn(f"the primary was last heard of {idle} s ago", **more)


@check(
    id="caching.ha.lag",
    component="caching",
    severity="medium",
    requires="caching.reach.connect",
    privilege="+info",
    fixes=_fixes.BACKLOG,
    effort="hours",
    reference=_REPLICATION,
    verify="redis-cli -u $REDIS_URL INFO replication | grep ^slave",
)
def lag(redis: RedisFacts, *, good: int = 2, bad: int = 10) -> Finding:
    """Replicas keep up.

    What a replica has not received is lost if it is promoted. The lag is in whole seconds since its last word.
    """
    replication = redis.replication
    if replication.role == "slave":
        return not_applicable("this server is a replica: caching.ha.link judges it", role="slave")
    online = [each for each in replication.replicas if each.online]
    if not online:
        return not_applicable("no replica is online", replicas=len(replication.replicas))
    slowest = max(online, key=lambda each: each.lag)
    more: dict[str, Any] = {"observed": f"{slowest.lag} s", "expected": f"at most {good} s"}
    message = f"{slowest.address} is {slowest.lag} s behind"
    if slowest.lag <= good:
        return passed(f"{len(online)} replicas at most {slowest.lag} s behind", **more)
    return warn(message, **more) if slowest.lag <= bad else failed(message, **more)


@check(
    id="caching.ha.full_syncs",
    component="caching",
    severity="low",
    requires="caching.reach.connect",
    privilege="+info",
    fixes=_fixes.BACKLOG,
    effort="minutes",
    reference=_REPLICATION,
    verify="redis-cli -u $REDIS_URL INFO stats | grep sync_",
    verdicts=("pass", "warn"),
)
def full_syncs(redis: RedisFacts) -> Finding:
    """Replicas resume where they left off.

    A full synchronisation forks the primary and sends the whole data set; it should only happen with a new replica.
    """
    window = redis.window
    count = window.full_syncs + window.failed_partial_syncs
    replication = redis.replication
    if not count and replication.role == "master" and not replication.replicas:
        return not_applicable("there is no replica", replicas=0)
    more: dict[str, Any] = {"observed": str(count), "expected": "0"}
    if count:
        return warn(f"{window.full_syncs} full synchronisations in {window.seconds:.1f} s", **more)
    return passed("no full synchronisation in the window", **more)


@check(
    id="caching.ha.min_replicas",
    component="caching",
    severity="low",
    requires="caching.reach.connect",
    privilege="+config|get",
    fixes=_fixes.MIN_REPLICAS,
    effort="minutes",
    reference=_REPLICATION,
    verify="redis-cli -u $REDIS_URL CONFIG GET min-replicas-to-write",
    verdicts=("pass", "warn"),
)
def min_replicas(redis: RedisFacts) -> Finding:
    """A primary cut off from its replicas stops taking writes.

    Otherwise it goes on accepting what is thrown away once another one has been promoted. It matters for a store; for
    a cache, being writable matters more.
    """
    if redis.role != "store":
        return not_applicable(f"declared a {redis.role}, not a store", role=redis.role)
    count = redis.config.min_replicas
    more: dict[str, Any] = {"observed": show(count), "expected": "at least 1"}
    if count >= 1:
        return passed(f"min-replicas-to-write is {count}", **more)
    return warn("min-replicas-to-write is 0: a lost primary goes on accepting writes", **more)


@check(
    id="caching.ha.config_drift",
    component="caching",
    severity="medium",
    requires="caching.reach.connect",
    privilege="+info",
    fixes=_fixes.DRIFT,
    effort="minutes",
    reference=_REPLICATION,
    verify="redis-cli -h REPLICA INFO memory | grep maxmemory",
    verdicts=("pass", "warn"),
)
def config_drift(redis: RedisFacts) -> Finding:
    """After a failover the cache behaves as before.

    A replica ignores its own limit and policy until it is promoted. One without them then never evicts, and grows until
    it is killed. Compared are limit, policy, version and the append-only file, on up to three replicas, and on the
    other primaries of a cluster.
    """
    replication = redis.replication
    if replication.role == "slave":
        return untested("redis.url leads to a replica: give its primary's address to compare the two")
    if not redis.cluster_enabled and not replication.replicas:
        return not_applicable("there is no replica", replicas=0)
    if redis.cluster_enabled and not redis.nodes:
        return not_applicable("there is no other node", nodes=0)
    findings = {node.address: _compared(redis, node) for node in redis.nodes}
    return worst(findings, what="nodes")


def _compared(redis: RedisFacts, node: Node) -> Finding:
    pairs = {
        "maxmemory": (_limit(redis.memory.limit), _limit(node.memory.limit)),
        "maxmemory-policy": (redis.memory.policy, node.memory.policy),
        "version": (redis.server.version, node.version),
        "appendonly": (show(redis.persistence.aof_enabled), show(node.aof_enabled)),
    }
    drift = [f"{name} {own} here, {other} there" for name, (own, other) in pairs.items() if own != other]
    more: dict[str, Any] = {
        "observed": "; ".join(drift) or "equal",
        "expected": "equal limit, policy, version and persistence",
    }
    return warn(drift[0], **more) if drift else passed("configured like this server", **more)


def _limit(bytes: int) -> str:
    return size(bytes) if bytes else "none"
