"""From the engine's samples to facts: the figures of a light load and of a ramp are made the same way."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from readiness.api import absent
from readiness.facts.load import LATE, Timing

if TYPE_CHECKING:
    from readiness.load import Sample

MOST_SKIPPED = 0.25
"""The share of requests that this machine may be too late with before its figures are worth nothing."""


def timing(windows: Sequence[Sample], why: str) -> Timing:
    """The median over the windows of each figure, or nothing where there was no success or this machine was late."""
    some = [window for window in windows if window.successes]
    skipped = sum(window.skipped for window in windows)
    due = skipped + sum(window.requests for window in windows)
    figures: dict[str, Any] = {}
    if skipped > MOST_SKIPPED * due:
        figures = dict.fromkeys(_FIGURES, absent(f"{LATE} {skipped} of {due} requests on time"))
    elif not some:
        figures = dict.fromkeys(_FIGURES, absent(why))
    else:
        figures = {name: round(statistics.median(map(read, some)), 3) for name, read in _FIGURES.items()}
        figures["max_ms"] = round(max(map(_FIGURES["max_ms"], some)), 3)
    return Timing(count=sum(window.successes for window in some), **figures)


_FIGURES: Mapping[str, Callable[[Sample], float]] = {
    "mean_ms": lambda sample: sample.latency.mean or 0.0,
    "p50_ms": lambda sample: sample.percentile(50) or 0.0,
    "p95_ms": lambda sample: sample.percentile(95) or 0.0,
    "p99_ms": lambda sample: sample.percentile(99) or 0.0,
    "max_ms": lambda sample: sample.latency.max or 0.0,
}


def answers(sample: Sample) -> dict[str, int]:
    """The ends of all requests by kind, the most frequent first."""
    counts = Counter({"2xx": sample.successes} if sample.successes else {})
    counts.update({kind.value: count for kind, count in sample.others.items() if count})
    return dict(counts.most_common())


def known(value: float | None, why: str) -> Any:
    """A figure to the microsecond, or why there is none."""
    return absent(why) if value is None else round(value, 3)


def path_of(url: str) -> str:
    """The path and query of a URL."""
    parts = urlsplit(url)
    return (parts.path or "/") + f"?{parts.query}" * bool(parts.query)


def printable(text: str) -> str:
    """What a server wrote into a header, short and without control characters."""
    return "".join(char for char in text if char.isprintable())[:64]
