"""What the service carries, and what becomes of it when that is too much; only with permission to send load."""

from __future__ import annotations

from typing import Any

from readiness.api import Expectations, Finding, check, failed, maybe, passed, scaled, show, untested, warn
from readiness.facts.delivery import DeliveryFacts
from readiness.facts.load import LatencyFacts, LoadFacts, LoadStep

from ._endpoints import unanswered
from ._load import REPEAT, cached, ceiling, goodput, limited, no_time, per_second, ramp, refusal, trouble


@check(
    id="performance.throughput.capacity",
    component="performance",
    severity="high",
    effort="weeks",
    fix="Find what saturates first (CPU, the connection pool, the database), give it more, or run more instances",
    verify=REPEAT,
    reference="https://sre.google/sre-book/handling-overload/",
)
def capacity(
    load: LoadFacts,
    latency: LatencyFacts,
    delivery: DeliveryFacts | None,
    expectations: Expectations,
    *,
    peak: float | None = None,
    think_seconds: float = 10,
    headroom: float = 2,
) -> Finding:
    """The service carries twice the load of its peak.

    The rate rises by half from step to step until p95 is twice that of the light load, more than 1 % of the requests
    fail, or a ceiling of the configuration is reached; the highest rate before that counts. The peak is
    expectations.concurrent_users with a request each in ten seconds, unless the setting `peak` gives it. A limit for
    this one client says nothing of capacity, and where a cache in front answers, it is the cache that was measured.
    """
    if finding := unanswered(latency):
        return finding
    peak = expectations.concurrent_users / think_seconds if peak is None else peak
    held, wanted = load.sustained, headroom * peak
    expected = f"{per_second(wanted)}, {headroom:g} times the peak"
    evidence = ramp(load)
    if held >= wanted:
        by = f" by {edge}" if (edge := cached(delivery, load.paths)) else ""
        message = f"{per_second(held)} held{by}, {held / peak:.3g} times the peak of {per_second(peak)}"
        return passed(message, observed=per_second(held), expected=expected, evidence=evidence)
    if finding := limited(load):
        return finding
    if key := ceiling(load):
        return untested(f"{per_second(held)} held, all that {key} permits: raise it to judge {expected}")
    message = f"{per_second(held)} held, {trouble(load)}; the peak is {per_second(peak)}"
    verdict = warn if held >= peak else failed
    return verdict(message, observed=per_second(held), expected=expected, evidence=evidence)


@check(
    id="performance.concurrency",
    component="performance",
    severity="high",
    expectation="concurrent_users",
    effort="days",
    fix="Raise worker_connections, the descriptor limit (LimitNOFILE=65536) and the backlog (net.core.somaxconn)",
    verify="readiness load $URL --rate 1000 --duration 30 --connections 10000",
    reference="https://nginx.org/en/docs/ngx_core_module.html#worker_connections",
)
def concurrency(
    load: LoadFacts,
    latency: LatencyFacts,
    expectations: Expectations,
    *,
    think_seconds: float = 10,
    least_errors: float = 0.001,
    most_errors: float = 0.05,
    good_factor: float = 2.5,
    bad_factor: float = 10,
) -> Finding:
    """The expected number of users is connected at the same time, and all of them are served.

    One keep-alive connection for each of expectations.concurrent_users, and on each a request every ten seconds. All
    must be held, with less than 0.1 % errors and a p95 within 2.5 times expectations.response_time_ms. Half of them
    refused, 5 % errors, or ten times that time, is a collapse.
    """
    if finding := unanswered(latency) or limited(load, lambda: load.hold):
        return finding
    hold, wanted = load.hold, expectations.concurrent_users
    if hold is None:
        return no_time(load)
    if hold.held < hold.wanted or hold.error_ratio >= least_errors:
        return _refused(hold, f"{wanted:,} users", hold.error_ratio, least_errors, most_errors)
    good, p95 = good_factor * expectations.response_time_ms, hold.timing.p95_ms
    if p95 > good:
        bad = bad_factor * expectations.response_time_ms
        return scaled(p95, good=good, bad=bad, what=f"p95 with {_shown(hold)}", unit="ms", evidence=_evidence(hold))
    users = min(hold.held, int(think_seconds * hold.rate))
    figures: dict[str, Any] = {
        "observed": f"{users:,} users", "expected": f"{wanted:,} users", "evidence": _evidence(hold), "measured": users,
    }  # fmt: skip
    if users >= wanted:
        return passed(f"{_shown(hold)} held, p95 {show(p95, 'ms')} at {per_second(hold.rate)}", **figures)
    ceilings = {
        f"load.connections to {wanted:,}": hold.wanted < wanted,
        f"load.rate to {wanted / think_seconds:,.0f}": think_seconds * load.rate < wanted,
    }
    if any(ceilings.values()):
        keys = " and ".join(key for key, low in ceilings.items() if low)
        return untested(f"{_shown(hold)} held; to judge {wanted:,} users, raise {keys}")
    message = f"{_shown(hold)} held, but the {per_second(hold.rate)} that are carried do for {users:,} users"
    return warn(message, **figures)


def _shown(hold: LoadStep) -> str:
    return f"{hold.held:,} connections"


def _evidence(hold: LoadStep) -> dict[str, Any]:
    return {
        "connections": f"{hold.held:,} of {hold.wanted:,}",
        "rate": per_second(hold.rate),
        "answers": dict(hold.answers),
    }


def _refused(hold: LoadStep, expected: str, errors: float, least: float, most: float) -> Finding:
    """Not all connections were held, or not all requests on them answered."""
    kinds = ", ".join(f"{count} x {kind}" for kind, count in list(hold.errors.items())[:3])
    message = f"{_shown(hold)} of {hold.wanted:,} held" + (f", {show(errors, '%')} errors ({kinds})" if kinds else "")
    verdict = failed if 2 * hold.held < hold.wanted or errors >= most else warn
    return verdict(
        message, observed=_shown(hold), expected=expected, evidence=_evidence(hold),
        measured=hold.held if errors < least else None,
    )  # fmt: skip


@check(
    id="performance.recovery",
    component="performance",
    severity="medium",
    effort="days",
    fix="Bound queues and retries, shed load early with 503 and Retry-After, and give up on work nobody waits for",
    verify="readiness load $URL --rate 25 --duration 5  # before and right after a load that was too much",
    reference="https://sre.google/sre-book/addressing-cascading-failures/",
)
def recovery(
    load: LoadFacts, latency: LatencyFacts, *, good: float = 1.2, bad: float = 2, unnoticed_ms: float = 20
) -> Finding:
    """After a load the service is as fast as before it.

    The median under a light load right after the ramp, over that before it. A service that stays slow or goes on
    failing when its load is gone is in a state that it does not leave by itself. A median below 20 ms is not held
    against it.
    """
    if finding := unanswered(latency) or limited(load, lambda: load.after):
        return finding
    after, base = load.after, load.base
    if after is None:
        return no_time(load)
    highest = max(step.rate for step in load.steps)
    if base is None or after.error_ratio >= 0.01 or not after.successes:
        errors = f"{show(after.error_ratio, '%')} errors"
        message = f"{errors} after {per_second(highest)}"
        return failed(message, observed=errors, expected="no errors", evidence=ramp(load))
    before, now = base.timing.p50_ms, after.timing.p50_ms
    ratio = now / max(before, 0.001)
    message = f"p50 {show(before, 'ms')} before and {show(now, 'ms')} after {per_second(highest)}"
    expected = f"at most {good:g} times as before, or {show(unnoticed_ms, 'ms')}"
    verdict = passed if ratio <= good or now <= unnoticed_ms else warn if ratio <= bad else failed
    return verdict(message, observed=f"{ratio:.3g} times", expected=expected, evidence=ramp(load))


@check(
    id="performance.degradation",
    component="performance",
    severity="medium",
    effort="days",
    fix="Limit how many requests are worked on at once and answer the rest with 503 and Retry-After at once",
    verify=REPEAT,
    reference="https://sre.google/sre-book/handling-overload/",
)
def degradation(load: LoadFacts, latency: LatencyFacts, *, good: float = 0.8, bad: float = 0.5) -> Finding:
    """With more load than it carries, the service still answers what it can.

    Successful answers a second above capacity, over the highest rate that was held: full credit from 80 %, none to
    50 %. Where work is done for clients that have given up, more load means fewer answers. A service that turns the
    excess away with 503 and Retry-After does it right.
    """
    if finding := unanswered(latency):
        return finding
    expected = f"at least {show(good, '%')} of what was held, or 503 with Retry-After"
    if maybe(lambda: load.ended) == "refused" and _shed(load.steps[-1]):
        message = f"turned away with {refusal(load.steps[-1])} at {per_second(load.steps[-1].rate)}"
        return passed(message, observed="503 with Retry-After", expected=expected, evidence=ramp(load))
    if finding := limited(load):
        return finding
    if key := ceiling(load):
        held = per_second(load.sustained)
        return untested(f"{held} held, all that {key} permits: raise it to see what is too much")
    if load.base is None:
        return failed(trouble(load), observed="0/s", expected=expected, evidence=ramp(load))
    share = max(goodput(step, load.usual_p95_ms) for step in load.beyond) / load.sustained
    what = f"what is still answered of {per_second(load.sustained)} at {per_second(load.beyond[-1].rate)}"
    return scaled(min(share, 1.0), good=good, bad=bad, what=what, unit="%", evidence=ramp(load))


def _shed(step: LoadStep) -> bool:
    return bool(step.retry_after) and not step.answers.get("429") and not step.answers.get("4xx")
