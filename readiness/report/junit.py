"""The report as JUnit XML: a suite for each component and one for the gate.

Valid for Jenkins' schema and for the stricter one of Ant. A warning is no failure, as for the gate: it stands in the
suite's output, and waivers that do not hold in the error output of the first suite. What was not judged is an error or
skipped, and says why.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from readiness.model import CheckResult, Condition, Report, Status
from readiness.report.text import clean, cut, one_line
from readiness.report.wording import STATUSES, by_component, evidence, gain, observed, overall, waiver_alarms

LONGEST = 4000  # characters of one text
LONGEST_OUTPUT = 20_000  # characters of a suite's output
_SKIPPED = (Status.BLOCKED, Status.SKIPPED, Status.UNTESTED, Status.NOT_APPLICABLE, Status.WAIVED)


def render(report: Report, template_dir: Path | None = None) -> str:
    """An XML document with a `testsuites` root; there is no template."""
    root = ET.Element("testsuites")
    alarms = [sentence for _, sentence in waiver_alarms(report)]
    for name, checks in by_component(report.checks).items():
        _suite(root, report, name, [_case(check) for check in checks], _output(checks), alarms)
        alarms = []  # once is enough
    if report.gate.passed is not None:
        _suite(root, report, "Gate", [_condition(each) for each in report.gate.conditions], "", alarms)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(
    root: ET.Element,
    report: Report,
    name: str,
    cases: Sequence[ET.Element],
    output: str,
    alarms: Sequence[str],
) -> None:
    suite = ET.SubElement(
        root,
        "testsuite",
        name=_line(name) or "-",
        package="readiness",
        id=str(len(root)),
        timestamp=_moment(report.started_at),
        hostname="localhost",  # of the auditor, which the report does not name
        tests=str(len(cases)),
        failures=str(_with(cases, "failure")),
        errors=str(_with(cases, "error")),
        skipped=str(_with(cases, "skipped")),
        time="0",
    )
    properties = ET.SubElement(suite, "properties")
    about = {"service": report.service, "environment": report.environment, "target": report.target}
    for key, value in (about | {"score": overall(report), "version": report.tool.version}).items():
        ET.SubElement(properties, "property", name=key, value=_line(value))
    suite.extend(cases)
    ET.SubElement(suite, "system-out").text = cut(output, LONGEST_OUTPUT)
    ET.SubElement(suite, "system-err").text = cut("\n".join(map(_line, alarms)), LONGEST_OUTPUT) or None


def _with(cases: Sequence[ET.Element], outcome: str) -> int:
    return sum(case.find(outcome) is not None for case in cases)


def _case(check: CheckResult) -> ET.Element:
    classname = _line(f"readiness.{check.component}")
    case = ET.Element("testcase", name=_line(check.id) or "-", classname=classname, time="0")
    message = _line(check.message or check.title)
    if check.status is Status.FAIL:
        ET.SubElement(case, "failure", type=check.severity.value, message=message).text = _details(check)
    elif check.status is Status.ERROR:
        ET.SubElement(case, "error", type=check.severity.value, message=message).text = _details(check)
    elif check.status in _SKIPPED:
        reason = message if check.status is Status.BLOCKED else f"{STATUSES[check.status]}: {message}"
        ET.SubElement(case, "skipped", type=check.status.value, message=reason)
    return case


def _condition(condition: Condition) -> ET.Element:
    case = ET.Element("testcase", name=_line(condition.name) or "-", classname="readiness.gate", time="0")
    if not condition.passed:
        numbers = f"{_line(observed(condition))} (required {_line(condition.required)})"
        ET.SubElement(case, "failure", type="gate", message=numbers).text = numbers
    return case


def _details(check: CheckResult) -> str:
    """What a reader of the failure needs, as far as there is any of it."""
    rows = {
        "": check.title,
        "observed": check.observed,
        "expected": check.expected,
        "gain": gain(check),
        "needs": str(check.evidence.get("needs", "")),
        "fix": check.fix,
        "verify": check.verify,
        "reference": check.reference,
        **{f"evidence {name}": value for name, value in evidence(check, LONGEST // 4)},
    }
    lines = [f"{name}: {text}" if name else text for name, text in rows.items() if text]
    return cut(clean("\n".join(lines)), LONGEST)


def _output(checks: Sequence[CheckResult]) -> str:
    """The warnings, a line each, and the number of what passed."""
    warned = [check for check in checks if check.status is Status.WARN]
    passed = sum(check.status is Status.PASS for check in checks)
    return "\n".join([*(f"warning: {_line(check.id)}: {_line(check.message)}" for check in warned), f"{passed} passed"])


def _line(text: str) -> str:
    return one_line(clean(text), 500)


def _moment(rfc3339: str) -> str:
    """UTC without a zone, as Ant wants it; a report without a date gets the beginning of Unix time."""
    try:
        moment = dt.datetime.fromisoformat(rfc3339).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        moment = dt.datetime.fromtimestamp(0, dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S")
