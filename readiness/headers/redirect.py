"""Redirects: from http to https, and never back (RFC 9110, section 15.4; ASVS 5.0 4.1.2 and 12.2.1)."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urljoin, urlsplit

from readiness.headers.base import Headers, Verdict, first, short
from readiness.model import Status

STATUSES = (301, 302, 303, 307, 308)
PERMANENT = (301, 308)


def judge_target(headers: Headers, *, url: str, status: int) -> Verdict:
    """Where one redirect leads: somewhere, over http or https alone, and not from https back to http."""

    def verdict(outcome: Status, reason: str, observed: str) -> Verdict:
        return Verdict("redirect.target", outcome, reason, observed, "an http(s) address, https from https")

    if status not in STATUSES:
        return verdict(Status.NOT_APPLICABLE, f"{status} is no redirect", str(status))
    location = first(headers, "location")
    if not location:
        return verdict(Status.FAIL, f"{status} without Location leads nowhere", f"{status} without Location")
    observed = f"{status} to {short(location, 60)}"
    parts = _split(url, location)
    if parts is None:
        return verdict(Status.FAIL, "Location is no URL", observed)
    scheme, host = parts
    if scheme not in ("http", "https") or not host:
        return verdict(Status.FAIL, f"Location has the scheme {short(scheme, 20) or '(none)'}", observed)
    if scheme == "http" and _split(url, "") is not None and url.lower().startswith("https:"):
        return verdict(Status.FAIL, "leads from https back to plain http", observed)
    return verdict(Status.PASS, f"leads to {scheme}", observed)


def judge_upgrade(
    headers: Headers, *, url: str, status: int, profile: Literal["web", "api", "internal"] = "web"
) -> Verdict:
    """What an http URL of a service that is reached by https does.

    A browser may be sent on, by 301 or 308, to https on the same host first, so that its HSTS covers that host. A
    program has already sent its credential in clear when it is redirected, so an API should refuse.
    """
    api = profile == "api"
    expected = "refused, or 4xx" if api else "301 or 308 to https on the same host"

    def verdict(outcome: Status, reason: str, observed: str = "") -> Verdict:
        return Verdict("redirect.upgrade", outcome, reason, observed or str(status), expected)

    here = _split(url, "")
    if here is None or here[0] != "http":
        return verdict(Status.NOT_APPLICABLE, "asked over https, so there is nothing to upgrade")
    if profile == "internal":
        return verdict(Status.NOT_APPLICABLE, "an internal service may stay on http")
    if 400 <= status < 500:
        return verdict(Status.PASS, "plain http is refused")
    location = first(headers, "location") or ""
    target = _split(url, location) if status in STATUSES and location else None
    observed = f"{status} {short(location, 60)}".strip()
    if target is None or target[0] != "https":
        return verdict(Status.FAIL, f"plain http answers {status} without leading to https", observed)
    if api:
        return verdict(Status.WARN, "redirects a program that has already sent its credential in clear", observed)
    if target[1] != here[1]:
        return verdict(Status.WARN, f"redirects to another host first: {short(target[1])}", observed)
    if status not in PERMANENT:
        return verdict(Status.WARN, f"redirects with {status}, which is not permanent", observed)
    return verdict(Status.PASS, "redirects to https", observed)


def _split(url: str, location: str) -> tuple[str, str] | None:
    """Scheme and host of the target, in lower case; None where it is no URL."""
    try:
        parts = urlsplit(urljoin(url, location))
        return parts.scheme.lower(), (parts.hostname or "").lower()
    except ValueError:
        return None
