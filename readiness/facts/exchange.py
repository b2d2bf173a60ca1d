"""One HTTP request and what came back, as plain data."""

from __future__ import annotations

import json
from typing import Any

from readiness.facts.base import Facts


class Exchange(Facts):
    """One request and its answer, undecoded: headers in order and as sent, the body's beginning as text.

    `size` counts the body's bytes as read, `truncated` says that there was more, `too_deep` that it is nested
    deeper than a document should be. `seconds` is from sending the request
    to the last byte read, on an established connection.
    """

    method: str
    url: str
    sent: dict[str, str] = {}
    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    size: int = 0
    truncated: bool = False
    too_deep: bool = False
    seconds: float = 0.0
    http_version: str = "HTTP/1.1"

    def header(self, name: str) -> str | None:
        """The first header of that name, in any case, or None."""
        return next(iter(self.header_values(name)), None)

    def header_values(self, name: str) -> list[str]:
        """Every header of that name, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def media_type(self) -> str:
        """The media type of the answer in lower case without parameters, or an empty string."""
        return (self.header("content-type") or "").partition(";")[0].strip().lower()

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def parsed(self) -> Any:
        """The body as JSON, or None where it is none, was cut off, or is nested too deeply."""
        if self.truncated or self.too_deep:
            return None
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def curl(self) -> str:
        """A command that repeats the request by hand, without its secrets."""
        headers = "".join(f" -H '{name}: {value}'" for name, value in self.sent.items())
        return f"curl -si{'' if self.method == 'GET' else ' -X ' + self.method}{headers} '{self.url}'"
