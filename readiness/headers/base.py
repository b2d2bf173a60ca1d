"""What every family shares: the header list, the verdict, and careful access to values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from readiness.model import Status

Headers = Sequence[tuple[str, str]]
"""(name, value) pairs in the order in which they came; names in any case."""

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token of RFC 9110, section 5.6.2."""

_BADNESS = {Status.NOT_APPLICABLE: -1, Status.PASS: 0, Status.WARN: 1, Status.FAIL: 2}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rule applied to one answer.

    `id` is the rule ("csp.script"), `status` one of pass, warn, fail and not_applicable, `reason` a sentence without a
    full stop. `observed` and `expected` are short and printable as they are.
    """

    id: str
    status: Status
    reason: str
    observed: str
    expected: str


def values(headers: Headers, name: str) -> list[str]:
    """Every value of that name, in order, without surrounding white space."""
    wanted = name.lower()
    return [value.strip() for key, value in headers if key.lower() == wanted]


def first(headers: Headers, name: str) -> str | None:
    """The first value of that name, or None."""
    return next(iter(values(headers, name)), None)


def members(headers: Headers, name: str) -> list[str]:
    """The comma-separated members of all fields of that name; only for fields whose members hold no quoted commas."""
    return [member.strip() for value in values(headers, name) for member in value.split(",") if member.strip()]


def gravest(verdicts: Iterable[Verdict]) -> Verdict:
    """The first of the worst verdicts. Raises ValueError where there is none."""
    listed = list(verdicts)
    if not listed:
        raise ValueError("no verdict to choose from")
    return max(listed, key=lambda verdict: _BADNESS[verdict.status])


def shown(sent: Sequence[str], limit: int = 60) -> str:
    """The values of a header that was sent, never an empty text."""
    return short(" | ".join(sent), limit) or "(empty)"


def short(text: str, limit: int = 60) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def quoted(text: str, limit: int = 60) -> str:
    """The same between quotes, unprintable characters escaped, which makes up to ten of one."""
    return short(repr(short(text, limit)), limit + 10)
