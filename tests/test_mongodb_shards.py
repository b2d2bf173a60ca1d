"""The shards of a cluster by name, without a server: no package carries a mongos."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from readiness.facts.base import Absent, absent
from readiness.probes.mongodb_connect import permit
from readiness.probes.mongodb_read import shard_names


class Canned:
    def __init__(self, answer: Any) -> None:
        self._answer = answer

    async def ask(self, command: dict[str, Any], database: str = "admin") -> Any:
        permit(command, database)
        return self._answer


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        ({"shards": [{"_id": "rs0", "host": "rs0/a:27018", "state": 1}, {"_id": "rs1"}]}, ["rs0", "rs1"]),
        ({"shards": []}, []),
        ({"shards": [{"host": "x"}]}, None),
        ({"shards": {"_id": "x"}}, None),
        ({}, None),
        (absent("not authorized", "clusterMonitor"), None),
    ],
)
def test_the_names_of_all_shards(answer: Any, names: list[str] | None) -> None:
    found = asyncio.run(shard_names(Canned(answer)))  # type: ignore[arg-type]
    assert isinstance(found, Absent) if names is None else found == names
