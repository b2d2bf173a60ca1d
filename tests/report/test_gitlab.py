from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from readiness.model import Report, Status
from readiness.report import render
from readiness.report.text import UNSAFE

from .hostile import hostile
from .sample import REPORTS, assessment, outage

# What GitLab documents of an entry: these keys, these severities, a relative path without "./".
SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string"},
            "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "pattern": "^[^./]"},
                    "lines": {"type": "object", "required": ["begin"], "properties": {"begin": {"type": "integer"}}},
                },
            },
        },
    },
}


def entries(report: Report) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(render(report, "gitlab"))
    return found


def test_golden(golden: Callable[[str, str], None]) -> None:
    golden("assessment.1.gitlab.json", render(assessment(), "gitlab"))


@pytest.mark.parametrize("make", REPORTS.values())
def test_it_is_valid_whatever_the_texts_say(make: Callable[[], Report]) -> None:
    for report in (make(), hostile(make())):
        Draft202012Validator(SCHEMA).validate(entries(report))
        assert not UNSAFE.search(render(report, "gitlab"))


def test_findings_and_what_could_not_be_judged_with_their_severity() -> None:
    report = assessment()
    severities = {entry["check_name"]: entry["severity"] for entry in entries(report)}
    wanted = {check.id for check in report.checks if check.status in (Status.FAIL, Status.WARN, Status.ERROR)}
    assert set(severities) == {*wanted, "readiness.waiver"}
    assert severities["monitoring.health.dependencies"] == "blocker"
    assert severities["caching.memory.policy"] == "critical"
    assert severities["caching.hit_rate.window"] == "minor"
    assert severities["monitoring.prometheus.reach"] == "info"
    assert len({entry["fingerprint"] for entry in entries(report)}) == len(severities)


def test_an_outage_is_one_entry_and_not_one_for_each_blocked_check() -> None:
    (entry,) = (each for each in entries(outage()) if each["check_name"].startswith("caching."))
    assert re.fullmatch("could not be judged: .* refused the connection; blocks 5 checks", entry["description"])
