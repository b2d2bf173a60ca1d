"""Options and fixtures of every test."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden from what is rendered now")


def pytest_configure(config: pytest.Config) -> None:
    """Lets the hundreds of commands that tests start share their bytecode where none may lie beside the sources."""
    cache = getattr(config, "cache", None)  # which -p no:cacheprovider takes away
    if cache is not None and os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        os.environ.setdefault("PYTHONPYCACHEPREFIX", str(cache.mkdir("bytecode")))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares text with tests/golden/NAME; `pytest --update-golden` writes it anew."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden", default=False):
            path.write_text(text, encoding="utf-8")
        expected = path.read_text(encoding="utf-8")
        if text != expected:
            difference = difflib.unified_diff(
                expected.splitlines(), text.splitlines(), "golden", "rendered", lineterm=""
            )
            pytest.fail(
                f"{name} differs; --update-golden accepts it\n" + "\n".join(list(difference)[:60]), pytrace=False
            )

    return compare
