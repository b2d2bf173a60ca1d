"""Whether the service answers at all, and with something to judge."""

from __future__ import annotations

from typing import Any

from readiness.api import Finding, check, failed, passed, warn
from readiness.facts.http import HttpFacts


@check(
    id="error_handling.reach.http",
    component="error_handling",
    severity="critical",
    fix="curl -v URL from the auditor's machine: name resolution, routing, firewall, TLS; then the service's own log",
    effort="hours",
    reference="https://www.rfc-editor.org/rfc/rfc9110#name-server-error-5xx",
    verify="curl -si https://HOST/",
    verdicts=("pass", "fail"),
)
def http_reach(http: HttpFacts) -> Finding:
    """The service answers over HTTP, and not with a server error.

    Every other check of the service's answers builds on this one. Any status below 500 is an answer: an API may well
    have nothing at its root.
    """
    root = http.root
    more: dict[str, Any] = {"observed": str(root.status), "expected": "below 500"}
    if root.status >= 500:
        return failed(f"the root answers {root.status}", **more)
    return passed(f"the root answers {root.status}", **more)


@check(
    id="error_handling.base_url",
    component="error_handling",
    severity="low",
    requires="error_handling.reach.http",
    fix="""
        # readiness.yaml: the address of the service, or what it has to offer there
        http:
          url: https://HOST
          endpoints: [/api/products]
    """,
    effort="minutes",
    reference="https://www.rfc-editor.org/rfc/rfc9110#name-client-error-4xx",
    verify="curl -si $URL",
    verdicts=("pass", "warn"),
)
def base_url(http: HttpFacts) -> Finding:
    """There is something to judge at the base URL, or at endpoints that are named.

    A mistyped address answers too, with a short refusal that has few faults. Where the base URL is refused and no
    http.endpoints are named, most of what is judged is that refusal.
    """
    status = http.root.status
    more: dict[str, Any] = {"observed": str(status), "expected": "below 400, or http.endpoints that are named"}
    if status < 400:
        return passed(f"the base URL answers {status}", **more)
    if http.endpoints:
        return passed(f"the base URL answers {status}, and http.endpoints are named", **more)
    return warn(f"the base URL answers {status} and no http.endpoints are named: is it the right one?", **more)
