"""The documents of Prometheus' HTTP API as facts. Everything in them is taken for hostile."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from readiness.facts.base import absent
from readiness.facts.prometheus import Alert, AlertRule, Target

MAX_TARGETS = 1000
MAX_RULES = 1000
MAX_ALERTS = 5000
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31_536_000}

StartTimes = Mapping[tuple[str, str], float]

_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`')
_SELECTORS = re.compile(r"\{[^{}]*\}|\[[^\[\]]*\]")
_MATCHING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)", re.I)
_NAME = re.compile(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?!\s*\()(?![\w:])")
_KEYWORDS = frozenset({
    "and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "group_left", "group_right", "inf",
    "nan", "start", "end", "atan2", "sum", "avg", "min", "max", "count", "topk", "bottomk", "quantile", "stddev",
    "stdvar",
})  # fmt: skip


def data(document: Any) -> dict[str, Any]:
    """What lies under `data` of a successful answer, or an empty dict."""
    inner = document.get("data") if isinstance(document, dict) and document.get("status") == "success" else None
    return inner if isinstance(inner, dict) else {}


def targets(document: Any, now: dt.datetime, ours: Collection[tuple[str, int]], started: StartTimes) -> Any:
    """The active targets, our own first.

    Args:
        ours: host and port of the audited service.
        started: when the processes behind them started, by job and instance.
    """
    active = data(document).get("activeTargets")
    if not isinstance(active, list):
        return absent("the answer lists no activeTargets")
    found = [_target(each, now, ours, started) for each in active[: MAX_TARGETS * 10] if isinstance(each, dict)]
    found.sort(key=lambda target: (not target.ours, target.health == "up"))
    return tuple(found[:MAX_TARGETS])


def _target(each: dict[str, Any], now: dt.datetime, ours: Collection[tuple[str, int]], started: StartTimes) -> Target:
    labels = each.get("labels") if isinstance(each.get("labels"), dict) else {}
    assert isinstance(labels, dict)
    job, instance = text(labels.get("job")), text(labels.get("instance"))
    scrape_url = plain_url(text(each.get("scrapeUrl"), 500))
    seen = {place(scrape_url), place(f"//{instance}")}
    age = moment(each.get("lastScrape"))
    interval = seconds(each.get("scrapeInterval"))
    return Target(
        job=job,
        instance=instance,
        scrape_url=scrape_url,
        health=text(each.get("health")),
        error=text(each.get("lastError"), 300),
        age=(now - age).total_seconds() if age is not None else absent("never scraped"),
        interval=interval if interval is not None else absent("no scrapeInterval"),
        started=started.get((job, instance), absent("no process_start_time_seconds of this target")),
        ours=bool(seen & set(ours)),
    )


def place(url: str) -> tuple[str, int] | None:
    """Host and port of a URL, all names of the loopback as one; None where it has none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
    if not host or port is None:
        return None
    return ("localhost" if host in _LOOPBACK or host.startswith("127.") else host), port


def plain_url(url: str) -> str:
    """A URL without credentials, query and fragment."""
    try:
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    except ValueError:
        return ""


def start_times(document: Any) -> dict[tuple[str, str], float]:
    """The result of the query `process_start_time_seconds` by job and instance."""
    result = data(document).get("result")
    found = {}
    for each in result[: MAX_TARGETS * 10] if isinstance(result, list) else []:
        metric, value = (each.get("metric"), each.get("value")) if isinstance(each, dict) else (None, None)
        if isinstance(metric, dict) and isinstance(value, list) and len(value) == 2:
            try:
                number = float(value[1])
            except (TypeError, ValueError, OverflowError):
                continue
            if math.isfinite(number):
                found[text(metric.get("job")), text(metric.get("instance"))] = number
    return found


def rules(document: Any, known: Collection[str] | None) -> Any:
    """The alerting rules.

    Args:
        known: the names of all metrics the server has, or None where that could not be read.
    """
    groups = data(document).get("groups")
    if not isinstance(groups, list):
        return absent("the answer lists no groups")
    found: list[AlertRule] = []
    for group in groups:
        listed = group.get("rules") if isinstance(group, dict) else None
        for rule in listed if isinstance(listed, list) else []:
            if isinstance(rule, dict) and rule.get("type") == "alerting" and len(found) < MAX_RULES:
                found.append(_rule(rule, known))
    return tuple(found)


def _rule(rule: dict[str, Any], known: Collection[str] | None) -> AlertRule:
    labels, annotations = rule.get("labels"), rule.get("annotations")
    query = text(rule.get("query"), 2000)
    metrics = metric_names(query)
    # absent() is there to watch what may be missing.
    watched = () if "absent" in query else metrics
    return AlertRule(
        name=text(rule.get("name")),
        query=query,
        health=text(rule.get("health")),
        state=text(rule.get("state")),
        severity=text(labels.get("severity")) if isinstance(labels, dict) else "",
        annotated=isinstance(annotations, dict) and bool(annotations),
        error=text(rule.get("lastError"), 300),
        metrics=metrics,
        unknown_metrics=(
            absent("the names of the server's metrics could not be read")
            if known is None
            else tuple(name for name in watched if name not in known)
        ),
    )


def metric_names(query: str) -> tuple[str, ...]:
    """The metrics that a PromQL expression reads, found without evaluating it."""
    rest = _STRINGS.sub('""', query)
    for _ in range(5):  # subqueries nest
        rest, replaced = _SELECTORS.subn(" ", rest)
        if not replaced:
            break
    rest = _MATCHING.sub(" ", rest)
    names = dict.fromkeys(name for name in _NAME.findall(rest) if name.lower() not in _KEYWORDS)
    return tuple(names)[:20]


def metric_list(document: Any) -> frozenset[str] | None:
    """The answer of /api/v1/label/__name__/values as a set."""
    names = document.get("data") if isinstance(document, dict) and document.get("status") == "success" else None
    return frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else None


def alerts(document: Any) -> Any:
    """Active alerts, counted by name, severity and state; firing ones first."""
    listed = data(document).get("alerts")
    if not isinstance(listed, list):
        return absent("the answer lists no alerts")
    counted: Counter[tuple[str, str, str]] = Counter()
    for each in listed[:MAX_ALERTS]:
        labels = each.get("labels") if isinstance(each, dict) else None
        if isinstance(labels, dict):
            counted[text(labels.get("alertname")), text(labels.get("severity")), text(each.get("state"))] += 1
    found = [Alert(name=n, severity=s, state=state, count=count) for (n, s, state), count in counted.items()]
    return tuple(sorted(found, key=lambda alert: alert.state != "firing")[:200])


def alertmanagers(document: Any) -> Any:
    active = data(document).get("activeAlertmanagers")
    if not isinstance(active, list):
        return absent("the answer lists no activeAlertmanagers")
    return tuple(plain_url(text(each.get("url"), 500)) for each in active[:20] if isinstance(each, dict))


def text(value: Any, limit: int = 200) -> str:
    return value[:limit] if isinstance(value, str) else ""


def moment(value: Any) -> dt.datetime | None:
    """An RFC 3339 time, or None; Prometheus writes the year 1 for "never"."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        found = dt.datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo is not None and found.year > 1 else None


def seconds(value: Any) -> float | None:
    """A duration such as 1m30s in seconds."""
    if not isinstance(value, str) or not re.fullmatch(r"(?:\d{1,9}(?:ms|[smhdwy]))+", value[:50]):
        return None
    return float(sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)(ms|[smhdwy])", value)))
