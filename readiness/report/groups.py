"""The checks and items of a report in the order and the groups in which every format lists them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from readiness.model import COMPONENTS, ON_DEMAND, ChecklistItem, CheckResult, Report, Severity, Status
from readiness.report.figures import measurement
from readiness.report.vocabulary import NONE, component_name

MOST_ACTIONS = 10


def findings(report: Report) -> list[CheckResult]:
    """Everything that is wrong, worst first: by severity, then by what fixing it is worth."""
    return sorted(with_status(report, Status.WARN, Status.FAIL), key=_worst_first)


def _worst_first(check: CheckResult) -> tuple[float, ...]:
    gain = (check.gain.overall, check.gain.component) if check.gain else (0.0, 0.0)
    return (check.severity.rank, -gain[0], -gain[1], check.status is Status.WARN)


def worst_first(checks: Iterable[CheckResult]) -> list[CheckResult]:
    """All checks by status: what is wrong, then what is not known, then what is fine."""
    order = (
        Status.FAIL,
        Status.WARN,
        Status.ERROR,
        Status.BLOCKED,
        Status.SKIPPED,
        Status.UNTESTED,
        Status.WAIVED,
        Status.PASS,
        Status.NOT_APPLICABLE,
    )
    return sorted(checks, key=lambda check: order.index(check.status))


def strengths(report: Report) -> list[CheckResult]:
    """What passed, with what would have been gravest first."""
    return sorted(with_status(report, Status.PASS), key=lambda check: check.severity.rank)


def with_status(report: Report, *statuses: Status) -> list[CheckResult]:
    return [check for check in report.checks if check.status in statuses]


def by_component(checks: Iterable[CheckResult]) -> dict[str, list[CheckResult]]:
    """Checks by the name of their component, in the order of the table."""
    groups: dict[str, list[CheckResult]] = {id: [] for id in (*COMPONENTS, *ON_DEMAND)}
    for check in checks:
        groups.setdefault(check.component, []).append(check)
    return {component_name(id): group for id, group in groups.items() if group}


def severities(checks: Iterable[CheckResult]) -> str:
    """`1 critical, 3 high`."""
    ranks = [check.severity for check in checks]
    return ", ".join(f"{ranks.count(severity)} {severity}" for severity in Severity if severity in ranks)


def blocked(report: Report) -> dict[str, list[CheckResult]]:
    """Blocked checks by the parent that blocks them."""
    groups: dict[str, list[CheckResult]] = {}
    for check in with_status(report, Status.BLOCKED):
        parent = str(check.evidence.get("blocked_by", "")) or check.message.removeprefix("blocked by ")
        groups.setdefault(parent, []).append(check)
    return groups


def untested(report: Report) -> dict[str, list[CheckResult]]:
    """Untested checks by the sentence that names the key which would enable them."""
    groups: dict[str, list[CheckResult]] = {}
    for check in with_status(report, Status.UNTESTED):
        groups.setdefault(check.message, []).append(check)
    return groups


def errors(report: Report) -> dict[tuple[str, str], list[CheckResult]]:
    """Checks that could not be judged, by the reason and the privilege that was missing ("" where none is known)."""
    groups: dict[tuple[str, str], list[CheckResult]] = {}
    for check in with_status(report, Status.ERROR):
        groups.setdefault((check.message, str(check.evidence.get("needs", ""))), []).append(check)
    return groups


def declared(report: Report) -> list[CheckResult]:
    """What somebody vouches for: judged by the statement, and not measured."""
    return [check for check in report.checks if check.evidence.get("declared") is True]


_NO_CONNECTION = re.compile(r"^[A-Z]+ (https?://[^/\s]*[^/\s:])(?:/\S*)?: (could not connect.*)$", re.DOTALL)
"""Which path was asked for does not matter where there is no connection: without it, several probes say the same."""


def unreached(report: Report) -> list[tuple[str, str]]:
    """The systems that a probe could not read, by the names of their facts, with the reason: each reason once."""
    names: dict[str, list[str]] = {}
    for name, system in report.facts.items():
        if system.state in ("failed", "interrupted"):
            reason = _NO_CONNECTION.sub(r"\1: \2", system.reason) or system.state
            names.setdefault(reason, []).append(name.removesuffix("Facts"))
    return [(", ".join(own), reason) for reason, own in names.items()]


def actions(report: Report) -> list[CheckResult]:
    """What to do at once: the way to the target, then what else is grave in the first phase."""
    by_id = {check.id: check for check in report.checks}
    steps = [by_id[step.check] for step in report.path_to_target if step.check in by_id]
    grave = [check for check in findings(report) if check.phase == 1 and check.severity.rank <= 1]
    return list({check.id: check for check in [*steps, *grave]}.values())[:MOST_ACTIONS]


def goals(report: Report) -> list[ChecklistItem]:
    """The items of the last phase that are not done."""
    last = max((item.phase for item in report.checklist), default=0)
    return [item for item in report.checklist if item.phase == last and item.state != "done"]


def measurements(report: Report) -> dict[str, tuple[list[str], dict[str, list[str]]]]:
    """Measured figures by group: the columns, and each subject's figures in their order, a dash where it has none."""
    groups: dict[str, dict[str, dict[str, str]]] = {}
    columns: dict[str, dict[str, None]] = {}
    for entry in report.measurements:
        columns.setdefault(entry.group, {})[entry.name] = None
        groups.setdefault(entry.group, {}).setdefault(entry.subject, {})[entry.name] = measurement(entry)
    return {
        group: (
            names := list(columns[group]),
            {on: [own.get(name, NONE) for name in names] for on, own in rows.items()},
        )
        for group, rows in groups.items()
    }


def checklist(report: Report) -> dict[int, list[ChecklistItem]]:
    """The items by phase."""
    phases: dict[int, list[ChecklistItem]] = {}
    for item in report.checklist:
        phases.setdefault(item.phase, []).append(item)
    return dict(sorted(phases.items()))
