"""Disk, storage engine, and how much data there is."""

from __future__ import annotations

from readiness.api import Finding, check, failed, not_applicable, passed, scaled, show, warn
from readiness.facts.mongodb import MongoFacts, MongoMember

from ._members import MONITOR, REACH, each

TERABYTE = 1024**4


@check(
    id="database.storage.disk",
    component="database",
    severity="high",
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix="Grow the volume, or archive and delete old data; then alert at 80 %",
    verify='mongosh "$MONGODB_URI" --eval "s = db.stats(); s.fsUsedSize / s.fsTotalSize"',
    reference="https://www.mongodb.com/docs/manual/reference/command/dbStats/#mongodb-data-dbStats.fsUsedSize",
)
def disk(mongo: MongoFacts, *, good: float = 0.70, bad: float = 0.85) -> Finding:
    """The disk has room for growth, index builds and an initial sync.

    A full disk stops the server. Used is everything that mongod cannot have: also what other programs, quotas and
    reserved blocks take.
    """

    def judge(member: MongoMember) -> Finding:
        found = member.disk
        what = f"use of the disk of {found.total / 1e9:,.0f} GB"
        return scaled(found.used / found.total, good=good, bad=bad, what=what, unit="%")

    return each(mongo, judge)


@check(
    id="database.storage.engine",
    component="database",
    severity="high",
    requires=REACH,
    privilege=MONITOR,
    effort="days",
    fix="Start mongod with storage.engine: wiredTiger, and without read-only file systems",
    verify='mongosh "$MONGODB_URI" --eval "db.serverStatus().storageEngine"',
    reference="https://www.mongodb.com/docs/manual/core/storage-engines/",
    verdicts=("pass", "fail"),
)
def engine(mongo: MongoFacts) -> Finding:
    """Data is kept on disk, by WiredTiger.

    An engine in memory loses everything at the end of the process, and a server that is read-only cannot take writes.
    """
    if mongo.topology == "mongos":
        return not_applicable("a mongos stores no data", topology=mongo.topology)

    def judge(member: MongoMember) -> Finding:
        name, expected = member.gauges.engine, "wiredTiger, persistent, writable"
        if name != "wiredTiger" or not member.gauges.engine_persistent:
            return failed(f"the storage engine is {name}", observed=name, expected=expected)
        if member.gauges.engine_read_only:
            return failed("the storage engine is read-only", observed=f"{name}, read-only", expected=expected)
        return passed(f"the storage engine is {name}", observed=name, expected=expected)

    return each(mongo, judge)


@check(
    id="database.shard.readiness",
    component="database",
    severity="info",
    phase=3,
    item="Database Sharding",
    requires=REACH,
    privilege=MONITOR,
    effort="weeks",
    fix="Choose a shard key from the queries, test it with analyzeShardKey, and plan the move before it is urgent",
    verify='mongosh "$MONGODB_URI" --eval "db.adminCommand({listDatabases: 1}).totalSize"',
    reference="https://www.mongodb.com/docs/manual/sharding/",
    verdicts=("pass", "warn"),
)
def shard_readiness(mongo: MongoFacts, *, at_most_tb: float = 2) -> Finding:
    """The data is sharded, or one replica set still holds it with ease.

    For information only: up to about 2 TB a replica set with good indexes is simpler and faster. Beyond that, backups
    and initial syncs take a day, and sharding is due.
    """
    expected = f"at most {show(at_most_tb, 'TB')}, or sharded"
    if mongo.topology == "mongos":
        return passed("the data is sharded", observed="sharded", expected=expected)
    size = max(member.data_bytes for member in mongo.readable) / TERABYTE
    observed = show(size, "TB") if size >= 0.01 else show(size * 1024, "GB")
    verdict = passed if size <= at_most_tb else warn
    return verdict(f"{observed} of data in one set", observed=observed, expected=expected)
