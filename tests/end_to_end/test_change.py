"""Baselines, comparisons and the history through the installed command; one deployment, judged again and again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from readiness.cli import app


class Site(BaseHTTPRequestHandler):
    hits = 0

    def do_GET(self) -> None:
        type(self).hits += 1
        body = b'{"status": "ok"}'
        self.send_response(200 if self.path in ("/", "/health") else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass(frozen=True)
class Result:
    returncode: int
    stdout: str
    stderr: str


def readiness(folder: Path, *arguments: str) -> Result:
    """The command in this process, which saves the second that a new one takes."""
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        for name in ("GITHUB_ACTIONS", "GITLAB_CI"):
            patch.delenv(name, raising=False)
        patch.setenv("NO_COLOR", "1")
        patch.setenv("COLUMNS", "100")
        result = CliRunner().invoke(app, arguments)
    return Result(result.exit_code, result.stdout, result.stderr)


def installed(folder: Path, *arguments: str) -> Result:
    """The command as it is installed."""
    command = [sys.executable, "-m", "readiness", *arguments]
    env = {name: value for name, value in os.environ.items() if name not in ("GITHUB_ACTIONS", "GITLAB_CI")}
    result = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=90)
    return Result(result.returncode, result.stdout, result.stderr)


@pytest.fixture(scope="module")
def collected(service: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the facts of the deployment and the report on them."""
    folder = tmp_path_factory.mktemp("collected")
    configure(folder, service)
    result = readiness(folder, "audit", "--save-facts", "facts.json", "-o", "old.json")
    assert result.returncode == 0, result.stderr
    return folder


def configure(folder: Path, service: str, more: str = "") -> None:
    absent = "components: {database: {absent: none used}, caching: {absent: none used}SECURITY}\n"
    text = absent.replace("SECURITY", ", security: {weight: 2}" if "WEIGHT" in more else "")
    base = f"service: shop\nhttp: {{url: '{service}'}}\nlimits: {{window_seconds: 0.5}}\n"
    (folder / "readiness.yaml").write_text(base + text + more.replace("WEIGHT", ""))


@pytest.fixture
def folder(collected: Path, tmp_path: Path, service: str) -> Path:
    for name in ("facts.json", "old.json"):
        (tmp_path / name).write_bytes((collected / name).read_bytes())
    configure(tmp_path, service)
    return tmp_path


def again(folder: Path, *arguments: str) -> Result:
    """Judges the same facts again."""
    return readiness(folder, "audit", "--facts", "facts.json", *arguments)


def loaded(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(path.read_text())
    return data


WAIVE = "waivers: [{check: CHECK, reason: widget, owner: web-team, expires: 2099-01-31}]\n"


def test_the_same_facts_give_the_same_scores_and_an_empty_change(folder: Path) -> None:
    result = again(folder, "--baseline", "old.json", "--no-regression", "--min-coverage", "1", "-o", "new.json")
    assert result.returncode == 0, result.stderr + result.stdout
    comparison = loaded(folder / "new.json")["comparison"]
    assert comparison["changes"] == []
    assert comparison["overall"]["parts"] == []
    assert comparison["warnings"] == []
    assert "Nothing changed." in result.stdout
    assert "no regression: " in result.stdout


def test_what_the_configuration_changed_is_split_by_cause(folder: Path, service: str) -> None:
    wrong = [check["id"] for check in loaded(folder / "old.json")["checks"] if check["status"] == "fail"]
    configure(folder, service, WAIVE.replace("CHECK", wrong[0]) + "WEIGHT")
    result = again(folder, "--baseline", "old.json", "-o", "new.json", "-o", "new.md", "-o", "new.html")
    assert result.returncode == 0, result.stderr
    comparison = loaded(folder / "new.json")["comparison"]
    overall = comparison["overall"]
    assert {part["cause"] for part in overall["parts"]} == {"settings", "waived"}
    assert round(sum(part["points"] for part in overall["parts"]), 1) == overall["change"]
    assert overall["change"] == round(overall["new"] - overall["old"], 1)
    for text in (result.stdout, (folder / "new.md").read_text()):
        assert "settings" in text
        assert "waivers added" in text
    differs = readiness(folder, "diff", "old.json", "new.json", "-o", "-")
    assert json.loads(differs.stdout)["overall"] == overall


def test_a_fall_fails_the_gate_and_every_output_is_left(folder: Path) -> None:
    passed = [check["id"] for check in loaded(folder / "old.json")["checks"] if check["status"] == "pass"]
    skip = [part for id in passed if id.startswith("security.") for part in ("--skip", id)]
    arguments = (*skip, "--baseline", "old.json", "--min-coverage", "1", "-o", "new.json", "-o", "new.md")
    result = installed(folder, "audit", "--facts", "facts.json", *arguments, "--no-regression")
    assert result.returncode == 1, result.stderr
    new = loaded(folder / "new.json")
    regression = {each["name"]: each["passed"] for each in new["gate"]["conditions"]}
    assert regression["no regression security"] is False
    assert regression["no regression error_handling"] is True
    assert {part["cause"] for part in new["comparison"]["overall"]["parts"]} == {"lost"}
    assert "no regression" in (folder / "new.md").read_text()
    assert again(folder, *arguments, "--no-regression=10").returncode == 0


def test_a_part_is_compared_with_the_same_part_alone(folder: Path) -> None:
    arguments = ("--only", "security", "--baseline", "old.json", "--no-regression", "--min-coverage", "1")
    result = again(folder, *arguments, "-o", "new.json")
    assert result.returncode == 0, result.stderr + result.stdout
    new = loaded(folder / "new.json")
    assert [each["name"] for each in new["gate"]["conditions"]] == ["no regression security", "coverage"]
    assert new["comparison"]["overall"]["change"] is None
    assert "error_handling" in new["comparison"]["notes"][-1]


def test_a_regression_ends_with_1_within_the_tolerance_with_0(folder: Path) -> None:
    old, new = loaded(folder / "old.json"), loaded(folder / "old.json")
    for check in new["checks"]:
        if check["component"] == "security" and check["status"] == "pass":
            check |= {"status": "fail", "credit": 0.0}
    (folder / "new.json").write_text(json.dumps(new))
    result = readiness(folder, "diff", "old.json", "new.json", "--no-regression")
    assert "contradicts itself" in result.stdout  # the file was edited, and its own score is not what it adds up to
    assert result.returncode == 0

    for name, data, fall in (("a.json", old, 0.0), ("b.json", new, 0.4)):
        data["score"] = round(old["score"] - fall, 1)
        (folder / name).write_text(json.dumps(data))
    for flags, code in (
        (["--no-regression"], 1),
        (["--no-regression=0.3"], 1),
        (["--no-regression=0.4"], 0),
        ([], 0),
    ):
        result = readiness(folder, "diff", "a.json", "b.json", *flags, "-o", "d.json", "-o", "d.md")
        assert result.returncode == code, (flags, result.stdout)
        assert loaded(folder / "d.json")["kind"] == "diff"
        assert "# What changed" in (folder / "d.md").read_text()
    backwards = readiness(folder, "diff", "b.json", "a.json", "--no-regression", "-q")
    assert backwards.returncode == 0
    assert backwards.stdout.startswith("Overall  ")


def test_comparing_with_an_incomplete_audit_ends_with_3_under_the_gate(folder: Path) -> None:
    new = loaded(folder / "old.json") | {"incomplete": True}
    (folder / "new.json").write_text(json.dumps(new))
    assert readiness(folder, "diff", "old.json", "new.json").returncode == 0
    assert readiness(folder, "diff", "old.json", "new.json", "--no-regression").returncode == 3


BROKEN: dict[str, tuple[bytes | None, str]] = {
    "missing": (None, "bad.json: cannot be read: No such file"),
    "empty": (b"", "bad.json: not JSON"),
    "truncated": (b'{"schema_version": "1", "score"', "bad.json: not JSON"),
    "foreign": (b'{"runs": []}', "bad.json: not a report of readiness"),
    "a comparison": (b'{"schema_version": "1", "kind": "diff"}', "bad.json"),
    "newer": (b'{"schema_version": "2"}', "schema_version '2' is not understood"),
    "binary": (bytes(range(256)), "bad.json"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_baseline_ends_with_2_before_anything_is_contacted(case: str, folder: Path) -> None:
    content, says = BROKEN[case]
    if content is not None:
        (folder / "bad.json").write_bytes(content)
    before = Site.hits
    for arguments in (
        ["audit", "--baseline", "bad.json"],
        ["diff", "old.json", "bad.json"],
        ["diff", "bad.json", "old.json"],
    ):
        result = readiness(folder, *arguments, "-o", "out.json")
        assert result.returncode == 2, result.stderr
        assert says in result.stderr
        assert "Traceback" not in result.stderr
        assert result.stdout == ""
    assert Site.hits == before
    assert not (folder / "out.json").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["audit", "--no-regression"], "--no-regression: there is nothing to compare with (add --baseline FILE)"),
        (["audit", "--baseline", "old.json", "--no-regression=lots"], "--no-regression"),
        (["audit", "--baseline", "old.json", "--no-regression=-1"], "--no-regression"),
        (["diff", "old.json", "old.json", "--no-regression=11"], "--no-regression: '11' is no number of points"),
        (["diff", "old.json", "old.json", "--no-regression=nan"], "--no-regression"),
        (["diff", "old.json", "old.json", "-o", "d.html"], "no format for 'd.html'"),
        (["diff", "old.json"], "NEW.json"),
        (["audit", "--history=none/h.db"], "no folder none"),
        (["audit", "--history=facts.json"], "facts.json: is no history of readiness"),
        (["history"], ".readiness/history.db: no such file"),
        (["history", "facts.json"], "facts.json: is no history of readiness"),
    ],
)
def test_bad_usage_ends_with_2_before_anything_is_contacted(arguments: list[str], says: str, folder: Path) -> None:
    before = Site.hits
    result = readiness(folder, *arguments)
    assert result.returncode == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert Site.hits == before


def test_an_option_that_stands_alone_never_takes_the_next_argument(tmp_path: Path, service: str) -> None:
    (tmp_path / "readiness.yaml").write_text("limits: {window_seconds: 0.5}\n")
    result = readiness(tmp_path, "audit", "--history", service, "-q")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / ".readiness/history.db").exists()


def test_a_baseline_of_another_service_is_warned_of(folder: Path) -> None:
    other = loaded(folder / "old.json") | {"service": "cart"}
    (folder / "other.json").write_text(json.dumps(other))
    result = again(folder, "--baseline", "other.json", "-q")
    assert result.returncode == 0
    assert "warning: the baseline is of the service cart, this audit of shop" in result.stderr


def test_strict_and_waivers_on_stderr(folder: Path, service: str) -> None:
    waivers = (
        "waivers:\n"
        "- {check: security.headers.csp, reason: abc, owner: web-team, expires: 2020-01-31}\n"
        "- {check: security.headers.cps, reason: abc, owner: web-team, expires: 2099-01-31}\n"
    )
    configure(folder, service, waivers)
    result = again(folder, "-q")
    assert result.returncode == 0
    assert "the waiver of security.headers.csp (web-team, to the end of 2020-01-31 UTC): expired" in result.stderr
    assert "there is no such check (did you mean 'security.headers.csp'?)" in result.stderr
    before = Site.hits
    result = readiness(folder, "audit", "--strict")
    assert result.returncode == 2
    assert "expired on 2020-01-31" in result.stderr
    assert "'security.headers.cps', which is no check" in result.stderr
    assert Site.hits == before


# --- history ---------------------------------------------------------------------------------------------------------


def test_the_history_grows_by_flag_or_configuration_and_is_shown(folder: Path, service: str) -> None:
    assert again(folder, "--history", "-q").returncode == 0
    configure(
        folder, service, "history: {file: .readiness/history.db}\nprometheus: {url: '${NOT_SET:-http://127.0.0.1:9}'}\n"
    )
    assert again(folder, "-q", "-o", "new.json").returncode in (0, 3)
    assert [past["score"] for past in loaded(folder / "new.json")["history"]] == [loaded(folder / "old.json")["score"]]
    result = readiness(folder, "history", "-o", "h.json", "-o", "h.csv")
    assert result.returncode == 0, result.stderr
    assert "2 audits" in result.stdout
    assert "Security" in result.stdout
    assert len(loaded(folder / "h.json")["runs"]) == 2
    assert (folder / "h.csv").read_text().startswith('"service"')
    assert readiness(folder, "history", "--last", "1").stdout.count("1 audit") == 1
    unknown = readiness(folder, "history", "--service", "shpo")
    assert unknown.returncode == 2
    assert "did you mean 'shop'?" in unknown.stderr


def test_without_the_flag_there_is_no_history(folder: Path) -> None:
    assert again(folder, "-q").returncode == 0
    assert not (folder / ".readiness").exists()


def test_a_history_that_breaks_during_the_audit_loses_no_report(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process holds the file for longer than the audit waits: here, for good."""
    path = folder / "h.db"
    monkeypatch.setattr("readiness.history.BUSY_SECONDS", 0.5)
    assert again(folder, "--history=h.db", "-q").returncode == 0
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        result = again(folder, "--history=h.db", "-o", "new.json")
    assert result.returncode == 2
    assert "h.db: is locked by another process" in result.stderr
    assert "Overall" in result.stdout
    assert loaded(folder / "new.json")["score"] is not None


def test_audits_that_are_killed_leave_a_whole_history(folder: Path) -> None:
    command = [sys.executable, "-m", "readiness", "audit", "--facts", "facts.json", "--history=h.db", "-q"]
    for number in range(3):
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while process.poll() is None and not (folder / "h.db-journal").exists() and time.monotonic() < deadline:
            time.sleep(0.0005)
        time.sleep(0.002 * number)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait(30)
    result = again(folder, "--history=h.db", "-q")
    assert result.returncode == 0, result.stderr
    with closing(sqlite3.connect(folder / "h.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        runs = database.execute("SELECT count(*) FROM runs").fetchone()[0]
        scores = database.execute("SELECT run, count(*) FROM scores GROUP BY run").fetchall()
    assert len(scores) == runs >= 1
    assert len({count for _, count in scores}) == 1
