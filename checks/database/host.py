"""The machine under the database, as mongod itself records it."""

from __future__ import annotations

from readiness.api import Finding, check, failed, maybe, not_applicable, passed, show, warn
from readiness.facts.mongodb import MongoFacts, MongoMember
from readiness.facts.mongodb_estate import HostLoad

from ._members import MONITOR, REACH, each, quiet

LEAST_SECONDS = 0.9
"""mongod samples its machine once a second: a shorter time between two samples is noise."""


@check(
    id="database.host.resources",
    component="database",
    severity="medium",
    requires=REACH,
    privilege=MONITOR,
    effort="days",
    fix="Find what is busy (top, database.index.targeting), switch swap off, and give the host more cores or memory",
    verify='mongosh "$MONGODB_URI" --eval "db.adminCommand({getDiagnosticData: 1}).data.systemMetrics.memory"',
    reference="https://www.mongodb.com/docs/manual/administration/production-notes/",
)
def resources(
    mongo: MongoFacts, *, cpu: tuple[float, float] = (0.70, 0.90), memory: tuple[float, float] = (0.15, 0.05)
) -> Finding:
    """The hosts of the database have processor time and memory to spare, and do not swap.

    From what mongod records of its machine once a second; nothing is installed on the host. In a container these are
    the figures of its host. Up to 70 % of the processor is fine, and from 90 % nothing is left for a peak or for the
    load of a lost member. Where the audit reaches the database over loopback both share one machine and the audit's own
    work is in the figure, so a busy processor is a warning at most.
    """
    if mongo.platform != "self_managed":
        return not_applicable("the platform runs the hosts", platform=mongo.platform)

    def judge(member: MongoMember) -> Finding:
        load = member.host_load
        expected = f"processor up to {cpu[0]:.0%}, {memory[0]:.0%} of the memory available, no swapping"
        free = load.memory_available
        if free < memory[1]:
            message = f"{free:.0%} of the memory is available"
            return failed(message, observed=message, expected=expected)
        busy = maybe(lambda: load.cpu_busy) if load.seconds >= LEAST_SECONDS else None
        found = _wrong(member, load, busy, cpu, memory)
        text = f"{free:.0%} of the memory available, {show(load.pages_swapped_in, 'pages')} swapped in"
        if busy is None:
            if found is None:
                return quiet("mongod took no second sample of its machine", member.window_seconds)
            return Finding(found.status, found.message, text, expected)
        text = f"processor {busy:.0%} busy, {text}"
        if found is None:
            return passed(text, observed=text, expected=expected)
        return Finding(found.status, found.message, text, expected)

    return each(mongo, judge)


def _wrong(
    member: MongoMember, load: HostLoad, busy: float | None, cpu: tuple[float, float], memory: tuple[float, float]
) -> Finding | None:
    """The gravest of what is not as it should be."""
    if busy is not None and busy > cpu[1]:
        message = f"the processor is {busy:.0%} busy"
        if not member.loopback:
            return failed(message)
        return warn(f"{message}, with the audit's own work on the same machine")
    if load.pages_swapped_in > 0:
        return warn(f"{show(load.pages_swapped_in, 'pages')} were swapped in within {load.seconds:.0f} s")
    if load.memory_available < memory[0]:
        return warn(f"{load.memory_available:.0%} of the memory is available")
    if busy is not None and busy > cpu[0]:
        return warn(f"the processor is {busy:.0%} busy")
    return None
