"""What a request cannot show: where errors and logs go, who answers an alert, who watches from outside."""

from __future__ import annotations

import datetime as dt

from readiness.api import AttestationSettings, Finding, check, maybe, passed, show
from readiness.facts.prometheus import PrometheusFacts
from readiness.facts.service import ServiceFacts

from .._attested import attested

_PAGERS = ("pagerduty", "opsgenie", "victorops", "pushover")
_FIX = """attestations:
  {name}:
    statement: {statement}
    evidence: https://wiki.example.com/operations/{name}
    owner: platform-team
    expires: {year}-12-31"""


def _fix(name: str, statement: str) -> str:
    return _FIX.format(name=name, statement=statement, year="YYYY")


@check(
    id="monitoring.errors.tracking",
    component="monitoring",
    severity="high",
    fix=_fix("error_tracking", "Unhandled errors of every instance go to Sentry, new ones alert the team"),
    effort="hours",
    reference="https://sre.google/sre-book/monitoring-distributed-systems/",
    verify="cause an error on purpose, and look for it in the error tracker",
    phase=1,
    item="Error Tracking",
    verdicts=("pass", "fail"),
)
def tracking(service: ServiceFacts, attestations: AttestationSettings) -> Finding:
    """Errors of the server reach an error tracker.

    It groups them, tells new ones from old ones, and keeps what is needed to repeat them. From outside nothing of that
    shows, so the operator declares it, with an owner and an end. A declaration counts as one: it is marked as declared,
    fails once it has expired, and --measured-only leaves it out.
    """
    return attested(attestations, "error_tracking", lambda: service.now)


@check(
    id="monitoring.logs.shipping",
    component="monitoring",
    severity="medium",
    fix=_fix("log_shipping", "JSON logs of every instance go to Loki, kept for 30 days, found by request id"),
    effort="hours",
    reference="https://12factor.net/logs",
    verify="curl -sI https://HOST/ | grep -i request-id  # and search the collected logs for that id",
    phase=1,
    item="Monitoring",
    verdicts=("pass", "fail"),
)
def logs(service: ServiceFacts, attestations: AttestationSettings) -> Finding:
    """Logs leave the instance, and can be searched.

    What an instance wrote before it died is lost with it unless something collects it. From outside nothing of that
    shows, so the operator declares it; the declaration is marked as one, and expires.
    """
    return attested(attestations, "log_shipping", lambda: service.now)


@check(
    id="monitoring.on_call",
    component="monitoring",
    severity="medium",
    fix=_fix("on_call", "The platform team answers pages at any hour, within 15 minutes"),
    effort="days",
    reference="https://sre.google/sre-book/being-on-call/",
    verify="amtool config show --alertmanager.url=http://ALERTMANAGER:9093 | grep -E 'pagerduty|opsgenie|victorops'",
    verdicts=("pass", "fail"),
)
def on_call(
    service: ServiceFacts | None, prometheus: PrometheusFacts | None, attestations: AttestationSettings
) -> Finding:
    """Somebody answers an alert at any hour.

    An alert that is read the next morning is a report. An Alertmanager with a receiver that pages (PagerDuty, Opsgenie,
    VictorOps, Pushover) shows it; anything else the operator declares, and the declaration expires.
    """
    kinds = maybe(lambda: _pagers(prometheus)) or ()
    if kinds:
        return passed(
            f"Alertmanager pages by {show(kinds)[:60]}",
            observed=f"receivers of the kind {show(kinds)[:80]}",
            expected="a receiver that pages, or a declaration",
        )
    return _declared(attestations, "on_call", service, prometheus)


def _pagers(prometheus: PrometheusFacts | None) -> tuple[str, ...]:
    manager = prometheus.alertmanager if prometheus is not None else None
    if manager is None:
        return ()
    return tuple(sorted({kind for kinds in manager.receivers.values() for kind in kinds if kind in _PAGERS}))


@check(
    id="monitoring.uptime",
    component="monitoring",
    severity="low",
    fix=_fix("uptime", "A probe from three regions asks /health every minute, and pages after two failures"),
    effort="hours",
    reference="https://github.com/prometheus/blackbox_exporter",
    verify="curl -s 'http://PROMETHEUS:9090/api/v1/query?query=probe_success'",
    verdicts=("pass", "fail"),
)
def uptime(
    service: ServiceFacts | None, prometheus: PrometheusFacts | None, attestations: AttestationSettings
) -> Finding:
    """Something outside watches the service.

    Monitoring that runs beside the service goes down with it, and sees neither DNS nor certificates nor the balancer.
    An alerting rule on probe_success that Prometheus has series of shows it; anything else the operator declares.
    """
    rule = maybe(lambda: _probing(prometheus))
    if rule:
        return passed(
            f"{rule[:40]} watches probe_success",
            observed=f"the rule {rule[:60]}, and series of probe_success",
            expected="a rule on probe_success, or a declaration",
        )
    return _declared(attestations, "uptime", service, prometheus)


def _probing(prometheus: PrometheusFacts | None) -> str:
    rules = prometheus.rules if prometheus is not None else ()
    for rule in rules:
        if "probe_success" in rule.metrics and "probe_success" not in rule.unknown_metrics and rule.health != "err":
            return rule.name or "a rule"
    return ""


def _declared(
    settings: AttestationSettings, name: str, service: ServiceFacts | None, prometheus: PrometheusFacts | None
) -> Finding:
    if prometheus is not None and getattr(settings, name) is None:
        prometheus.reached()  # it might have shown what nobody declares

    def now() -> dt.datetime:
        clocks = [each for each in (service, prometheus) if each is not None]
        known = (maybe(lambda clock=clock: clock.now) for clock in clocks)  # type: ignore[misc]
        return next((each for each in known if each is not None), None) or clocks[0].now

    return attested(settings, name, now)
