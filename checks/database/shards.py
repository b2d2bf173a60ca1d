"""A sharded cluster: its routers, and how evenly the data lies on its shards."""

from __future__ import annotations

from readiness.api import Finding, check, failed, not_applicable, passed, show, untested, warn
from readiness.facts.mongodb import MongoFacts

from ._members import MONITOR, REACH, counted, listed

GIGABYTE = 1024**3


def _unsharded(mongo: MongoFacts) -> Finding | None:
    if mongo.topology == "mongos":
        return None
    kind = mongo.topology.replace("_", " ")
    return not_applicable(f"not a sharded cluster: hello answers as a {kind}", topology=mongo.topology)


@check(
    id="database.shard.mongos",
    component="database",
    severity="medium",
    phase=3,
    item="Database Sharding",
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix="Run a second mongos on another host, and name both in the application's URI",
    verify='mongosh "$MONGODB_URI" --eval "db.getSiblingDB(\'config\').mongos.find({}, {ping: 1})"',
    reference="https://www.mongodb.com/docs/manual/core/sharded-cluster-query-router/",
    verdicts=("pass", "fail"),
)
def routers(mongo: MongoFacts, *, at_least: int = 2, alive_seconds: float = 60) -> Finding:
    """A cluster has more than one router.

    With a single mongos its loss is an outage, whatever the shards do. Each registers itself every thirty seconds; the
    entries of those that were removed stay for ever and do not count.
    """
    if (other := _unsharded(mongo)) is not None:
        return other
    found = {router.name: router for member in mongo.readable for router in member.routers}
    alive = [name for name, router in found.items() if router.seen_seconds_ago < alive_seconds]
    message, expected = f"{counted(len(alive), 'router')} in the last {alive_seconds:g} s", f"at least {at_least}"
    verdict = passed if len(alive) >= at_least else failed
    return verdict(message, observed=listed(alive) or "none", expected=expected, evidence={"routers": alive[:50]})


@check(
    id="database.shard.balance",
    component="database",
    severity="low",
    phase=3,
    item="Database Sharding",
    requires=REACH,
    privilege=MONITOR,
    effort="weeks",
    fix="Look at sh.status() and the distribution of the largest collection, then refine its shard key",
    verify='mongosh "$MONGODB_URI" --eval "db.<collection>.getShardDistribution()"',
    reference="https://www.mongodb.com/docs/manual/core/sharding-balancer-administration/",
)
def balance(mongo: MongoFacts, *, good: float = 1.3, bad: float = 2, from_gb: float = 10) -> Finding:
    """Data lies evenly on the shards.

    The largest shard against the smallest, in sharded collections. A shard key that sends new documents to one shard
    makes that one the bottleneck of all. Below ten gigabytes the difference is noise, and the balancer does not bother.
    """
    if (other := _unsharded(mongo)) is not None:
        return other
    sizes = {shard.name: shard.data_bytes for member in mongo.readable for shard in member.shards}
    if len(sizes) < 2:
        return untested("fewer than two shards hold sharded collections, so there is nothing to compare")
    largest, smallest = max(sizes.values()), min(sizes.values())
    ratio = largest / max(1, smallest)
    message, expected = f"the largest shard holds {ratio:.1f} times as much as the smallest", f"at most {good:g} times"
    evidence = {name: show(size / GIGABYTE, "GB") for name, size in list(sizes.items())[:50]}
    observed = f"{ratio:.1f} times"
    if ratio <= good or largest <= from_gb * GIGABYTE:
        return passed(message, observed=observed, expected=expected, evidence=evidence)
    verdict = warn if ratio <= bad else failed
    return verdict(message, observed=observed, expected=expected, evidence=evidence)
