"""The sentences of a report, the same in every format; templates reach all words, figures and groups through here."""

from __future__ import annotations

import json

from readiness.model import EXPIRES_SOON, CheckResult, Component, Rating, Report, State, Status, WaiverRecord
from readiness.report.figures import (
    count,
    duration,
    measured,
    metric,
    moment,
    observed,
    of_ten,
    percent,
    plain,
    points,
    reached,
    score,
    target,
    unmet,
)
from readiness.report.groups import (
    actions,
    blocked,
    by_component,
    checklist,
    declared,
    errors,
    findings,
    goals,
    measurements,
    severities,
    strengths,
    unreached,
    untested,
    with_status,
    worst_first,
)
from readiness.report.text import cost, cut_bytes, one_line
from readiness.report.vocabulary import (
    ITEM_STATES,
    ITEMS,
    LANGUAGES,
    MARKS,
    METRICS,
    NONE,
    PHASES,
    RATINGS,
    STATES,
    STATUSES,
    TITLE,
    WAIVER_STATES,
    component_name,
    stack_name,
)

__all__ = [
    "ITEMS",
    "ITEM_STATES",
    "LANGUAGES",
    "MARKS",
    "METRICS",
    "NONE",
    "PHASES",
    "RATINGS",
    "STATES",
    "STATUSES",
    "TITLE",
    "WAIVER_STATES",
    "about",
    "actions",
    "alarms",
    "beside",
    "blocked",
    "bound",
    "by_component",
    "caps",
    "checklist",
    "component_name",
    "component_note",
    "count",
    "declared",
    "duration",
    "ends_soon",
    "errors",
    "evidence",
    "findings",
    "gain",
    "goals",
    "measured",
    "measurements",
    "metric",
    "moment",
    "no_overall",
    "observed",
    "of_ten",
    "overall",
    "percent",
    "plain",
    "points",
    "provided",
    "rating_mark",
    "reached",
    "score",
    "severities",
    "stack_name",
    "strengths",
    "target",
    "unmet",
    "unreached",
    "untested",
    "waiver_alarms",
    "waiver_end",
    "waiver_state",
    "way",
    "with_status",
    "worst_first",
]

_SELF_EVIDENT = {"blocked_by", "needs"}  # evidence of the engine that has a place of its own in a report


def waiver_end(waiver: WaiverRecord) -> str:
    return f"to the end of {one_line(waiver.expires, 40)} UTC"


def waiver_state(waiver: WaiverRecord) -> str:
    """What it does, and whether it soon will not."""
    text = WAIVER_STATES.get(waiver.state, waiver.state)
    if ends_soon(waiver):
        text += f"; ends in {count(waiver.days_left, 'day')}" if waiver.days_left else "; ends today"
    return f"{text} ({one_line(waiver.hint, 200)})" if waiver.hint else text


def ends_soon(waiver: WaiverRecord) -> bool:
    return waiver.state == "applied" and waiver.days_left is not None and waiver.days_left <= EXPIRES_SOON


def alarms(report: Report) -> list[str]:
    """What nobody should find out by chance: waivers that do not hold, or not for long; an unlike baseline."""
    warnings = report.comparison.warnings if report.comparison else ()
    return [sentence for _, sentence in waiver_alarms(report)] + [one_line(each, 400) for each in warnings]


def waiver_alarms(report: Report) -> list[tuple[str, str]]:
    """The waivers among them, each with the id of its check."""
    return [
        (
            waiver.check,
            f"the waiver of {one_line(waiver.check, 120)} ({one_line(waiver.owner, 80)}, {waiver_end(waiver)}): "
            f"{waiver_state(waiver)}",
        )
        for waiver in report.waivers
        if waiver.state in ("expired", "unknown", "unneeded") or ends_soon(waiver)
    ]


def rating_mark(rating: Rating | None) -> str:
    return NONE if rating is None else rating.mark


def bound(upper_bound: float | None, coverage: float | None) -> str:
    """`up to 7.8` where something could not be assessed."""
    return "" if upper_bound is None or coverage == 1 else f"up to {score(upper_bound)}"


def overall(report: Report) -> str:
    """What stands beside `7/10 ⚠️`: the exact score, what it would be without waivers, the bound and the coverage."""
    if report.score is None:
        return no_overall(report)
    exact = score(report.score)
    if without := _without_waivers(report):
        exact += f" ({without})"
    rest = bound(report.upper_bound, report.coverage)
    return f"{exact}, {rest}; coverage {percent(report.coverage)}" if rest else exact


def beside(report: Report) -> str:
    """The same in brackets, but for the score without waivers, which brings its own."""
    text = overall(report)
    return text if "(" in text else f"({text})"


def no_overall(report: Report) -> str:
    """Why there is no overall score."""
    not_run = sum(component.state is State.NOT_RUN for component in report.components)
    text = f"{not_run} of {len(report.components)} components not run" if not_run else "nothing was assessed"
    return "; ".join(part for part in (text, _without_waivers(report)) if part)


def _without_waivers(report: Report) -> str:
    waived = len(with_status(report, Status.WAIVED))
    if not waived or report.unwaived_score is None:
        return ""
    return f"{score(report.unwaived_score)} without {count(waived, 'waiver')}"


def component_note(component: Component) -> str:
    """The note of a row; where there is no score, at least the reason."""
    return component.notes or ("" if component.state is State.ASSESSED else STATES[component.state])


def caps(report: Report) -> list[tuple[str, str]]:
    """What a cap holds down, by name, with the sentence."""
    capped = [(component.name, component.cap) for component in report.components] + [("Overall", report.cap)]
    return [
        (one_line(name), f"capped at {score(cap.ceiling)} ({score(cap.before)} before): {one_line(cap.reason)}")
        for name, cap in capped
        if cap is not None
    ]


def about(environment: str, target: str, service: str) -> list[str]:
    """What stands behind the name of the service; where no URL was audited, its name is not said twice."""
    return [part for part in (environment, "" if target == service else target) if part]


def provided(check: CheckResult | None) -> str:
    """`(if the 11 checks that it blocks pass too)`, without which a step of the path does not reach its score."""
    note = one_line(check.gain.note) if check is not None and check.gain is not None else ""
    return f"({note})" if note.startswith("if ") else ""


def gain(check: CheckResult) -> str:
    """`+0.6 overall, +2.1 Database if fixed`, or the sentence that says what hides the gain."""
    if check.gain is None:
        return ""
    won, note = check.gain, one_line(check.gain.note)
    if not won.overall and not won.component:
        return note
    text = f"{points(won.overall)} overall, {points(won.component)} {component_name(check.component)} if fixed"
    return f"{text} ({note})" if note else text


def evidence(check: CheckResult, limit: int = 4000) -> list[tuple[str, str]]:
    """The evidence as names and text, cut at about `limit` bytes of HTML; the JSON has all of it."""
    rows: list[tuple[str, str]] = []
    left = limit
    for name, value in check.evidence.items():
        if name in _SELF_EVIDENT:
            continue
        if left <= 0:
            rows.append(("…", "abridged; the JSON report has the full evidence"))
            break
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        name, text = one_line(str(name), 80), cut_bytes(text, left)
        left -= len(name) + 60 + cost(text)
        rows.append((name, text))
    return rows


def way(report: Report) -> str:
    """How far the target is: `6 fixes lead to 9.1; the first to 7.9.`"""
    if report.score is None:
        return ""
    if report.score >= report.target_score:
        return f"The target of {plain(report.target_score)} is met."
    steps = report.path_to_target
    if not steps:
        return ""
    first, last = score(steps[0].score_after), score(steps[-1].score_after)
    return (
        f"One fix leads to {last}." if len(steps) == 1 else f"{len(steps)} fixes lead to {last}; the first to {first}."
    )
