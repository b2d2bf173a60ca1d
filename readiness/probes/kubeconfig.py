"""A kubeconfig as kubectl reads it, or what a pod finds of its own cluster -> where the API server is, and who asks.

Nothing is contacted and no command is run here.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from readiness.errors import ProbeError
from readiness.settings import KubernetesSettings

MAX_BYTES = 1_000_000
MAX_FILES = 20
POD = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Target:
    """The cluster of one context, and its user's entry as it stands in the file.

    `verify` is false where the kubeconfig says insecure-skip-tls-verify. `tls_name` replaces the host's name in the
    certificate. Relative paths of the user's entry begin at `folder`.
    """

    server: str
    namespace: str
    context: str = ""
    authority: str = ""
    verify: bool = True
    tls_name: str = ""
    proxy: str = ""
    user: Mapping[str, Any] = field(default_factory=dict, repr=False)
    folder: Path = Path()


@dataclass(frozen=True, slots=True)
class _Entry:
    data: Mapping[str, Any]
    folder: Path


def find(
    settings: KubernetesSettings,
    environment: Mapping[str, str] = os.environ,
    home: Path | None = None,
    pod: Path = POD,
) -> Target:
    """The cluster that the settings mean.

    In this order: the configured kubeconfig, the files of $KUBECONFIG, ~/.kube/config, the service account of the pod.

    Raises:
        ProbeError: none of them is there, or it cannot be used; with the file.
    """
    files = _files(settings, environment, home or Path.home())
    if files:
        return _from_files(files, settings)
    if settings.context is None and (host := environment.get("KUBERNETES_SERVICE_HOST")) and (pod / "token").is_file():
        address = f"[{host}]" if ":" in host else host
        return Target(
            server=f"https://{address}:{environment.get('KUBERNETES_SERVICE_PORT', '443')}",
            namespace=settings.namespace or text_of(pod / "namespace").strip(),
            authority=text_of(pod / "ca.crt"),
            user={"tokenFile": str(pod / "token"), "pod": True},
        )
    raise ProbeError("no kubeconfig: neither kubernetes.kubeconfig, $KUBECONFIG, ~/.kube/config nor that of a pod")


def _files(settings: KubernetesSettings, environment: Mapping[str, str], home: Path) -> list[Path]:
    if settings.kubeconfig is not None:
        return [settings.kubeconfig.expanduser()]
    if named := environment.get("KUBECONFIG"):
        # Files that are not there are passed over, as kubectl does.
        return [path for each in named.split(os.pathsep)[:MAX_FILES] if each and (path := Path(each)).is_file()]
    default = home / ".kube" / "config"
    return [default] if default.is_file() else []


def _from_files(files: list[Path], settings: KubernetesSettings) -> Target:
    """Several files count as one, in which the first entry of a name wins."""
    place = str(files[0]) if len(files) == 1 else "$KUBECONFIG"
    documents = [(_document(path), path.absolute().parent) for path in files]
    current = next((name for document, _ in documents if (name := _word(document, "current-context"))), "")
    name = settings.context or current
    if not name:
        raise ProbeError(f"{place} has no current context: set kubernetes.context")
    context = _entry(documents, "contexts", "context", name, place)
    cluster = _entry(documents, "clusters", "cluster", _word(context.data, "cluster"), place)
    user = _word(context.data, "user")
    login = _entry(documents, "users", "user", user, place) if user else _Entry({}, cluster.folder)
    return Target(
        server=_server(_word(cluster.data, "server"), place),
        namespace=settings.namespace or _word(context.data, "namespace") or "default",
        context=name,
        authority=_authority(cluster, place),
        verify=cluster.data.get("insecure-skip-tls-verify") is not True,
        tls_name=_word(cluster.data, "tls-server-name"),
        proxy=_word(cluster.data, "proxy-url"),
        user=login.data,
        folder=login.folder,
    )


def _document(path: Path) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(text_of(path))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        # The message of the parser quotes the file, which holds credentials.
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise ProbeError(f"{path}{line} is not YAML") from None
    if not isinstance(found, dict):
        raise ProbeError(f"{path} is not a kubeconfig")
    return found


def _entry(documents: list[tuple[Mapping[str, Any], Path]], group: str, kind: str, name: str, place: str) -> _Entry:
    known: list[str] = []
    for document, folder in documents:
        listed = document.get(group)
        for each in listed if isinstance(listed, list) else []:
            if isinstance(each, dict):
                if each.get("name") == name and isinstance(data := each.get(kind), dict):
                    return _Entry(data, folder)
                known.append(str(each.get("name"))[:60])
    there = f"; it has {', '.join(known[:10])}" if known else ""
    raise ProbeError(f"{place} has no {kind} {name[:100]!r}{there}")


def _word(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    return value if isinstance(value, str) else ""


def _server(server: str, place: str) -> str:
    try:
        parts = urlsplit(server)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound or parts.username or parts.password:
        raise ProbeError(f"{place}: the cluster's server is not https://HOST[:PORT]")
    return server.rstrip("/")


def _authority(cluster: _Entry, place: str) -> str:
    """The certificates to trust, as PEM; empty for those of the system."""
    if encoded := _word(cluster.data, "certificate-authority-data"):
        return decoded(encoded, f"{place}: certificate-authority-data").decode("ascii", "replace")
    if path := _word(cluster.data, "certificate-authority"):
        return text_of(cluster.folder / path)
    return ""


def decoded(encoded: str, what: str) -> bytes:
    """Base64 as bytes. Raises ProbeError naming `what`, and not quoting it."""
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ProbeError(f"{what} is not base64") from None


def text_of(path: Path) -> str:
    """A small file as text. Raises ProbeError where it cannot be read."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ProbeError(f"{path} cannot be read: {error.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise ProbeError(f"{path} is larger than {MAX_BYTES:,} bytes")
    return raw.decode("utf-8", "replace")
