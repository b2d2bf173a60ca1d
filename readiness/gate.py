"""Conditions -> verdict -> exit code, on exactly the figures of the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from fractions import Fraction

from readiness.change import Comparison, Delta
from readiness.model import CheckResult, Component, Condition, Gate, Report, State, Status
from readiness.settings import GateSettings

_UNFIT = (Status.FAIL, Status.ERROR, Status.BLOCKED, Status.SKIPPED)


class ExitCode(IntEnum):
    """The contract with the caller; the same table is in the README and in --help."""

    OK = 0  # audited; every gate condition met, or no gate asked for
    GATE = 1  # audited; a gate condition not met
    USAGE = 2  # usage or configuration error; nothing was contacted
    INCOMPLETE = 3  # a configured system could not be reached, or coverage below the minimum under a gate
    BUG = 4  # a bug, or a check pack that failed to load
    INTERRUPTED = 130


COVERAGE = "coverage"
NO_REGRESSION = "no regression"


def evaluate(
    settings: GateSettings,
    score: float | None,
    coverage: float | None,
    components: Sequence[Component],
    checks: Sequence[CheckResult],
    comparison: Comparison | None = None,
) -> Gate:
    """Every condition that was asked for, each with its numbers; `passed` is None where none was.

    `fail_on` counts what did not earn anything, so a check that could not be judged does not pass it either.
    `no_regression` is a condition only where there is a `comparison`.
    """
    regression = comparison is not None and settings.no_regression is not None
    if not settings.asked_for and not regression:
        return Gate(None)
    conditions = []
    if settings.fail_under is not None:
        conditions.append(_at_least("score", settings.fail_under, score))
    by_id = {component.id: component for component in components}
    for id, minimum in settings.components.items():
        conditions.append(_at_least(f"component {id}", minimum, by_id[id].score if id in by_id else None))
    if settings.fail_on is not None:
        grave = [check for check in checks if check.severity.rank <= settings.fail_on.rank and check.status in _UNFIT]
        required = f"no {settings.fail_on.value} finding" + ("" if settings.fail_on.rank == 0 else " or graver")
        conditions.append(Condition("severity", required, _unfit(grave), not grave))
    if comparison is not None and settings.no_regression is not None:
        conditions += no_regression(comparison, settings.no_regression, components)
    percent = None if coverage is None else round(100 * coverage, 1)
    conditions.append(
        Condition(
            COVERAGE,
            f">= {settings.min_coverage:g} %",
            percent,
            percent is not None and percent >= settings.min_coverage,
        )
    )
    return Gate(all(condition.passed for condition in conditions), tuple(conditions))


def _unfit(checks: Sequence[CheckResult]) -> str:
    """`2 checks are wrong: a, b; 1 check was not judged: c`, the first five of each named."""
    wrong = [check.id for check in checks if check.status is Status.FAIL]
    unknown = [check.id for check in checks if check.status is not Status.FAIL]
    parts = (
        _named(wrong, "check is wrong", "checks are wrong"),
        _named(unknown, "check was not judged", "checks were not judged"),
    )
    return "; ".join(part for part in parts if part) or "none"


def _named(ids: Sequence[str], one: str, many: str) -> str:
    if not ids:
        return ""
    more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
    return f"{len(ids)} {one if len(ids) == 1 else many}: {', '.join(ids[:5])}{more}"


def _at_least(name: str, required: float, observed: float | None) -> Condition:
    return Condition(name, f">= {required:g}", observed, observed is not None and observed >= required)


def no_regression(comparison: Comparison, tolerance: float, components: Sequence[Component]) -> list[Condition]:
    """No published score, overall or of a component, is more than `tolerance` points below that of the baseline.

    A score that is gone has fallen, unless the configuration declares the component absent, with its reason.

    Args:
        components: those of the new report.
    """
    absent = {entry.id for entry in components if entry.state is State.ABSENT}
    deltas = [comparison.overall, *(delta for delta in comparison.components if delta.id not in absent)]
    conditions = list(_not_below(deltas, Fraction(str(tolerance))))
    if not conditions:
        return [Condition(NO_REGRESSION, "a score that both audits have", None, False)]
    return conditions


def _not_below(deltas: Sequence[Delta], tolerance: Fraction) -> Iterator[Condition]:
    for delta in deltas:
        if delta.old is None or delta.change is None:
            continue
        least = max(Fraction(0), Fraction(str(delta.old)) - tolerance)
        less = f", less {float(tolerance):g}" if tolerance else ""
        required = f">= {float(least):.4g} (baseline {delta.old:.1f}{less})"
        name = NO_REGRESSION if delta is deltas[0] else f"{NO_REGRESSION} {delta.id}"
        yield Condition(name, required, delta.new, delta.new is not None and Fraction(str(delta.new)) >= least)


def exit_code(report: Report) -> ExitCode:
    """What the process ends with. An audit that could not look says so even where no gate was asked for."""
    failed = [condition.name for condition in report.gate.conditions if not condition.passed]
    if report.interrupted:
        return ExitCode.INTERRUPTED
    if (report.incomplete or COVERAGE in failed) and not report.allow_incomplete:
        return ExitCode.INCOMPLETE
    if any(name != COVERAGE for name in failed):
        return ExitCode.GATE
    return ExitCode.OK
