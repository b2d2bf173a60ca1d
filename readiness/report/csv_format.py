"""One line for each check as CSV (RFC 4180), ready for a spreadsheet: no cell is a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path

from readiness.model import CheckResult, Report
from readiness.report.text import clean, cut
from readiness.report.wording import waiver_end, waiver_state, worst_first

LONGEST = 32_000  # characters: a spreadsheet's cell holds 32,767
_FORMULA = ("=", "+", "-", "@", "\t", "\n", "\u240d", "\uff1d", "\uff0b", "\uff0d", "\uff20")

Value = str | float | int | None

COLUMNS: Mapping[str, Callable[[Report, CheckResult], Value]] = {
    "service": lambda report, check: report.service,
    "environment": lambda report, check: report.environment,
    "started_at": lambda report, check: report.started_at,
    "component": lambda report, check: check.component,
    "check": lambda report, check: check.id,
    "title": lambda report, check: check.title,
    "severity": lambda report, check: check.severity.value,
    "status": lambda report, check: check.status.value,
    "credit": lambda report, check: check.credit,
    "message": lambda report, check: check.message,
    "observed": lambda report, check: check.observed,
    "expected": lambda report, check: check.expected,
    "gain_overall": lambda report, check: None if check.gain is None else check.gain.overall,
    "gain_component": lambda report, check: None if check.gain is None else check.gain.component,
    "effort": lambda report, check: check.effort,
    "phase": lambda report, check: check.phase,
    "privilege": lambda report, check: check.privilege,
    "fix": lambda report, check: check.fix,
    "verify": lambda report, check: check.verify,
    "reference": lambda report, check: check.reference,
    "waiver": lambda report, check: "; ".join(
        f"{waiver_state(waiver)}: {waiver.reason} ({waiver.owner}, {waiver_end(waiver)})"
        for waiver in report.waivers
        if waiver.check == check.id
    ),
}
"""The columns in their order; later versions only add some at the end."""


def render(report: Report, template_dir: Path | None = None) -> str:
    """A header and every check, worst first; lines end with CR LF. There is no template."""
    file = io.StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(COLUMNS)
    for check in worst_first(report.checks):
        writer.writerow(cell(read(report, check)) for read in COLUMNS.values())
    return file.getvalue()


def cell(value: Value) -> Value:
    """Text that a spreadsheet would take for a formula gets an apostrophe, which tells it that it is none."""
    if not isinstance(value, str):
        return value
    text = cut(clean(value), LONGEST)
    return f"'{text}" if text.lstrip(" \ufeff\xa0\u2028\u2029").startswith(_FORMULA) else text
