"""Who gets in, how often, and what answers tell: authentication, rate limits and version numbers."""

from __future__ import annotations

from typing import Any

from readiness.api import Finding, check, failed, maybe, passed, untested, warn, worst
from readiness.facts.hardening import HardeningFacts
from readiness.facts.http import Attempt, HttpFacts, ProtectedPath, seen
from readiness.headers import disclosure, rate_limit

from . import _fixes, _fixes_access
from ._answers import everything, finding, label_of

_WITH = {
    "anonymous": "an anonymous caller",
    "garbage": "a made-up token",
    "unsigned": "an unsigned JWT (alg none)",
    "expired": "an expired JWT of a foreign key",
    "empty_password": "an empty password",
    "tampered": "a JWT with a changed signature",
}
_SPELLED = {"slash": "with a slash behind it", "semicolon": "with ;rdy behind it", "double": "with // in front"}
_EXPECTED = "401 or 403"


@check(
    id="security.auth.enforced",
    component="security",
    severity="critical",
    requires="error_handling.reach.http",
    fixes=_fixes_access.AUTH,
    effort="hours",
    reference="https://www.rfc-editor.org/rfc/rfc8725",
    verify="curl -si https://HOST/PROTECTED",
)
def authentication(http: HttpFacts) -> Finding:
    """Protected paths refuse callers without a valid credential.

    Every path of http.protected is asked without one; the first also with a token that is none, a JWT whose algorithm
    is "none" (RFC 8725), an expired one, an empty password, the configured JWT with a changed signature, and under
    other spellings of the path, which a filter in front may overlook. A page that asks for the password counts as a
    refusal for browsers. ASVS 5.0 8.2.1, 8.3.1, 9.1.1, 9.1.2, 9.2.1.
    """
    if not http.protected:
        return untested("set http.protected to paths that must refuse strangers")
    findings: dict[str, Finding] = {}
    for path in http.protected:
        for name, attempt in path.attempts():
            label = label_of(path.path)
            findings[label] = _graver(findings.get(label), _attempt(http, path, name, attempt))
        for name, attempt in path.spellings():
            if (opened := _spelling(path, name, attempt)) is not None:
                findings[label] = _graver(findings[label], opened)
    return worst(findings, what="protected paths")


def _graver(known: Finding | None, other: Finding) -> Finding:
    rank = ("untested", "pass", "warn", "fail")
    return other if known is None or rank.index(other.status) > rank.index(known.status) else known


def _attempt(http: HttpFacts, path: ProtectedPath, name: str, attempt: Attempt) -> Finding:
    answer, who = attempt.answer, _WITH[name]
    status = answer.status
    more: dict[str, Any] = {"observed": f"{status} for {who}", "expected": _EXPECTED}
    if status in (401, 403) or 300 <= status < 400:
        return passed(f"answers {status} to {who}", **more)
    if status == 400 and name != "anonymous":
        return passed(f"refuses {who} with 400", **more)
    if status >= 500:
        return warn(f"answers {status} to {who}: the refusal itself breaks", verify=answer.curl, **more)
    if answer.ok:
        if attempt.login_form:
            if http.profile == "web":
                return passed(f"shows {who} the login page", **more)
            return warn(f"answers {who} with {status} and a login page", verify=answer.curl, **more)
        if attempt.like_unknown:
            return untested(f"{label_of(path.path)} answers what unknown paths get; name the path of its data")
        same = ", with the same data as the authorised one" if maybe(lambda: attempt.same_body) else ""
        return failed(f"answers {status} to {who}{same}", verify=answer.curl, **more)
    authorised = seen(path, "authorised")
    if status == 404 and authorised is not None and authorised.ok:
        return passed(f"hides itself from {who} with 404", **more)
    return untested(
        f"{label_of(path.path)} answers {status} to {who}, which proves nothing; name a path that GET finds"
    )


def _spelling(path: ProtectedPath, name: str, attempt: Attempt) -> Finding | None:
    """A finding where another spelling opens what the path itself refuses; else it proves nothing."""
    answer = attempt.answer
    if not answer.ok or attempt.login_form or attempt.like_unknown:
        return None
    same = maybe(lambda: attempt.same_body)
    # Without an authorised answer to compare with, only data counts: a page may be anything.
    if same is False or (same is None and answer.media_type in ("", "text/html")):
        return None
    observed = f"{answer.status} {_SPELLED[name]}"
    return failed(
        f"opens to an anonymous caller {_SPELLED[name]}", observed=observed, expected=_EXPECTED, verify=answer.curl
    )


@check(
    id="security.rate_limit",
    component="security",
    severity="medium",
    requires="error_handling.reach.http",
    fixes=_fixes.RATE_LIMIT,
    effort="hours",
    reference="https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/",
    verify="curl -sI https://HOST/api | grep -iE 'ratelimit|retry-after'",
    verdicts=("pass", "warn"),
)
def rate_limits(http: HttpFacts, hardening: HardeningFacts | None) -> Finding:
    """Callers are told of a rate limit, so that one of them cannot use the service up.

    Every answer is searched for the fields of all drafts of the RateLimit headers, for X-RateLimit-*, 429 and
    Retry-After. Where load.allow is set and the limit is low or unknown, at most 30 requests in quick succession try
    it. A limit that is neither advertised nor reached cannot be seen, so "not seen" is a warning, never a failure.
    ASVS 5.0 2.4.1, 6.3.1; OWASP API4:2023; RFC 6585.
    """
    answers = everything(http)
    expected = "RateLimit fields, X-RateLimit-* or 429 with Retry-After"
    burst = hardening.burst if hardening is not None else None
    refusal = seen(burst, "refusal") if burst is not None else None
    if burst is not None and refusal is not None:
        observed = f"{refusal.status} at request {len(burst.statuses)}"
        if refusal.status == 503:
            return warn("requests over the limit get 503 instead of 429", observed=observed, expected=expected)
        if refusal.header("retry-after") is None:
            return warn("429 without Retry-After", observed=observed, expected=expected)
        return passed(f"refuses with 429 at request {len(burst.statuses)}", observed=observed, expected=expected)
    for label, answer in answers:
        for limit in rate_limit.find(answer.headers, answer.status):
            numbers = f"{limit.limit} requests" if limit.limit is not None else limit.form
            return passed(f"advertised on {label_of(label)}: {numbers}", observed=limit.text, expected=expected)
    if burst is not None and burst.statuses:
        sent = len(burst.statuses)
        message = f"no rate limit seen in {sent} requests in quick succession"
        return warn(message, observed=f"{sent} answers, none refused", expected=expected)
    message = f"no rate limit seen in {len(answers)} answers; one without headers would not show"
    return warn(message, observed=f"no such field in {len(answers)} answers", expected=expected)


@check(
    id="security.version_leak",
    component="security",
    severity="low",
    requires="error_handling.reach.http",
    fixes=_fixes_access.VERSION_LEAK,
    effort="minutes",
    reference="https://owasp.org/www-project-secure-headers/",
    verify="curl -sI https://HOST/ | grep -iE 'server|powered'",
    verdicts=("pass", "warn"),
)
def version_leak(http: HttpFacts) -> Finding:
    """Neither headers nor error pages tell which version of which software answers.

    A version number selects the known flaws to try. The product's name alone is no finding. All answers are looked at,
    because mounted applications and error handlers send headers of their own. ASVS 5.0 13.4.6.
    """
    findings = {
        label_of(label): finding(disclosure.judge(answer.headers, answer.body if answer.status >= 400 else ""), answer)
        for label, answer in everything(http)
    }
    return worst(findings, what="answers")
