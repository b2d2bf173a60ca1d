"""Where the lines of the charts run; what they look like is seen in a browser."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readiness.model import COMPONENTS, Component, Past, Report, State
from readiness.report import charts
from readiness.report.wording import measurements

from .sample import assessment, component, partial, ready, unscored


def numbers(points: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (point.split(",") for point in points.split())]


def distance(point: tuple[float, float]) -> float:
    return math.dist(point, charts.MIDDLE)


def test_a_radar_reaches_as_far_as_the_scores() -> None:
    report = assessment()
    radar = charts.radar(report)
    assert radar is not None
    for given_, point in zip(report.components, numbers(radar.reached), strict=True):
        assert distance(point) == pytest.approx(charts.RADIUS * (given_.score or 0) / 10, abs=0.2)
    assert {round(distance(point)) for point in numbers(radar.target)} == {round(charts.RADIUS * 0.9)}
    assert [axis.name for axis in radar.axes] == list(COMPONENTS.values())
    assert radar.words.startswith("Database 8.4, Caching 7.6, ")


def test_no_radar_without_an_area() -> None:
    assert charts.radar(partial()) is None
    two = [component(id) if id in ("database", "security") else unscored(id, State.ABSENT) for id in COMPONENTS]
    assert charts.radar(replace(assessment(), components=tuple(two))) is None
    none = tuple(unscored(id, State.NOTHING_ASSESSED) for id in COMPONENTS)
    assert charts.radar(replace(assessment(), components=none)) is None


def test_components_that_are_absent_have_no_axis() -> None:
    radar = charts.radar(ready())
    assert radar is not None
    assert "Caching" not in [axis.name for axis in radar.axes]


def test_seven_components() -> None:
    more = replace(component("database"), id="scalability", name="Scalability")
    radar = charts.radar(replace(assessment(), components=(*assessment().components, more)))
    assert radar is not None
    assert len(numbers(radar.reached)) == 7


def test_the_history_ends_with_this_audit_and_breaks_where_nothing_was_assessed() -> None:
    report = assessment()
    past = charts.history(report)
    assert past is not None
    assert past.runs == 5
    assert (past.overall.first, past.overall.last) == ("5.2", "7.1")
    assert len(past.overall.dots) == 4
    assert len(past.overall.pieces) == 1  # one dot alone makes no line
    assert len(numbers(past.overall.pieces[0])) == 3
    ys = [dot.at[1] for dot in past.overall.dots]
    assert ys == sorted(ys, reverse=True)
    assert past.overall.dots[-1].words == "2026-03-02 09:30 UTC: 7.1"
    assert [line.name for line in past.components] == list(COMPONENTS.values())
    assert charts.sparkline(past.overall) == "▅·▆▆▆"


def test_this_audit_is_not_drawn_twice() -> None:
    report = assessment()
    again = Past(report.started_at, report.score, {})
    assert charts.history(replace(report, history=(again,))) is None
    assert charts.history(replace(report, history=())) is None
    past = charts.history(replace(report, history=(*report.history, again)))
    assert past is not None
    assert past.runs == 5


def test_at_most_fifty_earlier_audits() -> None:
    report = assessment()
    many = tuple(Past(f"2025-01-01T00:{n // 60:02d}:{n % 60:02d}+00:00", 5.0, {}) for n in range(400))
    past = charts.history(replace(report, history=many))
    assert past is not None
    assert past.runs == charts.MOST_RUNS


SCORES = st.none() | st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(SCORES, min_size=1, max_size=8), SCORES)
def test_nothing_leaves_its_field(scores: list[float | None], own: float | None) -> None:
    finite = [None if score is None or not math.isfinite(score) else score for score in [*scores, own]]
    report: Report = replace(
        assessment(),
        score=finite[-1],
        components=tuple(_scored(each, finite[n % len(finite)]) for n, each in enumerate(assessment().components)),
        history=tuple(Past(f"2025-01-{n + 1:02d}T00:00:00+00:00", score, {}) for n, score in enumerate(finite[:-1])),
    )
    past = charts.history(report)
    assert past is not None
    for line in (past.overall, *past.components):
        assert all(0 <= x <= past.width and 0 <= y <= past.height for piece in line.pieces for x, y in numbers(piece))
    radar = charts.radar(report)
    if radar is not None:
        assert all(distance(point) <= charts.RADIUS + 0.2 for point in numbers(radar.reached))


def _scored(given_: Component, score: float | None) -> Component:
    return replace(given_, score=score, upper_bound=score)


def test_measurements_by_group_and_subject() -> None:
    tables = measurements(assessment())
    columns, rows = tables["Database connections"]
    assert columns == ["open", "active", "available", "average response"]
    assert rows == {"db1:27017": ["24", "3", "815", "0.42 ms"], "db2:27017": ["12", "1", "827", "0.05 ms"]}
    assert tables["Database queries"] == (["indexes in use"], {"db1:27017": ["0 %"]})
    fewer = replace(assessment(), measurements=assessment().measurements[:-1])
    assert measurements(fewer)["Database connections"][1]["db2:27017"][-1] == "—"
