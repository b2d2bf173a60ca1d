"""Kubeconfigs as kubectl reads them, and every way to log in, against a server that checks it."""

from __future__ import annotations

import asyncio
import base64
import json
import shlex
import socket
import stat
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from readiness.errors import ProbeError
from readiness.facts.kubernetes import KubernetesFacts
from readiness.probes.kubeconfig import Target, find
from readiness.probes.kubernetes import kubernetes
from readiness.probes.kubernetes_client import transport
from readiness.settings import KubernetesSettings

from .api_server import TOKENS, Running, recorded
from .conftest import Serve, context, read

VIEW = TOKENS["view"]


def plugin(folder: Path, body: str) -> dict[str, Any]:
    """An exec plugin of these lines of Python, beside the kubeconfig."""
    script = folder / "login-plugin"
    script.write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -c {shlex.quote(body)}\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return {"apiVersion": "client.authentication.k8s.io/v1", "command": "./login-plugin", "interactiveMode": "Never"}


def prints(status: dict[str, Any]) -> str:
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    return f"print({json.dumps(answer)!r})"


@pytest.fixture
def server(serve: Serve) -> Running:
    return serve(recorded())


def signs_in(facts: KubernetesFacts) -> bool:
    return len(facts.deployments) == 2


@pytest.mark.parametrize("kind", ["data", "file"])
def test_tokens_and_authorities_from_data_and_files(server: Running, tmp_path: Path, kind: str) -> None:
    (tmp_path / "token").write_text(VIEW + "\n")
    (tmp_path / "ca.crt").write_text(server.authority)
    if kind == "data":
        path = server.kubeconfig(tmp_path, {"token": VIEW})
    else:
        files = {"certificate-authority-data": None, "certificate-authority": "ca.crt"}
        path = server.kubeconfig(tmp_path, {"tokenFile": "token"}, **files)
    facts = read(path)
    assert signs_in(facts)
    assert (facts.context, facts.namespace, facts.access.credential) == ("prod", "shop", "bearer token")


@pytest.mark.parametrize("kind", ["data", "file"])
def test_a_client_certificate(serve: Serve, tmp_path: Path, kind: str) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "clients.pem")
    leaf = authority.issue_cert("auditor@example.com")
    chain = b"".join(pem.bytes() for pem in leaf.cert_chain_pems)
    key = leaf.private_key_pem.bytes()
    server = serve(recorded(), clients=tmp_path / "clients.pem")
    if kind == "file":
        (tmp_path / "me.crt").write_bytes(chain)
        (tmp_path / "me.key").write_bytes(key)
        user = {"client-certificate": "me.crt", "client-key": "me.key"}
    else:
        user = {"client-certificate-data": base64.b64encode(chain).decode(),
                "client-key-data": base64.b64encode(key).decode()}  # fmt: skip
    facts = read(server.kubeconfig(tmp_path, user))
    assert signs_in(facts)
    assert facts.access.credential == "client certificate"


def test_a_key_behind_a_password_asks_nobody(serve: Serve, tmp_path: Path) -> None:
    leaf = trustme.CA().issue_cert("auditor@example.com")
    plain = load_pem_private_key(leaf.private_key_pem.bytes(), None)
    locked = plain.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"a password"))
    user = {
        "client-certificate-data": base64.b64encode(leaf.cert_chain_pems[0].bytes()).decode(),
        "client-key-data": base64.b64encode(locked).decode(),
    }
    with pytest.raises(ProbeError, match="the certificates of the kubeconfig cannot be used"):
        read(serve(recorded()).kubeconfig(tmp_path, user))


def test_an_exec_plugin(server: Running, tmp_path: Path) -> None:
    body = (
        "import os, sys; print('noise', file=sys.stderr)\n"
        "assert 'interactive' in os.environ['KUBERNETES_EXEC_INFO'] and os.environ['PROFILE'] == 'audit'\n"
        "assert sys.stdin.read() == ''\n"
    )
    entry = plugin(tmp_path, body + prints({"token": VIEW}))
    entry["env"] = [{"name": "PROFILE", "value": "audit"}]
    facts = read(server.kubeconfig(tmp_path, {"exec": entry}))
    assert signs_in(facts)
    assert facts.access.credential == "exec plugin login-plugin"


def test_an_exec_plugin_with_certificates_that_asks_for_the_cluster(serve: Serve, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "clients.pem")
    leaf = authority.issue_cert("auditor@example.com")
    status = {
        "clientCertificateData": leaf.cert_chain_pems[0].bytes().decode(),
        "clientKeyData": leaf.private_key_pem.bytes().decode(),
    }
    server = serve(recorded(), clients=tmp_path / "clients.pem")
    body = "import os, json; info = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
    body += f"assert info['spec']['cluster']['server'] == {server.url!r}\n"
    entry = {**plugin(tmp_path, body + prints(status)), "provideClusterInfo": True}
    assert signs_in(read(server.kubeconfig(tmp_path, {"exec": entry})))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("import sys; print('hunter2-secret'); sys.exit('hunter2-secret')", "ended with exit code 1"),
        ("print('hunter2-secret')", "printed no credentials"),
        ('print(\'{"kind": "ExecCredential", "status": {}}\')', "printed no credentials"),
        ("while True: print('hunter2-secret' * 1000)", "printed more than 1,000,000 bytes"),
        ("import time; print('hunter2-secret', flush=True); time.sleep(60)", "did not end within 1 s"),
    ],
)
def test_an_exec_plugin_that_fails_is_quoted_by_name_only(
    server: Running, tmp_path: Path, body: str, says: str
) -> None:
    path = server.kubeconfig(tmp_path, {"exec": plugin(tmp_path, body)})
    began = time.monotonic()
    with pytest.raises(ProbeError) as failure:
        read(path, limits={"request_seconds": 1})
    assert says in failure.value.reason
    assert "'login-plugin'" in failure.value.reason
    assert "hunter2" not in failure.value.reason
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("user", "says"),
    [
        ({"auth-provider": {"name": "gcp"}}, "auth-provider"),
        ({"exec": {"command": "aws"}}, "names no command, or no apiVersion"),
        ({"exec": {"command": "/no/such/plugin", "apiVersion": "client.authentication.k8s.io/v1"}}, "cannot be run"),
        ({"exec": {"command": "x", "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Always"}},
         "wants a terminal"),
        ({"client-certificate-data": "aGk="}, "without its key"),
        ({"client-certificate-data": "%%hunter2"}, "client-certificate-data is not base64"),
        ({"tokenFile": "nowhere"}, "nowhere cannot be read"),
        ({"token": "hunter2 with\nlines"}, "characters that no HTTP header may hold"),
        ({"token": VIEW, "as-user-extra": {"reason": ["audit"]}}, "as-user-extra"),
    ],
)  # fmt: skip
def test_users_that_cannot_log_in(server: Running, tmp_path: Path, user: dict[str, Any], says: str) -> None:
    with pytest.raises(ProbeError) as failure:
        read(server.kubeconfig(tmp_path, user))
    assert says in failure.value.reason
    assert "hunter2" not in failure.value.reason
    assert not server.cluster.asked


def test_whom_to_ask_as(server: Running, tmp_path: Path) -> None:
    read(server.kubeconfig(tmp_path, {"token": VIEW, "as": "dana", "as-groups": ["readers"], "as-uid": "7"}))
    headers = server.cluster.headers[0]
    assert (headers["Impersonate-User"], headers["Impersonate-Group"], headers["Impersonate-Uid"]) == (
        "dana", "readers", "7"
    )  # fmt: skip


def test_a_certificate_that_is_not_verified_is_a_fact(server: Running, tmp_path: Path) -> None:
    config = server.kubeconfig(tmp_path, None, **{"certificate-authority-data": None})
    with pytest.raises(ProbeError, match=r"certificate|CERTIFICATE"):
        read(config)
    assert not server.cluster.asked, "no token without a certificate that is verified"
    lax = {"certificate-authority-data": None, "insecure-skip-tls-verify": True}
    facts = read(server.kubeconfig(tmp_path, None, **lax))
    assert facts.access.tls == "unverified"
    assert signs_in(facts)


def test_the_name_in_the_certificate_may_be_told(server: Running, tmp_path: Path) -> None:
    assert signs_in(read(server.kubeconfig(tmp_path, None, **{"tls-server-name": "localhost"})))
    with pytest.raises(ProbeError, match=r"certificate|CERTIFICATE"):
        read(server.kubeconfig(tmp_path, None, **{"tls-server-name": "other.example"}))


def test_through_a_proxy(server: Running, tmp_path: Path) -> None:
    with tunnel() as (address, asked):
        facts = read(server.kubeconfig(tmp_path, None, **{"proxy-url": f"http://{address}"}))
    assert signs_in(facts)
    assert asked[0].startswith(f"CONNECT {server.url.removeprefix('https://')}")
    with pytest.raises(ProbeError, match="proxy-url"):
        read(server.kubeconfig(tmp_path, None, **{"proxy-url": "gopher://127.0.0.1"}))


class tunnel:  # noqa: N801
    """A proxy that knows CONNECT: its address, and the requests that it got."""

    def __enter__(self) -> tuple[str, list[str]]:
        self.asked: list[str] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        host, port = self.listener.getsockname()
        return f"{host}:{port}", self.asked

    def __exit__(self, *_: object) -> None:
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            line = client.recv(65_536).decode().partition("\r\n")[0]
            self.asked.append(line)
            host, _, port = line.split()[1].rpartition(":")
            with socket.create_connection((host, int(port))) as upstream:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                other = threading.Thread(target=_pump, args=(upstream, client), daemon=True)
                other.start()
                _pump(client, upstream)
                other.join(5)


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


def test_credentials_never_go_over_plain_http(tmp_path: Path) -> None:
    seen: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                seen.append(client.recv(65_536))
                client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    threading.Thread(target=answer, daemon=True).start()
    server = Running(f"http://127.0.0.1:{listener.getsockname()[1]}", recorded(), "")
    facts = read(server.kubeconfig(tmp_path, {"token": VIEW}, **{"certificate-authority-data": None}))
    listener.close()
    assert facts.access.tls == "local"
    assert seen
    assert VIEW.encode() not in b"".join(seen)
    assert transport(Target("http://10.0.0.1:8080", "shop")) == "none"


def test_a_server_that_throws_the_token_back(tmp_path: Path) -> None:
    """The HTTP library quotes malformed answers in its errors."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with listener.accept()[0] as client:
            client.recv(65_536)
            client.sendall(f"HTTP/1.1 {VIEW} OK\r\n\r\n".encode())

    for _ in range(4):
        threading.Thread(target=answer, daemon=True).start()
    server = Running(f"http://127.0.0.1:{listener.getsockname()[1]}", recorded(), "")
    config = server.kubeconfig(tmp_path, {"token": VIEW}, **{"certificate-authority-data": None})
    with pytest.raises(ProbeError) as failure:
        read(config, limits={"request_seconds": 2})
    listener.close()
    assert "•••" in failure.value.reason
    assert VIEW not in failure.value.reason


# --- where the kubeconfig is -----------------------------------------------------------------------------------------


def config(path: Path, **more: Any) -> Path:
    """A kubeconfig with the contexts of `more`: name -> (cluster, user, namespace)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    contexts = [
        {"name": name, "context": {"cluster": cluster, "user": user, **({"namespace": space} if space else {})}}
        for name, (cluster, user, space) in more.pop("contexts", {}).items()
    ]
    path.write_text(json.dumps({"contexts": contexts, **more}))
    return path


def test_where_it_is_looked_for(tmp_path: Path) -> None:
    cluster = {"clusters": [{"name": "c", "cluster": {"server": "https://c:6443/"}}]}
    home = config(tmp_path / "home/.kube/config", contexts={"a": ("c", "", "")}, **cluster, **{"current-context": "a"})
    other = config(tmp_path / "other", contexts={"b": ("c", "", "shop")}, **cluster, **{"current-context": "b"})
    found = find(KubernetesSettings(), {}, tmp_path / "home")
    assert (found.context, found.namespace, found.server) == ("a", "default", "https://c:6443")
    assert find(KubernetesSettings(), {"KUBECONFIG": str(other)}, tmp_path / "home").context == "b"
    assert find(KubernetesSettings(kubeconfig=home), {"KUBECONFIG": str(other)}).context == "a"
    assert find(KubernetesSettings(kubeconfig=other, namespace="stage")).namespace == "stage"
    with pytest.raises(ProbeError, match="has no context 'c'; it has b"):
        find(KubernetesSettings(kubeconfig=other, context="c"))
    with pytest.raises(ProbeError, match="no kubeconfig"):
        find(KubernetesSettings(), {}, tmp_path / "nobody")


def test_several_files_are_one_and_the_first_wins(tmp_path: Path) -> None:
    one = config(
        tmp_path / "one/config",
        contexts={"prod": ("c", "u", "")},
        clusters=[{"name": "c", "cluster": {"server": "https://first:6443"}}],
    )
    two = config(
        tmp_path / "two/config",
        contexts={"prod": ("other", "other", "wrong")},
        clusters=[{"name": "c", "cluster": {"server": "https://second:6443"}}],
        users=[{"name": "u", "user": {"tokenFile": "token"}}],
        **{"current-context": "prod"},
    )
    paths = f"{one}:{tmp_path / 'missing'}:{two}"
    found = find(KubernetesSettings(), {"KUBECONFIG": paths})
    assert (found.context, found.server, found.namespace) == ("prod", "https://first:6443", "default")
    assert found.folder == tmp_path / "two", "relative paths begin where they were written"
    assert dict(found.user) == {"tokenFile": "token"}


def test_in_a_pod(server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in (("token", VIEW), ("ca.crt", server.authority), ("namespace", "shop\n")):
        (tmp_path / name).write_text(content)
    port = server.url.rpartition(":")[2]
    environment = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": port}
    found = find(KubernetesSettings(), environment, tmp_path, tmp_path)
    monkeypatch.setattr("readiness.probes.kubernetes.find", lambda settings: found)
    facts = asyncio.run(kubernetes(KubernetesSettings(), context()))
    assert signs_in(facts)
    assert facts.access.credential == "service account of the pod"
    assert facts.namespace == "shop"
    six = find(KubernetesSettings(), {**environment, "KUBERNETES_SERVICE_HOST": "fd00::1"}, tmp_path, tmp_path)
    assert six.server == f"https://[fd00::1]:{port}"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("token: hunter2\n\t- x", ":2 is not YAML"),
        ("hunter2", "is not a kubeconfig"),
        ("{}", "has no current context"),
        ('{"current-context": "a"}', "has no context 'a'"),
        ('{"current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "c"}}]}', "has no cluster 'c'"),
        ('{"current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "c"}}], '
         '"clusters": [{"name": "c", "cluster": {"server": "https://me:hunter2@x"}}]}', "server is not https://HOST"),
        ('{"current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "c"}}], '
         '"clusters": [{"name": "c", "cluster": {"server": "https://x", "certificate-authority": "nowhere"}}]}',
         "nowhere cannot be read"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_used(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "config").write_text(content)
    with pytest.raises(ProbeError) as failure:
        find(KubernetesSettings(kubeconfig=tmp_path / "config"))
    assert says in failure.value.reason
    assert "hunter2" not in failure.value.reason
