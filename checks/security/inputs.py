"""What the service does with input that no honest client sends."""

from __future__ import annotations

import re
from typing import Any

from readiness.api import Finding, check, failed, passed, untested, warn, worst
from readiness.facts.exchange import Exchange
from readiness.facts.http import HttpFacts

from . import _fixes_input
from ._answers import label_of

_MARK = "<x7>"
_BETWEEN = r"(?:\\|'|\"|&#?\w{1,6};|%2[27]){0,6}"


@check(
    id="security.input.reflection",
    component="security",
    severity="high",
    requires="error_handling.reach.http",
    phase=1,
    item="Input Sanitization",
    fix="Let the template engine escape (autoescape on), and never build HTML from request values by hand",
    fixes=_fixes_input.REFLECTION,
    effort="hours",
    reference="https://cheatsheetseries.owasp.org/cheatsheets/Cross_Site_Scripting_Prevention_Cheat_Sheet.html",
    verify="curl -s \"https://HOST/?q=%27%22%3Cx7%3E\" | grep -o '.\\{20\\}<x7>'",
)
def reflection(http: HttpFacts) -> Finding:
    """A query value does not come back as markup.

    A marker with quotes and angle brackets is sent in a query value to the root, to an unknown path and to the first
    endpoint. Coming back raw in HTML it is a cross-site scripting hole; in JSON or text a browser would have to be made
    to render it. ASVS 5.0 1.2.1.
    """
    if not http.reflected:
        return untested("no marker was sent")
    return worst({label_of(entry.path): _reflected(http, entry.answer) for entry in http.reflected}, what="answers")


def _reflected(http: HttpFacts, answer: Exchange) -> Finding:
    canary = re.escape(http.canary)
    expected = "absent or encoded"
    kind = answer.media_type or "no type"
    rendered = answer.media_type in ("", "text/html", "application/xhtml+xml", "image/svg+xml")
    if re.search(canary + _BETWEEN + re.escape(_MARK), answer.body):
        observed = f"{_MARK} raw in {kind}"
        if rendered:
            return failed(
                "a query value comes back as markup", observed=observed, expected=expected, verify=answer.curl
            )
        guard = " (nosniff is set)" if (answer.header("x-content-type-options") or "").lower() == "nosniff" else ""
        message = f"a query value comes back unencoded in {kind}{guard}"
        return warn(message, observed=observed, expected=expected, verify=answer.curl)
    if rendered and _ends_attribute(http.canary, answer.body):
        observed = f"a raw quote in an attribute in {kind}"
        return failed("a query value ends an attribute", observed=observed, expected=expected, verify=answer.curl)
    seen = "encoded" if http.canary and http.canary in answer.body else "absent"
    return passed(f"the marker is {seen}", observed=seen, expected=expected)


def _ends_attribute(canary: str, body: str) -> bool:
    """Whether the marker's raw quote closes the attribute value in which it stands."""
    for found in re.finditer(re.escape(canary) + "'\"?", body):
        opened = re.search(r"=\s{0,5}([\"'])[^\"'<>]*\Z", body[max(0, found.start() - 300) : found.start()])
        if opened and opened[1] in found[0]:
            return True
    return False


@check(
    id="security.input.malformed",
    component="security",
    severity="high",
    requires="error_handling.reach.http",
    phase=1,
    item="Input Sanitization",
    fixes=_fixes_input.MALFORMED,
    effort="hours",
    reference="https://cheatsheetseries.owasp.org/cheatsheets/Input_Validation_Cheat_Sheet.html",
    verify="curl -si -X POST -H 'Content-Type: application/json' -d '{\"a\": ' https://HOST/WRITABLE",
)
def malformed_input(http: HttpFacts) -> Finding:
    """Bodies that cannot be valid are refused, and break nothing.

    Cut-off JSON and cut-off XML go to the paths of http.writable only. 4xx is right; a 2xx means that the handler ran
    without its input, and after XML that a form of another site could have sent it; 5xx means that input reaches code
    that does not expect it. ASVS 5.0 2.2.1, 4.1.1, 16.5.1.
    """
    findings: dict[str, Finding] = {}
    for path in http.writable:
        for kind, answer in (
            ("cut-off JSON", path.malformed),
            ("cut-off JSON by PATCH", path.patched),
            ("cut-off XML", path.wrong_type),
        ):
            if answer.status not in (401, 403):
                findings[f"{label_of(path.path)}, {kind}"] = _refusal(answer, kind)
    if not findings:
        if http.writable:
            return untested("every path of http.writable asks for a credential first; set http.headers")
        return untested("set http.writable to paths that may be sent bodies which cannot validate")
    return worst(findings, what="requests")


def _refusal(answer: Exchange, kind: str) -> Finding:
    more: dict[str, Any] = {"observed": f"{answer.status} for {kind}", "expected": "400, 415 or 422"}
    made = _made(answer)
    if answer.status >= 500:
        return failed(f"answers {answer.status}", verify=answer.curl, **more)
    if answer.ok and kind.startswith("cut-off JSON"):
        return failed(f"accepted with {answer.status}{made}", verify=answer.curl, **more)
    if answer.ok:
        return warn(f"ignores the wrong type and answers {answer.status}{made}", verify=answer.curl, **more)
    if 300 <= answer.status < 400:
        return warn(f"redirects with {answer.status} instead of refusing", verify=answer.curl, **more)
    return passed(f"refused with {answer.status}", **more)


def _made(answer: Exchange) -> str:
    """What has to be cleared away after a body that should have been refused."""
    if answer.status != 201:
        return ""
    location = answer.header("location")
    return f": something was really created; delete {label_of(location) if location else 'it'}"
