"""What a Kubernetes API server says of one namespace: its workloads, what scales, protects and reaches them.

Objects are summed up: pods appear as figures of their workload. Of a container only named fields are kept; no variable
of its environment, no command, no annotation and no secret is among them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field

from readiness.facts.base import ABSENT, Fact, Facts

Count = Annotated[int, Field(ge=0, lt=2**31)]
Amount = Annotated[float, Field(ge=0)]
Text = Annotated[str, AfterValidator(lambda text: text[:300])]

Kind = Literal["Deployment", "StatefulSet", "DaemonSet"]


class Container(Facts):
    """One container of a workload, as its newest pod has it, or the template where there is no pod.

    Requests and limits are quantities such as 250m, empty where there is none. Probes read `http /health/ready`,
    `tcp`, `grpc` or `exec`, empty where there is none; `same_probe` says that liveness and readiness ask the very same.
    What a container does not say of its security, its pod says for it.
    """

    name: Text
    image: Text = ""
    cpu_request: Text = ""
    memory_request: Text = ""
    memory_limit: Text = ""
    liveness: Text = ""
    readiness: Text = ""
    startup: Text = ""
    same_probe: bool = False
    pre_stop: bool = False
    non_root: bool = False
    read_only_root: bool = False
    may_escalate: bool = True
    privileged: bool = False
    capabilities: tuple[Text, ...] = ()


class Pods(Facts):
    """The pods of a workload that neither have ended nor are being deleted.

    `busiest_node` runs the most of them. `waiting_minutes` is how long the pod has been Pending that waits longest, and
    `waiting_for` why. `restarts` are those of the pod that restarts most often a day, `restarts_per_day` over its life,
    which counts as a day at least. `out_of_memory_hours` is how long ago a container was last killed for its memory.
    `stuck` counts containers by the reason for which they cannot run. `image_ids` are the different digests that run,
    by container.
    """

    total: Count = 0
    ready: Count = 0
    nodes: Count = 0
    busiest_node: Text = ""
    on_busiest_node: Count = 0
    waiting: Count = 0
    waiting_minutes: Amount = 0
    waiting_for: Text = ""
    restarts: Count = 0
    restarts_per_day: Amount = 0
    restarting: Text = ""
    out_of_memory: Count = 0
    out_of_memory_hours: Fact[Amount] = ABSENT
    stuck: dict[Text, Count] = {}
    image_ids: dict[Text, Count] = {}


class Autoscaler(Facts):
    """A HorizontalPodAutoscaler. `metrics` counts its present readings.

    The conditions are absent where no controller has reported any: `able` to scale, `active` with metrics that can be
    read, `limited` by the minimum or the maximum, each with its reason.
    """

    name: Text
    minimum: Count = 1
    maximum: Count
    current: Count = 0
    desired: Count = 0
    metrics: Count = 0
    able: Fact[bool] = ABSENT
    able_reason: Text = ""
    active: Fact[bool] = ABSENT
    active_reason: Text = ""
    limited: Fact[bool] = ABSENT
    limited_reason: Text = ""


class Budget(Facts):
    """A PodDisruptionBudget: how many of its pods may be evicted now, and how many of them are healthy."""

    name: Text
    allowed: Count = 0
    healthy: Count = 0
    desired_healthy: Count = 0
    expected: Count = 0


class Workload(Facts):
    """A Deployment, StatefulSet or DaemonSet.

    `up_to_date` says that the status is of the present specification, `rolled_out` that all pods run it, `stalled` that
    the rollout made no progress in time. `max_unavailable` counts pods, resolved where it was a share. `spread_rules`
    are topology spread constraints and pod anti-affinity. `services` names those that select its pods.
    """

    kind: Kind
    name: Text
    desired: Count
    ready: Count = 0
    up_to_date: bool = True
    rolled_out: bool = True
    stalled: bool = False
    available: Fact[bool] = ABSENT
    strategy: Text = ""
    max_unavailable: Count = 1
    grace_seconds: Count = 30
    spread_rules: tuple[Text, ...] = ()
    host_paths: tuple[Text, ...] = ()
    host_namespaces: tuple[Text, ...] = ()
    containers: tuple[Container, ...] = ()
    services: Fact[tuple[Text, ...]] = ABSENT
    autoscaler: Fact[Autoscaler | None] = ABSENT
    budgets: Fact[tuple[Budget, ...]] = ABSENT
    pods: Fact[Pods] = ABSENT

    @property
    def title(self) -> str:
        """`deployment/shop-api`, as kubectl takes it."""
        return f"{self.kind.lower()}/{self.name}"[:100]

    @property
    def replicated(self) -> bool:
        """Whether its number of pods is somebody's choice."""
        return self.kind != "DaemonSet"


class Service(Facts):
    """A Service that selects pods. `ready` and `not_ready` count its addresses; `workloads` are titles."""

    name: Text
    kind: Text = "ClusterIP"
    headless: bool = False
    sticky: bool = False
    workloads: tuple[Text, ...] = ()
    ready: Fact[Count] = ABSENT
    not_ready: Fact[Count] = ABSENT


class Access(Facts):
    """How the auditor logged in, and what the API server says that it may do in the namespace.

    `tls` is `verified`, `unverified` where the kubeconfig says so, `local` for plain HTTP to this machine (as with
    kubectl proxy) and `none` for plain HTTP to another. `rules` are lines such as `get, list pods`; where `complete` is
    false the server may permit more. `writes` are those of them that change something.
    """

    credential: Text
    tls: Fact[Literal["verified", "unverified", "local", "none"]] = ABSENT
    reads_secrets: Fact[bool] = ABSENT
    everything: Fact[bool] = ABSENT
    rules: Fact[tuple[Text, ...]] = ABSENT
    writes: Fact[tuple[Text, ...]] = ABSENT
    complete: bool = True


class KubernetesFacts(Facts):
    """One namespace of one cluster. `versions` are the API versions that were read, by group.

    What the account may not list is absent.
    """

    now: AwareDatetime
    server: Text
    namespace: Text
    context: Text = ""
    selector: Text = ""
    version: Fact[Text] = ABSENT
    versions: dict[Text, Text] = {}
    access: Access
    deployments: Fact[tuple[Workload, ...]] = ABSENT
    stateful_sets: Fact[tuple[Workload, ...]] = ABSENT
    daemon_sets: Fact[tuple[Workload, ...]] = ABSENT
    services: Fact[tuple[Service, ...]] = ABSENT

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """All of them; raises FactMissing where one kind could not be listed."""
        return (*self.deployments, *self.stateful_sets, *self.daemon_sets)

    @property
    def running(self) -> tuple[Workload, ...]:
        """Those that are meant to run: at least one pod is wanted."""
        return tuple(workload for workload in self.workloads if workload.desired)
