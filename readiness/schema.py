"""JSON Schemas (2020-12) of the report and of the configuration, made from the types themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from readiness import config
from readiness.descriptions import CONFIGURATION, RANGES, REPORT
from readiness.loader import Registry
from readiness.model import SCHEMA_VERSION, Report
from readiness.settings import WaiverSettings

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_VARIABLE = {"type": "string", "pattern": r"^\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}$"}
_SCALARS = ("number", "integer", "boolean")

Schema = dict[str, Any]


def report() -> Schema:
    """The schema of `-o report.json`. It leaves room for the keys that a later version adds."""
    from pydantic import TypeAdapter

    made = TypeAdapter(Report).json_schema(mode="serialization")
    for definition in (made, *made["$defs"].values()):
        if "properties" in definition:
            definition["required"] = list(definition["properties"])  # all of them are always written
    for type, name, entry in _properties(made, "Report"):
        for noise in ("title", "default"):
            entry.pop(noise, None)
        entry["description"] = REPORT.get(f"{type}.{name}") or REPORT.get(name, "")
        entry |= RANGES.get(f"{type}.{name}") or RANGES.get(name, {})
    made["properties"]["schema_version"] |= {"const": SCHEMA_VERSION}
    return {"$schema": DIALECT, **made, "title": "Report of readiness"}


def configuration(registry: Registry) -> Schema:
    """The schema of readiness.yaml, with the sections and the checks of every pack of the registry.

    Stricter than the configuration itself in one point: numbers are not to be quoted.
    """
    made = config.settings_model(registry).model_json_schema()
    for type, name, entry in _properties(made, "Settings"):
        entry.pop("title", None)
        entry.setdefault("description", CONFIGURATION.get(f"{type}.{name}", ""))
        if entry.get("default") in (None, [], {}) or isinstance(entry.get("default"), dict):
            entry.pop("default", None)
    definitions: Schema = made.setdefault("$defs", {})
    about = made["properties"]["checks"].get("description", "")
    made["properties"]["checks"] = {"description": about, **_checks(registry, definitions)}
    # For completion; a waiver of a check that is not there is reported, not refused.
    waived = definitions[WaiverSettings.__name__]["properties"]["check"]
    waived["anyOf"] = [{"enum": sorted(registry.checks)}, {"type": waived.pop("type")}]
    schema: Schema = _with_variables(made)
    return {"$schema": DIALECT, **schema, "title": "readiness.yaml"}


def _properties(schema: Schema, root: str) -> Iterator[tuple[str, str, Schema]]:
    """Every property of every type, with the names of both."""
    for type, definition in ((root, schema), *schema.get("$defs", {}).items()):
        for name, entry in definition.get("properties", {}).items():
            yield type, name, entry


def _checks(registry: Registry, definitions: Schema) -> Schema:
    """`checks:`, with the settings of each check that has any."""
    from pydantic import TypeAdapter
    from pydantic_core import to_jsonable_python

    entries: Schema = {}
    for id, spec in sorted(registry.checks.items()):
        settings: Schema = {}
        for name, setting in spec.settings.items():
            entry = TypeAdapter(setting.annotation).json_schema()
            definitions |= entry.pop("$defs", {})
            settings[name] = entry | {"default": to_jsonable_python(setting.default)}
        if settings:
            entries[id] = _closed(settings) | {"description": spec.title}
    return _closed(entries)


def _closed(properties: Mapping[str, Any]) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _with_variables(schema: Any) -> Any:
    """The same where a value that is no text may also come from the environment, and every known key is a property."""
    if isinstance(schema, list):
        return [_with_variables(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") in _SCALARS or "enum" in schema:
        about = {key: schema[key] for key in ("description", "default", "title") if key in schema}
        return about | {"anyOf": [{key: value for key, value in schema.items() if key not in about}, _VARIABLE]}
    if "enum" in schema.get("propertyNames", {}):
        names = schema["propertyNames"]["enum"]
        rest = {key: value for key, value in schema.items() if key not in ("propertyNames", "additionalProperties")}
        return rest | _closed({name: _with_variables(schema["additionalProperties"]) for name in names})
    # Defaults are values, not schemas.
    return {key: value if key == "default" else _with_variables(value) for key, value in schema.items()}
