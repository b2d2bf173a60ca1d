"""Whether the server's version still gets fixes, and has those that matter."""

from __future__ import annotations

from readiness.api import Finding, check, failed, not_applicable, passed, warn
from readiness.facts.mongodb import MongoFacts, MongoMember

from . import _fixes
from ._members import MONITOR, REACH, each
from ._tables import (
    AS_OF,
    DOCUMENTDB_END_OF_LIFE,
    END_OF_LIFE,
    RAPID_RELEASES,
    ZLIB_CVE,
    ZLIB_FIXED,
    numbers,
    series,
    vulnerable,
)


@check(
    id="database.version.eol",
    component="database",
    severity="high",
    requires=REACH,
    effort="weeks",
    fix="Upgrade one major version at a time, member by member, and raise the feature compatibility version at the end",
    verify='mongosh "$MONGODB_URI" --eval "db.version()"',
    reference="https://www.mongodb.com/legal/support-policy/lifecycles",
)
def eol(mongo: MongoFacts, *, days: int = 180) -> Finding:
    """The version still gets security fixes for half a year.

    By a table of the end of life of each series, as of 2026-08-22. A series that is newer than the table passes. Atlas
    upgrades by itself.
    """
    table = DOCUMENTDB_END_OF_LIFE if mongo.platform == "documentdb" else END_OF_LIFE

    def judge(member: MongoMember) -> Finding:
        branch, expected = series(member.version), f"more than {days} days of support"
        ends = table.get(branch)
        if mongo.platform == "atlas":
            return passed(f"Atlas keeps {branch} supported", observed=member.version, expected=expected)
        if ends is None:
            old = numbers(member.version) < numbers(min(table, key=numbers))
            if table is END_OF_LIFE and (branch in RAPID_RELEASES or old):
                return failed(f"{branch} gets no fixes any more", observed=member.version, expected=expected)
            message = f"{branch} is not in the table of {AS_OF}"
            return passed(message, observed=member.version, expected=expected)
        left = (ends - mongo.now.date()).days
        observed = f"{member.version}, until {ends}"
        if left < 0:
            return failed(f"{branch} got its last fix on {ends}", observed=observed, expected=expected)
        verdict = passed if left > days else warn
        return verdict(f"{branch} is supported until {ends}", observed=observed, expected=expected)

    return each(mongo, judge)


@check(
    id="database.version.cve",
    component="database",
    severity="critical",
    phase=1,
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix="Upgrade to the latest patch of the series; until then restart with net.compression.compressors: snappy,zstd",
    verify='mongosh "$MONGODB_URI" --eval "[db.version(), Object.keys(db.serverStatus().network.compression)]"',
    reference="https://nvd.nist.gov/vuln/detail/CVE-2025-14847",
)
def cve(mongo: MongoFacts) -> Finding:
    """The version has no known hole that works before login.

    CVE-2025-14847 lets anybody who reaches the port read memory of the server, by messages compressed with zlib; it is
    exploited. Judged by the version alone, never by trying. Without zlib among the compressors of the server the hole
    is closed, the patch still due. Series that ended before the fix have none.
    """
    if mongo.platform == "documentdb":
        return not_applicable("DocumentDB is no mongod", platform=mongo.platform)

    def judge(member: MongoMember) -> Finding:
        fixed = ZLIB_FIXED.get(series(member.version))
        expected = ".".join(map(str, fixed)) + " or later" if fixed else "a series with the fix"
        if mongo.platform == "atlas" or not vulnerable(member.version):
            return passed(f"{member.version} has the fix of {ZLIB_CVE}", observed=member.version, expected=expected)
        message = f"{member.version} has {ZLIB_CVE}"
        if "zlib" in member.gauges.compressors:
            return failed(f"{message}, and zlib is on", observed=member.version, expected=expected)
        return warn(f"{message}, though zlib is off", observed=member.version, expected=expected)

    return each(mongo, judge)


@check(
    id="database.version.fcv",
    component="database",
    severity="low",
    requires=REACH,
    privilege=MONITOR,
    effort="minutes",
    fix='db.adminCommand({setFeatureCompatibilityVersion: "<version>", confirm: true})',
    fixes=_fixes.FEATURE_VERSION,
    verify='mongosh "$MONGODB_URI" --eval "db.adminCommand({getParameter: 1, featureCompatibilityVersion: 1})"',
    reference="https://www.mongodb.com/docs/manual/reference/command/setFeatureCompatibilityVersion/",
    verdicts=("pass", "warn"),
)
def fcv(mongo: MongoFacts) -> Finding:
    """The last upgrade was finished.

    Until the feature compatibility version follows, the server behaves in part like its predecessor, and the next
    upgrade is refused. In the week after an upgrade a lower one is prudent.
    """
    if mongo.topology == "mongos":
        return not_applicable("a mongos has no feature compatibility version", topology=mongo.topology)

    def judge(member: MongoMember) -> Finding:
        expected, observed = series(member.version), member.feature_version
        message = f"feature compatibility version {observed} on {member.version}"
        return (passed if observed == expected else warn)(message, observed=observed, expected=expected)

    return each(mongo, judge)
