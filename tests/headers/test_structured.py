"""Structured fields against the examples of RFC 9651."""

from __future__ import annotations

from typing import Any

import pytest

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
