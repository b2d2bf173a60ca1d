"""Parts of `MongoMember` around the server itself: its host's load, the profiler, backups, and the cluster's shards."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field

from readiness.facts.base import ABSENT, Fact, Facts

Count = Annotated[int, Field(ge=0, lt=2**63)]
Share = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, AfterValidator(lambda text: text[:300])]


class HostLoad(Facts):
    """What mongod itself records of its machine, from two samples `seconds` apart, each at most a second old.

    `cpu_busy` and `io_wait` are shares of all cores between the samples, `memory_available` a share of the memory,
    `pages_swapped_in` counts between the samples. In a container these are the figures of its host.
    """

    seconds: Annotated[float, Field(ge=0)]
    cpu_busy: Fact[Share] = ABSENT
    io_wait: Fact[Share] = ABSENT
    memory_available: Fact[Share] = ABSENT
    pages_swapped_in: Fact[Count] = ABSENT


class Profiling(Facts):
    """The profiler of one database. `level`: 0 off, 1 slow operations, 2 every operation."""

    database: Text
    level: Annotated[int, Field(ge=0, le=2)]
    slow_ms: Fact[int] = ABSENT
    sample_rate: Fact[Share] = ABSENT


class Backups(Facts):
    """Backups as far as the database shows them: `pbm` is whether Percona Backup keeps its records here.

    `last_done` is None where its records name none that was finished.
    """

    pbm: bool = False
    last_done: Fact[AwareDatetime | None] = ABSENT


class Router(Facts):
    """A mongos that has registered itself, and how many seconds ago it last did, by the clock of the server."""

    name: Text
    seen_seconds_ago: float


class Shard(Facts):
    """One shard, with the bytes of the sharded collections on it."""

    name: Text
    data_bytes: Count
