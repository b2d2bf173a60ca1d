"""Who gets in, how often, and what lies open: authentication, rate limits, files and version numbers."""

from __future__ import annotations

from typing import Any

from readiness.api import Finding, check, failed, maybe, passed, untested, warn, worst
from readiness.facts.http import Attempt, HttpFacts, ProtectedPath, seen
from readiness.headers import disclosure, rate_limit

from ._answers import everything, finding, label_of

_WITH = {"anonymous": "an anonymous caller", "garbage": "a made-up token", "unsigned": "an unsigned JWT (alg none)"}
_EXPECTED = "401 or 403"


@check(
    id="security.auth.enforced",
    component="security",
    severity="critical",
    requires="error_handling.reach.http",
    fix="app.use('/api/orders', requireAuth)  // verify the signature with a fixed algorithm: {algorithms: ['RS256']}",
    effort="hours",
    reference="https://www.rfc-editor.org/rfc/rfc8725",
    verify="curl -si https://HOST/PROTECTED",
)
def authentication(http: HttpFacts) -> Finding:
    """Protected paths refuse callers without a valid credential.

    Every path of http.protected is asked without one; the first also with a token that is none and with a JWT whose
    algorithm is "none" (RFC 8725). A page that asks for the password counts as a refusal for browsers. ASVS 5.0 8.2.1,
    8.3.1, 9.1.1, 9.1.2.
    """
    if not http.protected:
        return untested("set http.protected to paths that must refuse strangers")
    findings: dict[str, Finding] = {}
    for path in http.protected:
        for name, attempt in path.attempts():
            label = label_of(path.path)
            findings[label] = _graver(findings.get(label), _attempt(http, path, name, attempt))
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


@check(
    id="security.rate_limit",
    component="security",
    severity="medium",
    requires="error_handling.reach.http",
    fix="app.use(rateLimit({windowMs: 60_000, limit: 300, standardHeaders: 'draft-8', legacyHeaders: false}))",
    effort="hours",
    reference="https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/",
    verify="curl -sI https://HOST/api | grep -iE 'ratelimit|retry-after'",
    verdicts=("pass", "warn"),
)
def rate_limits(http: HttpFacts) -> Finding:
    """Callers are told of a rate limit, so that one of them cannot use the service up.

    Passive: every answer is searched for the fields of all drafts of the RateLimit headers, for X-RateLimit-*, 429 and
    Retry-After. A limit that is not advertised cannot be seen this way, so "not seen" is a warning, never a failure.
    ASVS 5.0 2.4.1, 6.3.1; OWASP API4:2023.
    """
    answers = everything(http)
    expected = "RateLimit fields, X-RateLimit-* or 429"
    for label, answer in answers:
        for limit in rate_limit.find(answer.headers, answer.status):
            numbers = f"{limit.limit} requests" if limit.limit is not None else limit.form
            return passed(f"advertised on {label_of(label)}: {numbers}", observed=limit.text, expected=expected)
    message = f"no rate limit seen in {len(answers)} answers; one without headers would not show"
    return warn(message, observed=f"no such field in {len(answers)} answers", expected=expected)


@check(
    id="security.exposed_files",
    component="security",
    severity="critical",
    fix="location ~ /\\.(?!well-known) { deny all; }  # and take the file out of the document root",
    effort="minutes",
    reference="https://owasp.org/www-project-web-security-testing-guide/stable/4-Web_Application_Security_Testing/"
    "02-Configuration_and_Deployment_Management_Testing/04-Review_Old_Backup_and_Unreferenced_Files_for_Sensitive_Information",
    verify="curl -si -r 0-1023 https://HOST/.git/HEAD",
    verdicts=("pass", "fail"),
)
def exposed_files(http: HttpFacts) -> Finding:
    """Repositories, environment files and dumps are not served.

    A finding needs 200, a type other than HTML, content that begins as such a file does, and an answer unlike the one
    for unknown paths, so that a single-page application that answers everything is not accused. The content itself is
    neither kept nor shown. ASVS 5.0 13.4.1, 13.4.7.
    """
    if not http.exposed:
        return untested("no such file was asked for")
    findings: dict[str, Finding] = {}
    for entry in http.exposed:
        served = entry.status in (200, 206) and entry.media_type != "text/html"
        observed = f"{entry.status} {entry.media_type}".strip()
        more: dict[str, Any] = {"observed": observed, "expected": "404 or 403"}
        if served and entry.signature and not entry.like_unknown:
            findings[entry.path] = failed("served to anybody", **more)
        else:
            findings[entry.path] = passed("not served", **more)
    return worst(findings, what="files")


@check(
    id="security.version_leak",
    component="security",
    severity="low",
    requires="error_handling.reach.http",
    fix="server_tokens off;  # nginx. Express: app.disable('x-powered-by')",
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
