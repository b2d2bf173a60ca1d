"""Where the lines of a report's charts run: the components as a radar, the history as lines. Computes no score."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from readiness.model import Past, Report, State
from readiness.report.figures import moment, score
from readiness.report.text import one_line
from readiness.report.vocabulary import NONE

RINGS = (2, 4, 6, 8, 10)
RADIUS, MIDDLE = 94, (168, 128)  # of the radar, within 336 x 256
MOST_RUNS = 51  # fifty earlier ones and this one

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Axis:
    """One component of the radar: where its name, the end of its spoke and its score stand."""

    name: str
    score: str
    rating: str
    label: Point
    anchor: str
    end: Point
    dot: Point


@dataclass(frozen=True, slots=True)
class Radar:
    """Polygons as the `points` of SVG: the rings, the target, what could have been reached, and what was."""

    axes: tuple[Axis, ...]
    rings: tuple[str, ...]
    target: str
    bound: str
    reached: str
    words: str


def radar(report: Report) -> Radar | None:
    """The components that take part, or None where there are too few for an area."""
    shown = [c for c in report.components if c.state not in (State.ABSENT, State.NOT_RUN)]
    if len(shown) < 3 or all(component.score is None for component in shown):
        return None
    turns = [number / len(shown) for number in range(len(shown))]
    axes = tuple(
        Axis(
            one_line(component.name, 24),
            score(component.score),
            component.rating.value if component.rating else "none",
            _at(turn, 10, extra=18 - 4 * math.cos(math.tau * turn)),  # a name has its score below it
            "middle" if abs(math.sin(math.tau * turn)) < 0.1 else "start" if turn < 0.5 else "end",
            _at(turn, 10),
            _at(turn, component.score or 0),
        )
        for turn, component in zip(turns, shown, strict=True)
    )
    return Radar(
        axes=axes,
        rings=tuple(_polygon([_at(turn, ring) for turn in turns]) for ring in RINGS),
        target=_polygon([_at(turn, report.target_score) for turn in turns]),
        bound=_polygon([_at(turn, c.upper_bound or c.score or 0) for turn, c in zip(turns, shown, strict=True)]),
        reached=_polygon([axis.dot for axis in axes]),
        words=", ".join(f"{axis.name} {axis.score}" for axis in axes),
    )


def _at(turn: float, value: float, extra: float = 0) -> Point:
    """A value from 0 to 10 on the spoke that lies this share of a turn clockwise from the top."""
    distance = RADIUS * min(10.0, max(0.0, value)) / 10 + extra
    x, y = MIDDLE
    return round(x + distance * math.sin(math.tau * turn), 1), round(y - distance * math.cos(math.tau * turn), 1)


def _polygon(points: Iterable[Point]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)


@dataclass(frozen=True, slots=True)
class Dot:
    """One audit on a line, with what it says."""

    at: Point
    words: str


@dataclass(frozen=True, slots=True)
class Line:
    """The scores of one component, or of all: pieces of a polyline, broken where nothing was assessed."""

    name: str
    scores: tuple[float | None, ...]
    pieces: tuple[str, ...]
    dots: tuple[Dot, ...]
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class History:
    """The overall line and one for each component, on a field of `width` by `height` with the target at `target_y`."""

    width: int
    height: int
    target_y: float
    ticks: tuple[tuple[int, float], ...]
    overall: Line
    components: tuple[Line, ...]
    begins: str
    ends: str
    runs: int


def history(report: Report, width: int = 940, height: int = 200) -> History | None:
    """The audits of the report's history and its own, oldest first; None where there is nothing to compare."""
    runs = [past for past in report.history if past.started_at != report.started_at][-(MOST_RUNS - 1) :]
    if not runs:
        return None
    own = {component.id: component.score for component in report.components}
    runs.append(Past(report.started_at, report.score, own))
    lines = tuple(
        _line(component.name, runs, [past.components.get(component.id) for past in runs], 220, 44)
        for component in report.components
        if component.state not in (State.ABSENT, State.NOT_RUN)
    )
    return History(
        width=width,
        height=height,
        target_y=_height(report.target_score, height),
        ticks=tuple((tick, _height(tick, height)) for tick in (0, 2, 4, 6, 8, 10)),
        overall=_line("Overall", runs, [past.score for past in runs], width, height),
        components=lines,
        begins=moment(runs[0].started_at),
        ends=moment(runs[-1].started_at),
        runs=len(runs),
    )


def _line(name: str, runs: Sequence[Past], scores: Sequence[float | None], width: int, height: int) -> Line:
    step = (width - 8) / max(1, len(scores) - 1)
    dots: list[Dot] = []
    pieces: list[list[Point]] = [[]]
    for number, (past, value) in enumerate(zip(runs, scores, strict=True)):
        if value is None:
            pieces.append([])
            continue
        at = (round(4 + number * step, 1), _height(value, height))
        pieces[-1].append(at)
        dots.append(Dot(at, f"{moment(past.started_at)}: {score(value)}"))
    known = [value for value in scores if value is not None]
    return Line(
        name=one_line(name, 24),
        scores=tuple(scores),
        pieces=tuple(_polygon(piece) for piece in pieces if len(piece) > 1),
        dots=tuple(dots),
        first=score(known[0]) if known else NONE,
        last=score(scores[-1]),
    )


def sparkline(line: Line, *, plain: bool = False) -> str:
    """The same as a word of bars."""
    from readiness.report import trend  # it is made of the terminal's report, which prints this one

    return trend.sparkline(line.scores, plain=plain)


def _height(value: float, height: int) -> float:
    """Where a score stands, 10 at the top, with room for half a dot at either end."""
    return round(4 + (height - 8) * (1 - min(10.0, max(0.0, value)) / 10), 1)
