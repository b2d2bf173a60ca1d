"""`readiness fleet`, the installed command, over real services on loopback."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from readiness.cli import app
from readiness.config import read_text
from readiness.report.json_format import load

from .clusters import readiness, running, services, wait_until, write_fleet


@pytest.fixture(scope="module")
def ports() -> Iterator[list[int]]:
    with services(12) as found:
        yield found


def test_a_fleet_from_end_to_end(ports: list[int], tmp_path: Path) -> None:
    file = write_fleet(tmp_path / "fleet.yaml", ports)
    html, data, reports = tmp_path / "out.html", tmp_path / "out.json", tmp_path / "out-reports"
    done = readiness("fleet", file, "-o", html, "-o", data)
    assert done.returncode == 0, done.stderr
    overview = json.loads(data.read_text())
    rows = overview["deployments"]
    assert overview["fleet"] == "loopback"
    assert {row["audit"] for row in rows} == {"done"}
    assert [row["score"] for row in rows] == sorted(row["score"] for row in rows)
    # Neighbours are as different as the services are.
    scores = {row["name"]: row["score"] for row in rows}
    assert scores["service-03"] < scores["service-00"]
    page = html.read_text()
    for row in rows:
        # The overview says what the report says, and links to it.
        report = load(read_text(reports / row["reports"]["json"]), row["name"])
        assert (report.score, report.coverage) == (row["score"], row["coverage"])
        assert {each.id for each in report.checks if each.status == "fail"} == set(row["fail"])
        assert f'href="out-reports/{row["reports"]["html"]}"' in page
        assert (reports / row["reports"]["html"]).read_text().startswith("<!doctype html>")
    lines = [line for line in done.stderr.splitlines() if re.match(r"\d+/12 ", line)]
    assert len(lines) == 12
    assert "Most frequent findings" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {
        "base.yaml",
        "fleet.yaml",
        "out.html",
        "out.json",
        "out-reports",
    }


def test_gates_and_one_bad_deployment(ports: list[int], tmp_path: Path) -> None:
    """The one that cannot be reached costs its own score, and the exit code says so above all."""
    file = write_fleet(tmp_path / "fleet.yaml", ports[:3])
    passed = readiness("fleet", file, "-q", "--fail-under", "1", "--min-coverage", "5")
    assert passed.returncode == 0, passed.stderr
    failed = readiness("fleet", file, "-q", "--fail-under", "9.9", "--min-coverage", "5")
    assert failed.returncode == 1
    assert failed.stderr.count("gate not passed: service-0") == 3
    thin = readiness("fleet", file, "-q", "--fail-under", "1", "--min-coverage", "99")
    assert thin.returncode == 3
    with file.open("a") as more:
        more.write("  - {name: down, http: {url: 'http://127.0.0.1:9/'}}\n")
    down = readiness("fleet", file, "-o", "json:-")
    assert down.returncode == 3
    rows = {row["name"]: row for row in json.loads(down.stdout)["deployments"]}
    assert rows["down"]["audit"] == "incomplete"
    assert "could not connect" in rows["down"]["reason"]
    assert sum(row["audit"] == "done" for row in rows.values()) == 3


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


def test_no_secret_is_left_anywhere(ports: list[int], tmp_path: Path) -> None:
    file, html = write_fleet(tmp_path / "fleet.yaml", ports[:1]), tmp_path / "out.html"
    text = file.read_text().replace("http: {", "http: {headers: {Authorization: 'Bearer ${TOKEN}'}, ")
    file.write_text(text + "  - {name: broken, http: {url: 'http://127.0.0.1:9/', ca_file: '/nowhere/${TOKEN}'}}\n")
    done = readiness(
        "fleet", file, "-o", html, "-o", tmp_path / "out.json", "-v", environment={"TOKEN": "sentinel-4711"}
    )
    assert done.returncode == 3
    left = [done.stdout, done.stderr, *(path.read_text() for path in tmp_path.rglob("*") if path.is_file())]
    assert len(left) > 6
    for each in left:
        assert "sentinel-4711" not in each.replace("/nowhere/sentinel-4711", "")


def test_variables_of_the_worker(ports: list[int], tmp_path: Path) -> None:
    file = write_fleet(tmp_path / "fleet.yaml", ports[:1], more="worker_environment: [PROFILE]")
    file.write_text(file.read_text().replace("http: {", "http: {profile: '${PROFILE}', "))
    done = readiness("fleet", file, "-o", "-", environment={"PROFILE": "api"})
    assert done.returncode == 0, done.stderr
    lacking = readiness("fleet", file, "-o", "-")
    assert lacking.returncode == 3
    (row,) = json.loads(lacking.stdout)["deployments"]
    assert row["audit"] == "failed"
    assert row["reason"].endswith("the environment variable PROFILE is not set on the worker")


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
