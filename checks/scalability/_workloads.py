"""What the checks of this component share: one verdict over all workloads that are meant to run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from fnmatch import fnmatchcase

from readiness.api import Finding, not_applicable, worst
from readiness.facts.kubernetes import Container, KubernetesFacts, Workload

REACH = "scalability.reach.connect"
VIEW = "ClusterRole view"

SIDECARS = (
    "istio-proxy", "linkerd-proxy", "envoy*", "consul-dataplane", "daprd", "cloud-sql-proxy", "cloudsql-proxy",
    "vault-agent*", "fluent-bit*", "fluentd*", "filebeat*", "promtail*", "otel-*", "opentelemetry-*", "*-exporter",
)  # fmt: skip
"""Names of containers that stand beside the application; a service mesh and its like bring their own probes."""


def over(
    kubernetes: KubernetesFacts,
    judge: Callable[[Workload], Finding],
    among: Callable[[Workload], bool] = lambda workload: True,
    nothing: str = "every workload is scaled to zero",
    fix: str = "",
) -> Finding:
    """The verdict over the running workloads in `among`: the worst decides. `nothing` is why there may be none.

    `fix` is one for the workload that decides, with NAMESPACE, KIND and NAME to be filled in.
    """
    chosen = [workload for workload in kubernetes.running if among(workload)]
    if not chosen:
        return not_applicable(nothing, workloads=len(kubernetes.workloads))
    findings = {workload.title: judge(workload) for workload in chosen}
    if fix:
        for workload in chosen:
            finding = findings[workload.title]
            findings[workload.title] = replace(finding, fix=filled(finding.fix or fix, kubernetes, workload))
    return worst(findings, what="workloads")


def filled(command: str, kubernetes: KubernetesFacts, workload: Workload) -> str:
    """A command for a shell about this workload; what is no name of an object stays a placeholder."""
    words = {"NAMESPACE": kubernetes.namespace, "KIND": workload.kind.lower(), "NAME": workload.name}
    sound = {word: name for word, name in words.items() if re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", name)}
    return re.sub(r"\b(?:NAMESPACE|KIND|NAME)\b", lambda match: sound.get(match[0], match[0]), command)


def several(workload: Workload) -> bool:
    """Whether it runs two pods or more, as somebody decided."""
    return workload.replicated and workload.desired > 1


def own(workload: Workload, sidecars: Iterable[str]) -> tuple[Container, ...]:
    """The containers that are the application's own; all of them where the names say that none is."""
    found = tuple(
        container
        for container in workload.containers
        if not any(fnmatchcase(container.name, pattern) for pattern in sidecars)
    )
    return found or workload.containers


def worst_container(containers: Iterable[Container], judge: Callable[[Container], Finding]) -> Finding:
    """The verdict over containers of one workload; with several, the message names the one that decides."""
    found = {container.name: judge(container) for container in containers}
    if not found:
        return not_applicable("the workload lists no container", containers=0)
    return next(iter(found.values())) if len(found) == 1 else worst(found, what="containers")
