"""Fields of Kubernetes objects, taken for hostile: what has another shape counts as not being there."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from typing import Any

_MOST = 2**31 - 1
MAX_LISTED = 200
"""How many entries of a list inside one object are looked at."""


def mapping(value: Any, *path: str) -> Mapping[str, Any]:
    """The mapping at a path, or an empty one."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def entries(value: Any, *path: str) -> Iterator[Mapping[str, Any]]:
    """The mappings in the list at a path."""
    *parents, last = path
    listed = mapping(value, *parents).get(last)
    for each in listed[:MAX_LISTED] if isinstance(listed, list) else []:
        if isinstance(each, dict):
            yield each


def text(value: Any, limit: int = 253) -> str:
    return value[:limit] if isinstance(value, str) else ""


def number(value: Any, default: int = 0) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST else default


def moment(value: Any) -> dt.datetime | None:
    """A time such as 2026-11-22T13:52:49Z, or None."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        found = dt.datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo is not None and found.year > 1970 else None


def name_of(item: Any) -> str:
    return text(mapping(item, "metadata").get("name"))


def conditions(status: Any) -> dict[str, Mapping[str, Any]]:
    """Conditions by their type."""
    return {text(each.get("type"), 60): each for each in entries(status, "conditions")}


def holds(condition: Mapping[str, Any] | None) -> bool | None:
    """Whether a condition is True or False; None where it is Unknown, or not there."""
    return {"True": True, "False": False}.get(text((condition or {}).get("status"), 10))


def annotation(item: Any, name: str) -> Any:
    """An annotation that holds JSON, or None."""
    value = mapping(item, "metadata", "annotations").get(name)
    if not isinstance(value, str) or len(value) > 100_000:
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def share(value: Any, whole: int) -> int | None:
    """A number of pods, written as such or as a percentage of `whole`, which is rounded down."""
    if isinstance(value, str) and value.endswith("%") and value[:-1].isdecimal() and len(value) < 8:
        return whole * int(value[:-1]) // 100
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST else None


def selects(selector: Any, labels: Mapping[str, Any], *, empty_selects_all: bool) -> bool:
    """Whether a LabelSelector matches labels; no selector at all matches nothing."""
    if not isinstance(selector, dict):
        return False
    wanted = mapping(selector, "matchLabels")
    rules = list(entries(selector, "matchExpressions"))
    if not wanted and not rules:
        return empty_selects_all
    return all(labels.get(key) == value for key, value in wanted.items()) and all(_rule(each, labels) for each in rules)


def _rule(rule: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    key, listed = text(rule.get("key"), 400), rule.get("values")
    values = listed if isinstance(listed, list) else []
    match rule.get("operator"):
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case _:
            return False


def query(selector: Any) -> str:
    """A LabelSelector as it stands in a query; empty where it selects nothing that can be written down."""
    parts = [f"{text(key)}={text(value)}" for key, value in mapping(selector, "matchLabels").items()]
    for rule in entries(selector, "matchExpressions"):
        key, listed = text(rule.get("key"), 400), rule.get("values")
        values = ",".join(text(each) for each in listed) if isinstance(listed, list) else ""
        match rule.get("operator"):
            case "In":
                parts.append(f"{key} in ({values})")
            case "NotIn":
                parts.append(f"{key} notin ({values})")
            case "Exists":
                parts.append(key)
            case "DoesNotExist":
                parts.append(f"!{key}")
    return ",".join(parts)
