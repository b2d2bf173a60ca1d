"""The answer of a health endpoint read: its own word for its state, its dependencies, and what it should not tell.

Understood are the shapes of the IETF draft (application/health+json), Spring Boot, MicroProfile, ASP.NET, terminus,
the verbose text of Kubernetes, Mozilla's dockerflow, and plain words. Everything is walked under limits.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from readiness.facts.base import ABSENT
from readiness.facts.service import Condition, Dependency, DependencyKind

MAX_DEPENDENCIES = 100
MAX_DEPTH = 12
MAX_NODES = 5000

_WORDS: Mapping[Condition, frozenset[str]] = {
    "good": frozenset({
        "ok", "okay", "up", "pass", "passed", "passing", "healthy", "good", "true", "green", "alive", "ready",
        "running", "connected", "available", "success", "active", "online", "pong", "serving", "operational",
        "normal", "fine",
    }),
    "degraded": frozenset({"warn", "warning", "degraded", "yellow", "partial", "impaired", "out_of_service"}),
    "bad": frozenset({
        "down", "fail", "failed", "failing", "error", "unhealthy", "false", "critical", "red", "dead", "disconnected",
        "unavailable", "timeout", "offline", "ko", "not_ready", "unreachable", "broken",
    }),
}  # fmt: skip
_BADNESS: Mapping[Condition, int] = {"good": 0, "unknown": 1, "degraded": 2, "bad": 3}

_TOP = ("status", "health", "state", "overall", "overallStatus", "overall_status", "healthy", "ok", "ready", "success")
_STATUS = ("status", "state", "health", "healthy", "ok", "up", "alive", "connected", "available", "ready")
_ENVELOPES = ("data", "result", "payload", "response")
_GROUPS = (
    "checks", "components", "dependencies", "services", "entries", "details", "info", "error", "subsystems", "systems",
    "results", "indicators", "integrations", "probes",
)  # fmt: skip
_NO_DEPENDENCY = frozenset(
    {"cachestats", "cache_stats", "statistics", "stats", "uptime", "memory", "version", "timestamp"}
)

_KINDS: tuple[tuple[DependencyKind, re.Pattern[str]], ...] = (
    ("cache", re.compile(r"redis|cach|memcache|valkey|keydb|dragonfly", re.I)),
    (
        "database",
        re.compile(
            r"mongo|postgres|\bpg\b|sql|database|\bdb\b|(?:^|[_\W])db(?:$|[_\W])|datastore|storage|maria|cassandra|dynamo"
            r"|cockroach|elastic|r2dbc|hikari|prisma",
            re.I,
        ),
    ),
    (
        "external",
        re.compile(
            r"http|api|smtp|mail|(?:^|[_\W])s3(?:$|[_\W])|stripe|paypal|payment|extern|webhook|sms|twilio|sendgrid|oauth"
            r"|auth0|keycloak|upstream|third",
            re.I,
        ),
    ),
)

_MS_KEYS = ("responseTimeMs", "response_time_ms", "latencyMs", "latency_ms", "durationMs", "duration_ms", "time_ms")
_TIME_KEYS = ("responseTime", "response_time", "latency", "duration", "took", "elapsed", "pingTime", "rtt")
_UNITS = {"ms": 1.0, "millisecond": 1.0, "milliseconds": 1.0, "s": 1e3, "sec": 1e3, "second": 1e3, "seconds": 1e3}
_UNITS |= {"us": 1e-3, "µs": 1e-3, "microseconds": 1e-3, "ns": 1e-6, "nanoseconds": 1e-6}
_AMOUNT = re.compile(r"\s*(\d{1,12}(?:\.\d{1,12})?)\s*([a-zµ]{0,12})\s*", re.I)
_CLOCK = re.compile(r"(\d{1,4}):(\d\d):(\d\d(?:\.\d{1,9})?)")
_VERBOSE = re.compile(r"^\[([+-])\]\s*([\w./-]{1,80})", re.M)


@dataclass(frozen=True, slots=True)
class HealthBody:
    """`status` is our reading of `word`, which is as the service wrote it (shortened)."""

    status: Condition = "unknown"
    word: str = ""
    dependencies: tuple[Dependency, ...] = ()

    @property
    def recognised(self) -> bool:
        """Whether the body is about health at all."""
        return self.status != "unknown" or bool(self.dependencies)


def read(text: str, data: Any) -> HealthBody:
    """Reads a body; `data` is it as JSON, or None where it is none."""
    if isinstance(data, dict):
        return _document(data)
    if isinstance(data, list):
        found = tuple(_from_list(data))
        return HealthBody(_worst(found), "", found)
    if data is None:
        return _plain(text)
    return HealthBody(condition(data), str(data)[:40])


def condition(value: Any) -> Condition:
    """A word or a truth value as one of good, degraded, bad, unknown."""
    if isinstance(value, bool):
        return "good" if value else "bad"
    if not isinstance(value, str) or len(value) > 60:
        return "unknown"
    word = re.sub(r"[\s-]+", "_", value.strip().strip(".!").lower())
    return next((name for name, words in _WORDS.items() if word in words), "unknown")


def kind_of(name: str, component: Any = "") -> DependencyKind:
    """What sort of dependency a name, or a `componentType`, speaks of."""
    # camelCase falls apart into words, so that "userDb" is a database and "feedback" is not.
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    for kind, expression in _KINDS:
        if expression.search(words):
            return kind
    return "database" if component == "datastore" else "other"


def _plain(text: str) -> HealthBody:
    lines = _VERBOSE.findall(text)
    if lines:
        found = tuple(
            Dependency(name=name, kind=kind_of(name), status="good" if sign == "+" else "bad")
            for sign, name in lines[:MAX_DEPENDENCIES]
        )
        return HealthBody(_worst(found), "", found)
    return HealthBody(condition(text), text.strip()[:40])


def _document(data: dict[str, Any]) -> HealthBody:
    word, status = _top(data)
    if not any(name in data for name in (*_TOP[:3], *_GROUPS)):
        for name in _ENVELOPES:
            inner = data.get(name)
            if isinstance(inner, dict) and (_top(inner)[0] or any(group in inner for group in _GROUPS)):
                return _document({**inner, **dict.fromkeys(_ENVELOPES)})
    found = list(_dependencies(data))
    unique: dict[str, Dependency] = {}
    for dependency in found[: MAX_DEPENDENCIES * 2]:
        name = dependency.name
        unique[name] = _merge(unique[name], dependency) if name in unique else dependency
    unique.pop("", None)
    dependencies = tuple(unique.values())[:MAX_DEPENDENCIES]
    return HealthBody(status if word else _worst(dependencies), word, dependencies)


def _top(data: Mapping[str, Any]) -> tuple[str, Condition]:
    for name in _TOP:
        value = data.get(name)
        if isinstance(value, dict):
            value = value.get("status")
        if isinstance(value, (str, bool)):
            return str(value)[:40], condition(value)
    return "", "unknown"


def _dependencies(data: Mapping[str, Any], depth: int = 0) -> Iterator[Dependency]:
    grouped = False
    for group in _GROUPS:
        inside = data.get(group)
        if isinstance(inside, dict) and (depth or group not in ("error", "details") or _looks_grouped(inside)):
            grouped = True
            yield from _from_dict(inside, depth)
        elif isinstance(inside, list):
            grouped = True
            yield from _from_list(inside)
    if depth:
        return
    for name, value in list(data.items())[:MAX_DEPENDENCIES]:
        if name in _TOP or name in _GROUPS or name.lower() in _NO_DEPENDENCY:
            continue
        told = _told(value) if isinstance(value, dict) else condition(value)
        # A bare word at the top counts only where its name is that of a dependency; a bare truth if nothing is grouped.
        named = isinstance(value, dict) or kind_of(name) != "other" or (isinstance(value, bool) and not grouped)
        if told != "unknown" and named:
            yield _dependency(name, value)


def _looks_grouped(inside: Mapping[str, Any]) -> bool:
    return any(isinstance(value, dict) and _told(value) != "unknown" for value in inside.values())


def _from_dict(group: Mapping[str, Any], depth: int) -> Iterator[Dependency]:
    for name, value in list(group.items())[:MAX_DEPENDENCIES]:
        base, _, measurement = name.partition(":")
        if isinstance(value, list):
            for entry in value[:10]:
                if isinstance(entry, dict):
                    yield _dependency(base, entry, measurement)
        elif isinstance(value, (dict, str, bool)):
            if isinstance(value, dict) and depth < 2 and isinstance(value.get("components"), dict):
                yield from _dependencies(value, depth + 1)
            yield _dependency(base or name, value, measurement)


def _from_list(group: list[Any]) -> Iterator[Dependency]:
    for entry in group[:MAX_DEPENDENCIES]:
        if isinstance(entry, dict):
            names = (entry.get(key) for key in ("name", "id", "component", "service"))
            name = next((name for name in names if isinstance(name, str)), "")
            if name:
                yield _dependency(name, entry)


def _told(value: Mapping[str, Any]) -> Condition:
    for name in _STATUS:
        if isinstance(value.get(name), (str, bool)):
            return condition(value[name])
    return "unknown"


def _dependency(name: str, value: Any, measurement: str = "") -> Dependency:
    inside = value if isinstance(value, dict) else {}
    taken = response_ms(inside, measurement) if inside else None
    return Dependency(
        name=name[:80],
        kind=kind_of(name, inside.get("componentType", "")),
        status=_told(inside) if inside else condition(value),
        response_ms=ABSENT if taken is None else taken,
    )


def _merge(one: Dependency, other: Dependency) -> Dependency:
    """One dependency reported several times: the worse state, and the time of whichever gives one."""
    worse = max(one, other, key=lambda d: _BADNESS[d.status] if d.status != "unknown" else -1)
    times = [d.response_ms for d in (one, other) if isinstance(d.__dict__["response_ms"], float)]
    return one.model_copy(update={"status": worse.status, "response_ms": times[0] if times else ABSENT})


def _worst(dependencies: tuple[Dependency, ...]) -> Condition:
    return max((d.status for d in dependencies), key=lambda status: _BADNESS[status], default="unknown")


def response_ms(value: Mapping[str, Any], measurement: str = "") -> float | None:
    """The response time that one dependency reports, in milliseconds; a number without a unit is taken for those."""
    if "observedValue" in value and (
        re.search(r"time|latency|duration", measurement, re.I) or str(value.get("observedUnit")).lower() in _UNITS
    ):
        return amount_ms(value["observedValue"], str(value.get("observedUnit") or "ms"))
    for name in (*_MS_KEYS, *_TIME_KEYS):
        if name in value:
            return amount_ms(value[name], "ms")
    for name in ("details", "data", "info"):
        inner = value.get(name)
        if isinstance(inner, dict) and any(key in inner for key in (*_MS_KEYS, *_TIME_KEYS)):
            return response_ms({key: inner[key] for key in (*_MS_KEYS, *_TIME_KEYS) if key in inner})
    return None


def amount_ms(value: Any, unit: str) -> float | None:
    """12, "12 ms", "1.2s" or "00:00:00.012" in milliseconds; None where it is none of these."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        try:
            number = float(value) * _UNITS.get(unit.lower(), 1.0)
        except OverflowError:
            return None
        return number if math.isfinite(number) and number >= 0 else None
    if not isinstance(value, str) or len(value) > 40:
        return None
    clock = _CLOCK.fullmatch(value.strip())
    if clock:
        return (int(clock[1]) * 3600 + int(clock[2]) * 60 + float(clock[3])) * 1000
    amount = _AMOUNT.fullmatch(value)
    return float(amount[1]) * _UNITS.get(amount[2].lower() or unit.lower(), 1.0) if amount else None


_DISCLOSURES: Mapping[str, re.Pattern[str]] = {
    "credentials": re.compile(
        r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"']{1,100}:[^\s/@\"'*]{1,200}@|\bAKIA[0-9A-Z]{16}\b"
        r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY"
        r"|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}"
        r"|\"[\w-]{0,40}(?:password|passwd|secret|api_?key|access_?key|private_?key)\"\s*:\s*\"(?!\**\"|<|\[?redacted)[^\"]",
        re.I,
    ),
    "environment variables": re.compile(
        r"\"(?:PATH|HOME|PWD|HOSTNAME|NODE_ENV|DATABASE_URL|REDIS_URL|MONGO\w{0,20}|JWT_\w{1,20}|AWS_\w{1,40}"
        r"|npm_\w{1,40})\"\s*:"
    ),
    "stack trace": re.compile(
        r"Traceback \(most recent call last\)|\bat [^\n\"()]{1,200}\([^\n\"()]{1,200}:\d+:\d+\)"
        r"|File \\?\"[^\"\n]{1,300}\\?\", line \d|\.(?:java|kt|go|rb|php):\d+"
    ),
    "file path": re.compile(
        r"(?<![\w.:/])/(?:home|usr|var|opt|srv|root|etc|Users|app|mnt)/[\w.@-]{1,80}(?:/[\w.@-]{1,80}|\.\w{1,5})"
        r"|node_modules/|site-packages/|\b[A-Z]:\\\\?[\w ]{1,60}\\"
    ),
    "version": re.compile(
        r"\"(?:\w{0,30}version|node|nodejs|python|go|java|release|build|commit|revision)\"\s*:\s*\"v?\d[\w.+-]{1,40}\"",
        re.I,
    ),
    "internal address": re.compile(
        r"(?<![\d.])(?:10\.\d{1,3}|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d{1,3}\.\d{1,3}(?![\d.])"
        r"|\"(?:host|hostname|server|serverName|podName|pod)\"\s*:\s*\"[\w.-]{1,100}\"|[\w-]{1,60}\.(?:svc|internal|local)\b",
        re.I,
    ),
}


def disclosed(text: str) -> tuple[str, ...]:
    """The names of the patterns found in a body; never what matched."""
    return tuple(name for name, expression in _DISCLOSURES.items() if expression.search(text))


def digest(text: str, data: Any) -> str:
    """Equal for answers of the same structure: keys and types of JSON, the words of a text, without its numbers."""
    shape = "|".join(_shape(data)) if isinstance(data, (dict, list)) else re.sub(r"\d+", "0", text.strip()[:4000])
    return hashlib.sha256(shape.encode("utf-8", "replace")).hexdigest()[:16]


def _shape(data: Any) -> Iterator[str]:
    waiting: list[tuple[str, Any, int]] = [("", data, 0)]
    for _ in range(MAX_NODES):
        if not waiting:
            return
        path, value, depth = waiting.pop()
        if isinstance(value, dict) and depth < MAX_DEPTH:
            waiting += [(f"{path[-200:]}.{key[:80]}", value[key], depth + 1) for key in sorted(value)[:200]]
        elif isinstance(value, list) and depth < MAX_DEPTH and value:
            waiting.append((f"{path[-200:]}[]", value[0], depth + 1))
        else:
            yield f"{path}:{type(value).__name__}"
