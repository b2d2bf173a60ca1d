"""The commands against the API server: every format, the gate, the doctor, and no token in any of it."""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from .. import forked  # noqa: TID252
from ..forked import Done  # noqa: TID252
from .api_server import TOKENS, Running, newer, recorded
from .conftest import Serve

FORMATS = ("json", "html", "md", "xml", "sarif", "svg", "csv", "prom")


def readiness(folder: Path, kubeconfig: Path, *arguments: str) -> Done:
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "NO_COLOR": "1", "COLUMNS": "100"}
    return forked.readiness(*arguments, cwd=folder, env=environment, seconds=100)


def audited(server: Running, folder: Path, role: str, *more: str) -> tuple[Done, dict[str, Any]]:
    kubeconfig = server.kubeconfig(folder, {"token": TOKENS.get(role, role)})
    result = readiness(folder, kubeconfig, "audit", "--kubernetes", "prod/shop", "-o", "r.json", *more)
    return result, json.loads((folder / "r.json").read_text())


def statuses(report: dict[str, Any]) -> dict[str, str]:
    return {check["id"]: check["status"] for check in report["checks"] if check["component"] == "scalability"}


def test_a_recorded_cluster_and_no_token_in_any_output(serve: Serve, tmp_path: Path) -> None:
    server = serve(recorded())
    outputs = [part for format in FORMATS for part in ("-o", f"all.{format}")]
    result, report = audited(server, tmp_path, "admin", "-v", "--save-facts", "facts.json", *outputs)
    assert result.returncode == 0, result.stderr
    assert "Scalability" in result.stdout
    row = next(entry for entry in report["components"] if entry["id"] == "scalability")
    assert (row["state"], row["rating"]) == ("assessed", "not_ready")
    found = statuses(report)
    assert found["scalability.reach.connect"] == "pass"
    assert found["scalability.workload.replicas"] == "fail"
    assert found["scalability.security.auditor_least_privilege"] == "fail"
    assert "itself failed" not in json.dumps(report)
    [replicas] = [check for check in report["checks"] if check["id"] == "scalability.workload.replicas"]
    assert replicas["message"] == "deployment/shop-worker: no pod is ready (1 of 2 workloads)"
    assert replicas["fix"].startswith("kubectl -n shop describe deployment/shop-worker")
    # As it is, and as a header or a scanner would have it.
    token = TOKENS["admin"]
    forms = {token, base64.b64encode(token.encode()).decode().rstrip("="), token[6:-2]}
    written = [path for path in tmp_path.iterdir() if path.name != "kubeconfig"]
    assert len(written) == len(FORMATS) + 2
    for text in (result.stdout, result.stderr, *(path.read_text() for path in written)):
        assert not [form for form in forms if form in text]
    assert {method for method, _, _ in server.cluster.asked} == {"GET", "POST"}


def test_saved_facts_are_judged_alike_without_the_cluster(serve: Serve, tmp_path: Path) -> None:
    _, live = audited(serve(newer()), tmp_path, "view", "--save-facts", "facts.json")
    result = readiness(tmp_path, tmp_path / "nowhere", "audit", "--facts", "facts.json", "-o", "again.json")
    assert result.returncode == 0, result.stderr
    assert statuses(json.loads((tmp_path / "again.json").read_text())) == statuses(live)


def test_the_gate_and_a_selection(serve: Serve, tmp_path: Path) -> None:
    server = serve(newer())
    only = ("--only", "scalability", "--component", "scalability=9")
    result, report = audited(server, tmp_path, "view", *only)
    assert result.returncode == 1, result.stderr
    assert "component scalability" in result.stdout
    assert [entry["state"] for entry in report["components"]] == ["not_run"] * 6 + ["assessed"]
    weak = ("--only", "scalability", "--component", "scalability=3")
    assert audited(server, tmp_path, "view", *weak)[0].returncode == 0


def test_a_token_without_rights_is_told_which_it_needs(serve: Serve, tmp_path: Path) -> None:
    result, report = audited(serve(recorded()), tmp_path, "none", "--component", "scalability=5")
    assert result.returncode == 3, "nothing was judged, and a gate was asked for"
    found = statuses(report)
    assert found.pop("scalability.reach.connect") == "error"
    assert set(found.values()) == {"blocked"}
    [reach] = [check for check in report["checks"] if check["id"] == "scalability.reach.connect"]
    assert reach["evidence"]["needs"] == "list deployments.apps in namespace shop (ClusterRole view)"


@pytest.mark.parametrize(
    ("role", "says"),
    [("forged-token-123", "does not accept these credentials"), ("forged with blanks", "characters that no HTTP")],
)
def test_a_login_that_fails_makes_the_audit_incomplete(serve: Serve, tmp_path: Path, role: str, says: str) -> None:
    result, report = audited(serve(recorded()), tmp_path, role)
    assert result.returncode == 3
    assert says in result.stdout
    assert role not in json.dumps(report) + result.stderr + result.stdout
    assert report["incomplete"]


def test_the_doctor_prints_the_binding_and_what_the_token_may_do(serve: Serve, tmp_path: Path) -> None:
    kubeconfig = serve(recorded()).kubeconfig(tmp_path, {"token": TOKENS["admin"]})
    result = readiness(tmp_path, kubeconfig, "doctor", "-q", "--kubernetes", "/shop")
    assert result.returncode == 0, result.stderr
    assert re.search(r"^Kubernetes +collected", result.stdout, re.MULTILINE)
    binding = "kubectl -n shop create rolebinding readiness --clusterrole=view --serviceaccount=shop:readiness"
    assert binding in result.stdout
    assert "get, list, watch pods, services, endpoints, events" in result.stdout
    assert "it may read secrets, which no check needs" in result.stdout
    assert TOKENS["admin"] not in result.stdout + result.stderr


def test_the_doctor_names_what_is_lacking(serve: Serve, tmp_path: Path) -> None:
    cluster = recorded()
    cluster.refused = {"/poddisruptionbudgets": 403}
    kubeconfig = serve(cluster).kubeconfig(tmp_path)
    result = readiness(tmp_path, kubeconfig, "doctor", "-q", "--kubernetes", "prod/")
    assert result.returncode == 3
    right = "without list poddisruptionbudgets.policy in namespace shop (ClusterRole view), 1 checks cannot be judged"
    assert f"{right}: scalability.workload.disruption_budget" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--kubernetes", "shop"), "--kubernetes: 'shop' is not CONTEXT/NAMESPACE"),
        (("--kubernetes", "prod/Shop!"), "kubernetes.namespace: expected the name of a namespace"),
        (("-c", "bad.yaml"), "bad.yaml:1: kubernetes.selector: expected a label selector"),
        (("-c", "worse.yaml"), "worse.yaml:1: unknown key 'namespce' (did you mean 'namespace'?)"),
    ],
)
def test_bad_input_contacts_nothing(serve: Serve, tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    server = serve(recorded())
    (tmp_path / "bad.yaml").write_text("kubernetes: {namespace: shop, selector: 'app==$(x)'}\n")
    (tmp_path / "worse.yaml").write_text("kubernetes: {namespce: shop}\n")
    result = readiness(tmp_path, server.kubeconfig(tmp_path), "audit", *arguments)
    assert result.returncode == 2
    assert says in result.stderr
    assert not server.cluster.asked


def test_the_file_says_where(serve: Serve, tmp_path: Path) -> None:
    server = serve(newer())
    server.kubeconfig(tmp_path)
    settings = "kubernetes: {kubeconfig: ./kubeconfig, context: prod, namespace: shop, selector: app=web}\n"
    (tmp_path / "readiness.yaml").write_text(settings)
    result = readiness(tmp_path, tmp_path / "nowhere", "audit", "-o", "r.json", "--only", "scalability.reach")
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    [reach] = [check for check in report["checks"] if check["id"] == "scalability.reach.connect"]
    assert reach["message"] == "1 Deployment in namespace shop with app=web"
