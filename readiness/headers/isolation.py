"""Who shares a process and a window with a page: COOP, COEP (HTML standard) and CORP (Fetch standard)."""

from __future__ import annotations

from readiness.headers.base import Headers, Verdict, quoted, shown, values
from readiness.headers.structured import Item, Malformed, Token, parse_item
from readiness.model import Status

SEPARATE = ("same-origin", "same-origin-allow-popups", "noopener-allow-popups")
_EMBEDDING = ("require-corp", "credentialless")
_RESOURCE = ("same-origin", "same-site", "cross-origin")


def judge_opener(headers: Headers) -> Verdict:
    """Cross-Origin-Opener-Policy of a page: whether a window that another site opened keeps a handle on it."""
    value, observed = _token(headers, "cross-origin-opener-policy")

    def verdict(status: Status, reason: str) -> Verdict:
        return Verdict("coop.policy", status, reason, observed, "same-origin or same-origin-allow-popups")

    if value is None:
        return verdict(Status.WARN, "Cross-Origin-Opener-Policy is missing")
    if value in SEPARATE:
        return verdict(Status.PASS, f"Cross-Origin-Opener-Policy is {value}")
    if value == "unsafe-none":
        return verdict(Status.WARN, "unsafe-none lets pages of other sites keep a handle on the window")
    return verdict(Status.WARN, f"browsers ignore Cross-Origin-Opener-Policy {quoted(observed)}")


def judge_embedder(headers: Headers) -> Verdict:
    """Cross-Origin-Embedder-Policy of a page. Most pages need none; one that gains nothing is a mistake."""
    value, observed = _token(headers, "cross-origin-embedder-policy")
    opener, _ = _token(headers, "cross-origin-opener-policy")

    def verdict(status: Status, reason: str) -> Verdict:
        return Verdict(
            "coep.policy", status, reason, observed, "absent, or with Cross-Origin-Opener-Policy same-origin"
        )

    if value is None:
        return verdict(Status.PASS, "not sent: the page asks for no cross-origin isolation")
    if value == "unsafe-none":
        return verdict(Status.PASS, "unsafe-none is the default")
    if value not in _EMBEDDING:
        return verdict(Status.WARN, f"browsers ignore Cross-Origin-Embedder-Policy {quoted(observed)}")
    if opener != "same-origin":
        return verdict(Status.WARN, f"{value} isolates nothing without Cross-Origin-Opener-Policy same-origin")
    return verdict(Status.PASS, f"{value} with Cross-Origin-Opener-Policy same-origin isolates the page")


def judge_resource(headers: Headers, *, private: bool = False) -> Verdict:
    """Cross-Origin-Resource-Policy, needed by what belongs to one user. Its value counts letter by letter."""
    sent = values(headers, "cross-origin-resource-policy")
    observed = shown(sent) if sent else "not sent"

    def verdict(status: Status, reason: str) -> Verdict:
        return Verdict("corp.policy", status, reason, observed, "same-origin or same-site on what belongs to one user")

    if not sent:
        if private:
            return verdict(Status.WARN, "Cross-Origin-Resource-Policy is missing on an answer that belongs to one user")
        return verdict(Status.PASS, "not sent: anybody may embed a public answer")
    value = sent[0]
    if len(sent) > 1 or value not in _RESOURCE:  # the values of several fields are joined, and match nothing
        return verdict(Status.WARN, f"browsers ignore Cross-Origin-Resource-Policy {quoted(observed)}")
    if private and value == "cross-origin":
        return verdict(Status.WARN, "cross-origin lets other sites embed what belongs to one user")
    return verdict(Status.PASS, f"Cross-Origin-Resource-Policy is {value}")


def _token(headers: Headers, name: str) -> tuple[str | None, str]:
    """The structured token of a field, an empty string where browsers cannot read it, None where it is not sent."""
    sent = values(headers, name)
    if not sent:
        return None, "not sent"
    try:
        item: Item = parse_item(", ".join(sent))
    except Malformed:
        return "", shown(sent)
    return (str(item.value) if isinstance(item.value, Token) else ""), shown(sent)
