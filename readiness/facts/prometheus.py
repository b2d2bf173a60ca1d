"""What a Prometheus server, and an Alertmanager beside it, say of themselves."""

from __future__ import annotations

import datetime as dt

from readiness.facts.base import ABSENT, Fact, Facts


class Target(Facts):
    """One active scrape target. `scrape_url` has neither credentials nor a query.

    `ours` says that it is the audited service, by host and port. `started` is the start time of the process behind it
    as it exposes it, in seconds since the epoch. Ages and intervals are in seconds.
    """

    job: str
    instance: str
    scrape_url: str
    health: str
    error: str = ""
    age: Fact[float] = ABSENT
    interval: Fact[float] = ABSENT
    started: Fact[float] = ABSENT
    ours: bool = False


class AlertRule(Facts):
    """One alerting rule. `metrics` are the names that its expression reads, `unknown_metrics` those of them that
    the server has no series of (absent where its list of names could not be read)."""

    name: str
    query: str
    health: str
    state: str = ""
    severity: str = ""
    annotated: bool = False
    error: str = ""
    metrics: tuple[str, ...] = ()
    unknown_metrics: Fact[tuple[str, ...]] = ABSENT


class Alert(Facts):
    """Active alerts of one name: `state` is firing or pending, `count` how many there are."""

    name: str
    severity: str
    state: str
    count: int = 1


class Silence(Facts):
    """One active silence. `broad` says that its matchers match every alert."""

    id: str
    days_left: float
    broad: bool = False


class AlertmanagerFacts(Facts):
    """An Alertmanager. `receivers` maps a name to the kinds of its integrations (webhook, email, ...), nothing more.

    The counters of notification requests are since its start.
    """

    ready: Fact[bool] = ABSENT
    reason: str = ""
    version: Fact[str] = ABSENT
    cluster: Fact[str] = ABSENT
    root_receiver: Fact[str] = ABSENT
    receivers: Fact[dict[str, tuple[str, ...]]] = ABSENT
    silences: Fact[tuple[Silence, ...]] = ABSENT
    notifications: Fact[int] = ABSENT
    notifications_failed: Fact[int] = ABSENT


class PrometheusFacts(Facts):
    """A Prometheus server, or something that speaks its API. `alertmanager` is None where none is configured."""

    now: dt.datetime
    url: str
    ready: Fact[bool] = ABSENT
    reason: str = ""
    version: Fact[str] = ABSENT
    reload_succeeded: Fact[bool] = ABSENT
    retention: Fact[str] = ABSENT
    targets: Fact[tuple[Target, ...]] = ABSENT
    rules: Fact[tuple[AlertRule, ...]] = ABSENT
    alerts: Fact[tuple[Alert, ...]] = ABSENT
    alertmanagers: Fact[tuple[str, ...]] = ABSENT
    alertmanager: AlertmanagerFacts | None = None
