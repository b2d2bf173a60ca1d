"""Reads a server with the Redis probe, and judges what it found with the caching checks: for tests."""

from __future__ import annotations

import asyncio
from typing import Any

from readiness import judge, loader, scoring
from readiness.facts.collected import Collected, Outcome
from readiness.facts.redis import RedisFacts
from readiness.model import Finding, Status
from readiness.probes.redis import read_redis
from readiness.settings import Limits, RedisSettings, Settings
from readiness.spec import Context
from readiness.window import Window

REGISTRY = loader.load()
CHECKS = {id: spec for id, spec in REGISTRY.checks.items() if id.startswith("caching.")}
SECONDS = 0.5

# What a server on loopback without any configuration, and without traffic, is told.
IDLE = {
    "caching.usage.not_idle": Status.WARN,
}
PLAIN = {
    "caching.memory.limit": Status.FAIL,
    "caching.memory.policy": Status.WARN,
    "caching.ha.replicas": Status.WARN,
    "caching.ha.failover": Status.WARN,
    "caching.security.auth": Status.WARN,
}


def collect(url: str, *, seconds: float = SECONDS, wait: float = 5, **settings: Any) -> RedisFacts:
    context = Context(Window(seconds, 1), Limits(request_seconds=wait), "readiness/test", "rdy-0123456789ab")
    facts = asyncio.run(read_redis(RedisSettings(url=url, **settings), context))
    assert RedisFacts.from_json(facts.to_json()) == facts
    return facts


def judged(facts: RedisFacts) -> dict[str, Finding]:
    collection = {kind: Collected(Outcome.NOT_CONFIGURED, needs=spec.needs) for kind, spec in REGISTRY.probes.items()}
    collection[RedisFacts] = Collected(Outcome.COLLECTED, facts)
    results = judge.judge(CHECKS, collection, Settings(), {})
    findings = {result.spec.id: result.finding for result in results}
    broken = {id: finding.message for id, finding in findings.items() if "check itself failed" in finding.message}
    assert not broken
    return findings


def wrong(facts: RedisFacts) -> dict[str, Status]:
    """Every check that is neither pass nor outside the score."""
    fine = (Status.PASS, Status.NOT_APPLICABLE, Status.UNTESTED)
    return {id: finding.status for id, finding in judged(facts).items() if finding.status not in fine}


def score(facts: RedisFacts) -> float:
    """The published score of the component."""
    items = [
        scoring.Item(id, "caching", CHECKS[id].severity, finding.status, finding.credit)
        for id, finding in judged(facts).items()
    ]
    exact = scoring.component(items).score
    assert exact is not None
    return scoring.published(exact)
