"""Deployments, StatefulSets and DaemonSets as facts: their state, and what their containers ask for and may do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from readiness.facts.base import ABSENT
from readiness.facts.kubernetes import Container, Kind, Workload
from readiness.probes.kubernetes_read import (
    conditions,
    entries,
    holds,
    mapping,
    name_of,
    number,
    selects,
    share,
    text,
)

MAX_CONTAINERS = 20
_SPEC = frozenset({"replicas", "selector", "strategy", "updateStrategy"})
_POD = frozenset({
    "affinity", "hostIPC", "hostNetwork", "hostPID", "securityContext", "terminationGracePeriodSeconds",
    "topologySpreadConstraints",
})  # fmt: skip
_CONTAINER = frozenset({
    "image", "lifecycle", "livenessProbe", "name", "readinessProbe", "resources", "securityContext", "startupProbe",
})  # fmt: skip
_HOST = {"hostNetwork": "network", "hostPID": "processes", "hostIPC": "IPC"}


def trimmed(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """The specification of a pod without what is not looked at: variables, arguments and volumes are most of it."""
    kept = {key: value for key, value in spec.items() if key in _POD}
    containers = list(entries(spec, "containers"))[:MAX_CONTAINERS]
    kept["containers"] = [{key: each[key] for key in _CONTAINER if key in each} for each in containers]
    kept["volumes"] = [{"hostPath": each["hostPath"]} for each in entries(spec, "volumes") if "hostPath" in each]
    return kept


class Found:
    """One workload as listed, until its pods, services, budgets and autoscaler are known too."""

    __slots__ = ("autoscaler", "budgets", "generation", "kind", "labels", "name", "pods", "services", "spec", "status",
                 "template")  # fmt: skip

    def __init__(self, kind: Kind, item: Mapping[str, Any]) -> None:
        self.kind: Kind = kind
        self.name = name_of(item)
        self.generation = number(mapping(item, "metadata").get("generation"))
        labels = mapping(item, "spec", "template", "metadata", "labels")
        self.labels = {key: value for key, value in labels.items() if isinstance(value, str)}
        self.template = trimmed(mapping(item, "spec", "template", "spec"))
        self.spec = {key: value for key, value in mapping(item, "spec").items() if key in _SPEC}
        self.status = mapping(item, "status")
        self.services: Any = []
        self.budgets: Any = []
        self.autoscaler: Any = None
        self.pods: Any = ABSENT

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.name

    def matched_by(self, selector: Any, *, empty_selects_all: bool = False) -> bool:
        """Whether a selector of pods selects those of this workload."""
        return selects(selector, self.labels, empty_selects_all=empty_selects_all)


def workload(found: Found, newest: Mapping[str, Any]) -> Workload:
    """The facts of a workload. `newest` is the specification of its newest pod, empty where there is none.

    Defaults that the cluster adds, such as those of a LimitRange, show in pods only; containers that it injects are
    nobody's choice here, so the template says which ones count.
    """
    spec, status = found.spec, found.status
    state = _state(found.kind, spec, status)
    strategy = mapping(spec, "strategy" if found.kind == "Deployment" else "updateStrategy")
    # A number that is not observed yet is older than the specification.
    seen = number(status.get("observedGeneration"), -1)
    known = conditions(status)
    return Workload(
        kind=found.kind,
        name=found.name,
        desired=state["desired"],
        ready=state["ready"],
        up_to_date=seen >= found.generation,
        rolled_out=state["updated"] >= state["desired"] and state["total"] <= state["updated"],
        stalled=holds(known.get("Progressing")) is False,
        available=ABSENT if (available := holds(known.get("Available"))) is None else available,
        strategy=text(strategy.get("type"), 40) or "RollingUpdate",
        max_unavailable=_unavailable(found.kind, strategy, state["desired"]),
        grace_seconds=number(found.template.get("terminationGracePeriodSeconds"), 30),
        spread_rules=_spread(found.template),
        host_paths=tuple(
            text(mapping(each, "hostPath").get("path"), 100) or "/" for each in entries(found.template, "volumes")
        )[:10],
        host_namespaces=tuple(word for key, word in _HOST.items() if found.template.get(key) is True),
        containers=_containers(found.template, newest),
        services=found.services if not isinstance(found.services, list) else tuple(found.services[:20]),
        autoscaler=found.autoscaler,
        budgets=found.budgets if not isinstance(found.budgets, list) else tuple(found.budgets[:5]),
        pods=found.pods,
    )


def _state(kind: Kind, spec: Mapping[str, Any], status: Mapping[str, Any]) -> dict[str, int]:
    """Numbers of pods. A key that is missing from a status is 0, one that is missing from a specification 1."""
    if kind == "DaemonSet":
        names = ("desiredNumberScheduled", "numberReady", "updatedNumberScheduled", "currentNumberScheduled")
        values = [number(status.get(name)) for name in names]
    else:
        values = [number(spec.get("replicas"), 1), *(number(status.get(name)) for name in _COUNTS)]
        # A StatefulSet that has never been updated does not count its updated pods.
        if kind == "StatefulSet" and status.get("currentRevision") == status.get("updateRevision"):
            values[2] = max(values[2], number(status.get("replicas")))
    return dict(zip(("desired", "ready", "updated", "total"), values, strict=True))


_COUNTS = ("readyReplicas", "updatedReplicas", "replicas")


def _unavailable(kind: Kind, strategy: Mapping[str, Any], desired: int) -> int:
    rolling = mapping(strategy, "rollingUpdate")
    found = share(rolling.get("maxUnavailable", "25%" if kind == "Deployment" else 1), desired)
    if found is None:
        return 1
    # With neither one more nor one fewer nothing would ever move: then one may be missing.
    may_surge = kind == "Deployment" and rolling.get("maxSurge", "25%") not in (0, "0", "0%")
    return found if may_surge else max(found, 1)


def _spread(spec: Mapping[str, Any]) -> tuple[str, ...]:
    rules = [text(each.get("topologyKey"), 100) for each in entries(spec, "topologySpreadConstraints")]
    apart = mapping(spec, "affinity", "podAntiAffinity")
    rules += [text(each.get("topologyKey"), 100) for each in entries(apart, _REQUIRED)]
    rules += [text(mapping(each, "podAffinityTerm").get("topologyKey"), 100) for each in entries(apart, _PREFERRED)]
    return tuple(dict.fromkeys(filter(None, rules)))[:10]


_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def _containers(template: Mapping[str, Any], newest: Mapping[str, Any]) -> tuple[Container, ...]:
    live = {text(each.get("name")): each for each in entries(newest, "containers")}
    pod = newest or template
    return tuple(
        _container(live.get(text(each.get("name")), each), text(each.get("image"), 300), pod)
        for each in entries(template, "containers")
    )


def _container(container: Mapping[str, Any], image: str, pod: Mapping[str, Any]) -> Container:
    requests, limits = mapping(container, "resources", "requests"), mapping(container, "resources", "limits")
    own, shared = mapping(container, "securityContext"), mapping(pod, "securityContext")
    user = own.get("runAsUser", shared.get("runAsUser"))
    added = mapping(own, "capabilities").get("add")
    return Container(
        name=text(container.get("name")),
        image=image,
        cpu_request=_quantity(requests.get("cpu")),
        memory_request=_quantity(requests.get("memory")),
        memory_limit=_quantity(limits.get("memory")),
        liveness=_probe(container.get("livenessProbe")),
        readiness=_probe(container.get("readinessProbe")),
        startup=_probe(container.get("startupProbe")),
        same_probe=_handler(container.get("livenessProbe")) == _handler(container.get("readinessProbe")) is not None,
        pre_stop="preStop" in mapping(container, "lifecycle"),
        non_root=own.get("runAsNonRoot", shared.get("runAsNonRoot")) is True or number(user) > 0,
        read_only_root=own.get("readOnlyRootFilesystem") is True,
        may_escalate=own.get("allowPrivilegeEscalation") is not False,
        privileged=own.get("privileged") is True,
        capabilities=tuple(text(each, 40) for each in added[:40]) if isinstance(added, list) else (),
    )


def _quantity(value: Any) -> str:
    return str(value)[:30] if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""


_KINDS = {"httpGet": "http", "tcpSocket": "tcp", "grpc": "grpc", "exec": "exec"}


def _handler(probe: Any) -> tuple[str, ...] | None:
    """How a probe asks; its intervals do not count."""
    kind = next((kind for kind in _KINDS if isinstance(mapping(probe).get(kind), dict)), None)
    if kind is None:
        return None
    asked = mapping(probe, kind)
    words = [asked.get(name) for name in ("path", "port", "host", "scheme", "service")]
    command = asked.get("command")
    words += command[:50] if isinstance(command, list) else []
    return kind, *(str(word) if isinstance(word, (str, int)) else "" for word in words)


def _probe(probe: Any) -> str:
    """A probe in words, without the command that it runs and the headers that it sends, which may be secret."""
    found = _handler(probe)
    if found is None:
        return ""
    kind, path, *_ = found
    return f"http {path[:100].partition('?')[0] or '/'}" if kind == "httpGet" else _KINDS[kind]
