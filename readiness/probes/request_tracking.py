"""Whether a request can be found again: request ids on answers, and the trace context that we send along."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Iterator

from readiness.facts.base import absent
from readiness.facts.exchange import Exchange
from readiness.facts.service import Tracking
from readiness.probes.polite import Polite

REQUEST_IDS = (
    "x-request-id", "x-correlation-id", "request-id", "x-amzn-trace-id", "x-amzn-requestid", "cf-ray", "x-trace-id",
    "traceresponse", "x-cloud-trace-context", "x-b3-traceid", "x-vercel-id", "fly-request-id", "x-req-id",
)  # fmt: skip

_VENDOR_HEADERS: tuple[tuple[str, str], ...] = (
    ("x-newrelic", "New Relic"),
    ("newrelic", "New Relic"),
    ("x-datadog", "Datadog"),
    ("x-dynatrace", "Dynatrace"),
    ("x-ruxit", "Dynatrace"),
    ("elastic-apm", "Elastic APM"),
    ("x-instana", "Instana"),
    ("x-appdynamics", "AppDynamics"),
    ("sentry-trace", "Sentry"),
)
_BROWSER: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("New Relic", re.compile(r"NREUM|js-agent\.newrelic\.com")),
    ("Datadog", re.compile(r"datadog-rum|DD_RUM")),
    ("Elastic APM", re.compile(r"elastic-apm-rum|elasticApm\.init")),
    ("Dynatrace", re.compile(r"ruxitagentjs|dtrum")),
    ("Sentry", re.compile(r"Sentry\.init|browser\.sentry-cdn\.com|name=[\"']sentry-trace")),
    ("Application Insights", re.compile(r"applicationinsights|appInsights")),
)


async def track(polite: Polite, path: str, unknown: Exchange, mark: str) -> Tracking | None:
    """Three requests: two that let the service mint ids, one that brings an id and a trace context of our own.

    Args:
        path: where an ordinary request goes.
        unknown: the answer to a path that does not exist.
        mark: a random word of safe characters; our request id begins with it.
    """
    own, trace_id = f"{mark}-{secrets.token_hex(8)}", secrets.token_hex(16)
    ours = {"X-Request-Id": own, "traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"}
    answers = await asyncio.gather(
        polite.get(path, headers={"Accept": "*/*"}),
        polite.get(path, headers={"Accept": "*/*"}),
        polite.get(path, headers={"Accept": "*/*"} | ours),
    )
    seen = [answer for answer in answers if answer is not None]
    if not seen:
        return None
    header = next(request_id(seen[0]), ("", ""))[0]
    error_header = next(request_id(unknown), ("", ""))[0]
    ids = [value for answer in [*seen[:2], unknown] for name, value in request_id(answer) if name == header]
    last = answers[2]
    kept = last is not None and any(own in value for _, value in last.headers)
    return Tracking(
        path=path,
        header=header,
        error_header=error_header,
        unique=len(set(ids)) == len(ids) if header and len(ids) > 1 else absent("fewer than two ids to compare"),
        kept=kept if last is not None else absent("no answer to the request with an id of ours"),
        trace_id=trace_id,
        trace_header=next((name for name, value in last.headers if trace_id in value), "") if last is not None else "",
        server_timing=any(answer.header("server-timing") for answer in seen),
        vendors=_vendors(seen),
        browser_vendors=tuple(name for name, sign in _BROWSER if any(sign.search(answer.body) for answer in seen[:1])),
    )


def request_id(answer: Exchange) -> Iterator[tuple[str, str]]:
    """Headers that carry a request id, in lower case, with their values; the usual ones first."""
    for name in REQUEST_IDS:
        value = answer.header(name)
        if value and value.strip():
            yield name, value.strip()


def _vendors(answers: list[Exchange]) -> tuple[str, ...]:
    names = {name.lower() for answer in answers for name, _ in answer.headers}
    found = {vendor for prefix, vendor in _VENDOR_HEADERS if any(name.startswith(prefix) for name in names)}
    if any("dtrpid" in (answer.header("server-timing") or "").lower() for answer in answers):
        found.add("Dynatrace")
    return tuple(sorted(found))
