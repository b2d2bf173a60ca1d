"""Answers that are none."""

from __future__ import annotations

from readiness.api import Finding, check, failed, passed, show, warn
from readiness.facts.load import LatencyFacts

from ._endpoints import name, unanswered


@check(
    id="performance.errors",
    component="performance",
    severity="high",
    effort="hours",
    fix="Read the application's log for the time of the audit; errors at 25 requests a second are no overload",
    verify="for i in $(seq 100); do curl -s -o /dev/null -w '%{http_code}\\n' $URL; done | sort | uniq -c",
    reference="https://sre.google/sre-book/monitoring-distributed-systems/",
)
def errors(latency: LatencyFacts, *, bad: float = 0.01) -> Finding:
    """Every request of a light load is answered.

    4xx, 5xx, time-outs, resets, short and malformed answers over all requests, at no more than 25 a second. Redirects
    are not counted, and neither is 429, which is protection. Any error is a warning; from 1 % it is a failure.
    """
    if finding := unanswered(latency):
        return finding
    for endpoint in latency.endpoints:
        if not endpoint.successes and not endpoint.errors:
            _ = endpoint.timing.mean_ms  # says why there is nothing to judge
    worst = max(latency.endpoints, key=lambda endpoint: endpoint.error_ratio)
    requests, expected = sum(endpoint.requests for endpoint in latency.endpoints), "no errors"
    limited = sum(endpoint.answers.get("429", 0) for endpoint in latency.endpoints)
    more = f", {limited} refused with 429" if limited else ""
    evidence = {endpoint.path: dict(endpoint.answers) for endpoint in latency.endpoints}
    if not worst.errors:
        return passed(f"{requests} requests without an error{more}", observed="0", expected=expected, evidence=evidence)
    kinds = ", ".join(f"{count} x {kind}" for kind, count in worst.errors.items())
    message = f"{name(worst.path)}: {show(worst.error_ratio, '%')} of {worst.requests} requests failed ({kinds}){more}"
    verdict = failed if worst.error_ratio >= bad else warn
    return verdict(message, observed=show(worst.error_ratio, "%"), expected=expected, evidence=evidence)


@check(
    id="performance.errors.outage",
    component="performance",
    severity="critical",
    effort="hours",
    fix="Nothing else matters now: roll back, or take the failing instance out of the balancer, and read its log",
    verify="for i in $(seq 100); do curl -s -o /dev/null -w '%{http_code}\\n' $URL; done | sort | uniq -c",
    reference="https://sre.google/sre-book/embracing-risk/",
    verdicts=("pass", "fail"),
)
def outage(latency: LatencyFacts, *, below: float = 0.05) -> Finding:
    """No endpoint fails for one user in twenty.

    From 5 % of the requests on, a page of twenty requests breaks for most visitors: that is an outage, whatever the
    other figures say. Counted as in performance.errors, endpoint by endpoint.
    """
    if finding := unanswered(latency):
        return finding
    for endpoint in latency.endpoints:
        if not endpoint.successes and not endpoint.errors:
            _ = endpoint.timing.mean_ms  # says why there is nothing to judge
    worst = max(latency.endpoints, key=lambda endpoint: endpoint.error_ratio)
    share, expected = show(worst.error_ratio, "%"), f"less than {below:.0%}"
    message = f"{name(worst.path)}: {share} of {worst.requests} requests failed"
    verdict = failed if worst.error_ratio >= below else passed
    return verdict(message, observed=share, expected=expected)
