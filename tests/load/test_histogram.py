"""The histogram keeps what an HdrHistogram would."""

from __future__ import annotations

from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from readiness.load import Histogram
from readiness.load.histogram import DIGITS, HIGHEST_US, bucket, merged
from readiness.load.result import too_late

TIMES = st.lists(st.integers(1, 3_000_000_000), min_size=1, max_size=50)


@given(TIMES, st.floats(0.1, 100))
@settings(deadline=None)
def test_percentiles_are_those_of_hdrhistogram(micros: list[int], percent: float) -> None:
    ours, theirs = Histogram(), HdrHistogram(1, HIGHEST_US, DIGITS)
    for value in micros:
        ours.record((value + 0.5) / 1e6)
        theirs.record_value(value)
    expected = theirs.get_value_at_percentile(percent) / 1000
    assert abs((ours.percentile(percent) or 0) - min(expected, ours.max or 0)) <= 0.001
    assert ours.hdr().get_total_count() == len(micros)
    assert abs((ours.mean or 0) - (sum(micros) / len(micros) + 0.5) / 1000) < 0.01


@given(TIMES, TIMES)
@settings(deadline=None)
def test_merging_loses_nothing(left: list[int], right: list[int]) -> None:
    parts, whole = (Histogram(), Histogram()), Histogram()
    for part, values in zip(parts, (left, right), strict=True):
        for value in values:
            part.record(value / 1e6)
            whole.record(value / 1e6)
    total = merged(parts)
    assert [total.percentile(p) for p in (1, 50, 99, 100)] == [whole.percentile(p) for p in (1, 50, 99, 100)]
    assert (total.count, total.max) == (whole.count, whole.max)


@given(st.integers(0, HIGHEST_US))
@settings(deadline=None)
def test_buckets_are_the_lower_edges_of_hdrhistogram(value: int) -> None:
    seconds = (value + 0.5) / 1e6
    assert bucket(seconds) == HdrHistogram(1, HIGHEST_US, DIGITS).get_lowest_equivalent_value(int(seconds * 1e6))


def test_the_edges() -> None:
    histogram = Histogram()
    assert histogram.percentile(50) is None
    assert histogram.summary((50,)) == {"mean": None, "p50": None, "max": None}
    histogram.record(-0.001)
    histogram.record(1e9)
    assert histogram.percentile(1) == 0
    histogram.forget(1e9)
    assert histogram.count == 1


def test_an_engine_is_late_above_a_millisecond_and_a_tenth_of_the_median() -> None:
    assert not too_late(None, None)
    assert not too_late(0.9, 0.5)
    assert too_late(1.1, 0.5)
    assert not too_late(9.9, 100)
    assert too_late(10.1, 100)
