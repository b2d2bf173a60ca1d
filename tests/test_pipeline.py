"""What CI systems are told, where outputs go, and that one output that fails takes no other with it."""

from __future__ import annotations

import io
import json
import os
import re
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from readiness import compose
from readiness import report as formats
from readiness.cli import app
from readiness.commands import common, pipeline
from readiness.errors import ConfigError
from readiness.model import Report, Status
from readiness.report.github import SUMMARY_BYTES

from .report.hostile import TEXT, hostile
from .report.sample import assessment, outage

GITHUB = {"GITHUB_ACTIONS": "true"}
GITLAB = {"GITLAB_CI": "true"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("GITHUB_ACTIONS", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def readiness(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(app, [*arguments], env={"NO_COLOR": "1", **environment})


def saved(report: Report) -> str:
    Path("saved.json").write_text(formats.render(report, "json"))
    return "saved.json"


# --- GitHub ----------------------------------------------------------------------------------------------------------


def test_github_gets_annotations_a_summary_and_outputs(capfd: pytest.CaptureFixture[str]) -> None:
    Path("summary.md").write_text("# of another tool\n")
    pipeline.publish(assessment(), {**GITHUB, "GITHUB_STEP_SUMMARY": "summary.md", "GITHUB_OUTPUT": "output"})
    out, errors = capfd.readouterr()
    assert out == ""
    assert errors == formats.render(assessment(), "github")
    assert Path("summary.md").read_text() == "# of another tool\n" + formats.render(assessment(), "md") + "\n"
    assert "score=7.1\n" in Path("output").read_text()
    assert "passed=false\n" in Path("output").read_text()


def test_a_summary_that_has_no_room_is_short() -> None:
    Path("summary.md").write_text(before := "x" * (SUMMARY_BYTES - 5000))
    pipeline.publish(assessment(), {**GITHUB, "GITHUB_STEP_SUMMARY": "summary.md"})
    assert Path("summary.md").read_text() == before + formats.render(assessment(), "md-short") + "\n"
    assert Path("summary.md").stat().st_size <= SUMMARY_BYTES


def test_a_runner_without_its_files_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    pipeline.publish(assessment(), {**GITHUB, "GITHUB_STEP_SUMMARY": "none/summary.md"})
    assert "cannot write GITHUB_STEP_SUMMARY: No such file or directory" in capfd.readouterr().err


@pytest.mark.parametrize("environment", [{}, {"GITHUB_ACTIONS": "false"}, GITLAB])
def test_elsewhere_nothing_is_said(environment: dict[str, str], capfd: pytest.CaptureFixture[str]) -> None:
    pipeline.publish(assessment(), {**environment, "GITHUB_STEP_SUMMARY": "summary.md"})
    assert capfd.readouterr() == ("", "")
    assert not Path("summary.md").exists()


@pytest.mark.parametrize("text", [TEXT, "::stop-commands::x", "##[add-matcher]x", "x\n\n  ::add-mask::a ##[group]b"])
@pytest.mark.parametrize("more", [(), ("-v",), ("-o", "md:-"), ("-o", "csv:-"), ("-o", "junit:-"), ("-o", "-")])
def test_the_log_holds_no_command_of_the_target(text: str, more: tuple[str, ...]) -> None:
    result = readiness("report", saved(hostile(outage(), text)), *more, **GITHUB)
    assert result.exit_code == 0, result.output
    lines = re.split("[\r\n]", result.stdout + "\n" + result.stderr)
    assert not [line for line in lines if line.lstrip().startswith("::") or "##[" in line]
    if more == ("-o", "-"):
        assert json.loads(result.stdout)["service"] != ""


def test_annotations_on_request_are_commands() -> None:
    result = readiness("report", saved(assessment()), "-o", "github:-", **GITHUB)
    assert result.stdout == formats.render(assessment(), "github")


def test_a_file_keeps_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    with Path("out").open("w") as file:
        assert pipeline.fit("::x", file) == "::x"
        assert pipeline.log(file) is file
    assert pipeline.fit("::x", io.StringIO()) == r"\::x"


# --- GitLab ----------------------------------------------------------------------------------------------------------


def test_gitlab_gets_two_files(capfd: pytest.CaptureFixture[str]) -> None:
    wanted = [("gitlab", Path("gl-code-quality-report.json")), ("junit", Path("readiness-junit.xml"))]
    assert pipeline.files([], GITLAB) == wanted
    errors = capfd.readouterr().err
    assert "on GitLab: gl-code-quality-report.json is for artifacts:reports:codequality" in errors
    assert "on GitLab: readiness-junit.xml is for artifacts:reports:junit" in errors
    assert pipeline.files([("gitlab", Path("mine.json"))], GITLAB) == wanted[1:]
    assert pipeline.files([], {}) == []


def test_a_folder_that_takes_no_file_for_gitlab(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir("/proc")
    assert pipeline.files([], GITLAB) == []
    assert "no file for GitLab: cannot write" in capfd.readouterr().err


# --- outputs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        (["none/r.html"], "cannot write none/r.html: no folder none"),
        (["html:."], ". is a folder"),
        (["json:r.html", "./r.html"], "two formats for one place"),
        (["-", "md:-"], "two formats for one place"),
    ],
)
def test_outputs_that_cannot_be(outputs: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        common.targets_of(outputs)
    assert not list(Path().iterdir())


def test_several_outputs_to_nowhere_may_be() -> None:
    assert len(common.targets_of(["json:/dev/null", "md:/dev/null"])) == 2


def test_a_template_that_fails_takes_no_other_report_with_it() -> None:
    Path("report.md.j2").write_text("\n{{ report.nothing }}")
    arguments = ["-o", "a.md", "-o", "b.md", "-o", "r.html", "-o", "r.xml", "--template-dir", "."]
    result = readiness("report", saved(assessment()), *arguments)
    assert result.exit_code == 2
    assert result.stderr.count("report.md.j2:2: UndefinedError: ") == 2
    assert Path("r.html").exists()
    assert Path("r.xml").exists()
    assert not Path("a.md").exists()
    assert "Overall" in result.stdout


def test_a_format_with_a_bug_takes_no_other_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(report: Report, template_dir: Path | None = None) -> str:
        raise RuntimeError("no such luck")

    monkeypatch.setattr("readiness.report.sarif.render", broken)
    result = readiness("report", saved(assessment()), "-o", "r.sarif", "-o", "r.xml")
    assert result.exit_code == 4
    assert "a bug: RuntimeError: no such luck" in result.stderr
    assert Path("r.xml").exists()
    assert not Path("r.sarif").exists()


@pytest.mark.parametrize("arguments", [("-q",), ("-o", "-"), ("-q", "-o", "md:-")])
def test_who_sees_no_table_is_told_why_it_will_not_be_0(arguments: tuple[str, ...]) -> None:
    result = readiness("report", saved(assessment()), *arguments)
    assert "readiness: gate not passed: score 7.1 (required >= 8)\n" in result.stderr
    assert "coverage" not in result.stderr
    result = readiness("report", saved(outage()), *arguments)
    assert "readiness: the audit is incomplete: Redis: 127.0.0.1:6379 refused the connection\n" in result.stderr


def test_who_sees_the_table_is_not_told_twice() -> None:
    assert "gate not passed" not in readiness("report", saved(assessment())).stderr


def test_an_interrupt_waits_until_all_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    write = formats.write

    def interrupted(path: Path, text: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        write(path, text)

    monkeypatch.setattr(
        formats, "write", lambda path, text: interrupted(path, text) if path.suffix == ".md" else write(path, text)
    )
    before = signal.getsignal(signal.SIGINT)
    result = readiness("report", saved(assessment()), "-o", "r.md", "-o", "r.xml")
    assert result.exit_code == 130
    assert Path("r.md").exists()
    assert Path("r.xml").exists()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_interrupt_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(path: Path, text: str) -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(formats, "write", twice)
    result = readiness("report", saved(assessment()), "-o", "r.md", "-o", "r.xml")
    assert result.exit_code == 130
    assert not Path("r.xml").exists()


def test_stdout_is_utf_8_whatever_the_locale() -> None:
    result: Any = CliRunner(charset="ascii").invoke(app, ["report", saved(assessment()), "-o", "md:-"])
    assert result.exit_code == 0
    assert "⚠️" in result.stdout_bytes.decode("utf-8")


def test_the_notes_say_what_was_left_out_of_a_component() -> None:
    report = assessment()
    ids = [check.id for check in report.checks if check.component == "security"][:3]
    reasons = dict(zip(ids, ("not run", "not run", "left out by --skip"), strict=True))
    checks = tuple(
        replace(check, status=Status.SKIPPED, message=reasons[check.id]) if check.id in reasons else check
        for check in report.checks
    )
    before = {entry.id: entry.notes for entry in report.components}
    after = {
        id: notes + compose._left_out([check for check in checks if check.component == id])
        for id, notes in before.items()
    }
    assert after["security"] == f"{before['security']}; 2 left out by --only, 1 left out by --skip, counted as 0"
    assert after["performance"] == f"{before['performance']}; 1 left out by --skip, counted as 0"
    assert after["database"] == before["database"]
