"""What changed between two audits: the parts sum to the whole, each change has its cause, files lose nothing."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from readiness.change import Cause, Comparison, Delta, Part
from readiness.diff import compare, empty, rounded
from readiness.model import (
    COMPONENTS,
    Architecture,
    CheckResult,
    Component,
    Gate,
    Pack,
    Report,
    Severity,
    State,
    Status,
    Tool,
    WaiverRecord,
)
from readiness.report import changes, json_format
from readiness.scoring import Item, Scoreboard, published

IDS = ("database", "caching", "security")
BACKWARDS = {
    Cause.FIXED: Cause.REGRESSED,
    Cause.REGRESSED: Cause.FIXED,
    Cause.NEW: Cause.RETIRED,
    Cause.RETIRED: Cause.NEW,
    Cause.COVERED: Cause.LOST,
    Cause.LOST: Cause.COVERED,
    Cause.SEVERITY: Cause.SEVERITY,
    Cause.SETTINGS: Cause.SETTINGS,
    Cause.MODEL: Cause.MODEL,
}


def check(id: str, status: str, severity: str = "high", *, waived: bool = False, **more: Any) -> CheckResult:
    """`status` may be `warn 3/7`, with the share as a fraction."""
    word, _, share = status.partition(" ")
    credit = Fraction(share or "1/2")
    return CheckResult(
        id=id,
        component=id.partition(".")[0],
        title=f"Title of {id}",
        severity=Severity(severity),
        status=Status.WAIVED if waived else Status(word),
        message=f"{id} is {status}",
        credit=None if waived else {"pass": 1.0, "warn": round(float(credit), 3)}.get(word, 0.0),
        unwaived_status=Status(word) if waived else None,
        exact_credit=str(credit) if word == "warn" else "",
        **more,
    )


def report(
    *checks: CheckResult,
    weights: Mapping[str, float] = {},
    absences: Mapping[str, str] = {},
    waivers: tuple[WaiverRecord, ...] = (),
    not_run: tuple[str, ...] = (),
    **more: Any,
) -> Report:
    """A report whose figures are what an audit publishes for these checks."""
    items = [_item(each) for each in checks]
    board = Scoreboard(items, {id: Fraction(str(weight)) for id, weight in weights.items()}, excluded=absences)
    components = []
    for id in IDS:
        entry = board.components.get(id)
        state = State.ABSENT if id in absences else State.NOT_RUN if id in not_run else State.NOT_CONFIGURED
        score = None if entry is None or entry.score is None else published(entry.score)
        components.append(
            Component(
                id, COMPONENTS[id], entry.state if entry else state, score, None, None, weights.get(id, 1.0),
                None, None, None, None, "",
            )
        )  # fmt: skip
    overall = None if not_run or board.overall.score is None else published(board.overall.score)
    covered = tuple(
        WaiverRecord(each.id, "accepted", "me", "2030-01-31", "applied")
        for each in checks
        if each.status is Status.WAIVED
    )
    values: dict[str, Any] = {
        "schema_version": "1", "tool": Tool("readiness", "1.0", "1", (Pack("bundled", "1.0", 3, "ab" * 32),)),
        "service": "shop", "environment": "test", "target": "https://shop.example", "interrupted": False,
        "started_at": "2030-01-01T00:00:00+00:00", "duration_seconds": 1.0, "incomplete": False, "score": overall,
        "headline": None, "target_score": 9.0, "rating": None, "coverage": None, "upper_bound": None,
        "unwaived_score": None, "cap": None, "components": tuple(components), "checks": checks, "checklist": (),
        "expectations": (), "architecture": Architecture(), "path_to_target": (), "gate": Gate(None),
        "waivers": covered + waivers, "absences": dict(absences), "notices": (), "facts": {},
    }  # fmt: skip
    return Report(**values | more)


def _item(each: CheckResult) -> Item:
    credit = Fraction(each.exact_credit) if each.exact_credit else None
    return Item(each.id, each.component, each.severity, each.status, credit)


STATUSES = [status.value for status in Status if status is not Status.WAIVED]


@st.composite
def reports(draw: st.DrawFn) -> Report:
    checks = []
    for id in draw(st.sets(st.sampled_from([f"{c}.c{n}" for c in IDS for n in range(4)]), max_size=10)):
        status = draw(st.sampled_from(STATUSES))
        if status == "warn":
            bottom = draw(st.integers(2, 1000))
            status = f"warn {draw(st.integers(1, bottom - 1))}/{bottom}"
        waived = status.split()[0] in ("warn", "fail") and draw(st.booleans())
        changed = draw(st.sampled_from([{}, {}, {"at_most": "0.5"}]))
        checks.append(check(id, status, draw(st.sampled_from(list(Severity))), waived=waived, settings=changed))
    return report(
        *checks,
        weights=draw(st.dictionaries(st.sampled_from(IDS), st.sampled_from([0.1, 0.5, 2.0, 3.3]))),
        absences=draw(st.dictionaries(st.sampled_from(IDS), st.just("none here"), max_size=1)),
    )


def deltas(comparison: Comparison) -> list[Delta]:
    return [comparison.overall, *comparison.components]


def tenths(value: float | None) -> int:
    return round((value or 0) * 10)


@settings(max_examples=150, deadline=None)
@given(reports(), reports())
def test_the_parts_sum_to_the_whole_exactly_and_as_printed(old: Report, new: Report) -> None:
    comparison = compare(old, new)
    for delta in deltas(comparison):
        exact = [Fraction(part.exact) for part in delta.parts]
        assert sum(exact) == Fraction(delta.exact)
        assert delta.change is not None
        assert sum(tenths(part.points) for part in delta.parts) == tenths(delta.change)
        assert tenths(delta.change) == tenths(delta.new) - tenths(delta.old)
        assert abs(Fraction(delta.exact) - Fraction(str(delta.change))) < Fraction(1, 10)
        for part, value in zip(delta.parts, exact, strict=True):
            assert abs(Fraction(str(part.points)) - value) < Fraction(1, 10)
            assert value or not part.points
        assert Cause.MODEL not in [part.cause for part in delta.parts]
    assert not [sentence for sentence in comparison.warnings if "contradicts" in sentence]


@settings(max_examples=80, deadline=None)
@given(reports(), reports())
def test_backwards_every_whole_has_the_opposite_sign_and_every_change_the_opposite_cause(
    old: Report, new: Report
) -> None:
    there, back = compare(old, new), compare(new, old)
    for forth, reverse in zip(deltas(there), deltas(back), strict=True):
        assert forth.id == reverse.id
        assert Fraction(forth.exact) == -Fraction(reverse.exact)
        assert tenths(forth.change) == -tenths(reverse.change)
    listed = {(BACKWARDS[e.cause], e.check, e.old, e.new) for e in there.changes if e.cause in BACKWARDS}
    assert listed == {(e.cause, e.check, e.new, e.old) for e in back.changes if e.cause in BACKWARDS}


@settings(max_examples=40, deadline=None)
@given(reports())
def test_nothing_changes_between_a_report_and_itself(same: Report) -> None:
    comparison = compare(same, same)
    assert empty(comparison)
    assert not comparison.warnings
    assert not comparison.notes
    assert all(delta.exact == "0" for delta in deltas(comparison))


@settings(max_examples=40, deadline=None)
@given(reports(), reports())
def test_what_is_saved_is_enough_to_score_again(old: Report, new: Report) -> None:
    saved = [json_format.load(json_format.dump(each), "here") for each in (old, new)]
    assert compare(*saved) == compare(old, new)
    told = replace(saved[1], comparison=compare(*saved))
    assert json_format.load(json_format.dump(told), "here") == told


@settings(max_examples=200, deadline=None)
@given(st.lists(st.fractions(-10, 10, max_denominator=999), min_size=1, max_size=11), st.fractions(0, 10))
def test_rounded_parts_sum_to_the_difference_of_the_rounded_scores(values: list[Fraction], start: Fraction) -> None:
    exact = dict(zip(Cause, values, strict=False))
    whole = math.floor((start + sum(exact.values())) * 10) - math.floor(start * 10)
    points = rounded(exact, whole)
    assert sum(points.values()) == whole
    assert all(abs(points[cause] - value * 10) < 1 for cause, value in exact.items())


A, B, C = check("database.a", "pass"), check("database.b", "fail"), check("database.c", "warn 3/7", "medium")
WAIVER = WaiverRecord("database.b", "old", "me", "2029-01-01", "expired")
CASES: dict[str, tuple[Report, Report, dict[str, str]]] = {
    # old, new, and each cause with the one check that it lists
    "fixed": (report(A, B), report(A, check("database.b", "pass")), {"fixed": "database.b"}),
    "improved": (report(A, C), report(A, check("database.c", "warn 4/7", "medium")), {"fixed": "database.c"}),
    "regressed": (report(A, C), report(check("database.a", "warn"), C), {"regressed": "database.a"}),
    "new": (report(A), report(A, B), {"new": "database.b"}),
    "applies now": (report(A, check("database.b", "not_applicable")), report(A, B), {"new": "database.b"}),
    "retired": (report(A, B), report(A), {"retired": "database.b"}),
    "no longer applies": (report(A, B), report(A, check("database.b", "not_applicable")), {"retired": "database.b"}),
    "covered": (report(A, check("database.b", "error")), report(A, B), {"covered": "database.b"}),
    "configured": (report(A, check("database.b", "untested")), report(A, B), {"covered": "database.b"}),
    "lost": (report(A, B), report(A, check("database.b", "skipped")), {"lost": "database.b"}),
    "not configured any more": (report(A, B), report(A, check("database.b", "untested")), {"lost": "database.b"}),
    "looked at for the first time": (
        report(A, check("database.b", "untested")),
        report(A, check("database.b", "not_applicable")),
        {"covered": "database.b"},
    ),
    "severity": (report(A, B), report(A, check("database.b", "fail", "low")), {"severity": "database.b"}),
    "waived": (report(A, B), report(A, check("database.b", "fail", waived=True)), {"waived": "database.b"}),
    "expired": (
        report(A, check("database.b", "fail", waived=True)),
        report(A, B, waivers=(WAIVER,)),
        {"unwaived": "database.b"},
    ),
    "regressed and waived": (
        report(A, B),
        report(check("database.a", "fail", waived=True), B),
        {"regressed": "database.a", "waived": "database.a"},
    ),
    "a waived finding fixed": (
        report(A, check("database.b", "fail", waived=True)),
        report(A, check("database.b", "pass")),
        {"fixed": "database.b"},
    ),
    "judged by other values": (
        report(A, B),
        report(A, check("database.b", "pass", settings={"at_most": "9"})),
        {"settings": "database.b"},
    ),
    "still not judged": (
        report(A, check("database.b", "error")),
        report(A, check("database.b", "skipped")),
        {},
    ),
    "weights": (
        report(A, check("security.a", "fail")),
        report(A, check("security.a", "fail"), weights={"security": 2.0}),
        {"settings": ""},
    ),
    "absent": (
        report(A, check("security.a", "fail")),
        report(A, check("security.a", "fail"), absences={"security": "none"}),
        {"settings": ""},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_change_counts_for_its_cause(case: str) -> None:
    old, new, causes = CASES[case]
    comparison = compare(old, new)
    assert {change.cause.value: change.check for change in comparison.changes} == causes
    assert {part.cause.value for delta in deltas(comparison) for part in delta.parts} == set(causes)


def test_a_system_that_is_configured_for_the_first_time_is_one_cause() -> None:
    ids = [f"caching.{name}" for name in "abc"]
    old = report(A, B, *(check(id, "untested") for id in ids))
    new = report(A, B, check(ids[0], "pass"), check(ids[1], "not_applicable"), check(ids[2], "fail"))
    for comparison, cause in ((compare(old, new), Cause.COVERED), (compare(new, old), Cause.LOST)):
        for delta in (comparison.overall, next(each for each in comparison.components if each.id == "caching")):
            assert [(part.cause, part.points) for part in delta.parts] == [(cause, delta.change)]


def test_what_has_no_score_in_either_has_no_change_and_no_zero_has_a_sign() -> None:
    assert changes.change(Delta("caching", "Caching", None, None, 0.0)) == "—"
    assert changes.change(Delta("caching", "Caching", 0.0, None, 0.0)) == "0.0"
    assert {changes.points(Part(Cause.FIXED, 0.0, exact)) for exact in ("0", "1/40", "-1/40")} == {"0.0"}


def test_an_expired_waiver_is_named_with_its_owner() -> None:
    [change] = compare(*CASES["expired"][:2]).changes
    assert change.old == "me, to the end of 2030-01-31: accepted"
    assert change.new == "expired"
    [change] = compare(CASES["expired"][0], report(A, B)).changes
    assert change.new == "taken out"


def test_other_values_are_named() -> None:
    [change] = compare(*CASES["judged by other values"][:2]).changes
    assert change.message.startswith("at_most default → 9: ")
    assert (change.old, change.new) == ("fail", "pass")


def test_a_ceiling_that_hides_a_fix_makes_it_worth_nothing() -> None:
    grave, light = check("database.a", "fail", "critical"), check("database.b", "fail", "low")
    others = [check(f"database.x{n}", "pass") for n in range(5)]
    fixed = check("database.b", "pass", "low")
    comparison = compare(report(grave, light, *others), report(grave, fixed, *others))
    [part] = comparison.components[0].parts
    assert (part.cause, part.points, part.exact) == (Cause.FIXED, 0.0, "0")
    assert "fixed 0.0" in changes.because(comparison.components[0])


def test_figures_of_another_scoring_model_are_a_cause_of_their_own() -> None:
    old = report(A, B)
    other = replace(old, score=9.9, tool=replace(old.tool, scoring_model="0"))
    comparison = compare(other, report(A, B))
    assert [(part.cause, part.points) for part in comparison.overall.parts] == [
        (Cause.MODEL, comparison.overall.change)
    ]
    assert comparison.changes[0].old == "0"
    assert not [sentence for sentence in comparison.warnings if "contradicts" in sentence]


def test_an_edited_file_is_found_out() -> None:
    comparison = compare(replace(report(A, B), score=1.0), report(A, B))
    assert "contradicts itself" in comparison.warnings[0]
    assert "overall 1.0 (its checks give 5.0)" in comparison.warnings[0]
    assert [part.cause for part in comparison.overall.parts] == [Cause.MODEL]
    assert comparison.overall.change == 4.0


def test_a_file_without_exact_shares_is_scored_from_the_rounded_ones() -> None:
    new = report(A, C)
    comparison = compare(replace(new, checks=(A, replace(C, exact_credit=""))), new)
    assert comparison.overall.change == 0
    assert not comparison.warnings


@pytest.mark.parametrize("share", ["1e999999999/3", "7/0", "x", "9" * 5000 + "/7"])
def test_a_hostile_share_is_not_computed(share: str) -> None:
    assert compare(report(A, C), replace(report(A, C), checks=(A, replace(C, exact_credit=share))))


def test_an_unlike_baseline_is_warned_of() -> None:
    old = report(A, check("security.a", "pass"), started_at="2030-02-01T00:00:00+00:00", incomplete=True)
    new = report(A, service="cart", environment="live", target="https://cart.example", interrupted=True)
    comparison = compare(old, new)
    text = "\n".join(comparison.warnings)
    for part in ("service shop", "environment test", "security was assessed", "is incomplete", "interrupted", "newer"):
        assert part in text
    assert comparison.notes == ("target: https://shop.example → https://cart.example",)


def test_another_pack_is_noted() -> None:
    new = report(A, tool=Tool("readiness", "1.1", "1", (Pack("bundled", "1.1", 3, "cd" * 32), Pack("own", "1", 1, ""))))
    notes = compare(report(A), new).notes
    assert notes[0] == "readiness: 1.0 → 1.1"
    assert notes[1].startswith("pack bundled: 1.0 (abababab) → 1.1 (cdcdcdcd)")
    assert notes[2] == "pack own: added"


def test_what_one_of_the_two_did_not_run_is_left_out() -> None:
    old = report(A, check("security.a", "fail"), not_run=("caching",))
    new = report(check("security.a", "pass"), not_run=("database", "caching"))
    comparison = compare(old, new)
    assert [delta.id for delta in comparison.components] == ["security"]
    assert comparison.components[0].change == 10.0
    assert comparison.overall.change is None
    assert [change.check for change in comparison.changes] == ["security.a"]
    assert "caching, database, overall" in comparison.notes[-1]
    assert changes.headline(comparison) == "no overall score to compare"


# --- how it reads ----------------------------------------------------------------------------------------------------


def printed(told: Report, width: int = 100, **options: bool) -> str:
    file = io.StringIO()
    changes.to_terminal(told, Console(file=file, width=width), **options)
    return file.getvalue()


def told(old: Report, new: Report) -> Report:
    return replace(new, comparison=compare(old, new))


MANY = told(
    report(*(check(f"database.c{n}", "pass") for n in range(9)), check("security.a", "fail")),
    report(*(check(f"database.c{n}", "fail") for n in range(9)), check("security.a", "pass")),
)


def test_the_terminal_says_what_and_why() -> None:
    text = printed(MANY)
    assert re.search(r"Database +10\.0 +0\.0 +-10\.0 +regressed -10\.0", text)
    assert re.search(r"Overall +5\.0 +5\.0 +0\.0 +regressed -5\.0, fixed \+5\.0", text)
    assert "database.c0: pass → fail" in text
    assert "and 4 more, -v for all" in text
    assert "database.c8" not in text
    assert "database.c8" in printed(MANY, verbose=True)
    assert printed(MANY, quiet=True) == "Overall  5.0 → 5.0 (0.0)  regressed -5.0, fixed +5.0\n"
    assert "Nothing changed." in printed(told(MANY, MANY))


@pytest.mark.parametrize("width", [50, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert all(len(line) <= width for line in printed(MANY, width, verbose=True).splitlines())


def test_markdown_and_json_say_the_same() -> None:
    text = changes.to_markdown(MANY)
    assert "| Overall | 5.0 | 5.0 | 0.0 | regressed -5.0, fixed +5.0 |" in text
    assert "- `database.c8`: pass → fail" in text
    assert MANY.comparison is not None
    data = json.loads(changes.to_json(MANY.comparison, MANY.gate))
    assert (data["kind"], data["overall"]["change"]) == ("diff", 0.0)
    assert {part["cause"] for part in data["overall"]["parts"]} == {"fixed", "regressed"}


def test_hostile_text_of_a_report_is_only_text() -> None:
    title = "[red]x[/red] <script>\x1b[31m | `a` @here"
    new = report(replace(A, status=Status.FAIL, message=title), service=title)
    loaded = json_format.load(json_format.dump(new), "here")
    both = told(report(A), loaded)
    assert "\x1b" not in printed(both) + changes.to_markdown(both)
    assert "[red]x[/red]" in printed(both)
    assert "<script>" not in changes.to_markdown(both)
