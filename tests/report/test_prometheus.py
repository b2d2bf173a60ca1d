from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from readiness.model import Report
from readiness.report import render
from readiness.report.text import UNSAFE

from .hostile import hostile
from .sample import REPORTS, assessment, outage, partial


def samples(report: Report) -> dict[tuple[str, str], float]:
    """Values by name and the label that tells one apart."""
    found = {}
    for family in text_string_to_metric_families(render(report, "prometheus")):
        assert family.type == "gauge"
        for sample in family.samples:
            own = [value for name, value in sample.labels.items() if name not in ("service", "environment")]
            found[sample.name, own[0] if own else ""] = sample.value
    return found


def promtool(text: str) -> str:
    """What promtool has to say, nothing where all is well."""
    binary = shutil.which("promtool")
    if binary is None:
        pytest.skip("no promtool on PATH")
    done = subprocess.run([binary, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip() or ("" if done.returncode == 0 else f"exit {done.returncode}")


def test_golden(golden: Callable[[str, str], None]) -> None:
    golden("assessment.1.prom", render(assessment(), "prometheus"))


def test_the_figures_are_those_of_the_report() -> None:
    found = samples(assessment())
    assert found["readiness_score", ""] == 7.1
    assert found["readiness_component_score", "caching"] == 7.6
    assert found["readiness_checks", "fail"] == 4
    assert found["readiness_checks", "blocked"] == 3
    assert found["readiness_coverage_ratio", ""] == 0.91
    assert found["readiness_gate_passed", ""] == 0
    assert found["readiness_audit_timestamp_seconds", ""] == 1772443800
    assert sum(value for (name, _), value in found.items() if name == "readiness_checks") == len(assessment().checks)


def test_what_is_not_known_is_not_zero() -> None:
    found = samples(partial())
    assert ("readiness_score", "") not in found
    assert ("readiness_component_score", "database") not in found
    assert found["readiness_component_score", "security"] == 8.1
    assert ("readiness_gate_passed", "") not in samples(outage())
    assert samples(outage())["readiness_incomplete", ""] == 1


@pytest.mark.parametrize("make", REPORTS.values())
def test_promtool_finds_nothing(make: Callable[[], Report]) -> None:
    assert promtool(render(make(), "prometheus")) == ""
    assert promtool(render(hostile(make()), "prometheus")) == ""


@pytest.mark.parametrize("make", REPORTS.values())
def test_hostile_text_adds_no_sample(make: Callable[[], Report]) -> None:
    report = make()
    text = render(hostile(report), "prometheus")
    assert not UNSAFE.search(text)
    dated = {"readiness_audit_timestamp_seconds"}  # of a date that is none any more
    assert {name for name, _ in samples(hostile(report))} == {name for name, _ in samples(report)} - dated
    lines = [line.rpartition(" ")[0] for line in text.splitlines()]
    assert len(set(lines)) == len(lines)


@settings(deadline=None, max_examples=50)
@given(st.text(st.sampled_from('ab"\\\n{}=,# ') | st.characters(exclude_categories=["Cs"])))
def test_any_service_name_is_a_label(text: str) -> None:
    exposed = render(replace(partial(), service=text), "prometheus")
    names = [family.name for family in text_string_to_metric_families(exposed)]
    assert names == re.findall("^# TYPE (\\S+) gauge$", exposed, re.M)
    assert set(exposed.splitlines()) == set(exposed.split("\n")) - {""}
