"""Health endpoints in use: fast, never from a cache, telling no secrets, answering HEAD."""

from __future__ import annotations

import re
import statistics

from readiness.api import Finding, check, failed, passed, scaled, show, warn, worst
from readiness.facts.exchange import Exchange
from readiness.facts.service import Health, ServiceFacts

from . import _fixes

_GRAVE = ("credentials", "environment variables", "stack trace", "file path")


@check(
    id="monitoring.health.time",
    component="monitoring",
    severity="medium",
    requires="monitoring.health.exists",
    fix="ask all dependencies at once, each with a timeout of 500 ms: await Promise.allSettled(checks)",
    fixes=_fixes.TIMES,
    effort="hours",
    reference="https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/",
    verify="for i in 1 2 3 4 5; do curl -so /dev/null -w '%{time_total}\\n' https://HOST/health/ready; done",
)
def time(service: ServiceFacts, *, good_ms: float = 300, bad_ms: float = 1000) -> Finding:
    """Health answers well inside the timeout of a probe.

    Kubernetes waits one second by default and counts a later answer as a failure, so a slow health endpoint takes sound
    instances out of service just when they are busy. The median of five requests on an open connection is judged.
    """
    timing = service.timing
    expected = f"at most {show(good_ms, 'ms')}"
    if timing.failures:
        total = timing.failures + len(timing.seconds)
        observed = f"{timing.failures} of {total} without an answer within 5 s"
        return failed(f"{timing.failures} of {total} requests got no answer", observed=observed, expected=expected)
    times = sorted(second * 1000 for second in timing.seconds)
    median, slowest = statistics.median(times), times[-1]
    finding = scaled(median, good=good_ms, bad=bad_ms, what=f"median time of {timing.path[:40]}", unit="ms")
    if slowest > bad_ms and median <= good_ms:
        return warn(
            f"the slowest of {len(times)} answers took {show(slowest, 'ms')}",
            observed=f"median {show(median, 'ms')}, slowest {show(slowest, 'ms')}",
            expected=f"every answer within {show(bad_ms, 'ms')}",
        )
    return finding


@check(
    id="monitoring.health.cache",
    component="monitoring",
    severity="medium",
    requires="monitoring.health.exists",
    fix="Cache-Control: no-store",
    fixes=_fixes.NO_STORE,
    effort="minutes",
    reference="https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.5",
    verify="curl -sI https://HOST/health/ready | grep -iE 'cache|age|last-modified'",
)
def cache(service: ServiceFacts, *, max_age: int = 10) -> Finding:
    """No cache answers for health.

    A stored "healthy" outlives the service that said it. A missing Cache-Control is only a warning: without
    Last-Modified caches have nothing to guess a lifetime from.
    """
    last = service.timing.last
    control = (last.header("cache-control") or "").lower()
    observed = show(f"Cache-Control: {control[:80]}" if control else "no Cache-Control")
    expected = "no-store, or no-cache, or max-age=0"
    why = _stored(last)
    age = re.search(r"(?:s-maxage|max-age)\s*=\s*\"?(\d{1,10})", control)
    if why:
        return failed(why, observed=why, expected=expected, verify=last.curl)
    if re.search(r"no-store|no-cache", control) or (age and int(age[1]) == 0):
        return passed(f"health is sent with {control[:60]}", observed=observed, expected=expected, verify=last.curl)
    if age and int(age[1]) >= max_age and "private" not in control:
        return failed(
            f"shared caches may keep health for {int(age[1]):,} s",
            observed=observed,
            expected=expected,
            verify=last.curl,
        )
    what = "health has no Cache-Control" if not control else f"health may be cached: {control[:50]}"
    return warn(what, observed=observed, expected=expected, verify=last.curl)


def _stored(last: Exchange) -> str:
    """What shows that a cache, or a file, gave this answer; empty where nothing does."""
    age = (last.header("age") or "0").strip()
    if age.isdecimal() and age.strip("0"):
        return f"a cache answered: Age {age[:10]}"
    for name in ("x-cache", "cf-cache-status", "cache-status"):
        value = last.header(name) or ""
        if re.search(r"\bhit\b", value, re.I):
            return f"a cache answered: {name} {value[:30]}"
    ranges = (last.header("accept-ranges") or "none").lower()
    if last.header("last-modified") is not None or ranges != "none":
        return "health is a static file"
    return ""


@check(
    id="monitoring.health.leak",
    component="monitoring",
    severity="high",
    requires="monitoring.health.exists",
    fix="show details only to authorised callers (Spring: management.endpoint.health.show-details=when_authorized)",
    fixes=_fixes.DETAILS,
    effort="hours",
    reference="https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06#section-6",
    verify="curl -s https://HOST/health",
)
def leak(service: ServiceFacts) -> Finding:
    """Health tells strangers nothing that helps an attack.

    Connection strings, environment variables, paths and stack traces are found in health answers again and again.
    Versions and the names of internal hosts are a lesser help.
    """
    return worst({health.path[:40]: _tells(health) for health in service.health}, what="endpoints")


def _tells(health: Health) -> Finding:
    expected = "neither secrets nor internals"
    grave = [pattern for pattern in health.disclosed if pattern in _GRAVE]
    if grave:
        return failed(
            f"discloses {show(tuple(grave))}",
            observed=show(health.disclosed),
            expected=expected,
            verify=health.exchange.curl,
        )
    if health.disclosed:
        return warn(
            f"discloses {show(health.disclosed)}",
            observed=show(health.disclosed),
            expected=expected,
            verify=health.exchange.curl,
        )
    return passed("discloses nothing", observed="nothing found", expected=expected)


@check(
    id="monitoring.health.methods",
    component="monitoring",
    severity="low",
    requires="monitoring.health.exists",
    fixes=_fixes.HEAD,
    effort="minutes",
    reference="https://www.rfc-editor.org/rfc/rfc9110#name-head",
    verify="curl -sI https://HOST/health/ready | head -1",
    verdicts=("pass", "warn"),
)
def methods(service: ServiceFacts) -> Finding:
    """HEAD and GET of health have the same status.

    Many balancers probe with HEAD. One that gets a 405 for it takes a sound instance out of service.
    """
    head, get = service.timing.head_status, service.timing.last.status
    observed, expected = f"HEAD {head}, GET {get}", "the same status"
    if head == get:
        return passed(f"HEAD and GET both answer {get}", observed=observed, expected=expected)
    return warn(f"GET answers {get}, HEAD {head}", observed=observed, expected=expected)
