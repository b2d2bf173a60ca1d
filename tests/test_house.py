"""The layout's own rules: packages, direction of imports, what may be imported when."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

import readiness.api

ROOT = Path(__file__).parent.parent
# A room may import those before it and itself, never one after it.
ROOMS = (
    ("errors", "change", "model", "facts", "headers", "load", "machine", "sealed", "urls"),
    ("settings", "window", "budget", "trust", "names", "pace", "cluster"),
    ("spec", "verdict"),
    ("api",),
    ("probes",),
    ("loader",),
    ("config", "secrets", "collect", "judge", "scoring"),
    ("demand",),
    ("gate", "diff", "addresses"),
    ("compose",),
    ("report", "progress", "history"),
    ("audit", "descriptions"),
    ("schema",),
    ("doctor", "fleet", "init", "scaffold", "testing"),
    ("demo",),
    ("commands",),
    ("cli", "__main__"),
)
ORDER = {name: level for level, names in enumerate(ROOMS) for name in names}
SOURCES = sorted((ROOT / "readiness").rglob("*.py"))
CHECKS = sorted((ROOT / "checks").rglob("*.py"))


def imported(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            modules |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return modules


def room(path: Path) -> str:
    return path.relative_to(ROOT / "readiness").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_flow_of_data(path: Path) -> None:
    own = room(path)
    if own == "__init__":
        return
    for module in imported(path):
        parts = module.split(".")
        if parts[0] == "readiness" and len(parts) > 1 and parts[1] in ORDER:
            assert ORDER[parts[1]] <= ORDER[own], f"{own} imports {module}"
        assert not module.startswith(("readiness.checks", "checks")), f"{path} imports {module}"


@pytest.mark.parametrize("path", CHECKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_checks_import_facts_and_the_api_only(path: Path) -> None:
    for module in imported(path):
        parts = module.split(".")
        if parts[0] == "readiness":
            assert parts[1] in ("api", "facts", "headers", "model"), module
        forbidden = {"socket", "httpx", "pymongo", "redis", "asyncio", "time", "os", "subprocess", "requests", "ssl"}
        assert parts[0] not in forbidden, f"a check does no I/O: {module}"


def test_every_package_is_installed() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = {path.parent for path in [*SOURCES, *CHECKS, *(ROOT / "templates").rglob("*.py")]}
    found = set()
    for folder in folders:
        parts = folder.relative_to(ROOT).parts
        found.add(".".join(parts if parts[0] == "readiness" else ("readiness", *parts)))
    assert listed == found


def test_the_public_api_is_what_it_says() -> None:
    exported = {
        name
        for node in ast.parse((ROOT / "readiness/api.py").read_text()).body
        if isinstance(node, ast.ImportFrom)
        for name in (alias.asname or alias.name for alias in node.names)
    }
    assert exported == set(readiness.api.__all__)


def test_version_imports_no_driver() -> None:
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "readiness", "--version"], capture_output=True, text=True, check=True
    )
    loaded = set(re.findall(r"\| +([\w.]+)$", result.stderr, re.MULTILINE))
    assert "typer" in loaded
    for heavy in ("pymongo", "redis", "httpx", "pydantic", "jinja2", "rich", "hdrh", "yaml", "readiness.demo"):
        assert heavy not in loaded


def test_version_is_nearly_as_quick_as_an_empty_typer_program(tmp_path: Path) -> None:
    empty = tmp_path / "empty.py"
    empty.write_text("import typer\napp = typer.Typer()\n\n@app.command()\ndef main() -> None: ...\n\napp()\n")
    commands = {"empty": [str(empty)], "readiness": ["-m", "readiness", "--version"]}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(9):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *command], capture_output=True, check=True)
            seconds[name].append(time.perf_counter() - began)
    # Pair by pair and the middle one, because the machine's speed drifts.
    ratio = statistics.median(a / b for a, b in zip(seconds["readiness"], seconds["empty"], strict=True))
    assert ratio < 1.5
