"""Which health endpoint answers which question."""

from __future__ import annotations

from readiness.facts.service import Dependency, Health, HealthKind, ServiceFacts


def endpoint(service: ServiceFacts, kind: HealthKind) -> Health | None:
    """The endpoint of that kind, or None."""
    return next((health for health in service.health if health.kind == kind), None)


def judging(service: ServiceFacts) -> list[Health]:
    """The endpoints that are allowed to ask dependencies: readiness and general ones, or whatever else there is."""
    return [health for health in service.health if health.kind in ("readiness", "general")] or list(service.health)


def dependencies(service: ServiceFacts) -> dict[str, Dependency]:
    """Everything that those endpoints report, by name; a readiness endpoint wins over a general one."""
    found: dict[str, Dependency] = {}
    for health in sorted(judging(service), key=lambda health: health.kind != "readiness"):
        for dependency in health.dependencies:
            found.setdefault(dependency.name, dependency)
    return found


def main(service: ServiceFacts) -> Health:
    """The endpoint that a balancer would ask."""
    order = ("readiness", "general", "liveness", "startup")
    return min(service.health, key=lambda health: order.index(health.kind))


def static(health: Health) -> bool:
    """Whether the answer is a file on disk: those have a time of change, or offer parts of themselves."""
    answer = health.exchange
    return answer.header("last-modified") is not None or (answer.header("accept-ranges") or "none").lower() != "none"
