"""A check of one's own: what `new-check` writes runs, passes and is found."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from readiness import loader, scaffold, testing
from readiness.errors import ConfigError, PackError
from readiness.model import COMPONENTS, ON_DEMAND

ROOT = Path(__file__).parent.parent


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *arguments], cwd=cwd, capture_output=True, text=True, timeout=60)


def test_the_command_writes_what_pytest_passes_and_the_audit_finds(tmp_path: Path) -> None:
    made = run("readiness", "new-check", "security.mine.banner", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    fixtures = [f"_tests/fixtures/security.mine.banner/{name}.json" for name in ("pass", "warn", "fail", "error")]
    written = ["security/mine_banner.py", *fixtures, "_tests/test_readiness_checks.py"]
    assert made.stdout.splitlines() == [f"wrote checks/{path}" for path in written]
    assert "packs: [./checks]" in made.stderr
    (tmp_path / "readiness.yaml").write_text("packs: [./checks]\nhttp: {url: '${NOT_SET}'}\n")
    second = run("readiness", "new-check", "database.slow", cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    assert "packs:" not in second.stderr, "it is named already"
    tested = run("pytest", "-q", "-p", "no:cacheprovider", "checks", cwd=tmp_path)
    assert tested.returncode == 0, tested.stdout
    assert "9 passed" in tested.stdout
    listed = run("readiness", "checks", "security.mine", cwd=tmp_path)
    assert listed.stdout.startswith("security.mine.banner\tmedium\tTODO")


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, loader.Registry]:
    """A folder with a check of each component, and one whose name is a word of Python's own."""
    folder = tmp_path_factory.mktemp("every") / "checks"
    for component in (*COMPONENTS, *ON_DEMAND):
        scaffold.scaffold(f"{component}.mine.first", folder)
    scaffold.scaffold("performance.mine.import", folder)
    scaffold.scaffold("performance.check", folder)
    return folder, loader.load([folder])


def test_there_is_one_for_every_component(every: tuple[Path, loader.Registry]) -> None:
    folder, registry = every
    fixtures = folder / scaffold.TESTS / "fixtures"
    assert not testing.lacking(fixtures, registry, pack=folder)
    found = testing.cases(fixtures)
    assert len(found) == 4 * (len(COMPONENTS) + len(ON_DEMAND) + 2)
    for path in found:
        testing.verify_fixture(path, registry)
    assert registry.packs[-1].checks == len(COMPONENTS) + len(ON_DEMAND) + 2


def test_what_it_writes_is_tidy(every: tuple[Path, loader.Registry]) -> None:
    folder, _ = every
    for command in (("check", "--isolated", "--select", "E,F,N,UP,B"), ("format", "--isolated", "--check")):
        done = run("ruff", *command, "--line-length", "120", str(folder), cwd=folder)
        assert done.returncode == 0, done.stdout


def test_the_test_fails_with_its_check(every: tuple[Path, loader.Registry], tmp_path: Path) -> None:
    folder, registry = every
    source = folder / scaffold.TESTS / "fixtures/security.mine.first/pass.json"
    case = json.loads(source.read_text())
    case["facts"]["HttpFacts"]["root"]["seconds"] = 5
    changed = tmp_path / "security.mine.first/pass.json"
    changed.parent.mkdir()
    changed.write_text(json.dumps(case))
    with pytest.raises(AssertionError, match="expected pass, got fail"):
        testing.verify_fixture(changed, registry)


@pytest.mark.parametrize(
    ("id", "says"),
    [
        ("Security.mine", "is not an id"),
        ("security", "is not an id"),
        ("security.mine/../../x", "is not an id"),
        ("securty.mine", "did you mean 'security'?"),
        ("security.headers.csp", "is there already, at "),
        ("security.mine.first", "is there already, at "),
    ],
)
def test_what_is_no_new_id_is_refused(id: str, says: str, every: tuple[Path, loader.Registry]) -> None:
    folder, _ = every
    before = sorted(folder.rglob("*"))
    with pytest.raises(ConfigError) as caught:
        scaffold.scaffold(id, folder)
    assert says in str(caught.value)
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("path", ["security/mine_x.py", "_tests/fixtures/security.mine.x/pass.json"])
def test_nothing_is_overwritten(tmp_path: Path, path: str) -> None:
    there = tmp_path / path
    there.parent.mkdir(parents=True)
    there.write_text("'mine'\n" if path.endswith(".py") else "{}")
    with pytest.raises(ConfigError, match="is there already"):
        scaffold.scaffold("security.mine.x", tmp_path)
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [there]


def test_a_test_that_is_there_already_is_kept(tmp_path: Path) -> None:
    scaffold.scaffold("security.mine.x", tmp_path)
    test = tmp_path / scaffold.TESTS / scaffold.TEST_FILE
    test.write_text("# mine\n")
    assert test not in scaffold.scaffold("security.mine.y", tmp_path)
    assert test.read_text() == "# mine\n"


def test_a_folder_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def\n")
    with pytest.raises(PackError, match=r"broken\.py:1"):
        scaffold.scaffold("security.mine.x", tmp_path)


def test_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "checks").write_text("")
    with pytest.raises(ConfigError, match="cannot make"):
        scaffold.scaffold("security.mine.x", tmp_path / "checks")


def test_the_bundled_folder_and_a_copy_of_it_are_no_place_for_checks_of_ones_own(tmp_path: Path) -> None:
    copy = tmp_path / "checks"
    shutil.copytree(ROOT / "checks", copy)
    for folder in (copy, ROOT / "checks"):
        with pytest.raises(ConfigError, match=r"holds the bundled checks .yours go elsewhere: --dir mychecks"):
            scaffold.scaffold("security.mine.banner", folder)
    with pytest.raises(ConfigError, match=r"a copy of the bundled checks .they are loaded anyway"):
        loader.load([copy])
