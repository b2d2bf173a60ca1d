"""OPTIONS, answers that ask to come back later, and pages that are the framework's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from readiness.api import Finding, check, failed, maybe, not_applicable, passed, untested, warn, worst
from readiness.facts.exchange import Exchange
from readiness.facts.http import HttpFacts
from readiness.facts.service import ServiceFacts

from . import _fixes, _fixes_protocol
from ._errors import errors


@check(
    id="error_handling.options",
    component="error_handling",
    severity="low",
    requires="error_handling.reach.http",
    fixes=_fixes_protocol.OPTIONS,
    effort="minutes",
    reference="https://www.rfc-editor.org/rfc/rfc9110#name-options",
    verify="curl -si -X OPTIONS https://HOST/",
)
def options(http: HttpFacts) -> Finding:
    """OPTIONS is answered with the methods that there are.

    It changes nothing, and browsers send it before requests to other origins. 405 with Allow says the same; 501 is what
    a server answers that knows no such method.
    """
    answer = http.options
    allow = answer.header("allow") or answer.header("access-control-allow-methods")
    observed = f"{answer.status}{f', {allow[:60]}' if allow else ' without Allow'}"
    more: dict[str, Any] = {"observed": observed, "expected": "2xx or 405, with Allow", "verify": answer.curl}
    if answer.status in (401, 403):
        return untested(f"OPTIONS asks for a credential ({answer.status}); set http.headers")
    if answer.status >= 500 and answer.status != 501:
        return failed(f"OPTIONS causes {answer.status}", **more)
    if (answer.ok or answer.status == 405) and allow:
        return passed(f"OPTIONS is answered with {answer.status} and {allow[:50]}", **more)
    if answer.ok or answer.status == 405:
        return warn(f"OPTIONS gets {answer.status} without Allow", **more)
    return warn(f"OPTIONS gets {answer.status}", **more)


_SECONDS = re.compile(r"\d{1,9}")
_RESETS = ("ratelimit-reset", "x-ratelimit-reset", "x-rate-limit-reset", "ratelimit")


@check(
    id="error_handling.retry_after",
    component="error_handling",
    severity="low",
    requires="error_handling.reach.http",
    fixes=_fixes.RETRY_AFTER,
    effort="minutes",
    reference="https://www.rfc-editor.org/rfc/rfc9110#name-retry-after",
    verify="curl -si https://HOST/ | grep -i retry-after",
    verdicts=("pass", "warn"),
)
def retry_after(http: HttpFacts, service: ServiceFacts | None) -> Finding:
    """Answers that are for now only say when to come back.

    Clients that are told wait; the others try again at once, and keep an overloaded service down. Judged are the 429
    and 503 that this audit got, those of health included; none is provoked. For 429 the reset of RateLimit will do.
    """
    seen = {label: answer for label, answer in http.answers() if answer.status in (429, 503)}
    health = maybe(lambda: service.health) if service is not None else None
    seen |= {each.path: each.exchange for each in health or () if each.exchange.status == 503}
    if not seen:
        _ = http.root  # what could not be asked answered neither
        if service is not None:
            service.reached()
        return not_applicable("no answer was 429 or 503", answers=sum(1 for _ in http.answers()))
    return worst({f"{label[:40]} ({a.status})": _later(a) for label, a in seen.items()}, what="answers")


def _later(answer: Exchange) -> Finding:
    value = answer.header("retry-after")
    expected = "Retry-After in seconds, or as a date"
    more: dict[str, Any] = {
        "observed": f"Retry-After: {value[:40]}" if value else "no Retry-After",
        "expected": expected,
    }
    if value is None:
        reset = next((name for name in _RESETS if answer.status == 429 and answer.header(name)), None)
        if reset:
            return passed(f"{reset} says when", **more | {"observed": f"{reset}: {(answer.header(reset) or '')[:40]}"})
        return warn("does not say when to come back", **more)
    if _SECONDS.fullmatch(value.strip()) or _is_date(value):
        return passed(f"says to come back: {value[:40]}", **more)
    return warn(f"Retry-After: {value[:30]} is neither seconds nor a date", **more)


def _is_date(value: str) -> bool:
    try:
        parsedate_to_datetime(value[:60])
    except (ValueError, TypeError, IndexError, OverflowError):
        return False
    return True


_PAGES: Mapping[str, re.Pattern[str]] = {
    "Express": re.compile(r"<pre>Cannot [A-Z]{3,10} /"),
    "nginx": re.compile(r"<center>(?:nginx|openresty)(?:/[\d.]+)?</center>"),
    "Apache": re.compile(r"<address>Apache[^<]{0,100}</address>"),
    "Tomcat": re.compile(r"<h3>Apache Tomcat/[\d.]+</h3>|<title>HTTP Status \d{3} "),
    "Spring Boot": re.compile(r"Whitelabel Error Page"),
    "Werkzeug": re.compile(r"If you entered the URL manually please check your spelling"),
    "Django": re.compile(r"<p>The requested resource was not found on this server\.</p>"),
    "IIS": re.compile(r"<h2>404 - File or directory not found\.</h2>|Microsoft-IIS/"),
    "Caddy": re.compile(r"\bcaddyserver\.com\b"),
    "Laravel": re.compile(r"<title>Not Found</title>[^\x00]{0,3000}fonts\.bunny\.net"),
    "Rails": re.compile(r"If you are the application owner check the logs"),
}


@check(
    id="error_handling.framework_page",
    component="error_handling",
    severity="low",
    requires="error_handling.reach.http",
    fixes=_fixes.FRAMEWORK_PAGE,
    effort="hours",
    reference="https://owasp.org/www-project-web-security-testing-guide/latest/"
    "4-Web_Application_Security_Testing/08-Testing_for_Error_Handling/01-Testing_For_Improper_Error_Handling",
    verify="curl -s https://HOST/no-such-path",
    verdicts=("pass", "warn"),
)
def framework_page(http: HttpFacts) -> Finding:
    """Error pages are the service's own, not those that its framework or proxy came with.

    A stock page tells users nothing and strangers which software to try known weaknesses on; it also shows that nobody
    decided what this error looks like.
    """
    _ = http.not_found  # where not even this answer was had, nothing is known of the errors
    seen = {label: answer for label, answer in errors(http).items() if answer.method != "HEAD"}
    if not seen:
        return untested("no error answer was seen; set http.writable, so that one can be caused")
    return worst({f"{label[:40]} ({a.status})": _stock(a) for label, a in seen.items()}, what="errors")


def _stock(answer: Exchange) -> Finding:
    body = answer.body[:16_384]
    expected = "a page or a message of the service's own"
    found = next((name for name, page in _PAGES.items() if page.search(body)), None)
    if found:
        return warn(f"is the stock page of {found}", observed=found, expected=expected, verify=answer.curl)
    return passed("no stock page", observed=f"{answer.status}, no stock page", expected=expected)
