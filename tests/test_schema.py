"""The published JSON Schemas describe what is really written and really accepted."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker

from readiness import config, schema
from readiness.errors import ConfigError
from readiness.loader import Registry, load
from readiness.report.json_format import dump
from readiness.settings import Settings

ROOT = Path(__file__).parent.parent
SAMPLES = Path(__file__).parent / "report"

EVERYTHING = """
service: artisan-market
environment: ${ENVIRONMENT:-staging}
target_score: ${TARGET:-9}
http:
  url: https://api.example.com
  profile: api
  headers: {Authorization: "Bearer ${API_TOKEN:-none}"}
  ca_file: ca.pem
  health: /health
  metrics: https://metrics.example.com/metrics
  endpoints: [/api/products]
  protected: [/api/orders]
  writable: [/api/products]
mongodb: {uri: "mongodb://u:p@db.example.com", options: {maxPoolSize: 50, tls: true, appName: shop}}
redis: {url: "rediss://cache.example.com", role: session, warm_keys: {"user:*": 1}}
prometheus: {url: "http://prometheus:9090", alertmanager: "http://alertmanager:9093"}
expectations: {response_time_ms: 100, cache_hit_rate: 0.95, concurrent_users: 10000}
load: {allow: false, rate: 50}
limits: {request_seconds: 10, window_seconds: 0.5}
components: {caching: {absent: "stateless proxy, no cache"}, security: {weight: 2}}
gate: {fail_under: "${MINIMUM:-8}", components: {security: 9}, fail_on: critical, min_coverage: 80}
attestations:
  on_call: {statement: "a rota of four", evidence: "https://wiki.example.com/on-call", owner: ops, expires: 2027-01-31}
waivers:
  - {check: security.headers.csp, reason: "third-party widget", owner: web-team, expires: 2027-01-31}
checks: {database.pressure.queue: {}}
"""


def sample(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"report.{name}", SAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


@cache
def registry() -> Registry:
    return load()


@cache
def validator(of: str) -> Draft202012Validator:
    made = schema.report() if of == "report" else schema.configuration(registry())
    Draft202012Validator.check_schema(made)
    return Draft202012Validator(made, format_checker=FormatChecker())


def problems(of: str, data: object) -> list[str]:
    found = validator(of).iter_errors(data)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in found]


def properties(made: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for type, definition in (("", made), *made.get("$defs", {}).items()):
        for name, entry in definition.get("properties", {}).items():
            yield f"{type}.{name}", entry


def from_yaml(text: str) -> Any:
    """As an editor reads it: variables are left alone, a date is text."""
    return json.loads(json.dumps(yaml.safe_load(text), default=str))


# --- the report ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["assessment", "ready", "outage", "partial"])
def test_reports_are_valid(name: str) -> None:
    report, hostile = getattr(sample("sample"), name)(), sample("hostile").hostile
    assert not problems("report", json.loads(dump(report)))
    # Enemies put a text where a date belongs; nothing else of it is wrong.
    found = validator("report").iter_errors(json.loads(dump(hostile(report))))
    assert {error.validator for error in found} <= {"format"}


def test_the_golden_report_is_valid() -> None:
    assert not problems("report", json.loads((ROOT / "tests/golden/assessment.1.json").read_text()))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema_version", "2"),
        ("score", 10.5),
        ("coverage", "91 %"),
        ("rating", "splendid"),
        ("checks.0.status", "passed"),
        ("checks.0.credit", 2),
        ("gate.conditions.0.passed", None),
    ],
)
def test_what_is_no_report_is_refused(path: str, value: object) -> None:
    data = json.loads(dump(sample("sample").assessment()))
    *parents, last = path.split(".")
    target = data
    for part in parents:
        target = target[int(part) if part.isdecimal() else part]
    target[last] = value
    assert problems("report", data)
    del target[last]
    assert problems("report", data), "every key is required"


@pytest.mark.parametrize("of", ["report", "config"])
def test_every_key_is_described(of: str) -> None:
    assert not [path for path, entry in properties(validator(of).schema) if not entry.get("description")]


def test_no_description_is_left_over() -> None:
    from readiness.descriptions import CONFIGURATION, RANGES, REPORT

    paths = {path.removeprefix(".") for path, _ in properties(schema.report())}
    paths |= {f"Report.{path}" for path in paths if "." not in path}
    names = {path.rpartition(".")[2] for path in paths}
    assert not [key for key in (*REPORT, *RANGES) if key not in (paths if "." in key else names)]
    raw = config.settings_model(registry()).model_json_schema()
    known = {path if not path.startswith(".") else f"Settings{path}" for path, _ in properties(raw)}
    assert not set(CONFIGURATION) - known


# --- the configuration -----------------------------------------------------------------------------------------------


def example_blocks() -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)


def test_the_examples_of_the_readme_are_valid() -> None:
    blocks = example_blocks()
    assert blocks
    for block in blocks:
        assert not problems("config", from_yaml(block))


def test_a_configuration_with_everything_is_valid_for_both() -> None:
    assert not problems("config", from_yaml(EVERYTHING))
    config.validate(config.parse(yaml.compose(EVERYTHING), "here", {}), registry())


def test_the_defaults_are_valid() -> None:
    assert not problems("config", {})
    assert not problems("config", Settings().model_dump(mode="json"))
    defaults = {
        id: {name: from_yaml(json.dumps(entry.default, default=list)) for name, entry in spec.settings.items()}
        for id, spec in registry().checks.items()
        if spec.settings
    }
    assert len(defaults) > 50
    assert not problems("config", {"checks": defaults})


def places(data: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every mapping in it, but for those whose keys are the user's own."""
    if isinstance(data, dict):
        if path[-1:] not in {("headers",), ("options",), ("warm_keys",)}:
            yield path
        for key, value in data.items():
            yield from places(value, (*path, key))
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from places(value, (*path, number))


@pytest.mark.parametrize(
    "path", list(places(from_yaml(EVERYTHING))), ids=lambda path: ".".join(map(str, path)) or "top"
)
def test_unknown_keys_are_refused_by_both(path: tuple[str | int, ...]) -> None:
    data = from_yaml(EVERYTHING)
    target = data
    for part in path:
        target = target[part]
    target["no_such_key"] = {}
    assert problems("config", data)
    with pytest.raises(ConfigError):
        config.validate(config.parse(yaml.compose(json.dumps(data)), "here", {}), registry())


@pytest.mark.parametrize(
    "text",
    [
        "target_score: 11",
        "target_score: nine",
        "http: {profile: cli}",
        "gate: {fail_on: grave}",
        "gate: {components: {databse: 8}}",
        "load: {allow: perhaps}",
        "waivers: [{check: security.headers.csp}]",
        "waivers: [{check: security.headers.csp, reason: legacy, owner: web, expires: soon}]",
        "checks: {database.nothing: {at_least: 1}}",
        "http: []",
    ],
)
def test_wrong_values_are_refused_by_both(text: str) -> None:
    assert problems("config", from_yaml(text))
    with pytest.raises(ConfigError):
        config.validate(config.parse(yaml.compose(text), "here", {}), registry())


# --- the command -----------------------------------------------------------------------------------------------------


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "readiness", "schema", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_prints_it_and_knows_the_checks_of_a_pack(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/cdn.py").write_text(
        re.findall(r"^```python\n(from readiness.api.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)[0]
    )
    # A schema needs no secret, so a variable that is not set does not matter.
    (tmp_path / "readiness.yaml").write_text("packs: [mine]\nredis: {url: '${NO_SUCH_VARIABLE}'}\n")
    done = run("config", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    checks = json.loads(done.stdout)["properties"]["checks"]["properties"]
    assert checks["performance.mine.region"]["properties"]["allowed"]["default"] == ["eu-west"]
    assert json.loads(run("report", cwd=tmp_path).stdout)["title"] == "Report of readiness"


def test_the_command_refuses_anything_else(tmp_path: Path) -> None:
    done = run("nothing", cwd=tmp_path)
    assert done.returncode == 2
    assert "no schema 'nothing' (one of report, config)" in done.stderr
