"""`readiness validate`: the configuration without its secrets, contacting nothing; what the pre-commit hook runs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from readiness.cli import app

ROOT = Path(__file__).parent.parent
NAMES = ("URL", "TOKEN", "N", "TARGET", "FOLDER")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def validate(*arguments: str, command: str = "validate", **more: str) -> Any:
    return CliRunner().invoke(app, [command, *arguments], env=more)


GOOD = """\
target_score: ${TARGET}
http: {url: "${URL}", headers: {Authorization: "Bearer ${TOKEN}"}}
mongodb: {uri: "${URL}", options: {maxPoolSize: "${N}"}}
checks: {database.client.pool_max: {at_least: "${N}"}}
packs: ["${FOLDER}/checks"]
"""


def test_what_is_not_set_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "readiness.yaml").write_text(GOOD)
    result = validate()
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("readiness.yaml: valid against ")
    assert "left open, because not set here: FOLDER, N, TARGET, TOKEN, URL" in result.stdout


def test_what_is_set_is_judged(tmp_path: Path) -> None:
    (tmp_path / "readiness.yaml").write_text("target_score: ${TARGET}\nhttp: {url: '${URL}'}\n")
    result = validate(TARGET="11")
    assert result.exit_code == 2
    assert "readiness.yaml:1: target_score: must be less than or equal to 10" in result.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("htp: {url: '${URL}'}", "readiness.yaml:1: unknown key 'htp' (did you mean 'http'?)"),
        ("http: {url: '${URL}', ulr: 1}", "unknown key 'ulr' (did you mean 'url'?)"),
        ("http: {url: '${URL}'}\nlimits: {window_seconds: soon}", "readiness.yaml:2: limits.window_seconds"),
        ("target_score: ${N}\nchecks: {security.headers.cps: {}}", "no check 'security.headers.cps'"),
        ("target_score: ${N}\nchecks: {security.headers.csp: {a: '${N}'}}", "has no setting 'a'"),
        ("target_score: ${N}\nchecks: {database.client.pool_max: {at_least: many}}", "pool_max.at_least: "),
        ("waivers: [{check: a.b, reason: '${N}', owner: me}]", "waivers.0.expires is missing"),
        ("packs: [./none]", "no folder none"),
        ("http: [", "is not YAML"),
    ],
)
def test_what_is_wrong_is_found_without_any_secret(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "readiness.yaml").write_text(text)
    result = validate()
    assert result.exit_code == 2, result.stdout
    assert says in result.stderr
    assert result.stdout == ""


def test_several_files_are_all_named(tmp_path: Path) -> None:
    for name, text in {"a": "htp: 1", "b": "service: shop", "c": "service: [1]"}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    result = validate("a.yaml", "b.yaml", "c.yaml", "d.yaml")
    assert result.exit_code == 2
    assert result.stdout.startswith("b.yaml: valid")
    assert [line.split(":")[1].strip() for line in result.stderr.splitlines()] == ["a.yaml", "c.yaml", "d.yaml"]


def test_a_waiver_that_is_none_is_a_warning_or_refused(tmp_path: Path) -> None:
    waiver = "{check: security.headers.csp, reason: widget, owner: web, expires: 2020-01-31}"
    (tmp_path / "readiness.yaml").write_text(f"waivers: [{waiver}]\n")
    result = validate()
    assert result.exit_code == 0
    assert "expired on 2020-01-31" in result.stderr
    assert validate("--strict").exit_code == 2


def test_a_broken_pack_is_exit_4(tmp_path: Path) -> None:
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks/broken.py").write_text("def\n")
    (tmp_path / "readiness.yaml").write_text("packs: [./checks]\n")
    result = validate()
    assert result.exit_code == 4
    assert "broken.py:1" in result.stderr


def test_lists_and_explanations_need_no_secret_either(tmp_path: Path) -> None:
    (tmp_path / "readiness.yaml").write_text("http: {url: '${URL}'}\n")
    for arguments in (("checks", "security.headers.csp"), ("explain", "security.headers.csp")):
        result = validate(*arguments[1:], command=arguments[0])
        assert result.exit_code == 0, result.stderr


def test_a_reader_may_leave_the_list() -> None:
    pipe = f"set -o pipefail; {sys.executable} -m readiness checks | head -n 1"
    done = subprocess.run(["bash", "-c", pipe], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


# --- the pre-commit hook ---------------------------------------------------------------------------------------------


def test_the_hook_runs_the_command_on_the_right_files(tmp_path: Path) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["language"] == "python"
    files = hook["files"]
    own, others = ("readiness.yaml", "deploy/readiness.yml", "readiness.staging.yaml"), ("my-readiness.yaml", "a.yaml")
    assert [name for name in (*own, *others) if re.search(files, name)] == list(own)
    program, *arguments = shlex.split(hook["entry"])
    command = Path(sys.executable).with_name(program)
    (tmp_path / "readiness.yaml").write_text("service: shop\n")
    run = [command, *arguments, *hook.get("args", []), "readiness.yaml"]
    assert subprocess.run(run, cwd=tmp_path, capture_output=True, timeout=60).returncode == 0
    (tmp_path / "readiness.yaml").write_text("servce: shop\n")
    assert subprocess.run(run, cwd=tmp_path, capture_output=True, timeout=60).returncode != 0
