"""What the formats for code hosts share: what becomes an alert, how grave it is, how it is known again next time."""

from __future__ import annotations

import hashlib

from readiness.model import CheckResult, Report, Severity, Status
from readiness.report.text import clean, one_line
from readiness.report.wording import count, findings, with_status

PLACE = "readiness.yaml"
"""A live system has no file, but code hosts show no alert without one: the configuration stands in for it."""

_GRAVE = (Severity.CRITICAL, Severity.HIGH)


def alerts(report: Report) -> list[CheckResult]:
    """What is wrong, worst first, then what could not be judged.

    The latter belongs to it because a host takes an alert that is missing from the next run for fixed. What only
    something else blocks is counted there instead of being listed: one outage is one alert.
    """
    unjudged = sorted(with_status(report, Status.ERROR), key=lambda check: check.severity.rank)
    return [*findings(report), *unjudged]


def level(check: CheckResult) -> str:
    """`error`, `warning` or `note`; only what certainly failed is an error."""
    if check.status is Status.FAIL:
        return "error" if check.severity in _GRAVE else "warning" if check.severity is Severity.MEDIUM else "note"
    return "warning" if check.severity.rank <= Severity.MEDIUM.rank else "note"


def fingerprint(report: Report, check: CheckResult) -> str:
    """The same in every run for one check of one deployment, whatever it finds there; 64 hexadecimal digits."""
    parts = (report.service, report.environment, check.id)
    return hashlib.sha256("\0".join(map(clean, parts)).encode("utf-8", "replace")).hexdigest()


def sentence(report: Report, check: CheckResult, limit: int = 1000) -> str:
    """What is wrong, on one line: observed against expected, or why it could not be judged and what that blocks."""
    text = one_line(clean(check.message or check.title))
    if check.status is Status.ERROR:
        needs = one_line(clean(str(check.evidence.get("needs", ""))))
        blocked = sum(each.evidence.get("blocked_by") == check.id for each in with_status(report, Status.BLOCKED))
        text = f"could not be judged: {text}" + (f" (needs {needs})" if needs else "")
        text += f"; blocks {count(blocked, 'check')}" if blocked else ""
    else:
        pairs = (("observed", check.observed), ("expected", check.expected))
        text += "".join(f"; {name} {one_line(clean(value), 300)}" for name, value in pairs if value)
    return one_line(text, limit)
