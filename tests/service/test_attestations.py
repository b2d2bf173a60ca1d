"""Attestations through the whole audit: shown as declared, left out by --measured-only, refused without evidence."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
import yaml

from readiness import audit, config
from readiness.errors import ConfigError
from readiness.model import CheckResult, Status

STATEMENT = {
    "statement": "Errors of every instance go to Sentry",
    "evidence": "https://sentry.example.com/organizations/shop",
    "owner": "platform-team",
    "expires": dt.date(2027, 1, 31),
}


def source(tmp_path: Path, **attestations: object) -> config.Source:
    file = tmp_path / "readiness.yaml"
    file.write_text(yaml.safe_dump({"http": {"url": "http://127.0.0.1:9"}, "attestations": attestations}))
    return config.read(file)


def audited(source: config.Source) -> CheckResult:
    plan = audit.prepare(source, only=("monitoring.errors.tracking",))
    report = audit.run(plan).report
    return next(check for check in report.checks if check.id == "monitoring.errors.tracking")


def test_an_attestation_says_that_it_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from readiness import collect
    from readiness.facts.collected import Collected, Outcome
    from readiness.facts.service import ServiceFacts

    def collected(*_: object, **__: object) -> collect.Run:
        facts = ServiceFacts(now=dt.datetime(2026, 11, 22, tzinfo=dt.UTC))
        return collect.Run({ServiceFacts: Collected(Outcome.COLLECTED, facts)})

    monkeypatch.setattr(collect, "collect", collected)
    declared = audited(source(tmp_path, error_tracking=STATEMENT))
    assert declared.status is Status.PASS
    assert declared.message.startswith("declared: Errors of every instance")
    assert declared.evidence["declared"] is True
    assert declared.evidence["expires"] == "2027-01-31"
    assert "sentry.example.com" in declared.observed
    ignored = source(tmp_path, error_tracking=STATEMENT)
    ignored.set("attestations.measured_only", True, "--measured-only")
    assert audited(ignored).status is Status.UNTESTED
    assert audited(source(tmp_path)).status is Status.UNTESTED


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"evidence": "http://sentry.example.com"}, "https://"),
        ({"evidence": "https://"}, "evidence"),
        ({"expires": "soon"}, "expires"),
        ({"owner": ""}, "owner"),
        ({"statement": "yes"}, "statement"),
        ({"until": "2027-01-31"}, "unknown key 'until'"),
    ],
)
def test_an_attestation_without_evidence_owner_or_end_is_refused(
    tmp_path: Path, change: dict[str, str], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=r"readiness\.yaml:") as caught:
        audit.prepare(source(tmp_path, error_tracking={**STATEMENT, **change}))
    assert complaint in str(caught.value)


def test_only_known_things_are_attested(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'error_tracking'"):
        audit.prepare(source(tmp_path, error_trackin=STATEMENT))
