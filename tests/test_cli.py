"""The installed command from outside: bad input, exit codes, where output goes. Nothing is contacted unless said."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from . import forked
from .forked import Done

SAVED = str(Path(__file__).parent / "golden" / "assessment.1.json")


def readiness(*arguments: str, cwd: Path, **environment: str) -> Done:
    env = {**os.environ, "NO_COLOR": "1", "COLUMNS": "100", **environment}
    return forked.readiness(*arguments, cwd=cwd, env=env, seconds=90)


class Quiet(BaseHTTPRequestHandler):
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


@pytest.fixture
def service() -> Iterator[str]:
    Quiet.hits = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


BAD = {
    "unknown key": ([], "http: {url: 'URL', ulr: x}", "readiness.yaml:1: unknown key 'ulr' (did you mean 'url'?)"),
    "wrong type": ([], "http: {url: 'URL'}\nlimits: {window_seconds: soon}", "readiness.yaml:2"),
    "missing variable": ([], "http: {url: 'URL'}\nredis: {url: '${NO_SUCH_VARIABLE}'}", "NO_SUCH_VARIABLE"),
    "bad URI": (["--mongodb", "mongodb://u:se/cret@h"], "http: {url: 'URL'}", "--mongodb"),
    "unknown check": (["--only", "database.nothing"], "http: {url: 'URL'}", "--only: no check matches"),
    "unknown check to skip": (["--skip", "nothing"], "http: {url: 'URL'}", "--skip: no check matches"),
    "unknown format": (["-o", "report.docx"], "http: {url: 'URL'}", "no format for 'report.docx'"),
    "no such folder": (["-o", "none/report.html"], "http: {url: 'URL'}", "none"),
    "unreadable facts": (["--facts", "none.json"], "http: {url: 'URL'}", "none.json"),
    "bad component": (["--component", "databse=8"], "http: {url: 'URL'}", "--component"),
    "bad number": (["--component", "database=high"], "http: {url: 'URL'}", "--component"),
    "not YAML": ([], "http: [", "readiness.yaml:1"),
    "quiet and verbose": (["-q", "-v"], "http: {url: 'URL'}", "-q and -v exclude each other"),
    "load and facts": (["--load", "--facts", "f.json"], "http: {url: 'URL'}", "--load, --facts: nothing is contacted"),
    "URL and facts": (["http://127.0.0.1:9", "--facts", "f.json"], "service: s", "URL, --facts: nothing is contacted"),
    "nothing left": (
        ["--only", "security.tls", "--skip", "security*"],
        "http: {url: 'URL'}",
        "nothing is left to judge",
    ),
    "everything skipped": (["--skip", "*"], "http: {url: 'URL'}", "nothing is left to judge"),
    "part and whole": (["--only", "security", "--fail-under", "8"], "http: {url: 'URL'}", "--fail-under"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_ends_with_2_and_one_message(case: str, tmp_path: Path, service: str) -> None:
    arguments, text, says = BAD[case]
    (tmp_path / "readiness.yaml").write_text(text.replace("URL", service))
    result = readiness("audit", *arguments, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert "se/cret" not in result.stderr
    assert result.stdout == ""
    assert Quiet.hits == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["audit"], "nothing to audit"),
        (["audit", "-c", "none.yaml"], "none.yaml: cannot be read"),
        (["audit", "--no-such-flag"], "No such option"),
        (["demo", "--stage", "nowhere"], "--stage"),
        (["report", "none.json"], "none.json"),
        (["explain", "database.nothing"], "no check"),
    ],
)
def test_bad_usage_ends_with_2(arguments: list[str], says: str, tmp_path: Path) -> None:
    result = readiness(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_a_broken_pack_ends_with_4(tmp_path: Path, service: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/broken.py").write_text("def f(:\n")
    (tmp_path / "readiness.yaml").write_text(f"http: {{url: '{service}'}}\npacks: [mine]\n")
    result = readiness("audit", cwd=tmp_path)
    assert result.returncode == 4
    assert "mine/broken.py:1" in result.stderr
    assert Quiet.hits == 0


FAST = "limits: {window_seconds: 0.5}\n"


def test_an_audit_prints_the_table_and_writes_every_format(tmp_path: Path, service: str) -> None:
    (tmp_path / "readiness.yaml").write_text(f"service: shop\nhttp: {{url: '{service}'}}\n" + FAST)
    result = readiness("audit", "-o", "r.json", "-o", "r.html", "-o", "md:r.txt", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    for name in ("Database", "Caching", "Security", "Monitoring", "Error Handling", "Performance", "Overall"):
        assert name in result.stdout
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["schema_version"] == "1"
    assert report["components"][0]["id"] == "database"
    assert report["components"][0]["state"] == "not_configured"
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    assert "| Component |" in (tmp_path / "r.txt").read_text()


def test_stdout_carries_the_json_alone(tmp_path: Path, service: str) -> None:
    (tmp_path / "readiness.yaml").write_text(f"http: {{url: '{service}'}}\n" + FAST)
    result = readiness("audit", "-o", "-", cwd=tmp_path)
    assert json.loads(result.stdout)["tool"]["name"] == "readiness"


def test_a_gate_that_is_not_met_ends_with_1_and_leaves_the_reports(tmp_path: Path, service: str) -> None:
    absent = "components: {database: {absent: none used}, caching: {absent: none used}}\n"
    (tmp_path / "readiness.yaml").write_text(f"http: {{url: '{service}'}}\n" + FAST + absent)
    arguments = ("--fail-under", "9.9", "--min-coverage", "1", "-o", "r.json")
    result = readiness("audit", *arguments, cwd=tmp_path)
    assert result.returncode == 1, result.stderr
    assert json.loads((tmp_path / "r.json").read_text())["gate"]["passed"] is False
    result = readiness("audit", "--fail-under", "1", cwd=tmp_path)
    assert result.returncode in (0, 3)


def test_a_reader_that_leaves_does_not_change_the_exit_code(tmp_path: Path, service: str) -> None:
    (tmp_path / "readiness.yaml").write_text(f"http: {{url: '{service}'}}\n" + FAST)
    command = f"{sys.executable} -m readiness audit -v -o r.json | true; echo ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert result.stdout.strip() == "0"
    assert "Traceback" not in result.stderr
    assert (tmp_path / "r.json").exists()


def test_low_coverage_under_a_gate_ends_with_3(tmp_path: Path, service: str) -> None:
    (tmp_path / "readiness.yaml").write_text(f"http: {{url: '{service}'}}\n" + FAST)
    assert readiness("audit", "--fail-under", "1", "--min-coverage", "99", cwd=tmp_path).returncode == 3


def test_an_unreachable_service_ends_with_3_and_a_whole_report(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        result = readiness("audit", url, "-o", "r.json", "-q", cwd=tmp_path)
    assert result.returncode == 3
    assert "Traceback" not in result.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["score"] == 0
    assert report["incomplete"]
    assert any("could not connect" in check["message"] for check in report["checks"])


def test_facts_saved_once_are_judged_again_offline(tmp_path: Path, service: str) -> None:
    (tmp_path / "readiness.yaml").write_text(f"http: {{url: '{service}'}}\n" + FAST)
    first = readiness("audit", "--save-facts", "facts.json", "-o", "a.json", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    hits = Quiet.hits
    second = readiness("audit", "--facts", "facts.json", "-o", "b.json", cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    assert Quiet.hits == hits
    a, b = (json.loads((tmp_path / name).read_text()) for name in ("a.json", "b.json"))
    assert [(c["id"], c["status"]) for c in a["checks"]] == [(c["id"], c["status"]) for c in b["checks"]]
    assert a["score"] == b["score"]


def test_a_report_is_rendered_again_from_its_json(tmp_path: Path, service: str) -> None:
    (tmp_path / "readiness.yaml").write_text(f"http: {{url: '{service}'}}\n" + FAST)
    readiness("audit", "-o", "r.json", "-o", "r.md", cwd=tmp_path)
    assert readiness("report", "r.json", "-o", "again.md", cwd=tmp_path).returncode == 0
    assert (tmp_path / "again.md").read_text() == (tmp_path / "r.md").read_text()


def test_fixes_are_for_the_stack_and_commands_have_its_address(tmp_path: Path, service: str) -> None:
    (tmp_path / "readiness.yaml").write_text(f"http: {{url: '{service}', stack: [django, nginx]}}\n" + FAST)
    readiness("audit", "-o", "r.json", "--save-facts", "f.json", cwd=tmp_path)
    report = json.loads((tmp_path / "r.json").read_text())
    checks = {check["id"]: check for check in report["checks"]}
    assert report["stack"] == {"django": "named by http.stack", "nginx": "named by http.stack"}
    assert checks["error_handling.notfound.shape"]["fix_for"] == "django"
    assert checks["performance.compression"]["fix"].startswith("# in http {}\ngzip on;")
    assert checks["monitoring.metrics.exists"]["verify"] == f"curl -si {service}/metrics | head -20"
    # Without the key it is what the facts show: here nothing.
    (tmp_path / "readiness.yaml").write_text(f"http: {{url: '{service}'}}\n" + FAST)
    readiness("audit", "-o", "r.json", "--facts", "f.json", cwd=tmp_path)
    assert json.loads((tmp_path / "r.json").read_text())["stack"] == {}
    (tmp_path / "readiness.yaml").write_text(f"http: {{url: '{service}', stack: [rails]}}\n" + FAST)
    refused = readiness("audit", cwd=tmp_path)
    assert refused.returncode == 2
    assert "stack" in refused.stderr


def test_checks_are_listed_and_explained(tmp_path: Path) -> None:
    listed = readiness("checks", "database.*", cwd=tmp_path)
    assert listed.returncode == 0
    assert "database.repl.topology" in listed.stdout
    assert all(line.startswith("database.") for line in listed.stdout.splitlines())
    explained = readiness("explain", "database.repl.topology", cwd=tmp_path)
    assert "fix:" in explained.stdout
    explained = readiness("explain", "security.headers.csp", cwd=tmp_path)
    assert "fix for nginx:\n    # in server {}" in explained.stdout
    assert "\n    add_header Content-Security-Policy" in explained.stdout


def test_the_exit_codes_are_in_the_help(tmp_path: Path) -> None:
    text = readiness("audit", "--help", cwd=tmp_path).stdout
    for code in ("0  ", "1  ", "2  ", "3  ", "4  ", "130  "):
        assert code in text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "arguments",
    [
        ["report", SAVED],
        ["report", SAVED, "-o", "-"],
        ["report", SAVED, "-o", "html:/dev/full"],
        ["explain", "security.headers.csp"],
        ["schema", "report"],
    ],
)
def test_a_full_standard_output_is_no_bug(arguments: list[str], tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "readiness", *arguments],
            cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60,
        )  # fmt: skip
    assert result.returncode == 2, result.stderr
    assert "cannot write" in result.stderr
    assert "No space left" in result.stderr
