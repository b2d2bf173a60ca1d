from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from readiness.model import Report
from readiness.report import render
from readiness.report.text import UNSAFE

from .hostile import hostile
from .sample import REPORTS, assessment, outage, partial, ready

SVG = "{http://www.w3.org/2000/svg}"


def said(report: Report) -> list[str]:
    return [element.text or "" for element in ET.fromstring(render(report, "badge")).iter(f"{SVG}text")]


def luminance(colour: str) -> float:
    digits = colour.removeprefix("#")
    digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    shares = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_golden(golden: Callable[[str, str], None]) -> None:
    golden("assessment.1.svg", render(assessment(), "badge"))


def test_it_says_the_score_and_what_is_wrong_with_it() -> None:
    assert said(ready()) == ["readiness", "10/10"]
    assert said(assessment()) == ["readiness", "7/10"]
    assert said(outage()) == ["readiness", "6/10 incomplete"]
    assert said(partial()) == ["readiness", "unknown"]
    assert said(replace(assessment(), interrupted=True)) == ["readiness", "7/10 interrupted"]


def test_it_can_be_read_out() -> None:
    root = ET.fromstring(render(ready(), "badge"))
    assert root.get("role") == "img"
    assert root.get("aria-label") == "readiness: 10/10"
    title = root.findtext(f"{SVG}title", "")
    assert title.startswith("readiness of artisan-market production: 10/10, ready for production")


@pytest.mark.parametrize("make", REPORTS.values())
def test_white_text_stands_out(make: Callable[[], Report]) -> None:
    for colour in re.findall(r'height="20" fill="(#\w+)"', render(make(), "badge")):
        assert 1.05 / (luminance(colour) + 0.05) >= 4.5


@pytest.mark.parametrize("make", REPORTS.values())
def test_hostile_text_is_text_and_nothing_is_loaded(make: Callable[[], Report]) -> None:
    text = render(hostile(make()), "badge")
    assert not UNSAFE.search(text)
    root = ET.fromstring(text)
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {
        "svg",
        "title",
        "clipPath",
        "rect",
        "g",
        "text",
    }
    attributes = {name for element in root.iter() for name in element.attrib}
    assert not {name for name in attributes if name.startswith("on") or name in ("href", "src", "style")}
    assert len(text) < 2000
