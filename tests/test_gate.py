"""Every row of the exit-code table, decided on the report's own figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from readiness.gate import ExitCode, evaluate, exit_code
from readiness.model import (
    Architecture,
    CheckResult,
    Component,
    Gate,
    Rating,
    Report,
    Severity,
    State,
    Status,
    Tool,
)
from readiness.settings import GateSettings

DATABASE = Component(
    "database", "Database", State.ASSESSED, 8.2, 8, Rating.READY, 1, 1.0, 8.2, 8.2, None, "all checks pass"
)
CHECK = CheckResult("database.a", "database", "A", Severity.HIGH, Status.FAIL, "broken")
REPORT = Report(
    schema_version="1", tool=Tool("readiness", "0", "1", ()), service="s", environment="e", target="t",
    started_at="2026-01-01T00:00:00+00:00", duration_seconds=1, interrupted=False, incomplete=False, score=7.5,
    headline=7, target_score=9, rating=Rating.NEEDS_WORK, coverage=0.93, upper_bound=8, unwaived_score=7.5, cap=None,
    components=(DATABASE,), checks=(CHECK,), checklist=(), expectations=(), architecture=Architecture(),
    path_to_target=(), gate=Gate(None), waivers=(), absences={}, notices=(), facts={},
)  # fmt: skip


def gate(score: float | None = 7.5, coverage: float | None = 0.93, **settings: Any) -> Gate:
    return evaluate(GateSettings(**settings), score, coverage, [DATABASE], [CHECK])


def test_findings_alone_never_fail_a_run() -> None:
    assert gate().passed is None
    assert exit_code(REPORT) is ExitCode.OK


@pytest.mark.parametrize(
    ("settings", "passed"),
    [
        ({"fail_under": 7.5}, True),
        ({"fail_under": 7.6}, False),
        ({"components": {"database": 8.2}}, True),
        ({"components": {"database": 8.3}}, False),
        ({"components": {"security": 1}}, False),
        ({"fail_on": "critical"}, True),
        ({"fail_on": "high"}, False),
        ({"fail_on": "low"}, False),
    ],
)
def test_conditions(settings: dict[str, Any], passed: bool) -> None:
    result = gate(**settings)
    assert result.passed is passed
    assert exit_code(replace(REPORT, gate=result)) is (ExitCode.OK if passed else ExitCode.GATE)
    assert all(condition.required for condition in result.conditions)


@pytest.mark.parametrize("coverage", [0.79, None])
def test_low_coverage_under_a_gate_is_an_incomplete_audit(coverage: float | None) -> None:
    result = gate(coverage=coverage, fail_under=9.5)
    assert exit_code(replace(REPORT, gate=result)) is ExitCode.INCOMPLETE
    assert exit_code(replace(REPORT, gate=result), allow_incomplete=True) is ExitCode.GATE


def test_an_unreachable_system_ends_with_three_even_without_a_gate() -> None:
    assert exit_code(replace(REPORT, incomplete=True)) is ExitCode.INCOMPLETE
    assert exit_code(replace(REPORT, incomplete=True), allow_incomplete=True) is ExitCode.OK


def test_an_interrupt_wins() -> None:
    assert exit_code(replace(REPORT, incomplete=True, interrupted=True)) is ExitCode.INTERRUPTED


def test_a_withheld_score_meets_no_minimum() -> None:
    assert gate(score=None, fail_under=1).passed is False
