"""Can the audit see what it needs? Reachability, missing rights, and the account that would have them. No score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from readiness import demand, judge, secrets
from readiness.audit import Plan
from readiness.collect import Progress, collect, plan
from readiness.facts.collected import Collected, Outcome
from readiness.model import Status
from readiness.report.text import clean

GLANCE_SECONDS = 0.2
"""The window: rights show at once, so there is nothing to wait for."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found, by name of the facts.

    `systems` are outcomes with a reason where one failed, `accounts` how to create the auditor's account where a probe
    knows it, `lacking` the checks that cannot be judged, by the right that they lack.
    """

    systems: Mapping[str, Collected]
    accounts: Mapping[str, str]
    lacking: Mapping[str, tuple[str, ...]]

    @property
    def healthy(self) -> bool:
        return not self.lacking and all(entry.outcome is not Outcome.FAILED for entry in self.systems.values())


def examine(prepared: Plan, progress: Progress) -> Diagnosis:
    """Collects once with the shortest window and judges, only to see what stays in error for lack of a right."""
    settings = prepared.settings
    glance = settings.model_copy(
        update={"limits": settings.limits.model_copy(update={"window_seconds": GLANCE_SECONDS})}
    )
    registry = prepared.registry
    planned = plan((registry.checks[id] for id in prepared.selection.ids(registry.checks)), registry.probes)
    collected = collect(planned, glance, progress).collected
    lacking: dict[str, list[str]] = {}
    judged = judge.judge(registry.checks, collected, glance, prepared.parameters, prepared.selection)
    for entry in demand.relevant(judged, collected, demand.demand(collected, glance, prepared.selection.only)):
        if entry.finding.status is Status.ERROR and "needs" in entry.finding.evidence:
            lacking.setdefault(str(entry.finding.evidence["needs"]), []).append(entry.spec.id)
    scrub = secrets.of(settings)
    accounts = {
        facts.__name__: clean(scrub.text(account(collected[facts].facts)))
        for facts, spec in planned.items()
        if (account := spec.account) is not None and collected[facts].outcome is not Outcome.NOT_CONFIGURED
    }
    systems = {
        facts.__name__: Collected(
            entry.outcome, reason=clean(scrub.text(entry.reason)), needs=entry.needs, seconds=entry.seconds
        )
        for facts, entry in collected.items()
    }
    return Diagnosis(systems, accounts, {right: tuple(ids) for right, ids in sorted(lacking.items())})
