"""A large cluster in a process of its own: python heavy_server.py CERTIFICATES PODS PER_WORKLOAD; prints its address.

Its pods are the recorded ones, with the records of who manages them that a real server sends along.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from kubernetes.api_server import Cluster, recorded, serving


def manages() -> list[dict[str, Any]]:
    """Records such as a cluster keeps of who set which field: half of a pod, in as many small objects as there."""
    states = {f'k:{{"type":"Condition-{n}"}}': {".": {}, "f:status": {}, "f:lastTransitionTime": {}} for n in range(8)}
    container = {f"f:field-of-the-container-{n}": {".": {}, "f:name": {}} for n in range(45)}
    fields = {"f:status": {"f:conditions": states}, "f:spec": {"f:containers": {'k:{"name":"api"}': container}}}
    kubelet = {"manager": "kubelet", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1"}
    return [{**kubelet, "time": "2026-11-22T13:52:51Z", "fieldsV1": fields}]


def heavy(pods: int, per_workload: int) -> Cluster:
    """Deployments of `per_workload` pods each, with a service, an autoscaler and a budget."""
    cluster = recorded()
    names = {
        "deployments": "/apis/apps/v1/deployments",
        "services": "/api/v1/services",
        "budgets": "/apis/policy/v1beta1/poddisruptionbudgets",
        "scalers": "/apis/autoscaling/v2beta2/horizontalpodautoscalers",
    }
    lists = {key: cluster.lists[path] for key, path in names.items()}
    models = {key: found["items"][0] for key, found in lists.items()}
    pod_model = cluster.lists["/api/v1/pods"]["items"][0]
    records = manages()
    for found in lists.values():
        found["items"] = []
    cluster.lists["/api/v1/pods"]["items"] = listed = []
    for number in range(pods // per_workload):
        name = f"app-{number}"
        for key, model in models.items():
            item = json.loads(json.dumps(model).replace("shop-api", name))
            item["metadata"]["managedFields"] = records
            lists[key]["items"].append(item)
        text = json.dumps(pod_model).replace("shop-api", name)
        for pod in range(per_workload):
            item = json.loads(text)
            item["metadata"]["name"] = f"{name}-88bf49c-{pod:05}"
            item["metadata"]["managedFields"] = records
            item["spec"]["nodeName"] = f"n{(number + pod) % 200}"
            listed.append(item)
    return cluster


def prepared(cluster: Cluster) -> Cluster:
    """With every page of pods as bytes, so that the time of the audit is not the server's."""
    whole = cluster.lists["/api/v1/pods"]
    size = 250
    for start in range(0, len(whole["items"]), size):
        page = {**whole, "metadata": {"resourceVersion": "273"}, "items": whole["items"][start : start + size]}
        if start + size < len(whole["items"]):
            page["metadata"]["continue"] = f"t{start + size}"
        query = f"limit={size}" + (f"&continue=t{start}" if start else "")
        cluster.raw[f"/api/v1/namespaces/shop/pods?{query}"] = json.dumps(page, separators=(",", ":")).encode()
    cluster.lists["/api/v1/pods"] = {**whole, "items": []}
    return cluster


def main() -> None:
    folder, pods, per_workload = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    certificates: Any = SimpleNamespace(
        chain=folder / "server.pem", key=folder / "server.key", authority=folder / "ca.pem"
    )
    cluster = prepared(heavy(pods, per_workload))
    megabytes = sum(map(len, cluster.raw.values())) // 1_000_000
    with serving(cluster, certificates) as server:
        print(server.url, megabytes, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
