"""Checks over facts: pure, no I/O, no clock. Every check gets exactly one status, whatever happens inside it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from readiness.config import nearest
from readiness.errors import FactMissing
from readiness.facts.base import ABSENT, UNREADABLE
from readiness.facts.collected import Collected, Collection, Outcome
from readiness.loader import in_order
from readiness.model import Finding, Status, WaiverRecord
from readiness.settings import Section, Settings, WaiverSettings
from readiness.spec import CheckSpec
from readiness.verdict import not_applicable, untested


@dataclass(frozen=True, slots=True)
class Judged:
    """A check with its finding; `waived` hides a finding without changing it."""

    spec: CheckSpec
    finding: Finding
    waived: bool = False

    @property
    def status(self) -> Status:
        return Status.WAIVED if self.waived else self.finding.status


@dataclass(frozen=True, slots=True)
class Selection:
    """Which checks run. With `only`, the rest of a touched component is skipped and other components are not run."""

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()

    def ids(self, checks: Mapping[str, CheckSpec]) -> set[str]:
        """The ids to judge, with everything that they require."""
        chosen = {id for id in checks if not self.only or matches(id, self.only)}
        waiting = list(chosen)
        while waiting:
            for parent in checks[waiting.pop()].requires:
                if parent not in chosen:
                    chosen.add(parent)
                    waiting.append(parent)
        return {id for id in chosen if not matches(id, self.skip)}

    def components(self, checks: Mapping[str, CheckSpec]) -> set[str]:
        """The components that take part at all."""
        return {spec.component for id, spec in checks.items() if not self.only or matches(id, self.only)}


def matches(id: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(id, pattern) or id.startswith(pattern + ".") for pattern in patterns)


def unmatched(patterns: Iterable[str], checks: Iterable[str]) -> list[str]:
    """The patterns of --only and --skip that select nothing."""
    ids = list(checks)
    return [pattern for pattern in patterns if not any(matches(id, (pattern,)) for id in ids)]


def judge(
    checks: Mapping[str, CheckSpec],
    collection: Collection,
    settings: Settings,
    parameters: Mapping[str, Mapping[str, Any]],
    selection: Selection = Selection(),
) -> list[Judged]:
    """Judges every check, parents first.

    Args:
        collection: what the probes found, by facts type.
        parameters: validated settings of single checks, by id and name.

    Returns:
        One `Judged` for each check of the selection's components, in the order of `checks`.
    """
    chosen, components = selection.ids(checks), selection.components(checks)
    judged: dict[str, Judged] = {}
    for spec in in_order(checks):
        if spec.component not in components:
            continue
        if spec.id not in chosen:
            finding = Finding(Status.SKIPPED, "left out by --skip" if matches(spec.id, selection.skip) else "not run")
        else:
            parents = {id: judged[id].finding for id in spec.requires if id in judged}
            finding = inherited(parents) or call(spec, collection, settings, parameters.get(spec.id, {}))
        judged[spec.id] = Judged(spec, finding)
    return [judged[id] for id in checks if id in judged]


def inherited(parents: Mapping[str, Finding]) -> Finding | None:
    """What a check gets from the checks it requires, or None where it is judged on its own.

    A waiver on a parent changes nothing here: it hides a finding, it does not make the thing work.
    """
    for parent in parents.values():
        if parent.status is Status.NOT_APPLICABLE:
            return Finding(Status.NOT_APPLICABLE, parent.message, evidence=parent.evidence)
    for id, parent in parents.items():
        if parent.status not in (Status.PASS, Status.UNTESTED):
            return Finding(Status.BLOCKED, f"blocked by {id}", evidence={"blocked_by": id})
    for parent in parents.values():
        if parent.status is Status.UNTESTED:
            return Finding(Status.UNTESTED, parent.message)
    return None


def call(spec: CheckSpec, collection: Collection, settings: Settings, parameters: Mapping[str, Any]) -> Finding:
    """One check on its own, without regard to what it requires."""
    arguments: dict[str, Any] = {}
    missing: list[Collected] = []
    failure: Finding | None = None
    available = False
    for name, wanted in spec.inputs.items():
        if issubclass(wanted.type, Section):
            arguments[name] = settings.section(wanted.type)
            continue
        entry = collection.get(wanted.type) or Collected(Outcome.FAILED, reason="its probe did not run")
        if entry.outcome is Outcome.NOT_CONFIGURED:
            arguments[name] = None
            if not wanted.optional:
                return _unconfigured([entry], settings)
            missing.append(entry)
        elif entry.facts is None:
            failure = failure or Finding(Status.ERROR, entry.reason, evidence=_needs(entry.privilege))
            if not wanted.optional:
                return failure
            # The check may do without, or find out by touching it.
            arguments[name] = wanted.type.unavailable(entry.reason, entry.privilege)
        else:
            arguments[name] = entry.facts
            available = True
    if not available and missing and not failure:
        return _unconfigured(missing, settings)
    if not available and failure and not missing:
        return failure
    finding = _called(spec, arguments | dict(parameters))
    # Without a single fact a check can tell but one thing: that what it is about was not configured in the first place.
    return failure if failure and not available and finding.status is not Status.UNTESTED else finding


def _called(spec: CheckSpec, arguments: Mapping[str, Any]) -> Finding:
    """What the function says; a fact that is missing, and everything else that it raises or returns, is an error."""
    try:
        finding = spec.function(**arguments)
    except FactMissing as error:
        privilege = error.privilege or (spec.privilege if "refused" in error.reason else "")
        return Finding(Status.ERROR, _absence(error), evidence=_needs(privilege))
    except Exception as error:
        return Finding(Status.ERROR, f"the check itself failed: {type(error).__name__}: {error}")
    if not isinstance(finding, Finding) or not _permitted(spec, finding):
        return Finding(Status.ERROR, f"the check itself failed: it returned {finding!r}")
    return finding


def _unconfigured(missing: Sequence[Collected], settings: Settings) -> Finding:
    """What a check gets whose systems are not configured: others may stand in for them, or there are none."""
    needs = " or ".join(entry.needs for entry in missing)
    declined = [settings.declined(entry.needs) for entry in missing]
    if all(entry.reason or reason for entry, reason in zip(missing, declined, strict=True)):
        return not_applicable(missing[0].reason or f"declared absent: {declined[0]}", needs=needs)
    return untested(f"needs {needs} in the configuration")


def _absence(error: FactMissing) -> str:
    """Why a fact is absent, for people: its name in the code says nothing to them unless the reason is about it."""
    if error.reason == ABSENT.reason or error.reason.startswith(UNREADABLE):
        return f"{error.fact.rpartition('.')[2].replace('_', ' ')}: {error.reason}"
    return error.reason


def _permitted(spec: CheckSpec, finding: Finding) -> bool:
    return finding.status in (*spec.verdicts, Status.NOT_APPLICABLE, Status.UNTESTED)


def _needs(privilege: str | None) -> dict[str, str]:
    return {"needs": privilege} if privilege else {}


def waive(
    judged: Sequence[Judged],
    waivers: Sequence[WaiverSettings],
    today: dt.date,
    known: Iterable[str] | None = None,
) -> tuple[list[Judged], list[WaiverRecord]]:
    """Applies waivers to findings that are `warn` or `fail`. One is valid to the end of its last day, in UTC.

    What could not be judged cannot be accepted, so errors and blocked checks stay as they are.

    Args:
        today: the day of the audit, in UTC.
        known: the ids of every check there is, where `judged` may lack some.
    """
    by_id = {entry.spec.id: entry for entry in judged}
    ids = None if known is None else set(known)
    waived: set[str] = set()
    records = []
    for waiver in waivers:
        entry = by_id.get(waiver.check)
        if ids is not None and waiver.check not in ids:
            state = "unknown"
        elif today > waiver.expires:
            state = "expired"
        elif entry is None:
            state = "not_run"
        elif entry.finding.status in (Status.WARN, Status.FAIL):
            state = "applied"
            waived.add(waiver.check)
        elif entry.finding.status is Status.PASS:
            state = "unneeded"
        else:
            state = "not_applied"
        left = (waiver.expires - today).days if state != "expired" else None
        hint = nearest(waiver.check, ids or ()) if state == "unknown" else ""
        expires = waiver.expires.isoformat()
        records.append(WaiverRecord(waiver.check, waiver.reason, waiver.owner, expires, state, left, hint))
    return [Judged(e.spec, e.finding, e.spec.id in waived) for e in judged], records
