"""Bodies that cannot be right: cut off, of the wrong type, too large."""

from __future__ import annotations

from typing import Any

from readiness.api import Finding, check, failed, passed, untested, warn, worst
from readiness.facts.exchange import Exchange
from readiness.facts.http import HttpFacts

from . import _fixes_protocol
from ._errors import PAGE, described, is_json, serves_programs

_NO_WRITABLE = "set http.writable to paths that may be sent bodies which cannot validate"
_BEHIND = "every path of http.writable asks for a credential first; set http.headers"


@check(
    id="error_handling.malformed",
    component="error_handling",
    severity="high",
    requires="error_handling.reach.http",
    fixes=_fixes_protocol.BAD_JSON,
    effort="minutes",
    reference="https://www.rfc-editor.org/rfc/rfc9110#name-400-bad-request",
    verify="curl -si -X POST -H 'Content-Type: application/json' -d '{\"a\": ' https://HOST/WRITABLE",
)
def malformed(http: HttpFacts) -> Finding:
    """A body that is not valid JSON is answered with 400 or 422, in JSON.

    It is the client's fault, and a 5xx both hides that and raises a false alarm. Cut-off JSON goes to the paths of
    http.writable only.
    """
    findings: dict[str, Finding] = {}
    for path in http.writable:
        if path.malformed.status not in (401, 403):
            findings[path.path[:40]] = _malformed(http, path.malformed)
    if not findings:
        return untested(_BEHIND if http.writable else _NO_WRITABLE)
    return worst(findings, what="paths")


def _malformed(http: HttpFacts, answer: Exchange) -> Finding:
    more: dict[str, Any] = {"observed": described(answer), "expected": "400 or 422 with JSON", "verify": answer.curl}
    if answer.status >= 500:
        return failed(f"cut-off JSON causes {answer.status}", **more)
    if answer.ok:
        return failed(f"cut-off JSON is accepted with {answer.status}", **more)
    if answer.status not in (400, 415, 422):
        return warn(f"cut-off JSON is answered with {answer.status}", **more)
    if answer.media_type in PAGE and serves_programs(http):
        return warn(f"cut-off JSON is answered with {answer.status}, but in HTML", **more)
    form = "in JSON" if is_json(answer) else f"as {answer.media_type or 'an empty body'}"
    return passed(f"cut-off JSON is answered with {answer.status} {form}", **more)


@check(
    id="error_handling.media_type",
    component="error_handling",
    severity="low",
    requires="error_handling.reach.http",
    fixes=_fixes_protocol.MEDIA_TYPE,
    effort="minutes",
    reference="https://www.rfc-editor.org/rfc/rfc9110#name-415-unsupported-media-type",
    verify="curl -si -X POST -H 'Content-Type: application/xml' -d '<a' https://HOST/WRITABLE",
)
def media_type(http: HttpFacts) -> Finding:
    """A body of a type that the endpoint does not take is answered with 415.

    A handler that runs all the same works on an empty body, and stores it or fails. 400, 406 and 422 say nearly the
    same and pass.
    """
    if not http.writable:
        return untested(_NO_WRITABLE)
    return worst({path.path[:40]: _media_type(path.wrong_type) for path in http.writable}, what="paths")


def _media_type(answer: Exchange) -> Finding:
    more: dict[str, Any] = {"observed": described(answer), "expected": "415", "verify": answer.curl}
    if answer.status in (415, 400, 406, 422):
        return passed(f"XML is refused with {answer.status}", **more)
    if answer.status >= 500:
        return failed(f"XML causes {answer.status}", **more)
    if answer.ok:
        return failed(f"XML is accepted with {answer.status}", **more)
    return warn(f"XML is answered with {answer.status}, not 415", **more)


@check(
    id="error_handling.too_large",
    component="error_handling",
    severity="medium",
    requires="error_handling.reach.http",
    fixes=_fixes_protocol.TOO_LARGE,
    effort="minutes",
    reference="https://www.rfc-editor.org/rfc/rfc9110#name-413-content-too-large",
    verify="head -c 1572864 /dev/zero | curl -si -X POST -H 'Content-Type: application/json' --data-binary @- "
    "https://HOST/WRITABLE",
)
def too_large(http: HttpFacts) -> Finding:
    """A body of 1.5 MiB is answered with 413.

    Without a limit any client can fill the memory. The body is cut-off JSON, so that an endpoint which takes uploads of
    that size answers 400 after having read it all: a warning, because a larger limit may be meant.
    """
    if not http.writable:
        return untested(_NO_WRITABLE)
    if "oversized" in http.closed:
        more: dict[str, Any] = {"observed": "connection closed without an answer", "expected": "413"}
        return warn("the connection is closed without saying why", **more)
    return worst({path.path[:40]: _too_large(path.oversized) for path in http.writable}, what="paths")


def _too_large(answer: Exchange) -> Finding:
    more: dict[str, Any] = {"observed": described(answer), "expected": "413"}
    if answer.status == 413:
        return passed("1.5 MiB is refused with 413", **more)
    if answer.status >= 500:
        return failed(f"1.5 MiB causes {answer.status}", **more)
    if answer.ok:
        return warn(f"1.5 MiB is accepted with {answer.status}: no limit seen", **more)
    if answer.size > 100_000:
        return warn(f"1.5 MiB is answered with {answer.size // 1024} KiB of {answer.status}", **more)
    return warn(f"1.5 MiB is answered with {answer.status}, not 413", **more)
