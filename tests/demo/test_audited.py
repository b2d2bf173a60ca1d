"""What the audit says of the demo: the assessment's figures, earned, and one broken thing at a time."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest

from readiness import audit as auditing
from readiness.config import Source
from readiness.demo import Deployment, deployment
from readiness.demo.processes import mongod_binary, valkey_binary
from readiness.model import Rating, Report, Status
from readiness.report import render

from .helpers import client, eventually

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(mongod_binary() is None or valkey_binary() is None, reason="no mongod or no valkey-server"),
]

ASSESSMENT = {"database": 8, "caching": 6, "security": 7, "monitoring": 5, "error_handling": 8, "performance": 7}
MARKS = {6: "needs_work", 7: "needs_work", 8: "ready", 5: "not_ready"}
# What depends on the machine's speed at that moment, and so may differ between two audits of the same thing.
TIMED = (
    "database.latency.", "database.pressure.", "database.cache.", "database.conn.", "database.index.collscan",
    "database.errors.command_rate", "database.storage.disk", "database.host.", "database.repl.",
    "caching.latency.", "caching.hit_rate.", "caching.errors.", "caching.conn.", "caching.usage.not_idle",
    "performance.latency.", "performance.connect", "performance.cold_start", "monitoring.health.time",
)  # fmt: skip


def audit(running: Deployment) -> Report:
    return auditing.run(auditing.prepare(Source(dict(running.config)))).report


def changed(before: Report, after: Report) -> set[str]:
    """The checks whose status differs, without those that only measure the moment.

    On a machine that is busy otherwise the demo's own traffic may be too little to judge queries by.
    """
    old = {check.id: check.status for check in before.checks}
    return {
        check.id
        for check in after.checks
        if check.status is not old[check.id]
        and not check.id.startswith(TIMED)
        and not (check.id.startswith("database.index.") and Status.UNTESTED in (check.status, old[check.id]))
    }


def score(report: Report, component: str) -> float | None:
    return next(entry.score for entry in report.components if entry.id == component)


def command(folder: Path) -> tuple[dict[str, Any], str, float]:
    began = time.monotonic()
    result = subprocess.run(
        [sys.executable, "-m", "readiness", "demo", "--stage", "current", "-o", "report.json"],
        cwd=folder, capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return json.loads((folder / "report.json").read_text()), result.stdout, time.monotonic() - began


def test_the_current_stage_scores_what_the_assessment_says(tmp_path: Path) -> None:
    report, table, seconds = command(tmp_path)
    scores = {entry["id"]: (entry["headline"], entry["rating"]) for entry in report["components"]}
    assert scores == {id: (score, MARKS[score]) for id, score in ASSESSMENT.items()}
    assert (report["headline"], report["rating"], report["target_score"]) == (7, "needs_work", 9.0)
    assert "7/10" in table
    # The promise is 45 s on two cores, and window + 3 s for the audit; the rest is for a machine that is shared.
    assert seconds < 90
    assert report["duration_seconds"] < 3 + 3 + 3


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Deployment, Report]]:
    with deployment("production", folder=tmp_path_factory.mktemp("production")) as running:
        yield running, audit(running)


def test_the_production_stage_is_ready(production: tuple[Deployment, Report]) -> None:
    _, report = production
    assert report.score is not None
    assert report.unwaived_score is not None
    assert report.score >= 9.0
    assert {entry.rating for entry in report.components} == {Rating.READY}
    assert [waiver.check for waiver in report.waivers] == ["database.version.eol", "database.version.cve"]
    assert all(waiver.reason and waiver.owner and waiver.expires for waiver in report.waivers)
    assert report.unwaived_score < report.score
    assert "without 2 waivers" in render(report, "md")


@contextlib.contextmanager
def settings(running: Deployment, **changed: Any) -> Iterator[None]:
    """The instances, restarted with other settings, and again with their own at the end."""
    own = {file: file.read_text() for file in running.folder.glob("service-*.json")}
    assert len(own) == 2
    try:
        for file, text in own.items():
            file.write_text(json.dumps(json.loads(text) | changed))
        restart(running)
        yield
    finally:
        for file, text in own.items():
            file.write_text(text)
        restart(running)


def restart(running: Deployment) -> None:
    """Until the balancer, which passes over an instance that refused it, gives work to both again."""
    instances = [server for name, server in running.processes.items() if name.startswith("service-")]
    for server in instances:
        server.stop()
        server.log.unlink()
        server.start(server.logged("Uvicorn running on"))

    def both_answer() -> bool:
        with client(running) as anyone:  # a new connection each time
            anyone.get("/health/live")
        return all('"msg": "request"' in server.output() for server in instances)

    eventually(both_answer)


def test_a_dropped_header_moves_its_check_and_no_other(production: tuple[Deployment, Report]) -> None:
    running, before = production
    with settings(running, drop_headers=["X-Content-Type-Options"]):
        after = audit(running)
    assert changed(before, after) == {"security.headers.mime_sniffing"}
    # The component's score: it measures no times, so nothing else can have moved it.
    assert (score(after, "security") or 10) < (score(before, "security") or 0)


def test_a_removed_index_moves_the_index_checks_and_no_other(production: tuple[Deployment, Report]) -> None:
    running, before = production
    shop: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(running.config["mongodb"]["app_uri"])
    products = shop.get_default_database("market").products
    removed = {name: spec for name, spec in products.index_information().items() if name != "_id_"}
    try:
        for name in removed:
            products.drop_index(name)
        time.sleep(3)  # some queries must run without it
        after = audit(running)
    finally:
        for name, spec in removed.items():
            products.create_index(spec["key"], name=name)
        shop.close()
    moved = {check.id for check in after.checks if check.id.startswith("database.index.")} & {
        check.id
        for check, old in zip(after.checks, before.checks, strict=True)
        if check.status is not old.status and check.status in (Status.WARN, Status.FAIL)
    }
    assert moved, "no index check noticed"
    assert changed(before, after) <= {"database.index.targeting", "database.index.in_memory_sort"} | moved


def test_a_stopped_cache_moves_caching_and_what_reports_of_it(production: tuple[Deployment, Report]) -> None:
    running, before = production
    for name, server in running.processes.items():
        if name.startswith("valkey"):
            server.stop(kill=True)
    after = audit(running)
    assert after.incomplete
    by_id = {check.id: check for check in after.checks}
    assert by_id["caching.reach.connect"].status is Status.ERROR
    caching = next(entry for entry in after.components if entry.id == "caching")
    assert caching.rating is Rating.NOT_READY
    moved = changed(before, after)
    about_the_cache = ("caching.", "monitoring.health.", "monitoring.metrics.cache", "performance.cache.")
    assert {id for id in moved if not id.startswith(about_the_cache)} == set()
    assert after.score is not None
    assert before.score is not None
    assert after.score < before.score
