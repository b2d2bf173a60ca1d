"""Whether workloads survive the loss of a pod, of a node, and their own updates."""

from __future__ import annotations

from readiness.api import Finding, check, failed, maybe, not_applicable, passed, warn
from readiness.facts.kubernetes import KubernetesFacts, Workload

from ._workloads import REACH, VIEW, over, several

_SCALE = "kubectl -n NAMESPACE scale KIND/NAME --replicas=3"
_LOOK = "kubectl -n NAMESPACE describe KIND/NAME; kubectl -n NAMESPACE get events --field-selector type=Warning"
_BUDGET = "kubectl -n NAMESPACE create poddisruptionbudget NAME --selector=app=NAME --max-unavailable=1"


@check(
    id="scalability.workload.replicas",
    component="scalability",
    severity="critical",
    phase=3,
    item="Container Orchestration",
    requires=REACH,
    privilege=VIEW,
    effort="minutes",
    fix=_SCALE,
    verify="kubectl -n NAMESPACE get deployments,statefulsets,daemonsets",
    reference="https://kubernetes.io/docs/concepts/workloads/controllers/deployment/",
)
def replicas(kubernetes: KubernetesFacts, *, at_least: int = 2) -> Finding:
    """Every workload runs on two pods or more, and all of them are ready.

    A single pod is an outage at each restart, drain and update. Workloads that are scaled to zero are somebody's
    decision and are left out, unless nothing else is there. An autoscaler owns the number where there is one.
    """
    if kubernetes.workloads and not kubernetes.running:
        message = f"all {len(kubernetes.workloads)} workloads are scaled to zero"
        return failed(message, observed="0 pods wanted", expected=f"at least {at_least} pods, all ready")
    return over(kubernetes, lambda workload: _replicas(workload, at_least), fix=_SCALE)


def _replicas(workload: Workload, at_least: int) -> Finding:
    ready, desired = workload.ready, workload.desired
    observed = f"{ready} of {desired} pods ready"
    expected = f"at least {at_least} pods, all ready" if workload.replicated else "a ready pod on every node"
    if not ready:
        return failed("no pod is ready", observed=observed, expected=expected, fix=_LOOK)
    if maybe(lambda: workload.available) is False:
        return failed(f"not available, {observed}", observed=observed, expected=expected, fix=_LOOK)
    if workload.stalled:
        return warn(f"its rollout is stuck, {observed}", observed=observed, expected=expected, fix=_LOOK)
    if not workload.up_to_date:
        return warn("its status is older than its specification", observed=observed, expected=expected)
    scaler = maybe(lambda: workload.autoscaler)
    if scaler is not None and desired < scaler.minimum:
        message = f"{desired} pods, and the autoscaler wants {scaler.minimum} at least"
        return warn(message, observed=observed, expected=expected)
    if ready < desired:
        return warn(observed, observed=observed, expected=expected, fix=_LOOK)
    if workload.replicated and desired < at_least:
        return warn("a single pod" if desired == 1 else observed, observed=observed, expected=expected)
    return passed(observed, observed=observed, expected=expected)


@check(
    id="scalability.workload.disruption_budget",
    component="scalability",
    severity="medium",
    phase=3,
    item="Container Orchestration",
    requires=REACH,
    privilege=VIEW,
    effort="minutes",
    fix=_BUDGET,
    verify="kubectl -n NAMESPACE get poddisruptionbudgets",
    reference="https://kubernetes.io/docs/tasks/run-application/configure-pdb/",
)
def disruption_budget(kubernetes: KubernetesFacts) -> Finding:
    """A drain of a node leaves pods of every workload running, and does not wait for ever.

    Without a PodDisruptionBudget a drain may evict all pods at once. One that permits no eviction while every pod is
    healthy stops upgrades of the cluster, and so do two budgets over the same pods: the eviction API refuses those.
    """
    nothing = "no workload runs two pods or more, so a budget would only block drains"
    return over(kubernetes, _budget, several, nothing, _BUDGET)


def _budget(workload: Workload) -> Finding:
    expected = "one PodDisruptionBudget that permits an eviction"
    budgets = workload.budgets
    if not budgets:
        return warn("no PodDisruptionBudget", observed="none", expected=expected)
    if len(budgets) > 1:
        names = " and ".join(budget.name[:30] for budget in budgets[:2])
        message = f"{names} cover the same pods, so evictions fail"
        fix = "kubectl -n NAMESPACE delete poddisruptionbudget ONE-OF-THEM"
        return failed(message, observed=f"{len(budgets)} budgets", expected=expected, fix=fix)
    budget = budgets[0]
    observed = f"{budget.allowed} evictions permitted, {budget.healthy} of {budget.expected} pods healthy"
    if budget.allowed:
        return passed(observed, observed=observed, expected=expected)
    if not budget.expected:
        return warn(f"{budget.name[:40]} counts no pod yet", observed=observed, expected=expected)
    if budget.healthy >= budget.expected:
        message = f"{budget.name[:40]} permits no eviction although all are healthy"
        fix = "kubectl -n NAMESPACE edit poddisruptionbudget BUDGET  # maxUnavailable: 1 instead of minAvailable"
        return failed(message, observed=observed, expected=expected, fix=fix)
    message = f"no eviction permitted with {budget.healthy} of {budget.expected} healthy"
    return warn(message, observed=observed, expected=expected)


@check(
    id="scalability.workload.spread",
    component="scalability",
    severity="low",
    phase=3,
    item="Container Orchestration",
    requires=REACH,
    privilege=VIEW,
    effort="minutes",
    fix="topologySpreadConstraints:\n- maxSkew: 1\n  topologyKey: kubernetes.io/hostname\n"
    "  whenUnsatisfiable: ScheduleAnyway\n  labelSelector: {matchLabels: {app: NAME}}",
    verify="kubectl -n NAMESPACE get pods -o wide",
    reference="https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/",
    verdicts=("pass", "warn"),
)
def spread(kubernetes: KubernetesFacts) -> Finding:
    """The pods of a workload do not all run on one node.

    Read from where the pods are, not from the rules: with ScheduleAnyway a rule may be ignored, and without any rule
    the scheduler may have done well. Zones are not judged, because the role view cannot see nodes.
    """
    nothing = "no workload has two pods on nodes"
    return over(kubernetes, _spread, lambda workload: several(workload) and _placed(workload) > 1, nothing)


def _placed(workload: Workload) -> int:
    return workload.pods.total - workload.pods.waiting


def _spread(workload: Workload) -> Finding:
    pods, expected = workload.pods, "two nodes or more"
    rules = f"spread by {', '.join(workload.spread_rules[:2])}" if workload.spread_rules else "no rule to spread them"
    observed = f"{_placed(workload)} pods on {pods.nodes} nodes"
    if pods.nodes > 1:
        return passed(f"{observed}, {rules}"[:90], observed=observed, expected=expected)
    if not pods.nodes:
        return not_applicable("no pod says on which node it runs", pods=pods.total)
    message = f"all {_placed(workload)} pods on {pods.busiest_node[:40]}"
    return warn(message, observed=observed, expected=expected, evidence={"rules": rules})


@check(
    id="scalability.workload.update_strategy",
    component="scalability",
    severity="low",
    phase=3,
    item="Container Orchestration",
    requires=REACH,
    privilege=VIEW,
    effort="minutes",
    fix="strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}\n"
    "# and in the container, so that requests under way are finished:\nlifecycle: {preStop: {sleep: {seconds: 5}}}",
    verify="kubectl -n NAMESPACE get deployment NAME -o jsonpath='{.spec.strategy}'",
    reference="https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#strategy",
    verdicts=("pass", "warn"),
)
def update_strategy(kubernetes: KubernetesFacts) -> Finding:
    """An update leaves pods running, and gives those it stops time to finish.

    Recreate stops all of them first, and so does a rolling update that may take as many as there are. OnDelete updates
    nothing until somebody deletes pods by hand. Shares of maxUnavailable are rounded down, as the cluster does.
    """
    return over(kubernetes, _strategy)


def _strategy(workload: Workload) -> Finding:
    expected = "RollingUpdate that keeps a pod running"
    observed = f"{workload.strategy}, {workload.max_unavailable} of {workload.desired} may be missing"
    if workload.strategy in ("Recreate", "OnDelete"):
        what = "stops all pods first" if workload.strategy == "Recreate" else "waits for pods to be deleted by hand"
        return warn(f"{workload.strategy} {what}", observed=workload.strategy, expected=expected)
    if workload.replicated and workload.max_unavailable >= workload.desired:
        message = f"an update may stop {'its only pod' if workload.desired == 1 else 'all its pods'}"
        return warn(message, observed=observed, expected=expected)
    if workload.grace_seconds == 0:
        message = "pods are killed without time to finish"
        return warn(message, observed="terminationGracePeriodSeconds 0", expected=expected)
    if not workload.replicated:
        return passed("updated node by node", observed=observed, expected=expected)
    kept = workload.desired - workload.max_unavailable
    return passed(f"an update keeps {kept} of {workload.desired} pods", observed=observed, expected=expected)
