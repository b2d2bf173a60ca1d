"""The report as a textfile for the node exporter: gauges of this run, without time stamps, as its collector demands."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from readiness.model import EXPIRES_SOON, Report, Severity, State, Status
from readiness.report.text import clean, one_line
from readiness.report.wording import WAIVER_STATES, ends_soon, findings

Sample = tuple[Mapping[str, str], float | None]


def render(report: Report, template_dir: Path | None = None) -> str:
    """Families in the text exposition format; a figure that the report does not have is left out, never 0.

    There is no template.
    """
    common = {"service": report.service, "environment": report.environment}
    lines: list[str] = []
    for name, help, samples in _families(report):
        # By their labels, because a collector refuses a file in which two samples have the same.
        present = {_labels(common | dict(labels)): value for labels, value in samples if value is not None}
        if present:
            lines += [f"# HELP {name} {help}", f"# TYPE {name} gauge"]
            lines += [f"{name}{{{labels}}} {value:.10g}" for labels, value in present.items()]
    return "\n".join(lines) + "\n"


def _families(report: Report) -> Iterator[tuple[str, str, Iterable[Sample]]]:
    none: Mapping[str, str] = {}
    components = [component for component in report.components if component.state is not State.NOT_RUN]
    statuses = Counter(check.status for check in report.checks)
    severities = Counter(check.severity for check in findings(report))
    about = {"version": report.tool.version, "scoring_model": report.tool.scoring_model}
    yield "readiness_info", "The auditor that wrote this.", [(about, 1)]
    yield "readiness_score", "Overall score, out of 10.", [(none, report.score)]
    yield "readiness_target_score", "The score that is aimed at, out of 10.", [(none, report.target_score)]
    yield "readiness_upper_bound", "Overall score if all that was not assessed passed.", [(none, report.upper_bound)]
    yield "readiness_unwaived_score", "Overall score without waivers.", [(none, report.unwaived_score)]
    yield "readiness_coverage_ratio", "Share of the weight that was assessed.", [(none, report.coverage)]
    yield (
        "readiness_component_score",
        "Score of a component, out of 10.",
        [({"component": each.id}, each.score) for each in components],
    )
    yield (
        "readiness_component_coverage_ratio",
        "Share of a component's weight that was assessed.",
        [({"component": each.id}, each.coverage) for each in components],
    )
    yield "readiness_checks", "Checks by status.", [({"status": each.value}, statuses[each]) for each in Status]
    yield (
        "readiness_findings",
        "Checks that failed or warn, by severity.",
        [({"severity": each.value}, severities[each]) for each in Severity],
    )
    waivers = Counter(waiver.state for waiver in report.waivers)
    yield "readiness_waivers", "Waivers by what they do.", [({"state": each}, waivers[each]) for each in WAIVER_STATES]
    soon = sum(ends_soon(waiver) for waiver in report.waivers)
    yield "readiness_waivers_ending_soon", f"Waivers that end within {EXPIRES_SOON} days.", [(none, soon)]
    yield "readiness_gate_passed", "Whether every condition of the gate was met.", [(none, report.gate.passed)]
    yield "readiness_incomplete", "Whether a configured system could not be read.", [(none, report.incomplete)]
    yield "readiness_interrupted", "Whether the audit was interrupted.", [(none, report.interrupted)]
    yield "readiness_audit_duration_seconds", "How long the audit took.", [(none, report.duration_seconds)]
    yield "readiness_audit_timestamp_seconds", "When the audit began, in Unix time.", [(none, _unix(report.started_at))]


def _unix(rfc3339: str) -> float | None:
    try:
        return dt.datetime.fromisoformat(rfc3339).timestamp()
    except (ValueError, OverflowError):
        return None


def _labels(labels: Mapping[str, str]) -> str:
    """Label names are ours, their values may be anybody's."""
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return one_line(clean(value), 200).replace("\\", "\\\\").replace('"', '\\"')
