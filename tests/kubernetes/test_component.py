"""Scalability is a component on demand: there with a subject, or where it is asked for, and nowhere else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from readiness import compose, demand, judge, loader
from readiness.facts.base import Facts
from readiness.facts.collected import Collected, Outcome
from readiness.facts.kubernetes import KubernetesFacts
from readiness.facts.mongodb import MongoFacts
from readiness.judge import Selection
from readiness.model import COMPONENTS, Report
from readiness.settings import Settings

REGISTRY = loader.load()
SHARD = {"name": "rs0", "data_bytes": 5_000_000_000}
CONTAINER = {"name": "web", "image": "web:1", "liveness": "tcp", "readiness": "http /", "cpu_request": "1",
             "memory_request": "1Gi", "memory_limit": "1Gi"}  # fmt: skip
KUBERNETES = {
    "now": "2026-11-23T12:00:00Z", "server": "https://c", "namespace": "shop",
    "access": {"credential": "bearer token", "tls": "verified"},
    "deployments": [{"kind": "Deployment", "name": "web", "desired": 3, "ready": 3, "containers": [CONTAINER]}],
    "stateful_sets": [], "daemon_sets": [],
}  # fmt: skip


def mongo(topology: str) -> MongoFacts:
    member = {"address": "db:27017", "answers": True, "data_bearing": True, "shards": [SHARD, {**SHARD, "name": "rs1"}],
              "shard_names": ["rs0", "rs1"], "data_bytes": 10_000_000_000}  # fmt: skip
    facts: MongoFacts = MongoFacts.from_json({"now": "2026-11-23T12:00:00Z", "topology": topology, "members": [member]})
    return facts


def audit(
    *found: Facts, failed: type[Facts] | None = None, only: tuple[str, ...] = (), **settings: Any
) -> tuple[Report, dict[str, str]]:
    """The report over these facts, and the status of each Scalability check in it."""
    collection: dict[type[Facts], Collected] = {
        facts: Collected(Outcome.NOT_CONFIGURED, needs=spec.needs) for facts, spec in REGISTRY.probes.items()
    }
    for facts in found:
        collection[type(facts)] = Collected(Outcome.COLLECTED, facts)
    if failed is not None:
        collection[failed] = Collected(Outcome.FAILED, reason="no route to it")
    chosen, selection = Settings.model_validate(settings), Selection(only)
    judged = judge.judge(REGISTRY.checks, collection, chosen, {}, selection)
    demanded = demand.demand(collection, chosen, only)
    judged = demand.relevant(judged, collection, demanded)
    material = compose.Material(
        chosen, REGISTRY, judged, (), {}, datetime.now(UTC), interrupted=False, partial=bool(only), notices=(),
        on_demand=demanded.present,
    )  # fmt: skip
    report = compose.report(material, 1.0)
    return report, {check.id: check.status.value for check in report.checks if check.component == "scalability"}


def test_the_key_that_it_looks_for_is_that_of_the_probe() -> None:
    assert REGISTRY.probes[KubernetesFacts].needs == demand.KUBERNETES


def row(report: Report) -> Any:
    return next((entry for entry in report.components if entry.id == "scalability"), None)


@pytest.mark.parametrize("found", [(), (mongo("replica_set"),), (mongo("standalone"),)])
def test_without_a_subject_it_is_not_there(found: tuple[Facts, ...]) -> None:
    report, checks = audit(*found)
    assert [entry.id for entry in report.components] == list(COMPONENTS)
    assert not checks
    phase = {item.item: (item.state, item.checks) for item in report.checklist if item.phase == 3}
    assert phase["Container Orchestration"] == ("unknown", ())


def test_a_database_that_cannot_be_read_is_no_mongos() -> None:
    report, checks = audit(failed=MongoFacts)
    assert row(report) is None
    assert not checks


def test_a_cluster_brings_it_along() -> None:
    facts = KubernetesFacts.from_json(KUBERNETES)
    report, checks = audit(facts, kubernetes={"namespace": "shop"})
    assert row(report).name == "Scalability"
    assert checks["scalability.workload.replicas"] == "pass"
    # MongoDB and the service are not configured: their checks have no subject, and cost no coverage.
    assert not {"scalability.shard.distribution", "scalability.service.instances"} & set(checks)
    assert "untested" not in checks.values()
    phase = {item.item: item for item in report.checklist if item.phase == 3}
    assert "scalability.workload.replicas" in phase["Container Orchestration"].checks
    assert phase["Auto-scaling"].checks == ("scalability.autoscaler",)


def test_a_small_replica_set_beside_a_cluster_needs_no_shards() -> None:
    facts = KubernetesFacts.from_json(KUBERNETES)
    _, checks = audit(facts, mongo("replica_set"), kubernetes={"namespace": "shop"})
    assert checks["scalability.shard.distribution"] == "not_applicable"


def test_a_cluster_that_cannot_be_reached_scores_nothing() -> None:
    report, checks = audit(failed=KubernetesFacts, kubernetes={"namespace": "shop"})
    assert checks["scalability.reach.connect"] == "error"
    assert checks["scalability.workload.replicas"] == "blocked"
    assert (row(report).score, row(report).coverage) == (0.0, 0.0)


def test_a_mongos_brings_it_along() -> None:
    report, checks = audit(mongo("mongos"))
    assert checks == {"scalability.shard.distribution": "pass"}
    assert (row(report).score, row(report).coverage) == (10.0, 1.0)
    phase = {item.item: item.state for item in report.checklist if item.phase == 3}
    assert phase["Container Orchestration"] == "unknown"


@pytest.mark.parametrize(
    "settings",
    [
        {"gate": {"components": {"scalability": 8}}},
        {"components": {"scalability": {"weight": 2}}},
        {"only": ("scalability",)},
    ],
)
def test_asked_for_it_says_what_it_needs(settings: dict[str, Any]) -> None:
    report, checks = audit(**settings)
    assert row(report).score is None
    needed = "needs kubernetes.namespace or kubernetes.context or kubernetes.kubeconfig in the configuration"
    assert needed in [check.message for check in report.checks if check.component == "scalability"]
    assert checks["scalability.workload.replicas"] == "untested"
    if "gate" in settings:
        assert not report.gate.passed


def test_asked_for_beside_a_replica_set_it_still_counts_nothing() -> None:
    report, checks = audit(mongo("replica_set"), gate={"components": {"scalability": 8}})
    assert row(report).state.value == "not_configured"
    assert set(checks.values()) == {"untested"}


def test_declared_absent() -> None:
    report, _ = audit(components={"scalability": {"absent": "one machine on purpose"}})
    assert row(report).notes == "absent: one machine on purpose"


def test_what_was_not_selected() -> None:
    facts = KubernetesFacts.from_json(KUBERNETES)
    report, checks = audit(only=("security",), kubernetes={"namespace": "shop"})
    assert row(report).state.value == "not_run"
    _, checks = audit(facts, only=("scalability.autoscaler",), kubernetes={"namespace": "shop"})
    assert checks["scalability.autoscaler"] == "error", "its facts are absent here"
    assert checks["scalability.workload.replicas"] == "skipped"
