"""Headers that browsers no longer heed, or that do harm: one verdict for each."""

from __future__ import annotations

from collections.abc import Mapping

from readiness.headers.base import Headers, Verdict, shown, values
from readiness.model import Status

_REASONS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "hpkp": (
        ("public-key-pins", "public-key-pins-report-only"),
        "browsers dropped key pinning, because a lost key locked users out",
    ),
    "expect_ct": (("expect-ct",), "browsers demand Certificate Transparency anyway"),
    "feature_policy": (("feature-policy",), "replaced by Permissions-Policy, which has another syntax"),
    "pragma": (("pragma",), "in an answer it has no meaning (RFC 9111, section 5.4); Cache-Control says it"),
    "csp_prefixed": (
        ("x-content-security-policy", "x-webkit-csp"),
        "only browsers of before 2013 read it; send Content-Security-Policy",
    ),
}
RULES = ("xss_filter", *_REASONS)


def judge_xss_filter(headers: Headers) -> Verdict:
    """X-XSS-Protection: absent or 0.

    The filter that it switches on could be made to block chosen scripts of a safe page and leaked its content, so that
    browsers removed it; OWASP asks for 0 or no header, and helmet, Rails and Spring send 0.
    """
    sent = values(headers, "x-xss-protection")
    observed = shown(sent) if sent else "not sent"

    def verdict(status: Status, reason: str) -> Verdict:
        return Verdict("deprecated.xss_filter", status, reason, observed, "absent, or 0")

    if not sent:
        return verdict(Status.PASS, "X-XSS-Protection is not sent")
    if all(value.partition(";")[0].strip() == "0" for value in sent):
        return verdict(Status.PASS, "X-XSS-Protection is 0, which switches the filter off")
    reason = "X-XSS-Protection turns on a filter of old browsers that opens holes itself; OWASP asks for 0"
    return verdict(Status.WARN, reason)


def judge_others(headers: Headers) -> list[Verdict]:
    """Public-Key-Pins, Expect-CT, Feature-Policy, Pragma and the prefixed forms of CSP: to be removed."""
    verdicts = []
    for rule, (names, why) in _REASONS.items():
        sent = [name for name in names if values(headers, name)]
        if sent:
            reason, status, observed = f"{sent[0]} is to be removed: {why}", Status.WARN, ", ".join(sent)
        else:
            reason, status, observed = "not sent", Status.PASS, "not sent"
        verdicts.append(Verdict(f"deprecated.{rule}", status, reason, observed, "not sent"))
    return verdicts


def judge_all(headers: Headers) -> list[Verdict]:
    """One verdict for each header."""
    return [judge_xss_filter(headers), *judge_others(headers)]
