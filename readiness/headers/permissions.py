"""Permissions-Policy, W3C Permissions Policy: a structured dictionary of features and their allow-lists."""

from __future__ import annotations

from readiness.headers.base import Headers, Verdict, shown, values
from readiness.headers.structured import InnerList, Item, Malformed, Member, Token, parse_dictionary
from readiness.model import Status

POWERFUL = ("camera", "microphone", "geolocation", "payment", "usb", "display-capture")
_EXPECTED = "features that the site does not use are switched off: camera=(), microphone=(), geolocation=()"


def judge(headers: Headers) -> Verdict:
    """Judges the syntax, which decides whether a browser heeds the header at all, and the powerful features."""
    sent = values(headers, "permissions-policy")
    observed = shown(sent)

    def verdict(status: Status, reason: str, seen: str = observed) -> Verdict:
        return Verdict("permissions.policy", status, reason, seen, _EXPECTED)

    if not sent:
        if values(headers, "feature-policy"):
            return verdict(Status.WARN, "only the retired Feature-Policy is sent", "Feature-Policy")
        return verdict(Status.WARN, "Permissions-Policy is missing", "not sent")
    try:
        policy = parse_dictionary(", ".join(sent))
    except Malformed as error:
        return verdict(Status.WARN, f"browsers ignore Permissions-Policy: {error}")
    open_to_all = [name for name in POWERFUL if name in policy and _any_origin(policy[name])]
    if open_to_all:
        return verdict(Status.WARN, f"{', '.join(open_to_all)} allowed to every embedded origin")
    if not policy:
        return verdict(Status.WARN, "Permissions-Policy is empty", "empty")
    return verdict(Status.PASS, f"Permissions-Policy limits {len(policy)} features")


def _any_origin(member: Member) -> bool:
    items = member.items if isinstance(member, InnerList) else (member,)
    return any(isinstance(item, Item) and item.value == Token("*") for item in items)
