"""The protocol's own errors: methods, HEAD, broken targets, headers that are too large."""

from __future__ import annotations

from typing import Any

from readiness.api import Finding, check, failed, passed, untested, warn, worst
from readiness.facts.exchange import Exchange
from readiness.facts.http import HttpFacts, seen

from . import _fixes_protocol
from ._errors import described


@check(
    id="error_handling.method",
    component="error_handling",
    severity="low",
    requires="error_handling.reach.http",
    fixes=_fixes_protocol.METHOD,
    effort="hours",
    reference="https://www.rfc-editor.org/rfc/rfc9110#name-405-method-not-allowed",
    verify="curl -si -X PATCH -H 'Content-Type: application/json' -d '{\"a\": ' https://HOST/WRITABLE",
)
def method(http: HttpFacts) -> Finding:
    """A method that a path does not have is answered with 405 and the methods that it has.

    RFC 9110 demands Allow with every 405. Judged are the 405 answers to HEAD and OPTIONS, and cut-off JSON sent by
    PATCH to the paths of http.writable; other methods are never sent to paths that were not named for them.
    """
    findings: dict[str, Finding] = {}
    for name in ("options", "head"):
        answer = seen(http, name)
        if answer is not None and answer.status == 405:
            findings[answer.method] = _method(answer)
    for path in http.writable:
        if path.patched.status not in (400, 401, 403, 415, 422):
            findings[f"PATCH {path.path[:40]}"] = _method(path.patched)
    if not findings:
        return untested("no answer was 405; set http.writable, so that a method can be tried")
    return worst(findings, what="requests")


def _method(answer: Exchange) -> Finding:
    allow = answer.header("allow")
    observed = f"{answer.status}{f', Allow: {allow[:60]}' if allow is not None else ' without Allow'}"
    more: dict[str, Any] = {"observed": observed, "expected": "405 with Allow", "verify": answer.curl}
    if answer.status == 405:
        if allow is None:
            return warn("405 does not say which methods are allowed", **more)
        return passed(f"405 with Allow: {allow[:60]}", **more)
    if answer.ok or answer.status >= 500:
        return failed(f"answers {answer.status}", **more)
    return warn(f"answers {answer.status}, not 405", **more)


@check(
    id="error_handling.head",
    component="error_handling",
    severity="low",
    requires="error_handling.reach.http",
    fix="Register HEAD with GET: app.route(path, methods=['GET', 'HEAD'])",
    fixes=_fixes_protocol.HEAD,
    effort="minutes",
    reference="https://www.rfc-editor.org/rfc/rfc9110#name-head",
    verify="curl -sI https://HOST/",
)
def head(http: HttpFacts) -> Finding:
    """HEAD answers as GET does.

    Load balancers and monitors ask with HEAD and take an instance out when it answers otherwise. The length is compared
    only where two GETs had the same one.
    """
    get, answer, again = http.root, http.head, seen(http, "root_again")
    more: dict[str, Any] = {"observed": f"HEAD {answer.status}, GET {get.status}", "expected": f"HEAD {get.status}"}
    if answer.status >= 500 and get.status < 500:
        return failed(f"HEAD causes {answer.status} where GET gets {get.status}", **more)
    if answer.status != get.status:
        return warn(f"HEAD gets {answer.status} where GET gets {get.status}", **more)
    lengths = {a.header("content-length") for a in (get, again) if a is not None} - {None}
    stated = answer.header("content-length")
    if stated is not None and len(lengths) == 1 and stated not in lengths:
        observed = f"Content-Length {stated[:20]} for HEAD, {str(lengths.pop())[:20]} for GET"
        return warn("HEAD states another length than GET", observed=observed, expected="the same length")
    return passed(f"HEAD gets {answer.status} like GET", **more)


@check(
    id="error_handling.encoding",
    component="error_handling",
    severity="medium",
    requires="error_handling.reach.http",
    fixes=_fixes_protocol.ENCODING,
    effort="minutes",
    reference="https://www.rfc-editor.org/rfc/rfc3986#section-2.1",
    verify="curl -si 'https://HOST/%E0%A4%A'",
    verdicts=("pass", "fail"),
)
def encoding(http: HttpFacts) -> Finding:
    """A path with broken percent-encoding is the client's error, and crashes nothing.

    `/%E0%A4%A` is neither complete nor valid UTF-8. Every status below 500 is an orderly answer to it.
    """
    if "encoding" in http.closed:
        return failed("the connection is closed without an answer", observed="closed", expected="400 or 404")
    answer = http.encoding
    more: dict[str, Any] = {"observed": described(answer), "expected": "400 or 404", "verify": answer.curl}
    if answer.status >= 500:
        return failed(f"broken percent-encoding causes {answer.status}", **more)
    return passed(f"broken percent-encoding is answered with {answer.status}", **more)


@check(
    id="error_handling.header_size",
    component="error_handling",
    severity="low",
    requires="error_handling.reach.http",
    fixes=_fixes_protocol.HEADER_SIZE,
    effort="minutes",
    reference="https://www.rfc-editor.org/rfc/rfc6585#section-5",
    verify="curl -si -H \"X-Big: $(head -c 20480 /dev/zero | tr '\\0' a)\" https://HOST/",
)
def header_size(http: HttpFacts) -> Finding:
    """A header of 20 kB is refused with 431.

    nginx answers 400 and some servers close the connection; both pass. Several servers accept 1 MB and more, which is
    memory that every stranger can take.
    """
    expected = "431 or 400"
    if "large_header" in http.closed:
        return passed("a 20 kB header closes the connection", observed="closed", expected=expected)
    answer = http.large_header
    more: dict[str, Any] = {"observed": str(answer.status), "expected": expected}
    if answer.status >= 500:
        return failed(f"a 20 kB header causes {answer.status}", **more)
    if answer.status in (400, 413, 414, 431, 494):
        return passed(f"a 20 kB header is refused with {answer.status}", **more)
    return warn(f"a 20 kB header is accepted (answer {answer.status})", **more)
