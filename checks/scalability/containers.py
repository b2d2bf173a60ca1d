"""What containers ask for and may do: probes, requests and limits, images, security."""

from __future__ import annotations

from readiness.api import Finding, check, failed, maybe, passed, warn
from readiness.facts.kubernetes import Container, KubernetesFacts, Workload

from ._workloads import REACH, SIDECARS, VIEW, over, own, worst_container

# What the baseline of the Pod Security Standards lets a container add.
_BASELINE = (
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
)  # fmt: skip


@check(
    id="scalability.workload.probes",
    component="scalability",
    severity="high",
    phase=3,
    item="Container Orchestration",
    requires=REACH,
    privilege=VIEW,
    effort="hours",
    fix="readinessProbe: {httpGet: {path: /health/ready, port: http}, periodSeconds: 5}\n"
    "livenessProbe: {httpGet: {path: /health/live, port: http}, periodSeconds: 10}\n"
    "startupProbe: {httpGet: {path: /health/live, port: http}, failureThreshold: 30, periodSeconds: 2}",
    verify="kubectl -n NAMESPACE describe deployment NAME | grep -i -E 'liveness|readiness|startup'",
    reference="https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/",
)
def probes(kubernetes: KubernetesFacts, *, sidecars: tuple[str, ...] = SIDECARS) -> Finding:
    """Every container says when it can serve and whether it lives, each in its own way.

    Without a readiness probe a pod gets requests before it can answer them, at every update and every scale-up; that
    fails where a service sends it any. A liveness probe that asks what the readiness probe asks restarts sound pods
    whenever a dependency is down. Known sidecars are left out; http, tcp, grpc and exec count alike.
    """

    def judge(workload: Workload) -> Finding:
        # Nothing sends requests to a worker; where the services cannot be read, it may be no worker.
        served = maybe(lambda: workload.services) != ()
        return worst_container(own(workload, sidecars), lambda container: _probes(container, served))

    return over(kubernetes, judge)


def _probes(container: Container, served: bool) -> Finding:
    found = {"readiness": container.readiness, "liveness": container.liveness, "startup": container.startup}
    observed = ", ".join(f"{name}: {probe[:40]}" for name, probe in found.items() if probe) or "no probe"
    expected = "readiness and liveness, not the same"
    if not container.readiness:
        what = "no readiness probe" if container.liveness else "neither readiness nor liveness probe"
        if served:
            return failed(what, observed=observed, expected=expected)
        return warn(f"{what}; no service selects it", observed=observed, expected=expected)
    if not container.liveness:
        return warn("no liveness probe", observed=observed, expected=expected)
    if container.same_probe:
        return warn(
            f"liveness and readiness ask the same ({container.liveness[:30]})", observed=observed, expected=expected
        )
    return passed("readiness and liveness probes", observed=observed, expected=expected)


@check(
    id="scalability.workload.resources",
    component="scalability",
    severity="high",
    phase=3,
    item="Container Orchestration",
    requires=REACH,
    privilege=VIEW,
    effort="hours",
    fix="resources: {requests: {cpu: 250m, memory: 256Mi}, limits: {memory: 512Mi}}",
    verify="kubectl -n NAMESPACE get pods -o jsonpath='{.items[*].spec.containers[*].resources}'",
    reference="https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/",
)
def resources(kubernetes: KubernetesFacts, *, sidecars: tuple[str, ...] = SIDECARS) -> Finding:
    """Every container requests CPU and memory, and has a memory limit.

    Requests decide where a pod fits, and autoscalers count in shares of them. Without a memory limit one leak takes the
    node with it. A limit on CPU is a choice and is not judged. Read from the pods, because a LimitRange adds defaults
    that the template does not show.
    """
    return over(kubernetes, lambda workload: worst_container(own(workload, sidecars), _resources))


def _resources(container: Container) -> Finding:
    asked = {
        "CPU request": container.cpu_request,
        "memory request": container.memory_request,
        "memory limit": container.memory_limit,
    }
    expected = "requests of CPU and memory, and a memory limit"
    observed = ", ".join(f"{name} {value}" for name, value in asked.items() if value) or "none"
    lacking = [name for name, value in asked.items() if not value]
    if len(lacking) == len(asked):
        return failed("neither requests nor a memory limit", observed=observed, expected=expected)
    if lacking:
        return warn(f"no {' and no '.join(lacking)}", observed=observed, expected=expected)
    return passed("requests, and a memory limit", observed=observed, expected=expected)


@check(
    id="scalability.workload.images",
    component="scalability",
    severity="medium",
    phase=3,
    item="Container Orchestration",
    requires=REACH,
    privilege=VIEW,
    effort="minutes",
    fix="kubectl -n NAMESPACE set image deployment/NAME CONTAINER=registry.example/app:1.4.2",
    verify="kubectl -n NAMESPACE get pods -o jsonpath='{.items[*].status.containerStatuses[*].imageID}'",
    reference="https://kubernetes.io/docs/concepts/containers/images/#image-names",
)
def images(kubernetes: KubernetesFacts, *, moving: tuple[str, ...] = ("latest",)) -> Finding:
    """Every pod of a workload runs the same image, under a tag that stays what it is.

    A tag such as latest names another image after every build: a restart then deploys, and a rollback does not roll
    back. Different digests in one finished rollout are the proof that it has happened.
    """
    return over(kubernetes, lambda workload: _images(workload, moving))


def _images(workload: Workload, moving: tuple[str, ...]) -> Finding:
    expected = "a fixed tag or a digest, the same in every pod"
    digests = workload.pods.image_ids

    def judge(container: Container) -> Finding:
        tag, observed = _tag(container.image), container.image[-80:] or "no image"
        if workload.rolled_out and digests.get(container.name, 0) > 1:
            message = f"pods run {digests[container.name]} different images of one tag"
            return failed(message, observed=f"{digests[container.name]} digests", expected=expected)
        if tag in moving:
            return warn(f"the image tag {tag} moves", observed=observed, expected=expected)
        return passed(f"tag {tag[:40]}", observed=observed, expected=expected)

    return worst_container(workload.containers, judge)


def _tag(image: str) -> str:
    """The tag of an image, `latest` where it names none, or the beginning of its digest."""
    name, pinned, digest = image.partition("@")
    if pinned:
        return digest[:19]
    return name.rpartition("/")[2].partition(":")[2] or "latest"


@check(
    id="scalability.workload.hardening",
    component="scalability",
    severity="medium",
    phase=3,
    item="Container Orchestration",
    requires=REACH,
    privilege=VIEW,
    effort="hours",
    fix="securityContext:\n  runAsNonRoot: true\n  readOnlyRootFilesystem: true\n  allowPrivilegeEscalation: false\n"
    "  capabilities: {drop: [ALL]}\n  seccompProfile: {type: RuntimeDefault}",
    verify="kubectl -n NAMESPACE get pods -o jsonpath='{.items[*].spec.containers[*].securityContext}'",
    reference="https://kubernetes.io/docs/concepts/security/pod-security-standards/",
)
def hardening(kubernetes: KubernetesFacts, *, capabilities: tuple[str, ...] = _BASELINE) -> Finding:
    """Containers run without root and without a way to become it, apart from their node.

    What the baseline of the Pod Security Standards forbids fails: privileged containers, namespaces and paths of the
    host, added capabilities beyond its list. What its restricted level asks for besides, and a writable root file
    system, warns.
    """
    return over(kubernetes, lambda workload: _hardening(workload, capabilities))


def _hardening(workload: Workload, capabilities: tuple[str, ...]) -> Finding:
    expected = "non-root, read-only, no escalation, nothing of the host"
    if workload.host_namespaces:
        shared = ", ".join(workload.host_namespaces)
        return failed(f"shares the host's {shared}", observed=f"host {shared}", expected=expected)
    if workload.host_paths:
        path = workload.host_paths[0]
        return failed(f"mounts {path[:40]} of the host", observed=f"hostPath {path[:60]}", expected=expected)

    def judge(container: Container) -> Finding:
        added = [name for name in container.capabilities if name.removeprefix("CAP_") not in capabilities]
        if container.privileged:
            return failed("runs privileged", observed="privileged", expected=expected)
        if added:
            return failed(f"adds the capability {added[0][:30]}", observed=", ".join(added[:5]), expected=expected)
        lacking = {
            "may run as root": not container.non_root,
            "may escalate its privileges": container.may_escalate,
            "can write its file system": not container.read_only_root,
        }
        found = [what for what, so in lacking.items() if so]
        if found:
            return warn(", ".join(found), observed=", ".join(found), expected=expected)
        return passed("runs restricted", observed="non-root, read-only, no escalation", expected=expected)

    return worst_container(workload.containers, judge)
