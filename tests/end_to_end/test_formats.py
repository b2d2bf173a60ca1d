"""Every format of a real audit, as a CI job gets them: the service is hostile, the gate fails, every file is valid."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft4Validator, Draft202012Validator
from lxml import etree

from readiness.report import FORMATS

from .installed import readiness, serving

SCHEMAS = Path(__file__).parents[1] / "report" / "schemas"
HOSTILE = "=s/1.2 ##[x] ::y:: <b>[x](javascript:1)</b>"
FILES = {
    "r.json": "json", "r.html": "html", "r.md": "md", "r.xml": "junit", "r.sarif": "sarif", "r.svg": "badge",
    "r.csv": "csv", "r.prom": "prometheus", "gl.json": "gitlab", "gh.txt": "github", "short.md": "md-short",
}  # fmt: skip


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("job")
    outputs = [each for file, format in FILES.items() for each in ("-o", f"{format}:{file}")]
    with serving() as service:
        service.server = HOSTILE
        (folder / "readiness.yaml").write_text(
            f"service: shop\nhttp: {{url: '{service.url}'}}\nlimits: {{window_seconds: 0.2}}\n"
        )
        (folder / "summary.md").touch()
        done = readiness(
            "audit", "--fail-under", "10", "--min-coverage", "0", "--save-facts", "facts.json", *outputs, cwd=folder,
            GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(folder / "summary.md"), GITHUB_OUTPUT=str(folder / "output"),
        )  # fmt: skip
    return folder, done


Job = tuple[Path, subprocess.CompletedProcess[str]]


def test_a_gate_that_fails_leaves_every_report(job: Job) -> None:
    folder, done = job
    assert done.returncode == 1, done.stderr
    assert set(FILES.values()) == set(FORMATS)
    left = {path.name for path in folder.iterdir()}
    assert left == {*FILES, "readiness.yaml", "summary.md", "output", "facts.json"}


def test_json(job: Job) -> None:
    folder, _ = job
    made = json.loads(readiness("schema", "report", cwd=folder).stdout)
    report = json.loads((folder / "r.json").read_text())
    Draft202012Validator(made).validate(report)
    assert any(HOSTILE in json.dumps(check) for check in report["checks"]), "the service has been hostile for nothing"


@pytest.mark.parametrize("schema", ["jenkins-junit-10.xsd", "ant-junit.xsd"])
def test_junit(job: Job, schema: str) -> None:
    etree.XMLSchema(etree.parse(SCHEMAS / schema)).assertValid(etree.parse(job[0] / "r.xml"))


def test_sarif(job: Job) -> None:
    schema = json.loads((SCHEMAS / "sarif-2.1.0-rtm.5.json").read_text())
    log = json.loads((job[0] / "r.sarif").read_text())
    Draft4Validator(schema).validate(log)
    (run,) = log["runs"]
    assert run["invocations"][0]["exitCode"] == 1
    assert all(rule["help"]["markdown"] and rule["helpUri"] for rule in run["tool"]["driver"]["rules"])


def test_prometheus(job: Job) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool on PATH")
    with (job[0] / "r.prom").open() as file:
        done = subprocess.run([promtool, "check", "metrics"], stdin=file, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_others_can_be_read(job: Job) -> None:
    folder, _ = job
    assert ET.parse(folder / "r.svg").getroot().get("role") == "img"
    with (folder / "r.csv").open(newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert len(rows) == len(json.loads((folder / "r.json").read_text())["checks"])
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]
    assert all(entry["location"]["path"] == "readiness.yaml" for entry in json.loads((folder / "gl.json").read_text()))


def test_github_is_told_and_nothing_else_steers_the_job(job: Job) -> None:
    folder, done = job
    annotation = re.compile(r"::(error|warning|notice) title=[^:,]*::.*")
    commands = [line for line in done.stderr.splitlines() if line.lstrip().startswith("::")]
    assert commands
    assert all(annotation.fullmatch(line) for line in commands)
    assert commands[1].startswith("::error title=readiness gate%3A score::")
    assert not [line for line in done.stdout.splitlines() if line.lstrip().startswith("::") or "##[" in line]
    assert (folder / "summary.md").read_text().startswith("# Production Readiness Assessment")
    assert re.match(r"score=\d+\.\d\nheadline=\d+\n", (folder / "output").read_text())


def test_gitlab_gets_its_files_unless_told_otherwise(job: Job, tmp_path: Path) -> None:
    facts = str(job[0] / "facts.json")
    done = readiness("audit", "--facts", facts, "-q", cwd=tmp_path, GITLAB_CI="true")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"gl-code-quality-report.json", "readiness-junit.xml"}
    (tmp_path / "readiness-junit.xml").unlink()
    readiness("audit", "--facts", facts, "-q", "--no-ci", cwd=tmp_path, GITLAB_CI="true", GITHUB_ACTIONS="true")
    assert {path.name for path in tmp_path.iterdir()} == {"gl-code-quality-report.json"}
