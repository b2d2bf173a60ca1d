from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readiness.model import Report
from readiness.report import render
from readiness.report.csv_format import COLUMNS
from readiness.report.text import UNSAFE

from .hostile import hostile
from .sample import REPORTS, assessment

DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # as OWASP lists them


def rows(report: Report) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render(report, "csv"), newline=""), strict=True))


def test_golden(golden: Callable[[str, str], None]) -> None:
    golden("assessment.1.csv", render(assessment(), "csv").replace("\r\n", "\n"))


def test_a_line_for_each_check_worst_first() -> None:
    report = assessment()
    found = rows(report)
    assert {row["check"] for row in found} == {check.id for check in report.checks}
    assert (found[0]["check"], found[0]["status"]) == ("monitoring.health.dependencies", "fail")
    assert (found[0]["gain_overall"], found[0]["credit"], found[0]["phase"]) == ("0.41", "0.0", "1")
    assert found[0]["fix"].startswith("app.get('/health'")
    assert "\n" in found[0]["fix"]


def test_lines_end_as_the_rfc_wants() -> None:
    text = render(assessment(), "csv")
    assert text.endswith("\r\n")
    outside = re.sub(r'"(?:[^"]|"")*"', "", text)
    assert outside.count("\n") == outside.count("\r\n") == len(assessment().checks) + 1


@pytest.mark.parametrize("make", REPORTS.values())
def test_hostile_text_is_text(make: Callable[[], Report]) -> None:
    report = hostile(make())
    text = render(report, "csv")
    assert not UNSAFE.search(text.replace("\r\n", "\n"))
    found = rows(report)
    assert len(found) == len(report.checks)
    assert all(len(row) == len(COLUMNS) and None not in row for row in found)


@settings(deadline=None)
@given(st.text(st.sampled_from("=+-@\t\r\n \"',;|ab1\ufeff\xa0＝＠\0") | st.characters()))
def test_no_cell_is_a_formula(text: str) -> None:
    check = replace(assessment().checks[0], message=text, observed=text, fix=text)
    (row,) = rows(replace(assessment(), checks=(check,)))
    for cell in (row["message"], row["observed"], row["fix"]):
        assert not cell.lstrip(" \ufeff\xa0").startswith(DANGEROUS)


def test_numbers_stay_numbers() -> None:
    text = render(assessment(), "csv")
    assert ',0.41,1.4,"hours",1,' in text


def test_a_cell_fits_into_a_spreadsheet() -> None:
    check = replace(assessment().checks[0], fix="x" * 100_000)
    (row,) = rows(replace(assessment(), checks=(check,)))
    assert len(row["fix"]) <= 32_767
