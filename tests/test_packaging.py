"""The action, the image and the hook: their own schemas and linters, and what they run, run here."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from readiness import __version__

from .end_to_end.installed import COMMAND, serving

ROOT = Path(__file__).parent.parent
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
DEFAULTS = {name: str(entry.get("default", "")) for name, entry in ACTION["inputs"].items()}
HOOKS = ROOT / ".pre-commit-hooks.yaml"


def tool(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A linter that pip installed beside us."""
    command = [str(Path(sys.executable).with_name(name)), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("schema", "path"), [("vendor.github-actions", "action.yml"), ("vendor.github-workflows", "workflow")]
)
def test_the_action_fits_the_schemas_of_its_host(schema: str, path: str, tmp_path: Path) -> None:
    file = ROOT / path
    if path == "workflow":  # the example in the comments of the README's readers
        file = tmp_path / "ci.yml"
        file.write_text(WORKFLOW)
    done = tool("check-jsonschema", "--builtin-schema", schema, str(file))
    assert done.returncode == 0, done.stdout


WORKFLOW = """\
on: [push]
jobs:
  readiness:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: OWNER/readiness@v1
        id: readiness
        with: {url: "https://staging.example.com", fail-under: 8, args: "--fail-on critical"}
        env: {MONGODB_URI: "${{ secrets.MONGODB_URI }}"}
      - uses: actions/upload-artifact@v4
        if: always()
        with: {name: readiness, path: "${{ steps.readiness.outputs.reports }}"}
"""


def test_no_input_is_pasted_into_a_script() -> None:
    for step in STEPS:
        assert "${{" not in step["run"]
        assert step["shell"] == "bash"
        done = subprocess.run(["bash", "-n"], input=step["run"], text=True, capture_output=True)
        assert done.returncode == 0, done.stderr
    used = set(re.findall(r"inputs\.([\w-]+)", (ROOT / "action.yml").read_text()))
    assert used == set(ACTION["inputs"])


def test_every_output_is_written_by_a_step() -> None:
    written = set(re.findall(r'echo "(\w+)=', STEPS[0]["run"] + STEPS[1]["run"]))
    written |= {"html", "json", "sarif", "score", "rating", "coverage", "passed", "incomplete"}
    for name, entry in ACTION["outputs"].items():
        step, output = re.fullmatch(r"\$\{\{ steps\.(\w+)\.outputs\.([\w-]+) \}\}", entry["value"]).groups()  # type: ignore[union-attr]
        assert step in {each["id"] for each in STEPS}
        assert output in written, name


# --- the action, run as its host runs it -----------------------------------------------------------------------------

PYTHON = """\
#!/bin/sh
# The workflow's python3: real, but a new environment gets the command that is installed here.
if [ "$1 $2" = "-m venv" ]; then
  mkdir -p "$3/bin"
  made="$3/bin/python"
  printf '#!/bin/sh\\n[ "$2" = pip ] && { echo "$@" >> "%s"; exit 0; }\\nexec "%s" "$@"\\n' "$LOG" "REAL" > "$made"
  chmod +x "$made"
  ln -s "COMMAND" "$3/bin/readiness"
  exit 0
fi
exec "REAL" "$@"
"""


@dataclass
class Runner:
    """A job: its folders, and the outputs of its steps."""

    folder: Path

    def __call__(self, **inputs: str) -> tuple[int, dict[str, str], str]:
        """Runs every step up to the first that fails: exit code, the action's outputs, and the log."""
        outputs: dict[str, str] = {}
        log = ""
        for step in STEPS:
            values = {**DEFAULTS, **{name.replace("_", "-"): value for name, value in inputs.items()}}
            named = {name: self._filled(text, values, outputs) for name, text in step["env"].items()}
            done = self._run(step["run"], named)
            log += done.stdout + done.stderr
            for line in (self.folder / "outputs").read_text().splitlines():
                name, _, value = line.partition("=")
                outputs[f"{step['id']}.{name}"] = value
            if done.returncode:
                break
        made = {name: self._filled(entry["value"], {}, outputs) for name, entry in ACTION["outputs"].items()}
        return done.returncode, made, log

    def _filled(self, text: str, inputs: dict[str, str], outputs: dict[str, str]) -> str:
        text = re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: inputs[found[1]], text)
        return re.sub(r"\$\{\{ steps\.(\w+)\.outputs\.(\w+) \}\}", lambda f: outputs.get(f"{f[1]}.{f[2]}", ""), text)

    def _run(self, script: str, named: dict[str, str]) -> subprocess.CompletedProcess[str]:
        (self.folder / "outputs").write_text("")
        own = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB", "GITLAB"))}
        environment = {
            **own,
            **named,
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "LOG": str(self.folder / "pip.log"),
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_OUTPUT": str(self.folder / "outputs"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
            "RUNNER_TEMP": str(self.folder / "temp"),
        }
        script_file = self.folder / "step.sh"
        script_file.write_text(script)
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", script_file]
        work = self.folder / "workspace"
        return subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, timeout=90)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    for name in ("bin", "temp", "workspace"):
        (tmp_path / name).mkdir()
    python = tmp_path / "bin/python3"
    python.write_text(PYTHON.replace("REAL", sys.executable).replace("COMMAND", str(COMMAND)))
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return Runner(tmp_path)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as service:
        yield service.url


def test_a_gate_that_fails_fails_the_step_and_leaves_every_report(runner: Runner, url: str) -> None:
    (runner.folder / "workspace/deploy").mkdir()
    (runner.folder / "workspace/deploy/my.yaml").write_text("service: shop\nlimits: {window_seconds: 0.1}\n")
    code, outputs, log = runner(
        url=url,
        config="my.yaml",
        fail_under="9.9",
        working_directory="deploy",
        args="--min-coverage '1' --skip \"performance.*\"",
        extras="./packs/one\n\n./packs/two\n",
    )
    assert code == 1, log
    assert outputs["passed"] == "false"
    assert 0 <= float(outputs["score"]) < 9.9
    assert outputs["version"] == __version__
    assert outputs["reports"] == str(runner.folder / "temp/readiness-reports")
    for name in ("html", "json", "junit", "sarif"):
        assert Path(outputs[name]).stat().st_size > 500, name
        assert Path(outputs[name]).parent == Path(outputs["reports"])
    assert '"service": "shop"' in Path(outputs["json"]).read_text()
    assert "# " in (runner.folder / "summary.md").read_text()
    assert "::error title=readiness gate" in log
    installed = (runner.folder / "pip.log").read_text().split()
    assert [word for word in installed if word.startswith(("/", "."))] == [str(ROOT), "./packs/one", "./packs/two"]


def test_without_a_gate_it_passes(runner: Runner, url: str) -> None:
    text = f"http: {{url: '{url}'}}\nlimits: {{window_seconds: 0.1}}\n"
    (runner.folder / "workspace/readiness.yaml").write_text(text)
    code, outputs, log = runner()
    assert code == 0, log
    assert outputs["passed"] == ""
    assert outputs["incomplete"] == "false"


@pytest.mark.parametrize(
    "inputs",
    [
        {"url": "$(touch pwned)"},
        {"url": '"; touch pwned; "'},
        {"args": "$(touch pwned) `touch pwned` ; touch pwned"},
        {"config": "x; touch pwned"},
        {"fail_under": "8; touch pwned"},
        {"args": "--skip 'no end"},
    ],
    ids=str,
)
def test_inputs_are_words_and_never_run(runner: Runner, inputs: dict[str, str]) -> None:
    code, _, log = runner(**inputs)
    assert code != 0, log
    assert not list(runner.folder.rglob("pwned"))
    assert "Traceback" not in log or "No closing quotation" in log


# --- the image -------------------------------------------------------------------------------------------------------

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_the_dockerfile_passes_its_linter() -> None:
    done = tool("hadolint", "--no-color", "Dockerfile")
    assert done.returncode == 0, done.stdout


def test_the_image_runs_as_nobody_in_particular() -> None:
    final = DOCKERFILE.rpartition("FROM ")[2]
    assert re.search(r"^USER 10001:10001$", final, re.MULTILINE), "a number, so that Kubernetes can verify it"
    assert final.index("USER ") < final.index("ENTRYPOINT")
    assert not re.search(r"^FROM \S+\.\S+/", DOCKERFILE, re.MULTILINE), "no registry is named"
    version = re.search(r"FROM python:(\d+\.\d+)-slim", DOCKERFILE)
    assert version is not None
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    assert f"Programming Language :: Python :: {version[1]}" in classifiers


def test_the_image_is_built_from_what_is_copied(tmp_path: Path) -> None:
    """The wheel of its first stage, from exactly the files that get into it."""
    context = tmp_path / "context"
    allowed = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    sources = [name for line in copied for name in line.split()]
    assert set(sources) == set(allowed)
    context.mkdir()
    for name in sources:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, context / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, context / name)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-build-isolation"]
    done = subprocess.run([*pip, "--no-deps", "-w", tmp_path, context], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    [wheel] = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"readiness/checks/security/headers.py", "readiness/templates/report.html.j2"} <= names
