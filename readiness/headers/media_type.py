"""Content-Type: that there is one, that HTML names its encoding, and that it fits the body (ASVS 5.0 4.1.1)."""

from __future__ import annotations

import json
import re

from readiness.headers.base import TOKEN, Headers, Verdict, quoted, shown, values
from readiness.model import Status

_TYPE = re.compile(rf"\s*({TOKEN.pattern})/({TOKEN.pattern})\s*(;.*)?")
_CHARSET = re.compile(r"(?i);\s*charset\s*=\s*\"?[\w.:-]+")
_META = re.compile(r"(?i)<meta[^<>]{0,200}charset")
_HTML = re.compile(r"(?i)\s*(?:<!--.{0,1000}?-->\s*)?<(?:!doctype html|html|head|body)\b", re.DOTALL)
_EMPTY = (204, 205, 304)


def essence(headers: Headers) -> str:
    """The media type in lower case without parameters; empty where there is none."""
    sent = values(headers, "content-type")
    found = _TYPE.fullmatch(sent[-1]) if sent else None
    return f"{found[1]}/{found[2]}".lower() if found else ""


def judge(headers: Headers, *, status: int = 200, body: str = "") -> Verdict:
    """Warns where the type or the encoding of HTML is missing, fails where HTML is declared to be JSON."""
    sent = values(headers, "content-type")
    observed = shown(sent) if sent else "not sent"

    def verdict(outcome: Status, reason: str) -> Verdict:
        return Verdict("mime.type", outcome, reason, observed, "the type of the body, with a charset for text/html")

    if not sent:
        if not body and not (_content_follows(headers) and status not in _EMPTY):
            return verdict(Status.NOT_APPLICABLE, "no body is known that would have to be declared")
        return verdict(Status.WARN, "Content-Type is missing, so browsers guess")
    kind = essence(headers)
    if not kind:
        return verdict(Status.WARN, f"Content-Type {quoted(observed)} is no media type")
    if len({value.lower() for value in sent}) > 1:
        return verdict(Status.WARN, "Content-Type is sent twice with different values")
    if (kind == "application/json" or kind.endswith("+json")) and _HTML.match(body[:4096]):
        return verdict(Status.FAIL, "an HTML page is declared to be JSON")
    if kind == "text/html":
        if body and _is_json(body):
            return verdict(Status.FAIL, "JSON is declared to be an HTML page, in which markup would run")
        if not _CHARSET.search(sent[-1]) and not _META.search(body[:1024]):
            return verdict(Status.WARN, "text/html names no charset")
    return verdict(Status.PASS, f"declared as {kind}")


def _content_follows(headers: Headers) -> bool:
    lengths = values(headers, "content-length")
    return bool(values(headers, "transfer-encoding")) or any(length.strip("0") for length in lengths)


def _is_json(body: str) -> bool:
    text = body.strip()
    if not text or text[0] not in "{[" or text[-1] not in "}]" or len(text) > 65_536:
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
