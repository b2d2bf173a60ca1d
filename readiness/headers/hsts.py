"""Strict-Transport-Security, RFC 6797."""

from __future__ import annotations

import re
from dataclasses import dataclass

from readiness.headers.base import TOKEN, Headers, Verdict, gravest, quoted, shown, values
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
            return f"it breaks the grammar at {quoted(value[end:], 20)}"
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
        return f"max-age {quoted(age, 20)} is no number of seconds"
    return Policy(int(age), "includesubdomains" in directives, "preload" in directives)


def judge_all(headers: Headers, *, seconds: int = YEAR) -> list[Verdict]:
    """Judges the header of an answer that came over https; over http browsers ignore it (section 8.1).

    `hsts.policy`: there is one that browsers heed. `hsts.max_age`: it lasts. `hsts.subdomains`: it covers them.
    `hsts.preload`: what asks for the preload list meets its conditions. Without a policy the last three do not apply.
    """
    expected = f"max-age of at least {seconds} with includeSubDomains"
    sent = values(headers, "strict-transport-security")
    observed = shown(sent) if sent else "not sent"

    def verdict(rule: str, status: Status, reason: str) -> Verdict:
        return Verdict(f"hsts.{rule}", status, reason, observed, expected)

    policy: Policy | str = parse(sent[0]) if sent else ""
    if isinstance(policy, str) or policy.max_age == 0:
        if not sent:
            reason = "Strict-Transport-Security is missing"
        elif isinstance(policy, str):
            reason = f"browsers ignore Strict-Transport-Security: {policy}"
        else:
            reason = "max-age=0 switches Strict-Transport-Security off"
        rest = [verdict(rule, Status.NOT_APPLICABLE, "no policy is in force") for rule in _OF_POLICY]
        return [verdict("policy", Status.FAIL, reason), *rest]
    differs = len(set(sent)) > 1
    twice = "sent twice with different values; browsers use the first" if differs else "a policy is in force"
    return [
        verdict("policy", Status.WARN if differs else Status.PASS, twice),
        verdict("max_age", *_lasting(policy, seconds)),
        verdict("preload", *_preload(policy)),
        verdict("subdomains", *_covering(policy)),
    ]


_OF_POLICY = ("max_age", "preload", "subdomains")


def _lasting(policy: Policy, seconds: int) -> tuple[Status, str]:
    if policy.max_age < seconds:
        return Status.WARN, f"max-age is {policy.max_age / 86400:.3g} days"
    subdomains = ", with subdomains" if policy.include_subdomains else ""
    return Status.PASS, f"max-age is {policy.max_age // 86400} days{subdomains}"


def _covering(policy: Policy) -> tuple[Status, str]:
    if policy.include_subdomains:
        return Status.PASS, "subdomains are covered"
    return Status.WARN, "no includeSubDomains"


def _preload(policy: Policy) -> tuple[Status, str]:
    """hstspreload.org takes a host whose header says so, covers the subdomains and lasts a year."""
    if not policy.preload:
        return Status.NOT_APPLICABLE, "the preload list is not asked for"
    if not policy.include_subdomains:
        return Status.WARN, "preload has no effect without includeSubDomains"
    if policy.max_age < YEAR:
        return Status.WARN, "preload has no effect with a max-age below a year"
    return Status.PASS, "eligible for the preload list"


def judge(headers: Headers, *, seconds: int = YEAR) -> Verdict:
    """The gravest of all rules; where all are kept, how long the policy lasts."""
    verdicts = judge_all(headers, seconds=seconds)
    worst = gravest(verdicts)
    return verdicts[1] if worst.status is Status.PASS else worst
