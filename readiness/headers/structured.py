"""Structured field values of RFC 9651: lists, dictionaries and items, strictly, as recipients must parse them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

_KEY = re.compile(r"[a-z*][a-z0-9_\-.*]*")
_NUMBER = re.compile(r"-?\d+(\.\d*)?")
_TOKEN = re.compile(r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


class Malformed(ValueError):
    """Not a structured field of that type: a recipient ignores the whole field."""


class Token(str):
    """A token, which is not the same as a string of the same characters."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Item:
    """A bare value (bool, int, float, str, Token, bytes) with its parameters."""

    value: Any
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InnerList:
    """A parenthesised list of items with the parameters of the list."""

    items: tuple[Item, ...]
    parameters: dict[str, Any] = field(default_factory=dict)


Member = Item | InnerList


def parse_dictionary(text: str) -> dict[str, Member]:
    """A dictionary; the last of equal keys wins. Raises Malformed."""
    return _whole(text, _dictionary)


def parse_list(text: str) -> list[Member]:
    """A list. Raises Malformed."""
    return _whole(text, _list)


def parse_item(text: str) -> Item:
    """A single item. Raises Malformed."""
    return _whole(text, _item)


def _whole(text: str, parse: Callable[[_Cursor], T]) -> T:
    cursor = _Cursor(text.strip(" "))
    value = parse(cursor)
    if cursor.more:
        raise Malformed(f"unexpected {cursor.text[cursor.at : cursor.at + 12]!r} at {cursor.at}")
    return value


@dataclass(slots=True)
class _Cursor:
    text: str
    at: int = 0

    @property
    def more(self) -> bool:
        return self.at < len(self.text)

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def skip(self, characters: str) -> None:
        while self.at < len(self.text) and self.text[self.at] in characters:
            self.at += 1

    def take(self, expected: str) -> bool:
        if self.text.startswith(expected, self.at):
            self.at += len(expected)
            return True
        return False

    def match(self, pattern: re.Pattern[str], what: str) -> str:
        found = pattern.match(self.text, self.at)
        if found is None or not found[0]:
            raise Malformed(f"no {what} at {self.at}")
        self.at = found.end()
        return found[0]


def _dictionary(cursor: _Cursor) -> dict[str, Member]:
    members: dict[str, Member] = {}
    while cursor.more:
        key = cursor.match(_KEY, "key")
        members[key] = _member(cursor) if cursor.take("=") else Item(True, _parameters(cursor))
        _separator(cursor)
    return members


def _list(cursor: _Cursor) -> list[Member]:
    members: list[Member] = []
    while cursor.more:
        members.append(_member(cursor))
        _separator(cursor)
    return members


def _separator(cursor: _Cursor) -> None:
    cursor.skip(" \t")
    if not cursor.more:
        return
    if not cursor.take(","):
        raise Malformed(f"no comma at {cursor.at}")
    cursor.skip(" \t")
    if not cursor.more:
        raise Malformed("ends with a comma")


def _member(cursor: _Cursor) -> Member:
    if not cursor.take("("):
        return _item(cursor)
    items: list[Item] = []
    while True:
        cursor.skip(" ")
        if cursor.take(")"):
            return InnerList(tuple(items), _parameters(cursor))
        items.append(_item(cursor))
        if cursor.peek() not in (" ", ")"):
            raise Malformed(f"inner list broken at {cursor.at}")


def _item(cursor: _Cursor) -> Item:
    return Item(_bare(cursor), _parameters(cursor))


def _parameters(cursor: _Cursor) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    while cursor.take(";"):
        cursor.skip(" ")
        key = cursor.match(_KEY, "parameter")
        parameters[key] = _bare(cursor) if cursor.take("=") else True
    return parameters


def _bare(cursor: _Cursor) -> Any:
    match cursor.peek():
        case '"':
            return _string(cursor)
        case "?":
            cursor.at += 1
            return cursor.match(re.compile("[01]"), "boolean") == "1"
        case ":":
            cursor.at += 1
            encoded = cursor.match(_BASE64, "byte sequence")
            if not cursor.take(":"):
                raise Malformed(f"byte sequence not closed at {cursor.at}")
            try:
                return base64.b64decode(encoded + "=" * (-len(encoded) % 4))
            except binascii.Error:
                raise Malformed("not base64") from None
        case "@":
            cursor.at += 1
            number = _number(cursor)
            if not isinstance(number, int):
                raise Malformed("a date is an integer")
            return number
        case character if character.isdigit() or character == "-":
            return _number(cursor)
        case _:
            return Token(cursor.match(_TOKEN, "value"))


def _number(cursor: _Cursor) -> int | float:
    text = cursor.match(_NUMBER, "number")
    whole, dot, fraction = text.lstrip("-").partition(".")
    if not text.isascii() or len(whole) > (12 if dot else 15) or (dot and not 1 <= len(fraction) <= 3):
        raise Malformed(f"number {text[:24]} out of range")
    return float(text) if dot else int(text)


def _string(cursor: _Cursor) -> str:
    cursor.at += 1
    characters: list[str] = []
    while cursor.at < len(cursor.text):
        character = cursor.text[cursor.at]
        cursor.at += 1
        if character == '"':
            return "".join(characters)
        if character == "\\":
            character = cursor.peek()
            if character not in ('"', "\\"):
                raise Malformed("bad escape")
            cursor.at += 1
        elif not " " <= character <= "~":
            raise Malformed("not a printable ASCII character")
        characters.append(character)
    raise Malformed("string not closed")
