"""Every deployment as a row -> the figures of the fleet. Arithmetic only: no I/O, no clock."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from readiness.facts.load import LATE
from readiness.gate import ExitCode, exit_code
from readiness.model import COMPONENTS, ON_DEMAND, Rating, Report, Severity, Status
from readiness.report import wording

NAMED = 10
"""How many deployments are named where all of them would be too many."""


class Audit(StrEnum):
    """How the audit of one deployment ended."""

    DONE = "done"
    INCOMPLETE = "incomplete"  # a configured system could not be reached
    FAILED = "failed"  # it could not be made, for a reason that is named
    BUG = "bug"
    LOST = "lost"  # its worker ended, and so did the next ones
    NOT_RUN = "not_run"  # interrupted before its turn


@dataclass(frozen=True, slots=True)
class Wrong:
    """One check of one deployment that is not as it should be, or could not be judged."""

    check: str
    title: str
    component: str
    severity: Severity
    status: Status


@dataclass(frozen=True, slots=True)
class Row:
    """One deployment. `components` has those that were assessed; `reports` are files by format, relative to the folder.

    `unmet` are the conditions of its own gate that are not met, `code` is what an audit of it alone would exit with.
    `seconds` is the audit's time, `cpu_seconds` what it cost, `worker` where it ran. `resumed` rows are those of an
    earlier run; `late` ones lack figures because the machine of the audit had no time for them.
    """

    name: str
    service: str
    environment: str
    target: str
    audit: Audit
    code: int
    reason: str = ""
    started_at: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    score: float | None = None
    headline: int | None = None
    rating: Rating | None = None
    coverage: float | None = None
    upper_bound: float | None = None
    components: Mapping[str, float] = field(default_factory=dict)
    wrong: tuple[Wrong, ...] = ()
    gate: bool | None = None
    unmet: tuple[str, ...] = ()
    reports: Mapping[str, str] = field(default_factory=dict)
    region: str | None = None
    worker: str = ""
    resumed: bool = False
    late: bool = False

    @property
    def finished(self) -> bool:
        """Whether a later run need not audit it again."""
        return self.audit is Audit.DONE

    def count(self, severity: Severity | str) -> int:
        """How many of its findings have this severity; a template names it by its word."""
        return sum(each.severity == severity and each.status is not Status.ERROR for each in self.wrong)


def row(report: Report, name: str, region: str | None, worker: str) -> Row:
    """What the overview needs of a report: about a hundredth of it."""
    found = [check for check in report.checks if check.status in (Status.WARN, Status.FAIL, Status.ERROR)]
    unmet = [wording.unmet(each) for each in report.gate.conditions if not each.passed]
    failed = report.incomplete or report.interrupted
    return Row(
        name=name,
        service=report.service,
        environment=report.environment,
        target=report.target,
        audit=Audit.INCOMPLETE if failed else Audit.DONE,
        code=int(exit_code(report)),
        reason="; ".join(f"{system}: {reason}" for system, reason in wording.unreached(report)[:3]),
        started_at=report.started_at,
        seconds=report.duration_seconds,
        score=report.score,
        headline=report.headline,
        rating=report.rating,
        coverage=report.coverage,
        upper_bound=report.upper_bound,
        components={each.id: each.score for each in report.components if each.score is not None},
        wrong=tuple(Wrong(each.id, each.title, each.component, each.severity, each.status) for each in found),
        gate=report.gate.passed,
        unmet=tuple(unmet),
        region=region,
        worker=worker,
        late=any(LATE in check.message for check in found if check.status is Status.ERROR),
    )


@dataclass(frozen=True, slots=True)
class Column:
    """One component over all deployments that have a score in it."""

    id: str
    name: str
    assessed: int
    mean: float
    worst: float
    not_ready: int


@dataclass(frozen=True, slots=True)
class Frequent:
    """One check over the fleet. `deployments` are the first few of those where it is not as it should be, worst first;
    `unjudged` counts those where it could not be judged."""

    check: str
    title: str
    component: str
    severity: Severity
    failed: int
    warned: int
    unjudged: int
    deployments: tuple[str, ...]

    @property
    def count(self) -> int:
        return self.failed + self.warned


@dataclass(frozen=True, slots=True)
class Overview:
    """The fleet: `rows` worst first, `findings` and `unjudged` most frequent first."""

    name: str
    started_at: str
    seconds: float
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    findings: tuple[Frequent, ...]
    unjudged: tuple[Frequent, ...]
    mean: float | None
    median: float | None
    ratings: Mapping[Rating, int]
    audits: Mapping[Audit, int]
    gate: bool | None
    code: ExitCode
    folder: str = ""  # of the reports, relative to the overview's file
    interrupted: bool = False
    notices: tuple[str, ...] = ()

    @property
    def worst(self) -> float | None:
        return min((each.score for each in self.rows if each.score is not None), default=None)

    @property
    def below(self) -> tuple[Row, ...]:
        """The deployments that do not meet a gate of theirs."""
        return tuple(each for each in self.rows if each.gate is False)


def overview(
    name: str,
    rows: Iterable[Row],
    *,
    started_at: str,
    seconds: float,
    folder: str = "",
    interrupted: bool = False,
    notices: Sequence[str] = (),
) -> Overview:
    """All figures of the fleet. Scores are published ones, rounded down; their mean and median are rounded to 0.1."""
    ordered = sorted(rows, key=_worst_first)
    scores = [each.score for each in ordered if each.score is not None]
    findings = list(_findings(ordered))
    gates = [each.gate for each in ordered if each.gate is not None]
    return Overview(
        name=name,
        started_at=started_at,
        seconds=round(seconds, 2),
        rows=tuple(ordered),
        columns=tuple(_columns(ordered)),
        findings=tuple(sorted((each for each in findings if each.count), key=_most_frequent)),
        unjudged=tuple(sorted((each for each in findings if each.unjudged), key=lambda each: -each.unjudged)),
        mean=round(statistics.fmean(scores), 1) if scores else None,
        median=round(statistics.median(scores), 1) if scores else None,
        ratings={rating: sum(each.rating is rating for each in ordered) for rating in Rating},
        audits={audit: sum(each.audit is audit for each in ordered) for audit in Audit},
        gate=all(gates) if gates else None,
        code=_exit_code(ordered, interrupted),
        folder=folder,
        interrupted=interrupted,
        notices=tuple(notices),
    )


def _worst_first(row: Row) -> tuple[float, float, str]:
    """What is not known may be worse than anything that is."""
    return (-1.0 if row.score is None else row.score, row.coverage or 0.0, row.name)


def _columns(rows: Sequence[Row]) -> Iterable[Column]:
    for id, name in {**COMPONENTS, **ON_DEMAND}.items():
        scores = [each.components[id] for each in rows if id in each.components]
        if scores:
            mean = round(statistics.fmean(scores), 1)
            yield Column(id, name, len(scores), mean, min(scores), sum(score < 6 for score in scores))


def _findings(rows: Sequence[Row]) -> Iterable[Frequent]:
    by_check: dict[str, list[tuple[Row, Wrong]]] = {}
    for row in rows:
        for wrong in row.wrong:
            by_check.setdefault(wrong.check, []).append((row, wrong))
    for check, found in by_check.items():
        statuses = [wrong.status for _, wrong in found]
        named = [row.name for row, wrong in found if wrong.status is not Status.ERROR]
        one = found[0][1]
        yield Frequent(
            check=check,
            title=one.title,
            component=one.component,
            severity=one.severity,
            failed=statuses.count(Status.FAIL),
            warned=statuses.count(Status.WARN),
            unjudged=statuses.count(Status.ERROR),
            deployments=tuple(named[:NAMED]),
        )


def _most_frequent(finding: Frequent) -> tuple[int, int, str]:
    return (-finding.count, finding.severity.rank, finding.check)


def _exit_code(rows: Sequence[Row], interrupted: bool) -> ExitCode:
    """As that of a single audit: what could not be looked at outranks what was seen."""
    if interrupted:
        return ExitCode.INTERRUPTED
    codes = {each.code for each in rows}
    order = (ExitCode.BUG, ExitCode.INCOMPLETE, ExitCode.GATE)
    return next((code for code in order if code in codes), ExitCode.OK)
