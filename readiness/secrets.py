"""Keeps configured secrets out of everything that is printed or written, by their literal value."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

from pydantic import BaseModel, SecretStr

MASK = "•••"
SHORTEST = 4  # anything shorter would mask ordinary words


class Scrubber:
    """Replaces every known secret, raw or percent-, base64-, JSON- or HTML-encoded, with a mask."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
        # Longest first, so that a secret inside another one leaves no remainder.
        self._forms = sorted(forms, key=len, reverse=True)

    def text(self, value: str) -> str:
        for form in self._forms:
            if form in value:
                value = value.replace(form, MASK)
        return value

    def data(self, value: Any) -> Any:
        """The same through mappings, lists and tuples; keys too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.data(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.data(item) for item in value]
        return value


def of(settings: BaseModel) -> Scrubber:
    """A scrubber for every secret in a configuration: whole values, and the passwords inside URLs."""
    found: set[str] = set()
    _collect(settings.model_dump(), found)
    return Scrubber(found)


def _collect(value: Any, found: set[str]) -> None:
    if isinstance(value, SecretStr):
        found.update(_parts(value.get_secret_value()))
    elif isinstance(value, Mapping):
        for item in value.values():
            _collect(item, found)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _collect(item, found)


def _parts(secret: str) -> Iterable[str]:
    if "://" in secret:
        try:
            password = urlsplit(secret).password
        except ValueError:
            password = secret
        if password:
            yield password
            yield unquote(password)
        return
    yield secret
    # `Authorization: Bearer TOKEN`: the token appears on its own too.
    if " " in secret:
        yield secret.rpartition(" ")[2]


def _forms(secret: str) -> Iterable[str]:
    raw = secret.encode("utf-8", "surrogatepass")
    yield secret
    yield quote(secret, safe="")
    yield quote(secret)
    yield quote_plus(secret)
    yield html.escape(secret)
    yield json.dumps(secret)[1:-1]
    if len(raw) >= 8:
        yield base64.b64encode(raw).decode().rstrip("=")
        yield base64.urlsafe_b64encode(raw).decode().rstrip("=")
