"""Audits MongoDB servers the way the command does, and sorts out what the database checks found: for tests."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from readiness import collect, judge, loader
from readiness.facts.base import Facts
from readiness.facts.collected import Collected
from readiness.facts.mongodb import MongoFacts
from readiness.model import Finding, Status
from readiness.settings import Settings

from ..forked import readiness  # noqa: TID252

REGISTRY = loader.load()
CHECKS = {id: spec for id, spec in REGISTRY.checks.items() if spec.component == "database"}
SECONDS = 0.5
FINE = (Status.PASS, Status.NOT_APPLICABLE, Status.UNTESTED)

STARTUP = "database.errors.startup_warnings"
# What the machine decides that runs the tests, and not how the servers were started.
MACHINE = frozenset(
    {
        STARTUP,  # root, file system, limits: `warn`; that everybody may log in is a `fail`, and not left out
        "database.conn.os_limits",  # how many files anybody may open
        "database.host.resources",  # how busy it is with all its tests, and how much memory is left
        "database.storage.disk",  # how full it is
        "database.latency.ping",  # over loopback: how busy it is
    }
)


@dataclass(frozen=True)
class Audit:
    """The outcome of the probe, and of every database check. `seconds` is what the probe took besides its window."""

    collected: Collected
    findings: dict[str, Finding]
    seconds: float

    @property
    def facts(self) -> MongoFacts:
        assert isinstance(self.collected.facts, MongoFacts), self.collected.reason
        return self.collected.facts

    @property
    def wrong(self) -> dict[str, Status]:
        """Every check that is neither fine nor outside the score, but for what the machine alone decides."""
        return {id: f.status for id, f in self.findings.items() if f.status not in FINE and not _of_the_machine(id, f)}

    @property
    def text(self) -> str:
        """What is wrong, a line each, for the message of an assertion."""
        lines = (f"{f.status:9}{id:40}{f.message}" for id, f in self.findings.items() if f.status not in FINE)
        return "\n" + "\n".join(lines)


def audit(uri: str, seconds: float = SECONDS, *, parameters: Mapping[str, Mapping[str, Any]] | None = None) -> Audit:
    """One audit of the deployment behind the URI, with settings of single checks."""
    settings = Settings.model_validate({"mongodb": {"uri": uri}, "limits": {"window_seconds": seconds}})
    found: dict[type[Facts], Collected] = dict(
        collect.collect(collect.plan(CHECKS.values(), REGISTRY.probes), settings, lambda name, outcome: None).collected
    )
    results = judge.judge(CHECKS, found, settings, parameters or {})
    findings = {result.spec.id: result.finding for result in results}
    broken = {id: finding.message for id, finding in findings.items() if "check itself failed" in finding.message}
    assert not broken
    return Audit(found[MongoFacts], findings, found[MongoFacts].seconds - seconds)


def _of_the_machine(id: str, finding: Finding) -> bool:
    return id in MACHINE and finding.status in ((Status.WARN,) if id == STARTUP else (Status.WARN, Status.FAIL))


@dataclass(frozen=True)
class Command:
    """What a command printed, and every file that it wrote, as text."""

    status: int
    printed: str
    files: dict[str, str]

    @property
    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.files["report.json"])
        return report

    @property
    def everything(self) -> str:
        return "\n".join([self.printed, *self.files.values()])


def command(folder: Path, configuration: Mapping[str, Any], *arguments: str) -> Command:
    """`readiness ARGUMENTS` with that configuration, in a process of its own."""
    outputs = folder / "out"
    outputs.mkdir()
    (folder / "readiness.yaml").write_text(json.dumps(configuration))  # of which YAML is a superset
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "160"}
    result = readiness(*arguments, "-c", "../readiness.yaml", cwd=outputs, env=environment, seconds=100)
    files = {path.name: path.read_text() for path in sorted(outputs.iterdir())}
    return Command(result.returncode, result.stdout + result.stderr, files)


EVERY_OUTPUT = (
    "audit", "-v", "-o", "report.json", "-o", "report.html", "-o", "report.md", "--save-facts", "facts.json",
)  # fmt: skip
