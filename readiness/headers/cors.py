"""Cross-origin resource sharing, Fetch standard, section 3.3: what an answer grants to the origin that asked."""

from __future__ import annotations

import re

from readiness.headers.base import Headers, Verdict, first, members, quoted, short, values
from readiness.model import Status

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]{0,30}://(?:[^\s/,:@]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?")
_EXPECTED = "no grant to an origin that nobody chose"


def judge(headers: Headers, origin: str | None) -> Verdict:
    """Judges the answer to a request whose Origin was foreign: invented, `null`, or made to resemble the own one.

    With `origin` None the request carried none, so that nobody can tell an echo from a grant to a chosen origin.
    """
    granted = values(headers, "access-control-allow-origin")
    credentials = (first(headers, "access-control-allow-credentials") or "") == "true"
    shown = [f"Access-Control-Allow-Origin: {short(' | '.join(granted), 50)}"] if granted else ["no grant"]
    observed = ", ".join([*shown, *(["with credentials"] if credentials else [])])

    def verdict(status: Status, reason: str) -> Verdict:
        return Verdict("cors.grant", status, reason, observed, _EXPECTED)

    if not granted:
        return verdict(Status.PASS, "grants nothing to a foreign origin")
    if len(granted) > 1:
        return verdict(Status.WARN, "Access-Control-Allow-Origin is sent twice, so browsers refuse it")
    if granted[0] == "*":
        if credentials:
            return verdict(Status.WARN, "* together with credentials, which browsers refuse")
        return verdict(Status.PASS, "public to every origin, without credentials")
    if granted[0] == origin:
        if credentials:
            return verdict(Status.FAIL, f"trusts the origin {short(origin, 40)} with credentials")
        vary = [member.lower() for member in members(headers, "vary")]
        cached = "" if "origin" in vary or "*" in vary else ", without Vary: Origin"
        return verdict(Status.WARN, f"echoes the origin {short(origin, 40)}{cached}")
    if granted[0] == "null":
        reason = "grants the origin null, which any sandboxed frame has"
        return verdict(Status.FAIL if credentials else Status.WARN, reason)
    if not _ORIGIN.fullmatch(granted[0]):
        return verdict(Status.WARN, f"browsers refuse the grant: {quoted(granted[0], 40)} is no single origin")
    return verdict(Status.PASS, "grants another origin only")
