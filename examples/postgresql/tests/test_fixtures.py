"""Every check has a fixture for each verdict that it can return, and one for `error`: `pytest examples/postgresql`."""

from __future__ import annotations

from pathlib import Path

import pytest
import readiness_postgresql

from readiness.testing import cases, lacking, load, verify_fixture

FIXTURES = Path(__file__).parent / "fixtures"
PACK = Path(readiness_postgresql.__file__).parent
REGISTRY = load()


@pytest.mark.parametrize("path", cases(FIXTURES), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_fixture(path: Path) -> None:
    verify_fixture(path, REGISTRY)


def test_every_check_has_its_fixtures() -> None:
    assert not lacking(FIXTURES, REGISTRY, pack=PACK)
