"""The figures of the fleet, and how they read in every format."""

from __future__ import annotations

import io
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from readiness.fleet import document, html, terminal
from readiness.fleet.overview import Audit, Overview, Row, Wrong, overview, row
from readiness.gate import ExitCode
from readiness.model import Rating, Severity, Status

from .hostile import INJECTIONS
from .sample import assessment, outage
from .test_html import Page

TLS = Wrong("security.tls", "Served over https", "security", Severity.HIGH, Status.FAIL)
POOL = Wrong("database.pool", "A pool that fits", "database", Severity.MEDIUM, Status.WARN)
BLIND = Wrong("caching.hits", "The cache is hit", "caching", Severity.HIGH, Status.ERROR)


def made(name: str, score: float | None, *wrong: Wrong, **more: Any) -> Row:
    rating = (
        None if score is None else Rating.READY if score >= 8 else Rating.NEEDS_WORK if score >= 6 else Rating.NOT_READY
    )
    values: dict[str, Any] = {
        "service": name,
        "environment": "production",
        "target": f"http://{name}/",
        "audit": Audit.DONE,
        "code": 0,
        "score": score,
        "rating": rating,
        "coverage": None if score is None else 0.9,
        "components": {} if score is None else {"database": score, "security": 7.0},
        "wrong": wrong,
        "seconds": 3.5,
    }
    return Row(name=name, **(values | more))


def together(*rows: Row, **more: Any) -> Overview:
    return overview("shop", rows, started_at="2026-03-02T09:30:00+00:00", seconds=12.0, **more)


ROWS = (
    made("good", 9.1, POOL),
    made("bad", 3.0, TLS, POOL),
    made("down", None, audit=Audit.INCOMPLETE, code=3, reason="Http: could not connect"),
    made("fair", 6.5, TLS, BLIND, gate=False, code=1, unmet=("score 6.5 (required >= 8)",)),
)


def test_worst_first_and_what_is_not_known_before_that() -> None:
    assert [each.name for each in together(*ROWS).rows] == ["down", "bad", "fair", "good"]


def test_figures() -> None:
    found = together(*ROWS)
    assert (found.mean, found.median, found.worst) == (6.2, 6.5, 3.0)
    assert found.ratings == {Rating.READY: 1, Rating.NEEDS_WORK: 1, Rating.NOT_READY: 1}
    assert {audit: count for audit, count in found.audits.items() if count} == {Audit.DONE: 3, Audit.INCOMPLETE: 1}
    database, security = found.columns
    assert (database.id, database.assessed, database.mean, database.worst, database.not_ready) == (
        "database",
        3,
        6.2,
        3.0,
        1,
    )
    assert (security.id, security.assessed, security.mean) == ("security", 3, 7.0)


def test_the_most_frequent_finding_is_first_and_the_graver_one_of_two() -> None:
    tls, pool = together(*ROWS).findings
    assert (tls.check, tls.failed, tls.warned, tls.deployments) == ("security.tls", 2, 0, ("bad", "fair"))
    assert (pool.check, pool.failed, pool.warned, pool.deployments) == ("database.pool", 0, 2, ("bad", "good"))
    (blind,) = together(*ROWS).unjudged
    assert (blind.check, blind.unjudged) == ("caching.hits", 1)


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([0, 0], ExitCode.OK),
        ([0, 1], ExitCode.GATE),
        ([1, 3], ExitCode.INCOMPLETE),
        ([1, 3, 4], ExitCode.BUG),
    ],
)
def test_what_could_not_be_looked_at_outranks_what_was_seen(codes: list[int], code: ExitCode) -> None:
    rows = [made(f"s{n}", 8.0, code=each) for n, each in enumerate(codes)]
    assert together(*rows).code is code
    assert together(*rows, interrupted=True).code is ExitCode.INTERRUPTED


def test_the_gate_is_that_of_every_deployment() -> None:
    assert together(made("a", 8.0)).gate is None
    assert together(made("a", 8.0, gate=True), made("b", 8.0)).gate is True
    found = together(*ROWS)
    assert found.gate is False
    assert [each.name for each in found.below] == ["fair"]


def test_a_row_of_a_report() -> None:
    report = assessment()
    one = row(report, "checkout", "eu", "host:1")
    assert (one.name, one.region, one.worker, one.service) == ("checkout", "eu", "host:1", report.service)
    assert (one.score, one.rating, one.coverage) == (report.score, report.rating, report.coverage)
    assert one.components == {each.id: each.score for each in report.components if each.score is not None}
    assert {each.status for each in one.wrong} <= {Status.FAIL, Status.WARN, Status.ERROR}
    broken = row(outage(), "down", None, "")
    assert broken.audit is Audit.INCOMPLETE
    assert broken.code == 3
    assert not broken.finished
    assert broken.reason


def test_json() -> None:
    data = json.loads(document.render(together(*ROWS, folder="fleet-reports")))
    assert data["fleet_schema_version"] == "1"
    assert data["scores"] == {"mean": 6.2, "median": 6.5, "worst": 3.0}
    assert data["exit_code"] == 3
    assert data["gate"] == {"passed": False, "deployments_below": ["fair"]}
    assert [each["name"] for each in data["deployments"]] == ["down", "bad", "fair", "good"]
    assert data["deployments"][2]["fail"] == ["security.tls"]
    assert data["deployments"][2]["error"] == ["caching.hits"]
    assert data["checks"]["security.tls"]["severity"] == "high"
    assert data["findings"][0] == {"check": "security.tls", "failed": 2, "warned": 0, "deployments": ["bad", "fair"]}


def printed(found: Overview, width: int = 110, **more: bool) -> str:
    stream = io.StringIO()
    terminal.render(found, Console(file=stream, width=width, color_system=None), **more)
    return stream.getvalue()


def test_terminal() -> None:
    text = printed(together(*ROWS))
    assert text.index("down") < text.index("bad") < text.index("fair") < text.index("good")
    assert "Fleet  1 ✅, 1 ⚠️, 1 ❌ · mean 6.2, median 6.5, worst 3.0 · 1 not fully audited" in text
    assert "down incomplete: Http: could not connect" in text
    assert "2 of 4 high   Served over https" in text
    assert "fair: score 6.5 (required >= 8)" in text
    assert printed(together(*ROWS), quiet=True).count("\n") == 1


def test_a_large_fleet_shows_its_worst_and_all_of_it_on_demand() -> None:
    found = together(*(made(f"s{n:03}", n / 10, TLS) for n in range(100)))
    assert "s019" in printed(found)
    assert "s020" not in printed(found)
    assert "and 80 better ones, -v for all" in printed(found)
    assert "s099" in printed(found, verbose=True)


def test_html_loads_nothing_and_links_to_every_report() -> None:
    rows = [
        made("a b", 7.0, TLS, reports={"html": "a b.html", "json": "a-b.json"}),
        made("c", None, audit=Audit.LOST, code=3),
    ]
    page = Page(html.render(together(*rows, folder="../fleet reports")))
    assert "../fleet%20reports/a%20b.html" in page.values("href")
    assert not [each for each in page.values("href") if each.startswith("http")]
    assert not page.values("src")
    assert not page.values("style")
    (policy,) = [attributes["content"] for tag, attributes in page.tags if attributes.get("http-equiv")]
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert policy.count("'sha256-") == 3  # two styles and a script


@pytest.mark.parametrize("text", INJECTIONS)
def test_what_strangers_wrote_is_text(text: str) -> None:
    wrong = Wrong("security.tls", text, "security", Severity.HIGH, Status.FAIL)
    rows = [
        made(text, 7.0, wrong, gate=False, unmet=(text,)),
        made("b", None, audit=Audit.FAILED, code=3, reason=text, region=text),
    ]
    found = together(*rows, notices=[text])
    tags = [tag for tag, _ in Page(html.render(found)).tags]
    harmless = together(*(made(name, each.score) for name, each in zip("ab", rows, strict=True)))
    assert tags.count("script") == 1
    assert tags.count("img") == 0
    assert "\x1b" not in printed(found, verbose=True)
    json.loads(document.render(found))
    assert html.render(harmless)


def test_ten_thousand_deployments_fit_into_a_page(tmp_path: Path) -> None:
    rows = [
        made(f"service-{n:05}", n % 100 / 10, TLS, POOL, reports={"html": f"service-{n:05}.html"})
        for n in range(10_000)
    ]
    began = time.monotonic()
    text = html.render(together(*rows, folder="fleet-reports"))
    assert len(text) < 8_000_000
    assert time.monotonic() - began < 60


def test_html_counts_the_grave_findings_and_names_every_cell() -> None:
    text = html.render(together(*ROWS, made("odd", 5.0, replace(TLS, severity=Severity.CRITICAL), TLS, BLIND)))
    assert "<i>Critical, high</i>1, 1</td>" in text  # what could not be judged is no finding
    assert "<i>Critical, high</i>—</td>" in text  # of what was not looked at nothing is known
    assert text.count("<i>Database</i>") == 6  # each deployment, and the mean
    assert text.index("<tbody>") < text.index("<tfoot>")


@pytest.mark.parametrize("width", [40, 50, 60, 70, 80, 100])
def test_nothing_is_cut_on_a_narrow_terminal(width: int) -> None:
    scores = dict.fromkeys(
        ("database", "caching", "security", "monitoring", "error_handling", "performance", "scalability"), 4.5
    )
    lines = printed(together(*ROWS, made("shop-eu-west", 4.5, TLS, components=scores)), width).splitlines()
    text = " ".join(" ".join(lines).split())
    assert "…" not in text
    assert "90 %" in text
    assert text.count("4.5") >= 8
    assert width > 80 or "shop-eu-west" in text
    assert all(len(line) <= width for line in lines)
