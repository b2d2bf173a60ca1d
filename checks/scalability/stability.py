"""Whether pods stay up."""

from __future__ import annotations

from readiness.api import Finding, check, failed, maybe, passed, warn
from readiness.facts.kubernetes import KubernetesFacts, Pods

from ._workloads import REACH, VIEW, over

_LOOK = "kubectl -n NAMESPACE describe KIND/NAME; kubectl -n NAMESPACE logs KIND/NAME --all-containers --previous"


@check(
    id="scalability.workload.restarts",
    component="scalability",
    severity="high",
    phase=3,
    item="Container Orchestration",
    requires=REACH,
    privilege=VIEW,
    effort="hours",
    fix=_LOOK,
    verify="kubectl -n NAMESPACE get pods --sort-by='.status.containerStatuses[0].restartCount'",
    reference="https://kubernetes.io/docs/tasks/debug/debug-application/debug-pods/",
)
def restarts(
    kubernetes: KubernetesFacts, *, per_day: float = 3, memory_days: float = 7, pending_minutes: float = 5
) -> Finding:
    """Containers neither crash, nor run out of memory, nor wait for a place.

    A restart counter runs since the pod was born, so it is divided by its age in days, one at least. A container that
    was killed for its memory within a week fails, because it will be again; older kills are history. Ended jobs and
    pods that are being deleted do not count.
    """
    expected = f"at most {per_day:g} restarts a day, no crash loop, nothing killed for memory"
    hours = memory_days * 24
    return over(kubernetes, lambda workload: _pods(workload.pods, expected, per_day, hours, pending_minutes), fix=_LOOK)


def _pods(pods: Pods, expected: str, per_day: float, memory_hours: float, pending_minutes: float) -> Finding:
    observed = f"{pods.restarts_per_day:g} restarts a day in the worst of {pods.total} pods"
    if pods.stuck:
        reason, count = max(pods.stuck.items(), key=lambda pair: pair[1])
        message = f"{reason} in {count} container{'s' * (count > 1)}"
        return failed(message, observed=f"{reason} {count}", expected=expected)
    hours = maybe(lambda: pods.out_of_memory_hours)
    if pods.out_of_memory and (hours is None or hours <= memory_hours):
        when = "" if hours is None else f", last {hours:.0f} h ago"
        message = f"{pods.out_of_memory} container{'s' * (pods.out_of_memory > 1)} killed for memory{when}"
        return failed(message, observed=f"OOMKilled {pods.out_of_memory}", expected=expected)
    if pods.waiting and pods.waiting_minutes > pending_minutes:
        why = f": {pods.waiting_for[:50]}" if pods.waiting_for else ""
        message = f"{pods.waiting} of {pods.total} pods Pending, one for {_long(pods.waiting_minutes)}{why}"
        return warn(message, observed=f"{pods.waiting} Pending", expected=expected)
    if pods.restarts_per_day > per_day:
        message = f"{pods.restarting[:50]} restarts {pods.restarts_per_day:.0f} times a day"
        return warn(message, observed=observed, expected=expected)
    return passed(observed, observed=observed, expected=expected)


def _long(minutes: float) -> str:
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"
