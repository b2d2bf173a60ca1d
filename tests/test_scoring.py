"""The properties that the scoring model must keep, and its worked examples."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readiness.judge import inherited
from readiness.model import Finding, Rating, Severity, Status
from readiness.scoring import Item, Scoreboard, component, headline, published, rating

COMPONENTS = ("database", "caching", "security")
OWN = (Status.PASS, Status.WARN, Status.FAIL, Status.ERROR, Status.SKIPPED)
ORDER = {Status.SKIPPED: 0, Status.ERROR: 0, Status.FAIL: 0, Status.WARN: 1, Status.PASS: 2}
HALF = Fraction(1, 2)


class Check:
    """A check before the judge has looked at its parent: what it would say on its own."""

    def __init__(self, id: str, component: str, severity: Severity, own: Status, parent: str, waived: bool) -> None:
        self.id, self.component, self.severity = id, component, severity
        self.own, self.parent, self.waived = own, parent, waived

    def but(self, **changes: object) -> Check:
        clone = Check(self.id, self.component, self.severity, self.own, self.parent, self.waived)
        for name, value in changes.items():
            setattr(clone, name, value)
        return clone


def items(checks: list[Check]) -> list[Item]:
    """What the judge makes of them: the same rule for parents and waivers as in an audit."""
    findings: dict[str, Finding] = {}
    result = []
    for check in checks:
        parents: Mapping[str, Finding] = {check.parent: findings[check.parent]} if check.parent else {}
        finding = (None if check.own is Status.SKIPPED else inherited(parents)) or Finding(check.own, "")
        findings[check.id] = finding
        waived = check.waived and finding.status in (Status.WARN, Status.FAIL)
        status = Status.WAIVED if waived else finding.status
        blocked_by = str(finding.evidence.get("blocked_by", ""))
        result.append(Item(check.id, check.component, check.severity, status, None, blocked_by))
    return result


def board(checks: list[Check]) -> Scoreboard:
    return Scoreboard(items(checks), {})


def score(checks: list[Check]) -> Fraction:
    return board(checks).overall.score or Fraction(0)


@st.composite
def audits(draw: st.DrawFn) -> list[Check]:
    checks: list[Check] = []
    for number in range(draw(st.integers(1, 14))):
        parents = [c.id for c in checks if c.severity is not Severity.INFO]
        checks.append(
            Check(
                id=f"c{number}",
                component=draw(st.sampled_from(COMPONENTS)),
                severity=draw(st.sampled_from(list(Severity))),
                own=draw(st.sampled_from([*OWN, Status.NOT_APPLICABLE, Status.UNTESTED])),
                parent=draw(st.sampled_from(["", *parents])),
                waived=draw(st.booleans()) and draw(st.booleans()),
            )
        )
    return checks


@settings(max_examples=400, deadline=None)
@given(audits(), st.data())
def test_improving_a_check_never_lowers_a_score(checks: list[Check], data: st.DataObject) -> None:
    candidates = [n for n, check in enumerate(checks) if check.own in ORDER]
    if not candidates:
        return
    chosen = data.draw(st.sampled_from(candidates))
    better = [status for status in (Status.WARN, Status.PASS) if ORDER[status] > ORDER[checks[chosen].own]]
    if not better:
        return
    improved = list(checks)
    improved[chosen] = checks[chosen].but(own=data.draw(st.sampled_from(better)))
    before, after = board(checks), board(improved)
    assert (after.overall.score or 0) >= (before.overall.score or 0) or after.overall.score is None
    for id, entry in before.components.items():
        new = after.components[id]
        if entry.score is not None and new.score is not None:
            assert new.score >= entry.score
            assert published(new.score) >= published(entry.score)


def test_improving_a_check_never_lowers_a_score_exhaustively() -> None:
    """All audits of three checks, four severities, five statuses, three shapes of dependency."""
    severities = [s for s in Severity if s is not Severity.INFO]
    shapes = (("", "", ""), ("", "c0", "c0"), ("", "c0", "c1"))
    for shape in shapes:
        for severity in itertools.product(severities, repeat=3):
            for own in itertools.product((Status.PASS, Status.WARN, Status.FAIL, Status.ERROR), repeat=3):
                checks = [Check(f"c{n}", "database", severity[n], own[n], shape[n], waived=False) for n in range(3)]
                base = component(items(checks)).score or Fraction(0)
                for n, status in enumerate(own):
                    for better in (Status.WARN, Status.PASS):
                        if ORDER[better] > ORDER[status]:
                            changed = [c.but(own=better) if m == n else c for m, c in enumerate(checks)]
                            assert (component(items(changed)).score or Fraction(0)) >= base


@settings(max_examples=300, deadline=None)
@given(audits(), st.data())
def test_losing_a_verdict_never_raises_the_score(checks: list[Check], data: st.DataObject) -> None:
    judged = [n for n, check in enumerate(checks) if check.own in (Status.PASS, Status.WARN, Status.FAIL)]
    if not judged:
        return
    chosen = data.draw(st.sampled_from(judged))
    lost = list(checks)
    lost[chosen] = checks[chosen].but(own=data.draw(st.sampled_from([Status.ERROR, Status.SKIPPED])))
    assert score(lost) <= score(checks)


@settings(max_examples=300, deadline=None)
@given(audits())
def test_the_score_never_exceeds_its_upper_bound(checks: list[Check]) -> None:
    for entry in board(checks).components.values():
        if entry.score is not None and entry.upper_bound is not None:
            assert entry.score <= entry.upper_bound
            if entry.coverage == 1:
                assert entry.score == entry.upper_bound
    result = board(checks).overall
    if result.score is not None and result.upper_bound is not None:
        assert result.score <= result.upper_bound
        if result.coverage == 1 and all(e.coverage is not None for e in board(checks).components.values()):
            assert result.score == result.upper_bound


@settings(max_examples=300, deadline=None)
@given(audits())
def test_fixing_a_waived_finding_never_lowers_the_score(checks: list[Check]) -> None:
    for number, entry in enumerate(items(checks)):
        if entry.status is Status.WAIVED:
            fixed = list(checks)
            fixed[number] = checks[number].but(own=Status.PASS)
            assert score(fixed) >= score(checks)


@settings(max_examples=100, deadline=None)
@given(audits(), st.integers(1, 100))
def test_the_path_only_climbs_and_ends_at_the_target_or_with_nothing_left(checks: list[Check], tenths: int) -> None:
    start = board(checks)
    if start.overall.score is None:
        return
    target = tenths / 10
    steps = start.path(target)
    values = [published(start.overall.score), *(step.score_after for step in steps)]
    assert values == sorted(values)
    assert len({step.check for step in steps}) == len(steps)
    if steps and values[-1] < target:
        done = start.fixed(step.check for step in steps)
        assert not [i for i in done._all() if i.status in (Status.WARN, Status.FAIL, Status.ERROR)]


@pytest.mark.parametrize("tenths", range(101))
def test_the_printed_integer_agrees_with_the_mark(tenths: int) -> None:
    value = published(Fraction(tenths, 10))
    whole = {Rating.READY: range(8, 11), Rating.NEEDS_WORK: range(6, 8), Rating.NOT_READY: range(6)}
    assert headline(value) in whole[rating(value)]


def item(severity: str, status: str, number: int = 0, component: str = "database") -> Item:
    return Item(f"{component}.{severity}{number}", component, Severity(severity), Status(status))


@pytest.mark.parametrize(
    ("bad", "good", "count", "value", "mark"),
    [
        ("critical", "low", 500, 5.0, Rating.NOT_READY),
        ("high", "low", 500, 7.9, Rating.NEEDS_WORK),
        ("medium", "low", 50, 9.4, Rating.READY),
    ],
)
def test_many_easy_passes_do_not_drown_a_failure(bad: str, good: str, count: int, value: float, mark: Rating) -> None:
    entry = component([item(bad, "fail"), *(item(good, "pass", n) for n in range(count))])
    assert entry.score is not None
    assert published(entry.score) == value
    assert rating(published(entry.score)) is mark


def test_an_outage_scores_nothing_and_could_be_perfect() -> None:
    parent = item("critical", "error", component="caching")
    blocked = [Item(f"caching.b{n}", "caching", Severity.HIGH, Status.BLOCKED, blocked_by=parent.id) for n in range(5)]
    entry = component([parent, *blocked])
    assert (entry.score, entry.upper_bound, entry.coverage) == (0, 10, 0)


def test_nothing_counted_is_no_score() -> None:
    entry = component([item("high", "not_applicable"), item("low", "waived")])
    assert entry.score is None
    assert entry.coverage is None


def test_the_overall_comes_from_exact_components() -> None:
    """8.4, 7.6, 8.1, 5.5, 6.7, 7.2 print as 8 7 8 5 6 7 and average 7.25, printed 7.2."""
    values = {"a": 84, "b": 76, "c": 81, "d": 55, "e": 67, "f": 72}
    entries = [
        Item(f"{id}.{n}", id, Severity.LOW, Status.PASS if n < share else Status.FAIL)
        for id, share in values.items()
        for n in range(100)
    ]
    result = Scoreboard(entries, {})
    assert result.overall.score == Fraction(725, 100)
    assert published(result.overall.score) == 7.2


def test_an_unfit_component_caps_the_overall() -> None:
    good = [item("low", "pass", n, component="caching") for n in range(10)]
    entry = Scoreboard([item("critical", "fail"), *good], {"caching": Fraction(100)})
    assert entry.overall.score == Fraction(79, 10)


def test_unconfigured_components_lower_coverage_but_not_the_score() -> None:
    entry = Scoreboard([item("high", "pass"), item("high", "untested", component="caching")], {})
    assert entry.overall.score == 10
    assert entry.overall.coverage == HALF


def test_what_is_not_configured_and_weighs_nothing_lowers_no_upper_bound() -> None:
    entry = Scoreboard([item("high", "pass"), item("info", "untested", component="caching")], {})
    assert (entry.overall.score, entry.overall.upper_bound, entry.overall.coverage) == (10, 10, 1)


def test_a_gain_that_a_ceiling_hides_names_the_check_to_fix_first() -> None:
    checks = [item("critical", "fail"), item("low", "fail"), *(item("high", "pass", n) for n in range(9))]
    gain = Scoreboard(checks, {}).gain(checks[1])
    assert gain is not None
    assert gain.component == 0
    assert "database.critical0" in gain.note
