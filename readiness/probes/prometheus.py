"""Prometheus: whether it runs and scrapes the service, its alerting rules, and who hears of an alert."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

from readiness.api import Context, HttpSettings, ProbeError, PrometheusSettings, absent, probe
from readiness.facts.exchange import Exchange
from readiness.facts.prometheus import AlertmanagerFacts, PrometheusFacts
from readiness.probes import prometheus_api as api
from readiness.probes.alertmanager import alertmanager
from readiness.probes.fetch import Fetcher, fetcher

_PATHS = {
    "ready": "/-/ready",
    "buildinfo": "/api/v1/status/buildinfo",
    "runtimeinfo": "/api/v1/status/runtimeinfo",
    "targets": "/api/v1/targets?state=active",
    "rules": "/api/v1/rules?type=alert",
    "alerts": "/api/v1/alerts",
    "alertmanagers": "/api/v1/alertmanagers",
    "names": "/api/v1/label/__name__/values",
    "started": "/api/v1/query?query=process_start_time_seconds",
}


@probe(needs="prometheus.url")
async def prometheus(settings: PrometheusSettings, http: HttpSettings, context: Context) -> PrometheusFacts:
    """Nine GETs to Prometheus and four to Alertmanager; none of them carries the service's own headers."""
    assert settings.url is not None
    keep = int(context.limits.response_mb * 1_000_000)
    now = dt.datetime.now(dt.UTC)
    answers, beside = await asyncio.gather(
        _read(settings.url, context, keep), _alertmanager(settings, context, keep, now)
    )
    failed = [answer for answer in answers.values() if isinstance(answer, ProbeError)]
    if len(failed) == len(answers):
        raise failed[0]
    ready, reason = _ready(answers)
    ours = [place for place in [api.place(http.url or "")] if place]
    names = api.metric_list(_document(answers["names"]))
    started = api.start_times(_document(answers["started"]))
    build, runtime = api.data(_document(answers["buildinfo"])), api.data(_document(answers["runtimeinfo"]))
    facts = {
        "now": now,
        "url": api.plain_url(settings.url),
        "ready": ready,
        "reason": reason,
        "version": build.get("version", absent(_why(answers["buildinfo"]))),
        "reload_succeeded": runtime.get("reloadConfigSuccess", absent(_why(answers["runtimeinfo"]))),
        "retention": runtime.get("storageRetention", absent(_why(answers["runtimeinfo"]))),
        "targets": _told(answers["targets"], lambda document: api.targets(document, now, ours, started)),
        "rules": _told(answers["rules"], lambda document: api.rules(document, names)),
        "alerts": _told(answers["alerts"], api.alerts),
        "alertmanagers": _told(answers["alertmanagers"], api.alertmanagers),
        "alertmanager": beside,
    }
    return PrometheusFacts.model_validate(facts)


async def _read(url: str, context: Context, keep: int) -> dict[str, Exchange | ProbeError]:
    async with fetcher(HttpSettings(url=url), context) as fetch:
        answers = await asyncio.gather(*(_get(fetch, path, keep) for path in _PATHS.values()))
    return dict(zip(_PATHS, answers, strict=True))


async def _get(fetch: Fetcher, path: str, keep: int) -> Exchange | ProbeError:
    try:
        return await fetch.request("GET", path, keep=keep)
    except ProbeError as error:
        return error


async def _alertmanager(
    settings: PrometheusSettings, context: Context, keep: int, now: dt.datetime
) -> AlertmanagerFacts | None:
    if settings.alertmanager is None:
        return None
    async with fetcher(HttpSettings(url=settings.alertmanager), context) as fetch:
        return await alertmanager(fetch, keep, now)


def _ready(answers: dict[str, Exchange | ProbeError]) -> tuple[Any, str]:
    """Whether the server says it is ready, else why not. What only speaks the API may lack /-/ready."""
    answer = answers["ready"]
    if isinstance(answer, ProbeError):
        return False, answer.reason
    if answer.ok:
        return True, ""
    if answer.status == 404 and any(api.data(_document(answers[name])) for name in ("buildinfo", "targets", "rules")):
        return True, "no /-/ready, but the API answers"
    reason = f"/-/ready answers {answer.status}"
    if answer.status in (401, 403):
        return absent(reason, "a Prometheus that answers the auditor without credentials"), reason
    return False, reason


def _document(answer: Exchange | ProbeError) -> Any:
    return answer.parsed() if isinstance(answer, Exchange) and answer.ok else None


def _told(answer: Exchange | ProbeError, read: Any) -> Any:
    document = _document(answer)
    return read(document) if document is not None else absent(_why(answer))


def _why(answer: Exchange | ProbeError) -> str:
    if isinstance(answer, ProbeError):
        return answer.reason
    path = answer.url.partition("//")[2].partition("/")[2].partition("?")[0]
    if answer.truncated:
        return f"/{path} answers more than {answer.size // 1_000_000} MB"
    return f"/{path} answers {answer.status} {answer.media_type}".rstrip()
