"""The probe against an API server with recorded answers of version 1.20, and with those that newer groups give."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from readiness.errors import FactMissing, ProbeError
from readiness.facts.kubernetes import KubernetesFacts

from .api_server import TOKENS, newer, recorded
from .conftest import Serve, as_role, paths, read


def test_a_recorded_cluster(serve: Serve, tmp_path: Path) -> None:
    facts = as_role(serve(recorded()), tmp_path, "view")
    assert facts.version == "v1.20.2"
    assert facts.versions == {"autoscaling": "v2beta2", "policy": "v1beta1", "discovery.k8s.io": "v1beta1"}
    api, worker = facts.workloads
    assert (api.title, api.desired, api.ready, api.available, api.services) == (
        "deployment/shop-api", 3, 3, True, ("shop-api",)
    )  # fmt: skip
    assert api.spread_rules == ("topology.kubernetes.io/zone",)
    assert (api.pods.ready, api.pods.nodes, api.pods.busiest_node) == (3, 1, "n1")
    assert [budget.allowed for budget in api.budgets] == [1]
    assert api.autoscaler is not None
    assert (api.autoscaler.minimum, api.autoscaler.maximum) == (3, 10)
    # No controller has looked at it yet: its conditions are null.
    with pytest.raises(FactMissing):
        assert api.autoscaler.active
    # Nothing is ready, so its status does not even have the key.
    assert (worker.ready, worker.available, worker.pods.waiting, worker.services) == (0, False, 1, ())
    assert worker.pods.waiting_minutes > 60
    [container] = api.containers
    assert (container.liveness, container.readiness, container.same_probe) == (
        "http /health/live", "http /health/ready", False
    )  # fmt: skip
    assert container.non_root
    assert not container.may_escalate


def test_view_reads_endpoints_where_it_may_not_read_slices(serve: Serve, tmp_path: Path) -> None:
    server = serve(recorded())
    facts = as_role(server, tmp_path, "view")
    assert [(service.name, service.ready, service.not_ready) for service in facts.services] == [("shop-api", 3, 0)]
    assert "/api/v1/namespaces/shop/endpoints" in paths(server.cluster)


def test_about_a_dozen_gets_and_nothing_else_but_reviews(serve: Serve, tmp_path: Path) -> None:
    server = serve(recorded())
    as_role(server, tmp_path, "view")
    methods = [method for method, _, _ in server.cluster.asked]
    assert methods.count("GET") == 13
    assert set(methods) == {"GET", "POST"}
    posted = {path for method, path, _ in server.cluster.asked if method == "POST"}
    root = "/apis/authorization.k8s.io/v1/"
    assert posted == {root + "selfsubjectaccessreviews", root + "selfsubjectrulesreviews"}
    assert {body["kind"] for body in server.cluster.bodies} == {"SelfSubjectAccessReview", "SelfSubjectRulesReview"}
    assert not any("secrets" in path for path in paths(server.cluster))


def test_newer_groups(serve: Serve, tmp_path: Path) -> None:
    server = serve(newer())
    facts = as_role(server, tmp_path, "view")
    assert facts.versions == {"autoscaling": "v2", "policy": "v1", "discovery.k8s.io": "v1"}
    web, queue, logs = facts.workloads
    assert web.autoscaler is not None
    assert (web.autoscaler.active, web.autoscaler.limited_reason, web.autoscaler.metrics) == (True, "TooFewReplicas", 1)
    # An empty selector selects everything in policy/v1, and the queue has a budget of its own.
    assert [budget.name for budget in web.budgets] == ["everything"]
    assert [budget.name for budget in queue.budgets] == ["everything", "queue"]
    services = {service.name: service for service in facts.services}
    # Pods are counted, not their two addresses, and not the one that is ending; a missing condition counts as ready.
    assert (services["web"].ready, services["web"].not_ready, services["web"].sticky) == (2, 1, True)
    assert (services["queue"].ready, services["queue"].headless) == (2, True)
    assert set(services) == {"web", "queue"}, "without a selector there is nothing to judge"
    assert "/api/v1/namespaces/shop/endpoints" not in paths(server.cluster)
    assert (logs.kind, logs.host_paths, logs.host_namespaces) == ("DaemonSet", ("/var/log",), ("network",))
    assert (logs.containers[0].privileged, logs.containers[0].capabilities) == (True, ("SYS_ADMIN",))
    assert (logs.containers[0].readiness, logs.containers[0].liveness) == ("tcp", "grpc")


def test_pods_are_summed_up(serve: Serve, tmp_path: Path) -> None:
    web, queue, _ = as_role(serve(newer()), tmp_path, "view").workloads
    # One of three is being deleted; the sidecar is injected, so it is no container of the workload.
    assert (web.pods.total, web.pods.nodes, web.pods.restarts, web.pods.restarting) == (2, 2, 30, "web-6f7d9c-aaaaa")
    assert 0 < web.pods.restarts_per_day < 30
    assert web.pods.out_of_memory == 1
    assert web.pods.out_of_memory_hours > 0
    assert web.pods.image_ids["web"] == 2
    assert [container.name for container in web.containers] == ["web"]
    # The template asks for nothing; a LimitRange gave the pods what they have.
    assert (queue.containers[0].cpu_request, queue.containers[0].memory_limit) == ("10m", "64Mi")
    assert queue.containers[0].same_probe
    assert queue.pods.waiting_for == "0/3 nodes are available: 3 Insufficient memory."


def test_nothing_secret_of_an_object_is_kept(serve: Serve, tmp_path: Path) -> None:
    facts = as_role(serve(newer()), tmp_path, "admin")
    assert "do-not-keep" not in json.dumps(facts.to_json())


def test_version_1_keeps_conditions_in_annotations(serve: Serve, tmp_path: Path) -> None:
    cluster = newer()
    cluster.documents["/apis/autoscaling"]["versions"] = [{"groupVersion": "autoscaling/v1", "version": "v1"}]
    cluster.lists["/apis/autoscaling/v1/horizontalpodautoscalers"] = json.loads(
        (Path(__file__).parent / "newer/hpa_v1_annotated.json").read_text()
    )
    scaler = as_role(serve(cluster), tmp_path, "view").deployments[0].autoscaler
    assert scaler is not None
    assert (scaler.able, scaler.active, scaler.active_reason) == (True, False, "FailedGetResourceMetric")
    assert scaler.metrics == 1, "a metric without a type could not be read"
    assert scaler.minimum == 1, "the default"


def test_an_empty_selector_selects_nothing_in_the_beta(serve: Serve, tmp_path: Path) -> None:
    cluster = recorded()
    [budget] = cluster.lists["/apis/policy/v1beta1/poddisruptionbudgets"]["items"]
    budget["spec"]["selector"] = {}
    assert as_role(serve(cluster), tmp_path, "view").deployments[0].budgets == ()


def test_the_rights_of_the_account(serve: Serve, tmp_path: Path) -> None:
    server = serve(recorded())
    view, admin = as_role(server, tmp_path, "view").access, as_role(server, tmp_path, "admin").access
    assert (view.credential, view.tls, view.reads_secrets, view.everything, view.writes) == (
        "bearer token", "verified", False, False, ()
    )  # fmt: skip
    assert view.rules[0] == "get, list, watch pods, services, endpoints, events"
    assert (admin.reads_secrets, admin.everything, admin.writes) == (True, True, ("* *",))


def test_a_right_that_only_the_single_question_shows(serve: Serve, tmp_path: Path) -> None:
    """A webhook may permit what no list of rules tells."""
    cluster = recorded()
    cluster.secrets_readable_by, cluster.incomplete = ("view",), True
    access = as_role(serve(cluster), tmp_path, "view").access
    assert access.reads_secrets
    assert not access.complete


def test_without_rights_everything_is_absent_with_the_privilege(serve: Serve, tmp_path: Path) -> None:
    facts = as_role(serve(recorded()), tmp_path, "none")
    for name in ("deployments", "stateful_sets", "daemon_sets", "services"):
        with pytest.raises(FactMissing) as missing:
            getattr(facts, name)
        assert "list " in str(missing.value.privilege)
        assert "namespace shop (ClusterRole view)" in str(missing.value.privilege)
    assert facts.version == "v1.20.2", "which anybody may read"


def test_what_may_not_be_seen_is_absent_and_the_rest_is_there(serve: Serve, tmp_path: Path) -> None:
    cluster = recorded()
    cluster.refused = {"/pods": 403, "/horizontalpodautoscalers": 403, "/services": 403, "selfsubjectrulesreviews": 403}
    facts = as_role(serve(cluster), tmp_path, "view")
    workload = facts.deployments[0]
    assert workload.ready == 3
    for name, right in (("pods", "list pods"), ("autoscaler", "list horizontalpodautoscalers.autoscaling")):
        with pytest.raises(FactMissing) as missing:
            getattr(workload, name)
        assert str(missing.value.privilege).startswith(right)
    for read_it in (lambda: workload.services, lambda: facts.services, lambda: facts.access.rules):
        with pytest.raises(FactMissing):
            read_it()
    assert not facts.access.reads_secrets
    assert workload.budgets


def test_a_login_that_is_not_accepted(serve: Serve, tmp_path: Path) -> None:
    server = serve(recorded())
    with pytest.raises(ProbeError, match=r"does not accept these credentials \(401\)"):
        read(server.kubeconfig(tmp_path, {"token": "forged"}))


def test_nobody_logged_in(serve: Serve, tmp_path: Path) -> None:
    server = serve(recorded())
    facts = read(server.kubeconfig(tmp_path, {}))
    assert facts.access.credential == "none"
    with pytest.raises(FactMissing):
        assert facts.deployments
    assert not any("Authorization" in headers for headers in server.cluster.headers)


def test_a_group_that_is_not_there(serve: Serve, tmp_path: Path) -> None:
    cluster = recorded()
    for group in ("policy", "discovery.k8s.io"):
        del cluster.documents[f"/apis/{group}"]
    facts = as_role(serve(cluster), tmp_path, "view")
    with pytest.raises(FactMissing, match="knows no the group policy"):
        assert facts.deployments[0].budgets
    assert facts.services[0].ready == 3, "Endpoints stand in for EndpointSlices"


def test_a_group_of_another_time(serve: Serve, tmp_path: Path) -> None:
    cluster = recorded()
    cluster.documents["/apis/policy"]["versions"] = [{"groupVersion": "policy/v9", "version": "v9"}]
    facts = as_role(serve(cluster), tmp_path, "view")
    with pytest.raises(FactMissing, match="policy is offered in v9 only"):
        assert facts.deployments[0].budgets


def test_a_selector_chooses_workloads_and_their_pods(serve: Serve, tmp_path: Path) -> None:
    server = serve(newer())
    facts = as_role(server, tmp_path, "view", selector="app=web")
    assert [workload.name for workload in facts.workloads] == ["web"]
    assert [service.name for service in facts.services] == ["web"]
    assert facts.workloads[0].pods.total == 2
    [asked] = [path for _, path, _ in server.cluster.asked if "/pods?" in path]
    assert "labelSelector=app%3Dweb%2C%21canary" in asked


def test_pages(serve: Serve, tmp_path: Path) -> None:
    cluster = recorded()
    pods = cluster.lists["/api/v1/pods"]["items"]
    for number in range(600):
        pod = json.loads(json.dumps(pods[0]))
        pod["metadata"]["name"] += str(number)
        pods.append(pod)
    server = serve(cluster)
    assert as_role(server, tmp_path, "view").deployments[0].pods.total == 603
    asked = [path for _, path, _ in server.cluster.asked if "/pods?" in path]
    assert asked == [
        "/api/v1/namespaces/shop/pods?limit=250",
        "/api/v1/namespaces/shop/pods?limit=250&continue=t250",
        "/api/v1/namespaces/shop/pods?limit=250&continue=t500",
    ]
    # Its snapshot expires on the way: the list goes on with the token that the answer brings.
    server.cluster.expire.add("t250")
    assert as_role(server, tmp_path, "view").deployments[0].pods.total == 603
    # A page that is too large is asked for again in smaller ones.
    server.cluster.asked.clear()
    assert as_role(server, tmp_path, "view", limits={"response_mb": 0.3}).deployments[0].pods.total == 603
    assert any("limit=62" in path for _, path, _ in server.cluster.asked)


def test_a_list_without_an_end(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("readiness.probes.kubernetes_client._MOST_PAGES", 5)
    page = {"items": [], "metadata": {"continue": "again"}}
    cluster = recorded()
    for query in ("limit=250", "limit=250&continue=again"):
        cluster.raw[f"/api/v1/namespaces/shop/pods?{query}"] = json.dumps(page).encode()
    facts = as_role(serve(cluster), tmp_path, "view")
    with pytest.raises(FactMissing, match="the list of pods has no end"):
        assert facts.deployments[0].pods


def test_more_objects_than_are_read(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("readiness.probes.kubernetes.MAX_PODS", 2)
    monkeypatch.setattr("readiness.probes.kubernetes_client.PAGE", 2)
    facts = as_role(serve(recorded()), tmp_path, "view")
    with pytest.raises(FactMissing, match=r"more than 2 pods in shop: narrow it down with kubernetes\.selector"):
        assert facts.deployments[0].pods


def test_an_answer_that_takes_too_long(serve: Serve, tmp_path: Path) -> None:
    cluster = recorded()
    cluster.seconds = 3.0
    with pytest.raises(ProbeError, match=r"no complete answer within 1 s"):
        as_role(serve(cluster), tmp_path, "view", limits={"request_seconds": 1})


def test_no_server(tmp_path: Path, serve: Serve) -> None:
    server = serve(recorded())
    config = server.kubeconfig(tmp_path, server="https://127.0.0.1:1")
    with pytest.raises(ProbeError, match="could not connect"):
        read(config)


def test_credentials_that_the_server_repeats_stay_out_of_the_facts(serve: Serve, tmp_path: Path) -> None:
    cluster = newer()
    cluster.documents["/version"]["gitVersion"] = TOKENS["view"]
    item = cluster.lists["/apis/apps/v1/deployments"]["items"][0]
    item["spec"]["template"]["spec"]["containers"][0]["image"] = f"registry/{TOKENS['view']}:1"
    facts: KubernetesFacts = as_role(serve(cluster), tmp_path, "view")
    assert TOKENS["view"] not in json.dumps(facts.to_json())
    assert facts.deployments[0].containers[0].image == "registry/•••:1"
