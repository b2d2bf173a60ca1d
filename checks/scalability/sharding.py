"""Whether a sharded database uses its shards; whether it needs any is judged with the database."""

from __future__ import annotations

from readiness.api import Finding, check, failed, not_applicable, passed, show, warn
from readiness.facts.mongodb import MongoFacts


@check(
    id="scalability.shard.distribution",
    component="scalability",
    severity="medium",
    phase=3,
    item="Database Sharding",
    privilege="clusterMonitor",
    effort="weeks",
    fix='sh.shardCollection("shop.orders", {customer: 1, _id: 1})  // a key that most queries carry',
    verify='mongosh "$MONGODB_URI" --eval "sh.status()"',
    reference="https://www.mongodb.com/docs/manual/sharding/",
)
def distribution(mongo: MongoFacts) -> Finding:
    """The collections of a sharded cluster lie on more than one shard.

    A mongos in front of one shard, or in front of collections that were never sharded, has the cost of a cluster and
    the capacity of one replica set.
    """
    if mongo.topology != "mongos":
        kind = mongo.topology.replace("_", " ")
        return not_applicable(f"not a sharded cluster: hello answers as a {kind}", topology=mongo.topology)
    sizes = {shard.name: shard.data_bytes for member in mongo.readable for shard in member.shards}
    known = {name for member in mongo.readable for name in member.shard_names} | set(sizes)
    expected = "sharded collections on two shards or more"
    evidence = {name: show(size / 1000**3, "GB") for name, size in list(sizes.items())[:50]}
    if not sizes:
        message = f"no collection is sharded over the {len(known)} shards" if known else "no collection is sharded"
        return failed(message, observed=f"0 of {len(known)} shards in use", expected=expected)
    observed = f"{len(sizes)} of {len(known)} shards hold sharded collections"
    if len(sizes) == 1:
        message = f"all sharded collections lie on {next(iter(sizes))[:40]}, 1 of {len(known)} shards"
        return warn(message, observed=observed, expected=expected, evidence=evidence)
    return passed(observed, observed=observed, expected=expected, evidence=evidence)
