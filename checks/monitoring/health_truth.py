"""Whether health tells the truth about the database and the cache."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from readiness.api import Absences, Finding, check, failed, maybe, not_applicable, passed, untested, warn, worst
from readiness.facts.base import Absent
from readiness.facts.mongodb import MongoFacts
from readiness.facts.redis import RedisFacts
from readiness.facts.service import Condition, DependencyKind, ServiceFacts

from . import _fixes
from ._health import dependencies, main, static

_NOISE = frozenset({
    "hello", "isMaster", "ismaster", "serverStatus", "buildInfo", "saslStart", "saslContinue", "authenticate", "info",
    "endSessions", "refreshSessions", "replSetHeartbeat", "replSetUpdatePosition", "replSetGetRBID", "getMore",
    "auth", "select", "client", "replconf", "psync", "command", "config", "publish",
})  # fmt: skip
"""What drivers, replicas and monitors send on their own."""
_ORDER: tuple[Condition, ...] = ("unknown", "good", "degraded", "bad")


@check(
    id="monitoring.health.truth",
    component="monitoring",
    severity="high",
    requires="monitoring.health.exists",
    fix="let readiness ask: await db.command({ping: 1}) and await redis.ping(), each with a timeout below one second",
    fixes=_fixes.HEALTH,
    effort="hours",
    reference="https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/#readiness-probe",
    verify="redis-cli -u $REDIS_URL INFO commandstats | grep ping  # before and after: curl -s https://HOST/health/ready",
)
def truth(
    service: ServiceFacts,
    mongo: MongoFacts | None,
    redis: RedisFacts | None,
    absences: Absences,
    *,
    sure_after_seconds: float = 5,
) -> Finding:
    """Health says of database and cache what they say of themselves, because it asks them.

    A health endpoint with a fixed answer is worse than none: it hides the outage. What it says is compared with what
    the systems told this audit, and while it was asked five times the systems' own counters of commands were watched.
    An answer that health remembers for some seconds is legitimate, so silence in a short window is only a warning.
    """
    if mongo is None and redis is None:
        if absences.database and absences.caching:
            return not_applicable(f"declared absent: {absences.database}", **absences.model_dump())
        return untested("set mongodb.uri or redis.url, to compare what health says with what they say")
    health = main(service)
    if static(health):
        observed = "Last-Modified or Accept-Ranges on the answer"
        return failed(f"{health.path[:40]} is a static file", observed=observed, expected="an answer made on request")
    seen: dict[str, _Seen] = {}
    if mongo is not None:
        seen["database"] = _gone(mongo) or _Seen("database", _mongo_down(mongo), *_mongo_window(mongo))
    if redis is not None:
        seen["cache"] = _gone(redis) or _Seen("cache", redis.not_ready, *_redis_window(redis))
    return worst({name: _judge(service, each, sure_after_seconds) for name, each in seen.items()}, what="systems")


@dataclass(frozen=True, slots=True)
class _Seen:
    """One system as it told the audit: why it is down, if it is, and what it was asked in a window of `seconds`."""

    kind: DependencyKind
    down: str
    seconds: float
    commands: Mapping[str, int] | None

    @property
    def pings(self) -> int:
        return (self.commands or {}).get("ping", 0)

    @property
    def calls(self) -> int:
        return sum(count for name, count in (self.commands or {}).items() if name not in _NOISE)


def _judge(service: ServiceFacts, seen: _Seen, sure_after: float) -> Finding:
    named = [entry.status for entry in dependencies(service).values() if entry.kind == seen.kind]
    claim = max(named, key=_ORDER.index, default=main(service).status)
    said = f"health says {claim}" if named else f"health says {claim} without naming it"
    if seen.down:
        observed, expected = f"{said}; {seen.down[:40]}", "health reports the failure"
        if claim in ("good", "unknown"):
            return failed(f"{said}, but {seen.down[:60]}", observed=observed, expected=expected)
        return passed("health reports the failure", observed=observed, expected=expected)
    expected = "health says good, and asks"
    if named and claim == "bad":
        return warn("health says bad, but it answers", observed=f"{said}; it answers", expected=expected)
    if seen.commands is None:
        if named:
            return passed(f"{said}, and it answers", observed=f"{said}; it answers", expected=expected)
        return warn(said, observed=said, expected=expected)
    return _asked(service, seen, said, sure=seen.seconds >= sure_after, named=bool(named))


def _asked(service: ServiceFacts, seen: _Seen, said: str, *, sure: bool, named: bool) -> Finding:
    """Whether health asked a system that is well. Of other commands than ping nobody knows who sent them."""
    asked = len(service.timing.seconds)
    observed = f"{said}; {seen.pings:,} pings and {seen.calls:,} commands during {asked} requests to health"
    expected = "health says good, and asks"
    if seen.pings:
        return passed(f"{said}, and pinged it {seen.pings:,} times", observed=observed, expected=expected)
    if named and seen.calls:
        return passed(f"{said}, and it answers", observed=observed, expected=expected)
    if not named and not (sure and seen.calls == 0):
        return warn(f"{said}, and does not ping it", observed=observed, expected=expected)
    if sure:
        return failed(f"{asked} requests to health asked it nothing", observed=observed, expected=expected)
    return warn(
        f"{asked} requests to health asked it nothing; a longer limits.window_seconds makes sure",
        observed=observed,
        expected=expected,
    )


def _gone(facts: MongoFacts | RedisFacts) -> _Seen | None:
    """A system that refuses connections, which is down; any other reason not to read it leaves open how it is."""
    why = next(iter(facts.__dict__.values()), None)
    if maybe(facts.reached) is not None or not isinstance(why, Absent):
        return None
    if why.privilege is not None or "connection refused" not in why.reason.lower():
        return None  # what is read of it next says why it could not be
    return _Seen("database" if isinstance(facts, MongoFacts) else "cache", "it refuses connections", 0.0, None)


def _mongo_down(mongo: MongoFacts) -> str:
    if not mongo.readable:
        return "no member answers"
    if mongo.topology == "replica_set" and maybe(lambda: mongo.primary) is None:
        return "the set has no primary"
    return ""


def _mongo_window(mongo: MongoFacts) -> tuple[float, Mapping[str, int] | None]:
    """The longest window of a member, and the commands of all members by name."""
    seconds = [maybe(lambda m=member: m.window_seconds) for member in mongo.readable]  # type: ignore[misc]
    counts = [maybe(lambda m=member: m.activity.by_command) for member in mongo.readable]  # type: ignore[misc]
    known = [count for count in counts if count is not None]
    total: Counter[str] = Counter()
    for count in known:
        total.update({name: int(entry.total) for name, entry in count.items()})
    return max((each for each in seconds if each is not None), default=0.0), total if known else None


def _redis_window(redis: RedisFacts) -> tuple[float, Mapping[str, int] | None]:
    commands = maybe(lambda: redis.window.commands_by_name)
    seconds = maybe(lambda: redis.window.seconds) or 0.0
    if commands is None:
        return seconds, None
    total: Counter[str] = Counter()
    for command in commands:
        total[command.name.partition("|")[0].lower()] += command.calls
    return seconds, total
