"""What the report's drawings are made of: boxes of an architecture, bars of percentiles. Computes no figure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from readiness.model import Report
from readiness.report.text import cut, one_line
from readiness.report.wording import NONE, plain

BOX_STATES: Mapping[str, str] = {"present": "", "missing": "missing", "change": "to change", "unknown": "not known"}
MOST_BOXES = 12  # a tier, and tiers a drawing
_PERCENTILE = re.compile(r"\b(p\d{2}) (\d{1,9}(?:\.\d{1,9})?) ms")


def tiers(drawing: Mapping[str, Any]) -> list[list[dict[str, str]]]:
    """The boxes of a drawing, tier by tier from the users down: role, name, detail and state; a plain name will do."""
    flow = drawing.get("flow", ())
    rows = ([tier] if isinstance(tier, (str, Mapping)) else tier for tier in _sequence(flow)[:MOST_BOXES])
    return [boxes for row in rows if (boxes := [_box(node) for node in _sequence(row)[:MOST_BOXES]])]


def _sequence(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _box(node: Any) -> dict[str, str]:
    if not isinstance(node, Mapping):
        return {"role": "", "name": described(node), "detail": "", "state": "present"}
    box = {key: one_line(str(node.get(key, "")), 120) for key in ("role", "name", "detail", "state")}
    return box if box["state"] in BOX_STATES else box | {"state": "present"}


def drawn(drawing: Mapping[str, Any]) -> str:
    """A drawing in words."""
    return "; ".join(", ".join(_in_words(box) for box in tier) for tier in tiers(drawing))


def _in_words(box: Mapping[str, str]) -> str:
    notes = ", ".join(filter(None, (box["detail"], BOX_STATES[box["state"]])))
    return f"{box['name']} ({notes})" if notes else box["name"]


def described(value: Any) -> str:
    """A value of the architecture as one line."""
    match value:
        case str():
            return one_line(value, 300)
        case Mapping():
            return cut(", ".join(f"{key}: {described(item)}" for key, item in value.items()), 300)
        case list() | tuple():
            return cut(", ".join(described(item) for item in value), 300)
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return plain(value)
        case _:
            return NONE


def percentiles(report: Report) -> list[tuple[str, dict[str, float]]]:
    """What was timed with its percentiles in milliseconds, such as `{"p50": 2.6, "p95": 7.2}`.

    Read from the first evidence that lists several in the form `p50 2.6 ms, p95 7.2 ms`.
    """
    for check in report.checks:
        for found in (check.evidence, *check.evidence.values()):
            if isinstance(found, Mapping):
                rows = [(str(name), _percentiles(text)) for name, text in found.items() if isinstance(text, str)]
                if rows := [(name, values) for name, values in rows if len(values) > 1]:
                    return rows[:12]
    return []


def _percentiles(text: str) -> dict[str, float]:
    return {name: float(number) for name, number in _PERCENTILE.findall(text[:500])}
