"""Judged checks and their scores -> the report. What is printed is computed here, once, for every format."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction

from readiness import __version__, diff, gate, scoring
from readiness.addresses import addresses, filled, observed, trusting
from readiness.facts import load_measurements, measurements
from readiness.facts.architecture import architecture
from readiness.facts.collected import Collected, Outcome
from readiness.facts.stack import recognised
from readiness.judge import Judged
from readiness.loader import Registry
from readiness.model import (
    CHECKLIST,
    COMPONENTS,
    ON_DEMAND,
    SCHEMA_VERSION,
    Architecture,
    Cap,
    ChecklistItem,
    CheckResult,
    Component,
    Expectation,
    Rating,
    Report,
    State,
    Status,
    SystemRecord,
    Tool,
    WaiverRecord,
)
from readiness.scoring import Item, Scoreboard
from readiness.settings import GateSettings, Section, Settings
from readiness.spec import CheckSpec
from readiness.verdict import not_applicable

ATTENTION = (Status.FAIL, Status.ERROR, Status.WARN)


@dataclass(frozen=True, slots=True)
class Material:
    """Everything that a report is made of. `on_demand` holds those components of `ON_DEMAND` that take part."""

    settings: Settings
    registry: Registry
    judged: Sequence[Judged]
    waivers: Sequence[WaiverRecord]
    collected: Mapping[str, Collected]
    started_at: datetime
    interrupted: bool
    partial: bool  # --only was given: the overall score is withheld
    notices: tuple[str, ...]
    on_demand: frozenset[str] = frozenset()


def report(material: Material, duration_seconds: float) -> Report:
    """The report, with every figure as it is printed and gated on."""
    settings = material.settings
    absences: dict[str, str] = {
        id: entry.absent for id, entry in settings.components.items() if entry.absent is not None
    }
    weights: dict[str, Fraction] = {id: Fraction(str(entry.weight)) for id, entry in settings.components.items()}
    judged = [_declined(entry, absences) for entry in material.judged]
    items = _items(judged, waived=True)
    board = Scoreboard(items, weights, excluded=absences)
    unwaived = Scoreboard(_items(judged, waived=False), weights, excluded=absences)
    named = {str(name): "named by http.stack" for name in settings.http.stack}
    stack = named or recognised(material.collected)
    places = observed(material.collected)
    checks = tuple(
        _result(entry, item, board, stack, settings, places) for entry, item in zip(judged, items, strict=True)
    )
    names = {**COMPONENTS, **{id: name for id, name in ON_DEMAND.items() if id in material.on_demand}}
    components = tuple(_components(names, board, unwaived, checks, settings, absences))
    score = None if material.partial else _published(board.overall.score)
    coverage = None if board.overall.coverage is None else scoring.share(board.overall.coverage)
    return Report(
        schema_version=SCHEMA_VERSION,
        tool=Tool("readiness", __version__, scoring.MODEL, material.registry.packs),
        service=settings.service,
        environment=settings.environment,
        target=settings.http.url or settings.service,
        started_at=material.started_at.isoformat(timespec="seconds"),
        duration_seconds=round(duration_seconds, 2),
        interrupted=material.interrupted,
        incomplete=any(entry.outcome is Outcome.FAILED for entry in material.collected.values()),
        score=score,
        headline=None if score is None else scoring.headline(score),
        target_score=settings.target_score,
        rating=None if score is None else scoring.rating(score),
        coverage=coverage,
        upper_bound=None if material.partial else _published(board.overall.upper_bound),
        unwaived_score=None if material.partial else _published(unwaived.overall.score),
        cap=None if material.partial else _overall_cap(board),
        components=components,
        checks=checks,
        checklist=tuple(_checklist(material.judged)),
        expectations=tuple(_expectations(material.judged, settings)),
        # A part of the systems would draw a part of the deployment, and recommend what is there already.
        architecture=Architecture()
        if material.partial
        else architecture(material.collected, settings.service or settings.http.url or "", absences),
        path_to_target=() if material.partial or score is None else tuple(board.path(settings.target_score)),
        gate=gate.evaluate(settings.gate, score, coverage, components, checks),
        waivers=tuple(material.waivers),
        absences=absences,
        notices=material.notices,
        facts={
            name: SystemRecord(name, entry.outcome.value, entry.reason, round(entry.seconds, 2))
            for name, entry in material.collected.items()
        },
        measurements=(*measurements.database(material.collected), *load_measurements.load(material.collected)),
        stack=stack,
    )


def against(report: Report, baseline: Report, settings: GateSettings) -> Report:
    """The finished report with what changed since `baseline`, and the gate's conditions on that."""
    comparison = diff.compare(baseline, report)
    judged = gate.evaluate(settings, report.score, report.coverage, report.components, report.checks, comparison)
    return replace(report, comparison=comparison, gate=judged)


def _declined(entry: Judged, absences: Mapping[str, str]) -> Judged:
    """Of a component that is declared absent nobody is to configure anything."""
    reason = absences.get(entry.spec.component)
    if reason is None or entry.finding.status is not Status.UNTESTED:
        return entry
    return replace(entry, finding=not_applicable(f"declared absent: {reason}", declared=reason))


def _overall_cap(board: Scoreboard) -> Cap | None:
    raw, score = board.overall.raw, board.overall.score
    if raw is None or score is None or raw == score:
        return None
    names = [
        {**COMPONENTS, **ON_DEMAND}[id]
        for id, entry in board.components.items()
        if entry.state is not State.NOT_CONFIGURED
        and scoring.rating(scoring.published(entry.score or Fraction(0))) is Rating.NOT_READY
    ]
    return Cap(
        float(score), scoring.published(raw), f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} not ready"
    )


def _items(judged: Iterable[Judged], *, waived: bool) -> list[Item]:
    return [
        Item(
            entry.spec.id,
            entry.spec.component,
            entry.spec.severity,
            entry.status if waived else entry.finding.status,
            entry.finding.credit,
            str(entry.finding.evidence.get("blocked_by", "")) if entry.status is Status.BLOCKED else "",
        )
        for entry in judged
    ]


def _published(score: Fraction | None) -> float | None:
    return None if score is None else scoring.published(score)


def _result(
    entry: Judged,
    item: Item,
    board: Scoreboard,
    stack: Mapping[str, str],
    settings: Settings,
    places: Mapping[str, str],
) -> CheckResult:
    spec, finding = entry.spec, entry.finding
    counted = entry.status in scoring.COUNTED
    fix, fix_for = (finding.fix, "") if finding.fix else spec.fix_in(stack)
    known = addresses(settings, spec.component, places)
    return CheckResult(
        id=spec.id,
        component=spec.component,
        title=spec.title,
        severity=spec.severity,
        status=entry.status,
        message=finding.message,
        credit=round(float(item.earned), 3) if counted else None,
        observed=finding.observed,
        expected=finding.expected,
        evidence=finding.evidence,
        explanation=spec.explanation,
        fix=trusting(filled(fix, known), settings),
        verify=trusting(filled(finding.verify or spec.verify, known), settings),
        effort=spec.effort,
        reference=spec.reference,
        privilege=spec.privilege,
        phase=spec.phase,
        gain=board.gain(item),
        unwaived_status=finding.status if entry.waived else None,
        fix_for=fix_for,
        exact_credit=str(finding.credit or Fraction(1, 2)) if finding.status is Status.WARN else "",
        settings=_judged_by(spec, settings),
    )


def _judged_by(spec: CheckSpec, settings: Settings) -> dict[str, str]:
    """What the configuration changed of the check's own settings, and of the numbers in the sections that it takes."""
    values = {name: value for name, value in settings.checks.get(spec.id, {}).items() if name in spec.settings}
    changed = {name: (value, spec.settings[name].default) for name, value in values.items()}
    for wanted in spec.inputs.values():
        if not issubclass(wanted.type, Section):
            continue
        section = settings.section(wanted.type)
        for name, field in wanted.type.model_fields.items():
            value = getattr(section, name)
            if isinstance(value, (bool, int, float)):  # the rest says where, and may be secret
                changed[name] = value, field.default
    texts = {name: [json.dumps(each, default=str) for each in pair] for name, pair in changed.items()}
    return {name: value for name, (value, default) in texts.items() if value != default}


def _components(
    names: Mapping[str, str],
    board: Scoreboard,
    unwaived: Scoreboard,
    checks: Sequence[CheckResult],
    settings: Settings,
    absences: Mapping[str, str],
) -> Iterable[Component]:
    for id, name in names.items():
        weight = settings.components[id].weight if id in settings.components else 1.0
        own = [check for check in checks if check.component == id]
        entry = board.components.get(id)
        if entry is None:
            state = State.ABSENT if id in absences else State.NOT_RUN
            notes = f"absent: {absences[id]}" if id in absences else "not run"
            notes += _left_out(own)
            yield Component(id, name, state, None, None, None, weight, None, None, None, None, notes)
            continue
        score = _published(entry.score)
        before = unwaived.components[id].score
        cap = entry.ceiling
        yield Component(
            id=id,
            name=name,
            state=entry.state,
            score=score,
            headline=None if score is None else scoring.headline(score),
            rating=None if score is None else scoring.rating(score),
            weight=weight,
            coverage=None if entry.coverage is None else scoring.share(entry.coverage),
            upper_bound=_published(entry.upper_bound),
            unwaived_score=_published(before),
            cap=None
            if cap is None or entry.raw is None
            else Cap(float(cap.value), scoring.published(entry.raw), _cap_reason(cap.check, own)),
            notes=_notes(entry.state, own) + _left_out(own),
        )


def _cap_reason(id: str, checks: Iterable[CheckResult]) -> str:
    status = next(check.status for check in checks if check.id == id)
    words = {Status.FAIL: "failed", Status.WARN: "is not fully met", Status.ERROR: "could not be judged"}
    return f"{id} {words.get(status, 'is ' + status.value)}"


def _notes(state: State, checks: Sequence[CheckResult]) -> str:
    """One line for the table: the finding that costs most, and how many more there are.

    What could not be judged comes after what was found: nobody can repair it.
    """
    if state is State.NOT_CONFIGURED:
        return min(checks, key=lambda check: check.severity.rank).message
    wrong = sorted(
        (check for check in checks if check.status in ATTENTION and check.severity.rank < 4),
        key=lambda check: (
            check.status is Status.ERROR,
            check.severity.rank - (0 if check.status is Status.WARN else 1),
            -_lost(check),
        ),
    )
    if not wrong:
        passed = sum(check.status is Status.PASS for check in checks)
        return f"all {passed} checks pass" if passed else "nothing to judge"
    more = f" (+{len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return f"{wrong[0].message}{more}"


def _left_out(checks: Sequence[CheckResult]) -> str:
    """What was not asked for counts as 0, which explains a score; an empty text where that is nothing."""
    skipped = [check.message for check in checks if check.status is Status.SKIPPED]
    by_flag = sum(message.endswith("--skip") for message in skipped)
    flags = {"--only": len(skipped) - by_flag, "--skip": by_flag}
    parts = [f"{count} left out by {flag}" for flag, count in flags.items() if count]
    return f"; {', '.join(parts)}, counted as 0" if parts else ""


def _lost(check: CheckResult) -> float:
    return scoring.WEIGHTS[check.severity] * (1 - (check.credit or 0))


def _checklist(judged: Sequence[Judged]) -> Iterable[ChecklistItem]:
    for phase, names in CHECKLIST.items():
        for name in names:
            own = [entry for entry in judged if entry.spec.phase == phase and entry.spec.item == name]
            yield ChecklistItem(phase, name, _state(own), tuple(entry.spec.id for entry in own))


def _state(entries: Sequence[Judged]) -> str:
    assessed = [entry.finding.status for entry in entries if entry.finding.status in scoring.ASSESSED]
    if not assessed:
        return "unknown"
    if all(status is Status.PASS for status in assessed) and not any(
        entry.finding.status in scoring.UNASSESSED for entry in entries
    ):
        return "done"
    return "partial" if any(status is not Status.FAIL for status in assessed) else "open"


def _expectations(judged: Sequence[Judged], settings: Settings) -> Iterable[Expectation]:
    measured: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for entry in judged:
        if entry.spec.expectation is None:
            continue
        if entry.finding.measured is None:
            reasons.setdefault(entry.spec.expectation, entry.finding.message)
        else:
            measured.setdefault(entry.spec.expectation, entry.finding.measured)
    for metric, target in settings.expectations.model_dump().items():
        value = measured.get(metric)
        upwards = metric in ("cache_hit_rate", "concurrent_users")
        if value is None:
            yield Expectation(metric, target, None, None, reasons.get(metric, "no check measures it"))
        else:
            yield Expectation(metric, target, round(value, 4), value >= target if upwards else value <= target)
