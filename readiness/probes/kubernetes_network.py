"""What stands around the workloads: services with their addresses, autoscalers, disruption budgets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from readiness.facts.base import Absent, absent
from readiness.facts.kubernetes import Autoscaler, Budget, Service
from readiness.probes.kubernetes_read import (
    MAX_LISTED,
    annotation,
    conditions,
    entries,
    holds,
    mapping,
    name_of,
    number,
    text,
)
from readiness.probes.kubernetes_workloads import Found

_MAX_ADDRESSES = 20_000
_BETA = "autoscaling.alpha.kubernetes.io/"


def slim(item: Mapping[str, Any]) -> dict[str, Any]:
    """An object without the records of who managed it, which are most of it."""
    metadata = mapping(item, "metadata")
    annotations = {key: value for key, value in mapping(metadata, "annotations").items() if text(key).startswith(_BETA)}
    return {
        "metadata": {"name": metadata.get("name"), "annotations": annotations},
        "spec": item.get("spec"),
        "status": item.get("status"),
    }


class Index:
    """Workloads by the labels of their pods, so that a selector is not compared with all of them."""

    def __init__(self, workloads: Iterable[Found]) -> None:
        self._all = list(workloads)
        self._by_label: dict[tuple[str, str], list[Found]] = {}
        for each in self._all:
            for label in each.labels.items():
                self._by_label.setdefault(label, []).append(each)

    def matched(self, selector: Any, *, empty_selects_all: bool = False) -> list[Found]:
        """Those whose pods a LabelSelector selects."""
        first = next(iter(mapping(selector, "matchLabels").items()), None)
        among = self._all
        if first is not None:
            among = self._by_label.get(first, []) if isinstance(first[1], str) else []
        return [each for each in among if each.matched_by(selector, empty_selects_all=empty_selects_all)]


class Addresses:
    """Ready and other addresses behind services, by the service's name, from EndpointSlices or from Endpoints."""

    def __init__(self) -> None:
        self._ready: dict[str, set[str]] = {}
        self._other: dict[str, set[str]] = {}

    def take_slice(self, item: Mapping[str, Any]) -> None:
        """One EndpointSlice. Both families of a dual stack list the same pods, so pods are counted, not addresses."""
        name = text(mapping(item, "metadata", "labels").get("kubernetes.io/service-name"))
        listed = item.get("endpoints")
        for each in listed[:1000] if isinstance(listed, list) else []:
            if not isinstance(each, dict):
                continue
            # Unknown counts as ready, as the API says.
            state = mapping(each, "conditions")
            if state.get("terminating") is not True:
                self._add(name, each, each.get("addresses"), ready=state.get("ready") is not False)

    def take_endpoints(self, item: Mapping[str, Any]) -> None:
        for subset in entries(item, "subsets"):
            for key, ready in (("addresses", True), ("notReadyAddresses", False)):
                listed = subset.get(key)
                for each in listed[:1000] if isinstance(listed, list) else []:
                    if isinstance(each, dict):
                        self._add(name_of(item), each, [each.get("ip")], ready=ready)

    def _add(self, service: str, endpoint: Mapping[str, Any], addresses: Any, *, ready: bool) -> None:
        first = text(addresses[0], 100) if isinstance(addresses, list) and addresses else ""
        name = text(mapping(endpoint, "targetRef").get("name")) or first
        found = (self._ready if ready else self._other).setdefault(service, set())
        if name and len(found) < _MAX_ADDRESSES:
            found.add(name)

    def of(self, service: str) -> tuple[int, int]:
        """How many are ready, and how many are not."""
        ready = self._ready.get(service, set())
        return len(ready), len(self._other.get(service, set()) - ready)


def service(item: Mapping[str, Any], index: Index, addresses: Addresses | Absent, *, chosen: bool) -> Service | None:
    """The facts of a Service, noted with the workloads that it selects; None where it selects no pods.

    `chosen` says that only some workloads were asked for: then those of others are left out.
    """
    spec = mapping(item, "spec")
    selector = mapping(spec, "selector")
    if not selector or spec.get("type") == "ExternalName":
        return None
    found = index.matched({"matchLabels": selector})
    if chosen and not found:
        return None
    name = name_of(item)
    for each in found:
        each.services.append(name)
    counted = addresses.of(name) if isinstance(addresses, Addresses) else None
    return Service(
        name=name,
        kind=text(spec.get("type"), 40) or "ClusterIP",
        headless=spec.get("clusterIP") == "None",
        sticky=spec.get("sessionAffinity") == "ClientIP",
        workloads=tuple(f"{each.kind.lower()}/{each.name}"[:100] for each in found[:20]),
        ready=counted[0] if counted else addresses,
        not_ready=counted[1] if counted else addresses,
    )


def budget(item: Mapping[str, Any], index: Index, version: str) -> None:
    """Notes a PodDisruptionBudget with its workloads. An empty selector means nothing to v1beta1, and all to v1."""
    status = mapping(item, "status")
    found = Budget(
        name=name_of(item),
        allowed=number(status.get("disruptionsAllowed")),
        healthy=number(status.get("currentHealthy")),
        desired_healthy=number(status.get("desiredHealthy")),
        expected=number(status.get("expectedPods")),
    )
    for each in index.matched(mapping(item, "spec").get("selector"), empty_selects_all=version != "v1beta1"):
        each.budgets.append(found)


def autoscaler(item: Mapping[str, Any], by_key: Mapping[tuple[str, str], Found]) -> None:
    """Notes a HorizontalPodAutoscaler of any version with the workload that it scales."""
    spec, status = mapping(item, "spec"), mapping(item, "status")
    target = mapping(spec, "scaleTargetRef")
    scaled = by_key.get((text(target.get("kind"), 60), text(target.get("name"))))
    if scaled is None:
        return
    # Version 1 keeps in annotations what later ones have in the status.
    held = {"conditions": annotation(item, _BETA + "conditions")}
    known = conditions(status) or conditions(held)
    able, active, limited = (known.get(name) for name in ("AbleToScale", "ScalingActive", "ScalingLimited"))
    scaled.autoscaler = Autoscaler(
        name=name_of(item),
        minimum=number(spec.get("minReplicas"), 1),
        maximum=number(spec.get("maxReplicas")),
        current=number(status.get("currentReplicas")),
        desired=number(status.get("desiredReplicas")),
        metrics=_readings(item, status),
        able=_told(able),
        able_reason=text((able or {}).get("reason"), 60),
        active=_told(active),
        active_reason=text((active or {}).get("reason"), 60),
        limited=_told(limited),
        limited_reason=text((limited or {}).get("reason"), 60),
    )


def _told(condition: Mapping[str, Any] | None) -> Any:
    found = holds(condition)
    return absent("the autoscaler has no such condition yet") if found is None else found


def _readings(item: Mapping[str, Any], status: Mapping[str, Any]) -> int:
    """How many metrics have a present value; one that cannot be read is listed without a type, or not at all."""
    listed = status.get("currentMetrics")
    if listed is None:
        listed = annotation(item, _BETA + "current-metrics")
    if isinstance(listed, list):
        return sum(isinstance(each, dict) and bool(text(each.get("type"), 60)) for each in listed[:MAX_LISTED])
    return int(isinstance(status.get("currentCPUUtilizationPercentage"), int))
