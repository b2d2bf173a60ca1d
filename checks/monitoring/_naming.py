"""The naming conventions of Prometheus as rules over one family; the same ones that `promtool check metrics` applies.

One rule is not promtool's: percentages, against which the conventions ask for ratios.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from readiness.facts.metrics import Family

_BASE = ("amperes", "bytes", "celsius", "grams", "joules", "kelvin", "meters", "metres", "seconds", "volts")
_OTHER: Mapping[str, str] = {
    **dict.fromkeys(("minutes", "hours", "days", "weeks"), "seconds"),
    "kelvins": "kelvin",
    **dict.fromkeys(("fahrenheit", "rankine"), "celsius"),
    **dict.fromkeys(("inches", "yards", "miles"), "meters"),
    "bits": "bytes",
    "calories": "joules",
    **dict.fromkeys(("pounds", "ounces"), "grams"),
}
_PREFIXES = (
    "pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto", "kilo", "kibi", "mega", "mibi", "giga", "gibi",
    "tera", "tebi", "peta", "pebi",
)  # fmt: skip
_UNITS: Mapping[str, str] = {
    **_OTHER,
    **{prefix + unit: base for unit, base in {**_OTHER, **{u: u for u in _BASE}}.items() for prefix in _PREFIXES},
}
_ABBREVIATED = re.compile(r"_(?:s|ms|us|ns|sec|b|kb|mb|gb|tb|pb|m|h|d)(?=_|$)", re.I)
_TYPES = re.compile(r"_(gauge|counter|histogram|summary|gauge_histogram)(?=_|$)", re.I)
_CAMEL = re.compile(r"[a-z][A-Z]")


def _help(family: Family) -> str:
    return "" if family.help else "no help text"


def _total(family: Family) -> str:
    ends = family.name.endswith("_total")
    if family.type == "counter" and not ends:
        return "a counter without _total"
    return "_total, but no counter" if ends and family.type not in ("counter", "untyped") else ""


def _reserved(family: Family) -> str:
    if family.type == "untyped":
        return ""
    buckets, sums = _distribution(family)
    if not buckets and family.name.endswith("_bucket"):
        return "the suffix of a histogram"
    return "the suffix of a histogram" if not sums and family.name.endswith(("_count", "_sum")) else ""


def _labels(family: Family) -> str:
    if family.type == "untyped":
        return ""
    if "le" in family.labels and not _distribution(family)[0]:
        return "the label le, but no histogram"
    return "the label quantile, but no summary" if "quantile" in family.labels and family.type != "summary" else ""


def _distribution(family: Family) -> tuple[bool, bool]:
    """Whether the family has buckets, and whether it has a sum and a count."""
    buckets = family.type in ("histogram", "gaugehistogram")
    return buckets, buckets or family.type == "summary"


def _colon(family: Family) -> str:
    return "a colon, which is for recording rules" if ":" in family.name else ""


def _camel(family: Family) -> str:
    return "camelCase" if any(_CAMEL.search(name) for name in (family.name, *family.labels)) else ""


def _unit(family: Family) -> str:
    found = next((part for part in family.name.split("_") if part in _UNITS), None)
    return f"{found}, no base unit ({_UNITS[found]})" if found else ""


def _abbreviated(family: Family) -> str:
    return "no base unit, but an abbreviation" if _ABBREVIATED.search(family.name) else ""


def _type(family: Family) -> str:
    return "its type in the name" if _TYPES.search(family.name) else ""


def _percent(family: Family) -> str:
    words = family.name.lower().split("_")
    return "no base unit, but a percentage" if {"percent", "percentage"} & set(words) else ""


RULES: Mapping[str, Callable[[Family], str]] = {
    "help": _help,
    "total": _total,
    "reserved suffix": _reserved,
    "reserved label": _labels,
    "colon": _colon,
    "camelCase": _camel,
    "unit": _unit,
    "abbreviation": _abbreviated,
    "type": _type,
    "percentage": _percent,
}
"""What each rule objects to in a family, or nothing, by the rule's name."""


def objections(family: Family) -> dict[str, str]:
    """Everything that the conventions object to, by rule."""
    return {name: problem for name, rule in RULES.items() if (problem := rule(family))}
