"""The report as JSON, schema version 1: what every other format is made from, here or another day."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any

from readiness.errors import ConfigError
from readiness.model import SCHEMA_VERSION, Report
from readiness.report.text import UNSAFE, clean_data

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import TypeAdapter

_HINT = "write one with `readiness audit -o report.json`"


def to_data(report: Report) -> dict[str, Any]:
    """The report as dictionaries, lists, strings and numbers, in the order of the model's fields."""
    data: dict[str, Any] = _plain(report)
    return data


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def from_data(data: Any) -> Report:
    """The inverse of `to_data`. Raises pydantic's ValidationError."""
    return _adapter().validate_python(data)


@cache
def _adapter() -> TypeAdapter[Report]:
    from pydantic import TypeAdapter

    return TypeAdapter(Report)


def dump(report: Report) -> str:
    """The report as `strict` JSON."""
    return strict(to_data(report))


def strict(data: Any) -> str:
    """Strict JSON, two spaces deep. No control character is written raw, so it may go to a terminal as well."""
    text = json.dumps(clean_data(data), indent=2, ensure_ascii=False, allow_nan=False)
    # Cleaned text has none of these left; the line separators stay legal JSON but end a line for some readers,
    # and the bracket begins a command in the log of a CI system.
    for raw, escaped in (("\u2028", "\\u2028"), ("\u2029", "\\u2029"), ("##[", "##\\u005b")):
        text = text.replace(raw, escaped)
    return UNSAFE.sub(_escaped, text) + "\n"


def _escaped(match: Any) -> str:
    return f"\\u{ord(match[0]):04x}"


def render(report: Report, template_dir: Path | None = None) -> str:
    """The format's entry in the registry; there is no template."""
    return dump(report)


def load(text: str, place: str) -> Report:
    """Reads what `dump` wrote; everything in it is cleaned again, because a file may come from anywhere.

    Raises:
        ConfigError: not JSON, not a report, or a report of another schema version; names `place`.
    """
    try:
        data = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        reason = f"line {error.lineno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else str(error)
        raise ConfigError(f"not JSON: {reason}", place=place, hint=_HINT) from None
    if not isinstance(data, dict) or "schema_version" not in data:
        raise ConfigError("not a report of readiness", place=place, hint=_HINT)
    version = data["schema_version"]
    if version != SCHEMA_VERSION:
        raise ConfigError(
            f"schema_version {str(version)[:20]!r} is not understood, only {SCHEMA_VERSION!r}",
            place=place,
            hint="another version of readiness wrote it",
        )
    from pydantic import ValidationError

    try:
        return from_data(clean_data(data))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{where}: {first['msg']}", place=place, hint=_HINT) from None


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:20]} is out of range")
    return number
