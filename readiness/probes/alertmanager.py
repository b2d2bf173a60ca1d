"""An Alertmanager: whether it runs, whom it tells, whether that works, and what is silenced."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
from typing import Any

from readiness.errors import ProbeError
from readiness.facts.base import absent
from readiness.facts.exchange import Exchange
from readiness.facts.prometheus import AlertmanagerFacts, Silence
from readiness.probes.exposition import parse
from readiness.probes.fetch import Fetcher
from readiness.probes.prometheus_api import moment, text

MAX_CONFIG = 128 * 1024
MAX_RECEIVERS = 500
_PATHS = ("/-/ready", "/api/v2/status", "/api/v2/silences", "/metrics")
_PRIVILEGE = "an Alertmanager that answers the auditor without credentials"
_EVERYTHING = frozenset({".*", ".+", "^.*$", "^.+$", "(.*)"})


async def alertmanager(fetch: Fetcher, keep: int, now: dt.datetime) -> AlertmanagerFacts:
    """Four GETs. An Alertmanager that does not answer is a fact, not an error."""
    answers = await asyncio.gather(
        *(
            fetch.request("GET", path, keep=keep)
            for path in ("/-/ready", "/api/v2/status", "/api/v2/silences", "/metrics")
        ),
        return_exceptions=True,
    )
    ready, status, silences, metrics = (answer if isinstance(answer, Exchange) else None for answer in answers)
    if ready is None and status is None:
        failed = next((answer for answer in answers if isinstance(answer, ProbeError)), None)
        return AlertmanagerFacts(ready=False, reason=failed.reason if failed else "no answer")
    up = (ready is not None and ready.ok) or (status is not None and status.ok)
    document = status.parsed() if status is not None and status.ok else None
    reason = "" if up or ready is None else f"/-/ready answers {ready.status}"
    refused = ready is not None and ready.status in (401, 403) and not up
    facts: dict[str, Any] = {"ready": absent(reason, _PRIVILEGE) if refused else up, "reason": reason}
    if isinstance(document, dict):
        facts |= _status(document)
    if silences is not None and silences.ok:
        facts["silences"] = _silences(silences.parsed(), now)
    if metrics is not None and metrics.ok:
        facts |= _notifications(metrics)
    return AlertmanagerFacts.model_validate(facts)


def _status(document: dict[str, Any]) -> dict[str, Any]:
    version, cluster, config = (document.get(name) for name in ("versionInfo", "cluster", "config"))
    found: dict[str, Any] = {}
    if isinstance(version, dict) and isinstance(version.get("version"), str):
        found["version"] = text(version["version"])
    if isinstance(cluster, dict) and isinstance(cluster.get("status"), str):
        found["cluster"] = text(cluster["status"])
    original = config.get("original") if isinstance(config, dict) else None
    return found | (routing(original) if isinstance(original, str) else {})


def routing(original: str) -> dict[str, Any]:
    """The root receiver and the kinds of every receiver's integrations, from the running configuration.

    Its URLs may be secrets (webhooks), so nothing but names and kinds leaves this function.
    """
    import yaml

    if len(original) > MAX_CONFIG:
        reason = absent(f"the configuration is larger than {MAX_CONFIG // 1024} kB")
        return {"root_receiver": reason, "receivers": reason}
    try:
        config = yaml.safe_load(original)  # not the loader in C: deep nesting crashes the whole process there
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = absent(f"the configuration is no YAML ({type(error).__name__})")
        return {"root_receiver": reason, "receivers": reason}
    found: dict[str, Any] = {}
    route = config.get("route") if isinstance(config, dict) else None
    if isinstance(route, dict) and isinstance(route.get("receiver"), str):
        found["root_receiver"] = text(route["receiver"])
    listed = config.get("receivers") if isinstance(config, dict) else None
    if isinstance(listed, list):
        found["receivers"] = {
            text(each.get("name")): tuple(
                key.removesuffix("_configs")[:40]
                for key, value in each.items()
                if isinstance(key, str) and key.endswith("_configs") and isinstance(value, list) and value
            )
            for each in listed[:MAX_RECEIVERS]
            if isinstance(each, dict)
        }
    return found


def _silences(document: Any, now: dt.datetime) -> Any:
    if not isinstance(document, list):
        return absent("the answer is no list of silences")
    found = []
    for each in document[:1000]:
        status = each.get("status") if isinstance(each, dict) else None
        ends = moment(each.get("endsAt")) if isinstance(each, dict) else None
        if isinstance(status, dict) and status.get("state") == "active" and ends is not None:
            matchers = each.get("matchers")
            broad = isinstance(matchers, list) and bool(matchers) and all(map(_matches_everything, matchers))
            days = (ends - now).total_seconds() / 86400
            found.append(Silence(id=text(each.get("id"), 60), days_left=days, broad=broad))
    return tuple(found)


def _matches_everything(matcher: Any) -> bool:
    return (
        isinstance(matcher, dict)
        and matcher.get("isRegex") is True
        and matcher.get("isEqual", True) is True
        and matcher.get("value") in _EVERYTHING
    )


def _notifications(metrics: Exchange) -> dict[str, Any]:
    """Requests to receivers and how many failed: the other pair of counters sees only what was given up on."""
    exposition = parse(metrics.body, metrics.media_type, cut=metrics.truncated)
    found: dict[str, Any] = {}
    for field, name in (
        ("notifications", "alertmanager_notification_requests_total"),
        ("notifications_failed", "alertmanager_notification_requests_failed_total"),
    ):
        values = [sample.value for sample in exposition.samples() if sample.name == name]
        if values and all(math.isfinite(value) and value >= 0 for value in values):
            found[field] = int(sum(values))
    return found
