"""Whether the service answers at all."""

from __future__ import annotations

from typing import Any

from readiness.api import Finding, check, failed, passed
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
    have nothing at its root. What is judged then is mostly that refusal, and the message says so.
    """
    root = http.root
    more: dict[str, Any] = {"observed": str(root.status), "expected": "below 500"}
    if root.status >= 500:
        return failed(f"the root answers {root.status}", **more)
    if root.status >= 400:
        where = "beside http.endpoints" if http.endpoints else "and no http.endpoints are named"
        return passed(f"the base URL answers {root.status}, {where}: most else is judged on that refusal", **more)
    return passed(f"the root answers {root.status}", **more)
