"""The one way through, settings -> report, on a page; every command that audits walks it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from readiness import collect, compose, config, demand, history, judge, secrets
from readiness.errors import ConfigError
from readiness.facts import collected as facts_file
from readiness.facts.collected import Outcome
from readiness.judge import Selection
from readiness.loader import Registry, load
from readiness.machine import give_way
from readiness.model import Report
from readiness.report import writable
from readiness.report.json_format import from_data, to_data
from readiness.report.json_format import load as load_report
from readiness.report.text import clean_data
from readiness.settings import HistorySettings, Settings


@dataclass(frozen=True, slots=True)
class Plan:
    """A validated audit: nothing was contacted yet, and nothing in it can turn out to be a usage error."""

    settings: Settings
    registry: Registry
    parameters: dict[str, dict[str, object]]
    selection: Selection
    facts: Path | None = None  # judge these instead of collecting
    save_facts: Path | None = None
    baseline: Report | None = None


@dataclass(frozen=True, slots=True)
class Audited:
    """The report, whether a probe had to be left behind with its thread, and why facts or history lack it, if so."""

    report: Report
    abandoned: bool
    problems: tuple[ConfigError, ...] = ()


def prepare(
    source: config.Source,
    *,
    only: tuple[str, ...] = (),
    skip: tuple[str, ...] = (),
    facts: Path | None = None,
    save_facts: Path | None = None,
    baseline: Path | None = None,
    strict: bool = False,
    registry: Registry | None = None,
) -> Plan:
    """Loads the packs and validates everything that the user said.

    Args:
        baseline: a saved report to compare with.
        strict: unknown and expired waivers are errors.
        registry: the packs, where they are loaded already.

    Raises:
        ConfigError: bad input, with its place.
        PackError: a pack that cannot be loaded.
    """
    registry = registry or load(config.packs(source))
    settings = config.validate(source, registry)
    for flag, patterns in (("--only", only), ("--skip", skip)):
        for pattern in judge.unmatched(patterns, registry.checks):
            hint = config.nearest(pattern, registry.checks) or "readiness checks lists them"
            raise ConfigError(f"no check matches {pattern!r}", place=flag, hint=hint)
    if all(judge.matches(id, skip) for id in registry.checks if not only or judge.matches(id, only)):
        raise ConfigError("nothing is left to judge", place="--skip", hint="it leaves out every check that was chosen")
    if only and settings.gate.fail_under is not None:
        raise ConfigError(
            "--only withholds the overall score", place="--fail-under", hint="gate on --component NAME=N instead"
        )
    if not facts and not any(settings.given(spec.needs) for spec in registry.probes.values()):
        hint = "give a URL, --mongodb, --redis, --kubernetes, or a readiness.yaml with -c"
        raise ConfigError("nothing to audit", hint=hint)
    if save_facts is not None:
        writable(save_facts)
    if strict:
        config.demand_valid(settings.waivers, registry.checks, source, datetime.now(UTC).date())
    if settings.history.file is not None:
        history.examine(settings.history.file)
    return Plan(
        settings,
        registry,
        config.parameters(settings, registry, source),
        Selection(only, skip),
        facts,
        save_facts,
        None if baseline is None else load_report(config.read_text(baseline), str(baseline)),
    )


def run(
    plan: Plan,
    progress: collect.Progress = lambda name, outcome: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    *,
    crowded: bool = False,
) -> Audited:
    """Collects, judges, scores and composes. Interrupted, it reports on what it has.

    `crowded`: many audits share this machine, and the process ends with this one.
    """
    started_at, began = now(), time.monotonic()
    settings, registry = plan.settings, plan.registry
    chosen = plan.selection.ids(registry.checks)
    planned = collect.plan((registry.checks[id] for id in chosen), registry.probes)
    if plan.facts is not None:
        place = str(plan.facts)
        run = collect.Run(facts_file.load(config.read_text(plan.facts), place, registry.probes))
    else:
        run = collect.collect(planned, settings, progress, crowded=crowded)
    if crowded:
        give_way()
    scrub = secrets.of(settings, run.secrets)
    unsaved = _save(plan.save_facts, facts_file.dump(run.collected, scrub.data)) if plan.save_facts else ()
    judged = judge.judge(registry.checks, run.collected, settings, plan.parameters, plan.selection)
    demanded = demand.demand(run.collected, settings, plan.selection.only)
    judged = demand.relevant(judged, run.collected, demanded)
    judged, waivers = judge.waive(judged, settings.waivers, started_at.astimezone(UTC).date(), registry.checks)
    material = compose.Material(
        settings=settings,
        registry=registry,
        judged=judged,
        waivers=waivers,
        collected={facts.__name__: entry for facts, entry in run.collected.items() if facts in planned},
        started_at=started_at,
        interrupted=run.interrupted or any(e.outcome is Outcome.INTERRUPTED for e in run.collected.values()),
        partial=bool(plan.selection.only),
        notices=tuple(_notices(plan)),
        on_demand=demanded.present,
    )
    report = compose.report(material, time.monotonic() - began)
    # Once, for every format: what strangers sent loses its control characters, and no secret passes.
    report = from_data(clean_data(scrub.data(to_data(report))))
    if plan.baseline is not None:
        report = compose.against(report, plan.baseline, settings.gate)
    return _recorded(Audited(report, run.abandoned, unsaved), settings.history)


def _save(path: Path, facts: str) -> tuple[ConfigError, ...]:
    """Why it could not be done, if so: an audit whose facts cannot be saved is still reported."""
    from readiness.report import write

    try:
        write(path, facts)
    except ConfigError as error:
        return (error,)
    return ()


def _recorded(audited: Audited, settings: HistorySettings) -> Audited:
    """With the history, where one is kept. An audit that cannot be recorded is still reported."""
    if settings.file is None:
        return audited
    try:
        earlier = history.record(settings.file, audited.report, settings.keep)
    except ConfigError as error:
        return replace(audited, problems=(*audited.problems, error))
    return replace(audited, report=replace(audited.report, history=earlier))


def _notices(plan: Plan) -> list[str]:
    settings = plan.settings
    notices = []
    if plan.facts is not None:
        notices.append(f"judged from the saved facts in {plan.facts}; nothing was contacted")
    if plan.selection.skip:
        notices.append(f"left out by --skip, counted as 0: {', '.join(plan.selection.skip)}")
    if plan.selection.only:
        notices.append("only a part was run, so there is no overall score")
    if settings.gate.no_regression is not None and plan.baseline is None:
        notices.append("gate.no_regression has no effect without --baseline")
    if settings.attestations.measured_only:
        notices.append("attestations are ignored: what is only declared is not tested")
    weights = {id: entry.weight for id, entry in settings.components.items() if entry.weight != 1}
    if weights:
        notices.append("component weights: " + ", ".join(f"{id} {weight:g}" for id, weight in weights.items()))
    for id, values in settings.checks.items():
        notices.append(f"{id} was judged with " + ", ".join(f"{name}={value}" for name, value in values.items()))
    return notices
