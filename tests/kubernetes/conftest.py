"""A fresh API server for each test, and the probe run against it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from readiness.demo.certificates import Certificates, issue
from readiness.facts.kubernetes import KubernetesFacts
from readiness.probes.kubernetes import kubernetes
from readiness.settings import KubernetesSettings, Limits
from readiness.spec import Context
from readiness.window import Window

from .api_server import TOKENS, Cluster, Running, serving

Serve = Callable[..., Running]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return issue(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def serve(certificates: Certificates) -> Iterator[Serve]:
    """`serve(cluster)` starts a server that ends with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda cluster, **more: stack.enter_context(serving(cluster, certificates, **more))


def context(**limits: Any) -> Context:
    return Context(Window(0, 0), Limits(**limits), "readiness/test", "canary")


def read(kubeconfig: Path, limits: dict[str, Any] | None = None, **settings: Any) -> KubernetesFacts:
    """The facts as the probe finds them, through JSON and back as --save-facts would do."""
    chosen = KubernetesSettings(kubeconfig=kubeconfig, **settings)
    facts = asyncio.run(kubernetes(chosen, context(**limits or {})))
    again: KubernetesFacts = KubernetesFacts.from_json(facts.to_json())
    assert again == facts
    return facts


def as_role(server: Running, folder: Path, role: str, **more: Any) -> KubernetesFacts:
    return read(server.kubeconfig(folder, {"token": TOKENS[role]}), **more)


def paths(cluster: Cluster) -> list[str]:
    return [path.partition("?")[0] for _, path, _ in cluster.asked]
