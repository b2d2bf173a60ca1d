"""`readiness fleet`, the installed command, over real services on loopback."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from readiness.cli import app
from readiness.config import read_text
from readiness.report.json_format import load

from .clusters import readiness, running, wait_until, write_fleet
from .conftest import Run


def test_a_fleet_from_end_to_end(local: Run) -> None:
    rows = local.overview["deployments"]
    assert local.overview["fleet"] == "loopback"
    assert {row["audit"] for row in rows} == {"done"}
    assert [row["score"] for row in rows] == sorted(row["score"] for row in rows)
    # Neighbours are as different as the services are.
    assert local.rows["service-03"]["score"] < local.rows["service-00"]["score"]
    page, reports = (local.folder / "out.html").read_text(), local.folder / "out-reports"
    for row in rows:
        # The overview says what the report says, and links to it.
        report = load(read_text(reports / row["reports"]["json"]), row["name"])
        assert (report.score, report.coverage) == (row["score"], row["coverage"])
        assert {each.id for each in report.checks if each.status == "fail"} == set(row["fail"])
        assert f'href="out-reports/{row["reports"]["html"]}"' in page
        assert (reports / row["reports"]["html"]).read_text().startswith("<!doctype html>")
    lines = [line for line in local.done.stderr.splitlines() if re.match(r"\d+/12 ", line)]
    assert len(lines) == 12
    assert "Most frequent findings" in local.done.stdout
    below = [row["name"] for row in rows if row["score"] < 8]
    assert local.overview["gate"] == {"passed": False, "deployments_below": below}
    assert "Gate  not passed" in local.done.stdout
    left = {"base.yaml", "fleet.yaml", "out.html", "out.json", "out-reports"}
    assert {path.name for path in local.folder.iterdir()} == left


def test_one_bad_deployment_costs_its_own_score_alone(ports: list[int], tmp_path: Path) -> None:
    """And the exit code says so above all."""
    file = write_fleet(tmp_path / "fleet.yaml", [*ports[:2], 9])
    done = readiness("fleet", file, "-q", "-o", "json:-", "--fail-under", "1", "--min-coverage", "5")
    assert done.returncode == 3
    rows = {row["name"]: row for row in json.loads(done.stdout)["deployments"]}
    assert [rows[f"service-0{n}"]["audit"] for n in range(3)] == ["done", "done", "incomplete"]
    assert "could not connect" in rows["service-02"]["reason"]
    assert "gate not passed: service-02: score" in done.stderr


def test_an_interrupted_run_reports_what_was_finished_and_resumes(ports: list[int], tmp_path: Path) -> None:
    file, data = write_fleet(tmp_path / "fleet.yaml", ports), tmp_path / "out.json"
    state = tmp_path / "out-reports/.state"
    with running("fleet", file, "-o", data, "--jobs", "2") as process:
        wait_until(lambda: state.is_dir() and len(list(state.glob("*.json"))) >= 2, "two audits")
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    before = {row["name"]: row for row in json.loads(data.read_text())["deployments"]}
    finished = {name for name, row in before.items() if row["audit"] == "done"}
    assert 2 <= len(finished) < 12
    assert {row["audit"] for row in before.values()} == {"done", "not_run"}
    assert "Traceback" not in errors
    # What has changed since is audited again.
    changed = sorted(finished)[0]
    file.write_text(file.read_text().replace(f"name: {changed},", f"name: {changed}, environment: staging,"))
    done = readiness("fleet", file, "-o", data, "--resume")
    assert done.returncode == 0, done.stderr
    after = {row["name"]: row for row in json.loads(data.read_text())["deployments"]}
    assert {row["audit"] for row in after.values()} == {"done"}
    assert {name for name, row in after.items() if row["resumed"]} == finished - {changed}
    assert done.stderr.count("from an earlier run") == len(finished) - 1
    assert {after[name]["score"] for name in finished - {changed}} == {
        before[name]["score"] for name in finished - {changed}
    }


def test_secrets_reach_the_audit_and_nothing_else(ports: list[int], tmp_path: Path) -> None:
    """One comes from our environment, and one from that of the worker, which here is the same."""
    file = write_fleet(tmp_path / "fleet.yaml", ports[:1], more="worker_environment: [THEIRS, PROFILE]")
    secret = "http: {headers: {Authorization: 'Bearer ${OURS}', X-Key: '${THEIRS}'}, profile: '${PROFILE}', "
    listed = file.read_text().replace("http: {", secret)
    file.write_text(listed + "  - {name: other, http: {url: 'http://127.0.0.1:9/', headers: {X-Key: '${THEIRS}'}}}\n")
    environment = {"OURS": "sentinel-4711", "THEIRS": "sentinel-4712", "PROFILE": "api"}
    html, data = tmp_path / "out.html", tmp_path / "out.json"
    done = readiness("fleet", file, "-o", html, "-o", data, "-v", environment=environment)
    assert done.returncode == 3
    left = [done.stdout, done.stderr, *(path.read_text() for path in tmp_path.rglob("*") if path.is_file())]
    assert len(left) > 8
    assert not any("sentinel-471" in each for each in left)


USAGE = {
    "a bad fleet": (["FILE"], "fleet.yaml:1: deployments must be a list"),
    "no file": (["nowhere.yaml"], "nowhere.yaml: cannot be read"),
    "jobs and dask": (["FILE", "--jobs", "2", "--dask", "tcp://127.0.0.1:9"], "--jobs and --dask exclude each other"),
    "no format": (["FILE", "-o", "out.pdf"], "no format for 'out.pdf' (use .json, .html"),
    "one place": (["FILE", "-o", "-", "-o", "html:-"], "two formats for one place"),
    "resume what": (["FILE", "--resume"], "--resume: there are no reports to go by (add --reports DIR, or -o FILE)"),
}


@pytest.mark.parametrize(("arguments", "message"), USAGE.values(), ids=USAGE)
def test_usage(arguments: list[str], message: str, tmp_path: Path) -> None:
    good = arguments[1:] != [] or arguments == ["nowhere.yaml"]
    path = write_fleet(tmp_path / "fleet.yaml", [9]) if good else tmp_path / "fleet.yaml"
    if not good:
        path.write_text("deployments:\n")
    result = CliRunner().invoke(app, ["fleet", *(str(path) if each == "FILE" else each for each in arguments)])
    assert result.exit_code == 2
    assert message in result.stderr
