"""Documents of Prometheus and Alertmanager, recorded and mangled."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from readiness.facts.base import Absent
from readiness.probes import prometheus_api as api
from readiness.probes.alertmanager import routing

NOW = dt.datetime(2026, 11, 22, 12, 0, tzinfo=dt.UTC)
OURS = [("localhost", 3000)]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("up == 0", ("up",)),
        ('sum(rate(http_request_duration_seconds_count{status_code=~"5.."}[5m])) > 0.05',
         ("http_request_duration_seconds_count",)),
        ("histogram_quantile(0.95, sum by (le, route) (rate(a_bucket[5m] offset 1h))) > 1e3", ("a_bucket",)),
        ("a / on(instance) group_left(job) b unless c", ("a", "b", "c")),
        ("max_over_time(rate(x_total[1m])[10m:30s]) > bool 3", ("x_total",)),
        ('job:errors:ratio > 0.1 and {__name__=~"x.*"}', ("job:errors:ratio",)),
        ("absent(orders_total)", ("orders_total",)),
        ("((((", ()),
        ("", ()),
    ],
)  # fmt: skip
def test_the_metrics_of_an_expression_are_found(query: str, names: tuple[str, ...]) -> None:
    assert api.metric_names(query) == names


def target(url: str, **more: Any) -> dict[str, Any]:
    return {"labels": {"job": "api", "instance": "i"}, "scrapeUrl": url, "health": "up", **more}


def targets(*each: Any) -> Any:
    return api.targets({"status": "success", "data": {"activeTargets": list(each)}}, NOW, OURS, {("api", "i"): 5.0})


def test_our_own_target_is_found_and_comes_first() -> None:
    found = targets(
        target("http://10.0.0.1:9100/metrics"),
        target(
            "http://127.0.0.1:3000/metrics?token=secret",
            lastScrape="2026-11-22T11:59:50.123456789Z",
            scrapeInterval="15s",
        ),
        target("http://user:hunter2@[::1]:9/x"),
    )
    assert [each.ours for each in found] == [True, False, False]
    assert found[0].age == pytest.approx(9.88, abs=0.01)
    assert (found[0].interval, found[0].started) == (15.0, 5.0)
    assert "secret" not in str(found)
    assert "hunter2" not in str(found)


def test_mangled_targets_are_survived() -> None:
    found = targets(
        None, [], {}, {"labels": 5, "scrapeUrl": 7}, target("http://[", lastScrape="0001-01-01T00:00:00Z"),
        target("http://h:99999/", scrapeInterval="soon", lastError="x" * 9999),
    )  # fmt: skip
    assert len(found) == 4
    assert all(isinstance(each.__dict__["age"], Absent) for each in found)
    assert all(len(each.error) <= 300 for each in found)
    assert isinstance(api.targets({"status": "error"}, NOW, OURS, {}), Absent)
    assert isinstance(api.targets([], NOW, OURS, {}), Absent)


def test_rules_are_read_without_the_recording_ones() -> None:
    document = {
        "status": "success",
        "data": {
            "groups": [
                {"rules": [
                    {"type": "alerting", "name": "Down", "query": "up == 0", "health": "ok",
                     "labels": {"severity": "page"}, "annotations": {"summary": "down"}},
                    {"type": "alerting", "name": "Ghost", "query": "ghost > 0", "health": "ok"},
                    {"type": "alerting", "name": "Gone", "query": "absent(ghost)", "health": "ok", "labels": 3},
                    {"type": "recording", "name": "r", "query": "up"},
                    "x",
                ]},
                {"rules": None},
                7,
            ]
        },
    }  # fmt: skip
    down, ghost, gone = api.rules(document, frozenset({"up"}))
    assert (down.severity, down.annotated, down.unknown_metrics) == ("page", True, ())
    assert ghost.unknown_metrics == ("ghost",)
    assert gone.unknown_metrics == ()
    assert isinstance(api.rules(document, None)[0].__dict__["unknown_metrics"], Absent)


def test_alerts_are_counted_and_firing_ones_come_first() -> None:
    def alert(name: str, state: str) -> dict[str, Any]:
        return {"labels": {"alertname": name, "severity": "page"}, "state": state}

    document = {
        "status": "success",
        "data": {"alerts": [alert("a", "pending"), alert("b", "firing"), alert("b", "firing"), 3]},
    }
    assert [(each.name, each.state, each.count) for each in api.alerts(document)] == [
        ("b", "firing", 2),
        ("a", "pending", 1),
    ]


@pytest.mark.parametrize(
    ("value", "expected"), [("5s", 5), ("1m30s", 90), ("500ms", 0.5), ("1h", 3600), ("", None), ("s", None), (5, None)]
)
def test_durations_are_seconds(value: Any, expected: float | None) -> None:
    assert api.seconds(value) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:3000/x", ("localhost", 3000)),
        ("https://example.com", ("example.com", 443)),
        ("//[::1]:80", ("localhost", 80)),
        ("//host", None),
        ("http://[", None),
        ("http://h:port/", None),
    ],
)
def test_places_are_host_and_port(url: str, expected: tuple[str, int] | None) -> None:
    assert api.place(url) == expected


def test_routing_keeps_names_and_kinds_only() -> None:
    config = """
route: {receiver: oncall}
receivers:
- name: oncall
  webhook_configs: [{url: "http://hooks.example.com/hunter2"}]
  email_configs: []
- name: blackhole
"""
    found = routing(config)
    assert found == {"root_receiver": "oncall", "receivers": {"oncall": ("webhook",), "blackhole": ()}}
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    "config",
    [
        "[" * 50_000,
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]",
        "!!python/object/apply:os.system [id]",
        "{",
        "x" * 300_000,
        "",
        "5",
        "route: 3\nreceivers: {a: b}",
        "receivers: [1, {name: [x]}, {webhook_configs: yes}]",
    ],
)
def test_hostile_configurations_are_survived(config: str) -> None:
    found = routing(config)
    assert not found.get("root_receiver") or isinstance(found["root_receiver"], Absent)
