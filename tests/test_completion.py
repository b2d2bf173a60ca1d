"""Completion of check ids, through the protocol that shells use; it imports no driver and no check."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from readiness import config, loader
from readiness.commands import completion

COMMAND = Path(sys.executable).with_name("readiness")
CHECK = """
@check(
    id="security.mine.banner",
)
def banner(http): ...
"""


def complete(words: str, cwd: Path, shell: str = "bash", *python: str) -> subprocess.CompletedProcess[str]:
    asks = {
        "bash": {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": words},
        "fish": {"_TYPER_COMPLETE_ARGS": words, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }
    environment = {**os.environ, "_READINESS_COMPLETE": f"complete_{shell}", **asks[shell]}
    return subprocess.run(
        [*python, COMMAND], cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=True
    )


def test_every_bundled_id_is_found_without_loading_any() -> None:
    assert set(completion._ids(Path("none.yaml"))) == set(loader.load().checks)
    assert completion.DEFAULT_CONFIG == config.DEFAULT_FILE


@pytest.mark.parametrize("words", ["explain", "checks", "audit --only", "audit --skip", "audit http://x --only"])
def test_ids_are_completed_where_they_are_asked_for(words: str, tmp_path: Path) -> None:
    found = complete(f"readiness {words} caching.memory.o", tmp_path).stdout.split()
    assert found == ["caching.memory.oom_errors"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells(shell: str, tmp_path: Path) -> None:
    found = complete("readiness explain caching.memory.l", tmp_path, shell).stdout
    assert re.findall(r"[\w.]+\.[\w.]+", found) == ["caching.memory.limit"]


def test_own_checks_are_completed(tmp_path: Path) -> None:
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks/mine.py").write_text(CHECK)
    (tmp_path / "readiness.yaml").write_text("packs: [./checks]\nhttp: {url: '${NOT_SET}'}\n")
    (tmp_path / "other.yaml").write_text("packs: none\n")
    assert complete("readiness explain security.mine", tmp_path).stdout.split() == ["security.mine.banner"]
    assert complete("readiness explain -c other.yaml security.mine", tmp_path).stdout.split() == []


@pytest.mark.parametrize("text", ["packs: [", "- 1", "packs: {a: 1}", "packs: [./none, 3]", "\x00", "a: &a [*a, *a]"])
def test_a_broken_configuration_breaks_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "readiness.yaml").write_text(text)
    assert len(set(completion._ids(tmp_path / "readiness.yaml"))) > 200


def test_it_imports_neither_drivers_nor_checks(tmp_path: Path) -> None:
    result = complete("readiness explain caching.mem", tmp_path, "bash", sys.executable, "-X", "importtime")
    loaded = set(re.findall(r"\| +([\w.]+)$", result.stderr, re.MULTILINE))
    assert "readiness.commands.completion" in loaded
    heavy = {"pymongo", "redis", "httpx", "jinja2", "readiness.checks", "readiness.loader", "readiness.config"}
    assert not loaded & heavy
