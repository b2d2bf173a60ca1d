from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readiness.report.text import UNSAFE, clean, clean_data, cut, https, one_line

UNICODE = st.text(st.characters(exclude_categories=()))  # surrogates too


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("ends\r\nlike this", "ends\nlike this"),
        ("\x1b[31m", "␛[31m"),
        ("\x00\r", "␀␍"),
        ("\x7f", "␡"),
        ("\x9b31m", "�31m"),
        ("a\u202eb\u2066c\u200fd", "a�b�c�d"),
        ("\ud800", "�"),
        ("\uffff", "�"),
        ("ok ✅ – é 漢", "ok ✅ – é 漢"),
    ],
)
def test_clean(raw: str, cleaned: str) -> None:
    assert clean(raw) == cleaned


@given(UNICODE)
def test_clean_leaves_nothing_unsafe_and_is_stable(text: str) -> None:
    once = clean(text)
    assert not UNSAFE.search(once)
    assert clean(once) == once
    once.encode("utf-8")


@given(
    st.recursive(st.none() | st.floats() | st.integers() | UNICODE, lambda c: st.lists(c) | st.dictionaries(UNICODE, c))
)
def test_clean_data_is_strict_json(data: object) -> None:
    cleaned = clean_data(data)
    assert clean_data(json.loads(json.dumps(cleaned, allow_nan=False))) == cleaned


def test_clean_data_takes_what_is_no_json() -> None:
    deep: object = 1
    for _ in range(5000):
        deep = [deep]
    assert json.dumps(clean_data(deep)).count("[") < 100
    assert clean_data({1: (math.nan, {"b", "a"}, b"\x1b", 1 << 20_000)}) == {
        "1": ["nan", ["a", "b"], "b'\\x1b'", "an integer of 20001 bits"]
    }


def test_one_line_and_cut() -> None:
    assert one_line(" a\n\n b\u2028c\td ") == "a b c d"
    assert cut("abcdef", 4) == "abc…"
    assert cut("abcd", 4) == "abcd"
    assert one_line("a b c", 3) == "a…"


@given(st.text("ab \n\u2028", max_size=200), st.integers(1, 12))
def test_a_long_text_is_cut_as_if_all_of_it_were_read(text: str, limit: int) -> None:
    assert one_line(text, limit) == cut(one_line(text), limit)


def test_https() -> None:
    assert https("https://example.com/a?b=c#d") == "https://example.com/a?b=c#d"
    for url in ("http://example.com", "javascript:x", "https://a b", 'https://a"b', "https://a<b", "https://a\n", ""):
        assert https(url) == ""
