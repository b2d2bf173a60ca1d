"""Prometheus: it runs, it scrapes the service, its rules watch the right things, and it tells somebody."""

from __future__ import annotations

import re
from fractions import Fraction

from readiness.api import Finding, check, failed, passed, show, untested, warn
from readiness.facts.base import maybe
from readiness.facts.prometheus import AlertRule, PrometheusFacts, Target
from readiness.facts.service import ServiceFacts

from . import _fixes_metrics

_ALERTING = "https://prometheus.io/docs/practices/alerting/"
_RULES = """groups:
- name: service
  rules:
  - alert: ServiceDown
    expr: up{job="api"} == 0
    for: 1m
    labels: {severity: page}
    annotations: {summary: "{{ $labels.instance }} does not answer"}
  - alert: HighErrorRatio
    expr: sum(rate(http_request_duration_seconds_count{status_code=~"5.."}[5m]))
      / sum(rate(http_request_duration_seconds_count[5m])) > 0.05
    for: 5m
    labels: {severity: page}
    annotations: {summary: "more than 5 % of requests fail"}"""
_AVAILABILITY = re.compile(r"^(?:up|probe_success|.*_up)$")
_SYMPTOM = re.compile(r"http|request|response|latency|duration|error|exception|fail|5xx", re.I)


@check(
    id="monitoring.prometheus.ready",
    component="monitoring",
    severity="high",
    fix="systemctl status prometheus; journalctl -u prometheus -n 50",
    effort="hours",
    reference="https://prometheus.io/docs/prometheus/latest/management_api/",
    verify="curl -si http://PROMETHEUS:9090/-/ready",
    verdicts=("pass", "fail"),
)
def ready(prometheus: PrometheusFacts) -> Finding:
    """Prometheus is ready.

    While it replays its log after a restart it answers 503 and evaluates no rule.
    """
    expected = "200 from /-/ready"
    if prometheus.ready:
        version = maybe(lambda: prometheus.version)
        return passed(
            f"Prometheus {version[:20]} is ready" if version else "Prometheus is ready",
            observed=prometheus.reason or "ready",
            expected=expected,
        )
    return failed("Prometheus is not ready", observed=prometheus.reason[:100] or "not ready", expected=expected)


@check(
    id="monitoring.prometheus.config",
    component="monitoring",
    severity="high",
    requires="monitoring.prometheus.ready",
    fix="promtool check config /etc/prometheus/prometheus.yml && curl -X POST http://PROMETHEUS:9090/-/reload",
    effort="minutes",
    reference="https://prometheus.io/docs/prometheus/latest/querying/api/#runtime-information",
    verify="curl -s http://PROMETHEUS:9090/api/v1/status/runtimeinfo | grep reloadConfigSuccess",
    verdicts=("pass", "warn"),
)
def config(prometheus: PrometheusFacts) -> Finding:
    """Prometheus runs with the configuration on its disk.

    After a failed reload it goes on with the previous one, and the next restart fails.
    """
    if prometheus.reload_succeeded:
        return passed("the last reload succeeded", observed="succeeded", expected="a successful reload")
    return warn("the last reload failed; the old one is in use", observed="failed", expected="a successful reload")


@check(
    id="monitoring.prometheus.targets",
    component="monitoring",
    severity="critical",
    requires="monitoring.prometheus.ready",
    fix="scrape_configs:\n- job_name: api\n  static_configs: [{targets: ['HOST:PORT']}]",
    fixes=_fixes_metrics.TARGETS,
    effort="minutes",
    reference="https://prometheus.io/docs/prometheus/latest/configuration/configuration/#scrape_config",
    verify="curl -s 'http://PROMETHEUS:9090/api/v1/targets?state=active'",
)
def targets(
    prometheus: PrometheusFacts, service: ServiceFacts | None, *, job: str = "", late_after_intervals: int = 3
) -> Finding:
    """Prometheus scrapes this service, and the scrapes succeed.

    The service is recognised by the host and port of http.url, by the start time of its process, or by the job that is
    this check's setting. Behind a balancer set the job: targets are then known by other names.
    """
    started = maybe(lambda: service.metrics.started) if service is not None else None
    found = [t for t in prometheus.targets if t.ours or (job and t.job == job) or _same_start(t, started)]
    expected = "the service among the targets, up, and scraped in time"
    total = len(prometheus.targets)
    if not found:
        if service is None and not job:
            return untested("needs http.url in the configuration, or this check's setting job")
        return failed("the service is not among the targets", observed=f"{total} other targets", expected=expected)
    up = [target for target in found if target.health == "up" and not _late(target, late_after_intervals)]
    observed = f"{len(up)} of {len(found)} of the service up; {total} targets in all"
    if not up and all(target.health == "unknown" for target in found):
        return warn("the service is a target, but was not scraped yet", observed=observed, expected=expected)
    if not up:
        first = found[0]
        why = first.error[:60] or (
            f"last scraped {show(first.age, 's')} ago" if _late(first, late_after_intervals) else first.health[:20]
        )
        return failed(f"{first.instance[:40]} is not scraped: {why}", observed=observed, expected=expected)
    if len(up) < len(found):
        return warn(f"{len(found) - len(up)} of {len(found)} instances are down", observed=observed, expected=expected)
    down = [target for target in prometheus.targets if target.health == "down"]
    if down:
        return warn(
            f"the service is up, but {len(down)} of {total} targets are down; credit is the share of the others",
            observed=observed,
            expected=expected,
            credit=min(max(Fraction(total - len(down), total), Fraction(1, 100)), Fraction(99, 100)),
            evidence={f"{target.job[:40]} {target.instance[:60]}": target.error[:100] for target in down[:20]},
        )
    return passed(f"{up[0].instance[:60]} is scraped", observed=observed, expected=expected)


def _same_start(target: Target, started: float | None) -> bool:
    """Some libraries round the start time to whole seconds, but both readings are of the same metric."""
    own = maybe(lambda: target.started)
    return started is not None and own is not None and abs(own - started) < 0.005


def _late(target: Target, intervals: int) -> bool:
    age, interval = maybe(lambda: target.age), maybe(lambda: target.interval)
    return age is not None and interval is not None and age > intervals * interval


@check(
    id="monitoring.prometheus.rules",
    component="monitoring",
    severity="high",
    requires="monitoring.prometheus.ready",
    fix=_RULES,
    fixes=_fixes_metrics.RULES,
    effort="hours",
    reference=_ALERTING,
    verify="curl -s 'http://PROMETHEUS:9090/api/v1/rules?type=alert'",
)
def rules(prometheus: PrometheusFacts) -> Finding:
    """Alerting rules watch availability as well as errors or latency, and they evaluate.

    One rule on `up` (or probe_success, or absent()) says that the service is gone, one on HTTP metrics that it is there
    and does not work. A rule over a metric that Prometheus does not have is sound and can never fire.
    """
    found = prometheus.rules
    expected = "one rule on availability, one on errors or latency, all sound"
    if not found:
        return failed("no alerting rule", observed="0 rules", expected=expected)
    observed = f"{len(found)} alerting rules"
    broken = [rule for rule in found if rule.health == "err"]
    if broken:
        first = broken[0]
        return failed(
            f"{first.name[:40]} does not evaluate: {first.error[:60]}",
            observed=f"{len(broken)} of {observed} broken",
            expected=expected,
        )
    missing = [
        kind
        for kind, about in (("availability", _available), ("errors or latency", _symptomatic))
        if not any(map(about, found))
    ]
    if missing:
        return warn(f"no rule on {' or '.join(missing)}", observed=observed, expected=expected)
    for rule in found:
        unknown = maybe(lambda rule=rule: rule.unknown_metrics)  # type: ignore[misc]
        if unknown:
            name = unknown[0][:60]
            return warn(f"{rule.name[:40]} watches {name}, which does not exist", observed=observed, expected=expected)
    bare = [rule.name for rule in found if not rule.severity or not rule.annotated]
    if bare:
        return warn(
            f"{bare[0][:40]} has no severity or no annotation ({len(bare)} of {len(found)})",
            observed=observed,
            expected="a severity label and an annotation on each rule",
        )
    return passed(f"{len(found)} rules watch availability and symptoms", observed=observed, expected=expected)


def _available(rule: AlertRule) -> bool:
    return "absent" in rule.query or any(_AVAILABILITY.match(name) for name in rule.metrics)


def _symptomatic(rule: AlertRule) -> bool:
    return any(_SYMPTOM.search(name) for name in rule.metrics)


@check(
    id="monitoring.prometheus.firing",
    component="monitoring",
    severity="high",
    requires="monitoring.prometheus.ready",
    fix="amtool alert query --alertmanager.url=http://ALERTMANAGER:9093",
    effort="hours",
    reference="https://prometheus.io/docs/prometheus/latest/querying/api/#alerts",
    verify="curl -s http://PROMETHEUS:9090/api/v1/alerts",
)
def firing(
    prometheus: PrometheusFacts,
    *,
    always_on: tuple[str, ...] = ("Watchdog", "DeadMansSwitch"),
    grave: tuple[str, ...] = ("critical", "page", "emergency"),
    harmless: tuple[str, ...] = ("none", "info"),
) -> Finding:
    """No alert is firing.

    A deployment that burns is not ready for production. Alerts that fire on purpose, to prove that alerting works, are
    left out.
    """
    now = [
        alert
        for alert in prometheus.alerts
        if alert.state == "firing" and alert.name not in always_on and alert.severity.lower() not in harmless
    ]
    expected = "no alert firing"
    if not now:
        return passed("no alert is firing", observed="0 alerts", expected=expected)
    bad = [alert for alert in now if alert.severity.lower() in grave]
    first = (bad or now)[0]
    total = sum(alert.count for alert in now)
    what = f"{first.name[:40]} is firing ({first.severity[:20] or 'no severity'}; {total} in all)"
    evidence = {alert.name[:80]: f"{alert.count} x {alert.severity[:20] or 'no severity'}" for alert in now[:20]}
    verdict = failed if bad else warn
    return verdict(what, observed=f"{total} alerts firing", expected=expected, evidence=evidence)


@check(
    id="monitoring.prometheus.alertmanagers",
    component="monitoring",
    severity="high",
    requires="monitoring.prometheus.ready",
    fix="alerting:\n  alertmanagers:\n  - static_configs: [{targets: ['ALERTMANAGER:9093']}]",
    effort="minutes",
    reference="https://prometheus.io/docs/prometheus/latest/configuration/configuration/#alertmanager_config",
    verify="curl -s http://PROMETHEUS:9090/api/v1/alertmanagers",
    verdicts=("pass", "fail"),
)
def alertmanagers(prometheus: PrometheusFacts) -> Finding:
    """Prometheus has an Alertmanager to send its alerts to.

    Without one, alerts fire on a page that nobody looks at. Prometheus lists an Alertmanager even while that refuses
    connections; set prometheus.alertmanager to have it looked at as well.
    """
    known = prometheus.alertmanagers
    expected = "at least one Alertmanager"
    if known:
        return passed(f"alerts go to {known[0][:60]}", observed=show(known[:3]), expected=expected)
    return failed("alerts go nowhere: no Alertmanager", observed="0 Alertmanagers", expected=expected)
