from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator, FormatChecker
from markdown_it import MarkdownIt

from readiness.gate import exit_code
from readiness.model import Report, Status
from readiness.report import render
from readiness.report.text import UNSAFE

from .hostile import hostile
from .sample import REPORTS, assessment, outage, partial


@cache
def validator() -> Draft4Validator:
    schema = json.loads((Path(__file__).parent / "schemas" / "sarif-2.1.0-rtm.5.json").read_text())
    return Draft4Validator(schema, format_checker=FormatChecker())


def run_of(report: Report) -> dict[str, Any]:
    run: dict[str, Any] = json.loads(render(report, "sarif"))["runs"][0]
    return run


def test_golden(golden: Callable[[str, str], None]) -> None:
    golden("assessment.1.sarif", render(assessment(), "sarif"))


@pytest.mark.parametrize("make", REPORTS.values())
def test_it_is_valid(make: Callable[[], Report]) -> None:
    for report in (make(), hostile(make()), hostile(make(), ""), replace(make(), checks=())):
        errors = [error.message[:200] for error in validator().iter_errors(json.loads(render(report, "sarif")))]
        assert not errors


def test_the_schema_refuses_what_is_wrong() -> None:
    log = json.loads(render(assessment(), "sarif"))
    log["runs"][0]["results"][0]["level"] = "fatal"
    assert list(validator().iter_errors(log))


def test_every_check_is_a_rule_with_help() -> None:
    report = assessment()
    rules = run_of(report)["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [check.id for check in report.checks]
    rule = next(rule for rule in rules if rule["id"] == "caching.memory.policy")
    assert rule["name"] == "CachingMemoryPolicy"
    assert rule["helpUri"] == "https://valkey.io/topics/lru-cache/"
    fix = next(check.fix for check in report.checks if check.id == rule["id"])
    assert f"Fix:\n{fix}" in rule["help"]["text"]
    assert f"```\n{fix}\n```" in rule["help"]["markdown"]
    assert rule["defaultConfiguration"] == {"level": "error"}
    assert "security-severity" not in rule["properties"]
    security = next(rule for rule in rules if rule["id"] == "security.input.operators")
    assert security["properties"]["security-severity"] == "8.0"


def test_results_are_findings_and_what_could_not_be_judged() -> None:
    report = assessment()
    run = run_of(report)
    rules = run["tool"]["driver"]["rules"]
    wanted = {check.id for check in report.checks if check.status in (Status.FAIL, Status.WARN, Status.ERROR)}
    assert {result["ruleId"] for result in run["results"]} == wanted
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        (location,) = result["locations"]
        assert location["physicalLocation"]["artifactLocation"]["uri"] == "readiness.yaml"
        assert location["logicalLocations"][0]["fullyQualifiedName"].startswith("artisan-market/production/")
        assert re.fullmatch(r"[0-9a-f]{16}:1", result["partialFingerprints"]["primaryLocationLineHash"])
    levels = {result["ruleId"]: result["level"] for result in run["results"]}
    assert levels["monitoring.health.dependencies"] == "error"
    assert levels["caching.hit_rate.window"] == "warning"
    assert levels["database.profiler.enabled"] == "note"
    text = next(r["message"]["text"] for r in run["results"] if r["ruleId"] == "monitoring.prometheus.reach")
    assert text == "could not be judged: http://prometheus:9090 refused the connection; blocks 3 checks"


def test_a_fingerprint_is_of_the_check_and_not_of_what_it_found() -> None:
    def prints(report: Report) -> dict[str, str]:
        return {r["ruleId"]: r["partialFingerprints"]["readinessCheck/v1"] for r in run_of(report)["results"]}

    report = assessment()
    first = prints(report)
    later = replace(report, checks=tuple(replace(each, message="else", observed="0") for each in report.checks))
    assert prints(later) == first
    assert len(set(first.values())) == len(first)
    assert prints(replace(report, environment="staging")) != first


@pytest.mark.parametrize(("name", "code"), REPORTS)
def test_the_invocation_says_how_the_run_ended(name: str, code: int) -> None:
    report = REPORTS[name, code]()
    (invocation,) = run_of(report)["invocations"]
    assert invocation["exitCode"] == exit_code(report) == code
    assert invocation["executionSuccessful"] is (code < 2)
    assert invocation["startTimeUtc"] == "2026-03-02T09:30:00Z"


def test_what_was_not_looked_at_is_notified() -> None:
    (invocation,) = run_of(outage())["invocations"]
    messages = [notice["message"]["text"] for notice in invocation["toolExecutionNotifications"]]
    assert "Redis: 127.0.0.1:6379 refused the connection" in messages
    assert "caching.memory.limit blocked: blocked by caching.reach.connect" in messages
    (invocation,) = run_of(assessment())["invocations"]
    waiver, *notices = invocation["toolConfigurationNotifications"]
    assert waiver["descriptor"]["id"] == "waiver-to-mend"
    assert "can be removed" in waiver["message"]["text"]
    found = {n["associatedRule"]["id"]: n["descriptor"]["id"] for n in notices}
    assert found["security.headers.csp"] == "waived"
    assert found["performance.cdn.assets"] == "skipped"
    assert found["performance.load.rate"] == "not-tested"


def test_an_incomplete_audit_that_was_allowed_ends_well() -> None:
    (invocation,) = run_of(replace(outage(), allow_incomplete=True))["invocations"]
    assert invocation["exitCode"] == 0


@pytest.mark.parametrize("make", REPORTS.values())
def test_hostile_text_is_text(make: Callable[[], Report]) -> None:
    text = render(hostile(make()), "sarif")
    assert not UNSAFE.search(text)
    run = json.loads(text)["runs"][0]
    for rule in run["tool"]["driver"]["rules"]:
        assert "helpUri" not in rule
        tokens = MarkdownIt("commonmark").parse(rule["help"]["markdown"])
        inner = [each for token in tokens for each in (token, *(token.children or ()))]
        assert not [each for each in inner if each.type in ("image", "link_open")]
        raw = [each.content for each in inner if each.type in ("html_inline", "html_block")]
        assert not [part for part in raw if re.sub("</?code>", "", part)]
    notices = [
        n for i in run["invocations"] for k in ("Execution", "Configuration") for n in i[f"tool{k}Notifications"]
    ]
    for each in (*run["results"], *notices):
        assert "](" not in each["message"]["text"]


def test_what_looks_like_a_placeholder_is_none() -> None:
    report = assessment()
    spoiled = tuple(replace(each, message="body {0} and {} and {x}") for each in report.checks)
    text = run_of(replace(report, checks=spoiled))["results"][0]["message"]["text"]
    assert text.startswith("body {{0}} and {} and {x}")


def test_a_report_without_a_date_has_no_times() -> None:
    (invocation,) = run_of(replace(partial(), started_at="yesterday"))["invocations"]
    assert "startTimeUtc" not in invocation
