"""The user's entry of a kubeconfig -> credentials: token, client certificate, or those that an exec plugin prints.

A plugin is a command of the user's own kubeconfig, which kubectl would run just so. It runs without a terminal and
under a deadline; what it prints is read as credentials and shown to nobody.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import re
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from readiness.errors import ProbeError
from readiness.probes.kubeconfig import Target, decoded, text_of

_PLUGIN_BYTES = 1_000_000
_EXEC_API = "client.authentication.k8s.io/"
_HEADER = re.compile(r"[\x21-\x7e]{1,16000}")


@dataclass(frozen=True, slots=True)
class Login:
    """Credentials. `kind` is how they were come by; certificate and key are PEM."""

    kind: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    certificate: bytes = field(default=b"", repr=False)
    key: bytes = field(default=b"", repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


async def login(target: Target, seconds: float) -> Login:
    """The credentials of the target's user.

    Args:
        seconds: how long an exec plugin may take.

    Raises:
        ProbeError: they cannot be had; with the reason, and without what a plugin printed.
    """
    user = target.user
    if "auth-provider" in user:
        raise ProbeError("the kubeconfig's user has an auth-provider, which kubectl dropped too: use its exec plugin")
    if isinstance(plugin := user.get("exec"), dict):
        found = await _from_plugin(plugin, target, seconds)
        return _login(found, target, f"exec plugin {Path(_text(plugin, 'command')).name[:60]}")
    return _login(user, target, "service account of the pod" if user.get("pod") else "")


def _login(user: Mapping[str, Any], target: Target, kind: str) -> Login:
    token = _text(user, "token")
    if not token and (path := _text(user, "tokenFile")):
        token = text_of(target.folder / path)
    token = token.strip()
    headers, secrets = [], []
    if token:
        _fit(token, "token")
        headers.append(("Authorization", f"Bearer {token}"))
        secrets.append(token)
    elif password := _text(user, "password"):
        pair = base64.b64encode(f"{_text(user, 'username')}:{password}".encode()).decode()
        headers.append(("Authorization", f"Basic {pair}"))
        secrets += [password, pair]
    certificate = _pem(user, "client-certificate", target.folder)
    key = _pem(user, "client-key", target.folder)
    if bool(certificate) != bool(key):
        raise ProbeError("the kubeconfig's user has a client certificate without its key, or the key without it")
    words = {"bearer token": token, "password": headers, "client certificate": certificate, "none": True}
    kind = kind or next(word for word, given in words.items() if given)
    # The plugin's answer replaces the entry, but the entry still says as whom to ask.
    headers += _impersonation(target.user)
    return Login(kind, tuple(headers), certificate, key, tuple(secrets))


def _pem(user: Mapping[str, Any], name: str, folder: Path) -> bytes:
    if encoded := _text(user, f"{name}-data"):
        return decoded(encoded, f"the kubeconfig's {name}-data")
    if path := _text(user, name):
        return text_of(folder / path).encode()
    return _text(user, f"{name}-pem").encode()


def _impersonation(user: Mapping[str, Any]) -> list[tuple[str, str]]:
    if "as-user-extra" in user:
        raise ProbeError("as-user-extra of the kubeconfig's user is not supported")
    groups = user.get("as-groups")
    named = [("Impersonate-User", _text(user, "as")), ("Impersonate-Uid", _text(user, "as-uid"))]
    named += [("Impersonate-Group", each) for each in (groups if isinstance(groups, list) else [])[:50]]
    for name, value in named:
        if value:
            _fit(value, name)
    return [(name, value) for name, value in named if value]


def _fit(value: Any, what: str) -> None:
    """Refuses what no header may hold; the library's own message would quote it."""
    if not isinstance(value, str) or not _HEADER.fullmatch(value):
        raise ProbeError(f"the {what} of the kubeconfig's user holds characters that no HTTP header may hold")


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    return value if isinstance(value, str) else ""


async def _from_plugin(plugin: Mapping[str, Any], target: Target, seconds: float) -> dict[str, Any]:
    """Runs an exec plugin. Its answer in the words of a kubeconfig's user."""
    command, version = _text(plugin, "command"), _text(plugin, "apiVersion")
    if not command or not version.startswith(_EXEC_API):
        raise ProbeError("the kubeconfig's exec plugin names no command, or no apiVersion that is known")
    if _text(plugin, "interactiveMode") == "Always":
        raise ProbeError(f"the exec plugin {command[:60]!r} of the kubeconfig wants a terminal")
    name = Path(command).name[:60]
    # Like kubectl: a path is taken from the kubeconfig's folder, a bare name from PATH.
    program = str(target.folder / command) if os.sep in command else command
    listed = plugin.get("args")
    arguments = [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
    try:
        process = await asyncio.create_subprocess_exec(
            program, *arguments, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL,
            env=_environment(plugin, target, version), start_new_session=True,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise ProbeError(f"the exec plugin {name!r} of the kubeconfig cannot be run: {type(error).__name__}") from None
    try:
        async with asyncio.timeout(seconds):
            printed = await _printed(process, name)
            code = await process.wait()
    except TimeoutError:
        raise ProbeError(f"the exec plugin {name!r} of the kubeconfig did not end within {seconds:g} s") from None
    finally:
        await _end(process)
    if code != 0:
        raise ProbeError(f"the exec plugin {name!r} of the kubeconfig ended with exit code {code}")
    return _credential(printed, name)


async def _printed(process: Process, name: str) -> bytes:
    assert process.stdout is not None
    printed = bytearray()
    while chunk := await process.stdout.read(65_536):
        printed += chunk
        if len(printed) > _PLUGIN_BYTES:
            raise ProbeError(f"the exec plugin {name!r} of the kubeconfig printed more than {_PLUGIN_BYTES:,} bytes")
    return bytes(printed)


async def _end(process: Process) -> None:
    """Ends the plugin with its children, where it still runs."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _environment(plugin: Mapping[str, Any], target: Target, version: str) -> dict[str, str]:
    listed = plugin.get("env")
    own = {
        _text(each, "name"): _text(each, "value")
        for each in (listed if isinstance(listed, list) else [])
        if isinstance(each, dict) and _text(each, "name")
    }
    spec: dict[str, Any] = {"interactive": False}
    if plugin.get("provideClusterInfo") is True:
        spec["cluster"] = {"server": target.server, "insecure-skip-tls-verify": not target.verify}
        if target.authority:
            spec["cluster"]["certificate-authority-data"] = base64.b64encode(target.authority.encode()).decode()
        if target.tls_name:
            spec["cluster"]["tls-server-name"] = target.tls_name
    info = json.dumps({"apiVersion": version, "kind": "ExecCredential", "spec": spec})
    return {**os.environ, **own, "KUBERNETES_EXEC_INFO": info}


def _credential(printed: bytes, name: str) -> dict[str, Any]:
    try:
        answer = json.loads(printed)
    except (ValueError, RecursionError):
        answer = None
    status = answer.get("status") if isinstance(answer, dict) and answer.get("kind") == "ExecCredential" else None
    found = {} if not isinstance(status, dict) else {
        "token": _text(status, "token"),
        "client-certificate-pem": _text(status, "clientCertificateData"),
        "client-key-pem": _text(status, "clientKeyData"),
    }  # fmt: skip
    if not any(found.values()):
        raise ProbeError(f"the exec plugin {name!r} of the kubeconfig printed no credentials")
    return found
