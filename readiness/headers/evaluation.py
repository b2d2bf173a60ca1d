"""All families over one answer: the one entry point for users and tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Literal
from urllib.parse import urlsplit

from readiness.headers import (
    caching,
    cookies,
    cors,
    csp,
    deprecated,
    disclosure,
    framing,
    hsts,
    integrity,
    isolation,
    media_type,
    permissions,
    redirect,
    referrer,
    sniffing,
)
from readiness.headers.base import Headers, Verdict, first, gravest, short
from readiness.model import Status

Profile = Literal["web", "api", "internal"]
RENDERED = ("text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml")
_BODILESS = (204, 205, 304)
_LONG_AGO = 1_000_000_000.0  # 2001: where the answer has no Date, an Expires before it is meant to delete a cookie


@dataclass(frozen=True, slots=True)
class _Answer:
    headers: Headers
    scheme: str
    host: str
    url: str
    status: int
    profile: Profile
    body: str
    origin: str | None
    private: bool
    now: float

    @property
    def not_rendered(self) -> str | None:
        """Why no browser shows this answer as a page, or None. Without a Content-Type it may."""
        if 300 <= self.status < 400 or self.status in _BODILESS or self.status < 200:
            return f"a {self.status} is not rendered"
        kind = media_type.essence(self.headers)
        if kind and kind not in RENDERED:
            return f"{short(kind, 40)} is not rendered as a page"
        return "an API: browsers do not render its answers" if self.profile == "api" else None


def evaluate(
    headers: Iterable[tuple[str | bytes, str | bytes]],
    *,
    url: str = "https://localhost/",
    status: int = 200,
    profile: Profile = "web",
    body: str | bytes = "",
    origin: str | None = None,
    private: bool = False,
) -> list[Verdict]:
    """Judges the headers of one answer by every rule; the same rules, in the same order, for every answer.

    Args:
        headers: (name, value) in order and as sent; bytes are read as Latin-1.
        url: what was asked for; https or http decides what applies.
        profile: `web` serves pages, `api` data, `internal` is reached from a private network only.
        body: the beginning of the body, where it is at hand: for the media type, banners and Subresource Integrity.
        origin: the foreign Origin that the request carried, where it carried one.
        private: the answer belongs to one user; one that sets a session cookie always does.

    Returns:
        One verdict for each rule, `not_applicable` with the reason where a rule does not concern the answer. Whatever
        the headers hold, nothing is raised.
    """
    sent = [(_text(name), _text(value)) for name, value in headers]
    try:
        parts = urlsplit(url)
        scheme, host = parts.scheme.lower(), parts.hostname or ""
    except ValueError:
        scheme, host = "https", ""
    answer = _Answer(
        sent, scheme, host, url, status, profile, _text(body, "utf-8"), origin, private, _date(sent)
    )  # fmt: skip
    return [
        *_page(answer, csp.judge_all(sent)),
        *_transport(answer),
        *_page(answer, [framing.judge(sent)]),
        *_content(answer),
        *_page(answer, [referrer.judge(sent), permissions.judge(sent)]),
        *_page(answer, [isolation.judge_opener(sent), isolation.judge_embedder(sent)]),
        *_personal(answer),
        cors.judge(sent, origin),
        disclosure.judge(sent, answer.body if status >= 400 else ""),
        disclosure.judge_sources(sent),
        *deprecated.judge_all(sent),
        redirect.judge_upgrade(sent, url=url, status=status, profile=profile),
        redirect.judge_target(sent, url=url, status=status),
        *_page(answer, integrity.judge_all(sent, url=url, body=answer.body)),
    ]


def family(verdicts: Iterable[Verdict], name: str) -> Verdict:
    """The gravest verdict of the rules that begin with `name` and a dot. Raises ValueError where there is none."""
    return gravest(verdict for verdict in verdicts if verdict.id.startswith(f"{name}."))


def _text(value: str | bytes, encoding: str = "latin-1") -> str:
    return value.decode(encoding, "replace") if isinstance(value, bytes) else value


def _date(headers: Headers) -> float:
    try:
        sent = parsedate_to_datetime(first(headers, "date") or "")
        return sent.replace(tzinfo=sent.tzinfo or UTC).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return _LONG_AGO


def _without(verdict: Verdict, reason: str) -> Verdict:
    return Verdict(verdict.id, Status.NOT_APPLICABLE, reason, verdict.observed, verdict.expected)


def _page(answer: _Answer, verdicts: list[Verdict]) -> list[Verdict]:
    """What only matters on an answer that a browser renders."""
    reason = answer.not_rendered
    return verdicts if reason is None else [_without(verdict, reason) for verdict in verdicts]


def _transport(answer: _Answer) -> list[Verdict]:
    """Browsers heed HSTS on every status, redirects too, but over https alone (RFC 6797, section 8.1)."""
    verdicts = hsts.judge_all(answer.headers)
    if answer.scheme != "https":
        reason = "browsers ignore the header over plain http (RFC 6797, section 8.1)"
        return [_without(verdict, reason) for verdict in verdicts]
    if answer.profile == "internal":
        reason = "the preload list takes public hosts only"
        return [_without(v, reason) if v.id == "hsts.preload" else v for v in verdicts]
    return verdicts


def _content(answer: _Answer) -> list[Verdict]:
    verdicts = [
        sniffing.judge(answer.headers),
        media_type.judge(answer.headers, status=answer.status, body=answer.body),
    ]
    if 300 <= answer.status < 400 or answer.status in _BODILESS:
        return [_without(verdict, f"nothing uses the body of a {answer.status}") for verdict in verdicts]
    return verdicts


def _personal(answer: _Answer) -> list[Verdict]:
    """Cookies, and what follows for an answer that belongs to one user."""
    own = [
        cookie
        for cookie in cookies.cookies(answer.headers)
        if not cookies.INFRASTRUCTURE.match(cookie.name) and not cookie.deletes(answer.now)
    ]
    judged = [
        Verdict(v.id, v.status, v.reason if v.status is Status.PASS else f"{short(c.name, 40)}: {v.reason}", v.observed,
                v.expected)
        for c in own
        for v in cookies.judge_all(c, https=answer.scheme == "https", host=answer.host)
    ]  # fmt: skip
    none = "no cookie of the application's own is set"
    of_cookies = [
        gravest([v for v in judged if v.id == f"cookies.{rule}"])
        if own
        else Verdict(f"cookies.{rule}", Status.NOT_APPLICABLE, none, "no cookie", "Secure; HttpOnly; SameSite")
        for rule in cookies.RULES
    ]
    private = answer.private or any(cookie.session_like for cookie in own)
    resource = isolation.judge_resource(answer.headers, private=answer.private)
    cached = caching.judge_private(answer.headers)
    return [
        resource if not 300 <= answer.status < 400 else _without(resource, f"nothing embeds a {answer.status}"),
        *of_cookies,
        cached if private else _without(cached, "the answer belongs to nobody in particular"),
        caching.judge_syntax(answer.headers),
    ]
