"""What the tests of a pack need: facts written down in files, judged as an audit would judge them.

A fixture is `FOLDER/CHECK-ID/STATUS[-WHY].json`; the part of its name before the first hyphen is the expected status:

    {"facts": {"RedisFacts": {...}}, "sections": {"Expectations": {...}}, "settings": {"allowed": [...]},
     "expect": {"message": "part of it", "credit": 0.5}}

Facts have the form of `--save-facts`: what is absent is left out, or is `{"$absent": "why", "privilege": "..."}`. A
system that is not named is not configured. Everything but `facts` is optional. No test framework is imported here;
what does not hold is an AssertionError.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from readiness import config, judge
from readiness.facts.base import Facts
from readiness.facts.collected import Collected, Outcome
from readiness.loader import Registry, load
from readiness.model import Finding, Status

__all__ = ["cases", "judge_fixture", "lacking", "load", "verify_fixture"]

_KEYS = {"facts", "sections", "settings", "expect"}
_VERDICTS = (Status.PASS, Status.WARN, Status.FAIL)
LONGEST_MESSAGE = 160


def cases(folder: Path) -> list[Path]:
    """Every fixture below a folder, in order."""
    return sorted(folder.glob("*/*.json"))


def judge_fixture(path: Path, registry: Registry) -> Finding:
    """The finding of one fixture, without regard to what its check requires.

    Raises:
        AssertionError: no such check or facts, a field or a setting that is not understood.
    """
    case = _read(path)
    spec = registry.checks.get(path.parent.name)
    assert spec is not None, f"{path}: no check {path.parent.name!r}"
    types = {facts.__name__: facts for facts in registry.probes}
    collection: dict[type[Facts], Collected] = {
        facts: Collected(Outcome.NOT_CONFIGURED, needs=probe.needs) for facts, probe in registry.probes.items()
    }
    for name, data in case["facts"].items():
        assert name in types, f"{path}: no probe returns {name!r}"
        try:
            facts = types[name].from_json(data)
        except ValidationError as error:
            raise AssertionError(f"{path}: {name}: {error}") from None
        # A misspelt field would silently be absent: what was written must come back.
        strange = _strange(data, facts.model_dump(mode="json"), name)
        assert not strange, f"{path}: {strange} is not understood"
        collection[types[name]] = Collected(Outcome.COLLECTED, facts)
    settings = config.settings_model(registry).model_validate(_sections(case.get("sections", {}), registry, path))
    parameters = {}
    for name, value in case.get("settings", {}).items():
        assert name in spec.settings, f"{path}: {spec.id} has no setting {name!r}"
        parameters[name] = TypeAdapter(spec.settings[name].annotation).validate_python(value)
    return judge.call(spec, collection, settings, parameters)


def verify_fixture(path: Path, registry: Registry) -> Finding:
    """Judges one fixture and demands what its name and its `expect` say, and that a verdict is complete.

    Raises:
        AssertionError: with the finding, where any of it does not hold.
    """
    finding = judge_fixture(path, registry)
    expected: dict[str, Any] = _read(path).get("expect", {})
    status = Status(path.stem.partition("-")[0])
    assert finding.status == status, f"{path}: expected {status}, got {finding.status}: {finding.message}"
    assert "the check itself failed" not in finding.message, f"{path}: {finding.message}"
    message = expected.get("message", "")
    assert message in finding.message, f"{path}: {message!r} is not part of {finding.message!r}"
    if "credit" in expected:
        assert finding.credit is not None, f"{path}: the finding states no credit"
        assert abs(float(finding.credit) - expected["credit"]) <= 0.005, f"{path}: credit is {float(finding.credit)}"
    if finding.status in _VERDICTS:
        assert finding.observed, f"{path}: a verdict says what was observed"
        assert finding.expected, f"{path}: a verdict says what was expected"
        assert len(finding.message) <= LONGEST_MESSAGE, f"{path}: a message has at most {LONGEST_MESSAGE} characters"
    return finding


def lacking(folder: Path, registry: Registry, ids: Iterable[str] | None = None, *, pack: Path | None = None) -> str:
    """Which fixtures are still to be written: one for each verdict that a check can return, and one for `error`.

    Args:
        folder: where the fixtures are, in a folder for each check.
        ids: the checks that need them; all by default.
        pack: only the checks that are defined below this folder.

    Returns:
        One line for each check that lacks any; empty where there is nothing left to write.
    """
    lines = []
    for id in registry.checks if ids is None else ids:
        spec = registry.checks[id]
        if pack is not None and not Path(spec.source.rpartition(":")[0]).resolve().is_relative_to(pack.resolve()):
            continue
        present = {path.stem.partition("-")[0] for path in (folder / id).glob("*.json")}
        missing = ({verdict.value for verdict in spec.verdicts} | {"error"}) - present
        if missing:
            lines.append(f"{folder / id} lacks {', '.join(f'{name}.json' for name in sorted(missing))}")
    return "\n".join(lines)


def _read(path: Path) -> dict[str, Any]:
    case = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(case, dict), f"{path}: expected an object"
    assert isinstance(case.get("facts"), dict), f"{path}: `facts` is missing"
    assert set(case) <= _KEYS, f"{path}: unknown keys {sorted(set(case) - _KEYS)}"
    return case


def _sections(by_type: Mapping[str, Any], registry: Registry, path: Path) -> dict[str, Any]:
    by_type = dict(by_type)
    declared = by_type.pop("Absences", {})
    fields = config.settings_model(registry).model_fields
    names = {field.annotation.__name__: name for name, field in fields.items() if field.annotation is not None}
    for type_name in by_type:
        assert type_name in names, f"{path}: the configuration has no section of type {type_name!r}"
    sections = {names[type_name]: data for type_name, data in by_type.items()}
    return sections | {"components": {id: {"absent": reason} for id, reason in declared.items()}}


def _strange(written: Any, read: Any, place: str) -> str:
    """The place of the first value that did not come back, or nothing."""
    if isinstance(written, dict) and "$absent" in written:
        return "" if isinstance(read, dict) and "$absent" in read else place
    if isinstance(written, dict):
        if not isinstance(read, dict):
            return place
        pairs = ((f"{place}.{key}", value, key) for key, value in written.items())
        found = (name if key not in read else _strange(value, read[key], name) for name, value, key in pairs)
        return next(filter(None, found), "")
    if isinstance(written, list):
        if not isinstance(read, list) or len(written) != len(read):
            return place
        both = enumerate(zip(written, read, strict=True))
        return next(filter(None, (_strange(a, b, f"{place}[{n}]") for n, (a, b) in both)), "")
    return ""
