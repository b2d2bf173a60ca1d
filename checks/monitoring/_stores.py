"""Which stores the service has, as far as this audit can know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from readiness.api import Absences, Finding, MongoDBSettings, RedisSettings, maybe, not_applicable, untested
from readiness.facts.service import ServiceFacts
from readiness.facts.stores import kind_of

Store = Literal["database", "cache"]

UNKNOWN = "which stores it has is not known: set mongodb.uri or redis.url, or declare components absent"


@dataclass(frozen=True, slots=True)
class Stores:
    """`known` are those that the configuration or the service itself names, `absent` those declared not to be there."""

    known: tuple[Store, ...]
    absent: dict[Store, str]

    def without(self, *wanted: Store) -> Finding | None:
        """What becomes of a check that looks for signs of any of `wanted`, or None where it can judge."""
        if any(store in self.known for store in wanted):
            return None
        if all(store in self.absent for store in wanted):
            reasons = {store: self.absent[store] for store in wanted}
            return not_applicable(f"declared absent: {next(iter(reasons.values()))}", **reasons)
        return untested(UNKNOWN)


def stores(service: ServiceFacts, absences: Absences, mongodb: MongoDBSettings, redis: RedisSettings) -> Stores:
    """The stores of a service; what is declared absent is not known, whatever else names it."""
    declared: dict[Store, str] = {"database": absences.database, "cache": absences.caching}
    absent = {store: reason for store, reason in declared.items() if reason}
    listed = {entry.kind for health in maybe(lambda: service.health) or () for entry in health.dependencies}
    named: dict[Store, bool] = {
        "database": bool(mongodb.uri or mongodb.app_uri or mongodb.options)
        or maybe(lambda: service.metrics.database) is not None,
        "cache": bool(redis.url or redis.app_url)
        or maybe(lambda: service.metrics.cache) is not None
        or kind_of(maybe(lambda: service.cache.store) or "") == "shared",
    }
    known = tuple(store for store, sign in named.items() if (sign or store in listed) and store not in absent)
    return Stores(known, absent)
