"""The pages are what the code says now, the site builds from them, and what they tell authors to do works."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from readiness import loader, testing

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_fresh(generate: ModuleType, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden", default=False):
        generate.main()
    stale = generate.stale()
    assert not stale, f"{len(stale)} pages are not what the code says; run: python docs/generate.py ({stale[:5]})"


def test_every_check_has_a_page_that_says_what_explain_says(generate: ModuleType) -> None:
    pages = generate.pages()
    for id, spec in loader.load().checks.items():
        page = pages[f"checks/{id}.md"]
        for text in (spec.fix, spec.verify, spec.reference, spec.severity.value):
            assert text.strip() in page
        assert spec.settings.keys() <= set(re.findall(r"\w+", page))
        assert f"({id}.md)" in pages["checks/index.md"]


def test_text_means_nothing_to_markdown(generate: ModuleType) -> None:
    text = "A `*` and <b>, [x](y) & 1*2*3 | 4\\5"
    assert generate._prose(text) == "A `*` and &lt;b>, \\[x\\](y) &amp; 1\\*2\\*3 | 4\\\\5"
    assert generate._cell("a | b") == "a \\| b"
    assert list(generate._code("text", "```\nx")) == ["````text", "```\nx", "````", ""]


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    built = {path.parent.name for path in (tmp_path / "site/checks").glob("*/index.html")}
    assert built == set(loader.load().checks)
    page = (tmp_path / "site/index.html").read_text()
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"(?:https?:)?//", page), "it fetches from nobody"


def test_the_example_for_authors_works(tmp_path: Path) -> None:
    text = (ROOT / "docs/own-checks.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    [fixture] = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/banner.py").write_text(code)
    registry = loader.load([tmp_path / "mine"])
    case = tmp_path / "security.mine.banner/error.json"
    case.parent.mkdir()
    case.write_text(fixture)
    testing.verify_fixture(case, registry)
    root = {"method": "GET", "url": "https://shop.example.com", "status": 200, "headers": [["Server", "nginx/1.22"]]}
    case.write_text(json.dumps({"facts": {"HttpFacts": {"base": "https://shop.example.com", "root": root}}}))
    assert testing.judge_fixture(case, registry).message == "the Server header is nginx/1.22"


def test_commands_in_the_pages_exist() -> None:
    """Every command that a hand-written page names is one of the tool's."""
    known = set(re.findall(r"^## ([a-z-]+)$", (ROOT / "docs/commands.md").read_text(), re.MULTILINE))
    for name in ("docs/index.md", "docs/own-checks.md", "CONTRIBUTING.md", "examples/postgresql/README.md"):
        text = (ROOT / name).read_text()
        used = set(re.findall(r"(?m)^readiness ([a-z-]+)|`readiness ([a-z-]+)", text))
        assert {first or second for first, second in used} <= known, name
