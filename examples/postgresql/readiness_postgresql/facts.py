"""What the probe learned of one PostgreSQL server."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field

from readiness.api import ABSENT, Fact, FactMissing, Facts

Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]

FEWEST_ACCESSES = 1000
"""Fewer in the window say nothing of the cache."""


class PostgreSQLFacts(Facts):
    """One server, and the databases on it.

    `version` is as the server writes it, such as "15.4". Sessions are those of clients, without the auditor's own.
    `oldest_transaction` is the age of the longest one that runs, 0 where there is none, and `idle_in_transaction` that
    of the longest that does nothing. `frozen_age` is the age of the oldest transaction id that is not frozen, in
    transactions. `blocks_hit` and `blocks_read` were counted over the quiet window of `window_seconds`. `remote` counts
    sessions over a network, `unencrypted` those of them without TLS.
    """

    now: AwareDatetime
    version: Fact[str] = ABSENT
    in_recovery: Fact[bool] = ABSENT
    sessions: Fact[Count] = ABSENT
    sessions_limit: Fact[Count] = ABSENT
    oldest_transaction: Fact[Seconds] = ABSENT
    idle_in_transaction: Fact[Seconds] = ABSENT
    remote: Fact[Count] = ABSENT
    unencrypted: Fact[Count] = ABSENT
    frozen_age: Fact[Count] = ABSENT
    freeze_max_age: Fact[Count] = ABSENT
    fsync: Fact[bool] = ABSENT
    full_page_writes: Fact[bool] = ABSENT
    synchronous_commit: Fact[str] = ABSENT
    window_seconds: Fact[Seconds] = ABSENT
    blocks_hit: Fact[Count] = ABSENT
    blocks_read: Fact[Count] = ABSENT

    @property
    def accesses(self) -> int:
        """Blocks that were needed in the window."""
        return self.blocks_hit + self.blocks_read

    @property
    def hit_rate(self) -> float:
        """The share of them that was in memory. Raises FactMissing where they are too few."""
        if self.accesses < FEWEST_ACCESSES:
            reason = f"{self.accesses} blocks were needed in the window, {FEWEST_ACCESSES} are needed to judge"
            raise FactMissing("PostgreSQLFacts.hit_rate", reason)
        return self.blocks_hit / self.accesses
