"""Structured fields against the examples of RFC 9651."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readiness.headers.structured import InnerList, Item, Malformed, Token, parse_dictionary, parse_item, parse_list


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5; foo=bar", Item(5, {"foo": Token("bar")})),
        ("42", Item(42)),
        ("-15", Item(-15)),
        ("4.5", Item(4.5)),
        ('"hello world"', Item("hello world")),
        (r'"a \" and a \\"', Item('a " and a \\')),
        ("foo123/456", Item(Token("foo123/456"))),
        (":cHJldGVuZCB0aGlzIGlzIGJpbmFyeSBjb250ZW50Lg==:", Item(b"pretend this is binary content.")),
        ("?1", Item(True)),
        ("@1659578233", Item(1659578233)),
        ("  a  ", Item(Token("a"))),
        ("a;q;r=?0", Item(Token("a"), {"q": True, "r": False})),
    ],
)
def test_items(text: str, value: Item) -> None:
    assert parse_item(text) == value


def test_lists() -> None:
    assert [member.parameters for member in parse_list('abc;a=1;b=2; cde_456, (ghi;jk=4 l);q="9";r=w')] == [
        {"a": 1, "b": 2, "cde_456": True},
        {"q": "9", "r": Token("w")},
    ]
    assert parse_list('("foo" "bar"), ("baz"), ()') == [
        InnerList((Item("foo"), Item("bar"))),
        InnerList((Item("baz"),)),
        InnerList(()),
    ]
    assert parse_list("") == []


def test_dictionaries() -> None:
    assert parse_dictionary('en="Applepie", da=:w4ZibGV0w6ZydGUK:, a=?0, b, c; foo=bar') == {
        "en": Item("Applepie"),
        "da": Item("Æbletærte\n".encode()),
        "a": Item(False),
        "b": Item(True),
        "c": Item(True, {"foo": Token("bar")}),
    }
    assert parse_dictionary("a=1, a=2") == {"a": Item(2)}, "the last one wins"
    assert parse_dictionary("rating=1.5, feelings=(joy sadness)")["rating"] == Item(1.5)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_list, "a,"), (parse_list, "a b"), (parse_list, ",a"), (parse_list, "(a"), (parse_list, "(a,b)"),
        (parse_item, '"open'), (parse_item, '"bad \\n"'), (parse_item, '"é"'), (parse_item, "1."),
        (parse_item, "1.2345"),
        (parse_item, "1234567890123456"), (parse_item, "--1"), (parse_item, "٣"), (parse_item, ":%:"),
        (parse_item, ":a"),
        (parse_item, "?2"), (parse_item, "@1.5"), (parse_item, ""), (parse_item, "a b"),
        (parse_dictionary, "A=1"), (parse_dictionary, "a=1 b=2"), (parse_dictionary, "camera 'none'"),
    ],
)  # fmt: skip
def test_what_breaks_the_grammar_is_refused_as_a_whole(parse: Any, text: str) -> None:
    with pytest.raises(Malformed):
        parse(text)


PIECES = (
    "a", "b1", "*c", "1", "-2", "3.5", "1.", "?0", "?1", "?2", ":YQ==:", ":%:", '"x"', '"\\\\"', '"', "@7",
    "(", ")", ";q", ";q=1", "=", ",", ", ", " ", "\t", "a=", "b=", "A", "é", "",
)  # fmt: skip


def _plain(value: Any) -> Any:
    """A parsed value of either parser, in tuples, with the type of each bare value that can be told in both."""
    if isinstance(value, InnerList):
        return [_plain(item) for item in value.items], {k: str(v) for k, v in value.parameters.items()}
    if isinstance(value, Item):
        return str(value.value), {k: str(v) for k, v in value.parameters.items()}
    bare, parameters = value
    kept = {k: _text(v) for k, v in parameters.items()}
    return ([_plain(item) for item in bare], kept) if isinstance(bare, list) else (_text(bare), kept)


def _text(bare: Any) -> str:
    return str(int(bare.timestamp())) if isinstance(bare, datetime) else str(bare)


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), st.sampled_from(["item", "list", "dictionary"]))
def test_another_parser_agrees(text: str, kind: str) -> None:
    http_sf = pytest.importorskip("http_sf")
    parse: Any = {"item": parse_item, "list": parse_list, "dictionary": parse_dictionary}[kind]
    try:
        theirs = http_sf.parse(text.encode("latin-1"), tltype=kind)
    except ValueError:  # StructuredFieldError is one
        with pytest.raises(Malformed):
            parse(text)
        return
    ours = parse(text)
    if kind == "item":
        assert _plain(ours) == _plain(theirs)
    elif kind == "list":
        assert [_plain(member) for member in ours] == [_plain(member) for member in theirs]
    else:
        assert {k: _plain(v) for k, v in ours.items()} == {k: _plain(v) for k, v in theirs.items()}
