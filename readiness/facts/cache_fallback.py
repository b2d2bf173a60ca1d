"""How the service does without its cache."""

from __future__ import annotations

from readiness.facts.base import ABSENT, Fact, Facts


class Attempt(Facts):
    """One GET to the instance without a cache. `status` is 0, and `seconds` the wait, where no answer came."""

    path: str
    status: int = 0
    seconds: float = 0.0


class CacheFallbackFacts(Facts):
    """The answers of the instance at redis.without_url; that its cache is off is the user's word."""

    url: str = ""
    attempts: Fact[tuple[Attempt, ...]] = ABSENT
