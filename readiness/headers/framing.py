"""Who may put a page into a frame: CSP frame-ancestors, and X-Frame-Options where that is missing."""

from __future__ import annotations

from readiness.headers import csp
from readiness.headers.base import Headers, Verdict, members, short
from readiness.model import Status

_EXPECTED = "frame-ancestors 'none' or 'self', or X-Frame-Options DENY or SAMEORIGIN"


def judge(headers: Headers) -> Verdict:
    """Judges the values, not their presence; with frame-ancestors browsers ignore X-Frame-Options."""

    def verdict(status: Status, reason: str, observed: str) -> Verdict:
        return Verdict("framing.policy", status, reason, observed, _EXPECTED)

    lists = [p.directives["frame-ancestors"] for p in csp.policies(headers) if "frame-ancestors" in p.directives]
    options = [value.lower() for value in members(headers, "x-frame-options")]
    if lists:
        observed = short("frame-ancestors " + " | ".join(" ".join(sources) for sources in lists))
        if all(any(csp.is_broad(source) for source in sources) for sources in lists):
            return verdict(Status.FAIL, f"{observed} lets any site frame the page", observed)
        return verdict(Status.PASS, f"{observed} limits framing", observed)
    if not options:
        return verdict(Status.FAIL, "any site may frame the page", "neither header")
    observed = short(f"X-Frame-Options: {', '.join(options)}")
    distinct = set(options)
    if distinct in ({"deny"}, {"sameorigin"}):
        return verdict(Status.PASS, f"{observed} limits framing", observed)
    if distinct & {"deny", "sameorigin", "allowall"} and len(distinct) > 1:
        return verdict(Status.WARN, f"X-Frame-Options contradicts itself: {observed}", observed)
    return verdict(Status.FAIL, f"browsers ignore {observed}", observed)
