"""What the service answers for paths that do not exist, so that nothing is "found" that answers the same."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from readiness.facts.exchange import Exchange

COMPARED = 64 * 1024
"""How many characters of a body are compared: as many as are kept of the answer to an unknown path."""
_WITH_DIGIT = re.compile(
    r"(?<![\w-])[\w-]*\d[\w:.+-]*"
)  # begins at a word's beginning only, or long words cost squares


@dataclass(frozen=True, slots=True)
class Signature:
    """An answer without what differs between two requests: its own path, numbers, ids."""

    status: int
    media_type: str
    location: str
    digest: str


def signature(exchange: Exchange) -> Signature:
    """The signature of one answer."""
    path = urlsplit(exchange.url).path
    names = sorted({path, path.strip("/"), *path.strip("/").split("/")} - {""}, key=len, reverse=True)

    def plain(text: str) -> str:
        for name in names:
            text = text.replace(name, "")
        # Ids, times and nonces change with every answer: any word with a digit in it goes.
        return _WITH_DIGIT.sub("", text)

    body = plain(exchange.body[:COMPARED])
    return Signature(
        exchange.status,
        exchange.media_type,
        plain(exchange.header("location") or ""),
        hashlib.sha256(body.encode("utf-8", "replace")).hexdigest(),
    )


@dataclass(frozen=True, slots=True)
class Baseline:
    """The answers to random paths."""

    answers: tuple[Signature, ...]

    @property
    def walled(self) -> bool:
        """Whether everything asks for credentials, so that nothing is learned without them."""
        return all(answer.status in (401, 403) for answer in self.answers)

    @property
    def soft(self) -> bool:
        """Whether an unknown path is answered as if it existed."""
        return any(answer.status < 300 for answer in self.answers)

    def matches(self, exchange: Exchange) -> bool:
        """Whether the answer is that to an unknown path; for pages, the same status and type suffice."""
        seen = signature(exchange)
        return any(
            (answer.status, answer.media_type, answer.location) == (seen.status, seen.media_type, seen.location)
            and (answer.digest == seen.digest or seen.media_type == "text/html" or 300 <= seen.status < 400)
            for answer in self.answers
        )
