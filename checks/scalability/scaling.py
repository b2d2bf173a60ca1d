"""Whether capacity follows the load, and whether the parts can be scaled apart."""

from __future__ import annotations

from readiness.api import Finding, check, failed, maybe, not_applicable, passed, warn, worst
from readiness.facts.kubernetes import Autoscaler, KubernetesFacts

from ._workloads import REACH, VIEW, filled

_AUTOSCALE = "kubectl -n NAMESPACE autoscale deployment NAME --min=2 --max=10 --cpu-percent=70"
_METRICS = "kubectl get apiservice v1beta1.metrics.k8s.io; kubectl -n NAMESPACE describe horizontalpodautoscalers"
_EXPECTED = "an autoscaler with room to move and metrics it can read"


@check(
    id="scalability.autoscaler",
    component="scalability",
    severity="medium",
    phase=3,
    item="Auto-scaling",
    requires=REACH,
    privilege=VIEW,
    effort="hours",
    fix=_AUTOSCALE,
    verify="kubectl -n NAMESPACE get horizontalpodautoscalers",
    reference="https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/",
)
def autoscaler(kubernetes: KubernetesFacts, *, at_least: int = 2) -> Finding:
    """Deployments that serve requests are scaled by their load, and the autoscaler works.

    It works where it can read its metrics: without a metrics server, or without requests on every container, it does
    nothing and says <unknown>. One at its maximum has no room left; one at its minimum is merely idle. What KEDA scales
    shows as an autoscaler too. Workloads that no service reaches are asked for only where there is nothing else.
    """
    deployments = [workload for workload in kubernetes.running if workload.kind == "Deployment"]
    served = [workload for workload in deployments if workload.services]
    wanted = served or deployments
    scaled = [workload for workload in kubernetes.running if workload.autoscaler is not None]
    if not wanted and not scaled:
        return not_applicable("no Deployment runs here", workloads=len(kubernetes.workloads))
    if not scaled:
        what = "the only Deployment has no" if len(wanted) == 1 else f"none of {len(wanted)} Deployments has an"
        fix = filled(_AUTOSCALE, kubernetes, wanted[0])
        return failed(f"{what} autoscaler", observed="no autoscaler", expected=_EXPECTED, fix=fix)
    findings = {
        workload.title: _works(workload.autoscaler, at_least) for workload in scaled if workload.autoscaler is not None
    }
    for workload in wanted:
        if workload.autoscaler is None:
            fix = filled(_AUTOSCALE, kubernetes, workload)
            findings[workload.title] = warn("no autoscaler", observed="no autoscaler", expected=_EXPECTED, fix=fix)
    return worst(findings, what="workloads")


def _works(scaler: Autoscaler, at_least: int) -> Finding:
    observed = f"{scaler.current} pods between {scaler.minimum} and {scaler.maximum}, {scaler.metrics} metrics read"
    for holds, reason in (
        (maybe(lambda: scaler.active), scaler.active_reason),
        (maybe(lambda: scaler.able), scaler.able_reason),
    ):
        # Somebody has set the number of pods to zero, which switches it off.
        if holds is False and reason != "ScalingDisabled":
            message = f"does not scale: {reason[:50] or 'no reason given'}"
            return failed(message, observed=observed, expected=_EXPECTED, fix=_METRICS)
    if scaler.maximum <= scaler.minimum:
        message = f"minimum and maximum are both {scaler.minimum}"
        return warn(message, observed=observed, expected=_EXPECTED)
    limited = maybe(lambda: scaler.limited) is True and scaler.limited_reason == "TooManyReplicas"
    if limited or max(scaler.current, scaler.desired) >= scaler.maximum:
        return warn(f"at its maximum of {scaler.maximum}", observed=observed, expected=_EXPECTED)
    if maybe(lambda: scaler.active) is None or not scaler.metrics:
        return warn("has read no metric", observed=observed, expected=_EXPECTED, fix=_METRICS)
    if scaler.minimum < at_least:
        return warn(f"scales down to {scaler.minimum}", observed=observed, expected=_EXPECTED)
    return passed(f"scales from {scaler.minimum} to {scaler.maximum}", observed=observed, expected=_EXPECTED)


@check(
    id="scalability.service.separation",
    component="scalability",
    severity="info",
    phase=3,
    item="Microservices",
    requires=REACH,
    privilege=VIEW,
    effort="weeks",
    fix="Split off what must scale, fail or be released on its own, and leave together what changes together",
    verify="kubectl -n NAMESPACE get deployments,services",
    reference="https://kubernetes.io/docs/concepts/services-networking/service/",
    verdicts=("pass", "warn"),
)
def separation(kubernetes: KubernetesFacts, *, at_least: int = 2) -> Finding:
    """The system is deployed in parts that can be scaled and released apart.

    Counted by workloads that a service reaches. It is a choice and no virtue, so it carries no weight: a sound monolith
    scales as well.
    """
    found = [workload.title for workload in kubernetes.running if workload.replicated and workload.services]
    observed, expected = f"{len(found)} workloads behind services", f"{at_least} or more"
    evidence = {"workloads": found[:20]}
    if len(found) >= at_least:
        return passed(observed, observed=observed, expected=expected, evidence=evidence)
    message = "one workload serves everything" if found else "no workload is behind a service"
    return warn(message, observed=observed, expected=expected, evidence=evidence)
