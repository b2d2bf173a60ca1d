"""Problem details (RFC 9457), where a service answers with them."""

from __future__ import annotations

import re
from typing import Any

from readiness.api import Finding, check, failed, not_applicable, passed, warn, worst
from readiness.facts.exchange import Exchange
from readiness.facts.http import HttpFacts

from . import _fixes
from ._errors import PROBLEM, beginning, described, errors, is_json

_TYPES = {"type": str, "title": str, "detail": str, "instance": str, "status": int}
_REFERENCE = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*")


@check(
    id="error_handling.problem",
    component="error_handling",
    severity="low",
    requires="error_handling.reach.http",
    fixes=_fixes.NOT_FOUND,
    effort="minutes",
    reference="https://www.rfc-editor.org/rfc/rfc9457#section-3",
    verify="curl -si -H 'Accept: application/json' https://HOST/api/no-such-path",
)
def problem(http: HttpFacts) -> Finding:
    """Errors that are problem details keep to RFC 9457.

    Its members have fixed types, `status` repeats that of the answer, `type` is a URI reference, and the media type is
    application/problem+json; clients that know the format rely on it. A service may as well have a shape of its own.
    """
    _ = http.not_found  # where not even this answer was had, nothing is known of the errors
    seen = {label: a for label, a in errors(http).items() if a.method != "HEAD" and (_claims(a) or _resembles(a))}
    if not seen:
        count = len(errors(http))
        return not_applicable("no error is problem details; other shapes are judged as such", errors=count)
    return worst({f"{label[:40]} ({a.status})": _problem(a) for label, a in seen.items()}, what="errors")


def _claims(answer: Exchange) -> bool:
    return answer.media_type == PROBLEM


def _resembles(answer: Exchange) -> bool:
    body = answer.parsed() if is_json(answer) else None
    return isinstance(body, dict) and {"type", "title", "status"} <= body.keys()


def _problem(answer: Exchange) -> Finding:
    body = answer.parsed()
    more: dict[str, Any] = {"observed": described(answer), "expected": "valid problem details", "verify": answer.curl}
    if not isinstance(body, dict):
        return failed("is declared as problem+json, and is no JSON object", **more)
    if not _claims(answer):
        return warn(f"has the members of a problem, but is {answer.media_type[:40]}", **more)
    for name, kind in _TYPES.items():
        if name in body and (not isinstance(body[name], kind) or isinstance(body[name], bool)):
            return failed(f"its {name} is {beginning(body[name], 30)}", **more)
    if "status" in body and body["status"] != answer.status:
        return failed(f"its status is {body['status']}", **more)
    for name in ("type", "instance"):
        if not _REFERENCE.fullmatch(body.get(name, "")):
            return warn(f"its {name} is no URI reference", **more)
    if not (body.get("title") or body.get("detail")):
        return warn("it has neither title nor detail", **more)
    return passed("problem details (RFC 9457)", **more)
