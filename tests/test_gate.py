"""Every row of the exit-code table, decided on the report's own figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from readiness.change import Comparison, Delta, Side
from readiness.gate import ExitCode, evaluate, exit_code, no_regression
from readiness.model import (
    Architecture,
    CheckResult,
    Component,
    Condition,
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
    assert exit_code(replace(REPORT, gate=result, allow_incomplete=True)) is ExitCode.GATE


def test_an_unreachable_system_ends_with_three_even_without_a_gate() -> None:
    assert exit_code(replace(REPORT, incomplete=True)) is ExitCode.INCOMPLETE
    assert exit_code(replace(REPORT, incomplete=True, allow_incomplete=True)) is ExitCode.OK


def test_an_interrupt_wins() -> None:
    assert exit_code(replace(REPORT, incomplete=True, interrupted=True)) is ExitCode.INTERRUPTED


def side() -> Side:
    return Side("s", "e", "t", "2026-01-01T00:00:00+00:00", "0", "1")


def delta(id: str, old: float | None, new: float | None) -> Delta:
    return Delta(id, id.title(), old, new, round((new or 0) - (old or 0), 1))


def fell(old: float | None, new: float | None, tolerance: float = 0, **more: Any) -> list[Condition]:
    """The conditions on a change of the overall score, beside a database that stays at 8.2."""
    comparison = Comparison(
        side(), side(), delta("overall", old, new), (delta("database", 8.2, more.get("database", 8.2)),), ()
    )
    return no_regression(comparison, tolerance, [replace(DATABASE, state=more.get("state", State.ASSESSED))])


@pytest.mark.parametrize(
    ("old", "new", "tolerance", "passed", "required"),
    [
        (7.4, 7.4, 0, True, ">= 7.4 (baseline 7.4)"),
        (7.4, 7.3, 0, False, ">= 7.4 (baseline 7.4)"),
        (7.4, 7.1, 0.3, True, ">= 7.1 (baseline 7.4, less 0.3)"),  # 7.4 - 0.3 is more than 7.1 in floating point
        (7.4, 7.0, 0.3, False, ">= 7.1 (baseline 7.4, less 0.3)"),
        (7.4, 7.1, 0.25, False, ">= 7.15 (baseline 7.4, less 0.25)"),
        (7.4, None, 0.3, False, ">= 7.1 (baseline 7.4, less 0.3)"),
        (0.2, 0.0, 0.3, True, ">= 0 (baseline 0.2, less 0.3)"),
    ],
)
def test_no_regression_is_decided_on_published_figures(
    old: float, new: float | None, tolerance: float, passed: bool, required: str
) -> None:
    overall, database = fell(old, new, tolerance)
    assert (overall.passed, overall.required, overall.observed) == (passed, required, new)
    assert database.passed
    assert database.name == "no regression database"


def test_a_component_that_fell_is_a_regression_whatever_the_overall_does() -> None:
    overall, database = fell(7.4, 8.0, database=8.1)
    assert (overall.passed, database.passed) == (True, False)
    assert fell(7.4, 8.0, database=None)[1].passed is False
    assert len(fell(7.4, 8.0, database=None, state=State.ABSENT)) == 1


def test_what_the_baseline_lacks_cannot_fall_and_nothing_in_common_is_no_pass() -> None:
    comparison = Comparison(side(), side(), delta("overall", None, 7.0), (delta("database", None, 8.2),), ())
    [condition] = no_regression(comparison, 0, [DATABASE])
    assert condition.passed is False


def test_no_regression_needs_a_baseline_to_be_a_condition() -> None:
    settings = GateSettings(no_regression=0.3)
    assert evaluate(settings, 7.5, 0.93, [DATABASE], [CHECK]).passed is None
    comparison = Comparison(side(), side(), delta("overall", 7.9, 7.5), (), ())
    result = evaluate(settings, 7.5, 0.93, [DATABASE], [CHECK], comparison)
    assert [condition.name for condition in result.conditions] == ["no regression", "coverage"]
    assert exit_code(replace(REPORT, gate=result)) is ExitCode.GATE


@pytest.mark.parametrize(("value", "tolerance"), [(True, 0.0), (False, None), (0.3, 0.3), ("0.3", 0.3), (None, None)])
def test_a_tolerance_may_be_a_number_or_a_word(value: Any, tolerance: float | None) -> None:
    assert GateSettings(no_regression=value).no_regression == tolerance


def test_a_withheld_score_meets_no_minimum() -> None:
    assert gate(score=None, fail_under=1).passed is False


def test_severity_tells_what_is_wrong_from_what_was_not_judged() -> None:
    checks = [CHECK, *(replace(CHECK, id=f"database.b{n}", status=Status.SKIPPED) for n in range(7))]
    found = evaluate(GateSettings(fail_on=Severity.HIGH), 7.5, 0.93, [DATABASE], checks).conditions[0].observed
    assert found == (
        "1 check is wrong: database.a; 7 checks were not judged: "
        "database.b0, database.b1, database.b2, database.b3, database.b4 and 2 more"
    )
