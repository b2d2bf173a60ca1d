"""The deployment as a drawing: the parts that the collected facts show, and those that production asks for.

It draws and does not judge: a part is there, is to be added or changed, or nothing is known of it. What could not be
seen is never drawn as missing. It stands among the facts because it speaks their words, which the engine does not.

A drawing is `{"flow": [[node, ...], ...]}`, tiers from the users down, and a node `{"role", "name", "detail", "state"}`
with one of the states below. Names and details come from the audited systems and are as hostile as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal, TypeVar

from readiness.facts.base import Facts, maybe
from readiness.facts.collected import Collected, Outcome
from readiness.facts.delivery import DeliveryFacts, Reply
from readiness.facts.edge import product
from readiness.facts.http import HttpFacts
from readiness.facts.mongodb import MongoFacts, MongoMember
from readiness.facts.prometheus import PrometheusFacts
from readiness.facts.redis import RedisFacts
from readiness.facts.service import ServiceFacts
from readiness.facts.stores import kind_of
from readiness.model import Architecture

State = Literal["present", "missing", "change", "unknown"]

PLATFORMS = {"self_managed": "MongoDB", "atlas": "MongoDB Atlas", "documentdb": "Amazon DocumentDB"}
SERVERS = {"redis": "Redis", "valkey": "Valkey", "keydb": "KeyDB", "dragonfly": "Dragonfly"}
PROCESS = "health pid"  # tells processes apart, which may share one instance
F = TypeVar("F", bound=Facts)


@dataclass(frozen=True, slots=True)
class Part:
    """One box."""

    role: str
    name: str
    detail: str = ""
    state: State = "present"


Pair = tuple[Part | None, Part | None]
"""The part as it is, and as it should be."""


def architecture(collected: Mapping[str, Collected], service: str, declined: Collection[str] = ()) -> Architecture:
    """The current and the recommended architecture of `service`, both empty where nothing was collected.

    `collected` is by the name of the facts. Components in `declined` were declared absent: no part is recommended for
    them.
    """
    if not any(entry.facts is not None for entry in collected.values()):
        return Architecture()
    known = _Known(collected)
    tiers = [
        [_clients(known)],
        [_edge(known)],
        [_balancer(known)],
        [_service(known, service)],
        [pair for id, pair in (("database", _database(known)), ("caching", _cache(known))) if id not in declined],
        [] if "monitoring" in declined else [_monitoring(known)],
    ]
    return Architecture(*({"flow": _flow(tiers, side)} for side in (0, 1)))


def _flow(tiers: Iterable[Iterable[Pair]], side: int) -> list[list[dict[str, str]]]:
    drawn = ([asdict(part) for pair in tier if (part := pair[side]) is not None] for tier in tiers)
    return [tier for tier in drawn if tier]


class _Known:
    """The facts by type; None where a system is not configured or could not be read."""

    def __init__(self, collected: Mapping[str, Collected]) -> None:
        self._collected = collected
        self.http = self._of(HttpFacts)
        self.delivery = self._of(DeliveryFacts)
        self.service = self._of(ServiceFacts)
        self.mongodb = self._of(MongoFacts)
        self.redis = self._of(RedisFacts)
        self.prometheus = self._of(PrometheusFacts)

    def _of(self, kind: type[F]) -> F | None:
        entry = self._collected.get(kind.__name__)
        facts = entry.facts if entry is not None else None
        return maybe(facts.reached) if isinstance(facts, kind) else None

    def unread(self, kind: type[Facts]) -> bool:
        """Whether such a system is configured and could not be read."""
        entry = self._collected.get(kind.__name__)
        return entry is not None and entry.outcome is not Outcome.NOT_CONFIGURED and self._of(kind) is None


def _clients(known: _Known) -> Pair:
    http = known.http
    base = None if http is None else maybe(lambda: http.base)
    if base is None:
        return None, None
    if base.startswith("https:"):
        return (same := Part("clients", "Clients", "HTTPS")), same
    return Part("clients", "Clients", "plain HTTP"), Part("clients", "Clients", "HTTPS", "change")


def _edge(known: _Known) -> Pair:
    delivery = known.delivery
    if delivery is None:
        return None, None
    seen = next(filter(None, map(product, _replies(delivery))), "")
    if seen:
        return (same := Part("edge", seen[0].upper() + seen[1:], "in front of the service")), same
    internal = known.http is not None and known.http.profile == "internal"
    assets = maybe(lambda: delivery.assets if delivery.page else 0)
    if not assets or internal:
        return None, None  # nothing that an edge could keep
    if maybe(lambda: delivery.foreign):
        return None, Part("edge", "CDN", "other hosts serve some assets", "unknown")
    return None, Part("edge", "CDN", "for scripts, styles and images", "missing")


def _replies(delivery: DeliveryFacts) -> Iterator[Reply]:
    if (repeated := maybe(lambda: delivery.repeated)) is not None:
        yield repeated
    for resource in maybe(lambda: delivery.resources) or ():
        if (plain := maybe(lambda each=resource: each.plain)) is not None:  # type: ignore[misc]
            yield plain


def _instances(known: _Known) -> int | None:
    """How many instances name themselves, or None where none does."""
    delivery = known.delivery
    named = (maybe(lambda: delivery.instances) if delivery is not None else None) or {}
    return max((len(names) for source, names in named.items() if source != PROCESS), default=None)


def _balancer(known: _Known) -> Pair:
    delivery = known.delivery
    if delivery is None:
        return None, None
    count = _instances(known)
    signs = maybe(lambda: delivery.balancers) or ()
    addresses = maybe(lambda: delivery.addresses) or 1
    if signs or addresses > 1 or (count or 0) > 1:
        detail = signs[0] if signs else f"{addresses} addresses" if addresses > 1 else "answers from several instances"
        return (same := Part("balancer", "Load balancer", detail)), same
    if count == 1:
        return None, Part("balancer", "Load balancer", "before several instances", "missing")
    return None, Part("balancer", "Load balancer", "leaves no sign in the answers", "unknown")


def _service(known: _Known, name: str) -> Pair:
    if known.http is None and known.delivery is None and known.service is None:
        return (same := Part("service", name or "Service", "not looked at", "unknown")), same
    count = _instances(known)
    if count is None:
        current = Part("service", name or "Service", "no instance names itself")
        return current, replace(current, detail="2 instances or more", state="unknown")
    current = Part("service", name or "Service", "1 instance" if count == 1 else f"{count} instances")
    return current, current if count > 1 else replace(current, detail="2 instances or more", state="change")


def _database(known: _Known) -> Pair:
    if known.unread(MongoFacts):
        return (same := Part("database", "MongoDB", "could not be read", "unknown")), same
    mongodb = known.mongodb
    if mongodb is None:
        named = _dependency(known, "database")
        return named, named
    name = PLATFORMS.get(maybe(lambda: mongodb.platform) or "", "MongoDB")
    members = maybe(lambda: mongodb.members) or ()
    version = next(filter(None, (maybe(lambda each=member: each.version) for member in members)), None)  # type: ignore[misc]
    full = f"{name} {version}" if version else name
    topology = maybe(lambda: mongodb.topology)
    if topology == "mongos":
        return (same := Part("database", full, "sharded cluster")), same
    if topology == "standalone":
        return Part("database", full, "standalone"), Part("database", name, "replica set, 3 members", "change")
    size = max((_set_size(member) for member in members), default=0)
    current = Part("database", full, "replica set, 1 member" if size == 1 else f"replica set, {size} members")
    managed = name != PLATFORMS["self_managed"]
    if size >= 3 or managed:
        return current, current
    return current, replace(current, detail="replica set, 3 members", state="change")


def _set_size(member: MongoMember) -> int:
    """How many members the set has in the eyes of this one, arbiters too."""
    lists = [
        maybe(lambda: member.hello.hosts),
        maybe(lambda: member.hello.passives),
        maybe(lambda: member.hello.arbiters),
    ]
    return max(1, sum(len(each or ()) for each in lists))


def _dependency(known: _Known, kind: str) -> Part | None:
    """A system that is known only because a health endpoint names it."""
    service = known.service
    for health in (maybe(lambda: service.health) if service is not None else None) or ():
        for dependency in maybe(lambda each=health: each.dependencies) or ():  # type: ignore[misc]
            if dependency.kind == kind:
                return Part(kind, dependency.name, "named by the health endpoint", "unknown")
    return None


def _cache(known: _Known) -> Pair:
    if known.unread(RedisFacts):
        return (same := Part("cache", "Redis or Valkey", "could not be read", "unknown")), same
    redis = known.redis
    if redis is None:
        return _reported_cache(known)
    server = maybe(lambda: redis.server)
    name = SERVERS.get(server.name, server.name) if server is not None else "Redis or Valkey"
    version = maybe(lambda: server.version) if server is not None else None
    current = Part("cache", f"{name} {version}" if version else name)
    if maybe(lambda: redis.cluster_enabled):
        return (same := replace(current, detail="cluster")), same
    if provider := maybe(lambda: redis.provider):
        return (same := replace(current, detail=f"managed: {provider}")), same
    replication = maybe(lambda: redis.replication)
    if replication is None:
        return (same := replace(current, detail="replication not readable")), replace(same, state="unknown")
    count = 1 if replication.role == "slave" else len(maybe(lambda: replication.replicas) or ())
    if count:
        return (same := replace(current, detail=f"primary and {count} replica{'s' * (count > 1)}")), same
    return replace(current, detail="no replica"), replace(current, detail="primary and replica", state="change")


def _reported_cache(known: _Known) -> Pair:
    """The cache that the service reports of itself, where none is configured."""
    service = known.service
    cache = maybe(lambda: service.cache) if service is not None else None
    store = maybe(lambda: cache.store) if cache is not None else None
    shared = Part("cache", "Redis or Valkey", "shared by all instances", "missing")
    if cache is None:
        named = _dependency(known, "cache")
        return (named, named) if named else (None, replace(shared, state="unknown"))
    if store is not None and kind_of(store) == "shared":
        return (same := Part("cache", store, "named by the service", "unknown")), same
    words = {"process": "In-memory cache", "disk": "Cache on disk"}
    name = words.get(kind_of(store)) if store is not None else None
    if name is None:
        return Part("cache", "Cache", "its kind is not known"), replace(shared, state="unknown")
    return Part("cache", name, "one in each instance"), shared


def _monitoring(known: _Known) -> Pair:
    if known.unread(PrometheusFacts):
        return (same := Part("monitoring", "Prometheus", "could not be read", "unknown")), same
    prometheus = known.prometheus
    if prometheus is None:
        return _reported_monitoring(known)
    version = maybe(lambda: prometheus.version)
    current = Part("monitoring", f"Prometheus {version}" if version else "Prometheus")
    listed = maybe(lambda: prometheus.alertmanagers)
    if listed or maybe(lambda: prometheus.alertmanager) is not None:
        return (same := replace(current, detail="with an Alertmanager")), same
    detail = "no Alertmanager" if listed is not None else "alerting not readable"
    wanted: State = "change" if listed is not None else "unknown"
    return replace(current, detail=detail), replace(current, detail="with an Alertmanager", state=wanted)


def _reported_monitoring(known: _Known) -> Pair:
    """What can be seen of monitoring from outside, where no Prometheus is configured."""
    service = known.service
    wanted = Part("monitoring", "Prometheus", "metrics, dashboards and alerts", "unknown")
    if service is None:
        return None, None
    vendors = maybe(lambda: (*service.tracking.vendors, *service.tracking.browser_vendors))
    if vendors:
        return (same := Part("monitoring", ", ".join(dict.fromkeys(vendors)), "seen in the answers")), same
    state = maybe(lambda: service.metrics.state)
    if state == "parsed":
        return Part("monitoring", "Metrics endpoint", "who reads it was not looked at"), wanted
    current = Part("monitoring", "Health endpoint", "no metrics") if maybe(lambda: service.health) else None
    return current, wanted if state is None else replace(wanted, state="missing")
