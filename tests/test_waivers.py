"""A waiver never stops holding in silence: every format and stderr name those that are unknown, ended or not needed."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from readiness import audit, config
from readiness.errors import ConfigError
from readiness.facts import collected as facts_file
from readiness.model import Report, WaiverRecord
from readiness.report import render, wording

from .report.sample import assessment


def record(check: str, state: str, days_left: int | None = None, hint: str = "") -> WaiverRecord:
    return WaiverRecord(check, "a reason", "web-team", "2030-01-20", state, days_left, hint)


def waived() -> Report:
    waivers = (
        record("a.applied", "applied", 15),
        record("a.ending", "applied", 14),
        record("a.today", "applied", 0),
        record("a.expired", "expired"),
        record("a.unknwn", "unknown", 10, "did you mean 'a.unknown'?"),
        record("a.unneeded", "unneeded", 10),
        record("a.not_run", "not_run", 100),
    )
    return replace(assessment(), waivers=waivers)


def test_stderr_names_what_does_not_hold_or_soon_will_not() -> None:
    sentences = {text.split()[3]: text for text in wording.alarms(waived())}
    assert set(sentences) == {"a.ending", "a.today", "a.expired", "a.unknwn", "a.unneeded"}
    assert sentences["a.ending"].endswith("in force; ends in 14 days")
    assert sentences["a.today"].endswith("in force; ends today")
    assert "(web-team, to the end of 2030-01-20 UTC)" in sentences["a.expired"]
    assert "no such check (did you mean 'a.unknown'?)" in sentences["a.unknwn"]


@pytest.mark.parametrize("format", ["json", "html", "md"])
def test_every_report_names_all_of_them_and_both_scores(format: str) -> None:
    text = render(waived(), format)
    for waiver in waived().waivers:
        assert waiver.check in text
    for words in ("6.9", "7.1", "web-team", "2030-01-20"):
        assert words in text
    if format != "json":
        for state in ("in force; ends in 14 days", "no longer counts", "no such check", "can be removed"):
            assert state in text


@pytest.mark.parametrize("format", ["md-short", "junit", "sarif", "github", "gitlab"])
def test_every_other_format_names_those_that_do_not_hold_or_soon_will_not(format: str) -> None:
    text = render(waived(), format)
    for id, state in (
        ("a.ending", "ends in 14 days"),
        ("a.expired", "no longer counts"),
        ("a.unknwn", "no such check"),
        ("a.unneeded", "can be removed"),
    ):
        assert id in text
        assert state in text
    assert "a.not_run" not in text


def test_gauges_and_rows_of_waivers() -> None:
    lines = render(waived(), "prometheus").splitlines()
    for state, number in (("applied", 3), ("expired", 1), ("unknown", 1), ("unneeded", 1), ("not_applied", 0)):
        assert [line for line in lines if f'state="{state}"' in line and line.endswith(f"}} {number}")]
    assert [line for line in lines if line.startswith("readiness_waivers_ending_soon{") and line.endswith(" 2")]
    report = waived()
    found = replace(record("", "expired"), check=report.checks[0].id)
    assert "no longer counts: a reason (web-team, to the end of 2030-01-20 UTC)" in render(
        replace(report, waivers=(found,)), "csv"
    )


def test_where_all_is_waived_the_score_without_waivers_is_still_shown() -> None:
    nothing = replace(assessment(), score=None, headline=None, rating=None, unwaived_score=3.2)
    assert wording.no_overall(nothing) == "nothing was assessed; 3.2 without 2 waivers"


# --- through the configuration ---------------------------------------------------------------------------------------


def plan(folder: Path, *waivers: str, strict: bool = False) -> audit.Plan:
    lines = ["http: {url: 'http://127.0.0.1:9'}", "waivers:", *(f"  - {{{waiver}}}" for waiver in waivers)]
    path = folder / "readiness.yaml"
    path.write_text("\n".join(lines))
    facts = folder / "facts.json"
    facts.write_text(facts_file.dump({}))
    return audit.prepare(config.read(path, {}), facts=facts, strict=strict)


def test_strict_refuses_unknown_and_expired_ones_in_one_message_with_their_lines(tmp_path: Path) -> None:
    waivers = (
        "check: security.headers.csp, reason: abc, owner: web-team, expires: 2020-01-31",
        "check: security.headers.cps, reason: abc, owner: me, expires: 2099-01-31",
        "check: security.headers.hsts, reason: abc, owner: me, expires: 2099-01-31",
    )
    assert len(plan(tmp_path, *waivers).settings.waivers) == 3
    with pytest.raises(ConfigError) as caught:
        plan(tmp_path, *waivers, strict=True)
    message = str(caught.value)
    assert "readiness.yaml:3: the waiver of security.headers.csp by web-team expired on 2020-01-31" in message
    assert "readiness.yaml:4: a waiver for 'security.headers.cps', which is no check (did you mean" in message
    assert "hsts" not in message.partition("did you mean")[0]


@pytest.mark.parametrize(
    ("clock", "state"),
    [
        ("2030-01-31T23:59:59+00:00", "not_applied"),
        ("2030-02-01T00:00:00+00:00", "expired"),
        ("2030-02-01T01:30:00+02:00", "not_applied"),  # it is still January in UTC
        ("2030-01-31T22:30:00-02:00", "expired"),
    ],
)
def test_the_last_day_ends_at_midnight_utc_wherever_the_clock_is(tmp_path: Path, clock: str, state: str) -> None:
    ready = plan(tmp_path, "check: security.headers.csp, reason: abc, owner: me, expires: 2030-01-31")
    report = audit.run(ready, now=lambda: dt.datetime.fromisoformat(clock)).report
    assert [waiver.state for waiver in report.waivers] == [state]
