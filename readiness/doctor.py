"""Can the audit see what it needs? Reachability, missing rights, and the account that would have them. No score."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata

from readiness import __version__, demand, judge, secrets
from readiness.audit import Plan
from readiness.collect import Progress, collect, plan
from readiness.facts.base import Facts, maybe
from readiness.facts.collected import Collected, Outcome
from readiness.facts.http import HttpFacts
from readiness.facts.mongodb import MongoFacts
from readiness.facts.redis import RedisFacts
from readiness.loader import Registry
from readiness.model import Status
from readiness.report.text import clean, one_line
from readiness.spec import ProbeSpec

GLANCE_SECONDS = 0.2
"""The window: rights show at once, so there is nothing to wait for."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found, by name of the facts.

    `systems` are outcomes with a reason where one failed, `accounts` how to create the auditor's account where a probe
    knows it, `lacking` the checks that cannot be judged, by the right that they lack. `servers` say what they are, with
    their version, and `tools` are the same of this side: the packs, Python, the drivers that were used.
    """

    systems: Mapping[str, Collected]
    accounts: Mapping[str, str]
    lacking: Mapping[str, tuple[str, ...]]
    servers: Mapping[str, str]
    tools: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        return not self.lacking and all(entry.outcome is not Outcome.FAILED for entry in self.systems.values())


def examine(prepared: Plan, progress: Progress) -> Diagnosis:
    """Collects once with the shortest window and judges, only to see what stays in error for lack of a right."""
    settings = prepared.settings
    glance = settings.model_copy(
        update={
            "limits": settings.limits.model_copy(update={"window_seconds": GLANCE_SECONDS}),
            "load": settings.load.model_copy(update={"allow": False}),
        }
    )
    registry = prepared.registry
    planned = plan((registry.checks[id] for id in prepared.selection.ids(registry.checks)), registry.probes)
    run = collect(planned, glance, progress)
    collected = run.collected
    scrub = secrets.of(settings, run.secrets)
    lacking: dict[str, list[str]] = {}
    judged = judge.judge(registry.checks, collected, glance, prepared.parameters, prepared.selection)
    for entry in demand.relevant(judged, collected, demand.demand(collected, glance, prepared.selection.only)):
        if entry.finding.status is Status.ERROR and "needs" in entry.finding.evidence:
            lacking.setdefault(clean(scrub.text(str(entry.finding.evidence["needs"]))), []).append(entry.spec.id)
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
    servers = {
        facts.__name__: one_line(clean(scrub.text(server)), 60)
        for facts, entry in collected.items()
        if entry.facts is not None and (server := maybe(lambda found=entry.facts: _server(found)))  # type: ignore[misc]
    }
    used = [spec for facts, spec in planned.items() if collected[facts].outcome is not Outcome.NOT_CONFIGURED]
    return Diagnosis(
        systems,
        accounts,
        {right: tuple(ids) for right, ids in sorted(lacking.items())},
        servers,
        (*_packs(registry), f"Python {platform.python_version()}", *_drivers(used)),
    )


def _server(facts: Facts) -> str:
    """Name and version of what the facts are of; those of a pack may have a `version`."""
    match facts:
        case MongoFacts():
            versions = [maybe(lambda each=member: each.version) for member in facts.members]  # type: ignore[misc]
            return f"MongoDB {', '.join(sorted({version for version in versions if version}))}"
        case RedisFacts():
            return f"{facts.server.name} {maybe(lambda: facts.server.version) or ''}"
        case HttpFacts():
            return facts.root.header("server") or ""
        case _:
            version = getattr(facts, "version", "")
            name = type(facts).__name__.removesuffix("Facts")
            return f"{name} {version}" if version and isinstance(version, str) else ""


def _packs(registry: Registry) -> Iterable[str]:
    for pack in registry.packs:
        name = f"readiness {__version__}" if pack.name == "bundled" else f"pack {pack.name} {pack.version}"
        yield f"{name} ({pack.checks} checks)"


def _drivers(specs: Iterable[ProbeSpec]) -> Iterable[str]:
    """The distributions behind the modules that the probes import, with httpx, which reads everything over HTTP."""
    modules = {driver.partition(".")[0] for spec in specs for driver in spec.drivers} | {"httpx"}
    for module in sorted(modules):
        try:
            yield f"{module} {metadata.version(module)}"
        except metadata.PackageNotFoundError:
            continue
