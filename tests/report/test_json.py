from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from readiness.errors import ConfigError
from readiness.model import Report
from readiness.report import json_format
from readiness.report.text import UNSAFE

from .hostile import hostile
from .sample import REPORTS, assessment


@pytest.mark.parametrize("make", REPORTS.values(), ids=[name for name, _ in REPORTS])
def test_what_is_dumped_is_loaded(make: Callable[[], Report]) -> None:
    report = make()
    assert json_format.load(json_format.dump(report), "here") == report
    assert json_format.from_data(json_format.to_data(report)) == report


def test_golden(golden: Callable[[str, str], None]) -> None:
    golden("assessment.1.json", json_format.dump(assessment()))


def test_hostile_text_is_strict_json_without_raw_controls() -> None:
    text = json_format.dump(hostile(assessment()))
    assert not UNSAFE.search(text)
    assert "\u2028" not in text
    assert "\r" not in text
    assert json_format.dump(json_format.load(text, "here")) == text


def test_nan_becomes_text() -> None:
    report = assessment()
    check = replace(report.checks[0], evidence={"value": math.nan, "more": (math.inf, b"\xff")})
    data = json.loads(json_format.dump(replace(report, checks=(check,))))
    assert data["checks"][0]["evidence"] == {"value": "nan", "more": ["inf", "b'\\xff'"]}


def edited(**changes: object) -> str:
    return json.dumps(json_format.to_data(assessment()) | changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON: line 1"),
        ("[" * 200_000, "not JSON"),
        ("[]", "not a report"),
        ('{"format": "x"}', "not a report"),
        ('{"schema_version": NaN}', "NaN is not a JSON number"),
        ('{"schema_version": 1e999}', "1e999 is out of range"),
        ('{"schema_version": "2"}', "schema_version '2' is not understood, only '1'"),
        ('{"schema_version": "1"}', "tool: "),
        (edited(score="high"), "score: "),
        (edited(rating="splendid"), "rating: "),
        (edited(checks=[{"id": 1}]), "checks.0."),
    ],
)
def test_bad_input_is_a_configuration_error_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        json_format.load(text, "old.json")
    assert caught.value.place == "old.json"
    assert message in caught.value.message


def test_unknown_fields_of_a_later_minor_version_are_left_out() -> None:
    assert json_format.load(edited(novelty=1), "here") == assessment()
