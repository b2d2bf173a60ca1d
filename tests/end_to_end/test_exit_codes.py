"""The exit-code table, row by row, through the installed command; and that it is one table wherever it is printed."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from readiness.commands.common import EXIT_CODES
from readiness.gate import ExitCode

from .installed import COMMAND, Service, environment, readiness, serving

README = Path(__file__).parents[2] / "README.md"
FAST = "limits: {window_seconds: 0.2}\n"
FAILING = ("--fail-under", "10", "--min-coverage", "0")
CRASH = """
import readiness.compose

def broken(*_):
    raise RuntimeError("[/nope] this is the bug")

readiness.compose.report = broken
"""


WELL, ILL = ("--facts", "WELL"), ("--facts", "ILL")  # what was collected from the service, and with a dead Redis


@dataclass(frozen=True)
class Case:
    """One way to an exit code. In texts, URL is a service that answers and DEAD one that does not."""

    code: int
    arguments: tuple[str, ...] = ()
    says: str = ""
    config: str = "http: {url: URL}\n" + FAST
    files: dict[str, str] = field(default_factory=dict)
    signal: signal.Signals | None = None


CASES = {
    "no gate asked for": Case(0, (), "Overall"),
    "every condition met": Case(
        0, (*WELL, "--fail-under", "0", "--component", "security=0", "--min-coverage", "0"), "Gate  passed"
    ),
    "incomplete, and allowed": Case(0, (*ILL, "--allow-incomplete"), "The audit is incomplete."),
    "score too low": Case(1, (*WELL, *FAILING), "(required >= 10)"),
    "a grave finding": Case(
        1, (*WELL, "--fail-on", "low", "--min-coverage", "0"), "(required no low finding or graver)"
    ),
    "unknown option": Case(2, ("--no-such-option",), "No such option"),
    "unknown key": Case(2, (), "readiness.yaml:1: unknown key 'ulr' (did you mean 'url'?)", "http: {ulr: URL}\n"),
    "no permission for an output": Case(2, ("-o", "/proc/r.html"), "cannot write /proc/r.html"),
    "a broken template": Case(
        2, ("-o", "r.md", "--template-dir", "."), "report.md.j2:1: ", files={"report.md.j2": "{% if %}"}
    ),
    "a broken baseline": Case(2, ("--baseline", "old.json"), "old.json: not JSON", files={"old.json": "{"}),
    "unreachable, without a gate": Case(3, ("--redis", "redis://DEAD"), "The audit is incomplete."),
    "unreachable wins over the gate": Case(3, (*ILL, *FAILING), "(required >= 10)"),
    "low coverage wins over the gate": Case(3, (*WELL, *FAILING[:3], "100"), "(required >= 100 %)"),
    "a pack that cannot be loaded": Case(
        4, (), "mine/broken.py:1: SyntaxError", "http: {url: URL}\npacks: [mine]\n", {"mine/broken.py": "def f(:\n"}
    ),
    "a bug": Case(
        4,
        (),
        "a bug: RuntimeError: [/nope] this is the bug (run with -v for the traceback)",
        "http: {url: URL}\npacks: [mine]\n" + FAST,
        {"mine/crash.py": CRASH},
    ),
    "SIGINT": Case(130, (), "Interrupted: this report is partial.", signal=signal.SIGINT),
    "SIGTERM": Case(130, (), "Interrupted: this report is partial.", signal=signal.SIGTERM),
}


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory, service: Service) -> Iterator[dict[str, str]]:
    """What the words in capitals stand for."""
    folder = tmp_path_factory.mktemp("facts")
    (folder / "readiness.yaml").write_text(f"http: {{url: '{service.url}'}}\n{FAST}")
    with socket.socket() as bound:  # and not listening: nobody else gets the port
        bound.bind(("127.0.0.1", 0))
        dead = f"127.0.0.1:{bound.getsockname()[1]}"
        for name, more in (("WELL", []), ("ILL", ["--redis", f"redis://{dead}"])):
            done = readiness("audit", "-q", "--save-facts", name, *more, cwd=folder)
            assert done.returncode == (3 if more else 0), done.stderr
        yield {"DEAD": dead, "WELL": str(folder / "WELL"), "ILL": str(folder / "ILL")}


def interrupted(arguments: list[str], case: Case, folder: Path, service: Service) -> subprocess.CompletedProcess[str]:
    """Runs the audit in a window that would take long, and signals it once it has asked the service something."""
    (folder / "readiness.yaml").write_text(f"http: {{url: '{service.url}'}}\nlimits: {{window_seconds: 25}}\n")
    assert case.signal is not None
    with subprocess.Popen(
        [COMMAND, *arguments], cwd=folder, env=environment(), stdout=-1, stderr=-1, encoding="utf-8"
    ) as process:
        try:
            assert service.asked.wait(30)
            process.send_signal(case.signal)
            out, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    return subprocess.CompletedProcess(arguments, process.returncode, out, errors)


@pytest.mark.parametrize("name", CASES)
def test_the_table(name: str, tmp_path: Path, service: Service, words: dict[str, str]) -> None:
    case = CASES[name]
    (tmp_path / "readiness.yaml").write_text(case.config.replace("URL", f"'{service.url}'"))
    for path, text in case.files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    before = {path for path in tmp_path.rglob("*") if "__pycache__" not in path.parts}
    service.hits = 0
    service.asked.clear()
    arguments = ["audit", "-o", "report.json"]
    arguments += [re.sub("DEAD|WELL|ILL", lambda word: words[word[0]], each) for each in case.arguments]
    if case.signal is None:
        done = readiness(*arguments, cwd=tmp_path)
    else:
        done = interrupted(arguments, case, tmp_path, service)
    assert done.returncode == case.code, done.stderr
    assert case.says in done.stdout + " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    after = {path for path in tmp_path.rglob("*") if "__pycache__" not in path.parts}
    if case.code in (ExitCode.USAGE, ExitCode.BUG):
        assert done.stdout == ""
        assert after == before
        assert service.hits == 0 or name == "a bug"
    else:
        report = json.loads((tmp_path / "report.json").read_text())
        assert after - before == {tmp_path / "report.json"}
        assert report["interrupted"] is (case.code == ExitCode.INTERRUPTED)
        asked_for = any(each.startswith(("--fail", "--comp")) for each in case.arguments)
        assert (report["gate"]["passed"] is not None) is asked_for


def test_every_row_has_a_case() -> None:
    assert {case.code for case in CASES.values()} == set(ExitCode)


def rows(text: str) -> dict[int, str]:
    """The table as codes with their meaning: from lines `  N  meaning`, wrapped or not."""
    table = text[text.index("Exit codes:") :]
    found = re.findall(r"^ *(\d+)  +(\S.*?)(?=^ *\d+  |^ *$|\Z)", table, re.M | re.S)
    return {int(code): " ".join(meaning.split()) for code, meaning in found}


def test_the_table_is_the_same_in_the_readme_and_in_the_help(tmp_path: Path) -> None:
    in_readme = re.search(r"^\| exit \| meaning \|\n\|[-|]+\|\n((?:\|.*\|\n)+)", README.read_text(), re.M)
    assert in_readme is not None
    readme = {int(code): text for code, text in re.findall(r"^\| (\d+) \| (.*) \|$", in_readme[1], re.M)}
    assert list(readme) == sorted(ExitCode)
    assert rows(EXIT_CODES) == readme
    for arguments in (["--help"], ["audit", "--help"], ["demo", "--help"]):
        assert rows(readiness(*arguments, cwd=tmp_path).stdout) == readme
