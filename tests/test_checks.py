"""Every check has a fixture for each verdict that it can return, and one for `error`; all of them are run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from readiness import loader
from readiness.facts.base import Facts
from readiness.facts.collected import Collected, Outcome
from readiness.judge import Judged, call
from readiness.model import Status
from readiness.settings import Settings

FIXTURES = Path(__file__).parent / "fixtures"
REGISTRY = loader.load()
CASES = sorted(FIXTURES.glob("*/*.json"))


def _judge(path: Path) -> Judged:
    case: dict[str, Any] = json.loads(path.read_text())
    spec = REGISTRY.checks[path.parent.name]
    types = {facts.__name__: facts for facts in REGISTRY.probes}
    collection: dict[type[Facts], Collected] = {
        facts: Collected(Outcome.NOT_CONFIGURED, needs=probe.needs) for facts, probe in REGISTRY.probes.items()
    }
    for name, data in case["facts"].items():
        facts = types[name].from_json(data)
        # A misspelt field would silently be absent: what was written must come back.
        assert _subset(data, facts.model_dump(mode="json")), f"{path}: a field of {name} is not understood"
        collection[types[name]] = Collected(Outcome.COLLECTED, facts)
    settings = Settings.model_validate(_sections(case.get("sections", {})))
    return Judged(spec, call(spec, collection, settings, case.get("settings", {})))


def _sections(by_type: dict[str, Any]) -> dict[str, Any]:
    names = {field.annotation.__name__: name for name, field in Settings.model_fields.items() if field.annotation}
    return {names[type_name]: data for type_name, data in by_type.items()}


def _subset(written: Any, read: Any) -> bool:
    if isinstance(written, dict) and "$absent" in written:
        return isinstance(read, dict) and "$absent" in read
    if isinstance(written, dict):
        return isinstance(read, dict) and all(
            key in read and _subset(value, read[key]) for key, value in written.items()
        )
    if isinstance(written, list):
        return isinstance(read, list) and len(written) == len(read) and all(map(_subset, written, read))
    return True


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_fixture(path: Path) -> None:
    judged = _judge(path)
    expected: dict[str, Any] = json.loads(path.read_text()).get("expect", {})
    finding = judged.finding
    assert finding.status == Status(path.stem.partition("-")[0]), finding
    assert "the check itself failed" not in finding.message
    assert expected.get("message", "") in finding.message
    if "credit" in expected:
        assert finding.credit is not None
        assert float(finding.credit) == pytest.approx(expected["credit"], abs=0.005)
    if finding.status in (Status.PASS, Status.WARN, Status.FAIL):
        assert finding.observed, "a verdict says what was observed"
        assert finding.expected, "a verdict says what was expected"
        assert len(finding.message) <= 160


@pytest.mark.parametrize("id", REGISTRY.checks)
def test_every_check_has_its_fixtures(id: str) -> None:
    present = {path.stem.partition("-")[0] for path in (FIXTURES / id).glob("*.json")}
    demanded = {status.value for status in REGISTRY.checks[id].verdicts} | {"error"}
    assert demanded <= present, f"tests/fixtures/{id} lacks {sorted(demanded - present)}"


def test_no_fixture_without_a_check() -> None:
    assert {path.parent.name for path in CASES} <= set(REGISTRY.checks)
