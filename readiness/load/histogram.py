"""Times counted at the resolution of an HdrHistogram, cheaply enough for a hot loop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hdrh.histogram import HdrHistogram

HIGHEST_US = 3_600_000_000
DIGITS = 3
_EXACT_BITS = 11  # three significant digits: values below 2^11 are exact, above them 2^10 steps an octave


class Histogram:
    """Times between 1 µs and one hour with three significant digits.

    Recording costs a dictionary entry, not HdrHistogram's pure-Python bucket arithmetic; the buckets are the same, so
    that `hdr()` and everything computed from it loses nothing. Mean and maximum are exact.
    """

    __slots__ = ("_built", "_counts", "_longest", "_sum", "count")

    def __init__(self) -> None:
        self.count = 0
        self._counts: dict[int, int] = {}
        self._sum = 0.0
        self._longest = 0.0
        self._built: tuple[int, Any] | None = None

    def record(self, seconds: float) -> None:
        """Counts one time."""
        value = int(seconds * 1_000_000)
        if value >= 1 << _EXACT_BITS or value < 0:
            value = bucket(seconds)
        counts = self._counts
        if value in counts:
            counts[value] += 1
        else:
            counts[value] = 1
        self.count += 1
        self._sum += seconds
        if seconds > self._longest:
            self._longest = seconds

    def forget(self, seconds: float) -> None:
        """Takes back one time that was recorded; the maximum stays."""
        value = bucket(seconds)
        self._counts[value] -= 1
        self.count -= 1
        self._sum -= seconds

    def add(self, other: Histogram) -> None:
        """Adds the counts of another histogram, without loss."""
        for value, count in other._counts.items():
            self._counts[value] = self._counts.get(value, 0) + count
        self.count += other.count
        self._sum += other._sum
        self._longest = max(self._longest, other._longest)
        self._built = None

    @property
    def mean(self) -> float | None:
        """The mean in milliseconds, or None without values."""
        return 1000 * self._sum / self.count if self.count else None

    @property
    def max(self) -> float | None:
        """The longest time in milliseconds, or None without values."""
        return 1000 * self._longest if self.count else None

    def percentile(self, percent: float) -> float | None:
        """The time in milliseconds that `percent` of the values do not exceed, or None without values."""
        if not self.count:
            return None
        # The upper edge of the last bucket can lie above the longest time.
        return float(min(self.hdr().get_value_at_percentile(percent) / 1000, 1000 * self._longest))

    def hdr(self) -> Any:
        """The same counts as an `HdrHistogram` in microseconds, for its iterators and its interchange format."""
        if self._built is None or self._built[0] != self.count:
            built = HdrHistogram(1, HIGHEST_US, DIGITS)
            for value, count in self._counts.items():
                if count:
                    built.record_value(value, count)
            self._built = (self.count, built)
        return self._built[1]

    def summary(self, percents: Iterable[float]) -> dict[str, float | None]:
        """Mean, the given percentiles (`p99.5`) and the maximum, in milliseconds to the microsecond."""
        values = {"mean": self.mean} | {f"p{p:g}": self.percentile(p) for p in percents} | {"max": self.max}
        return {name: None if value is None else round(value, 3) for name, value in values.items()}


def bucket(seconds: float) -> int:
    """The lowest value, in microseconds, of the HdrHistogram bucket that holds this time."""
    value = int(seconds * 1_000_000)
    if value < 1 << _EXACT_BITS:
        return max(value, 0)
    value = min(value, HIGHEST_US)
    shift = value.bit_length() - _EXACT_BITS
    return value >> shift << shift


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """One histogram with the counts of all."""
    total = Histogram()
    for each in histograms:
        total.add(each)
    return total
