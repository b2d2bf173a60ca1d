"""What lies open, and what values from outside may do: files, consoles, interfaces, operators, quotes, TRACE."""

from __future__ import annotations

import datetime as dt
from email.utils import parsedate_to_datetime
from typing import Any

from readiness.api import Finding, check, failed, maybe, not_applicable, passed, untested, warn, worst
from readiness.facts.hardening import ExposedPath, HardeningFacts, Injected, Reply
from readiness.facts.http import HttpFacts, seen

from . import _fixes_access, _fixes_input
from ._answers import everything, label_of


def _open(entry: ExposedPath) -> bool:
    """A status alone proves nothing: single-page applications answer 200 to everything."""
    served = entry.status in (200, 206) and (entry.page or entry.media_type != "text/html")
    return served and entry.signature and not entry.like_unknown


def _listed(hardening: HardeningFacts, kind: str, *, graver: bool) -> Finding:
    findings: dict[str, Finding] = {}
    for entry in hardening.exposed:
        if entry.kind != kind:
            continue
        more: dict[str, Any] = {
            "observed": f"{entry.status} {entry.media_type}".strip(),
            "expected": "404 or 403",
        }
        if _open(entry):
            state = failed if graver else warn
            findings[entry.path] = state("served to anybody", verify=f"curl -si https://HOST{entry.path}", **more)
        else:
            findings[entry.path] = passed("not served", **more)
    return worst(findings, what="paths") if findings else untested("no such path was asked for")


@check(
    id="security.exposed_files",
    component="security",
    severity="critical",
    fixes=_fixes_access.EXPOSED_FILES,
    effort="minutes",
    reference="https://owasp.org/www-project-web-security-testing-guide/stable/4-Web_Application_Security_Testing/"
    "02-Configuration_and_Deployment_Management_Testing/04-Review_Old_Backup_and_Unreferenced_Files_for_Sensitive_Information",
    verify="curl -si -r 0-1023 https://HOST/.git/HEAD",
    verdicts=("pass", "fail"),
)
def exposed_files(hardening: HardeningFacts) -> Finding:
    """Repositories, environment files, keys and dumps are not served.

    A finding needs 200, a type other than HTML, content that begins as such a file does, and an answer unlike the one
    for unknown paths, so that a single-page application that answers everything is not accused. Looked for at the
    origin, and below the path of http.url where it has one. The content itself is neither kept nor shown. ASVS 5.0
    13.4.1, 13.4.7.
    """
    return _listed(hardening, "secret", graver=True)


@check(
    id="security.debug_consoles",
    component="security",
    severity="high",
    fix="management.endpoints.web.exposure.include=health  # Spring; elsewhere mount debug pages on an internal port",
    fixes=_fixes_access.DEBUG_CONSOLES,
    effort="minutes",
    reference="https://owasp.org/www-project-web-security-testing-guide/stable/4-Web_Application_Security_Testing/"
    "02-Configuration_and_Deployment_Management_Testing/05-Enumerate_Infrastructure_and_Application_Admin_Interfaces",
    verify="curl -si https://HOST/actuator",
    verdicts=("pass", "fail"),
)
def debug_consoles(hardening: HardeningFacts) -> Finding:
    """Consoles, profilers and status pages are not open to anybody.

    They show memory, routes and settings, and some run code. Judged as the exposed files are: by content, and against
    the answer to unknown paths. ASVS 5.0 13.4.2, 13.4.5.
    """
    return _listed(hardening, "debug", graver=True)


@check(
    id="security.public_interfaces",
    component="security",
    severity="low",
    fixes=_fixes_access.PUBLIC_INTERFACES,
    effort="minutes",
    reference="https://owasp.org/www-project-api-security/",
    verify="curl -si https://HOST/openapi.json",
    verdicts=("pass", "warn"),
)
def public_interfaces(http: HttpFacts, hardening: HardeningFacts) -> Finding:
    """API descriptions, GraphQL introspection and metrics are published on purpose only.

    Frameworks publish them by default. They may be meant, so this is a warning; metrics count on public addresses only,
    because a scraper must reach them in the network of the service. ASVS 5.0 4.3.2, 13.4.5.
    """
    internal = http.profile == "internal"
    if internal:
        return not_applicable("an internal service", profile=http.profile)
    kept = [entry for entry in hardening.exposed if http.network == "public" or not entry.path.endswith("/metrics")]
    return _listed(hardening.model_copy(update={"exposed": tuple(kept)}), "interface", graver=False)


@check(
    id="security.input.nosql_operators",
    component="security",
    severity="high",
    requires="error_handling.reach.http",
    phase=1,
    item="Input Sanitization",
    fixes=_fixes_input.NOSQL_OPERATORS,
    effort="hours",
    reference="https://owasp.org/www-project-web-security-testing-guide/stable/4-Web_Application_Security_Testing/"
    "07-Input_Validation_Testing/05.6-Testing_for_NoSQL_Injection",
    verify="curl -s 'https://HOST/api/search?q[$ne]=x'",
)
def nosql_operators(hardening: HardeningFacts) -> Finding:
    """Query values cannot carry database operators.

    Each endpoint is asked for the same value under `[$eq]` and under `[$ne]`, twice in turn. Only an application that
    hands the operator on to its database finds more for the second; one that ignores the parameter, or reads it as
    text, answers both alike. ASVS 5.0 1.2.4, 2.2.1.
    """
    if not hardening.injected:
        return untested("set http.endpoints to paths whose query values are looked up")
    return worst({label_of(asked.path): _operators(asked) for asked in hardening.injected}, what="endpoints")


def _operators(asked: Injected) -> Finding:
    plain, equal, unequal = asked.plain, asked.equal, asked.unequal
    found = [(_rows(e), _rows(u)) for e, u in zip(equal, unequal, strict=True)]
    more: dict[str, Any] = {
        "observed": "; ".join(
            f"$eq {e.status} ({_count(rows[0])}), $ne {u.status} ({_count(rows[1])})"
            for e, u, rows in zip(equal, unequal, found, strict=True)
        ),
        "expected": "400 or 422, or the same for both",
    }
    verify = f"curl -s -g '{asked.url}'"
    good = all(reply.status < 300 for reply in (*equal, *unequal))
    if good and all(e is not None and u is not None and u > e for e, u in found):
        return failed("a query value works as a database operator", verify=verify, **more)
    if all(r.status >= 500 for r in unequal) and all(r.status < 500 for r in plain):
        return warn(f"an operator in a query value causes {unequal[0].status}", verify=verify, **more)
    return passed("operators in query values change nothing", **more)


def _rows(reply: Reply) -> int | None:
    return maybe(lambda: reply.rows)


def _count(rows: int | None) -> str:
    return "no list" if rows is None else f"{rows} rows"


@check(
    id="security.input.sql_quotes",
    component="security",
    severity="high",
    requires="error_handling.reach.http",
    phase=1,
    item="Input Sanitization",
    fixes=_fixes_input.SQL_QUOTES,
    effort="hours",
    reference="https://cheatsheetseries.owasp.org/cheatsheets/SQL_Injection_Prevention_Cheat_Sheet.html",
    verify='curl -s "https://HOST/api/search?q=x\'"',
)
def sql_quotes(hardening: HardeningFacts) -> Finding:
    """A quote in a query value does not reach the text of a database statement.

    Asked with one quote and with two, twice in turn. A database's error message, or a failure that the second quote
    repairs, shows that the value becomes part of the statement. A refusal by a filter in front is a pass. ASVS 5.0
    1.2.4.
    """
    if not hardening.injected:
        return untested("set http.endpoints to paths whose query values are looked up")
    return worst({label_of(asked.path): _quotes(asked) for asked in hardening.injected}, what="endpoints")


def _quotes(asked: Injected) -> Finding:
    plain, quoted, doubled = asked.plain, asked.quoted, asked.doubled
    more: dict[str, Any] = {
        "observed": f"{_statuses(plain)} without, {_statuses(quoted)} with ', {_statuses(doubled)} with ''",
        "expected": "the same answer, or 400",
    }
    verify = f'curl -s "{asked.quoted_url}"'
    errors = {reply.database_error for reply in quoted} - {reply.database_error for reply in plain} - {""}
    if errors:
        return failed(f"a quote brings up an error message of {sorted(errors)[0]}", verify=verify, **more)
    breaks = all(r.status >= 500 for r in quoted) and all(r.status < 500 for r in plain)
    if breaks and all(reply.status < 400 for reply in doubled):
        return failed(f"a quote causes {quoted[0].status}, and a second one repairs it", verify=verify, **more)
    if breaks:
        return warn(f"a quote causes {quoted[0].status}", verify=verify, **more)
    note = ", refused by a filter" if all(reply.status == 403 for reply in quoted) else ""
    return passed(f"quotes in query values change nothing{note}", **more)


def _statuses(replies: tuple[Reply, ...]) -> str:
    return "/".join(str(status) for status in sorted({reply.status for reply in replies}))


@check(
    id="security.trace_method",
    component="security",
    severity="medium",
    requires="error_handling.reach.http",
    fix="TraceEnable off  # Apache; nginx and Node refuse TRACE by default",
    fixes=_fixes_access.TRACE,
    effort="minutes",
    reference="https://www.rfc-editor.org/rfc/rfc9110#name-trace",
    verify="curl -si -X TRACE -H 'X-Canary: 1' https://HOST/WRITABLE",
)
def trace_method(http: HttpFacts, hardening: HardeningFacts) -> Finding:
    """TRACE does not echo requests, and is not offered.

    An echo shows headers that a proxy added. A 200 alone is no echo: some frameworks answer every method with the page.
    TRACE is sent to the first path of http.writable only; Allow headers of all answers are read. ASVS 5.0 4.1.4,
    13.4.4.
    """
    expected = "405, 501 or 404, and no TRACE in Allow"
    for traced in hardening.traced:
        answer = traced.answer
        if answer.status == 200 and traced.echoed:
            return failed("TRACE echoes the request", observed="200 with our header", expected=expected)
    for label, answer in everything(http):
        allowed = {m.strip().upper() for value in answer.header_values("allow") for m in value.split(",")}
        offered = sorted(allowed & {"TRACE", "CONNECT"})
        if offered:
            message = f"{label_of(label)} offers {' and '.join(offered)} in Allow"
            return warn(message, observed=", ".join(sorted(allowed))[:80], expected=expected, verify=answer.curl)
    if not hardening.traced:
        return untested("set http.writable to a path that may be asked with TRACE; no Allow header offers it")
    status = hardening.traced[0].answer.status
    note = ", with the page instead of an echo" if status == 200 else ""
    return passed(f"TRACE is answered with {status}{note}", observed=str(status), expected=expected)


@check(
    id="security.security_txt",
    component="security",
    severity="info",
    requires="error_handling.reach.http",
    fix="Contact: mailto:security@example.com\nExpires: 2027-12-31T23:00:00.000Z",
    fixes=_fixes_access.SECURITY_TXT,
    effort="minutes",
    reference="https://www.rfc-editor.org/rfc/rfc9116",
    verify="curl -si https://HOST/.well-known/security.txt",
    verdicts=("pass", "warn"),
)
def security_txt(http: HttpFacts, hardening: HardeningFacts) -> Finding:
    """Finders of a flaw learn whom to tell (/.well-known/security.txt).

    It needs a Contact and one Expires in the future, as plain text (RFC 9116). For information only.
    """
    answer = hardening.security_txt
    expected = "text/plain with Contact and an Expires in the future"
    unknown = seen(hardening, "unknown_at_origin") or seen(http, "not_found_file")
    copied = unknown is not None and unknown.ok and unknown.body[: len(answer.body)] == answer.body
    if answer.status != 200 or copied or answer.media_type == "text/html":
        return warn("security.txt is not served", observed=f"{answer.status} {answer.media_type}", expected=expected)
    fields = [line.partition(":") for line in answer.body.splitlines() if ":" in line and not line.startswith("#")]
    named = {name.strip().lower(): value.strip() for name, _, value in fields}
    observed = ", ".join(sorted(named))[:80] or "no field"
    if answer.media_type != "text/plain":
        return warn("security.txt is not text/plain", observed=answer.media_type or "no type", expected=expected)
    if not named.get("contact"):
        return warn("security.txt names no Contact", observed=observed, expected=expected)
    if sum(name.strip().lower() == "expires" for name, _, _ in fields) != 1:
        return warn("security.txt needs one Expires", observed=observed, expected=expected)
    ends = _instant(named["expires"])
    if ends is None:
        return warn("the Expires of security.txt is no date", observed=named["expires"][:40], expected=expected)
    if ends <= hardening.checked_at:
        return warn("security.txt has expired", observed=named["expires"][:40], expected=expected)
    return passed("security.txt names a contact", observed=observed, expected=expected)


def _instant(text: str) -> float | None:
    for parse in (dt.datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = parse(text)
            return found.replace(tzinfo=found.tzinfo or dt.UTC).timestamp()
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None
