"""X-Content-Type-Options, Fetch standard, section 3.7."""

from __future__ import annotations

from readiness.headers.base import Headers, Verdict, quoted, shown, values
from readiness.model import Status


def judge(headers: Headers) -> Verdict:
    """Only the first value counts, in any case."""
    sent = values(headers, "x-content-type-options")
    if not sent:
        return Verdict("mime.sniffing", Status.FAIL, "X-Content-Type-Options is missing", "not sent", "nosniff")
    observed = shown(sent)
    if ",".join(sent).split(",")[0].strip().lower() != "nosniff":
        reason = f"browsers ignore X-Content-Type-Options {quoted(observed)}"
        return Verdict("mime.sniffing", Status.FAIL, reason, observed, "nosniff")
    return Verdict("mime.sniffing", Status.PASS, "X-Content-Type-Options is nosniff", observed, "nosniff")
