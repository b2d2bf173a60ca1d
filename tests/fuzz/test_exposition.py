"""Text of a metrics endpoint, and what is made of it: families, histograms, differences."""

from __future__ import annotations

import itertools
import json
import math
import time

from hypothesis import example
from hypothesis import strategies as st

from readiness.facts.base import absent
from readiness.facts.metrics import Latency
from readiness.probes import metric_families as families
from readiness.probes.exposition import MAX_LINE, parse
from readiness.probes.histograms import derive, faults, fell, merged, quantile, series, shape

from .fuzzing import fuzzed

NAMES = st.sampled_from(
    [
        "http_request_duration_seconds", "http_requests_total", "a", "h", "process_start_time_seconds",
        "go_goroutines", "cache_hits_total", "cache_misses_total", "db_query_duration_ms", "x_created", "é", "1a",
        ":", "", "NaN",
    ]
)  # fmt: skip
SUFFIXES = st.sampled_from(["", "", "_bucket", "_count", "_sum", "_total", "_created", "_info"])
LABELS = st.sampled_from(
    [
        "", "{}", '{le="0.1"}', '{le="+Inf"}', '{le="x"}', '{le=""}', '{status="500",route="/"}', '{a="b\\"c\\n"}',
        '{a="', '{a=b}', "{,}", '{a="b",a="c"}', '{le="NaN"}', '{quantile="0.5"}',
        '{route="/u/3f2504e0-4f89-11d3-9a0c-0305e82c3301"}', '{"a.b"}', '{a="b",}', "{" * 3, '{path="/rdy-x"}',
        '{le="1e400"}', '{le="-1"}',
    ]
)  # fmt: skip
VALUES = st.sampled_from(
    [
        "0", "1", "-1", "3.5", "NaN", "+Inf", "-Inf", "1e308", "1e400", "9" * 400, "", "x", "1 2", "1 1e99", "0x1p3",
        "1_0", "٣", '1 # {a="b"} 1', "1 # {} x", "2 3 4", "1.7e9",
    ]
)  # fmt: skip
LINES = st.one_of(
    st.builds("{}{}{} {}".format, NAMES, SUFFIXES, LABELS, VALUES),
    st.builds(
        "# TYPE {} {}".format, NAMES, st.sampled_from(["counter", "gauge", "histogram", "summary", "x", "", "info"])
    ),
    st.builds("# HELP {} {}".format, NAMES, st.text(max_size=10)),
    st.sampled_from(["# EOF", "#", "", "# UNIT a s", "\x00", "\ufeff", "\r", "{", "<html>", "\x9b31m 1", "# TYPE"]),
    st.text(max_size=30),
    st.text(alphabet='ab_{}="le,01.+InfNa #TYPEHELP\\', max_size=40),
)
TEXTS = st.builds(
    lambda lines, end, first: first + end.join(lines) + end,
    st.lists(LINES, max_size=25),
    st.sampled_from(["\n", "\n", "\r\n", "\r"]),
    st.sampled_from(["", "# TYPE h histogram\n", "# TYPE http_request_duration_seconds histogram\n", " "]),
)
MEDIA = st.sampled_from(["text/plain", "application/openmetrics-text", "", "text/html", "application/json"])


@fuzzed(TEXTS, TEXTS, MEDIA, st.booleans(), st.sampled_from([3, 50_000]), examples=200)
@example("# TYPE h histogram\n" + 'h_bucket{le="x' * 3000, "", "text/plain", False, 50_000)
def test_any_two_scrapes_have_their_families(first: str, second: str, media: str, cut: bool, most: int) -> None:
    before, after = (parse(text, media, cut=cut, max_series=most) for text in (first, second))
    for scrape in (before, after):
        assert scrape.series <= most + 1
        assert not (scrape.problem and scrape.families)
        assert len(scrape.problem) <= 80
        for family in scrape.families.values():
            for fault in faults(family):
                json.dumps(fault.to_json(), allow_nan=False)
            if (found := shape(family)) is not None:
                json.dumps(found.to_json(), allow_nan=False)
            json.dumps(families.summary(family).to_json(), allow_nan=False)
            quantile(merged(series(family).values()), 0.95)
        for high in families.high_entropy(scrape.families.values(), ["rdy-x"]):
            json.dumps(high.to_json(), allow_nan=False)
    assert fell(before, after) in (True, False)
    for found in (families.http_latency(after), families.cache(before, after), families.cache(after, after)):
        if found is not None:
            json.dumps(found.to_json(), allow_nan=False)
    latency = families.http_latency(after)
    if latency is not None:
        json.dumps(derive(before, after, latency, 1.0, lambda route: route == "/health").to_json(), allow_nan=False)
    for name in [*after.families][:3]:
        any_one = Latency(
            family=name, type="histogram", unit="seconds", exact=False, observations=1.0, labels=absent("none")
        )
        json.dumps(derive(before, after, any_one, 1.0, lambda route: False).to_json(), allow_nan=False)


@fuzzed(
    st.dictionaries(st.floats(allow_nan=False) | st.just(math.inf), st.floats() | st.integers(), max_size=8),
    st.floats(0, 1, exclude_min=True, exclude_max=True),
    examples=100,
)
def test_a_quantile_lies_in_its_bucket(cumulative: dict[float, float], share: float) -> None:
    found = quantile(cumulative, share)
    counts = [count for _, count in sorted(cumulative.items())]
    sound = all(0 <= earlier <= later for earlier, later in itertools.pairwise([0, *counts]))  # and no NaN
    if found is not None and sound and all(math.isfinite(each) for each in found):
        value, low, high = found
        assert min(low, high) <= value <= max(low, high)


@fuzzed(LINES, examples=30)
def test_a_long_line_is_not_read_for_long(line: str) -> None:
    began = time.process_time()
    parse((line or "x") * (20 * MAX_LINE // max(1, len(line))), "text/plain")
    assert time.process_time() - began < 5
