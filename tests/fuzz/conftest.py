"""A run of minutes needs more than the usual time-out."""

from __future__ import annotations

import pytest

from .fuzzing import SECONDS


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/fuzz/" in item.path.as_posix():
            item.add_marker(pytest.mark.timeout(SECONDS + 300))
