"""The scoring model, version 1: arithmetic only, in exact fractions. No I/O, no clock.

A component is the weighted mean of its checks' credits, under ceilings that a grave failure imposes; the overall score
is the weighted mean of the components. What could not be judged counts as nothing, so no outage raises a score;
`coverage` says how much was judged and `upper_bound` what the score would be if all the rest had passed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from readiness.model import Gain, Rating, Severity, State, Status, Step

MODEL = "1"
WEIGHTS: Mapping[Severity, int] = {
    Severity.CRITICAL: 10,
    Severity.HIGH: 7,
    Severity.MEDIUM: 3,
    Severity.LOW: 1,
    Severity.INFO: 0,
}
READY, NEEDS_WORK = Fraction(8), Fraction(6)
CRITICAL_CEILING, GRAVE_CEILING = Fraction(5), Fraction(79, 10)

ASSESSED = {Status.PASS, Status.WARN, Status.FAIL}
UNASSESSED = {Status.ERROR, Status.BLOCKED, Status.SKIPPED}
COUNTED = ASSESSED | UNASSESSED


@dataclass(frozen=True, slots=True)
class Item:
    """One check as the model sees it. `credit` matters for a `warn` alone; None is half."""

    id: str
    component: str
    severity: Severity
    status: Status
    credit: Fraction | None = None
    blocked_by: str = ""

    @property
    def weight(self) -> int:
        return WEIGHTS[self.severity]

    @property
    def earned(self) -> Fraction:
        """The credit between 0 and 1 that the status is worth."""
        match self.status:
            case Status.PASS:
                return Fraction(1)
            case Status.WARN:
                return Fraction(1, 2) if self.credit is None else self.credit
            case _:
                return Fraction(0)


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A cap that applies, and the check that imposes it."""

    value: Fraction
    check: str


@dataclass(frozen=True, slots=True)
class ComponentScore:
    """`raw` is before the ceiling. All are None where nothing was counted."""

    raw: Fraction | None
    score: Fraction | None
    ceiling: Ceiling | None
    coverage: Fraction | None
    upper_bound: Fraction | None
    state: State


@dataclass(frozen=True, slots=True)
class OverallScore:
    """`raw` is before the ceiling that a component rated ❌ imposes."""

    raw: Fraction | None
    score: Fraction | None
    coverage: Fraction | None
    upper_bound: Fraction | None


def published(score: Fraction) -> float:
    """The score as printed: rounded down to 0.1."""
    return math.floor(score * 10) / 10


def headline(value: float) -> int:
    """The integer of the table: rounded down, so that it agrees with the mark for every value."""
    return math.floor(value)


def rating(value: float) -> Rating:
    """The mark of a published value."""
    if value >= READY:
        return Rating.READY
    return Rating.NEEDS_WORK if value >= NEEDS_WORK else Rating.NOT_READY


def share(value: Fraction) -> float:
    """A coverage as printed: rounded down to a whole per cent, as a number between 0 and 1."""
    return math.floor(value * 100) / 100


def ceiling(items: Iterable[Item]) -> Ceiling | None:
    """The lowest cap that the counted items impose."""
    lowest: Ceiling | None = None
    for item in items:
        if item.status not in COUNTED:
            continue
        if item.severity is Severity.CRITICAL and item.earned == 0:
            cap = CRITICAL_CEILING
        elif (item.severity is Severity.CRITICAL and item.earned < 1) or (
            item.severity is Severity.HIGH and item.earned == 0
        ):
            cap = GRAVE_CEILING
        else:
            continue
        if lowest is None or cap < lowest.value:
            lowest = Ceiling(cap, item.id)
    return lowest


def _score(items: Sequence[Item]) -> tuple[Fraction | None, Fraction | None, Ceiling | None]:
    total = sum(item.weight for item in items if item.status in COUNTED)
    if total == 0:
        return None, None, None
    earned = sum((item.weight * item.earned for item in items if item.status in COUNTED), Fraction(0))
    raw = 10 * earned / total
    cap = ceiling(items)
    return raw, min(raw, cap.value) if cap else raw, cap if cap and cap.value < raw else None


def component(items: Sequence[Item]) -> ComponentScore:
    """The score of one component from all of its items."""
    raw, score, cap = _score(items)
    assessed = sum(item.weight for item in items if item.status in ASSESSED)
    reachable = sum(item.weight for item in items if item.status in COUNTED or item.status is Status.UNTESTED)
    best = [
        replace(item, status=Status.PASS) if item.status in UNASSESSED or item.status is Status.UNTESTED else item
        for item in items
    ]
    if all(item.status is Status.UNTESTED for item in items):
        state = State.NOT_CONFIGURED
    else:
        state = State.NOTHING_ASSESSED if score is None else State.ASSESSED
    return ComponentScore(
        raw=raw,
        score=score,
        ceiling=cap,
        coverage=Fraction(assessed, reachable) if reachable else None,
        upper_bound=_score(best)[1],
        state=state,
    )


_known = lru_cache(maxsize=256)(component)
"""A path to the target fixes one check at a time: of six components, five are as they were."""


def _mean(scores: Mapping[str, Fraction], weights: Mapping[str, Fraction]) -> Fraction | None:
    total = sum((weights.get(id, Fraction(1)) for id in scores), Fraction(0))
    if total == 0:
        return None
    return sum((weights.get(id, Fraction(1)) * score for id, score in scores.items()), Fraction(0)) / total


def _capped_mean(scores: Mapping[str, Fraction], weights: Mapping[str, Fraction]) -> Fraction | None:
    mean = _mean(scores, weights)
    not_ready = any(rating(published(score)) is Rating.NOT_READY for score in scores.values())
    return min(mean, GRAVE_CEILING) if mean is not None and not_ready else mean


def overall(
    components: Mapping[str, ComponentScore], items: Iterable[Item], weights: Mapping[str, Fraction]
) -> OverallScore:
    """The overall score. Components that are absent or were not run must not be among `components`."""
    scores = {
        id: entry.score or Fraction(0) for id, entry in components.items() if entry.state is not State.NOT_CONFIGURED
    }
    # What is not configured could still be perfect, unless nothing in it carries weight.
    best = {
        id: entry.upper_bound or Fraction(0)
        for id, entry in components.items()
        if entry.state is not State.NOT_CONFIGURED or entry.upper_bound is not None
    }
    counted = [item for item in items if item.component in components]
    assessed = sum(item.weight for item in counted if item.status in ASSESSED)
    reachable = sum(item.weight for item in counted if item.status in COUNTED or item.status is Status.UNTESTED)
    return OverallScore(
        raw=_mean(scores, weights),
        score=_capped_mean(scores, weights),
        coverage=Fraction(assessed, reachable) if reachable else None,
        upper_bound=_capped_mean(best, weights),
    )


FIXABLE = (Status.WARN, Status.FAIL, Status.ERROR)


class Scoreboard:
    """All items of an audit, and what each fix would be worth. `excluded` components take no part."""

    def __init__(self, items: Iterable[Item], weights: Mapping[str, Fraction], excluded: Iterable[str] = ()) -> None:
        self.weights = weights
        self.items: dict[str, list[Item]] = {}
        for item in items:
            if item.component not in set(excluded):
                self.items.setdefault(item.component, []).append(item)
        self.components = {id: _known(tuple(entries)) for id, entries in self.items.items()}
        self.overall = overall(self.components, self._all(), weights)

    def _all(self) -> list[Item]:
        return [item for entries in self.items.values() for item in entries]

    def fixed(self, ids: Iterable[str]) -> Scoreboard:
        """The board with these checks passed, and with them the checks that they block."""
        return Scoreboard(_fixed(self._all(), set(ids)), self.weights)

    def gain(self, item: Item) -> Gain | None:
        """Points won by fixing this item, as published values differ; None where there is nothing to fix."""
        if item.status not in FIXABLE or item.component not in self.items:
            return None
        better = component(_fixed(self.items[item.component], {item.id}))
        before = self.components[item.component]
        after = overall(self.components | {item.component: better}, self._all(), self.weights)
        won = (better.score or Fraction(0)) - (before.score or Fraction(0))
        note = ""
        if won == 0 and before.ceiling is not None and before.ceiling.check != item.id:
            note = f"no gain until {before.ceiling.check} is fixed too"
        elif blocked := sum(each.blocked_by == item.id for each in self.items[item.component]):
            note = f"if the {blocked} checks that it blocks pass too"
        return Gain(_tenths(won), _tenths((after.score or Fraction(0)) - (self.overall.score or Fraction(0))), note)

    def path(self, target: float) -> list[Step]:
        """The cheapest list of fixes that reaches `target`, or all that can be fixed, with the score after each.

        Greedy by gain, the gravest first where a ceiling hides all gain; then steps that turned out to be unnecessary
        are dropped.
        """
        chosen: list[str] = []
        board, worth = self, {id: self._scores_if_fixed(id) for id in self.items}
        while board._published() < target:
            candidates = [item for item in board._all() if item.status in FIXABLE]
            if not candidates:
                break
            best = max(candidates, key=lambda item: (board._mean_with(item, worth), -item.severity.rank))
            chosen.append(best.id)
            board = board.fixed([best.id])
            worth[best.component] = board._scores_if_fixed(best.component)
        if board._published() >= target:
            for id in list(chosen):
                fewer = [each for each in chosen if each != id]
                if self.fixed(fewer)._published() >= target:
                    chosen = fewer
        return [Step(id, self.fixed(chosen[: n + 1])._published()) for n, id in enumerate(chosen)]

    def _scores_if_fixed(self, id: str) -> dict[str, Fraction]:
        """The component's score after each single fix in it."""
        items = self.items[id]
        return {item.id: _score(_fixed(items, {item.id}))[1] or Fraction(0) for item in items if item.status in FIXABLE}

    def _mean_with(self, item: Item, worth: Mapping[str, Mapping[str, Fraction]]) -> Fraction:
        scores = {
            id: entry.score or Fraction(0)
            for id, entry in self.components.items()
            if entry.state is not State.NOT_CONFIGURED
        }
        return _capped_mean(scores | {item.component: worth[item.component][item.id]}, self.weights) or Fraction(0)

    def _published(self) -> float:
        return published(self.overall.score) if self.overall.score is not None else 0.0


def _fixed(items: Iterable[Item], ids: set[str]) -> list[Item]:
    return [
        replace(item, status=Status.PASS, blocked_by="") if item.id in ids or item.blocked_by in ids else item
        for item in items
    ]


def _tenths(value: Fraction) -> float:
    return round(float(value), 2)
