"""Cache-Control and the traces of shared caches, RFC 9111."""

from __future__ import annotations

import re
from dataclasses import dataclass

from readiness.headers.base import TOKEN, Headers, Verdict, first, short, shown, values
from readiness.model import Status

_DIRECTIVE = re.compile(rf'({TOKEN.pattern})(?:=(?:"((?:[^"\\]|\\.)*)"|({TOKEN.pattern})))?')
_HIT = re.compile(r"\bhit\b", re.IGNORECASE)
_CACHE_FIELDS = ("x-cache", "cf-cache-status", "x-vercel-cache", "x-cache-status", "x-proxy-cache", "cache-status")


@dataclass(frozen=True, slots=True)
class CacheControl:
    """Directives in lower case; a directive without an argument has an empty one."""

    directives: dict[str, str]

    def seconds(self, name: str) -> int | None:
        """The argument of `max-age` or `s-maxage`; one that is no number counts as 0 (RFC 9111, section 4.2.1)."""
        if name not in self.directives:
            return None
        text = self.directives[name]
        return int(text) if re.fullmatch(r"[0-9]{1,15}", text) else 0


def parse(headers: Headers) -> CacheControl | None:
    """All Cache-Control fields together, or None where there is none."""
    sent = values(headers, "cache-control")
    if not sent:
        return None
    directives: dict[str, str] = {}
    for found in _DIRECTIVE.finditer(", ".join(sent)):
        argument = found[2] if found[2] is not None else found[3]
        directives.setdefault(found[1].lower(), argument or "")
    return CacheControl(directives)


def shared_hit(headers: Headers) -> str | None:
    """The header which shows that a shared cache answered, such as `Age: 12`, or None."""
    age = first(headers, "age")
    if age is not None and re.fullmatch(r"[0-9]+", age) and age.strip("0"):
        return f"Age: {short(age, 12)}"
    for name in _CACHE_FIELDS:
        for value in values(headers, name):
            if _HIT.search(value):
                return f"{name}: {short(value, 30)}"
    return None


def judge_private(headers: Headers) -> Verdict:
    """Judges an answer that belongs to one caller: it depends on a credential, or it sets a cookie."""
    control = parse(headers)
    sent = values(headers, "cache-control")
    observed = shown(sent) if sent else "no Cache-Control"

    def verdict(status: Status, reason: str) -> Verdict:
        return Verdict("cache.private", status, reason, observed, "Cache-Control: no-store")

    if (hit := shared_hit(headers)) is not None:
        return verdict(Status.FAIL, f"a shared cache answered ({hit})")
    if control is None:
        return verdict(Status.WARN, "no Cache-Control, so caches decide for themselves")
    directives = control.directives
    if "no-store" in directives:
        return verdict(Status.PASS, "no-store")
    if "private" in directives or "no-cache" in directives:
        return verdict(Status.WARN, "browsers keep a copy without no-store")
    if "public" in directives or "s-maxage" in directives:
        return verdict(Status.FAIL, "shared caches may keep it")
    return verdict(Status.WARN, "neither no-store nor private")


def judge_syntax(headers: Headers) -> Verdict:
    """Warns where Cache-Control contradicts itself or a span of time is no number (RFC 9111, section 4.2.1)."""
    control = parse(headers)
    sent = values(headers, "cache-control")
    observed = shown(sent) if sent else "no Cache-Control"

    def verdict(status: Status, reason: str) -> Verdict:
        return Verdict("cache.syntax", status, reason, observed, "directives that agree, spans in whole seconds")

    if control is None:
        return verdict(Status.NOT_APPLICABLE, "Cache-Control is not sent")
    directives = control.directives
    for name in ("max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"):
        if name in directives and not re.fullmatch(r"[0-9]{1,15}", directives[name]):
            return verdict(
                Status.WARN, f"{name}={short(directives[name], 20)} is no number of seconds, and counts as 0"
            )
    if "public" in directives and {"private", "no-store"} & directives.keys():
        return verdict(Status.WARN, "public contradicts private and no-store")
    return verdict(Status.PASS, "the directives agree")
