"""Paths that do not exist: their status, and what a program can read in the answer."""

from __future__ import annotations

from typing import Any

from readiness.api import Finding, check, failed, not_applicable, passed, untested, warn
from readiness.facts.exchange import Exchange
from readiness.facts.http import HttpFacts

from . import _fixes
from ._errors import OUTSIDE, PAGE, PROBLEM, described, errors, is_json, keys, serves_programs, unknown_for_programs

_GONE = (404, 410)


@check(
    id="error_handling.notfound.status",
    component="error_handling",
    severity="high",
    requires="error_handling.reach.http",
    fixes=_fixes.NOT_FOUND,
    effort="minutes",
    reference="https://www.rfc-editor.org/rfc/rfc9110#name-404-not-found",
    verify="curl -si -H 'Accept: application/json' https://HOST/no-such-path",
)
def notfound_status(http: HttpFacts) -> Finding:
    """Paths that do not exist answer 404.

    A "soft 404", which answers 200 to everything, hides broken links from clients, caches and monitoring. A single-page
    application may serve its shell to browsers; a program that asks for JSON must still get 404, at least below the
    path of the API.
    """
    if http.auth_wall:
        hint = "http.headers were refused" if http.credentials else "set http.headers"
        return untested(f"even unknown paths answer {http.not_found.status}; {hint}")
    program, browser = http.not_found, http.not_found_html
    observed = f"{program.status} to JSON clients, {browser.status} to browsers"
    more: dict[str, Any] = {"observed": observed, "expected": "404 or 410", "verify": program.curl}
    if program.status >= 500:
        return failed(f"an unknown path answers {program.status}", **more)
    if program.ok:
        if http.not_found_api.status in _GONE:
            return warn("unknown paths answer 200 outside the API, 404 below it", **more)
        return failed(f"an unknown path answers {program.status}: a soft 404", **more)
    if 300 <= program.status < 400:
        return warn(f"an unknown path is redirected ({program.status})", **more)
    if program.status not in _GONE:
        return warn(f"an unknown path answers {program.status}", **more)
    if browser.ok:
        return warn(f"browsers get {browser.status} for unknown paths: a single-page application", **more)
    return passed(f"an unknown path answers {program.status}", **more)


@check(
    id="error_handling.notfound.shape",
    component="error_handling",
    severity="medium",
    requires="error_handling.reach.http",
    fixes=_fixes.NOT_FOUND,
    effort="minutes",
    reference="https://www.rfc-editor.org/rfc/rfc9457",
    verify="curl -si -H 'Accept: application/json' https://HOST/api/no-such-path",
)
def notfound_shape(http: HttpFacts) -> Finding:
    """A program can parse the answer for a path that does not exist.

    That is a JSON object with a message, or problem details (RFC 9457), for a client that accepts JSON. Where no JSON
    is served at all there is no such client.
    """
    if not serves_programs(http):
        return not_applicable("no JSON was served, so no program reads its errors", root=http.root.media_type)
    answer = unknown_for_programs(http)
    observed = described(answer)
    more: dict[str, Any] = {
        "observed": observed,
        "expected": "a JSON object with a message, or problem+json",
        "verify": answer.curl,
    }
    if 300 <= answer.status < 400:
        return warn(f"a JSON client is redirected ({answer.status}) instead of told", **more)
    if answer.media_type in PAGE:
        return failed("a JSON client gets HTML", **more)
    fields = keys(answer) if is_json(answer) else None
    if fields is None:
        return warn(f"a JSON client gets {answer.media_type or 'no type'}, no JSON object", **more)
    if answer.media_type == PROBLEM and ({"title", "detail"} & set(fields)):
        return passed("problem details (RFC 9457)", **more)
    if not any(type_ in ("string", "object", "array") for type_ in fields.values()):
        return warn("the JSON object carries no message", **more)
    return passed(f"a JSON object with {', '.join(sorted(fields)[:5])}", **more)


# Some members come and go with the kind of error, and make no other shape of it.
_OPTIONAL = frozenset(
    ("details", "errors", "path", "timestamp", "instance", "request_id", "requestId", "trace_id", "traceId", "hint",
     "fields", "method", "status", "statusCode", "type")
)  # fmt: skip
_BY_THE_EDGE = (400, 413, 414, 431, 502, 503, 504)


@check(
    id="error_handling.envelope",
    component="error_handling",
    severity="medium",
    requires="error_handling.reach.http",
    fixes=_fixes.HANDLER,
    effort="hours",
    reference="https://www.rfc-editor.org/rfc/rfc9457",
    verify="curl -si -X POST -H 'Content-Type: application/json' -d '{\"a\": ' https://HOST/api/no-such-path",
)
def envelope(http: HttpFacts) -> Finding:
    """All errors have one shape.

    Keys and types of every JSON error are compared; well-known optional members do not count. What a proxy or the HTTP
    parser answers itself (400, 413, 414, 431) can only be a warning.
    """
    if not serves_programs(http):
        return not_applicable("no JSON was served, so no program reads its errors", root=http.root.media_type)
    asked = {label: a for label, a in errors(http).items() if a.method != "HEAD" and _wants_json(a)}
    if http.profile != "api":  # only what lies beside the endpoints is meant for programs
        asked = {label: answer for label, answer in asked.items() if label not in OUTSIDE}
    shapes: dict[str, list[str]] = {}
    for label, answer in asked.items():
        shapes.setdefault(_shape(answer), []).append(f"{label} ({answer.status})")
    if len({answer.status for answer in asked.values()}) < 2:
        return untested("fewer than two kinds of errors were seen; set http.writable or http.protected")
    observed = "; ".join(f"{shape[:60]}: {', '.join(labels)[:80]}" for shape, labels in list(shapes.items())[:3])
    more: dict[str, Any] = {
        "observed": observed,
        "expected": "one JSON shape",
        "evidence": {shape: ", ".join(labels)[:200] for shape, labels in list(shapes.items())[:10]},
    }
    pages = [label for label, a in asked.items() if a.media_type in PAGE and a.status not in _BY_THE_EDGE]
    objects = [shape for shape in shapes if shape.startswith("{")]
    if pages and objects:
        return failed(f"HTML among JSON errors: {', '.join(pages)[:60]}", **more)
    if pages:
        return failed("errors are HTML pages for programs too", **more)
    if len(shapes) > 1:
        return warn(f"{len(shapes)} shapes of errors", **more)
    if not objects:
        return warn(f"all errors are {next(iter(shapes))}, no JSON object", **more)
    return passed(f"{len(asked)} errors share one shape", **more)


def _wants_json(answer: Exchange) -> bool:
    accept = answer.sent.get("Accept", "*/*")
    return accept.startswith("application/json") or (is_json(answer) and "html" not in accept)


def _shape(answer: Exchange) -> str:
    fields = keys(answer) if is_json(answer) else None
    if fields is None:
        return f"{answer.media_type} text" if answer.body.strip() else "an empty body"
    core = {name: type_ for name, type_ in fields.items() if name not in _OPTIONAL} or fields
    text = "{" + ", ".join(f"{name}: {type_}" for name, type_ in sorted(core.items())) + "}"
    return text if len(text) <= 200 else text[:199] + "…"
