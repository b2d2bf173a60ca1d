"""Referrer-Policy, W3C Referrer Policy."""

from __future__ import annotations

from readiness.headers.base import Headers, Verdict, members, quoted, short
from readiness.model import Status

PRIVATE = ("no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin")
LOOSE = ("origin", "origin-when-cross-origin")
UNSAFE = ("unsafe-url", "no-referrer-when-downgrade")


def judge(headers: Headers) -> Verdict:
    """The last value that a browser knows counts; the others are fallbacks for older ones."""
    sent = members(headers, "referrer-policy")
    expected = " or ".join(PRIVATE)
    if not sent:
        reason = "Referrer-Policy is missing; each browser applies its own default"
        return Verdict("referrer.policy", Status.WARN, reason, "not sent", expected)
    observed = short(", ".join(sent))
    known = [value.lower() for value in sent if value.lower() in (*PRIVATE, *LOOSE, *UNSAFE)]
    if not known:
        reason = f"browsers know no Referrer-Policy {quoted(observed)}"
        return Verdict("referrer.policy", Status.FAIL, reason, observed, expected)
    policy = known[-1]
    if policy in UNSAFE:
        reason = f"{policy} sends paths and query strings to other sites"
        return Verdict("referrer.policy", Status.FAIL, reason, observed, expected)
    if policy in LOOSE:
        reason = f"{policy} names the origin over plain http too"
        return Verdict("referrer.policy", Status.WARN, reason, observed, expected)
    return Verdict("referrer.policy", Status.PASS, f"Referrer-Policy is {policy}", observed, expected)
