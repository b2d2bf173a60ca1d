"""Our naming rules against promtool's own lint, sample by sample: the same metrics, the same families of rules."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from readiness import judge, loader
from readiness.facts.collected import Collected, Outcome
from readiness.facts.metrics import Family, MetricsFacts
from readiness.facts.service import ServiceFacts
from readiness.model import Status
from readiness.probes import metric_families
from readiness.probes.exposition import parse
from readiness.settings import Settings

SAMPLES = sorted((Path(__file__).parent / "samples").glob("*.prom"))
LINT = loader.load().checks["monitoring.metrics.lint"]
PROMTOOL = shutil.which("promtool")
SAID = {
    "help": r"no help text",
    "total": r'counter metrics should have "_total" suffix|non-counter metrics should not have "_total" suffix',
    "reserved suffix": r'should not have "_(?:bucket|count|sum)" suffix',
    "reserved label": r'should not have "(?:le|quantile)" label',
    "colon": r"should not contain ':'",
    "camelCase": r"'snake_case' not 'camelCase'",
    "unit": r"use base unit",
    "abbreviation": r"abbreviated units",
    "type": r"should not include type",
}


def families(path: Path) -> list[Family]:
    exposition = parse(path.read_text(), "text/plain")
    assert not exposition.problem
    return [metric_families.summary(family) for family in exposition.families.values()]


def ours(path: Path) -> set[tuple[str, str]]:
    import readiness.checks.monitoring._naming as naming

    return {(family.name, rule) for family in families(path) for rule in naming.objections(family)}


def promtools(path: Path) -> set[tuple[str, str]]:
    """What promtool says; it lists problems with exit code 3, and cannot read the file with code 1."""
    assert PROMTOOL is not None
    with path.open() as file:
        done = subprocess.run([PROMTOOL, "check", "metrics"], stdin=file, capture_output=True, text=True, timeout=30)
    assert done.returncode in (0, 3), done.stderr
    found = set()
    for line in filter(None, (done.stdout + done.stderr).splitlines()):
        name, _, text = line.partition(" ")
        rules = [rule for rule, said in SAID.items() if re.search(said, text)]
        assert len(rules) == 1, f"promtool says something new: {line}"
        found.add((name, rules[0]))
    return found


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_promtool_objects_to_the_same(path: Path) -> None:
    if PROMTOOL is None:
        pytest.skip("no promtool on PATH")
    assert ours(path) == promtools(path)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_the_check_agrees_with_the_rules(path: Path) -> None:
    found = families(path)
    metrics = MetricsFacts(state="parsed", path="/metrics", status=200, families=tuple(found))
    collection = {ServiceFacts: Collected(Outcome.COLLECTED, ServiceFacts(metrics=metrics))}
    finding = judge.call(LINT, collection, Settings(), {})  # type: ignore[arg-type]
    library = path.stem == "nodejs"  # the service cannot rename what a library exposes
    assert finding.status is (Status.WARN if ours(path) and not library else Status.PASS), finding
    if path.stem.startswith("good_"):
        assert not ours(path)


def test_there_are_enough_samples_of_every_rule() -> None:
    assert len(SAMPLES) >= 30
    seen = {rule for path in SAMPLES for _, rule in ours(path)}
    assert set(SAID) <= seen
