"""Metrics text as servers send it, well or badly: the parser survives, and says what it read."""

from __future__ import annotations

import math
import time

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from readiness.facts.base import Absent
from readiness.facts.metrics import Latency
from readiness.probes import metric_families
from readiness.probes.exposition import MAX_SERIES, Exposition, parse
from readiness.probes.histograms import derive, faults, fell, quantile, shape

PLAIN = "text/plain"
OPEN = "application/openmetrics-text"


def histogram(*buckets: str, count: float | None = 10, total: float | None = 1.5, labels: str = "") -> str:
    comma = "," if labels else ""
    lines = ["# HELP h_seconds h", "# TYPE h_seconds histogram"]
    for pair in buckets:
        bound, _, value = pair.partition(":")
        lines.append(f'h_seconds_bucket{{{labels}{comma}le="{bound}"}} {value}')
    lines += [f"h_seconds_sum{{{labels}}} {total}"] * (total is not None)
    lines += [f"h_seconds_count{{{labels}}} {count}"] * (count is not None)
    return "\n".join(lines) + "\n"


def found(text: str) -> set[str]:
    return {fault.fault for fault in faults(parse(text, PLAIN).families["h_seconds"])}


def test_half_a_million_series_are_cut_at_the_limit() -> None:
    text = "# TYPE hits_total counter\n" + "".join(f'hits_total{{path="/{i}"}} {i}\n' for i in range(500_000))
    began = time.monotonic()
    exposition = parse(text, PLAIN)
    assert exposition.truncated
    assert 0 < exposition.series <= MAX_SERIES
    assert time.monotonic() - began < 20


def test_a_cut_body_loses_its_last_line_only() -> None:
    exposition = parse("a 1\nb 2\nc 3", PLAIN, cut=True)
    assert (set(exposition.families), exposition.truncated) == ({"a", "b"}, True)


@pytest.mark.parametrize(
    ("text", "media_type", "problem"),
    [
        ("<!doctype html><title>x</title>", "text/html", "HTML"),
        ("  <html>", PLAIN, "HTML"),
        ('{"heapUsed": 1}', "application/json", "JSON"),
        ("[1, 2]", PLAIN, "JSON"),
        ("Active connections: 1 \nserver accepts handled requests\n 1 1 1\n", PLAIN, "could not convert"),
        ("OK", PLAIN, "could not convert"),
        ('a{b="c} 1\n', PLAIN, ""),
        ("\x00\x1b[31mred 1\n", PLAIN, "invalid metric name"),
        ("a{" * 5000, PLAIN, ""),
        ('a{b="' + "\\" * 16000 + "\n", PLAIN, ""),
    ],
)
def test_what_is_no_exposition_has_no_families(text: str, media_type: str, problem: str) -> None:
    exposition = parse(text, media_type)
    assert exposition.problem
    assert problem in exposition.problem
    assert not exposition.families


@pytest.mark.parametrize("text", ["", "\n\n", "# HELP a b\n", "# EOF\n"])
def test_nothing_is_no_problem_but_no_series_either(text: str) -> None:
    exposition = parse(text, PLAIN)
    assert (exposition.series, exposition.problem) == (0, "")


def test_a_line_without_end_stops_the_reading() -> None:
    exposition = parse('a 1\nb{x="' + "y" * 5_000_000, PLAIN)
    assert exposition.truncated
    assert "a" in exposition.families


def test_numbers_of_every_kind_are_read() -> None:
    text = f"a NaN\nb +Inf\nc -Inf\nd 1e308\ne {'9' * 400}\nf {'9' * 5000}\n"
    values = {sample.name: sample.value for sample in parse(text, PLAIN).samples()}
    assert math.isnan(values["a"])
    assert [values[name] for name in "bcdef"] == [math.inf, -math.inf, 1e308, math.inf, math.inf]


def test_counters_keep_the_name_that_they_are_exposed_by() -> None:
    text = "# TYPE good_total counter\ngood_total 1\n# TYPE bare counter\nbare 2\n"
    assert set(parse(text, PLAIN).families) == {"good_total", "bare"}
    assert set(parse("# TYPE good counter\ngood_total 1\n# EOF\n", OPEN).families) == {"good_total"}


def test_families_in_pieces_are_put_together() -> None:
    text = "# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n# TYPE a gauge\na 2\n"
    assert [sample.value for sample in parse(text, PLAIN).families["a"].samples] == [1, 2]


def test_what_breaks_openmetrics_is_recorded_and_read_all_the_same() -> None:
    exposition = parse("# TYPE a gauge\na 1\n", OPEN)
    assert exposition.violation == "Missing # EOF at end"
    assert exposition.series == 1
    assert not exposition.problem


def test_openmetrics_cut_by_us_is_no_violation() -> None:
    text = "# TYPE a counter\n" + "".join(f'a_total{{x="{i}"}} 1\n' for i in range(300)) + "# EOF\n"
    assert parse(text, OPEN).violation == ""
    assert parse(text, OPEN, max_series=100).violation == ""
    assert parse(text, OPEN, max_series=100).truncated
    assert parse(text[:3000], OPEN, cut=True).violation == ""


def test_the_client_library_is_understood_in_both_formats() -> None:
    registry = CollectorRegistry()
    durations = Histogram("http_request_duration_seconds", "d", ["method", "route", "status_code"], registry=registry)
    Counter("orders", "o", registry=registry).inc()
    durations.labels("GET", "/", "200").observe(0.02, exemplar={"trace_id": "abc"})
    plain = parse(generate_latest(registry).decode(), PLAIN)
    strict = parse(generate_openmetrics(registry).decode(), OPEN)
    for exposition in (plain, strict):
        assert not exposition.problem
        assert not exposition.violation
        assert exposition.families["orders_total"].type == "counter"
        assert faults(exposition.families["http_request_duration_seconds"]) == []
        latency = metric_families.http_latency(exposition)
        assert latency is not None
        assert latency.exact
        assert latency.labels == {"method": "method", "route": "route", "status": "status_code"}
    assert strict.exemplars
    assert not plain.exemplars


def test_a_sound_histogram_has_no_faults() -> None:
    assert found(histogram("0.1:4", "1:9", "+Inf:10")) == set()
    assert found(histogram("+Inf:10", "1:9", "0.1:4")) == set(), "the order of lines is no fault"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (histogram("0.1:4", "1:9"), "no +Inf bucket"),
        (histogram("0.1:9", "1:4", "+Inf:10"), "counts that fall from one bucket to the next"),
        (histogram("0.1:4", "+Inf:9"), "+Inf differs from _count"),
        (histogram("0.1:4", "0.1:4", "+Inf:10"), "the same bucket twice"),
        (histogram("x:4", "+Inf:10"), "a bucket without a readable le"),
        (histogram("NaN:4", "+Inf:10"), "a bucket without a readable le"),
        (histogram("0.1:4.5", "+Inf:10"), "counts that are no whole numbers"),
        (histogram("0.1:NaN", "+Inf:10"), "counts that are no whole numbers"),
        (histogram("0.1:4", "+Inf:10", total=None), "no _sum"),
        (histogram("0.1:4", "+Inf:10", total=math.nan), "a _sum that is no number"),
        (histogram("0.1:4", "+Inf:10", total=-3), "a negative _sum without negative buckets"),
        (histogram("0.1:4", "+Inf:10", count=None), "no _count"),
        (
            histogram("0.1:4", "+Inf:10", labels='a="1"') + histogram("0.2:4", "+Inf:10", labels='a="2"'),
            "label sets with different buckets",
        ),
    ],
)
def test_a_broken_invariant_is_named(text: str, fault: str) -> None:
    assert fault in found(text)


def test_the_shape_of_a_broken_histogram_is_unknown() -> None:
    for text in (
        histogram("0.1:NaN", "+Inf:10"),
        histogram("0.1:20", "+Inf:10"),
        histogram("+Inf:10"),
        histogram("1:0"),
    ):
        assert shape(parse(text, PLAIN).families["h_seconds"]) is None
    fits = shape(parse(histogram("0.1:4", "1:9", "+Inf:10"), PLAIN).families["h_seconds"])
    assert fits is not None
    assert (fits.in_first, round(fits.above_last, 6), fits.last_bound) == (0.4, 0.1, 1.0)


def requests(good: int, bad: int, seconds: float, health: int = 0) -> Exposition:
    lines = ["# TYPE http_request_duration_seconds histogram"]
    for route, status, count in (("/", "200", good), ("/", "500", bad), ("/health", "200", health)):
        labels = f'method="GET",route="{route}",status_code="{status}"'
        for bound in ("0.1", "0.2", "+Inf"):
            lines.append(
                f'http_request_duration_seconds_bucket{{{labels},le="{bound}"}} {count if bound != "0.1" else 0}'
            )
        lines.append(f"http_request_duration_seconds_count{{{labels}}} {count}")
        lines.append(f"http_request_duration_seconds_sum{{{labels}}} {count * seconds}")
    return parse("\n".join(lines) + "\n", PLAIN)


def test_two_scrapes_give_mean_percentile_and_error_ratio_without_health() -> None:
    before, after = requests(100, 0, 0.15, health=5), requests(190, 10, 0.15, health=500)
    latency = metric_families.http_latency(after)
    assert latency is not None
    derived = derive(before, after, latency, 2.0, lambda route: route == "/health")
    assert derived.requests == 100
    assert derived.mean_ms == pytest.approx(150)
    assert derived.error_ratio == pytest.approx(0.1)
    assert (derived.p95_low_ms, derived.p95_high_ms) == (pytest.approx(100), pytest.approx(200))
    assert derived.p95_ms == pytest.approx(195)
    assert not fell(before, after)
    assert fell(after, before)


def test_a_family_without_a_unit_gives_no_times() -> None:
    after = requests(100, 0, 0.15)
    latency = Latency(family="http_request_duration_seconds", type="histogram", unit="")
    derived = derive(requests(0, 0, 0), after, latency, 1.0, lambda route: False)
    assert isinstance(derived.__dict__["mean_ms"], Absent)
    assert isinstance(derived.__dict__["error_ratio"], Absent)


@pytest.mark.parametrize(
    ("buckets", "expected"),
    [
        ({}, None),
        ({1.0: 5.0}, None),
        ({1.0: 0.0, math.inf: 0.0}, None),
        ({1.0: 10.0, math.inf: 10.0}, 0.95),
        ({1.0: 1.0, 2.0: 2.0, math.inf: 10.0}, 2.0),
        ({math.inf: 10.0}, 0.0),
        ({1.0: math.nan, math.inf: math.nan}, None),
    ],
)
def test_the_quantile_is_that_of_prometheus(buckets: dict[float, float], expected: float | None) -> None:
    result = quantile(buckets, 0.95)
    assert (result[0] if result else None) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("name", "type", "recognised"),
    [
        ("http_request_duration_seconds", "histogram", "http"),
        ("http_server_request_duration_seconds", "histogram", "http"),
        ("http_server_requests_seconds", "summary", "http"),
        ("http_request_duration_milliseconds", "summary", "http"),
        ("caddy_http_request_duration_seconds", "histogram", "http"),
        ("registry_http_request_duration_seconds", "histogram", "http"),
        ("starlette_requests_processing_time_seconds", "histogram", "http"),
        ("http_client_request_duration_seconds", "histogram", ""),
        ("http_request_size_bytes", "histogram", ""),
        ("http_requests_total", "counter", ""),
        ("database_query_duration_seconds", "histogram", "database"),
        ("db_query_duration_seconds", "summary", "database"),
        ("db_client_operation_duration_seconds", "histogram", "database"),
        ("mongodb_driver_commands_seconds", "summary", "database"),
        ("directus_db_default_response_time_ms", "histogram", "database"),
        ("db_client_connections_wait_time_ms", "histogram", ""),
        ("go_gc_duration_seconds", "summary", ""),
    ],
)
def test_families_are_recognised_by_name_and_type(name: str, type: str, recognised: str) -> None:
    suffix = "" if type == "counter" else "_count"
    exposition = parse(f"# TYPE {name} {type}\n{name}{suffix} 3\n", PLAIN)
    http, database = metric_families.http_latency(exposition), metric_families.database_latency(exposition)
    assert (http is not None, database is not None) == (recognised == "http", recognised == "database")


def test_labels_without_an_observation_are_unknown_not_missing() -> None:
    exposition = parse(
        "# HELP http_request_duration_seconds d\n# TYPE http_request_duration_seconds histogram\n", PLAIN
    )
    latency = metric_families.http_latency(exposition)
    assert latency is not None
    assert not isinstance(latency.__dict__["labels"], dict)


def test_hits_of_one_cache_are_not_paired_with_misses_of_another() -> None:
    text = "a_cache_hits_total 900\nb_cache_misses_total 100\nc_cache_hits_total 7\nc_cache_misses_total 3\n"
    exposition = parse(text, PLAIN)
    cache = metric_families.cache(exposition, exposition)
    assert cache is not None
    assert (cache.hits_family, cache.hits, cache.misses) == ("c_cache_hits_total", 7, 3)
    micrometer = parse('cache_gets_total{result="hit"} 8\ncache_gets_total{result="miss"} 2\n', PLAIN)
    cache = metric_families.cache(parse("", PLAIN), micrometer)
    assert cache is not None
    assert (cache.hits, cache.misses) == (8, 2)


@pytest.mark.parametrize(
    ("values", "pattern"),
    [
        (["/api/products", "/api/orders", "unmatched"], ""),
        (["GET", "POST", "200", "404"], ""),
        (["6f9619ff-8b86-d011-b42d-00cf4fc964ff"], ""),
        (["6f9619ff-8b86-d011-b42d-00cf4fc964ff", "7f9619ff-8b86-d011-b42d-00cf4fc964ff"], "UUID"),
        (["/products/507f1f77bcf86cd799439011", "/products/507f191e810c19729de860ea"], "object id"),
        (["/orders/17", "/orders/18"], "number in a path"),
        (["ann@example.com"], "e-mail address"),
        (["/search?q=tea"], "query string"),
        (["/", "/canary42-0"], "path nobody defined"),
    ],
)
def test_labels_that_grow_without_bound_are_found(values: list[str], pattern: str) -> None:
    text = "# TYPE a_total counter\n" + "".join(f'a_total{{route="{value}"}} 1\n' for value in values)
    found = metric_families.high_entropy(parse(text, PLAIN).families.values(), ["canary42"])
    assert [each.pattern for each in found] == ([pattern] if pattern else [])
