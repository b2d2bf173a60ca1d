"""Times counted at the resolution of an HdrHistogram, cheaply enough for a hot loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hdrh.histogram import HdrHistogram

HIGHEST_US = 3_600_000_000
DIGITS = 3
_EXACT_BITS = 11  # three significant digits: values below 2^11 are exact, above them 2^10 steps an octave
_EXACT = 1 << _EXACT_BITS


class Histogram:
    """Times between 1 µs and one hour with three significant digits.

    Recording costs a dictionary entry, not HdrHistogram's pure-Python bucket arithmetic; the buckets are the same, so
    that `hdr()` and everything computed from it loses nothing. Mean and maximum are exact.
    """

    __slots__ = ("_built", "_counts", "_longest", "_sum")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._sum = 0.0
        self._longest = 0.0
        self._built: tuple[int, Any] | None = None

    @property
    def count(self) -> int:
        """How many times were recorded."""
        return sum(self._counts.values())

    @property
    def seconds(self) -> float:
        """The sum of all times."""
        return self._sum

    def record(self, seconds: float) -> None:
        """Counts one time."""
        value = int(seconds * 1_000_000)
        if not 0 <= value < _EXACT:
            value = _edge(value)
        try:
            self._counts[value] += 1
        except KeyError:
            self._counts[value] = 1
        self._sum += seconds
        if seconds > self._longest:
            self._longest = seconds

    def forget(self, seconds: float) -> None:
        """Takes back one time that was recorded; the maximum stays."""
        value = bucket(seconds)
        self._counts[value] -= 1
        self._sum -= seconds

    def add(self, other: Histogram) -> None:
        """Adds the counts of another histogram, without loss."""
        for value, count in other._counts.items():
            self._counts[value] = self._counts.get(value, 0) + count
        self._sum += other._sum
        self._longest = max(self._longest, other._longest)
        self._built = None

    @property
    def mean(self) -> float | None:
        """The mean in milliseconds, or None without values."""
        count = self.count
        return 1000 * self._sum / count if count else None

    @property
    def max(self) -> float | None:
        """The longest time in milliseconds, or None without values."""
        return 1000 * self._longest if self.count else None

    def percentile(self, percent: float) -> float | None:
        """The time in milliseconds that `percent` of the values do not exceed, or None without values."""
        count = self.count
        if not count:
            return None
        # As HdrHistogram does it, whose own walk over all buckets takes a thousand times as long.
        wanted = max(1, int(min(percent, 100.0) * count / 100 + 0.5))
        for value in sorted(self._counts):
            wanted -= self._counts[value]
            if wanted <= 0:
                break
        last = value + (1 << max(0, value.bit_length() - _EXACT_BITS)) - 1 if percent else value
        # The upper edge of the last bucket can lie above the longest time.
        return float(min(last / 1000, 1000 * self._longest))

    def hdr(self) -> Any:
        """The same counts as an `HdrHistogram` in microseconds, for its iterators and its interchange format."""
        count = self.count
        if self._built is None or self._built[0] != count:
            built = HdrHistogram(1, HIGHEST_US, DIGITS)
            for value, count in self._counts.items():
                if count:
                    built.record_value(value, count)
            self._built = (count, built)
        return self._built[1]

    def encoded(self) -> str:
        """The counts in HdrHistogram's own compressed form (V2, base64), in microseconds, for other tools."""
        return bytes(self.hdr().encode()).decode("ascii")

    def pack(self) -> dict[str, Any]:
        """Plain data that `unpack` makes the same histogram of, in another process or on another machine."""
        return {"counts": dict(self._counts), "sum": self._sum, "longest": self._longest}

    @classmethod
    def unpack(cls, data: Mapping[str, Any]) -> Histogram:
        """The histogram that was packed."""
        made = cls()
        made._counts = dict(data["counts"])
        made._sum, made._longest = data["sum"], data["longest"]
        return made

    def summary(self, percents: Iterable[float]) -> dict[str, float | None]:
        """Mean, the given percentiles (`p99.5`) and the maximum, in milliseconds to the microsecond."""
        values = {"mean": self.mean} | {f"p{p:g}": self.percentile(p) for p in percents} | {"max": self.max}
        return {name: None if value is None else round(value, 3) for name, value in values.items()}


def bucket(seconds: float) -> int:
    """The lowest value, in microseconds, of the HdrHistogram bucket that holds this time."""
    value = int(seconds * 1_000_000)
    return value if 0 <= value < _EXACT else _edge(value)


def _edge(value: int) -> int:
    value = max(0, min(value, HIGHEST_US))
    shift = max(0, value.bit_length() - _EXACT_BITS)
    return value >> shift << shift


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """One histogram with the counts of all."""
    total = Histogram()
    for each in histograms:
        total.add(each)
    return total
