"""Addresses as users write them, checked before anything is contacted."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

EXPECTED = "expected http://HOST[:PORT] or https://HOST[:PORT]"
PORTS = "the port must be between 1 and 65535"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # urlsplit drops some of them without a word


def http_url(text: str) -> str:
    """The URL without white space around it, its scheme in lower case.

    Raises:
        ValueError: not http or https, no host, a port that there is not, credentials. The text is never quoted.
    """
    text = text.strip()
    if _CONTROL.search(text):
        raise ValueError(f"{EXPECTED}, without control characters")
    parts = _split(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(EXPECTED)
    if parts.username is not None or parts.password is not None:
        raise ValueError("credentials belong into a header, not into the URL")
    if re.search(r"\s", parts.netloc):
        raise ValueError(f"{EXPECTED}, without spaces in the host")
    demand_port(re.sub(r".*\]|[^:]*", "", parts.netloc, count=1).removeprefix(":"))
    return parts.scheme + text[len(parts.scheme) :]


def demand_port(digits: str) -> None:
    """Raises ValueError where a port is none: port 0 would silently become that of the scheme."""
    if digits and not (digits.isascii() and digits.isdecimal() and 1 <= int(digits[:6]) <= 65535):
        raise ValueError(PORTS)


def _split(text: str) -> SplitResult:
    try:
        return urlsplit(text)
    except ValueError:
        raise ValueError(EXPECTED) from None
