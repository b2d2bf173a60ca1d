"""How the figures of a report read: marks, numbers, order and groups, the same in every format. Computes no figure."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Iterable, Mapping

from readiness.model import (
    COMPONENTS,
    ChecklistItem,
    CheckResult,
    Component,
    Condition,
    Expectation,
    Rating,
    Report,
    Severity,
    State,
    Status,
)
from readiness.report.text import cost, cut_bytes, one_line

NONE = "—"
TITLE = "Production Readiness Assessment"

MARKS: Mapping[Status, str] = {
    Status.PASS: "✅",
    Status.WARN: "⚠️",
    Status.FAIL: "❌",
    Status.ERROR: "💥",
    Status.BLOCKED: "⛔",
    Status.SKIPPED: "⏭️",
    Status.UNTESTED: "⚪",
    Status.NOT_APPLICABLE: "➖",
    Status.WAIVED: "🕗",
}
STATUSES: Mapping[Status, str] = {
    Status.PASS: "passed",
    Status.WARN: "warning",
    Status.FAIL: "failed",
    Status.ERROR: "could not be judged",
    Status.BLOCKED: "blocked",
    Status.SKIPPED: "skipped",
    Status.UNTESTED: "not tested",
    Status.NOT_APPLICABLE: "not applicable",
    Status.WAIVED: "waived",
}
RATINGS: Mapping[Rating, str] = {
    Rating.READY: "Ready for production",
    Rating.NEEDS_WORK: "Needs work before production",
    Rating.NOT_READY: "Not ready for production",
}
STATES: Mapping[State, str] = {
    State.ASSESSED: "assessed",
    State.NOTHING_ASSESSED: "nothing could be assessed: counts 0 in the overall score",
    State.NOT_CONFIGURED: "not configured",
    State.ABSENT: "declared absent",
    State.NOT_RUN: "not run",
}
PHASES: Mapping[int, str] = {
    1: "Critical Production Requirements",
    2: "Performance Optimization",
    3: "Scalability",
}
ITEMS: Mapping[str, str] = {
    "Redis Integration": "a shared Redis or Valkey instead of an in-memory cache",
    "Security Headers": "comprehensive security headers on every answer",
    "Input Sanitization": "input validation and sanitization",
    "Monitoring": "metrics, application performance monitoring and health checks",
    "Error Tracking": "error tracking and alerting",
    "Database Optimization": "connection pools sized for production, queries served by indexes",
    "Caching Strategy": "cache warming and preloading",
    "CDN Integration": "a CDN for static assets",
    "Load Balancing": "requests spread over several instances",
    "Microservices": "complete service separation",
    "Container Orchestration": "containers under an orchestrator such as Kubernetes",
    "Auto-scaling": "capacity that follows the load",
    "Database Sharding": "data spread over shards",
}
ITEM_STATES: Mapping[str, tuple[str, str]] = {
    "done": ("✅", "done"),
    "partial": ("⚠️", "partly done"),
    "open": ("❌", "open"),
    "unknown": ("❔", "unknown"),
}
METRICS: Mapping[str, tuple[str, str, str]] = {
    # name of the expectation: label, sign of the target, unit
    "response_time_ms": ("Response Time", "<", "ms"),
    "database_query_ms": ("Database Queries", "<", "ms"),
    "cache_hit_rate": ("Cache Hit Rate", "≥", "%"),
    "concurrent_users": ("Concurrent Users", "≥", ""),
}
MOST_ACTIONS = 10
WAIVER_STATES: Mapping[str, str] = {
    "applied": "in force",
    "expired": "expired, so it no longer counts",
    "unneeded": "can be removed: the check passes",
    "not_applied": "without effect: nothing was found that could be accepted",
    "not_run": "without effect: the check was not run",
}
_SELF_EVIDENT = {"blocked_by", "needs"}  # evidence of the engine that has a place of its own in a report


# --- numbers ---------------------------------------------------------------------------------------------------------


def score(value: float | None) -> str:
    """`8.4`; scores are published rounded down to 0.1, so nothing is lost."""
    return NONE if value is None else f"{value:.1f}"


def of_ten(headline: int | None) -> str:
    return NONE if headline is None else f"{headline}/10"


def percent(share: float | None) -> str:
    """`93 %`, rounded down: what is not whole never reads 100 %."""
    return NONE if share is None else f"{math.floor(share * 100 + 1e-9)} %"


def plain(value: float) -> str:
    """`9`, `8.5`, `10,000`, `120.4`: no digit that means nothing."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{round(value, 1 if abs(value) >= 10 else 2):g}"


def points(value: float) -> str:
    """A gain as `+0.6`; two decimals where one would read as nothing."""
    return f"{value:+.1f}" if abs(value) >= 0.1 or value == 0 else f"{value:+.2f}"


def duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def moment(rfc3339: str) -> str:
    """`2026-03-02 09:30 UTC`; what is no date stays as it is."""
    try:
        parsed = dt.datetime.fromisoformat(rfc3339)
        return parsed.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError):
        return one_line(rfc3339, 40)


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


# --- the headline and the table --------------------------------------------------------------------------------------


def rating_mark(rating: Rating | None) -> str:
    return NONE if rating is None else rating.mark


def bound(upper_bound: float | None, coverage: float | None) -> str:
    """`up to 7.8` where something could not be assessed."""
    return "" if upper_bound is None or coverage == 1 else f"up to {score(upper_bound)}"


def overall(report: Report) -> str:
    """What stands beside `7/10 ⚠️`: the exact score, what it would be without waivers, the bound and the coverage."""
    if report.score is None:
        return no_overall(report)
    waived = len(with_status(report, Status.WAIVED))
    exact = score(report.score)
    if waived and report.unwaived_score is not None:
        exact += f" ({score(report.unwaived_score)} without {count(waived, 'waiver')})"
    rest = bound(report.upper_bound, report.coverage)
    return f"{exact}, {rest}; coverage {percent(report.coverage)}" if rest else exact


def beside(report: Report) -> str:
    """The same in brackets, but for the score without waivers, which brings its own."""
    text = overall(report)
    return text if "(" in text else f"({text})"


def no_overall(report: Report) -> str:
    """Why there is no overall score."""
    not_run = sum(component.state is State.NOT_RUN for component in report.components)
    return f"{not_run} of {len(report.components)} components not run" if not_run else "nothing was assessed"


def component_name(id: str) -> str:
    return COMPONENTS.get(id, id.replace("_", " ").title())


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


# --- checks in order and in groups -----------------------------------------------------------------------------------


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
    groups: dict[str, list[CheckResult]] = {id: [] for id in COMPONENTS}
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


def unreached(report: Report) -> list[tuple[str, str]]:
    """The systems that a probe could not read, by the name of their facts, with the reason."""
    return [
        (name.removesuffix("Facts"), system.reason or system.state)
        for name, system in report.facts.items()
        if system.state in ("failed", "interrupted")
    ]


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


# --- what to do ------------------------------------------------------------------------------------------------------


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


# --- the other sections ----------------------------------------------------------------------------------------------


def checklist(report: Report) -> dict[int, list[ChecklistItem]]:
    """The items by phase."""
    phases: dict[int, list[ChecklistItem]] = {}
    for item in report.checklist:
        phases.setdefault(item.phase, []).append(item)
    return dict(sorted(phases.items()))


def metric(expectation: Expectation) -> str:
    return METRICS.get(expectation.metric, (expectation.metric.replace("_", " "), "", ""))[0]


def measured(expectation: Expectation) -> str:
    """`120 ms`, `85 %`, or that it was not measured."""
    return "not measured" if expectation.measured is None else _figure(expectation.metric, expectation.measured)


def target(expectation: Expectation) -> str:
    """`< 100 ms`."""
    sign = METRICS.get(expectation.metric, ("", "", ""))[1]
    return f"{sign} {_figure(expectation.metric, expectation.target)}".strip()


def reached(expectation: Expectation) -> float | None:
    """The measured figure as a share of its target, for a bar; None where there is nothing to draw."""
    if expectation.measured is None or expectation.target <= 0:
        return None
    return max(0.0, expectation.measured / expectation.target)


def _figure(metric: str, value: float) -> str:
    unit = METRICS.get(metric, ("", "", ""))[2]
    return f"{plain(100 * value if unit == '%' else value)} {unit}".strip()


def observed(condition: Condition) -> str:
    """What a gate condition found."""
    value = condition.observed
    if value is None:
        return NONE
    if isinstance(value, str):
        return value
    return f"{value:g} %" if condition.required.endswith("%") else score(value)
