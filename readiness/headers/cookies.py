"""Set-Cookie, RFC 6265bis: attributes, name prefixes, and which cookies look like sessions."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from readiness.headers.base import Headers, Verdict, gravest, short, values
from readiness.model import Status

LONGEST = 4096
"""Browsers drop a cookie whose name and value are longer together, in bytes."""

INFRASTRUCTURE = re.compile(
    r"(?i)^(AWSALB\w*|AWSELB\w*|__cf\w*|_cfuvid|cf_\w+|heroku-session-affinity|ARRAffinity\w*|BIGipServer.*|SERVERID|"
    r"incap_ses_.*|visid_incap_.*|nlbi_.*|ak_bmsc|bm_\w+|_abck|GCLB|akaalb_.*|route|JSERV.*)$"
)
"""Cookies of load balancers and shields, which the application cannot set otherwise."""

_CSRF = re.compile(r"(?i)csrf|xsrf")
_SESSION = re.compile(r"(?i)sess|auth|token|jwt|login|remember|(^|[._-])s?id$|^sid|^connect\.")
_JWT = re.compile(r"[\w-]{8,}\.[\w-]{8,}\.[\w-]*")
_LONG_RANDOM, _BITS_PER_CHARACTER = 20, 3.0
_SHORT = 8
_FILLER = "0a1b2c3d4e5f6g7h8i9j"


@dataclass(frozen=True, slots=True)
class Cookie:
    """One Set-Cookie field. Attribute names are in lower case, and the last of equal attributes counts."""

    name: str
    value: str
    attributes: Mapping[str, str]

    @property
    def secure(self) -> bool:
        return "secure" in self.attributes

    @property
    def http_only(self) -> bool:
        return "httponly" in self.attributes

    @property
    def same_site(self) -> str:
        """strict, lax or none; empty where the attribute is missing or unknown."""
        value = self.attributes.get("samesite", "").lower()
        return value if value in ("strict", "lax", "none") else ""

    def deletes(self, now: float) -> bool:
        """Whether it removes a cookie rather than setting one. `now` in seconds since 1970."""
        age = self.attributes.get("max-age")
        if age is not None and re.fullmatch(r"-?[0-9]+", age):
            return age.startswith("-") or not age.strip("0")
        try:
            expires = parsedate_to_datetime(self.attributes["expires"].replace("-", " "))
            return expires.replace(tzinfo=expires.tzinfo or UTC) <= datetime.fromtimestamp(now, UTC)
        except (KeyError, ValueError, TypeError, OverflowError, IndexError):
            return False

    @property
    def session_like(self) -> bool:
        """Whether name or value look like something that authenticates."""
        if _CSRF.search(self.name):
            return False
        return bool(_SESSION.search(self.name) or _JWT.fullmatch(self.value))


def mask(value: str) -> str:
    """A Set-Cookie value with another content of the same length and kind, so that it can be kept and shown."""
    pair, semicolon, rest = value.partition(";")
    name, equals, content = pair.partition("=")
    text = content
    if len(text.strip()) < _SHORT:
        return value
    if _random(text.strip()):
        filler = (_FILLER * (len(text) // len(_FILLER) + 1))[: len(text)]
        text = "".join(old if old in ". \t" else new for old, new in zip(text, filler, strict=True))
    else:
        text = re.sub(r"[^. \t]", "x", text)
    return f"{name}{equals}{text}{semicolon}{rest}"


def _random(value: str) -> bool:
    if len(value) < _LONG_RANDOM or not re.fullmatch(r"[\w%+/=.~:-]+", value):
        return False
    shares = [count / len(value) for count in Counter(value).values()]
    return -sum(share * math.log2(share) for share in shares) >= _BITS_PER_CHARACTER


def parse(value: str) -> Cookie | None:
    """One Set-Cookie value, or None where a browser ignores it."""
    pair, *rest = value.split(";")
    name, equals, content = pair.partition("=")
    if not equals:
        name, content = "", pair
    name, content = name.strip(" \t"), content.strip(" \t")
    if not name and not content:
        return None
    attributes = {}
    for part in rest:
        key, _, argument = part.partition("=")
        attributes[key.strip(" \t").lower()] = argument.strip(" \t")
    return Cookie(name, content, attributes)


def cookies(headers: Headers) -> list[Cookie]:
    """Every cookie that the answer sets or deletes."""
    return [cookie for value in values(headers, "set-cookie") if (cookie := parse(value)) is not None]


def judge_all(cookie: Cookie, *, https: bool, host: str) -> list[Verdict]:
    """Judges one cookie that is set, not deleted: one verdict for each rule.

    Args:
        https: whether the answer came over https; without it no browser would take a Secure cookie anyway.
        host: the host that sent it.
    """
    name, attributes = short(cookie.name, 40) or "(no name)", cookie.attributes
    observed = short("; ".join([name, *(f"{k}={v}" if v else k for k, v in attributes.items())]), 100)
    expected = "Secure; HttpOnly; SameSite=Lax or Strict" if cookie.session_like else "Secure, valid prefix and size"
    judged = {
        "prefix": _prefixed(cookie),
        "samesite": _same_site(cookie),
        "size": _sized(cookie),
        "httponly": _http_only(cookie),
        "secure": _secure(cookie, https),
        "domain": _domain(cookie, host),
    }
    return [Verdict(f"cookies.{rule}", status, reason, observed, expected) for rule, (status, reason) in judged.items()]


def judge(cookie: Cookie, *, https: bool, host: str) -> Verdict:
    """The gravest verdict of all rules."""
    return gravest(judge_all(cookie, https=https, host=host))


RULES = ("prefix", "samesite", "size", "httponly", "secure", "domain")
_GOOD = Status.PASS, "well protected"


def _prefixed(cookie: Cookie) -> tuple[Status, str]:
    broken = _prefix(cookie)
    return _GOOD if broken is None else (Status.FAIL, f"browsers refuse it: {broken}")


def _same_site(cookie: Cookie) -> tuple[Status, str]:
    if cookie.same_site == "none" and not cookie.secure:
        return Status.FAIL, "browsers refuse it: SameSite=None without Secure"
    if not cookie.session_like:
        return _GOOD
    if not cookie.same_site:
        return Status.WARN, "no SameSite, so each browser applies its own default"
    if cookie.same_site == "none":
        return Status.WARN, "SameSite=None sends the session with requests from other sites"
    return _GOOD


def _sized(cookie: Cookie) -> tuple[Status, str]:
    if len((cookie.name + cookie.value).encode("utf-8", "replace")) > LONGEST:
        return Status.FAIL, f"browsers refuse it: longer than {LONGEST} bytes"
    return _GOOD


def _http_only(cookie: Cookie) -> tuple[Status, str]:
    if cookie.http_only:
        return _GOOD
    if cookie.session_like:
        return Status.FAIL, "a session cookie that scripts can read (no HttpOnly)"
    if _random(cookie.value) and not _CSRF.search(cookie.name):
        return Status.WARN, "a long random value that scripts can read (no HttpOnly)"
    return _GOOD


def _secure(cookie: Cookie, https: bool) -> tuple[Status, str]:
    if not https or cookie.secure:
        return _GOOD
    return (Status.FAIL if cookie.session_like else Status.WARN), "sent over plain http too (no Secure)"


def _domain(cookie: Cookie, host: str) -> tuple[Status, str]:
    domain = cookie.attributes.get("domain", "").lstrip(".").lower()
    if cookie.session_like and domain and domain != host.lower():
        return Status.WARN, f"sent to every host of {short(domain, 40)}"
    return _GOOD


def _prefix(cookie: Cookie) -> str | None:
    """The rule of its name prefix that the cookie breaks (section 4.1.3), or None."""
    name = cookie.name.lower()
    if name.startswith(("__secure-", "__host-")) and not cookie.secure:
        return f"{cookie.name.split('-')[0]}- without Secure"
    if name.startswith("__host-"):
        if "domain" in cookie.attributes:
            return "__Host- with Domain"
        if cookie.attributes.get("path") != "/":
            return "__Host- without Path=/"
    return None
