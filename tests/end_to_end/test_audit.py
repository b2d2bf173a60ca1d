"""The whole path against real servers that are not the demo, through the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pymongo
import pytest
import redis

from readiness.demo.processes import accepts

from .conftest import Deployment

WINDOW = 1.0


def audit(deployment: Deployment, folder: Path, *more: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    (folder / "readiness.yaml").write_text(f"limits: {{window_seconds: {WINDOW}}}\n")
    command = [sys.executable, "-m", "readiness", "audit", deployment.url]
    command += ["--mongodb", deployment.mongodb, "--redis", deployment.redis]
    outputs = ["-o", "r.json", "-o", "r.html", "-o", "r.md"]
    result = subprocess.run(
        [*command, *outputs, *more], cwd=folder, env={**os.environ, "NO_COLOR": "1", "COLUMNS": "100"},
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    return result, json.loads((folder / "r.json").read_text())


def component(report: dict[str, Any], id: str) -> dict[str, Any]:
    return next(entry for entry in report["components"] if entry["id"] == id)


def test_a_score_six_components_and_exit_0(deployment: Deployment, tmp_path: Path) -> None:
    result, report = audit(deployment, tmp_path)
    assert result.returncode == 0, result.stderr
    assert [entry["state"] for entry in report["components"]] == ["assessed"] * 6
    assert 0 <= report["score"] <= 10
    assert report["headline"] == int(report["score"])
    assert not report["incomplete"]
    assert {entry["state"] for entry in report["facts"].values()} <= {"collected", "not_configured"}
    crashed = [check["id"] for check in report["checks"] if "itself failed" in check["message"]]
    assert not crashed
    assert "/10" in result.stdout
    assert "<html" in (tmp_path / "r.html").read_text()
    assert "| Database |" in (tmp_path / "r.md").read_text()


def test_a_standalone_without_login_is_told_so(deployment: Deployment, tmp_path: Path) -> None:
    _, report = audit(deployment, tmp_path)
    status = {check["id"]: check["status"] for check in report["checks"]}
    assert status["database.repl.topology"] == "fail"
    assert status["database.security.auth"] == "fail"
    assert component(report, "database")["rating"] == "not_ready"


def test_the_audit_takes_its_window_and_little_more(deployment: Deployment, tmp_path: Path) -> None:
    _, report = audit(deployment, tmp_path)
    # Three seconds is the promise; the rest is for a machine that is shared.
    assert report["duration_seconds"] < WINDOW + 3 + 2


def test_with_redis_stopped_it_scores_lower_says_why_and_exits_3(deployment: Deployment, tmp_path: Path) -> None:
    _, before = audit(deployment, tmp_path)
    deployment.valkey.stop()
    try:
        result, after = audit(deployment, tmp_path)
    finally:
        deployment.valkey.start(lambda: accepts(deployment.redis_port))
    assert result.returncode == 3, result.stderr
    assert after["score"] < before["score"]
    caching = [check for check in after["checks"] if check["component"] == "caching"]
    reach = next(check for check in caching if check["id"] == "caching.reach.connect")
    assert reach["status"] == "error"
    assert "connect" in reach["message"].lower() or "refused" in reach["message"].lower()
    assert {check["status"] for check in caching} <= {"error", "blocked", "untested", "not_applicable"}
    assert component(after, "caching")["score"] == 0
    assert "Traceback" not in result.stderr
    assert "caching.reach.connect" in result.stdout


def test_the_audit_is_read_only(deployment: Deployment, tmp_path: Path) -> None:
    mongo: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(deployment.mongodb, directConnection=True)
    cache = redis.Redis.from_url(deployment.redis, decode_responses=True)
    mongo.shop.products.insert_many([{"n": n} for n in range(200)])
    cache.mset({f"product:{n}": n for n in range(50)})

    def state() -> dict[str, Any]:
        counters = mongo.admin.command("serverStatus")["opcounters"]
        info: Any = cache.info()
        return {
            "hash": mongo.shop.command("dbHash")["md5"],
            "writes": {name: counters[name] for name in ("insert", "update", "delete")},
            "keys": cache.dbsize(),
            "changes": info["rdb_changes_since_last_save"],
        }

    before = state()
    result, _ = audit(deployment, tmp_path)
    assert result.returncode == 0
    assert state() == before
    mongo.close()
    cache.close()


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
def test_an_interrupt_writes_the_partial_report(deployment: Deployment, tmp_path: Path, signal: str) -> None:
    import signal as signals

    (tmp_path / "readiness.yaml").write_text("limits: {window_seconds: 20}\n")
    command = [sys.executable, "-m", "readiness", "audit", deployment.url, "--redis", deployment.redis, "-o", "r.json"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(4)
    process.send_signal(getattr(signals, signal))
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert json.loads((tmp_path / "r.json").read_text())["interrupted"] is True
