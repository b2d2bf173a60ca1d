"""What the auditor's own account may do in the namespace, as the API server says when asked for one's own rights."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from readiness.facts.base import Absent
from readiness.facts.kubernetes import Access
from readiness.probes.kubernetes_client import Api
from readiness.probes.kubernetes_read import entries, text

_READS = frozenset({"get", "list", "watch"})
# Reviews of one's own rights are called `create`; every account may ask for them.
_OWN = frozenset({"authorization.k8s.io", "authentication.k8s.io"})
_MAX_RULES = 200


async def access(api: Api, credential: str, tls: Any) -> Access:
    """Asks for the rules that hold in the namespace, and by name for the rights that the auditor should not have.

    The list of rules may be incomplete where a webhook decides; the answers to single questions are not.
    """
    rules, get, listing, everything = await asyncio.gather(
        api.review("selfsubjectrulesreviews", {"namespace": api.namespace}),
        _may(api, "get", "secrets"),
        _may(api, "list", "secrets"),
        _may(api, "*", "*", group="*"),
    )
    known = list(entries(rules, "resourceRules")) if not isinstance(rules, Absent) else None
    named = known is not None and any(map(_reads_secrets, known))
    refused = next((each for each in (get, listing) if isinstance(each, Absent)), None)
    reads = get is True or listing is True or named
    return Access(
        credential=credential,
        tls=tls,
        reads_secrets=reads if reads or refused is None else refused,
        everything=everything,
        rules=rules if known is None else tuple(_lines(known)),
        writes=rules if known is None else tuple(_lines(known, without=_READS)),
        complete=known is None or rules.get("incomplete") is not True,
    )


async def _may(api: Api, verb: str, resource: str, group: str = "") -> Any:
    attributes = {"namespace": api.namespace, "verb": verb, "group": group, "resource": resource}
    status = await api.review("selfsubjectaccessreviews", {"resourceAttributes": attributes})
    return status if isinstance(status, Absent) else status.get("allowed") is True


def _words(rule: Mapping[str, Any], key: str) -> list[str]:
    listed = rule.get(key)
    return [text(each, 100) for each in listed[:100] if text(each)] if isinstance(listed, list) else []


def _groups(rule: Mapping[str, Any]) -> list[str]:
    listed = rule.get("apiGroups")
    return [text(each, 100) for each in listed[:100]] if isinstance(listed, list) else []


def _reads_secrets(rule: Mapping[str, Any]) -> bool:
    """Whether a rule lets secrets be read, were it a single one."""
    return (
        bool({"*", *_READS}.intersection(_words(rule, "verbs")))
        and bool({"*", "secrets"}.intersection(_words(rule, "resources")))
        and bool({"*", ""}.intersection(_groups(rule)))
    )


def _lines(rules: Iterable[Mapping[str, Any]], without: frozenset[str] = frozenset()) -> list[str]:
    """Rules as a person reads them: `get, list, watch pods, services`. Verbs in `without` are left out."""
    found: dict[str, None] = {}
    for rule in list(rules)[:_MAX_RULES]:
        groups = [group for group in _groups(rule) if group not in _OWN]
        verbs = [verb for verb in _words(rule, "verbs") if verb not in without]
        if not groups or not verbs:
            continue
        resources = [
            f"{resource}.{group}" if group not in ("", "*") else resource
            for group in groups
            for resource in _words(rule, "resources")
        ]
        more = f" and {len(resources) - 8} more" if len(resources) > 8 else ""
        named = f" named {', '.join(_words(rule, 'resourceNames')[:5])}" if rule.get("resourceNames") else ""
        found[f"{', '.join(verbs[:10])} {', '.join(resources[:8])}{more}{named}"] = None
    return list(found)
