from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readiness.model import Report, Severity, Status
from readiness.report import render
from readiness.report.github import MOST, harmless, outputs
from readiness.report.text import UNSAFE

from .hostile import TEXT, hostile
from .sample import REPORTS, assessment, check, outage, partial, ready

COMMAND = re.compile(r"::(?P<kind>error|warning|notice) title=(?P<title>[^:,\r\n]*)::(?P<message>[^\r\n]*)")


def annotations(report: Report) -> list[tuple[str, str, str]]:
    """Kind, title and message of each command, unescaped as the runner does it."""
    found = []
    for line in render(report, "github").splitlines():
        match = COMMAND.fullmatch(line)
        assert match, line
        title, message = (re.sub("%(25|0D|0A|3A|2C)", lambda m: unquote(m[0]), match[k]) for k in ("title", "message"))
        found.append((match["kind"], title, message))
    return found


def is_command(line: str) -> bool:
    """Whether the runner takes a line of the log for a command: the new form at its start, the old one anywhere."""
    return line.lstrip().startswith("::") or "##[" in line


def test_golden(golden: Callable[[str, str], None]) -> None:
    golden("assessment.1.github.txt", render(assessment(), "github"))


def test_the_score_the_unmet_conditions_and_the_findings() -> None:
    found = annotations(assessment())
    score = "7/10 ⚠️ 7.1 (6.9 without 2 waivers), up to 7.9; coverage 91 %"
    assert found[0] == ("notice", "readiness of artisan-market", score)
    assert ("error", "readiness gate: score", "7.1 (required >= 8)") in found
    kinds = {title: kind for kind, title, _ in found}
    assert kinds["monitoring.health.dependencies"] == "error"
    assert kinds["caching.hit_rate.window"] == "warning"
    assert kinds["database.profiler.enabled"] == "notice"
    assert annotations(ready()) == [("notice", "readiness of artisan-market", "10/10 ✅ (10.0)")]
    assert ("error", "readiness could not read Redis", "127.0.0.1:6379 refused the connection") in annotations(outage())
    assert annotations(partial())[0][2] == "5 of 6 components not run"


def test_no_more_than_a_step_shows() -> None:
    many = tuple(
        check(f"security.many.n{n}", Status.FAIL, severity, "T", "m")
        for n in range(30)
        for severity in (Severity.HIGH, Severity.MEDIUM, Severity.LOW)
    )
    found = annotations(replace(ready(), checks=many))
    for kind in ("error", "warning", "notice"):
        assert sum(each[0] == kind for each in found) == MOST
    assert found[0][2].endswith(f"; {90 - (3 * MOST - 1)} more findings in the step summary")


@pytest.mark.parametrize("make", REPORTS.values())
def test_hostile_text_is_text(make: Callable[[], Report]) -> None:
    for text in (TEXT, "::stop-commands::x", "%0A::add-mask::a", "x\n::error::y", "a::b,c:d%"):
        report = hostile(make(), text)
        assert not UNSAFE.search(render(report, "github"))
        assert annotations(report)


def test_outputs_are_figures_only() -> None:
    lines = outputs(hostile(assessment())).splitlines()
    values = dict(line.split("=", 1) for line in lines)
    assert values == {
        "score": "7.1", "headline": "7", "rating": "needs_work", "coverage": "0.91", "passed": "false",
        "incomplete": "false",
    }  # fmt: skip
    assert "score=\n" in outputs(partial())
    assert "passed=\n" in outputs(outage())


@settings(deadline=None)
@given(st.text(st.sampled_from(":#[ \n\tab\r") | st.characters(categories=["L", "Z"])))
def test_no_line_of_a_log_is_a_command(text: str) -> None:
    made = harmless(text)
    assert not any(is_command(line) for line in re.split("[\r\n]", made))
    if not any(map(is_command, re.split("[\r\n]", text))):
        assert made == text
