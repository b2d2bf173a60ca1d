"""Text of a metrics endpoint into families, under limits of series, line length and time.

The parsers of prometheus_client do the reading. The classic one is lenient: it accepts broken histograms and repeated
families, so those are merged here and judged elsewhere. The OpenMetrics one is strict, and is used only for what calls
itself OpenMetrics; what it objects to is recorded, and the lenient one then reads the rest.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

MAX_SERIES = 50_000
MAX_LINE = 16_384
MAX_SECONDS = 3.0

Labels = dict[str, str]


@dataclass(frozen=True, slots=True)
class Sample:
    name: str
    labels: Labels
    value: float


@dataclass(slots=True)
class ParsedFamily:
    """A family as exposed: a classic counter keeps its `_total`, an OpenMetrics one gets it."""

    name: str
    type: str
    help: str
    samples: list[Sample] = field(default_factory=list)


@dataclass(slots=True)
class Exposition:
    """What was read. `problem` says why it is no exposition; then there are no families."""

    families: dict[str, ParsedFamily] = field(default_factory=dict)
    problem: str = ""
    openmetrics: bool = False
    violation: str = ""
    exemplars: bool = False
    truncated: bool = False

    @property
    def series(self) -> int:
        return sum(len(family.samples) for family in self.families.values())

    def samples(self) -> Iterator[Sample]:
        for family in self.families.values():
            yield from family.samples


class _Lines:
    """Feeds lines to a parser and stops at the first limit."""

    def __init__(self, text: str, max_series: int, *, eof: bool) -> None:
        self._text = text
        self._max = max_series
        self._eof = eof
        self._deadline = time.monotonic() + MAX_SECONDS
        self.declared: dict[str, str] = {}
        self.cut = False

    def __iter__(self) -> Iterator[str]:
        series = begin = 0
        while begin < len(self._text):
            end = self._text.find("\n", begin)
            end = len(self._text) if end < 0 else end
            line = self._text[begin:end]
            begin = end + 1
            if line[:1] == "#":
                self._declare(line)
            elif line.strip():
                series += 1
            if len(line) > MAX_LINE or series > self._max or (series % 64 == 0 and time.monotonic() > self._deadline):
                self.cut = True
                break
            yield line + "\n"
        if self.cut and self._eof:
            yield "# EOF\n"

    def _declare(self, line: str) -> None:
        parts = line[:1024].split(None, 3)
        if len(parts) == 4 and parts[1] == "TYPE":
            self.declared[parts[2]] = parts[3].strip()


def parse(text: str, media_type: str, *, cut: bool = False, max_series: int = MAX_SERIES) -> Exposition:
    """Reads one scrape.

    Args:
        text: the body.
        media_type: of the answer, lower case, without parameters.
        cut: that the body is only a beginning, so its last line is left out.
        max_series: how many sample lines are read.
    """
    openmetrics = media_type == "application/openmetrics-text"
    if cut:
        text = text[: text.rfind("\n") + 1]
    result = Exposition(openmetrics=openmetrics, truncated=cut)
    if media_type == "text/html" or text.lstrip()[:1] in ("<", "{", "["):
        result.problem = "HTML" if text.lstrip()[:1] == "<" or media_type == "text/html" else "JSON"
        return result
    if openmetrics:
        result.violation = _read(result, text, max_series, strict=True)
        if not result.violation:
            return result
        result.families.clear()
    result.problem = _read(result, text, max_series, strict=False)
    if result.problem:
        result.families.clear()
    return result


def _read(result: Exposition, text: str, max_series: int, *, strict: bool) -> str:
    """Fills `result`; returns what the parser objected to, or nothing."""
    from prometheus_client.openmetrics.parser import text_fd_to_metric_families as strict_parser
    from prometheus_client.parser import text_fd_to_metric_families as lenient_parser

    lines = _Lines(text, max_series, eof=strict and not result.truncated)
    # The parsers only iterate. A body cut off by us has no end mark, and that is no violation of the service's.
    source: Any = _with_eof(lines) if strict and result.truncated else lines
    try:
        for metric in (strict_parser if strict else lenient_parser)(source):
            _add(result, metric, lines.declared, strict=strict)
    except Exception as error:  # ValueError mostly, but hostile text finds others: KeyError, IndexError, OverflowError
        # The end of what was fed may lie inside a group that the strict parser wants whole.
        if not (lines.cut or result.truncated) or not result.families:
            return _objection(error)
    result.truncated = result.truncated or lines.cut
    return ""


def _with_eof(lines: Iterable[str]) -> Iterator[str]:
    yield from lines
    yield "# EOF\n"


def _objection(error: Exception) -> str:
    text = str(error).partition(":")[0].strip() or type(error).__name__
    return text[:80]


def _add(result: Exposition, metric: Metric, declared: dict[str, str], *, strict: bool) -> None:
    name = metric.name
    if metric.type == "counter" and (strict or declared.get(name + "_total") == "counter"):
        name += "_total"
    family = result.families.get(name)
    if family is None:
        kind = "untyped" if metric.type in ("unknown", "untyped") else str(metric.type)
        family = result.families[name] = ParsedFamily(name, kind, str(metric.documentation))
    for sample in metric.samples:
        value: Any = sample.value
        if value is None:  # a native histogram
            continue
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        family.samples.append(Sample(sample.name, dict(sample.labels), number))
        if getattr(sample, "exemplar", None):
            result.exemplars = True
