from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from lxml import etree

from readiness.model import Report, Severity, Status
from readiness.report import render
from readiness.report.text import UNSAFE

from .hostile import TEXT, hostile
from .sample import REPORTS, assessment, check, outage

SCHEMAS = ("jenkins-junit-10.xsd", "ant-junit.xsd")


@cache
def schema(name: str) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(Path(__file__).parent / "schemas" / name))


def cases(report: Report) -> dict[str, ET.Element]:
    return {case.get("name", ""): case for case in ET.fromstring(render(report, "junit")).iter("testcase")}


def test_golden(golden: Callable[[str, str], None]) -> None:
    golden("assessment.1.xml", render(assessment(), "junit"))


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("make", REPORTS.values())
def test_it_is_valid(make: Callable[[], Report], name: str) -> None:
    for report in (make(), hostile(make()), hostile(make(), ""), replace(make(), checks=())):
        schema(name).assertValid(etree.fromstring(render(report, "junit").encode()))


def test_every_check_has_a_case_and_the_counts_add_up() -> None:
    report = assessment()
    root = ET.fromstring(render(report, "junit"))
    suites = root.findall("testsuite")
    assert [suite.get("name") for suite in suites][-2:] == ["Performance", "Gate"]
    assert sum(int(suite.get("tests", "")) for suite in suites[:-1]) == len(report.checks)
    for suite in suites:
        for attribute, outcome in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.get(attribute, "")) == len(list(suite.iter(outcome)))


def test_outcomes_with_their_reasons() -> None:
    found = cases(assessment())
    failure = found["caching.memory.policy"].find("failure")
    assert failure is not None
    assert failure.get("message") == "maxmemory-policy is noeviction"
    assert "observed: noeviction\nexpected: allkeys-lru or allkeys-lfu" in (failure.text or "")
    error = found["database.index.usage"].find("error")
    assert error is not None
    assert "needs: clusterMonitor" in (error.text or "")
    reasons = {name: case.find("skipped") for name, case in found.items() if case.find("skipped") is not None}
    messages = {name: skipped.get("message") for name, skipped in reasons.items() if skipped is not None}
    assert messages["monitoring.prometheus.rules"] == "blocked by monitoring.prometheus.reach"
    assert messages["database.replication.lag"] == "not applicable: hello says standalone: no replica set to judge"
    assert messages["performance.load.rate"] == "not tested: needs load.allow in the configuration, or --load"
    assert messages["performance.cdn.assets"] == "skipped: left out by --skip"
    assert messages["security.headers.csp"] == "waived: no Content-Security-Policy header"
    assert not list(found["database.reach.connect"])


def test_a_warning_is_no_failure_but_is_told() -> None:
    root = ET.fromstring(render(assessment(), "junit"))
    assert not list(cases(assessment())["caching.hit_rate.window"])
    outputs = [suite.findtext("system-out", "") for suite in root if suite.get("name") == "Caching"]
    assert outputs == [
        "warning: caching.hit_rate.window: hit rate is 85.0 %: full credit to 95.0 %, none from 70.0 %\n3 passed"
    ]


def test_conditions_of_the_gate_are_cases() -> None:
    found = cases(assessment())
    failure = found["score"].find("failure")
    assert failure is not None
    assert failure.get("message") == "7.1 (required >= 8)"
    assert not list(found["coverage"])
    assert "score" not in cases(outage())


def test_texts_are_bounded() -> None:
    many = tuple(
        check(
            f"security.many.n{n}",
            status,
            Severity.HIGH,
            "T",
            "m" * 9000,
            fix="f" * 90_000,
            evidence={"e": "x" * 90_000},
        )
        for n in range(50)
        for status in (Status.FAIL, Status.WARN)
    )
    text = render(replace(assessment(), checks=many), "junit")
    assert len(text) < 50 * 6000 + 30_000
    assert all(len(element.text or "") <= 20_000 for element in ET.fromstring(text).iter())


@pytest.mark.parametrize("make", REPORTS.values())
def test_hostile_text_is_text(make: Callable[[], Report]) -> None:
    text = render(hostile(make()), "junit")
    assert not UNSAFE.search(text)
    tags = {"testsuites", "testsuite", "properties", "property", "testcase"}
    tags |= {"failure", "error", "skipped", "system-out", "system-err"}
    assert {element.tag for element in ET.fromstring(text).iter()} <= tags
    assert "<script" not in text
    assert "&#27;" not in render(hostile(make(), "&#27;]]>" + TEXT), "junit").replace("&amp;#27;", "")
