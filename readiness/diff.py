"""Two reports -> what changed, and why: pure, and re-scored in exact fractions.

The change of a score is split by cause. Starting from the old audit, the causes are put in place one after the other,
in the order of `Cause`, and everything is scored again after each: the difference is that cause's part. So the parts
sum to the whole change exactly. What can not be scored again, a figure of another scoring model, is `Cause.MODEL`.

Printed parts are tenths that sum to the printed change: each is rounded down or up, the largest remainders up.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from readiness import scoring
from readiness.change import Cause, Change, Comparison, Delta, Part, Side
from readiness.model import CheckResult, Report, Severity, State, Status
from readiness.scoring import Item, Scoreboard

OVERALL = "overall"
_ACCEPTABLE = (Status.WARN, Status.FAIL)
_SHARE = re.compile(r"[0-9]{1,9}/[1-9][0-9]{0,8}")
_VOID = ("expired", "unknown")  # states of waivers that are none

Key = tuple[str, str]  # component and id of a check
Scores = Mapping[str, Fraction]


@dataclass(frozen=True, slots=True)
class _Check:
    """A check in one audit: its finding, and apart from it whether a waiver covers it."""

    severity: Severity
    finding: Status
    credit: Fraction | None
    covered: bool
    result: CheckResult

    @property
    def waived(self) -> bool:
        return self.covered and self.finding in _ACCEPTABLE

    def item(self) -> Item:
        status = Status.WAIVED if self.waived else self.finding
        return Item(self.result.id, self.result.component, self.severity, status, self.credit)

    def earned(self) -> tuple[Fraction, int]:
        rank = {Status.PASS: 2, Status.WARN: 1}.get(self.finding, 0)
        return Item("", "", self.severity, self.finding, self.credit).earned, rank

    def looked_at(self) -> int | None:
        """2 where it was judged, 1 where that failed, 0 where nobody tried, None where there is nothing to judge."""
        if self.finding is Status.NOT_APPLICABLE:
            return None
        return 2 if self.finding in scoring.ASSESSED else 0 if self.finding is Status.UNTESTED else 1

    def word(self) -> str:
        share = "" if self.finding is not Status.WARN else f" {float(self.earned()[0]):.2f}"
        return f"{self.finding.value.replace('_', ' ')}{share}{', waived' if self.waived else ''}"


@dataclass(frozen=True, slots=True)
class _Audit:
    checks: Mapping[Key, _Check] = field(default_factory=dict)
    weights: Mapping[str, Fraction] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)

    def scores(self) -> Scores:
        """Overall and by component; nothing assessed is 0."""
        board = Scoreboard((check.item() for check in self.checks.values()), self.weights, excluded=self.absent)
        scores = {id: entry.score or Fraction(0) for id, entry in board.components.items()}
        return scores | {OVERALL: board.overall.score or Fraction(0)}


def compare(old: Report, new: Report) -> Comparison:
    """What changed from one audit to another, split by cause, overall and for each component.

    Components that one of the two did not run (--only) are left out, and then there is no overall score to compare.
    """
    left_out = {entry.id for report in (old, new) for entry in report.components if entry.state is State.NOT_RUN}
    before, after = _read(old, left_out), _read(new, left_out)
    differences = _differences(before, after)
    changes = tuple(_changes(before, after, differences, old, new))
    steps = dict(_rescored(before, after, differences, {change.cause for change in changes}))
    names = {entry.id: entry.name for entry in (*new.components, *old.components) if entry.id not in left_out}
    figures = [{entry.id: entry.score for entry in report.components} for report in (old, new)]
    components = []
    for id, name in names.items():
        causes = {change.cause for change in changes if change.component == id}
        components.append(_delta(id, name, figures[0].get(id), figures[1].get(id), steps, causes))
    if left_out:
        overall = Delta(OVERALL, "Overall", old.score, new.score, None)
    else:
        overall = _delta(OVERALL, "Overall", old.score, new.score, steps, {change.cause for change in changes})
    wrong = [sentence for report in (old, new) for sentence in _contradictions(report, left_out)]
    return Comparison(
        old=_side(old),
        new=_side(new),
        overall=overall,
        components=tuple(components),
        changes=changes,
        warnings=(*_warnings(old, new), *wrong),
        notes=tuple(_notes(old, new, left_out)),
    )


def empty(comparison: Comparison) -> bool:
    """Whether nothing changed at all."""
    deltas = (comparison.overall, *comparison.components)
    return not comparison.changes and not any(delta.parts or delta.change for delta in deltas)


# --- from reports to what is scored ----------------------------------------------------------------------------------


def _read(report: Report, left_out: Iterable[str]) -> _Audit:
    covered = {waiver.check for waiver in report.waivers if waiver.state not in _VOID}
    checks = {
        (result.component, result.id): _check(result, covered)
        for result in report.checks
        if result.component not in left_out
    }
    weights = {entry.id: Fraction(str(entry.weight)) for entry in report.components}
    return _Audit(checks, weights, report.absences)


def _check(result: CheckResult, covered: Iterable[str]) -> _Check:
    waived = result.status is Status.WAIVED
    finding = (result.unwaived_status or Status.FAIL) if waived else result.status
    is_covered = waived or (result.id in covered and finding not in _ACCEPTABLE)
    return _Check(result.severity, finding, _credit(result), is_covered, result)


def _credit(result: CheckResult) -> Fraction | None:
    if _SHARE.fullmatch(result.exact_credit):
        return Fraction(result.exact_credit)
    # A file without exact shares: the rounded one is the best there is.
    return None if result.credit is None else Fraction(str(result.credit))


def _differences(before: _Audit, after: _Audit) -> dict[Key, Cause]:
    """Why the finding of each check is another one; checks whose finding is the same are left out."""
    causes = {}
    for key in before.checks.keys() | after.checks.keys():
        if key[0] in before.absent and key[0] in after.absent:
            continue
        cause = _cause(before.checks.get(key), after.checks.get(key))
        if cause is not None:
            causes[key] = cause
    return causes


def _cause(old: _Check | None, new: _Check | None) -> Cause | None:
    if old is None or new is None:
        return Cause.NEW if old is None else Cause.RETIRED
    if (old.finding, old.earned()) == (new.finding, new.earned()):
        return None
    was, now = old.looked_at(), new.looked_at()
    if {old.finding, new.finding} == {Status.UNTESTED, Status.NOT_APPLICABLE}:
        # Who configures a system sees at once what passes there and what does not apply. Put in place apart from each
        # other, the component would for a moment be configured and without a single judged check, which counts as 0.
        return Cause.COVERED if was == 0 else Cause.LOST
    if was is not None and now is not None and was != now:
        return Cause.COVERED if now > was else Cause.LOST
    if was == now == 1:
        return None  # could not be judged, for another reason than before
    if old.result.settings != new.result.settings:
        return Cause.SETTINGS
    if was is None or now is None:
        return Cause.NEW if was is None else Cause.RETIRED
    return Cause.FIXED if new.earned() > old.earned() else Cause.REGRESSED


# --- re-scoring ------------------------------------------------------------------------------------------------------


def _rescored(
    before: _Audit, after: _Audit, causes: Mapping[Key, Cause], present: set[Cause]
) -> Iterator[tuple[Cause, Scores]]:
    """The scores after each cause, in order; under `MODEL` those before any."""
    done: set[Cause] = set()
    scores = before.scores()
    for cause in Cause:
        done.add(cause)
        if cause in present:
            scores = _between(before, after, causes, done).scores()
        yield cause, scores


def _between(before: _Audit, after: _Audit, causes: Mapping[Key, Cause], done: set[Cause]) -> _Audit:
    """The old audit with these causes put in place."""
    settings = after if Cause.SETTINGS in done else before
    checks = {}
    for key in before.checks.keys() | after.checks.keys():
        check = _partly(before.checks.get(key), after.checks.get(key), causes.get(key), done)
        if check is not None:
            checks[key] = check
    return _Audit(checks, settings.weights, settings.absent)


def _partly(old: _Check | None, new: _Check | None, cause: Cause | None, done: set[Cause]) -> _Check | None:
    if new is None:
        return None if Cause.RETIRED in done else old
    if old is None and Cause.NEW not in done:
        return None
    finding = new if old is None or cause is None or cause in done else old
    was_covered = old is not None and old.covered
    covered = new.covered if (Cause.WAIVED if new.covered else Cause.UNWAIVED) in done else was_covered
    severity = new.severity if old is None or Cause.SEVERITY in done else old.severity
    return _Check(severity, finding.finding, finding.credit, covered, new.result)


def _delta(
    id: str, name: str, old: float | None, new: float | None, steps: Mapping[Cause, Scores], causes: set[Cause]
) -> Delta:
    """`causes`: those that are shown even where they are worth nothing."""
    scores = {cause: entry.get(id, Fraction(0)) for cause, entry in steps.items()}
    first, last = scores[Cause.MODEL], scores[list(Cause)[-1]]
    start, end = _recorded(old, first), _recorded(new, last)
    exact = {Cause.MODEL: (first - start) + (end - last)}
    for earlier, cause in zip(Cause, list(Cause)[1:], strict=False):
        exact[cause] = scores[cause] - scores[earlier]
    tenths = math.floor(end * 10) - math.floor(start * 10)
    points = rounded(exact, tenths)
    parts = tuple(
        Part(cause, points[cause] / 10, str(value)) for cause, value in exact.items() if value or cause in causes
    )
    return Delta(id, name, old, new, tenths / 10, str(end - start), parts)


def _recorded(figure: float | None, exact: Fraction) -> Fraction:
    """The exact score where the published figure is that score; otherwise the figure, for it is all there is."""
    published = Fraction(str(figure)) if figure is not None else Fraction(0)
    return exact if Fraction(math.floor(exact * 10), 10) == published else published


def rounded(exact: Mapping[Cause, Fraction], tenths: int) -> dict[Cause, int]:
    """Each part in tenths, rounded down or up so that they sum to `tenths`; the largest remainders are rounded up."""
    down = {cause: math.floor(value * 10) for cause, value in exact.items()}
    by_remainder = sorted(exact, key=lambda cause: down[cause] - exact[cause] * 10)
    for cause in by_remainder[: tenths - sum(down.values())]:
        down[cause] += 1
    return down


# --- what is listed --------------------------------------------------------------------------------------------------


def _changes(before: _Audit, after: _Audit, causes: Mapping[Key, Cause], old: Report, new: Report) -> Iterator[Change]:
    """Everything that differs, by cause, the gravest first."""
    found = [*_settings(before, after, old, new), *_waivers(before, after, old, new)]
    if old.tool.scoring_model != new.tool.scoring_model:
        models = old.tool.scoring_model, new.tool.scoring_model
        found.append(Change(Cause.MODEL, "", "", "scoring model", "", *models))
    for key, cause in causes.items():
        found.append(_finding(cause, before.checks.get(key), after.checks.get(key)))
    for key in before.checks.keys() & after.checks.keys():
        was, now = before.checks[key], after.checks[key]
        if was.severity is not now.severity:
            words = was.severity.value, now.severity.value
            found.append(_about(Cause.SEVERITY, now.result, *words, message=now.word()))
    order = [severity.value for severity in Severity]
    yield from sorted(
        found,
        key=lambda e: (list(Cause).index(e.cause), order.index(e.severity) if e.severity else -1, e.component, e.check),
    )


def _finding(cause: Cause, old: _Check | None, new: _Check | None) -> Change:
    [result, *_] = [check.result for check in (new, old) if check is not None]
    message = result.message if new is not None else "no longer among the checks"
    if cause is Cause.SETTINGS and old is not None and new is not None:
        was, now = old.result.settings, new.result.settings
        names = sorted(name for name in was.keys() | now.keys() if was.get(name) != now.get(name))
        values = ", ".join(f"{name} {was.get(name, 'default')} → {now.get(name, 'default')}" for name in names)
        message = f"{values}: {message}"
    return _about(cause, result, old.word() if old else "", new.word() if new else "", message)


def _about(cause: Cause, result: CheckResult, old: str, new: str, message: str) -> Change:
    return Change(cause, result.component, result.id, result.title, result.severity.value, old, new, message)


def _settings(before: _Audit, after: _Audit, old: Report, new: Report) -> Iterator[Change]:
    for id in dict.fromkeys(entry.id for report in (new, old) for entry in report.components):
        was, now = before.weights.get(id, Fraction(1)), after.weights.get(id, Fraction(1))
        if was != now:
            yield Change(Cause.SETTINGS, id, "", "weight", "", f"{float(was):g}", f"{float(now):g}")
        if (id in before.absent) != (id in after.absent):
            reasons = before.absent.get(id, ""), after.absent.get(id, "")
            yield Change(Cause.SETTINGS, id, "", "declared absent", "", *reasons)


def _waivers(before: _Audit, after: _Audit, old: Report, new: Report) -> Iterator[Change]:
    for key, now in after.checks.items():
        was_covered = key in before.checks and before.checks[key].covered
        if now.covered == was_covered or now.finding not in _ACCEPTABLE:
            continue
        report = new if now.covered else old
        texts = [f"{w.owner}, to the end of {w.expires}: {w.reason}" for w in report.waivers if w.check == key[1]]
        text = texts[0] if texts else "waived"
        if now.covered:
            yield _about(Cause.WAIVED, now.result, "", text, now.result.message)
        else:
            expired = any(w.check == key[1] and w.state == "expired" for w in new.waivers)
            ended = "expired" if expired else "taken out"
            yield _about(Cause.UNWAIVED, now.result, text, ended, now.result.message)


# --- what the reader must know ---------------------------------------------------------------------------------------


def _side(report: Report) -> Side:
    return Side(
        report.service,
        report.environment,
        report.target,
        report.started_at,
        report.tool.version,
        report.tool.scoring_model,
    )


def _warnings(old: Report, new: Report) -> Iterator[str]:
    if old.service != new.service:
        yield f"the baseline is of the service {old.service}, this audit of {new.service}"
    if old.environment != new.environment:
        yield f"the baseline is of the environment {old.environment}, this audit of {new.environment}"
    for gone, verb in ((_configured(old) - _configured(new), "is not"), (_configured(new) - _configured(old), "is")):
        for id in sorted(gone):
            was = "was" if verb == "is not" else "was not"
            yield f"{id} {was} assessed in the baseline and {verb} here"
    for report, name in ((old, "the baseline"), (new, "this audit")):
        if report.interrupted:
            yield f"{name} was interrupted, so what it did not reach counts as 0"
        elif report.incomplete:
            yield f"{name} is incomplete: a configured system could not be read and counts as 0"
    moments = _moment(old.started_at), _moment(new.started_at)
    if moments[0] is not None and moments[1] is not None and moments[0] > moments[1]:
        yield f"the baseline ({old.started_at}) is newer than this audit ({new.started_at})"


def _configured(report: Report) -> set[str]:
    """The components that take part; those left out by --only are no matter of configuration."""
    assessed = (State.ASSESSED, State.NOTHING_ASSESSED, State.NOT_RUN)
    return {entry.id for entry in report.components if entry.state in assessed}


def _moment(text: str) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(text).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


def _contradictions(report: Report, left_out: Iterable[str]) -> Iterator[str]:
    """Figures of the current scoring model that do not follow from the report's own checks."""
    if report.tool.scoring_model != scoring.MODEL:
        return
    scores = _read(report, left_out).scores()
    figures = {entry.id: entry.score for entry in report.components if entry.id not in left_out}
    if not left_out:
        figures |= {OVERALL: report.score}
    wrong = [
        f"{id} {figure or 0:.1f} (its checks give {scoring.published(scores.get(id, Fraction(0))):.1f})"
        for id, figure in figures.items()
        if scoring.published(scores.get(id, Fraction(0))) != (figure or 0)
    ]
    if wrong:
        yield f"the report of {report.started_at} contradicts itself, as if edited by hand: {', '.join(wrong)}"


def _notes(old: Report, new: Report, left_out: Iterable[str]) -> Iterator[str]:
    if old.target != new.target:
        yield f"target: {old.target} → {new.target}"
    if old.tool.version != new.tool.version:
        yield f"{new.tool.name}: {old.tool.version} → {new.tool.version}"
    was, now = ({pack.name: pack for pack in report.tool.packs} for report in (old, new))
    for name in sorted(was.keys() | now.keys()):
        if name not in now or name not in was:
            yield f"pack {name}: {'taken out' if name in was else 'added'}"
        elif was[name].sha256 != now[name].sha256:
            old_pack, new_pack = (f"{pack.version} ({pack.sha256[:8]})" for pack in (was[name], now[name]))
            yield f"pack {name}: {old_pack} → {new_pack}; a check whose code changed counts as fixed or regressed"
    if left_out:
        yield f"not compared, because one of the audits did not run it: {', '.join(sorted(left_out))}, overall"
