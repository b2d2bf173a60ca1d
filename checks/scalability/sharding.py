"""Whether the database can grow beyond one machine, and whether it has to."""

from __future__ import annotations

from readiness.api import Finding, check, failed, maybe, not_applicable, passed, show, warn
from readiness.facts.mongodb import MongoFacts, MongoMember

_TERABYTE = 1000**4


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
    expected = "sharded collections on two shards or more"
    evidence = {name: show(size / 1000**3, "GB") for name, size in list(sizes.items())[:50]}
    if not sizes:
        return failed("no collection is sharded", observed="0 shards in use", expected=expected)
    if len(sizes) == 1:
        message = f"all sharded collections lie on {next(iter(sizes))[:40]}"
        return warn(message, observed="1 shard in use", expected=expected, evidence=evidence)
    observed = f"{len(sizes)} shards hold sharded collections"
    return passed(observed, observed=observed, expected=expected, evidence=evidence)


@check(
    id="scalability.shard.need",
    component="scalability",
    severity="info",
    phase=3,
    item="Database Sharding",
    privilege="clusterMonitor",
    effort="weeks",
    fix="Archive what is old first; then choose a shard key while the data still fits: https://www.mongodb.com/docs/"
    "manual/core/sharding-choose-a-shard-key/",
    verify='mongosh "$MONGODB_URI" --eval "db.getMongo().getDBs().totalSize"',
    reference="https://www.mongodb.com/docs/manual/sharding/#advantages-of-sharding",
    verdicts=("pass", "warn"),
)
def need(mongo: MongoFacts, *, from_tb: float = 1) -> Finding:
    """Data that has outgrown one replica set is sharded.

    Below a terabyte a replica set is the simpler and better choice, so there is nothing to judge. It carries no weight:
    the size alone does not say when a machine is full.
    """
    if mongo.topology == "mongos":
        return passed("the cluster is sharded", observed="mongos", expected="sharded, or small")
    sizes = [size for member in mongo.readable if (size := maybe(lambda each=member: _size(each))) is not None]  # type: ignore[misc]
    largest = max(sizes) if sizes else _size(mongo.readable[0])
    observed = show(largest / 1000**3, "GB")
    if largest < from_tb * _TERABYTE:
        reason = f"{observed} fit into a replica set; sharding is for more than {from_tb:g} TB"
        return not_applicable(reason, data_bytes=largest, topology=mongo.topology)
    message = f"{observed} without shards"
    return warn(message, observed=observed, expected=f"shards from {from_tb:g} TB on")


def _size(member: MongoMember) -> int:
    return member.data_bytes
