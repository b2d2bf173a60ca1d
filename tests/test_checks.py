"""Every check has a fixture for each verdict that it can return, and one for `error`; all of them are run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from readiness import loader, testing

FIXTURES = Path(__file__).parent / "fixtures"
REGISTRY = loader.load()
CASES = testing.cases(FIXTURES)


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_fixture(path: Path) -> None:
    testing.verify_fixture(path, REGISTRY)


@pytest.mark.parametrize("id", REGISTRY.checks)
def test_every_check_has_its_fixtures(id: str) -> None:
    assert not testing.lacking(FIXTURES, REGISTRY, [id])


def test_no_fixture_without_a_check() -> None:
    assert {path.parent.name for path in CASES} <= set(REGISTRY.checks)


# --- the judge of fixtures itself: what it must not let through ------------------------------------------------------

LIMIT = {"memory": {"limit": 1000000}, "replication": {"role": "master"}}
WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "a misspelt field": ("pass", {"facts": {"RedisFacts": {"memory": {"limti": 1}}}}, "RedisFacts.memory.limti"),
    "a field of the wrong type": ("pass", {"facts": {"RedisFacts": {"memory": {"limit": "much"}}}}, "RedisFacts"),
    "facts that no probe returns": ("pass", {"facts": {"RedisFact": {}}}, "no probe returns 'RedisFact'"),
    "an unknown key": ("pass", {"facts": {}, "expects": {}}, "unknown keys ['expects']"),
    "an unknown setting": ("pass", {"facts": {}, "settings": {"least": 1}}, "has no setting 'least'"),
    "an unknown section": ("pass", {"facts": {}, "sections": {"Hopes": {}}}, "no section of type 'Hopes'"),
    "another status": ("fail-why", {"facts": {"RedisFacts": LIMIT}}, "expected fail, got pass: maxmemory is"),
    "another message": ("pass", {"facts": {"RedisFacts": LIMIT}, "expect": {"message": "no such"}}, "'no such'"),
    "a credit that is not stated": ("pass", {"facts": {"RedisFacts": LIMIT}, "expect": {"credit": 1}}, "no credit"),
    "no facts": ("pass", {}, "`facts` is missing"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_fixture_is_named(case: str, tmp_path: Path) -> None:
    name, data, says = WRONG[case]
    path = tmp_path / "caching.memory.limit" / f"{name}.json"
    path.parent.mkdir()
    path.write_text(json.dumps(data))
    with pytest.raises(AssertionError) as caught:
        testing.verify_fixture(path, REGISTRY)
    assert says in str(caught.value)


def test_missing_fixtures_are_named(tmp_path: Path) -> None:
    (tmp_path / "caching.memory.limit").mkdir()
    (tmp_path / "caching.memory.limit/warn-replica.json").write_text("{}")
    said = testing.lacking(tmp_path, REGISTRY, ["caching.memory.limit"])
    assert said.endswith("caching.memory.limit lacks error.json, fail.json, pass.json")
    assert not testing.lacking(tmp_path, REGISTRY, pack=tmp_path), "none of the checks is defined there"
