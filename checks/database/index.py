"""Whether queries find what they return through an index."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from readiness.api import Finding, check, failed, maybe, not_applicable, passed, scaled, show, warn, worst
from readiness.facts.mongodb import MongoFacts, MongoMember
from readiness.facts.mongodb_server import Collection, Index

from . import _fixes
from ._members import MONITOR, REACH, collections, each, listed, quiet

LEAST_DOCUMENTS = 100
LEAST_QUERIES = 100


@check(
    id="database.index.targeting",
    component="database",
    severity="high",
    phase=2,
    item="Database Optimization",
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix='Run the slow queries with .explain("executionStats"), and index the fields that they filter and sort by',
    fixes=_fixes.EXPLAIN,
    verify='mongosh "$MONGODB_URI" --eval "db.serverStatus().metrics.queryExecutor"  # twice',
    reference="https://www.mongodb.com/docs/manual/tutorial/evaluate-operation-performance/",
)
def targeting(mongo: MongoFacts, *, good: float = 10, bad: float = 1000) -> Finding:
    """Queries examine about as many documents as they return.

    Documents and index keys examined for each document returned, in the window. Counts, aggregates and updates examine
    without returning, so ten is still good; a thousand means that an index is missing. Members that returned fewer than
    a hundred documents are not judged.
    """

    def judge(member: MongoMember) -> Finding:
        did = member.activity
        if did.documents_returned < LEAST_DOCUMENTS:
            return quiet(f"fewer than {LEAST_DOCUMENTS} documents returned", member.window_seconds)
        documents, keys = did.documents_scanned / did.documents_returned, did.keys_scanned / did.documents_returned
        evidence = {
            "documents examined per returned": round(documents, 1),
            "keys examined per returned": round(keys, 1),
        }
        what = "number examined for each returned"
        return scaled(max(documents, keys), good=good, bad=bad, what=what, evidence=evidence)

    return each(mongo, judge)


@check(
    id="database.index.collscan",
    component="database",
    severity="high",
    phase=2,
    item="Database Optimization",
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix="Create an index for the queries of the collections that database.index.collscan_by_collection names",
    fixes=_fixes.SCANS,
    verify='mongosh "$MONGODB_URI" --eval "db.serverStatus().metrics.queryExecutor.collectionScans"  # twice',
    reference="https://www.mongodb.com/docs/manual/reference/command/serverStatus/#mongodb-serverstatus-serverstatus.metrics.queryExecutor.collectionScans",
)
def collscan(mongo: MongoFacts, *, good: float = 0.005, bad: float = 0.05) -> Finding:
    """Hardly any query reads a whole collection.

    Collection scans against queries in the window, without those of tailable cursors. A member with fewer than a
    hundred queries is not judged: there, replication's own would decide.
    """

    def judge(member: MongoMember) -> Finding:
        did = member.activity
        if did.queries < LEAST_QUERIES:
            return quiet(f"fewer than {LEAST_QUERIES} queries", member.window_seconds)
        what = f"share of {did.queries} queries that scan a collection"
        return scaled(did.collection_scans / did.queries, good=good, bad=bad, what=what, unit="%")

    return each(mongo, judge)


@check(
    id="database.index.collscan_by_collection",
    component="database",
    severity="high",
    phase=2,
    item="Database Optimization",
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix="db.<collection>.createIndex({...}) for the filter; db.setProfilingLevel(1, {slowms: 100}) shows the filter",
    fixes=_fixes.SCANS,
    verify='mongosh "$MONGODB_URI" --eval "db.<collection>.aggregate([{\\$collStats: {queryExecStats: {}}}])"',
    reference="https://www.mongodb.com/docs/manual/reference/operator/aggregation/collStats/",
)
def collscan_by_collection(
    mongo: MongoFacts, *, small: int = 1000, large: int = 100_000, per_hour: float = 60
) -> Finding:
    """No collection of any size is read from end to end.

    Names the collections that miss an index, among the busiest fifty, without a profiler and without a look at any
    document. Up to a thousand documents a scan is as good as an index. The scans count since the start of the
    server, so a nightly job shows too; a server that is younger than an hour is judged as if it were an hour old.
    """
    expected = f"no scan above {small} documents"
    return collections(mongo, lambda collection: _scans(collection, expected, small, large, per_hour))


def _scans(collection: Collection, expected: str, small: int, large: int, per_hour: float) -> Finding:
    scans = collection.collection_scans
    if scans == 0 or collection.documents <= small:
        return passed("no scan that matters", observed="none", expected=expected)
    rate = scans / max(1.0, collection.uptime_hours)
    message = f"{scans} scans of {collection.documents} documents, {rate:.3g} per hour"
    verdict = failed if rate > per_hour and collection.documents > large else warn
    return verdict(message, observed=show(rate, "scans per hour"), expected=expected)


@check(
    id="database.index.unused",
    component="database",
    severity="medium",
    phase=2,
    item="Database Optimization",
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix="db.<collection>.hideIndex('<name>'), wait a week, then db.<collection>.dropIndex('<name>')",
    fixes=_fixes.UNUSED,
    verify='mongosh "$MONGODB_URI" --eval "db.<collection>.aggregate([{\\$indexStats: {}}])"  # on every member',
    reference="https://www.mongodb.com/docs/manual/reference/operator/aggregation/indexStats/",
    verdicts=("pass", "warn"),
)
def unused(mongo: MongoFacts, *, days: int = 30) -> Finding:
    """Every index is used by some query.

    An index costs every write and a share of the cache. One counts as unused when no member has used it for thirty
    days. Restarts and rebuilds reset the counters, so a younger count proves nothing. The index on _id and those that
    are unique, expire documents, or are of a special kind have a purpose without queries.
    """
    candidates = _candidates(mongo)
    expected, idle = f"none without use for {days} days", []
    for name, entries in candidates.items():
        if all(uses == 0 for uses, _ in entries) and min(age for _, age in entries) >= days:
            idle.append(name)
    if idle and (silent := _silent(mongo)):
        # Another member may use them: its absent fact says why that cannot be known.
        assert silent[0].collections is not None
    if idle:
        message = f"{len(idle)} of {len(candidates)} unused: {listed(idle)}"
        return warn(message, observed=f"{len(idle)} unused", expected=expected, evidence={"unused": idle[:50]})
    oldest = max((age for entries in candidates.values() for _, age in entries), default=0.0)
    message = f"none of {len(candidates)} indexes is known to be unused"
    return passed(message, observed=f"0 unused; counted for {oldest:.1f} days", expected=expected)


def _silent(mongo: MongoFacts) -> list[MongoMember]:
    """The members that hold data, or may hold some, and did not answer."""
    return [m for m in mongo.members if not m.answers and maybe(partial(_is_arbiter, m)) is not True]


def _is_arbiter(member: MongoMember) -> bool:
    return member.hello.arbiter


def _candidates(mongo: MongoFacts) -> Mapping[str, list[tuple[int, float]]]:
    """Uses and days of counting on each member, of every index that has no other purpose than queries."""
    found: dict[str, list[tuple[int, float]]] = {}
    for member in mongo.readable:
        for collection in member.collections:
            for index in collection.indexes:
                special = index.unique or index.ttl or any(kind not in ("1", "-1") for _, kind in index.key)
                if index.name != "_id_" and not special:
                    age = (mongo.now - index.since).total_seconds() / 86_400
                    found.setdefault(f"{collection.name} {index.name}", []).append((index.uses, age))
    return found


@check(
    id="database.index.redundant",
    component="database",
    severity="low",
    phase=2,
    item="Database Optimization",
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix="db.<collection>.hideIndex('<shorter index>'), wait a week, then db.<collection>.dropIndex(...)",
    fixes=_fixes.UNUSED,
    verify='mongosh "$MONGODB_URI" --eval "db.<collection>.getIndexes()"',
    reference="https://www.mongodb.com/docs/manual/core/indexes/index-types/index-compound/#index-prefixes",
    verdicts=("pass", "warn"),
)
def redundant(mongo: MongoFacts) -> Finding:
    """No index repeats the beginning of another one.

    A compound index serves every query that its first fields serve alone. Directions must agree throughout or be
    reversed throughout, and the options must be the same: a unique, partial, sparse, hidden or expiring index is never
    redundant.
    """
    pairs = {}
    for name, indexes in _indexes(mongo).items():
        for short in indexes:
            longer = next((long for long in indexes if _prefix(short, long)), None)
            if longer is not None:
                pairs[f"{name} {short.name}"] = f"begins {longer.name}"
    expected = "0 redundant indexes"
    if pairs:
        message = f"redundant: {listed(pairs)}"
        return warn(
            message, observed=f"{len(pairs)} redundant", expected=expected, evidence=dict(list(pairs.items())[:50])
        )
    return passed("no index repeats another", observed="0 redundant", expected=expected)


def _prefix(short: Index, long: Index) -> bool:
    """Whether `long` serves every query that `short` serves."""
    plain = [i.unique or i.ttl or i.partial or i.sparse or i.hidden or i.collation for i in (short, long)]
    if any(plain) or short.name == "_id_" or not 0 < len(short.key) < len(long.key):
        return False
    beginning = long.key[: len(short.key)]
    reverse = tuple((field, _REVERSED.get(kind, kind)) for field, kind in beginning)
    return short.key in (beginning, reverse)


_REVERSED = {"1": "-1", "-1": "1"}


def _indexes(mongo: MongoFacts) -> dict[str, tuple[Index, ...]]:
    """The indexes of every collection that was looked at, on whichever member."""
    return {each.name: each.indexes for member in mongo.readable for each in member.collections}


@check(
    id="database.index.count",
    component="database",
    severity="low",
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix="Drop what database.index.unused and database.index.redundant name; merge those with the same first field",
    verify='mongosh "$MONGODB_URI" --eval "db.<collection>.getIndexes().length"',
    reference="https://www.mongodb.com/docs/manual/reference/limits/#mongodb-limit-Number-of-Indexes-per-Collection",
)
def count(mongo: MongoFacts, *, good: int = 10, bad: int = 30) -> Finding:
    """Collections carry a bounded number of indexes.

    Every insert writes to each of them, and each wants its share of the cache. The server stops at 64.
    """
    found = _indexes(mongo)
    if not found:
        return not_applicable("there is no collection yet", collections=0)
    expected = f"at most {good} indexes a collection"
    findings = {}
    for name, indexes in found.items():
        verdict = passed if len(indexes) <= good else warn if len(indexes) <= bad else failed
        findings[name] = verdict(f"{len(indexes)} indexes", observed=show(len(indexes)), expected=expected)
    return worst(findings, what="collections")


@check(
    id="database.index.in_memory_sort",
    component="database",
    severity="low",
    phase=2,
    item="Database Optimization",
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix="Extend the index of the query by the sorted field: fields of equality first, then the sort, then ranges",
    verify='mongosh "$MONGODB_URI" --eval "db.serverStatus().metrics.operation.scanAndOrder"  # twice',
    reference="https://www.mongodb.com/docs/manual/tutorial/sort-results-with-indexes/",
)
def in_memory_sort(mongo: MongoFacts, *, good: float = 0.01, bad: float = 0.10) -> Finding:
    """Results come sorted out of an index.

    A sort without an index collects all matches in memory, up to 100 MB, before the first one goes out. Counted over
    the window, against queries; a member with fewer than a hundred queries is not judged, because the set's own sort
    too.
    """

    def judge(member: MongoMember) -> Finding:
        did = member.activity
        if did.queries < LEAST_QUERIES:
            return quiet(f"fewer than {LEAST_QUERIES} queries", member.window_seconds)
        share = min(1.0, did.memory_sorts / did.queries)
        what = f"share of {did.queries} queries that sort in memory"
        return scaled(share, good=good, bad=bad, what=what, unit="%")

    return each(mongo, judge)
