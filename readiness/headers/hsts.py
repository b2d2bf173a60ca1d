"""Strict-Transport-Security, RFC 6797."""

from __future__ import annotations

import re
from dataclasses import dataclass

from readiness.headers.base import TOKEN, Headers, Verdict, short, shown, values
from readiness.model import Status

YEAR = 31_536_000
_DIRECTIVE = re.compile(rf'\s*({TOKEN.pattern})\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|({TOKEN.pattern}))\s*)?')


@dataclass(frozen=True, slots=True)
class Policy:
    """`max_age` in seconds."""

    max_age: int
    include_subdomains: bool
    preload: bool


def parse(value: str) -> Policy | str:
    """The policy, or the reason why a browser ignores the header (section 6.1)."""
    directives: dict[str, str | None] = {}
    at = 0
    while at <= len(value):
        found = _DIRECTIVE.match(value, at)
        end = found.end() if found else at + len(value[at:]) - len(value[at:].lstrip())
        if end < len(value) and value[end] != ";":
            return f"it breaks the grammar at {short(value[end:], 20)!r}"
        if found:
            name = found[1].lower()
            if name in directives:
                return f"{name} appears twice"
            directives[name] = found[2] if found[2] is not None else found[3]
        at = end + 1
    age = directives.get("max-age")
    if age is None:
        return "max-age is missing"
    if not re.fullmatch(r"[0-9]{1,18}", age):
        return f"max-age {short(age, 20)!r} is no number of seconds"
    return Policy(int(age), "includesubdomains" in directives, "preload" in directives)


def judge(headers: Headers, *, seconds: int = YEAR) -> Verdict:
    """Judges the header of an answer that came over https; over http browsers ignore it (section 8.1)."""
    expected = f"max-age of at least {seconds} with includeSubDomains"
    sent = values(headers, "strict-transport-security")
    if not sent:
        return Verdict("hsts", Status.FAIL, "Strict-Transport-Security is missing", "not sent", expected)
    observed = shown(sent)

    def verdict(status: Status, reason: str) -> Verdict:
        return Verdict("hsts", status, reason, observed, expected)

    policy = parse(sent[0])
    if isinstance(policy, str):
        return verdict(Status.FAIL, f"browsers ignore Strict-Transport-Security: {policy}")
    if policy.max_age == 0:
        return verdict(Status.FAIL, "max-age=0 switches Strict-Transport-Security off")
    if policy.max_age < seconds:
        return verdict(Status.WARN, f"max-age is {policy.max_age / 86400:.3g} days")
    if len(set(sent)) > 1:
        return verdict(Status.WARN, "sent twice with different values; browsers use the first")
    if not policy.include_subdomains:
        reason = "preload has no effect without includeSubDomains" if policy.preload else "no includeSubDomains"
        return verdict(Status.WARN, reason)
    return verdict(Status.PASS, f"max-age is {policy.max_age // 86400} days, with subdomains")
