"""Conditions -> verdict -> exit code, on exactly the figures of the report."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from readiness.model import CheckResult, Component, Condition, Gate, Report, Status
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


def evaluate(
    settings: GateSettings,
    score: float | None,
    coverage: float | None,
    components: Sequence[Component],
    checks: Sequence[CheckResult],
) -> Gate:
    """Every condition that was asked for, each with its numbers; `passed` is None where none was.

    `fail_on` counts what did not earn anything, so a check that could not be judged does not pass it either.
    """
    if not settings.asked_for:
        return Gate(None)
    conditions = []
    if settings.fail_under is not None:
        conditions.append(_at_least("score", settings.fail_under, score))
    by_id = {component.id: component for component in components}
    for id, minimum in settings.components.items():
        conditions.append(_at_least(f"component {id}", minimum, by_id[id].score if id in by_id else None))
    if settings.fail_on is not None:
        grave = [
            check.id for check in checks if check.severity.rank <= settings.fail_on.rank and check.status in _UNFIT
        ]
        required = f"no {settings.fail_on.value} finding" + ("" if settings.fail_on.rank == 0 else " or graver")
        observed = f"{len(grave)}: {', '.join(grave[:5])}" if grave else "none"
        conditions.append(Condition("severity", required, observed, not grave))
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


def _at_least(name: str, required: float, observed: float | None) -> Condition:
    return Condition(name, f">= {required:g}", observed, observed is not None and observed >= required)


def exit_code(report: Report, *, allow_incomplete: bool = False) -> ExitCode:
    """What the process ends with. An audit that could not look says so even where no gate was asked for."""
    failed = [condition.name for condition in report.gate.conditions if not condition.passed]
    if report.interrupted:
        return ExitCode.INTERRUPTED
    if (report.incomplete or COVERAGE in failed) and not allow_incomplete:
        return ExitCode.INCOMPLETE
    if any(name != COVERAGE for name in failed):
        return ExitCode.GATE
    return ExitCode.OK
