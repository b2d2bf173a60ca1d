"""Services and one run over them, for all tests of fleets."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .clusters import readiness, services, write_fleet


@pytest.fixture(scope="session")
def ports() -> Iterator[list[int]]:
    """Of twelve services that differ in everything."""
    with services(12) as found:
        yield found


@dataclass(frozen=True)
class Run:
    """What `readiness fleet` did: the folder with its outputs, its process, and the overview."""

    folder: Path
    done: subprocess.CompletedProcess[str]
    overview: dict[str, Any]

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        return {row["name"]: row for row in self.overview["deployments"]}


@pytest.fixture(scope="session")
def local(ports: list[int], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All services, audited from here."""
    folder = tmp_path_factory.mktemp("fleet")
    file = write_fleet(folder / "fleet.yaml", ports)
    data = folder / "out.json"
    gate = ("--fail-under", "8", "--min-coverage", "5")
    done = readiness("fleet", file, "-o", folder / "out.html", "-o", data, *gate)
    assert done.returncode == 1, done.stderr
    return Run(folder, done, json.loads(data.read_text()))
