"""How the figures of a report read. Computes none."""

from __future__ import annotations

import datetime as dt
import math

from readiness.model import Condition, Expectation, Measurement
from readiness.report.text import one_line
from readiness.report.vocabulary import METRICS, NONE


def score(value: float | None) -> str:
    """`8.4`; scores are published rounded down to 0.1, so nothing is lost."""
    return NONE if value is None else f"{value:.1f}"


def of_ten(headline: int | None) -> str:
    return NONE if headline is None else f"{headline}/10"


def percent(share: float | None) -> str:
    """`93 %`, rounded down: what is not whole never reads 100 %."""
    return NONE if share is None else f"{math.floor(share * 100 + 1e-9)} %"


def plain(value: float) -> str:
    """`9`, `8.5`, `10,000`, `120.4`: no digit that means nothing."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{round(value, 1 if abs(value) >= 10 else 2):g}"


def points(value: float) -> str:
    """A gain as `+0.6`; two decimals where one would read as nothing."""
    return f"{value:+.1f}" if abs(value) >= 0.1 or value == 0 else f"{value:+.2f}"


def duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def moment(rfc3339: str) -> str:
    """`2026-03-02 09:30 UTC`; what is no date stays as it is."""
    try:
        parsed = dt.datetime.fromisoformat(rfc3339)
        return parsed.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError):
        return one_line(rfc3339, 40)


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def metric(expectation: Expectation) -> str:
    return METRICS.get(expectation.metric, (expectation.metric.replace("_", " "), "", ""))[0]


def measured(expectation: Expectation) -> str:
    """`120 ms`, `85 %`, or that it was not measured."""
    return "not measured" if expectation.measured is None else _figure(expectation.metric, expectation.measured)


def target(expectation: Expectation) -> str:
    """`< 100 ms`."""
    sign = METRICS.get(expectation.metric, ("", "", ""))[1]
    return f"{sign} {_figure(expectation.metric, expectation.target)}".strip()


def reached(expectation: Expectation) -> float | None:
    """The measured figure as a share of its target, for a bar; None where there is nothing to draw."""
    if expectation.measured is None or expectation.target <= 0:
        return None
    return max(0.0, expectation.measured / expectation.target)


def measurement(entry: Measurement) -> str:
    """`0.58 ms`, `0.2 %`, `16`."""
    share = entry.unit == "%"
    return f"{plain(100 * entry.value if share else entry.value)} {entry.unit}".strip()


def _figure(metric: str, value: float) -> str:
    unit = METRICS.get(metric, ("", "", ""))[2]
    return f"{plain(100 * value if unit == '%' else value)} {unit}".strip()


def unmet(condition: Condition) -> str:
    """A gate condition with what it found and what it asks for: `score 6.5 (required >= 8)`."""
    colon = ":" if isinstance(condition.observed, str) else ""
    return f"{condition.name}{colon} {observed(condition)} (required {condition.required})"


def observed(condition: Condition) -> str:
    """What a gate condition found."""
    value = condition.observed
    if value is None:
        return NONE
    if isinstance(value, str):
        return value
    return f"{value:g} %" if condition.required.endswith("%") else score(value)
