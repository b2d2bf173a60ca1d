"""Which answers a header is judged on, and how the verdicts of several answers become one finding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from readiness.api import Finding, Status, failed, not_applicable, passed, warn, worst
from readiness.facts.exchange import Exchange
from readiness.facts.http import HttpFacts, seen
from readiness.headers import Verdict

Rule = Callable[[Exchange], Verdict]
ERROR_PAGE = "unknown page"
RENDERED = ("text/html", "application/xhtml+xml")
_LONGEST_LABEL = 40


def kinds(http: HttpFacts) -> dict[str, Exchange]:
    """One answer of each kind: root, asset, endpoints, authorised, error page. Redirects are left out."""
    found = {"root": http.root}
    if (asset := seen(http, "asset")) is not None:  # a root that is no page names none
        found["asset"] = asset
    found |= {label_of(endpoint.path): endpoint.answer for endpoint in http.endpoints}
    found |= authorised(http)
    found[ERROR_PAGE] = http.not_found_html
    return {label: answer for label, answer in found.items() if not 300 <= answer.status < 400}


def authorised(http: HttpFacts) -> dict[str, Exchange]:
    """The answers of protected paths to the configured credential, where it opened them."""
    if not http.credentials:
        return {}
    found = {f"{label_of(path.path)} authorised": seen(path, "authorised") for path in http.protected}
    return {label: answer for label, answer in found.items() if answer is not None and answer.ok}


def everything(http: HttpFacts) -> list[tuple[str, Exchange]]:
    """Every answer, the root's first; where not even that could be had, there is nothing to go by."""
    root = http.root
    return [("root", root), *(pair for pair in http.answers() if pair[1] is not root)]


def pages(http: HttpFacts) -> dict[str, Exchange]:
    """The answers that a browser renders."""
    return {label: answer for label, answer in kinds(http).items() if answer.media_type in RENDERED}


def no_pages(http: HttpFacts) -> Finding | None:
    """Not applicable where nothing is rendered: the service is an interface for programs, or shows no page."""
    if http.profile == "api":
        how = "configured" if http.profile_configured else "guessed from its answers"
        return not_applicable(f"an API ({how}): browsers do not render JSON", profile=http.profile)
    if not pages(http):
        types = {label: f"{answer.status} {answer.media_type or 'no type'}" for label, answer in kinds(http).items()}
        return not_applicable("no answer is an HTML page", root_status=http.root.status, **types)
    return None


def judged(answers: Mapping[str, Exchange], rule: Rule) -> Finding:
    """The worst over the answers. What only an error page lacks is a warning: it shows nothing worth more."""
    verdicts = {label: rule(answer) for label, answer in answers.items()}
    ordinary = [verdict for label, verdict in verdicts.items() if label != ERROR_PAGE]
    findings: dict[str, Finding] = {}
    for label, verdict in verdicts.items():
        softened = label == ERROR_PAGE and any(other.status is not Status.FAIL for other in ordinary)
        findings[label] = finding(verdict, answers[label], softened=softened)
    return worst(findings, what="answers")


def finding(verdict: Verdict, answer: Exchange | None = None, *, softened: bool = False) -> Finding:
    """A verdict as a finding, with the command that shows the answer again."""
    state = {Status.PASS: passed, Status.WARN: warn, Status.FAIL: warn if softened else failed}[verdict.status]
    more: dict[str, Any] = {"verify": answer.curl} if answer is not None and verdict.status is not Status.PASS else {}
    return state(verdict.reason, observed=verdict.observed, expected=verdict.expected, **more)


def label_of(path: str) -> str:
    """A path for a message."""
    return path if len(path) <= _LONGEST_LABEL else path[: _LONGEST_LABEL - 1] + "…"
