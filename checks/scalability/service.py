"""Whether requests reach the pods, and all of them."""

from __future__ import annotations

import re

from readiness.api import Finding, check, failed, not_applicable, passed, untested, warn, worst
from readiness.facts.delivery import DeliveryFacts
from readiness.facts.kubernetes import KubernetesFacts, Service, Workload

from ._workloads import REACH, VIEW

_PROCESS = "health pid"  # tells processes apart, which may share one pod


@check(
    id="scalability.service.endpoints",
    component="scalability",
    severity="high",
    phase=2,
    item="Load Balancing",
    requires=REACH,
    privilege=VIEW,
    effort="hours",
    fix="Compare the service's selector with the labels of the pods, and see why those are not ready: "
    "kubectl -n NAMESPACE describe endpointslices",
    verify="kubectl -n NAMESPACE get endpointslices -l kubernetes.io/service-name=NAME",
    reference="https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/",
)
def endpoints(kubernetes: KubernetesFacts, *, at_least: int = 2) -> Finding:
    """Behind every service stand two ready pods or more.

    A selector that matches nothing, or pods that are not ready, make a service refuse connections while every object
    looks fine. Services without a selector, and those of workloads that are scaled to zero, are left out. Pods are
    counted, not addresses: in a dual stack each has two.
    """
    off = {workload.title for workload in kubernetes.workloads if not workload.desired}
    judged = [each for each in kubernetes.services if not each.workloads or set(each.workloads) - off]
    if not judged:
        reason = "no service selects pods that are meant to run"
        return not_applicable(reason, services=len(kubernetes.services))
    return worst({f"service/{each.name}"[:100]: _ready(each, at_least) for each in judged}, what="services")


def _ready(service: Service, at_least: int) -> Finding:
    observed, expected = f"{service.ready} ready, {service.not_ready} not", f"at least {at_least} ready pods"
    if not service.ready:
        why = f"{service.not_ready} are not ready" if service.not_ready else "its selector finds none"
        return failed(f"no ready pod: {why}", observed=observed, expected=expected)
    if service.ready < at_least:
        message = f"{service.ready} ready pod{'s' * (service.ready > 1)} behind it"
        return warn(message, observed=observed, expected=expected)
    return passed(f"{service.ready} ready pods", observed=observed, expected=expected)


@check(
    id="scalability.service.instances",
    component="scalability",
    severity="medium",
    phase=2,
    item="Load Balancing",
    requires=REACH,
    privilege=VIEW,
    effort="hours",
    fix='kubectl -n NAMESPACE patch service NAME -p \'{"spec": {"sessionAffinity": "None"}}\'\n'
    "# and let each pod name itself in an answer: X-Instance-Id: $HOSTNAME",
    verify="for i in $(seq 12); do curl -si $URL | grep -i '^x-instance-id'; done",
    reference="https://kubernetes.io/docs/reference/networking/virtual-ips/#session-affinity",
    verdicts=("pass", "warn"),
)
def instances(kubernetes: KubernetesFacts, delivery: DeliveryFacts, *, workload: str = "") -> Finding:
    """More than one of the ready pods answers from outside.

    Answers on connections of their own, told apart by the names that instances give themselves, against the pods that
    the cluster calls ready. Fewer pods than that are reached by session affinity, by long-lived connections, or by a
    balancer that knows one of them only. Which workload it is shows in the names; otherwise set `workload`.
    """
    named = {source: names for source, names in delivery.instances.items() if source != _PROCESS}
    if not named:
        return untested(f"none of {delivery.answers} answers names its pod: send X-Instance-Id: $HOSTNAME")
    source = max(named, key=lambda each: len(named[each]))
    found = _behind(kubernetes, [name for names in named.values() for name in names], workload)
    if found is None:
        return untested("instances name no pod of the namespace: set workload of scalability.service.instances")
    seen, ready = len(named[source]), found.ready
    observed = f"{seen} instance{'s' * (seen > 1)} answered, {ready} pods are ready"
    expected = "several of several" if ready > 1 else "the one that is ready"
    evidence = {"workload": found.title, "answers": delivery.answers, "seen by": source}
    if seen > 1 or ready < 2:
        return passed(f"{found.title}: {observed}", observed=observed, expected=expected, evidence=evidence)
    sticky = any(each.sticky and found.title in each.workloads for each in kubernetes.services)
    why = "its service has session affinity" if sticky else f"in {delivery.answers} answers"
    message = f"{found.title}: 1 of {ready} ready pods answers, {why}"
    return warn(message, observed=observed, expected=expected, evidence=evidence)


def _behind(kubernetes: KubernetesFacts, names: list[str], wanted: str) -> Workload | None:
    """The workload that `wanted` names, or one of whose pods an instance has the name."""
    if wanted:
        return next((each for each in kubernetes.running if wanted in (each.name, each.title)), None)
    return next((each for each in kubernetes.running for name in names if _is_pod(name, each)), None)


def _is_pod(name: str, workload: Workload) -> bool:
    if not name.startswith(workload.name + "-"):
        return False
    pattern = r"\d{1,6}" if workload.kind == "StatefulSet" else r"[a-z0-9]{1,10}-[a-z0-9]{5}"
    return re.fullmatch(pattern, name[len(workload.name) + 1 :]) is not None
