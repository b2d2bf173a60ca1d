"""Requires, waivers, selection, and what becomes of a check that cannot be judged."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from readiness import loader
from readiness.api import (
    ABSENT,
    Absences,
    Fact,
    Facts,
    Finding,
    absent,
    check,
    expect,
    failed,
    not_applicable,
    passed,
    untested,
)
from readiness.facts.collected import Collected, Collection, Outcome
from readiness.judge import Judged, Selection, judge, waive
from readiness.model import Status
from readiness.settings import Settings, WaiverSettings
from readiness.spec import ATTRIBUTE, CheckSpec


class Disk(Facts):
    used: Fact[float] = ABSENT


class Other(Facts):
    value: Fact[int] = ABSENT


def make(id: str, function: Callable[..., Finding], **more: Any) -> CheckSpec:
    function.__doc__ = "A title.\n\nAn explanation."
    fields: dict[str, Any] = {
        "component": id.partition(".")[0],
        "severity": "high",
        "fix": "do it",
        "effort": "minutes",
        "reference": "https://example.com",
    }
    spec = getattr(check(id=id, **fields | more)(function), ATTRIBUTE)
    assert isinstance(spec, CheckSpec)
    return spec


def fine(disk: Disk) -> Finding:
    return passed("fine")


def run(
    *specs: CheckSpec,
    disk: Disk | None = Disk(used=0.5),  # noqa: B008
    outcome: Outcome = Outcome.COLLECTED,
    selection: Selection = Selection(),  # noqa: B008
    parameters: dict[str, dict[str, Any]] | None = None,
) -> dict[str, Judged]:
    entry = Collected(outcome, disk if outcome is Outcome.COLLECTED else None, reason="no route", needs="disk.path")
    collection: Collection = {Disk: entry, Other: Collected(Outcome.NOT_CONFIGURED, needs="other.url")}
    result = judge({spec.id: spec for spec in specs}, collection, Settings(), parameters or {}, selection)
    return {entry.spec.id: entry for entry in result}


def test_an_absent_fact_is_an_error_that_names_the_privilege() -> None:
    def used(disk: Disk) -> Finding:
        return expect(disk.used, what="use", at_most=0.8)

    result = run(make("database.disk", used), disk=Disk(used=absent("refused: code 13", "clusterMonitor")))
    finding = result["database.disk"].finding
    assert finding.status is Status.ERROR
    assert "refused: code 13" in finding.message
    assert finding.evidence == {"needs": "clusterMonitor"}


def test_a_check_that_raises_is_an_error_and_the_others_go_on() -> None:
    def broken(disk: Disk) -> Finding:
        raise RuntimeError("oops")

    def nothing(disk: Disk) -> Finding:
        return None  # type: ignore[return-value]

    def undeclared(disk: Disk) -> Finding:
        return failed("never said it could")

    def well(disk: Disk) -> Finding:
        return passed("well")

    result = run(
        make("database.broken", broken),
        make("database.nothing", nothing),
        make("database.undeclared", undeclared, verdicts=("pass", "warn")),
        make("database.well", well),
    )
    assert [entry.status for entry in result.values()] == [Status.ERROR] * 3 + [Status.PASS]


@pytest.mark.parametrize(
    ("parent", "child"),
    [
        (passed("up"), Status.PASS),
        (failed("down"), Status.BLOCKED),
        (Finding(Status.WARN, "limping"), Status.BLOCKED),
        (not_applicable("no such thing"), Status.NOT_APPLICABLE),
        (Finding(Status.UNTESTED, "needs a key"), Status.UNTESTED),
    ],
)
def test_a_child_follows_its_parent(parent: Finding, child: Status) -> None:
    def up(disk: Disk) -> Finding:
        return parent

    def below(disk: Disk) -> Finding:
        return passed("below")

    result = run(make("database.below", below, requires="database.up"), make("database.up", up))
    assert result["database.below"].status is child


def test_an_unreachable_system_is_one_error_and_the_rest_is_blocked() -> None:
    def up(disk: Disk) -> Finding:
        return passed("up")

    def below(disk: Disk) -> Finding:
        return passed("below")

    specs = make("database.up", up), make("database.below", below, requires="database.up")
    result = run(*specs, outcome=Outcome.FAILED)
    assert result["database.up"].finding.message == "no route"
    assert result["database.up"].status is Status.ERROR
    assert result["database.below"].status is Status.BLOCKED


def test_what_the_configuration_does_not_give_is_untested_and_names_the_key() -> None:
    def other(other: Other) -> Finding:
        return passed("never")

    def either(disk: Disk, other: Other | None) -> Finding:
        return passed("without" if other is None else "with")

    def neither(other: Other | None) -> Finding:
        return passed("never")

    result = run(make("caching.a", other), make("caching.b", either), make("caching.c", neither))
    assert result["caching.a"].status is Status.UNTESTED
    assert "other.url" in result["caching.a"].finding.message
    assert result["caching.b"].finding.message == "without"
    assert result["caching.c"].status is Status.UNTESTED


def test_an_optional_system_that_failed_costs_only_what_touches_it() -> None:
    def leaves_it(disk: Disk | None, other: Other) -> Finding:
        return passed("did without")

    def touches_it(disk: Disk | None, other: Other) -> Finding:
        return passed("never" if disk is None else f"{disk.used}")

    def asks(disk: Disk | None, other: Other) -> Finding:
        return passed("never" if disk is None else f"{disk.reached()}")

    specs = [make("caching.a", leaves_it), make("caching.b", touches_it), make("caching.c", asks)]
    collection = {Disk: Collected(Outcome.FAILED, reason="no route"), Other: Collected(Outcome.COLLECTED, Other())}
    result = judge({spec.id: spec for spec in specs}, collection, Settings(), {})
    assert [entry.status for entry in result] == [Status.PASS, Status.ERROR, Status.ERROR]
    assert "no route" in result[1].finding.message


def test_what_is_not_configured_stays_so_while_something_else_fails() -> None:
    """Of a check of two systems, one was never configured, and the other cannot be reached."""

    def does_without(disk: Disk | None, other: Other | None) -> Finding:
        return untested("set other.url") if other is None else passed("never")

    def asks(disk: Disk | None, other: Other | None) -> Finding:
        return passed("never" if disk is None else f"{disk.reached()}")

    def guesses(disk: Disk | None, other: Other | None) -> Finding:
        return passed("nothing was seen")

    def exempts(disk: Disk | None, other: Other | None) -> Finding:
        return not_applicable("nothing was seen")

    specs = [make(f"caching.{f.__name__}", f) for f in (does_without, asks, guesses, exempts)]
    collection = {
        Disk: Collected(Outcome.FAILED, reason="no route"),
        Other: Collected(Outcome.NOT_CONFIGURED, needs="other.url"),
    }
    result = judge({spec.id: spec for spec in specs}, collection, Settings(), {})
    assert [entry.status for entry in result] == [Status.UNTESTED, Status.ERROR, Status.ERROR, Status.ERROR]
    assert [entry.finding.message for entry in result] == ["set other.url", *["no route"] * 3]


def test_settings_reach_the_check() -> None:
    def used(disk: Disk, *, at_most: float = 0.9) -> Finding:
        return expect(disk.used, what="use", at_most=at_most)

    spec = make("database.disk", used)
    assert run(spec)["database.disk"].status is Status.PASS
    assert run(spec, parameters={"database.disk": {"at_most": 0.1}})["database.disk"].status is Status.FAIL


def test_selection_takes_parents_along_and_skips_the_rest_of_the_component() -> None:
    def a(disk: Disk) -> Finding:
        return passed("a")

    specs = [
        make("database.up", a),
        make("database.one", fine, requires="database.up"),
    ]

    def b(disk: Disk) -> Finding:
        return passed("b")

    def c(disk: Disk) -> Finding:
        return passed("c")

    specs += [make("database.two", b), make("caching.three", c)]
    result = run(*specs, selection=Selection(only=("database.one",)))
    assert {id: entry.status for id, entry in result.items()} == {
        "database.up": Status.PASS,
        "database.one": Status.PASS,
        "database.two": Status.SKIPPED,
    }
    result = run(*specs, selection=Selection(skip=("database.up",)))
    assert result["database.up"].status is Status.SKIPPED
    assert result["database.one"].status is Status.BLOCKED
    assert result["caching.three"].status is Status.PASS


def test_waivers_last_to_the_end_of_their_day_and_never_unblock() -> None:
    def up(disk: Disk) -> Finding:
        return failed("down")

    def below(disk: Disk) -> Finding:
        return passed("below")

    judged = list(run(make("database.up", up), make("database.below", below, requires="database.up")).values())

    def apply(check: str, today: str) -> tuple[list[Status], str]:
        waiver = WaiverSettings(check=check, reason="accepted", owner="me", expires=dt.date(2030, 1, 31))
        after, records = waive(judged, [waiver], dt.date.fromisoformat(today))
        return [entry.status for entry in after], records[0].state

    assert apply("database.up", "2030-01-31") == ([Status.WAIVED, Status.BLOCKED], "applied")
    assert apply("database.up", "2030-02-01") == ([Status.FAIL, Status.BLOCKED], "expired")
    assert apply("database.below", "2030-01-01") == ([Status.FAIL, Status.BLOCKED], "not_applied")


def test_a_waiver_says_how_long_it_holds_and_which_check_it_may_mean() -> None:
    def broken(disk: Disk) -> Finding:
        return failed("broken")

    judged = list(run(make("database.up", fine), make("database.other", broken)).values())
    waivers = [
        WaiverSettings(check=check, reason="accepted", owner="me", expires=dt.date(2030, 1, 31))
        for check in ("database.up", "database.other", "database.oter", "database.later")
    ]
    _, records = waive(judged, waivers, dt.date(2030, 1, 31), ["database.up", "database.other", "database.later"])
    assert [record.state for record in records] == ["unneeded", "applied", "unknown", "not_run"]
    assert [record.days_left for record in records] == [0, 0, 0, 0]
    assert [record.hint for record in records] == ["", "", "did you mean 'database.other'?", ""]


@pytest.mark.parametrize(
    ("needs", "status"),
    [
        ("mongodb.uri", Status.NOT_APPLICABLE),
        ("mongodb.uri or redis.url", Status.UNTESTED),
        ("mongodb.uri and http.url", Status.NOT_APPLICABLE),
        ("http.url", Status.UNTESTED),
    ],
)
def test_what_is_declared_absent_is_not_asked_for(needs: str, status: Status) -> None:
    spec = make("performance.disk", fine)
    settings = Settings.model_validate({"components": {"database": {"absent": "a static site"}}})
    collection: Collection = {Disk: Collected(Outcome.NOT_CONFIGURED, needs=needs)}
    (entry,) = judge({spec.id: spec}, collection, settings, {})
    assert entry.status is status
    if status is Status.NOT_APPLICABLE:
        assert entry.finding.message == "declared absent: a static site"


def test_a_check_may_ask_what_is_declared_absent() -> None:
    def told(disk: Disk, absences: Absences) -> Finding:
        return passed(f"{absences.database}, {absences.caching or 'nothing'}")

    spec = make("performance.told", told)
    settings = Settings.model_validate({"components": {"database": {"absent": "a static site"}}})
    (entry,) = judge({spec.id: spec}, {Disk: Collected(Outcome.COLLECTED, Disk(used=0.5))}, settings, {})
    assert entry.finding.message == "a static site, nothing"


def test_the_name_of_a_fact_in_the_code_is_not_shown() -> None:
    def used(disk: Disk) -> Finding:
        return expect(disk.used, what="use", at_most=0.8)

    spec = make("performance.used", used)
    assert run(spec, disk=Disk(used=absent("NOPERM")))[spec.id].finding.message == "NOPERM"
    assert run(spec, disk=Disk())[spec.id].finding.message == "used: not reported by the system"


def test_an_unreachable_service_says_nothing_of_what_was_never_configured() -> None:
    registry = loader.load()
    collection = {
        facts: Collected(Outcome.FAILED, reason="could not connect")
        if probe.needs == "http.url"
        else Collected(Outcome.NOT_CONFIGURED, needs=probe.needs)
        for facts, probe in registry.probes.items()
    }
    found = {entry.spec.id: entry.finding for entry in judge(registry.checks, collection, Settings(), {})}
    stores = {id for id in found if id.startswith("database.")} | {"caching.reach.connect", "caching.memory.limit"}
    for id in (*stores, "monitoring.on_call", "monitoring.uptime", "monitoring.alertmanager.ready"):
        assert found[id].status in (Status.UNTESTED, Status.NOT_APPLICABLE), (id, found[id])
    for id in ("error_handling.reach.http", "monitoring.health.exists", "security.headers.csp"):
        assert found[id].status in (Status.ERROR, Status.BLOCKED), (id, found[id])
