"""A pack's own system through a whole audit: its section, its probe, and the system that it stands in for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from readiness import audit, config, schema
from readiness.errors import ConfigError
from readiness.loader import load
from readiness.model import CheckResult, State, Status

PACK = '''
from pydantic import SecretStr
from readiness.api import ABSENT, Context, Fact, Facts, Finding, ProbeError, Section, check, expect, probe


class StoreSettings(Section):
    dsn: SecretStr | None = None


class StoreFacts(Facts):
    version: Fact[str] = ABSENT


@probe(needs="store.dsn", section=("store", StoreSettings), replaces="mongodb")
async def store(settings: StoreSettings, context: Context) -> StoreFacts:
    if "down" in settings.dsn.get_secret_value():
        raise ProbeError("cannot connect")
    return StoreFacts(version="7")


@check(
    id="database.store.version", component="database", severity="high", effort="hours", fix="upgrade",
    reference="https://example.com",
)
def version(store: StoreFacts) -> Finding:
    """The version is supported.

    An old one gets no fixes.
    """
    return expect(store.version, what="the version", equals="7")
'''


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    (tmp_path / "store/store.py").write_text(PACK)
    return tmp_path / "store"


def run(pack: Path, **data: Any) -> tuple[dict[str, CheckResult], audit.Audited]:
    source = config.Source({"packs": [str(pack)], "limits": {"window_seconds": 0.05}, **data})
    audited = audit.run(audit.prepare(source))
    return {check.id: check for check in audited.report.checks}, audited


def test_it_stands_in_for_the_other_system(pack: Path) -> None:
    checks, audited = run(pack, store={"dsn": "store://h"})
    assert checks["database.store.version"].status is Status.PASS
    assert checks["database.reach.connect"].status is Status.NOT_APPLICABLE
    assert checks["database.reach.connect"].message == "store.dsn is configured, and nothing under mongodb"
    assert checks["database.client.timeouts"].status is Status.NOT_APPLICABLE, "needs another key of that section"
    database = next(each for each in audited.report.components if each.id == "database")
    assert (database.state, database.score) == (State.ASSESSED, 10.0)
    # Of other sections it says nothing.
    assert checks["caching.reach.connect"].status is Status.UNTESTED


def test_a_key_of_the_other_system_means_both(pack: Path) -> None:
    checks, _ = run(pack, store={"dsn": "store://h"}, mongodb={"options": {"maxPoolSize": 50}})
    assert checks["database.store.version"].status is Status.PASS
    assert checks["database.reach.connect"].status is Status.UNTESTED
    assert checks["database.client.pool_max"].status is not Status.NOT_APPLICABLE


def test_without_its_key_it_replaces_nothing(pack: Path) -> None:
    checks, _ = run(pack, redis={"url": "redis://127.0.0.1:9"})
    assert checks["database.store.version"].status is Status.UNTESTED
    assert checks["database.reach.connect"].status is Status.UNTESTED


def test_a_failure_to_look_is_not_softened(pack: Path, tmp_path: Path) -> None:
    checks, audited = run(pack, store={"dsn": "store://down"})
    assert checks["database.store.version"].status is Status.ERROR
    assert audited.report.incomplete
    database = next(each for each in audited.report.components if each.id == "database")
    assert database.score == 0


def test_saved_facts_are_judged_alike(pack: Path, tmp_path: Path) -> None:
    facts = tmp_path / "facts.json"
    data = {"packs": [str(pack)], "store": {"dsn": "store://h"}, "limits": {"window_seconds": 0.05}}
    live = audit.run(audit.prepare(config.Source(dict(data)), save_facts=facts)).report
    again = audit.run(audit.prepare(config.Source(dict(data)), facts=facts)).report
    assert [check.status for check in live.checks] == [check.status for check in again.checks]
    assert json.loads(facts.read_text())["collected"]["StoreFacts"]["facts"] == {"version": "7"}


def test_its_section_is_validated_and_published(pack: Path) -> None:
    registry = load([pack])
    with pytest.raises(ConfigError, match="unknown key 'dns'"):
        config.validate(config.Source({"store": {"dns": "x"}}), registry)
    assert "store" in schema.configuration(registry)["properties"]
    with pytest.raises(ConfigError, match="unknown key 'store'"):
        config.validate(config.Source({"store": {}}), load())
