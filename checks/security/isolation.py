"""Headers that part a page from other sites, headers that nobody needs any more, and what pages load from elsewhere."""

from __future__ import annotations

from typing import Any

from readiness.api import Finding, check, not_applicable, worst
from readiness.facts.exchange import Exchange
from readiness.facts.http import HttpFacts
from readiness.headers import Verdict, deprecated, family, gravest, integrity, isolation, media_type

from . import _fixes
from ._answers import authorised, everything, finding, judged, kinds, label_of, no_pages, pages


@check(
    id="security.headers.isolation",
    component="security",
    severity="low",
    requires="error_handling.reach.http",
    phase=1,
    item="Security Headers",
    fix="Cross-Origin-Opener-Policy: same-origin\nCross-Origin-Resource-Policy: same-origin",
    fixes=_fixes.ISOLATION,
    effort="minutes",
    reference="https://html.spec.whatwg.org/multipage/browsers.html#cross-origin-opener-policies",
    verify="curl -sI https://HOST/ | grep -i cross-origin-",
    verdicts=("pass", "warn"),
)
def cross_origin_isolation(http: HttpFacts) -> Finding:
    """Other sites keep no handle on the pages and embed no user's data (COOP, COEP, CORP).

    Pages need Cross-Origin-Opener-Policy, answers to a credential Cross-Origin-Resource-Policy. An embedder policy is
    needed by few pages only, and gains nothing without the opener policy same-origin. ASVS 5.0 3.4.8 and 3.5.8.
    """
    personal = authorised(http)
    shown = {} if no_pages(http) is not None else pages(http)
    if not shown and not personal:
        return not_applicable("no HTML page, and no authorised answer that a site could embed", profile=http.profile)
    findings = {
        label: finding(
            gravest([isolation.judge_opener(answer.headers), isolation.judge_embedder(answer.headers)]), answer
        )
        for label, answer in shown.items()
    }
    for label, answer in personal.items():
        findings[label] = finding(isolation.judge_resource(answer.headers, private=True), answer)
    return worst(findings, what="answers")


@check(
    id="security.headers.media_type",
    component="security",
    severity="medium",
    requires="error_handling.reach.http",
    fix="Content-Type: text/html; charset=utf-8",
    fixes=_fixes.MEDIA_TYPE,
    effort="minutes",
    reference="https://www.rfc-editor.org/rfc/rfc9110#name-content-type",
    verify="curl -sI https://HOST/ | grep -i content-type",
)
def declared_types(http: HttpFacts) -> Finding:
    """Every answer declares the type that its body has, and HTML its encoding.

    JSON declared as HTML runs the markup inside it; HTML without a charset can be read in an encoding of the attacker's
    choice. ASVS 5.0 4.1.1.
    """
    answers = {label: answer for label, answer in kinds(http).items() if answer.size or answer.body}
    if not answers:
        return not_applicable("no answer has a body", root_status=http.root.status)
    return judged(answers, lambda a: media_type.judge(a.headers, status=a.status, body=a.body or " "))


@check(
    id="security.headers.xss_filter",
    component="security",
    severity="low",
    requires="error_handling.reach.http",
    fix="X-XSS-Protection: 0",
    fixes=_fixes.XSS_FILTER,
    effort="minutes",
    reference="https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html#x-xss-protection",
    verify="curl -sI https://HOST/ | grep -i x-xss-protection",
    verdicts=("pass", "warn"),
)
def xss_filter(http: HttpFacts) -> Finding:
    """The retired cross-site scripting filter is not switched on (X-XSS-Protection absent or 0).

    Older guides ask for "1; mode=block". The filter that it turns on was removed from browsers because it could be made
    to disable chosen scripts of a safe page and to leak its content; OWASP, helmet, Rails and Spring now say 0 or
    nothing. What it was meant for, a content security policy does.
    """
    answers = kinds(http) or {"root": http.root}
    return judged(answers, lambda answer: deprecated.judge_xss_filter(answer.headers))


@check(
    id="security.headers.deprecated",
    component="security",
    severity="info",
    requires="error_handling.reach.http",
    fix="Remove Public-Key-Pins, Expect-CT, Feature-Policy, Pragma and X-WebKit-CSP from the configuration",
    effort="minutes",
    reference="https://owasp.org/www-project-secure-headers/#deprecated",
    verify="curl -sI https://HOST/ | grep -iE 'public-key-pins|expect-ct|feature-policy|pragma'",
    verdicts=("pass", "warn"),
)
def deprecated_headers(http: HttpFacts) -> Finding:
    """No header is sent that browsers no longer heed.

    They cost bytes and give a false sense of protection. They do no harm, so this is for information only.
    """
    return judged(dict(everything(http)), lambda answer: gravest(deprecated.judge_others(answer.headers)))


@check(
    id="security.subresource_integrity",
    component="security",
    severity="low",
    requires="error_handling.reach.http",
    fix='<script src="https://cdn.example.com/lib.js" integrity="sha384-..." crossorigin="anonymous"></script>',
    effort="hours",
    reference="https://www.w3.org/TR/SRI/",
    verify="curl -s https://HOST/ | grep -oE '<(script|link)[^>]+https?://[^>]+>'",
)
def subresource_integrity(http: HttpFacts) -> Finding:
    """Scripts and style sheets of other hosts are pinned to their content (integrity).

    Whoever controls that host otherwise controls the page. Origins are compared with scheme and port, and an integrity
    value counts only with a digest that browsers know. ASVS 5.0 3.6.1.
    """
    if (absent := no_pages(http)) is not None:
        return absent
    found = {label_of(label): (_rule(answer), answer) for label, answer in pages(http).items()}
    loading: dict[str, Any] = {k: finding(v, a) for k, (v, a) in found.items() if v.status != "not_applicable"}
    if not loading:
        return not_applicable("no page loads a script or a style sheet by address", pages=len(found))
    return worst(loading, what="pages")


def _rule(answer: Exchange) -> Verdict:
    return family(integrity.judge_all(answer.headers, url=answer.url, body=answer.body), "sri")
