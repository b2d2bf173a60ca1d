"""Disk, storage engine, and how much data there is."""

from __future__ import annotations

from readiness.api import (
    AttestationSettings,
    Finding,
    check,
    failed,
    maybe,
    not_applicable,
    passed,
    scaled,
    show,
    untested,
    warn,
)
from readiness.facts.mongodb import MongoFacts, MongoMember
from readiness.facts.mongodb_server import Collection

from .._attested import attested
from ._members import MONITOR, REACH, collections, each

GIGABYTE, TERABYTE = 1024**3, 1024**4


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
    id="database.storage.fragmentation",
    component="database",
    severity="low",
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix="db.runCommand({compact: '<collection>'}) on one secondary after the other, then on the old primary",
    verify='mongosh "$MONGODB_URI" --eval "db.<collection>.stats().freeStorageSize"',
    reference="https://www.mongodb.com/docs/manual/reference/command/compact/",
    verdicts=("pass", "warn"),
)
def fragmentation(mongo: MongoFacts, *, at_most: float = 0.5, from_gb: float = 1) -> Finding:
    """Files of collections are not mostly empty.

    After mass deletions WiredTiger keeps the space for later writes, and gives it back only when compacted. Less than a
    gigabyte is not worth it: in small files half is empty as a rule. Among the busiest fifty collections.
    """

    def judge(collection: Collection) -> Finding:
        share = collection.free_bytes / max(1, collection.storage_bytes)
        size = show(collection.storage_bytes / GIGABYTE, "GB")
        observed, expected = f"{share:.0%} of {size} unused", f"at most {at_most:.0%} unused, from {from_gb:g} GB on"
        wasted = share > at_most and collection.storage_bytes >= from_gb * GIGABYTE
        return (warn if wasted else passed)(observed, observed=observed, expected=expected)

    return collections(mongo, judge)


@check(
    id="database.storage.backup_hint",
    component="database",
    severity="high",
    requires=REACH,
    privilege="find on admin.pbmBackups",
    effort="days",
    fix="Run Percona Backup for MongoDB on a schedule, or snapshots of the volumes, and restore one every quarter",
    verify="pbm status",
    reference="https://www.mongodb.com/docs/manual/core/backups/",
)
def backup_hint(
    mongo: MongoFacts, attestations: AttestationSettings, *, good_hours: float = 24, bad_hours: float = 72
) -> Finding:
    """There is a backup of today.

    A replica is none: it repeats a wrong deletion within a second. Seen from the database are only backups that leave
    a trace in it: a copy under way (the backup cursor is open), or the records of Percona Backup, of which the time of
    the last finished one is read where the account may. Snapshots, Atlas and mongodump leave none: they can be attested
    under `attestations.backups`.
    """
    expected = f"finished at most {good_hours:g} hours ago"
    if any(maybe(lambda each=member: each.gauges.backup_cursor_open) for member in mongo.readable):  # type: ignore[misc]
        return passed("a backup is being taken now", observed="a backup cursor is open", expected=expected)
    records = [member.backups for member in mongo.readable if member.backups.pbm]
    if not records:
        return attested(attestations, "backups", lambda: mongo.now)
    finished = [maybe(lambda each=record: each.last_done) for record in records]  # type: ignore[misc]
    times = [time for time in finished if time is not None]
    if not times:
        if any(maybe(lambda each=record: (each.last_done,)) for record in records):  # type: ignore[misc]
            return failed("Percona Backup has never finished one", observed="none finished", expected=expected)
        return untested("Percona Backup keeps records here: grant find on admin.pbmBackups to have their age judged")
    hours = (mongo.now - max(times)).total_seconds() / 3600
    message, observed = f"the last backup was finished {hours:.0f} hours ago", f"{hours:.1f} hours ago"
    verdict = passed if hours <= good_hours else warn if hours <= bad_hours else failed
    return verdict(message, observed=observed, expected=expected)


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
