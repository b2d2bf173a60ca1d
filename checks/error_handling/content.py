"""What error answers tell: nothing about the inside, the request's id, and the truth in their status."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from readiness.api import Finding, check, failed, passed, untested, warn, worst
from readiness.facts.exchange import Exchange
from readiness.facts.http import HttpFacts, seen

from . import _fixes
from ._errors import beginning, errors, is_json

_LOOK_AT = 16_384  # enough for any trace; a bound on what a hostile page can cost
_FILE = r"[\w.@-]{1,60}\.(?:js|ts|mjs|cjs|jsx|tsx|py|rb|php|go|java|kt|cs|rs|ex|exs)"
_INSIDE: Mapping[str, str] = {
    "a Python traceback": r"Traceback \(most recent call last\)|File (?:\"|&quot;|&#34;|\\\")[^\"\n&]{1,300}"
    r"(?:\"|&quot;|&#34;|\\\"), line \d+",
    "a JavaScript stack trace": r"(?:\b|\\t)at [^\n()<>]{0,120}\([^()\s]{1,300}:\d+:\d+\)|\bat (?:async )?(?:file://)?/[^\s()<>]{1,300}:\d+:\d+",
    "a Java stack trace": r"(?:\b|\\t)at [\w$.]{1,200}\([\w$]{1,80}\.(?:java|kt|scala|groovy):\d+\)",
    "a .NET stack trace": r"(?:\b|\\t)at [\w.`<>]{1,200}\([^)\n]{0,200}\) in [^\n]{1,200}:line \d+",
    "a Go stack trace": r"goroutine \d+ \[\w+\]:",
    "a Ruby stack trace": r"\.rb:\d+:in [`'‘]",
    "a PHP error": r"(?:Fatal error|Warning|Notice|Parse error)(?:</b>)?: [^\n]{1,300} in (?:<b>)?[^\n]{1,200}\.php"
    r"(?:</b>)? on line|#\d+ [^\n]{1,200}\.php\(\d+\)",
    "a debugger": r"Werkzeug Debugger|because you have <code>DEBUG = True</code>|Whoops\\Exception|"
    r"Server Error in '[^'\n]{0,80}' Application|class=\"whitelabel",
    "a database error": r"You have an error in your SQL syntax|\bORA-\d{5}|SQLSTATE\[\w{5}\]|syntax error at or near "
    r"|\bSQLITE_[A-Z]{2,}|\bpsycopg\d?\.|\bpymysql\.err",
    "a path of its libraries": r"(?:node_modules|site-packages|dist-packages)[/\\]",
    "a path of its source": rf"(?<![\w/.:])(?:/[\w.@-]{{1,60}}){{1,12}}/{_FILE}:\d+",
}
_PATTERNS = {what: re.compile(pattern) for what, pattern in _INSIDE.items()}
_MESSAGE = re.compile(
    r"MongoServerError|\bE11000 duplicate key|\b(?:ECONNREFUSED|ETIMEDOUT|ENOTFOUND) [\w.:-]{1,80}"
    r"|\b(?:Type|Reference|Range|URI|Key|Attribute|Value|Index)Error: |is not a function\b|Cannot read propert"
    r"|NullPointerException|\bpymongo\.errors|\bsqlalchemy\.exc|\bat JSON\.parse "
)


@check(
    id="error_handling.leak",
    component="error_handling",
    severity="critical",
    fix="NODE_ENV=production, and an error handler of your own that logs the error and answers {code, message, id}",
    fixes=_fixes.LEAK,
    effort="hours",
    reference="https://cheatsheetseries.owasp.org/cheatsheets/Error_Handling_Cheat_Sheet.html",
    verify="curl -s 'https://HOST/%E0%A4%A'",
)
def leak(http: HttpFacts) -> Finding:
    """Error answers show no stack trace, no source path and no database error.

    Traces name libraries, versions and paths (ASVS 5.0 16.5.1, CWE-209). The patterns match the structure of a trace,
    and only in answers with a status of 400 or more: a documentation page may show one. The bare message of an
    exception is a warning.
    """
    for name in ("root", "not_found", "encoding"):
        if name not in http.closed:
            getattr(http, name)  # an answer that could not be had must not look like one without a leak
    found = {label[:40]: _leak(answer) for label, answer in errors(http).items() if answer.method != "HEAD"}
    if not found:
        return untested("no error answer was seen; set http.writable, so that one can be caused")
    return worst(found, what="errors")


def _leak(answer: Exchange) -> Finding:
    body = answer.body[:_LOOK_AT]
    expected = "no trace, path or exception"
    for what, pattern in _PATTERNS.items():
        if pattern.search(body):
            # What was leaked is named, not repeated: the report travels further than the answer.
            return failed(f"{answer.status} shows {what}", observed=what, expected=expected, verify=answer.curl)
    if message := _MESSAGE.search(body):
        text = f"{answer.status} shows the message of an exception"
        return warn(text, observed=message[0][:40], expected=expected, verify=answer.curl)
    return passed("no trace, path or exception", observed=f"{answer.status}, nothing of the inside", expected=expected)


_ID_HEADERS = (
    "x-request-id", "x-correlation-id", "request-id", "x-amzn-requestid", "x-amzn-trace-id", "cf-ray", "x-trace-id",
    "traceresponse", "x-azure-ref", "x-cloud-trace-context", "x-vercel-id", "x-ms-request-id",
)  # fmt: skip


@check(
    id="error_handling.request_id",
    component="error_handling",
    severity="low",
    requires="error_handling.reach.http",
    fixes=_fixes.REQUEST_ID,
    effort="hours",
    reference="https://www.w3.org/TR/trace-context-2/",
    verify="curl -si https://HOST/no-such-path | grep -i request-id",
)
def request_id(http: HttpFacts) -> Finding:
    """Error answers carry an id with which the request is found in the logs.

    In a header and in the body, a new one for each request: a user quotes what he sees. nginx leaves `add_header`
    out of errors unless it says `always`.
    """
    first, second = http.not_found, seen(http, "not_found_api")
    name, value = _id(first)
    expected = "a new id for each request, in a header and in the body"
    if value is None:
        elsewhere, _ = _id(http.root)
        if elsewhere:
            message = f"{elsewhere} is sent with success, but not with {first.status}"
        else:
            message = f"no request id with {first.status}, nor with any answer"
        return failed(message, observed="no id", expected=expected)
    observed = f"{name}: {value[:40]}"
    if second is not None and _id(second)[1] == value:
        return failed(f"{name} is the same on two requests", observed=observed, expected=expected)
    if value not in first.body:
        return warn(f"{name} is in the header, not in the body", observed=observed, expected=expected)
    return passed(f"{name} is in header and body", observed=observed, expected=expected)


def _id(answer: Exchange) -> tuple[str, str | None]:
    for name in _ID_HEADERS:
        value = answer.header(name)
        if value:
            return name, value
    return "", None


@check(
    id="error_handling.status_codes",
    component="error_handling",
    severity="medium",
    requires="error_handling.reach.http",
    fixes=_fixes.STATUS_CODES,
    effort="days",
    reference="https://www.rfc-editor.org/rfc/rfc9110#name-status-codes",
    verify="curl -si https://HOST/ENDPOINT",
    verdicts=("pass", "fail"),
)
def status_codes(http: HttpFacts) -> Finding:
    """No error hides in an answer with status 200.

    Clients, caches, proxies and monitoring go by the status. Looked at are the top-level members of JSON answers of the
    root and of http.endpoints: error, errors, success, ok, status. GraphQL answers 200 by design and is left out.
    """
    answers = {entry.path[:40]: entry.answer for entry in http.endpoints} | {"root": http.root}
    judged = {
        label: _status(answer) for label, answer in answers.items() if answer.ok and is_json(answer) and _rest(answer)
    }
    if not judged:
        return untested("no JSON answer with status 200 was seen; set http.endpoints")
    return worst(judged, what="answers")


def _rest(answer: Exchange) -> bool:
    return "graphql" not in answer.url.lower() and isinstance(answer.parsed(), dict | list)


def _status(answer: Exchange) -> Finding:
    body = answer.parsed()
    expected = "4xx or 5xx for an error"
    if isinstance(body, dict):
        for name in ("error", "errors", "success", "ok", "status"):
            if _tells_of_error(name, body.get(name)):
                observed = f"{answer.status} with {name}: {beginning(body[name], 40)}"
                return failed(f"{answer.status} with {name} in the body", observed=observed, expected=expected)
    return passed("status and body agree", observed=f"{answer.status} without an error", expected=expected)


def _tells_of_error(name: str, value: Any) -> bool:
    match name:
        case "error" | "errors":
            return bool(value)
        case "status":
            return isinstance(value, str) and value.lower() in ("error", "fail", "failed")
        case _:
            return value is False
