"""Kubernetes: the workloads of one namespace and what scales, protects and reaches them, with the least right.

A dozen GETs, and four questions for one's own rights. What the account may not see is absent, with the right that
would show it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from readiness.api import Context, KubernetesSettings, ProbeError, absent, probe
from readiness.facts.base import Absent
from readiness.facts.kubernetes import Kind, KubernetesFacts, Service, Workload
from readiness.probes import kubernetes_network as network
from readiness.probes._accounts import kubernetes_account
from readiness.probes.kubeconfig import find
from readiness.probes.kubernetes_access import access
from readiness.probes.kubernetes_client import Api, connected, transport
from readiness.probes.kubernetes_login import Login, login
from readiness.probes.kubernetes_network import Addresses, Index
from readiness.probes.kubernetes_pods import Tallies
from readiness.probes.kubernetes_read import entries, query, text
from readiness.probes.kubernetes_workloads import Found, workload

MAX_WORKLOADS = 5000
MAX_PODS = 20_000
MAX_OTHERS = 5000
_FEW = 8
# Newest first: the first of these that the server has is read.
_VERSIONS: Mapping[str, tuple[str, ...]] = {
    "autoscaling": ("v2", "v2beta2", "v2beta1", "v1"),
    "policy": ("v1", "v1beta1"),
    "discovery.k8s.io": ("v1", "v1beta1"),
}
_KINDS: Mapping[Kind, str] = {
    "Deployment": "deployments",
    "StatefulSet": "statefulsets",
    "DaemonSet": "daemonsets",
}
MASK = "•••"


@probe(
    needs="kubernetes.namespace or kubernetes.context or kubernetes.kubeconfig",
    drivers=("httpx",),
    account=kubernetes_account,
)
async def kubernetes(settings: KubernetesSettings, context: Context) -> KubernetesFacts:
    """Reads one namespace, all its workloads or those of a selector. The ClusterRole `view` is enough.

    Raises:
        ProbeError: no kubeconfig, no credentials, no connection, or credentials that are not accepted.
    """
    target = find(settings)
    account = await login(target, context.limits.request_seconds)
    context.secrets.update(account.secrets)
    async with connected(target, account, context) as api:
        version, rights, versions = await asyncio.gather(
            api.get("/version", "version"), access(api, account.kind, transport(target)), _versions(api)
        )
        if api.rejected:
            raise ProbeError("the API server does not accept these credentials (401)", privilege="a valid login")
        if isinstance(version, Absent) and not api.answered:
            raise ProbeError(_masked(version.reason, account))
        now = dt.datetime.now(dt.UTC)
        lists = await _lists(api, settings.selector or "", versions, now)
    git = version if isinstance(version, Absent) else text(version.get("gitVersion"), 60)
    known = {
        "now": now,
        "server": target.server,
        "namespace": target.namespace,
        "context": target.context,
        "selector": settings.selector or "",
        "version": git or absent("the API server does not say its version"),
        "versions": {group: each for group, each in versions.items() if isinstance(each, str)},
        "access": rights,
        **_joined(lists, versions, chosen=settings.selector is not None),
    }
    return _without(account, KubernetesFacts.model_validate(known))


def _without(account: Login, facts: KubernetesFacts) -> KubernetesFacts:
    """The facts without the auditor's credentials, which a server could repeat in any of its strings."""
    plain = json.dumps(facts.to_json())
    masked = _masked(plain, account)
    return facts if masked == plain else KubernetesFacts.from_json(json.loads(masked))


def _masked(text: str, account: Login) -> str:
    for secret in account.secrets:
        for form in (secret, json.dumps(secret)[1:-1]):
            text = text.replace(form, MASK)
    return text


async def _versions(api: Api) -> dict[str, Any]:
    """The newest version of each group that both sides know, or an absent fact with the reason."""
    answers = await asyncio.gather(*(api.get(f"/apis/{group}", f"the group {group}") for group in _VERSIONS))
    found: dict[str, Any] = {}
    for (group, wanted), answer in zip(_VERSIONS.items(), answers, strict=True):
        if isinstance(answer, Absent):
            found[group] = answer
            continue
        offered = [text(each.get("version"), 30) for each in entries(answer, "versions")]
        of_both = next((version for version in wanted if version in offered), None)
        found[group] = of_both or absent(f"{group} is offered in {', '.join(offered[:5]) or 'no version'} only")
    return found


@dataclass(slots=True)
class _Lists:
    """What was listed, or why not."""

    workloads: dict[Kind, list[Found] | Absent]
    services: list[dict[str, Any]] | Absent
    addresses: Addresses | Absent
    autoscalers: list[dict[str, Any]] | Absent
    budgets: list[dict[str, Any]] | Absent
    pods: Tallies | Absent

    @property
    def found(self) -> list[Found]:
        """All workloads of every kind that could be listed."""
        return [each for kind in self.workloads.values() if not isinstance(kind, Absent) for each in kind]


async def _lists(api: Api, selector: str, versions: Mapping[str, Any], now: dt.datetime) -> _Lists:
    workloads, (services, addresses, autoscalers, budgets) = await asyncio.gather(
        _workloads_and_pods(api, selector, now),
        asyncio.gather(
            _list(api, "/api/v1", "services"),
            _addresses(api, versions["discovery.k8s.io"]),
            _versioned(api, versions, "autoscaling", "horizontalpodautoscalers"),
            _versioned(api, versions, "policy", "poddisruptionbudgets"),
        ),
    )
    return _Lists(workloads[0], services, addresses, autoscalers, budgets, workloads[1])


async def _workloads_and_pods(
    api: Api, selector: str, now: dt.datetime
) -> tuple[dict[Kind, list[Found] | Absent], Tallies | Absent]:
    """The pods of a few chosen workloads are asked for by their labels, otherwise all there are, at the same time."""
    kinds = asyncio.gather(*(_workloads(api, kind, selector) for kind in _KINDS))
    if not selector:
        listed, pods = await asyncio.gather(kinds, _pods(api, [""], now))
    else:
        listed = await kinds
        chosen = [each for kind in listed if not isinstance(kind, Absent) for each in kind]
        labels = [query(each.spec.get("selector")) for each in chosen]
        pods = await _pods(api, labels if len(labels) <= _FEW and all(labels) else [""], now)
    return dict(zip(_KINDS, listed, strict=True)), pods


async def _workloads(api: Api, kind: Kind, selector: str) -> list[Found] | Absent:
    found: list[Found] = []
    path = _path(api, "/apis/apps/v1", _KINDS[kind])
    missing = await api.each(
        path, f"{_KINDS[kind]}.apps", lambda item: found.append(Found(kind, item)), MAX_WORKLOADS, selector
    )
    return missing or found


async def _pods(api: Api, selectors: Iterable[str], now: dt.datetime) -> Tallies | Absent:
    tallies = Tallies(now)
    for selector in selectors:
        missing = await api.each(_path(api, "/api/v1", "pods"), "pods", tallies.take, MAX_PODS, selector)
        if missing is not None:
            return missing
    return tallies


async def _list(api: Api, base: str, resource: str, group: str = "") -> list[dict[str, Any]] | Absent:
    found: list[dict[str, Any]] = []
    what = f"{resource}.{group}" if group else resource
    missing = await api.each(
        _path(api, base, resource), what, lambda item: found.append(network.slim(item)), MAX_OTHERS
    )
    return missing or found


async def _versioned(api: Api, versions: Mapping[str, Any], group: str, resource: str) -> list[dict[str, Any]] | Absent:
    version = versions[group]
    return version if isinstance(version, Absent) else await _list(api, f"/apis/{group}/{version}", resource, group)


async def _addresses(api: Api, version: Any) -> Addresses | Absent:
    """From EndpointSlices, or from Endpoints where they are not there or not permitted, as with `view` before 1.21."""
    missing: Absent | None = version if isinstance(version, Absent) else None
    if missing is None:
        found = Addresses()
        path = _path(api, f"/apis/discovery.k8s.io/{version}", "endpointslices")
        missing = await api.each(path, "endpointslices.discovery.k8s.io", found.take_slice, MAX_OTHERS)
        if missing is None:
            return found
    found = Addresses()
    older = await api.each(_path(api, "/api/v1", "endpoints"), "endpoints", found.take_endpoints, MAX_OTHERS)
    return found if older is None else missing


def _path(api: Api, base: str, resource: str) -> str:
    return f"{base}/namespaces/{quote(api.namespace, safe='')}/{resource}"


def _joined(lists: _Lists, versions: Mapping[str, Any], *, chosen: bool) -> dict[str, Any]:
    """What stands around the workloads is noted with them: fields of `KubernetesFacts` by their name."""
    found = lists.found
    index = Index(found)
    by_key = {each.key: each for each in found}
    services: tuple[Service, ...] | Absent
    if isinstance(lists.services, Absent):
        services = lists.services
    else:
        each_service = (network.service(item, index, lists.addresses, chosen=chosen) for item in lists.services)
        services = tuple(service for service in each_service if service is not None)
    if not isinstance(lists.autoscalers, Absent):
        for item in lists.autoscalers:
            network.autoscaler(item, by_key)
    if not isinstance(lists.budgets, Absent):
        for item in lists.budgets:
            network.budget(item, index, versions["policy"])
    for each in found:
        each.services = services if isinstance(services, Absent) else each.services
        each.autoscaler = lists.autoscalers if isinstance(lists.autoscalers, Absent) else each.autoscaler
        each.budgets = lists.budgets if isinstance(lists.budgets, Absent) else each.budgets
    names = {"Deployment": "deployments", "StatefulSet": "stateful_sets", "DaemonSet": "daemon_sets"}
    facts: dict[str, Any] = {"services": services}
    for kind, listed in lists.workloads.items():
        facts[names[kind]] = listed if isinstance(listed, Absent) else _facts(listed, lists.pods)
    return facts


def _facts(listed: Iterable[Found], pods: Tallies | Absent) -> tuple[Workload, ...]:
    facts = []
    for each in listed:
        tally = None if isinstance(pods, Absent) else pods.of(each.key)
        each.pods = pods if tally is None else tally.facts()
        facts.append(workload(each, tally.spec if tally is not None else {}))
    return tuple(facts)
