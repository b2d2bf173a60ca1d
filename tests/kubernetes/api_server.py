"""A Kubernetes API server of ours: recorded and hand-written answers over TLS, behind tokens with different rights."""

from __future__ import annotations

import contextlib
import json
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

HERE = Path(__file__).parent
TOKENS = {"admin": "admin-token-0c7c9f3b", "view": "view-token-5f1e0d2a", "none": "none-token-91b7ad44"}
"""By the role that they have in the namespace."""
_NAMES = {token: role for role, token in TOKENS.items()}
GROUPS = ("autoscaling", "policy", "discovery.k8s.io")
VIEW = [
    {"verbs": ["create"], "apiGroups": ["authorization.k8s.io"],
     "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]},
    {"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["pods", "services", "endpoints", "events"]},
    {"verbs": ["get", "list", "watch"], "apiGroups": ["apps"],
     "resources": ["deployments", "statefulsets", "daemonsets"]},
]  # fmt: skip
RULES = {
    "admin": [*VIEW, {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
    "view": VIEW,
    "none": VIEW[:1],
}


def read(name: str) -> Any:
    return json.loads((HERE / f"{name}.json").read_text())


@dataclass
class Cluster:
    """What the server answers: documents by path, lists by path below the namespace, and what goes wrong.

    `refused` maps the end of a path to the status that every token gets there; `asked` is what came in, as method, path
    with its query, and role.
    """

    documents: dict[str, Any]
    lists: dict[str, Any]
    namespace: str = "shop"
    refused: dict[str, int] = field(default_factory=dict)
    secrets_readable_by: tuple[str, ...] = ("admin",)
    incomplete: bool = False
    raw: dict[str, bytes] = field(default_factory=dict)
    seconds: float = 0.0
    expire: set[str] = field(default_factory=set)  # continue tokens that are answered with 410, once
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


def recorded() -> Cluster:
    """A cluster of version 1.20 as it answered. Its role `view` did not list EndpointSlices."""
    groups = {f"/apis/{group}": read(f"recorded/apis_{group}") for group in GROUPS}
    return Cluster(
        {"/version": read("recorded/version"), **groups},
        {
            "/apis/apps/v1/deployments": read("recorded/deployments"),
            "/apis/apps/v1/statefulsets": read("recorded/statefulsets"),
            "/apis/apps/v1/daemonsets": {**read("recorded/statefulsets"), "kind": "DaemonSetList"},
            "/api/v1/pods": read("recorded/pods"),
            "/api/v1/services": read("recorded/services"),
            "/api/v1/endpoints": read("recorded/endpoints"),
            "/apis/autoscaling/v1/horizontalpodautoscalers": read("recorded/hpa_v1"),
            "/apis/autoscaling/v2beta2/horizontalpodautoscalers": read("recorded/hpa_v2beta2"),
            "/apis/policy/v1beta1/poddisruptionbudgets": read("recorded/pdb_v1beta1"),
            "/apis/discovery.k8s.io/v1beta1/endpointslices": None,
        },
    )


def newer() -> Cluster:
    """A cluster of version 1.33: autoscaling/v2, policy/v1 and discovery.k8s.io/v1 only."""
    groups = {f"/apis/{group}": read(f"newer/apis_{group}") for group in GROUPS}
    return Cluster(
        {"/version": read("newer/version"), **groups},
        {
            "/apis/apps/v1/deployments": read("newer/deployments"),
            "/apis/apps/v1/statefulsets": read("newer/statefulsets"),
            "/apis/apps/v1/daemonsets": read("newer/daemonsets"),
            "/api/v1/pods": read("newer/pods"),
            "/api/v1/services": read("newer/services"),
            "/apis/autoscaling/v2/horizontalpodautoscalers": read("newer/hpa_v2"),
            "/apis/policy/v1/poddisruptionbudgets": read("newer/pdb_v1"),
            "/apis/discovery.k8s.io/v1/endpointslices": read("newer/endpointslices_v1"),
        },
    )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster: Cluster
    client_certificates = False

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PUT(self) -> None:
        self._serve("PUT")

    do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = do_PUT  # noqa: N815

    def _serve(self, method: str) -> None:
        cluster = self.cluster
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        role = self._role()
        cluster.asked.append((method, self.path, role))
        cluster.headers.append(dict(self.headers))
        if body:
            cluster.bodies.append(json.loads(body))
        time.sleep(cluster.seconds)
        path = urlsplit(self.path).path
        if role == "unknown":
            return self._answer(401, read("recorded/unauthorized"))
        for end, status in cluster.refused.items():
            if path.endswith(end):
                return self._answer(status, _status(status))
        if self.path in cluster.raw:
            return self._send(200, cluster.raw[self.path])
        if method == "POST" and path.startswith("/apis/authorization.k8s.io/v1/selfsubject"):
            return self._review(path, json.loads(body), role)
        if method != "GET":
            return self._answer(405, _status(405))
        if path == "/version" or (path in cluster.documents and role != "anonymous"):
            return self._answer(200, cluster.documents[path])
        return self._list(path, role)

    def _role(self) -> str:
        if self.client_certificates and self.connection.getpeercert():  # type: ignore[attr-defined]
            return "view"
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return "anonymous"
        return _NAMES.get(token, "unknown") if scheme == "Bearer" else "unknown"

    def _review(self, path: str, body: Any, role: str) -> None:
        if role == "anonymous":
            return self._answer(403, _status(403))
        if path.endswith("selfsubjectrulesreviews"):
            rules = RULES[role] if body["spec"]["namespace"] == self.cluster.namespace else VIEW[:1]
            status = {"resourceRules": rules, "nonResourceRules": [], "incomplete": self.cluster.incomplete}
            return self._answer(201, {**body, "status": status})
        asked = body["spec"]["resourceAttributes"]
        allowed = role == "admin" if asked["verb"] == "*" else role in self.cluster.secrets_readable_by
        return self._answer(201, {**body, "status": {"allowed": allowed}})

    def _list(self, path: str, role: str) -> None:
        cluster = self.cluster
        where = f"/namespaces/{cluster.namespace}/"
        name = path.replace(where, "/")
        if where not in path or name not in cluster.lists:
            return self._answer(404, read("recorded/not_found"))
        if role in ("none", "anonymous") or cluster.lists[name] is None:
            return self._answer(403, {**read("recorded/forbidden_endpointslices"), "message": f"{name} is forbidden"})
        query = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
        whole = cluster.lists[name]
        items = [item for item in whole["items"] if _matches(item, query.get("labelSelector", ""))]
        start, size = int(query.get("continue", "t0")[1:]), int(query.get("limit", "500"))
        if query.get("continue") in cluster.expire:
            cluster.expire.discard(query["continue"])
            fresh = {**_status(410), "metadata": {"continue": f"u{start}"}}
            return self._answer(410, fresh)
        page = {**whole, "metadata": dict(whole["metadata"]), "items": items[start : start + size]}
        if start + size < len(items):
            page["metadata"] |= {"continue": f"t{start + size}", "remainingItemCount": len(items) - start - size}
        return self._answer(200, page)

    def _answer(self, status: int, document: Any) -> None:
        self._send(status, json.dumps(document).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client may leave before its answer; everything else is a mistake of the server's."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _status(code: int) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code, "message": "no"}


def _matches(item: Any, selector: str) -> bool:
    labels = item["metadata"].get("labels", {})
    for part in filter(None, selector.split(",")):
        key, equal, value = part.partition("=")
        if equal and labels.get(key) != value:
            return False
        if part.startswith("!") and part[1:] in labels:
            return False
    return True


@dataclass
class Running:
    """A server and how to reach it."""

    url: str
    cluster: Cluster
    authority: str

    def kubeconfig(self, folder: Path, user: dict[str, Any] | None = None, **cluster: Any) -> Path:
        """A kubeconfig with one context, `prod`, in its own file of the folder."""
        entry = {"server": self.url, "certificate-authority-data": _base64(self.authority), **cluster}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "prod",
            "contexts": [{"name": "prod", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
            "clusters": [{"name": "c", "cluster": {key: value for key, value in entry.items() if value is not None}}],
            "users": [{"name": "u", "user": {"token": TOKENS["view"]} if user is None else user}],
        }
        path = folder / "kubeconfig"
        path.write_text(json.dumps(document))
        return path


def _base64(text: str) -> str:
    import base64

    return base64.b64encode(text.encode()).decode()


@contextlib.contextmanager
def serving(cluster: Cluster, certificates: Any, clients: Path | None = None) -> Iterator[Running]:
    """Runs a server on a free port of loopback. `clients` is the authority of client certificates."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates.chain, certificates.key)
    if clients is not None:
        tls.verify_mode = ssl.CERT_OPTIONAL
        tls.load_verify_locations(clients)
    handler = type("Handler", (_Handler,), {"cluster": cluster, "client_certificates": clients is not None})
    server = _Server(("127.0.0.1", 0), handler)
    server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield Running(f"https://127.0.0.1:{server.server_port}", cluster, certificates.authority.read_text())
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
