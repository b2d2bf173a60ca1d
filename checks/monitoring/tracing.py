"""Whether a request can be followed: ids on answers, trace context, something an APM can use."""

from __future__ import annotations

from readiness.api import Finding, check, failed, passed, show, untested, warn
from readiness.facts.base import maybe
from readiness.facts.service import ServiceFacts

from . import _fixes

_PROPAGATION = "https://www.w3.org/TR/trace-context/"


@check(
    id="monitoring.trace.request_id",
    component="monitoring",
    severity="medium",
    fixes=_fixes.REQUEST_ID,
    effort="minutes",
    reference="https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/X-Request-ID",
    verify="curl -sI https://HOST/ | grep -i request-id",
    phase=1,
    item="Error Tracking",
)
def request_id(service: ServiceFacts) -> Finding:
    """Every answer, errors too, carries an id by which its request can be found in the logs.

    A user who reports an error can then name the request. Whether the service takes over an id that the caller sends or
    makes its own is the same for this purpose; a proxy that mints ids does not echo.
    """
    tracking = service.tracking
    expected = "a different id on each answer, errors included"
    if not tracking.header and not tracking.error_header:
        return failed("no answer carries a request id", observed="none", expected=expected)
    if not (tracking.header and tracking.error_header):
        where, other = ("successes", "errors") if tracking.header else ("errors", "successes")
        name = tracking.header or tracking.error_header
        return warn(f"{name} is on {where}, but not on {other}", observed=f"{name} on {where}", expected=expected)
    if not tracking.unique:
        return failed(f"{tracking.header} is the same on every answer", observed="one constant id", expected=expected)
    how = "ours was taken over" if maybe(lambda: tracking.kept) else "minted by the service"
    return passed(f"{tracking.header} is on every answer", observed=f"{tracking.header}, {how}", expected=expected)


@check(
    id="monitoring.trace.context",
    component="monitoring",
    severity="low",
    fixes=_fixes.TRACING,
    effort="days",
    reference=_PROPAGATION,
    verify="curl -si https://HOST/ -H 'traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'",
    verdicts=("pass",),
)
def context(service: ServiceFacts) -> Finding:
    """The service joins the trace that a caller began.

    A request with a traceparent was sent. An answer that names its trace id proves that the service joined the trace;
    one that does not proves nothing, because the standard defines traceparent for requests only.
    """
    tracking = service.tracking
    if tracking.trace_header:
        return passed(
            f"the trace id comes back in {tracking.trace_header[:40]}",
            observed=tracking.trace_header[:60],
            expected="the trace id of the request's traceparent",
        )
    return untested(
        "no answer names the trace id that was sent, which proves nothing; look for it in the tracing system"
    )


@check(
    id="monitoring.apm",
    component="monitoring",
    severity="medium",
    fixes=_fixes.TRACING,
    effort="days",
    reference="https://opentelemetry.io/docs/concepts/observability-primer/",
    verify="curl -sI https://HOST/ | grep -iE 'trace|server-timing|newrelic|datadog|dynatrace'",
    phase=1,
    item="Monitoring",
)
def apm(service: ServiceFacts) -> Finding:
    """Requests can be followed by traces, or at least be seen in metrics.

    Metrics say that requests became slow, traces say where. Measured are a trace context that comes back and the
    headers of monitoring products; a script in the page watches the browser only.
    """
    tracking = service.tracking
    expected = "traces, or at least metrics of requests"
    if tracking.trace_header or tracking.vendors:
        seen = tracking.trace_header or show(tracking.vendors)
        return passed(f"tracing is at work: {seen[:60]}", observed=seen[:100], expected=expected)
    metrics = service.metrics
    latency = metrics.http if metrics.state == "parsed" else None
    if latency is not None:
        return warn("metrics of requests, but no sign of tracing", observed=latency.family[:100], expected=expected)
    if tracking.browser_vendors:
        seen = show(tracking.browser_vendors)
        return warn(f"only the browser is watched, by {seen}", observed=seen, expected=expected)
    return failed("neither traces nor metrics of requests", observed="none", expected=expected)
