"""Requests that break the protocol: they are refused in order, and leave no trace."""

from __future__ import annotations

from typing import Any

from readiness.api import Finding, HttpSettings, check, failed, maybe, passed, show, untested, warn, worst
from readiness.facts.robustness import BrokenRequest, RobustnessFacts

from . import _fixes_protocol
from ._errors import described


@check(
    id="error_handling.recovery",
    component="error_handling",
    severity="high",
    requires="error_handling.reach.http",
    fix="process.on('uncaughtException') is too late: handle 'clientError' on the server and errors of each stream",
    fixes=_fixes_protocol.CLIENT_ERROR,
    effort="hours",
    reference="https://www.rfc-editor.org/rfc/rfc9110#name-status-codes",
    verify="printf 'GET / HTTP/1.1\\r\\nContent-Length: x\\r\\n\\r\\n' | nc HOST 80; curl -si https://HOST/",
)
def recovery(robustness: RobustnessFacts, *, slow_seconds: float = 1, slow_factor: float = 10) -> Finding:
    """After broken requests the service answers as before.

    A path of 20 kB, broken headers, a request and a body that break off: one stranger can send them at any time. A
    process that they kill takes every other user's request with it, also where it is started anew at once.
    """
    before = robustness.before
    expected = f"{before.status} as before, at the first attempt"
    what = f"{robustness.sent} broken requests"
    if robustness.unanswered:
        observed = f"{robustness.attempts} attempts: {robustness.unanswered[:80]}"
        return failed(f"no answer any more after {what}", observed=observed, expected=expected)
    after = robustness.after
    observed = f"{before.status} before, {after.status} after, at attempt {robustness.attempts}"
    if after.status >= 500 and before.status < 500:
        return failed(f"the root answers {after.status} after {what}", observed=observed, expected=expected)
    if robustness.attempts > 1:
        return warn(
            f"after {what} only attempt {robustness.attempts} was answered", observed=observed, expected=expected
        )
    if after.status not in (before.status, 429):
        return warn(f"the root answers {after.status} after {what}", observed=observed, expected=expected)
    if after.seconds > max(slow_seconds, slow_factor * before.seconds):
        taken = show(after.seconds, "s")
        return warn(f"after {what} the answer took {taken}", observed=f"{observed}, {taken}", expected=expected)
    return passed(f"after {what} it answers {after.status} as before", observed=observed, expected=expected)


@check(
    id="error_handling.invalid_request",
    component="error_handling",
    severity="low",
    requires="error_handling.reach.http",
    fixes=_fixes_protocol.CLIENT_ERROR,
    effort="hours",
    reference="https://www.rfc-editor.org/rfc/rfc9112#section-5.1",
    verify="printf 'GET / HTTP/1.1\\r\\nHost: HOST\\r\\nContent-Length: x\\r\\n\\r\\n' | nc HOST 80",
)
def invalid_request(robustness: RobustnessFacts) -> Finding:
    """Requests that break the protocol are refused with 400, or the connection is closed.

    A length that is no number, and a space between a header's name and its colon: RFC 9112 demands 400 for both. A
    server that reads them in its own way may read them otherwise than the proxy before it. They are sent to a path that
    nobody defined, and so is a request without a fault: a broken one that gets the same answer was accepted.
    """
    before = robustness.before  # absent where the service could not be asked at all
    if not robustness.broken:
        return untested(f"no broken request was sent after the {before.status} of the root")
    return worst({entry.what: _invalid(robustness, entry) for entry in robustness.broken}, what="requests")


_REFUSED = (400, 501, 505)
_LIKE_NOT_FOUND = (404, 405, 410)


def _invalid(robustness: RobustnessFacts, entry: BrokenRequest) -> Finding:
    expected = "400, or a closed connection"
    if entry.closed:
        return passed("closes the connection", observed="closed", expected=expected)
    status = entry.status if entry.refused else maybe(lambda: entry.status)
    if status is None:
        return warn("gets no answer in time", observed="no answer", expected=expected)
    ordinary = maybe(lambda: robustness.unknown)
    more: dict[str, Any] = {"observed": str(status), "expected": expected}
    if status == ordinary and status in _REFUSED:
        return untested(f"unknown paths get {status} whether a request is broken or not")
    if status == ordinary or status in _LIKE_NOT_FOUND:
        return warn(f"is accepted: {status}, as if it were well-formed", **more)
    if status < 400:
        return warn(f"is accepted ({status})", **more)
    if status >= 500 and status not in _REFUSED:
        return failed(f"causes {status}", **more)
    if status not in _REFUSED:
        _ = robustness.unknown  # where it is not known, this may be what the path gets
    return passed(f"is refused with {status}", **more)


@check(
    id="error_handling.url_length",
    component="error_handling",
    severity="low",
    requires="error_handling.reach.http",
    fixes=_fixes_protocol.HEADER_SIZE,
    effort="minutes",
    reference="https://www.rfc-editor.org/rfc/rfc9110#name-414-uri-too-long",
    verify="curl -si https://HOST/$(head -c 20000 /dev/zero | tr '\\0' a)",
    verdicts=("pass", "fail"),
)
def url_length(robustness: RobustnessFacts) -> Finding:
    """A path of 20 kB is the client's error, and crashes nothing.

    414 says it best; 404, 400 and 431 are as orderly, and so is closing the connection.
    """
    expected = "414, or another status below 500"
    if robustness.long_path_closed:
        return passed("a path of 20 kB closes the connection", observed="closed", expected=expected)
    answer = robustness.long_path
    if answer.status >= 500:
        return failed(f"a path of 20 kB causes {answer.status}", observed=described(answer), expected=expected)
    return passed(f"a path of 20 kB gets {answer.status}", observed=described(answer), expected=expected)


@check(
    id="error_handling.slow_client",
    component="error_handling",
    severity="medium",
    requires="error_handling.reach.http",
    fixes=_fixes_protocol.SLOW_CLIENT,
    effort="minutes",
    reference="https://www.rfc-editor.org/rfc/rfc9110#name-408-request-timeout",
    verify="(printf 'GET / HTTP/1.1\\r\\nX-A: '; while sleep 1; do printf a; done) | nc HOST 80",
    verdicts=("pass", "warn"),
)
def slow_client(robustness: RobustnessFacts, http: HttpSettings) -> Finding:
    """A client that never finishes its headers is cut off.

    Each such connection holds a place, so a few thousand of them, which cost their sender nothing, fill the service
    (Slowloris). One connection sent a byte a second. Node looks every 30 s only, so "still open" is but a warning.
    """
    if http.slow_client_seconds is None:
        return untested("set http.slow_client_seconds: 20 to permit one connection that sends its headers slowly")
    slow = robustness.slow
    expected = "closed, or 408"
    if not slow.closed:
        taken = show(slow.seconds, "s")
        return warn(f"a slow client is still connected after {taken}", observed=f"open at {taken}", expected=expected)
    status = maybe(lambda: slow.status)
    how = f"answered {status} and closed" if status else "closed"
    return passed(f"a slow client is {how} after {show(slow.seconds, 's')}", observed=how, expected=expected)
