"""Whether the cluster can be read, over a connection that is worth a token, with an account that can do no more."""

from __future__ import annotations

from readiness.api import Finding, check, failed, not_applicable, passed, warn
from readiness.facts.kubernetes import KubernetesFacts

from ._workloads import REACH, VIEW


@check(
    id=REACH,
    component="scalability",
    severity="high",
    phase=3,
    item="Container Orchestration",
    privilege=VIEW,
    effort="minutes",
    fix="kubectl -n NAMESPACE create rolebinding readiness --clusterrole=view --serviceaccount=NAMESPACE:readiness",
    verify="kubectl -n NAMESPACE get deployments,statefulsets,daemonsets",
    reference="https://kubernetes.io/docs/reference/access-authn-authz/rbac/#user-facing-roles",
    verdicts=("pass", "fail"),
)
def connect(kubernetes: KubernetesFacts) -> Finding:
    """The namespace can be read, and something is deployed in it.

    The version and the health of an API server are open to anybody and prove nothing. A namespace that does not exist
    answers like an empty one, so no workload at all is a fail: either nothing runs there, or the name is wrong.
    """
    found = kubernetes.workloads
    where = f"namespace {kubernetes.namespace}" + (f" with {kubernetes.selector}" if kubernetes.selector else "")
    expected = "a Deployment, StatefulSet or DaemonSet"
    if not found:
        return failed(f"no workload in {where}", observed="0 workloads", expected=expected)
    counts = {kind: sum(workload.kind == kind for workload in found) for kind in dict.fromkeys(w.kind for w in found)}
    observed = ", ".join(f"{count} {kind}{'s' * (count > 1)}" for kind, count in counts.items())
    return passed(f"{observed} in {where}", observed=observed, expected=expected)


@check(
    id="scalability.security.auditor_least_privilege",
    component="scalability",
    severity="low",
    requires=REACH,
    privilege="create selfsubjectaccessreviews and selfsubjectrulesreviews (ClusterRole system:basic-user)",
    effort="minutes",
    fix="kubectl -n NAMESPACE create rolebinding readiness --clusterrole=view --serviceaccount=NAMESPACE:readiness",
    verify="kubectl -n NAMESPACE auth can-i --list",
    reference="https://kubernetes.io/docs/concepts/security/rbac-good-practices/#least-privilege",
)
def auditor_least_privilege(kubernetes: KubernetesFacts) -> Finding:
    """The auditor's account can neither read secrets nor change anything.

    The ClusterRole view in one namespace is enough for every check. Whoever gets hold of a token that reads secrets has
    the passwords of the whole namespace, and such tokens stand in the configuration of CI jobs.
    """
    access = kubernetes.access
    if access.credential == "none":
        return not_applicable("the auditor is not logged in, so there is no account to judge", credential="none")
    expected = "get, list and watch, and no secrets"
    if access.everything:
        return failed("the account may do everything in the namespace", observed="* on *", expected=expected)
    rights = {"rights": list(access.rules[:20])}
    if access.reads_secrets:
        return failed("the account may read secrets", observed="reads secrets", expected=expected, evidence=rights)
    if writes := access.writes:
        observed = f"{len(writes)} rules that permit more than reading"
        return warn(f"the account may {writes[0][:60]}", observed=observed, expected=expected, evidence=rights)
    partly = "" if access.complete else ", as far as the server says"
    return passed(f"the account may only read, and no secrets{partly}", observed="read-only", expected=expected)


@check(
    id="scalability.security.api_tls",
    component="scalability",
    severity="medium",
    requires=REACH,
    effort="minutes",
    fix="kubectl config set-cluster CLUSTER --certificate-authority=ca.crt --embed-certs=true "
    "--insecure-skip-tls-verify=false",
    verify="kubectl config view --minify -o jsonpath='{.clusters[0].cluster}'",
    reference="https://kubernetes.io/docs/concepts/security/controlling-access/#transport-security",
    verdicts=("pass", "fail"),
)
def api_tls(kubernetes: KubernetesFacts) -> Finding:
    """The API server's certificate is verified before it gets a token.

    With insecure-skip-tls-verify anybody on the way can take the token of whoever uses that kubeconfig. Plain HTTP is
    accepted to this machine alone, where kubectl proxy listens; the audit never sends credentials over it.
    """
    expected = "TLS, with a certificate that is verified"
    match kubernetes.access.tls:
        case "verified":
            return passed("the certificate is verified", observed="verified", expected=expected)
        case "local":
            return passed("plain HTTP to a proxy on this machine", observed="local proxy", expected=expected)
        case "unverified":
            message = "the kubeconfig says insecure-skip-tls-verify"
            return failed(message, observed="not verified", expected=expected)
        case _:
            return failed("the API server is reached over plain HTTP", observed="plain HTTP", expected=expected)
