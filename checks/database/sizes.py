"""Documents, collections and indexes by their size, and how the profiler watches them."""

from __future__ import annotations

from readiness.api import Finding, check, not_applicable, passed, scaled, show, warn, worst
from readiness.facts.mongodb import MongoFacts, MongoMember
from readiness.facts.mongodb_estate import Profiling
from readiness.facts.mongodb_server import Collection

from ._members import MONITOR, REACH, collections, counted, each
from .cache import other_engine

KILOBYTE, TERABYTE = 1024, 1024**4
ALL_OPERATIONS, SLOW_OPERATIONS = 2, 1


@check(
    id="database.schema.large",
    component="database",
    severity="info",
    requires=REACH,
    privilege=MONITOR,
    effort="weeks",
    fix="Move what is rarely read, or grows without bound, into a collection of its own",
    verify='mongosh "$MONGODB_URI" --eval "db.<collection>.stats().avgObjSize"',
    reference="https://www.mongodb.com/docs/manual/data-modeling/design-antipatterns/bloated-documents/",
    verdicts=("pass", "warn"),
)
def large(mongo: MongoFacts, *, document_kb: float = 32, collection_tb: float = 2) -> Finding:
    """Documents and collections are of a reasonable size.

    For information: a document is always read, cached and replicated as a whole, so large ones push others out of the
    cache. A collection of several terabytes takes days to copy to a new member. Among the busiest fifty collections.
    """
    expected = f"documents below {document_kb:g} KB, collections of at most {collection_tb:g} TB"

    def judge(collection: Collection) -> Finding:
        mean, size = collection.document_bytes / KILOBYTE, collection.data_bytes / TERABYTE
        if size > collection_tb:
            observed = f"{show(size, 'TB')} of data"
            return warn(observed, observed=observed, expected=expected)
        observed = f"documents of {show(mean, 'KB')} on average"
        return (passed if mean < document_kb else warn)(observed, observed=observed, expected=expected)

    return collections(mongo, judge)


@check(
    id="database.index.fits_cache",
    component="database",
    severity="low",
    phase=2,
    item="Database Optimization",
    requires=REACH,
    privilege=MONITOR,
    effort="days",
    fix="Drop what database.index.unused and database.index.redundant name, or give the cache more memory",
    verify='mongosh "$MONGODB_URI" --eval "[db.stats().indexSize, db.serverStatus().wiredTiger.cache]"',
    reference="https://www.mongodb.com/docs/manual/tutorial/ensure-indexes-fit-ram/",
)
def fits_cache(mongo: MongoFacts, *, good: float = 0.7, bad: float = 1.0) -> Finding:
    """The indexes fit into the cache.

    An index that does not fit is read from disk at each look-up, and takes the room of the documents. Summed over the
    busiest fifty collections: the working set is hardly ever larger than these.
    """
    if (other := other_engine(mongo)) is not None:
        return other
    if not any(member.collections for member in mongo.readable):
        return not_applicable("there is no collection yet", collections=0)

    def judge(member: MongoMember) -> Finding:
        size, looked = sum(each.index_bytes for each in member.collections), len(member.collections)
        what = f"size of the indexes of {counted(looked, 'collection')} against the cache"
        evidence = {"indexes": show(size / 1024**2, "MB"), "cache": show(member.gauges.cache_max / 1024**2, "MB")}
        evidence["collections looked at"] = f"{looked} of {member.collections_total}"
        return scaled(size / member.gauges.cache_max, good=good, bad=bad, what=what, unit="%", evidence=evidence)

    return each(mongo, judge)


@check(
    id="database.query.profiler",
    component="database",
    severity="low",
    requires=REACH,
    privilege=MONITOR,
    effort="minutes",
    fix="db.setProfilingLevel(1, {slowms: 100}) in each database that is named, or level 0",
    verify='mongosh "$MONGODB_URI" --eval "db.getProfilingStatus()"',
    reference="https://www.mongodb.com/docs/manual/tutorial/manage-the-database-profiler/",
    verdicts=("pass", "warn"),
)
def profiler(mongo: MongoFacts, *, least_slow_ms: int = 100) -> Finding:
    """The profiler does not record every operation.

    At level 2, or at level 1 with a low bound for what is slow, each operation is written once more, with the values
    that it searched for. Level 0 is fine, because slow operations go to the log anyway. Asked with -1, which changes
    nothing.
    """
    if mongo.topology == "mongos":
        return not_applicable("a mongos keeps no profile", topology=mongo.topology)
    found = {
        f"{setting.database} on {member.address}": _setting(setting, least_slow_ms)
        for member in mongo.readable
        for setting in member.profiling
    }
    return worst(found, what="databases") if found else not_applicable("there is no collection yet", collections=0)


def _setting(setting: Profiling, least_slow_ms: int) -> Finding:
    expected = f"level 0, or 1 with slowms of at least {least_slow_ms}"
    if setting.level == ALL_OPERATIONS:
        return warn("the profiler records every operation", observed="level 2", expected=expected)
    if setting.level != SLOW_OPERATIONS:
        return passed("the profiler is off", observed="level 0", expected=expected)
    observed = f"level 1, slowms {setting.slow_ms}"
    if setting.slow_ms < least_slow_ms and setting.sample_rate > 0:
        return warn(f"the profiler takes {setting.slow_ms} ms for slow", observed=observed, expected=expected)
    return passed(f"the profiler records what takes {setting.slow_ms} ms", observed=observed, expected=expected)
