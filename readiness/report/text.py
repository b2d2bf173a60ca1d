"""What strangers wrote, made fit to print: the one sanitiser, and the cuts that keep reports small.

Escaping belongs to a format and stands beside it; control characters belong to none and go here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

REPLACEMENT = "\ufffd"
_MARKS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))  # of direction
_OTHERS = (*range(0x80, 0xA0), *_MARKS, *range(0xD800, 0xE000), 0xFFFE, 0xFFFF)
_TABLE = {
    **{code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"},  # ␀ to ␟
    0x7F: "\u2421",
    **dict.fromkeys(_OTHERS, REPLACEMENT),
}
UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
"""Every character that `clean` replaces: controls but tab and newline, direction marks, surrogates, non-characters."""

DEEPEST = 40  # evidence nested further is abridged: no reader follows, and recursion ends
_HTTPS = re.compile(r"https://[^\s\"'<>\\^`{|}]+")
_BREAKS = re.compile(r"[\s\u2028\u2029\x85]+")


def clean(text: str) -> str:
    """`text` without anything that a terminal, a browser or an editor would obey; each replacement is visible."""
    if text.isascii() and text.isprintable():
        return text
    return text.replace("\r\n", "\n").translate(_TABLE)


def clean_data(data: Any, depth: int = 0) -> Any:
    """The same through mappings and sequences, keys too, as plain JSON data: tuples become lists, NaN becomes "nan"."""
    if depth > DEEPEST:
        return "…"
    match data:
        case str():
            return clean(data)
        case None | bool():
            return data
        case int():
            # json and str refuse or crawl on integers of thousands of digits.
            return data if data.bit_length() <= 256 else f"an integer of {data.bit_length()} bits"
        case float():
            return data if math.isfinite(data) else str(data)
        case Mapping():
            return {clean(str(key)): clean_data(value, depth + 1) for key, value in data.items()}
        case list() | tuple():
            return [clean_data(value, depth + 1) for value in data]
        case set() | frozenset():
            return sorted((clean_data(value, depth + 1) for value in data), key=str)
        case _:
            return clean(str(data))


def one_line(text: str, limit: int = 0) -> str:
    """`text` with every run of white space, line separators included, folded to one space; cut where asked."""
    if limit and len(text) > 8 * limit:
        head = _BREAKS.sub(" ", text[: 8 * limit]).lstrip()
        if len(head) > limit + 1:  # enough is left to cut, so the rest need not be read
            return cut(head, limit)
    folded = _BREAKS.sub(" ", text).strip()
    return cut(folded, limit) if limit else folded


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, the last of them an ellipsis where something was lost."""
    return text if len(text) <= limit else text[: max(0, limit - 1)].rstrip() + "…"


def cost(text: str) -> int:
    """Bytes of UTF-8 once escaped for HTML, rounded up."""
    foreign = 0 if text.isascii() else len(text) - len(text.encode("ascii", "ignore"))
    return len(text) + 4 * sum(map(text.count, "&<>\"'")) + 3 * foreign


def cut_bytes(text: str, limit: int) -> str:
    """`text` cut until it costs at most `limit`."""
    text = text[: limit + 1]
    while (size := cost(text)) > limit:
        text = cut(text, max(1, min(len(text) - 1, len(text) * limit // size)))
        if len(text) <= 1:
            break
    return text


def https(url: str) -> str:
    """The URL if it is a plain https one, else nothing: no format makes a link of anything else."""
    return url if _HTTPS.fullmatch(url) else ""
