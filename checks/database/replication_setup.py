"""How the set was configured: who may become primary, how members are named, whether they are alike."""

from __future__ import annotations

import ipaddress

from readiness.api import Finding, check, failed, maybe, passed, show, untested, warn
from readiness.facts.mongodb import MongoFacts, MongoMember

from . import _fixes
from ._members import MONITOR, REACH, by_name, config, counted, listed, standalone


@check(
    id="database.repl.priorities",
    component="database",
    severity="high",
    requires=REACH,
    privilege=MONITOR,
    effort="minutes",
    fix="c = rs.conf(); c.members[1].priority = 1; rs.reconfig(c)",
    fixes=_fixes.PRIORITIES,
    verify='mongosh "$MONGODB_URI" --eval "rs.conf().members.map(m => [m.host, m.priority])"',
    reference="https://www.mongodb.com/docs/manual/tutorial/adjust-replica-set-member-priority/",
    verdicts=("pass", "fail"),
)
def priorities(mongo: MongoFacts, *, at_least: int = 2) -> Finding:
    """At least two members can become primary.

    Members with priority 0, a delay, or no data never do. A higher priority for a preferred primary is a choice, not a
    finding.
    """
    if (alone := standalone(mongo)) is not None:
        return alone
    electable = [member.host for member in config(mongo).members if member.electable]
    message, observed = f"{counted(len(electable), 'member')} can become primary", show(len(electable), "electable")
    verdict = passed if len(electable) >= at_least else failed
    return verdict(message, observed=observed, expected=f"at least {at_least}", evidence={"electable": electable})


@check(
    id="database.repl.journal_majority",
    component="database",
    severity="medium",
    requires=REACH,
    privilege=MONITOR,
    effort="minutes",
    fix="c = rs.conf(); c.writeConcernMajorityJournalDefault = true; rs.reconfig(c)",
    fixes=_fixes.JOURNAL,
    verify='mongosh "$MONGODB_URI" --eval "rs.conf().writeConcernMajorityJournalDefault"',
    reference="https://www.mongodb.com/docs/manual/reference/replica-configuration/#mongodb-rsconf-rsconf.writeConcernMajorityJournalDefault",
    verdicts=("pass", "fail"),
)
def journal_majority(mongo: MongoFacts) -> Finding:
    """A write by the majority is on the disks of the majority.

    With writeConcernMajorityJournalDefault switched off, a write counts as done while it is only in memory, and a power
    failure can take it back.
    """
    if (alone := standalone(mongo)) is not None:
        return alone
    if config(mongo).journal_majority:
        return passed("majority means on disk", observed="true", expected="true")
    return failed("majority means in memory only", observed="false", expected="true")


@check(
    id="database.repl.hostnames",
    component="database",
    severity="medium",
    requires=REACH,
    effort="hours",
    fix="c = rs.conf(); c.members[0].host = 'db1.example.com:27017'; rs.reconfig(c), one member at a time",
    fixes=_fixes.HOSTNAMES,
    verify='mongosh "$MONGODB_URI" --eval "db.hello().hosts"',
    reference="https://www.mongodb.com/docs/manual/tutorial/change-hostnames-in-a-replica-set/",
)
def hostnames(mongo: MongoFacts) -> Finding:
    """Members have names that every client can resolve.

    Drivers connect to the addresses that the set announces, not to those of the URI. With localhost among them only
    clients on the same machine work, and an IP address cannot move. Where all members are on loopback and the audit
    found them there, the set is one machine by design and no client can come from elsewhere: a warning, since such a
    set can never be reached, or moved, without new names.
    """
    if (alone := standalone(mongo)) is not None:
        return alone
    hosts = mongo.readable[0].hello.hosts
    local, addresses = [], []
    for host in hosts:
        name = host.rpartition(":")[0].strip("[]")
        address = _ip(name)
        if name == "localhost" or (address is not None and address.is_loopback):
            local.append(host)
        elif address is not None:
            addresses.append(host)
    observed, expected = listed(hosts), "host names"
    if local and len(local) == len(hosts) and all(member.loopback for member in mongo.readable):
        message = f"the whole set is on loopback, out of reach of other machines: {listed(local)}"
        return warn(message, observed=observed, expected=expected)
    if local:
        return failed(f"only this machine can reach {listed(local)}", observed=observed, expected=expected)
    if addresses:
        return warn(f"members are announced by IP address: {listed(addresses)}", observed=observed, expected=expected)
    return passed("members are announced by name", observed=observed, expected=expected)


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


@check(
    id="database.repl.elections",
    component="database",
    severity="low",
    requires=REACH,
    privilege=MONITOR,
    effort="hours",
    fix="Look for the reason of the election in the log of the old primary: load, network, maintenance",
    verify='mongosh "$MONGODB_URI" --eval "rs.status().electionCandidateMetrics"',
    reference="https://www.mongodb.com/docs/manual/core/replica-set-elections/",
    verdicts=("pass", "warn"),
)
def elections(mongo: MongoFacts, *, hours: float = 24) -> Finding:
    """The primary has been the same for a day.

    Each election costs some seconds without writes. One within a day is worth a look unless it was planned. Where the
    member itself was started within that day, it cannot be known yet.
    """
    if (alone := standalone(mongo)) is not None:
        return alone
    seen = by_name(mongo)[mongo.primary].replica_status
    entry = seen.primary
    since = (mongo.now - entry.election).total_seconds() / 3600
    up = entry.uptime / 3600
    observed, expected = f"{since:.1f} hours ago", f"more than {show(hours, 'hours')} ago"
    if since > hours:
        return passed(f"the last election was {observed}", observed=observed, expected=expected)
    if up < hours:
        return untested(f"the primary was started {up:.1f} hours ago: whether it stays is known after {hours:g} hours")
    return warn(f"the last election was {observed}", observed=observed, expected=expected)


@check(
    id="database.repl.parity",
    component="database",
    severity="low",
    requires=REACH,
    privilege=MONITOR,
    effort="days",
    fix="Bring all members to one version and size; a smaller one becomes the bottleneck when it is primary",
    verify='mongosh "$MONGODB_URI" --eval "[db.version(), db.hostInfo().system.memLimitMB]"  # on every member',
    reference="https://www.mongodb.com/docs/manual/administration/production-checklist-operations/",
    verdicts=("pass", "warn"),
)
def parity(mongo: MongoFacts) -> Finding:
    """The members are equal in version, cores, memory and cache.

    Any of them may be primary tomorrow. Different versions are normal only during a rolling upgrade.
    """
    if (alone := standalone(mongo)) is not None:
        return alone
    traits = {member.address: _traits(member) for member in mongo.readable}
    names = ("version", "cores", "memory in MB", "cache in bytes")
    differing = [
        name for name, values in zip(names, zip(*traits.values(), strict=True), strict=True) if len(set(values)) > 1
    ]
    evidence = {address: ", ".join(map(str, values)) for address, values in traits.items()}
    expected = "all equal"
    if differing:
        message = f"members differ in {listed(differing)}"
        return warn(message, observed=f"different {listed(differing)}", expected=expected, evidence=evidence)
    return passed(
        f"{counted(len(traits), 'member')} equal in version and size",
        observed="all equal",
        expected=expected,
        evidence=evidence,
    )


def _traits(member: MongoMember) -> tuple[object, ...]:
    cache = maybe(lambda: member.gauges.cache_max)  # absent with another storage engine
    return member.version, member.host.cores, member.host.memory_mb, cache
