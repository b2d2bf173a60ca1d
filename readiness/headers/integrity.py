"""Subresource Integrity (W3C SRI): whether what a page loads from other hosts is pinned to its content."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import urljoin, urlsplit

from readiness.headers.base import Headers, Verdict, short
from readiness.model import Status

_LOOK_AT, _MOST_TAGS = 65_536, 500
_TAG = re.compile(r"<(script|link)\b((?:[^<>\"']|\"[^\"<>]{0,4000}\"|'[^'<>]{0,4000}'){0,400})>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"([^\s=/\"'<>]{1,60})(?:\s{0,5}=\s{0,5}(\"[^\"]*\"|'[^']*'|[^\s\"'<>]+))?")
_DIGEST = re.compile(r"sha(?:256|384|512)-[A-Za-z0-9+/_-]+={0,2}(?:\?\S*)?")
_EXPECTED = "integrity=sha384-... on what other hosts serve"


def judge_all(headers: Headers, *, url: str, body: str) -> list[Verdict]:
    """`sri.scripts` and `sri.styles`; not applicable where the page loads none, or there is no page at hand."""
    found: dict[str, list[tuple[str, str]]] = {"scripts": [], "styles": []}
    for kind, source, integrity in _loaded(body[:_LOOK_AT]):
        found[kind].append((source, integrity))
    return [_judge(kind, url, sources, bool(body)) for kind, sources in found.items()]


def _judge(kind: str, url: str, sources: list[tuple[str, str]], page: bool) -> Verdict:
    def verdict(status: Status, reason: str, observed: str) -> Verdict:
        return Verdict(f"sri.{kind}", status, reason, observed, _EXPECTED)

    if not sources:
        reason = f"the page loads no {kind}" if page else "no page to look at"
        return verdict(Status.NOT_APPLICABLE, reason, f"no {kind}")
    foreign = 0
    for source, integrity in sources:
        origin, target = _origin(url), _origin(_joined(url, source))
        if target is None or target == origin:
            continue
        if origin is not None and origin[0] == "https" and target[0] == "http":
            return verdict(Status.FAIL, f"{short(source, 50)} is loaded over plain http", short(source))
        foreign += 1
        digests = integrity.split()
        if not digests:
            return verdict(Status.WARN, f"{short(source, 50)} is loaded without integrity", short(source))
        if not any(_DIGEST.fullmatch(digest) for digest in digests):
            return verdict(
                Status.WARN, f"integrity of {short(source, 50)} is no sha256, sha384 or sha512", short(integrity)
            )
    if foreign:
        return verdict(Status.PASS, f"{foreign} {kind} of other hosts carry integrity", f"{foreign} pinned")
    return verdict(Status.PASS, f"all {kind} come from the page's own origin", f"{len(sources)} own")


def _loaded(page: str) -> Iterator[tuple[str, str, str]]:
    """Kind, address and integrity of every script and style sheet that the page names."""
    for number, tag in enumerate(_TAG.finditer(_without_comments(page))):
        if number >= _MOST_TAGS:
            return
        attributes: dict[str, str] = {}
        for name, value in _ATTRIBUTE.findall(tag[2]):
            attributes.setdefault(name.lower(), unescape(value.strip("\"'")))
        if tag[1].lower() == "script":
            if source := attributes.get("src"):
                yield "scripts", source, attributes.get("integrity", "")
        elif "stylesheet" in attributes.get("rel", "").lower().split() and (source := attributes.get("href")):
            yield "styles", source, attributes.get("integrity", "")


def _without_comments(page: str) -> str:
    kept, at = [], 0
    while (begin := page.find("<!--", at)) >= 0:
        kept.append(page[at:begin])
        end = page.find("-->", begin + 4)
        if end < 0:
            return "".join(kept)
        at = end + 3
    return "".join([*kept, page[at:]])


def _joined(url: str, source: str) -> str:
    try:
        return urljoin(url, source)
    except ValueError:
        return ""


def _origin(url: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname or "", port) if parts.scheme in ("http", "https") and parts.hostname else None
