"""What leaves the site with other sites' requests, with caches and with scripts: cookies, CORS, cached answers."""

from __future__ import annotations

from urllib.parse import urlsplit

from readiness.api import Finding, check, not_applicable, untested, worst
from readiness.facts.exchange import Exchange
from readiness.facts.http import HttpFacts
from readiness.headers import caching, cookies, cors

from . import _fixes
from ._answers import everything, finding, label_of


@check(
    id="security.cookies",
    component="security",
    severity="high",
    requires="error_handling.reach.http",
    fix="Set-Cookie: __Host-session=...; Path=/; Secure; HttpOnly; SameSite=Lax",
    fixes=_fixes.COOKIES,
    effort="hours",
    reference="https://datatracker.ietf.org/doc/draft-ietf-httpbis-rfc6265bis/",
    verify="curl -si https://HOST/ | grep -i set-cookie",
)
def cookie_attributes(http: HttpFacts) -> Finding:
    """Session cookies are out of reach for scripts, plain http and other sites.

    Judged are Secure, HttpOnly, SameSite, Domain, size, and the rules of the __Host- and __Secure- prefixes, which make
    a browser drop the cookie silently when broken. Cookies of load balancers and shields are left out, deletions too.
    ASVS 5.0 3.3.1 to 3.3.5.
    """
    findings: dict[str, Finding] = {}
    answers = everything(http)
    for _, answer in answers:
        host = urlsplit(answer.url).hostname or ""
        for cookie in cookies.cookies(answer.headers):
            if cookies.INFRASTRUCTURE.match(cookie.name) or cookie.deletes(http.checked_at):
                continue
            verdict = cookies.judge(cookie, https=answer.url.startswith("https://"), host=host)
            findings.setdefault(label_of(cookie.name) or "(no name)", finding(verdict, answer))
    if not findings:
        return not_applicable(
            f"none of {len(answers)} answers set a cookie of the application's own", answers=len(answers)
        )
    return worst(findings, what="cookies")


@check(
    id="security.cors",
    component="security",
    severity="high",
    requires="error_handling.reach.http",
    fixes=_fixes.CORS,
    effort="hours",
    reference="https://fetch.spec.whatwg.org/#http-cors-protocol",
    verify="curl -si -H 'Origin: https://rdy.invalid' https://HOST/ | grep -i access-control",
)
def cross_origin(http: HttpFacts) -> Finding:
    """Foreign origins cannot read what a user's credentials show.

    Asked with six origins: an invented one, `null` (that of every sandboxed frame), one that begins and one that ends
    with the service's own host, the own host over http, and its own. Nothing granted is a pass, and so is `*` without
    credentials. ASVS 5.0 3.4.2.
    """
    findings: dict[str, Finding] = {}
    for asked in http.cors:
        answer = asked.answer
        how = "preflight" if asked.preflight else asked.origin.removeprefix("https://")[:24]
        if asked.own:  # a grant to itself is none
            continue
        # The own host over http can be written to by whoever sits on the line, but it is not a stranger's.
        own_host = asked.origin.startswith("http://")
        verdict = cors.judge(answer.headers, asked.origin)
        findings[f"{label_of(asked.path)} ({how})"] = finding(verdict, answer, softened=own_host)
    if not findings:
        return untested("no request with a foreign origin was sent")
    return worst(findings, what="requests")


@check(
    id="security.cache_control",
    component="security",
    severity="high",
    requires="error_handling.reach.http",
    fix="Cache-Control: no-store",
    fixes=_fixes.CACHE_CONTROL,
    effort="minutes",
    reference="https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.5",
    verify="curl -si -H 'Authorization: Bearer TOKEN' https://HOST/PROTECTED | grep -i cache-control",
)
def private_answers(http: HttpFacts) -> Finding:
    """Caches keep no answer that belongs to one user.

    Looked at are authorised answers of protected paths, and answers that set a session cookie. ASVS 5.0 14.2.2 and
    14.3.2.
    """
    personal: dict[str, Exchange] = {}
    for path in http.protected:
        if http.credentials and path.authorised.ok:
            personal[label_of(path.path)] = path.authorised
    for label, answer in everything(http):
        own = (c for c in cookies.cookies(answer.headers) if not cookies.INFRASTRUCTURE.match(c.name))
        if answer.ok and any(cookie.session_like and not cookie.deletes(http.checked_at) for cookie in own):
            personal.setdefault(label_of(label), answer)
    if not personal:
        if http.protected and http.credentials:
            return untested("no authorised answer: http.headers were refused on every path of http.protected")
        return untested("set http.headers and http.protected, so that an authorised answer can be seen")
    return worst({k: finding(caching.judge_private(a.headers), a) for k, a in personal.items()}, what="answers")
