"""The report as SARIF 2.1.0: a rule for each check, a result for each alert, a notification for what was not looked at.

Code hosts show every result as open, whatever its `kind` or suppression says. So what passed is told by its rule alone,
and what is waived or was not judged by a notification.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from readiness.gate import ExitCode, exit_code
from readiness.model import CheckResult, Report, Severity, Status
from readiness.report.alerts import PLACE, alerts, fingerprint, level, sentence
from readiness.report.json_format import strict
from readiness.report.markdown import escape, fence, link, prose
from readiness.report.text import clean, cut, https, one_line
from readiness.report.wording import STATUSES, component_name, unreached, waiver_alarms, with_status

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LONGEST = 1000  # characters of one text: code hosts cut or refuse longer ones
_SECURITY = {Severity.CRITICAL: "9.5", Severity.HIGH: "8.0", Severity.MEDIUM: "5.5", Severity.LOW: "3.0"}
_LEVELS = {Severity.CRITICAL: "error", Severity.HIGH: "error", Severity.MEDIUM: "warning"}
_PROBLEMS = {"error": "error", "warning": "warning", "note": "recommendation"}
_PLACEHOLDER = re.compile(r"\{(\d+)\}")
_NO_ID = re.compile(r"[^\w.-]+")
_NOTICES: Mapping[Status, tuple[str, str]] = {
    # status: level of its notification, id of its descriptor
    Status.ERROR: ("error", "could-not-be-judged"),
    Status.BLOCKED: ("error", "blocked"),
    Status.SKIPPED: ("warning", "skipped"),
    Status.UNTESTED: ("note", "not-tested"),
    Status.WAIVED: ("note", "waived"),
}
_UNREACHED = "unreached"
_WAIVER = "waiver-to-mend"
_EXITS = {
    ExitCode.OK: "audited; every gate condition met, or no gate asked for",
    ExitCode.GATE: "audited; a gate condition not met",
    ExitCode.INCOMPLETE: "audit incomplete",
    ExitCode.INTERRUPTED: "interrupted",
}


def render(report: Report, template_dir: Path | None = None) -> str:
    """A log with one run; there is no template."""
    return strict({"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(report)]})


def _run(report: Report) -> dict[str, Any]:
    checks = {check.id: check for check in report.checks}
    rules = {id: number for number, id in enumerate(checks)}
    category = ("readiness", report.service, report.environment, "")
    return {
        "tool": {"driver": _driver(report, checks.values()), "extensions": _packs(report)},
        "automationDetails": {"id": "/".join(_NO_ID.sub("-", clean(part)) for part in category)},
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "the root of the repository"}}},
        "invocations": [_invocation(report, rules)],
        "columnKind": "unicodeCodePoints",
        "results": [_result(report, check, rules[check.id]) for check in alerts(report)],
        "properties": {
            "service": report.service,
            "environment": report.environment,
            "target": report.target,
            "score": report.score,
            "coverage": report.coverage,
            "rating": report.rating,
        },
    }


def _driver(report: Report, checks: Iterable[CheckResult]) -> dict[str, Any]:
    notices = (_UNREACHED, _WAIVER, *(id for _, id in _NOTICES.values()))
    return {
        "name": report.tool.name,
        "version": report.tool.version,
        "rules": [_rule(check) for check in checks],
        "notifications": [{"id": id} for id in notices],
    }


def _packs(report: Report) -> list[dict[str, str]]:
    packs = dict.fromkeys((pack.name, pack.version) for pack in report.tool.packs)
    return [{"name": name, "version": version} for name, version in packs]


def _plain(text: str, limit: int = LONGEST) -> str:
    """Text in which nothing is a placeholder or a link, and that is not empty."""
    shown = _PLACEHOLDER.sub(r"{{\1}}", cut(clean(text), limit))
    return shown.replace("](", "] (") or "-"


def _rule(check: CheckResult) -> dict[str, Any]:
    grave = _LEVELS.get(check.severity, "note")
    tags = [check.component, *([f"phase-{check.phase}"] if check.phase else [])]
    properties: dict[str, Any] = {"tags": tags, "problem.severity": _PROBLEMS[grave], "severity": check.severity.value}
    if check.component == "security" and check.severity in _SECURITY:
        properties["security-severity"] = _SECURITY[check.severity]
    rule = {
        "id": check.id,
        "name": "".join(word.title() for word in re.split(r"[^A-Za-z0-9]+", check.id)) or "Check",
        "shortDescription": {"text": _plain(one_line(check.title))},
        "fullDescription": {"text": _plain(one_line(check.explanation or check.title))},
        "help": {"text": _help(check), "markdown": _help_markdown(check)},
        "defaultConfiguration": {"level": grave},
        "properties": properties,
    }
    return rule | ({"helpUri": check.reference} if https(check.reference) else {})


def _help(check: CheckResult) -> str:
    sections = (("", check.explanation), ("Fix", check.fix), ("Verify", check.verify), ("Reference", check.reference))
    parts = [f"{name}:\n{text}" if name else text for name, text in sections if text]
    return _plain("\n\n".join(parts) or check.title, 6 * LONGEST)


def _help_markdown(check: CheckResult) -> str:
    parts: list[str] = [f"**{escape(cut(check.title, LONGEST))}**"]
    parts += [prose(cut(check.explanation, 3 * LONGEST))] if check.explanation else []
    for name, text in (("Fix", check.fix), ("Verify", check.verify)):
        parts += [f"**{name}**\n\n{fence(cut(text, 2 * LONGEST))}"] if text else []
    parts += [f"Reference: {link(cut(check.reference, LONGEST))}"] if check.reference else []
    return "\n\n".join(parts)


def _result(report: Report, check: CheckResult, index: int) -> dict[str, Any]:
    component = component_name(check.component)
    print_ = fingerprint(report, check)
    return {
        "ruleId": check.id,
        "ruleIndex": index,
        "level": level(check),
        "message": {"text": _plain(sentence(report, check))},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": PLACE, "uriBaseId": "%SRCROOT%"},
                    "region": {"startLine": 1},
                },
                "logicalLocations": [
                    {
                        "name": component,
                        "fullyQualifiedName": f"{report.service}/{report.environment}/{component}",
                        "kind": "resource",
                    }
                ],
            }
        ],
        "partialFingerprints": {"primaryLocationLineHash": f"{print_[:16]}:1", "readinessCheck/v1": print_},
        "properties": {
            "status": check.status,
            "severity": check.severity,
            "credit": check.credit,
            "observed": cut(check.observed, LONGEST),
            "expected": cut(check.expected, LONGEST),
            "effort": check.effort,
            "gain": None if check.gain is None else check.gain.overall,
        },
    }


def _invocation(report: Report, rules: Mapping[str, int]) -> dict[str, Any]:
    code = exit_code(report)
    execution = with_status(report, Status.ERROR, Status.BLOCKED)
    configuration = with_status(report, Status.SKIPPED, Status.UNTESTED, Status.WAIVED)
    return {
        "executionSuccessful": code in (ExitCode.OK, ExitCode.GATE),
        "exitCode": int(code),
        "exitCodeDescription": _EXITS[code],
        **_times(report),
        "toolExecutionNotifications": [*_unreached(report), *(_notice(check, rules) for check in execution)],
        "toolConfigurationNotifications": [*_waivers(report), *(_notice(check, rules) for check in configuration)],
    }


def _waivers(report: Report) -> list[dict[str, Any]]:
    return [
        {"descriptor": {"id": _WAIVER}, "level": "warning", "message": {"text": _plain(sentence)}}
        for _, sentence in waiver_alarms(report)
    ]


def _unreached(report: Report) -> list[dict[str, Any]]:
    return [
        {
            "descriptor": {"id": _UNREACHED},
            "level": "error",
            "message": {"text": _plain(one_line(f"{name}: {reason}"))},
        }
        for name, reason in unreached(report)
    ]


def _notice(check: CheckResult, rules: Mapping[str, int]) -> dict[str, Any]:
    grave, descriptor = _NOTICES[check.status]
    return {
        "descriptor": {"id": descriptor},
        "associatedRule": {"id": check.id, "index": rules[check.id]},
        "level": grave,
        "message": {"text": _plain(one_line(f"{check.id} {STATUSES[check.status]}: {check.message}"))},
    }


def _times(report: Report) -> dict[str, str]:
    """Start and end in UTC; nothing where the report has no date."""
    try:
        start = dt.datetime.fromisoformat(report.started_at).astimezone(dt.UTC)
        end = start + dt.timedelta(seconds=report.duration_seconds)
    except (ValueError, OverflowError):
        return {}
    return {
        name: moment.strftime("%Y-%m-%dT%H:%M:%SZ") for name, moment in (("startTimeUtc", start), ("endTimeUtc", end))
    }
