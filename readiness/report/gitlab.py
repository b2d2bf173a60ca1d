"""A Code Quality report for GitLab: one entry for each finding, and for each check that could not be judged."""

from __future__ import annotations

import hashlib
from pathlib import Path

from readiness.model import CheckResult, Report, Severity, Status
from readiness.report.alerts import PLACE, alerts, fingerprint, sentence
from readiness.report.json_format import strict
from readiness.report.text import clean
from readiness.report.wording import waiver_alarms

_SEVERITIES = ("blocker", "critical", "major", "minor", "info")  # as critical, high, medium, low, info


def render(report: Report, template_dir: Path | None = None) -> str:
    """A JSON array; there is no template."""
    return strict([*(_entry(report, check) for check in alerts(report)), *_waivers(report)])


def _waivers(report: Report) -> list[dict[str, object]]:
    """The waivers that do not hold or soon will not."""
    return [
        {
            "type": "issue",
            "check_name": "readiness.waiver",
            "description": sentence,
            "categories": ["Clarity"],
            "severity": "info",
            "fingerprint": _print(report, number, check),
            "location": {"path": PLACE, "lines": {"begin": 1}},
        }
        for number, (check, sentence) in enumerate(waiver_alarms(report))
    ]


def _print(report: Report, number: int, check: str) -> str:
    parts = (report.service, report.environment, "waiver", str(number), check)
    return hashlib.sha256("\0".join(map(clean, parts)).encode("utf-8", "replace")).hexdigest()


def _entry(report: Report, check: CheckResult) -> dict[str, object]:
    return {
        "type": "issue",
        "check_name": check.id,
        "description": sentence(report, check),
        "categories": ["Security" if check.component == "security" else "Bug Risk"],
        "severity": _severity(check),
        "fingerprint": fingerprint(report, check),
        "location": {"path": PLACE, "lines": {"begin": 1}},
    }


def _severity(check: CheckResult) -> str:
    """Of the check's own severity; what did not fail outright is one step less."""
    step = 0 if check.status is Status.FAIL else 1
    return _SEVERITIES[min(check.severity.rank + step, Severity.INFO.rank)]
