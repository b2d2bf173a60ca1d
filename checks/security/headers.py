"""Response headers that limit what a page may do and who may use it."""

from __future__ import annotations

from typing import Any

from readiness.api import Finding, check, failed, not_applicable, warn
from readiness.facts.http import HttpFacts, seen
from readiness.headers import caching, csp, framing, permissions, referrer, sniffing

from . import _fixes
from ._answers import judged, kinds, no_pages, pages


@check(
    id="security.headers.csp",
    component="security",
    severity="high",
    requires="error_handling.reach.http",
    phase=1,
    item="Security Headers",
    fix="Content-Security-Policy: default-src 'self'; script-src 'self'; object-src 'none'; base-uri 'self'; "
    "frame-ancestors 'none'",
    fixes=_fixes.CSP,
    effort="days",
    reference="https://www.w3.org/TR/CSP3/",
    verify="curl -sI https://HOST/ | grep -i content-security-policy",
)
def content_security_policy(http: HttpFacts) -> Finding:
    """The content security policy stops injected scripts.

    Judged is what applies in the end, not the text: script-src-elem and script-src-attr with their fallbacks, nonces,
    hashes and 'strict-dynamic' that switch 'unsafe-inline' and hosts off, wildcards by what they match, object-src, and
    base-uri where nonces are trusted. Several policies count together. A nonce that two answers share is no nonce.
    Report-only policies stop nothing. ASVS 5.0 3.4.3.
    """
    if (absent := no_pages(http)) is not None:
        return absent
    again = seen(http, "root_again")
    repeated = csp.nonces(http.root.headers) & csp.nonces(again.headers) if again else set()
    if repeated:
        more: dict[str, Any] = {"observed": "the same nonce in two answers", "expected": "a new nonce in every answer"}
        if caching.shared_hit(http.root.headers) or (again and caching.shared_hit(again.headers)):
            return warn("a shared cache repeats the page together with its nonce", **more)
        return failed("two answers carry the same nonce, so anybody can use it", **more)
    return judged(pages(http), lambda answer: csp.judge(answer.headers))


@check(
    id="security.headers.framing",
    component="security",
    severity="medium",
    requires="error_handling.reach.http",
    phase=1,
    item="Security Headers",
    fix="Content-Security-Policy: frame-ancestors 'none'",
    fixes=_fixes.FRAMING,
    effort="minutes",
    reference="https://html.spec.whatwg.org/multipage/document-lifecycle.html#the-x-frame-options-header",
    verify="curl -sI https://HOST/ | grep -iE 'x-frame-options|frame-ancestors'",
)
def frames(http: HttpFacts) -> Finding:
    """Other sites cannot put the pages into a frame.

    A framed page can be made to receive clicks that its user meant for something else. frame-ancestors decides where it
    is sent, X-Frame-Options where it is not. ASVS 5.0 3.4.6.
    """
    if (absent := no_pages(http)) is not None:
        return absent
    return judged(pages(http), lambda answer: framing.judge(answer.headers))


@check(
    id="security.headers.mime_sniffing",
    component="security",
    severity="medium",
    requires="error_handling.reach.http",
    phase=1,
    item="Security Headers",
    fix="X-Content-Type-Options: nosniff",
    fixes=_fixes.MIME_SNIFFING,
    effort="minutes",
    reference="https://fetch.spec.whatwg.org/#x-content-type-options-header",
    verify="curl -sI https://HOST/ | grep -i x-content-type-options",
)
def mime_sniffing(http: HttpFacts) -> Finding:
    """Browsers take answers for what they declare to be (X-Content-Type-Options: nosniff).

    Without it an upload or a JSON answer can be run as a script. It matters on every kind of answer, so pages,
    endpoints, assets and errors are looked at. ASVS 5.0 3.4.4.
    """
    answers = kinds(http)
    if not answers:
        return not_applicable("every answer is a redirect", root=str(http.root.status))
    return judged(answers, lambda answer: sniffing.judge(answer.headers))


@check(
    id="security.headers.referrer",
    component="security",
    severity="low",
    requires="error_handling.reach.http",
    phase=1,
    item="Security Headers",
    fix="Referrer-Policy: strict-origin-when-cross-origin",
    fixes=_fixes.REFERRER,
    effort="minutes",
    reference="https://www.w3.org/TR/referrer-policy/",
    verify="curl -sI https://HOST/ | grep -i referrer-policy",
)
def referrer_policy(http: HttpFacts) -> Finding:
    """Other sites do not learn the paths and queries from which their visitors come.

    Of several values browsers use the last that they know. ASVS 5.0 3.4.5.
    """
    if (absent := no_pages(http)) is not None:
        return absent
    return judged(pages(http), lambda answer: referrer.judge(answer.headers))


@check(
    id="security.headers.permissions",
    component="security",
    severity="low",
    requires="error_handling.reach.http",
    phase=1,
    item="Security Headers",
    fix="Permissions-Policy: camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    fixes=_fixes.PERMISSIONS,
    effort="minutes",
    reference="https://www.w3.org/TR/permissions-policy/",
    verify="curl -sI https://HOST/ | grep -i permissions-policy",
    verdicts=("pass", "warn"),
)
def permissions_policy(http: HttpFacts) -> Finding:
    """Pages and what they embed cannot use device features that the site does not need.

    A header that breaks the syntax of structured fields is ignored as a whole, so the syntax is judged first. The
    specification is a working draft: nothing here is graver than a warning.
    """
    if (absent := no_pages(http)) is not None:
        return absent
    return judged(pages(http), lambda answer: permissions.judge(answer.headers))
