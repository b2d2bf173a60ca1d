"""Alertmanager: it runs, it has somebody to tell, that works, and it is not silenced."""

from __future__ import annotations

from fractions import Fraction

from readiness.api import Finding, check, failed, maybe, not_applicable, passed, show, untested, warn
from readiness.facts.prometheus import AlertmanagerFacts, PrometheusFacts

_MISSING = "needs prometheus.alertmanager in the configuration"
_CONFIGURATION = "https://prometheus.io/docs/alerting/latest/configuration/"


@check(
    id="monitoring.alertmanager.ready",
    component="monitoring",
    severity="high",
    fix="systemctl status prometheus-alertmanager; amtool check-config /etc/prometheus/alertmanager.yml",
    effort="hours",
    reference="https://prometheus.io/docs/alerting/latest/management_api/",
    verify="curl -si http://ALERTMANAGER:9093/-/ready",
    verdicts=("pass", "fail"),
)
def ready(prometheus: PrometheusFacts) -> Finding:
    """Alertmanager is ready.

    While it is down no alert reaches anybody, and Prometheus lists it all the same.
    """
    manager = prometheus.alertmanager
    if manager is None:
        return untested(_MISSING)
    expected = "200 from /-/ready"
    if not manager.ready:
        return failed("Alertmanager is not ready", observed=manager.reason[:100] or "not ready", expected=expected)
    version = maybe(lambda: manager.version)
    cluster = maybe(lambda: manager.cluster)
    more = f"; cluster {cluster[:20]}" if cluster else ""
    name = f"Alertmanager {version[:20]}" if version else "Alertmanager"
    return passed(f"{name} is ready", observed=f"ready{more}", expected=expected)


@check(
    id="monitoring.alertmanager.receivers",
    component="monitoring",
    severity="high",
    requires="monitoring.alertmanager.ready",
    fix="route:\n  receiver: oncall\nreceivers:\n- name: oncall\n"
    "  pagerduty_configs: [{routing_key_file: /etc/alertmanager/pagerduty}]",
    effort="minutes",
    reference=_CONFIGURATION,
    verify="amtool config show --alertmanager.url=http://ALERTMANAGER:9093",
    verdicts=("pass", "fail"),
)
def receivers(prometheus: PrometheusFacts) -> Finding:
    """Alerts that no route claims reach somebody.

    The root route's receiver gets whatever no other route takes. Without an integration (mail, pager, chat, webhook) it
    is a hole; for the other receivers that may be intended.
    """
    manager = prometheus.alertmanager
    if manager is None:
        return untested(_MISSING)
    root = manager.root_receiver
    kinds = manager.receivers.get(root, ())
    expected = "a root receiver with at least one integration"
    if kinds:
        return passed(f"{root[:40]} notifies by {show(kinds)[:50]}", observed=show(kinds), expected=expected)
    return failed(f"the root receiver {root[:40]!r} notifies nobody", observed="no integration", expected=expected)


@check(
    id="monitoring.alertmanager.delivery",
    component="monitoring",
    severity="high",
    requires="monitoring.alertmanager.ready",
    fix="amtool alert add test severity=page --alertmanager.url=http://ALERTMANAGER:9093  # and read its log",
    effort="hours",
    reference="https://prometheus.io/docs/alerting/latest/alertmanager/",
    verify="curl -s http://ALERTMANAGER:9093/metrics | grep notification_requests",
)
def delivery(prometheus: PrometheusFacts, *, bad: float = 0.5) -> Finding:
    """Notifications arrive.

    Counted are the requests to receivers since Alertmanager started. Its counters of failed notifications stay at zero
    for as long as it retries, those of failed requests do not. The credit of a warning is the share that arrived.
    """
    manager = prometheus.alertmanager
    if manager is None:
        return untested(_MISSING)
    return _delivered(manager, bad)


def _delivered(manager: AlertmanagerFacts, bad: float) -> Finding:
    sent, lost = manager.notifications, manager.notifications_failed
    if sent == 0:
        return not_applicable("nothing was sent since Alertmanager started", notifications=sent)
    observed, expected = f"{lost:,} of {sent:,} requests failed", "no failed request"
    if lost == 0:
        return passed(f"all {sent:,} requests to receivers succeeded", observed=observed, expected=expected)
    if lost > bad * sent:
        return failed(f"{lost:,} of {sent:,} requests to receivers failed", observed=observed, expected=expected)
    return warn(
        f"{lost:,} of {sent:,} requests to receivers failed; credit is the share that arrived",
        observed=observed,
        expected=expected,
        credit=Fraction(sent - lost, sent),
    )


@check(
    id="monitoring.alertmanager.silences",
    component="monitoring",
    severity="low",
    requires="monitoring.alertmanager.ready",
    fix="amtool silence expire SILENCE_ID --alertmanager.url=http://ALERTMANAGER:9093",
    effort="minutes",
    reference="https://prometheus.io/docs/alerting/latest/alertmanager/#silences",
    verify="amtool silence query --alertmanager.url=http://ALERTMANAGER:9093",
    verdicts=("pass", "warn"),
)
def silences(prometheus: PrometheusFacts, *, days: float = 30) -> Finding:
    """No silence mutes everything, or for ever.

    A silence is for a known fault that somebody is working on; one that outlives the month is an alert that nobody
    wants.
    """
    manager = prometheus.alertmanager
    if manager is None:
        return untested(_MISSING)
    active = manager.silences
    observed, expected = f"{len(active)} active silences", f"none of everything, none for more than {days:g} days"
    broad = [silence for silence in active if silence.broad]
    if broad:
        return warn(f"silence {broad[0].id[:36]} mutes every alert", observed=observed, expected=expected)
    long = [silence for silence in active if silence.days_left > days]
    if long:
        left = show(long[0].days_left, "days")
        return warn(f"silence {long[0].id[:36]} has {left} left", observed=observed, expected=expected)
    return passed("no silence mutes everything, or for long", observed=observed, expected=expected)
