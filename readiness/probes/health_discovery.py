"""Health endpoints found: the configured one, then the usual paths, four at a time, until each kind is known."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from readiness.facts.base import absent
from readiness.facts.exchange import Exchange
from readiness.facts.service import Health, HealthKind
from readiness.probes import health_body
from readiness.probes.polite import Found, Polite
from readiness.probes.soft404 import Baseline

MAX_CANDIDATES = 20
KEPT_HEADERS = frozenset({
    "content-type", "cache-control", "age", "x-cache", "cache-status", "cf-cache-status", "last-modified",
    "accept-ranges", "etag", "expires", "retry-after", "allow", "vary", "date",
})  # fmt: skip

_FIRST: tuple[tuple[str, HealthKind], ...] = (
    ("/health", "general"),
    ("/health/ready", "readiness"),
    ("/health/live", "liveness"),
    ("/healthz", "general"),
    ("/readyz", "readiness"),
    ("/livez", "liveness"),
    ("/ready", "readiness"),
    ("/live", "liveness"),
    ("/actuator/health", "general"),
    ("/api/health", "general"),
    ("/healthcheck", "general"),
    ("/status", "general"),
)
_BELOW: tuple[tuple[str, tuple[tuple[str, HealthKind], ...]], ...] = (
    ("/actuator/health", (("/readiness", "readiness"), ("/liveness", "liveness"))),
    ("/health", (("/readiness", "readiness"), ("/liveness", "liveness"), ("/startup", "startup"))),
    ("/healthz", (("/ready", "readiness"), ("/live", "liveness"))),
    ("/api/health", (("/ready", "readiness"), ("/live", "liveness"))),
)
_RARE: tuple[tuple[str, HealthKind], ...] = (
    ("/q/health/ready", "readiness"),
    ("/q/health/live", "liveness"),
    ("/-/ready", "readiness"),
    ("/-/healthy", "liveness"),
    ("/ping", "liveness"),
    ("/__heartbeat__", "general"),
    ("/server/health", "general"),
    ("/v1/__heartbeat__", "general"),
)
_WORDS_ONLY = frozenset({"/status", "/ready", "/live", "/ping"})
"""Paths that a service may well use for something else: there the body must speak of health."""


@dataclass(slots=True)
class HealthSearch:
    """What was found. `documents` are all JSON answers seen on the way, by path."""

    configured: bool = False
    health: dict[HealthKind, Health] = field(default_factory=dict)
    tried: dict[str, int] = field(default_factory=dict)
    documents: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def refused(self) -> list[str]:
        return [path for path, status in self.tried.items() if status in (401, 403)]

    def facts(self, baseline: Baseline) -> Any:
        """The value of `ServiceFacts.health`."""
        if self.health:
            return tuple(self.health.values())
        credentials = "credentials for the health endpoint in http.headers"
        if baseline.walled:
            return absent("every path, even a random one, asks for credentials", credentials)
        if self.refused:
            return absent(f"{self.refused[0]} answers {self.tried[self.refused[0]]}", credentials)
        silent = [path for path, status in self.tried.items() if status == 0]
        if silent and not self.configured:
            return absent(f"{len(silent)} of {len(self.tried)} usual health paths gave no answer in time")
        return ()


async def discover(polite: Polite, baseline: Baseline, configured: str | None, mark: str) -> HealthSearch:
    """Looks for one endpoint of each kind.

    Args:
        configured: `http.health`, which wins over everything discovered.
        mark: a random word, for a path below a health endpoint that cannot exist.
    """
    search = HealthSearch(configured=configured is not None)
    origin = ""
    if configured:
        if configured.startswith("http"):
            parts = urlsplit(configured)
            origin = f"{parts.scheme}://{parts.netloc}"
        await _look(polite, baseline, search, [(configured, _kind(configured))], given=True)
    await _look(polite, baseline, search, [(origin + path, kind) for path, kind in _FIRST])
    await _look(polite, baseline, search, _second(search, origin, polite.url("/")))
    await _unmount(polite, baseline, search, mark)
    return search


def _kind(path: str) -> HealthKind:
    last = urlsplit(path).path.lower()
    if "ready" in last or "readiness" in last:
        return "readiness"
    if "live" in last or "alive" in last:
        return "liveness"
    return "startup" if "start" in last else "general"


def _second(search: HealthSearch, origin: str, root: str) -> list[tuple[str, HealthKind]]:
    """Paths worth a second round: those below what was found, or the rare ones where nothing was."""
    wanted: list[tuple[str, HealthKind]] = []
    found = {health.path.removeprefix(origin) for health in search.health.values()}
    for base, children in _BELOW:
        if base in found:
            wanted += [(origin + base + path, kind) for path, kind in children]
    if search.health:
        wanted.append((origin + "/startupz", "startup"))
    else:
        parts = urlsplit(root)
        if parts.path.strip("/") and not origin:  # the service lies below a path; its health may lie at the top
            top = f"{parts.scheme}://{parts.netloc}"
            wanted += [(top + path, kind) for path, kind in _FIRST[:5]]
        wanted += [(origin + path, kind) for path, kind in _RARE]
    left = MAX_CANDIDATES - len(_FIRST)
    return [(path, kind) for path, kind in wanted if kind not in search.health and path not in search.tried][:left]


async def _look(
    polite: Polite,
    baseline: Baseline,
    search: HealthSearch,
    candidates: Iterable[tuple[str, HealthKind]],
    *,
    given: bool = False,
) -> None:
    wanted = [(path, kind) for path, kind in candidates if path not in search.tried and kind not in search.health]
    answers = await asyncio.gather(*(_ask(polite, baseline, path) for path, _ in wanted))
    for (path, kind), found in zip(wanted, answers, strict=True):
        search.tried[path] = found.status
        if found.exchange is None:
            continue
        data = found.exchange.parsed()
        if isinstance(data, (dict, list)) and found.exchange.status in (200, 503):
            search.documents.append((path, data))
        health = _health(path, kind, found.exchange, data, strict=not given and (baseline.soft or _word_only(path)))
        if health is not None and kind not in search.health:
            search.health[kind] = health


async def _ask(polite: Polite, baseline: Baseline, path: str) -> Found:
    # No query to get past caches: terminus compares the whole target, and balancers send none either.
    headers = {"Accept": "application/json, text/plain;q=0.8, */*;q=0.1", "Cache-Control": "no-cache"}
    return await polite.find(path, baseline, headers=headers)


def _word_only(path: str) -> bool:
    return urlsplit(path).path in _WORDS_ONLY


def _health(path: str, kind: HealthKind, exchange: Exchange, data: Any, *, strict: bool) -> Health | None:
    """The endpoint as facts, or None where the answer is about something else."""
    body = health_body.read(exchange.body, data)
    answered = exchange.ok or exchange.status == 503 or (exchange.status >= 500 and body.status == "bad")
    empty = exchange.size == 0 and exchange.ok
    if not answered or (exchange.media_type == "text/html" and not body.recognised):
        return None
    if strict and not (body.recognised or empty):
        return None
    return Health(
        kind=kind,
        path=path,
        exchange=small(exchange),
        status=body.status,
        word=body.word,
        dependencies=body.dependencies,
        disclosed=health_body.disclosed(exchange.body),
        digest=health_body.digest(exchange.body, data),
    )


def small(exchange: Exchange) -> Exchange:
    """The exchange without its body, which may hold the service's secrets, and with few headers."""
    headers = tuple((name, value[:200]) for name, value in exchange.headers if name.lower() in KEPT_HEADERS)
    return exchange.model_copy(update={"body": "", "headers": headers})


async def _unmount(polite: Polite, baseline: Baseline, search: HealthSearch, mark: str) -> None:
    """Drops what only a prefix made: a handler mounted at /health answers /health/anything alike."""
    general = search.health.get("general")
    below = [
        kind
        for kind, health in search.health.items()
        if general and health.path.startswith(general.path + "/") and health.digest == general.digest
    ]
    if not general or not below:
        return
    found = await _ask(polite, baseline, f"{general.path}/{mark}")
    if found.exchange and health_body.digest(found.exchange.body, found.exchange.parsed()) == general.digest:
        for kind in below:
            del search.health[kind]
