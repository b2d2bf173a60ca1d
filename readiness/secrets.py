"""Keeps configured secrets out of everything that is printed or written, by their literal value."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import EnumMeta
from functools import cache
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from pydantic import BaseModel, SecretStr

from readiness import model

MASK = "•••"
SHORTEST = 4  # anything shorter would mask ordinary words
_CUT = "…"
_LEAST_REST = 6
"""How much of a secret's beginning is masked at the end of a text, where something may have cut it off."""

_SECRET_NAME = re.compile(
    r"pass(wor[dt]|wd|phrase|$)|pwd|secret|token|credential|api.?key|signature|^(key|sig|auth)$", re.I
)
_PASSWORD = re.compile(r"pass(word|wd|phrase)?$|pwd$", re.I)
_PROPERTIES = "authmechanismproperties"
_PLAIN_HEADERS = re.compile(
    r"accept|accept-(charset|encoding|language)|cache-control|content-type|host|origin|pragma|prefer|range|referer"
    r"|user-agent|x-forwarded-(for|host|port|proto)",
    re.I,
)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}://", re.A)
_LOGIN_IN_URL = re.compile(r"(://[^\s/?#@:]*:)[^\s]*@")


class Scrubber:
    """Replaces every known secret with a mask: raw, as URLs, JSON, HTML or Python write it, inside base64, or cut off.

    A word of the report's own vocabulary, such as `pass`, is no secret: masked, there would be no report.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        ordinary = _vocabulary()
        known = {secret for secret in secrets if len(secret) >= SHORTEST and secret not in ordinary}
        forms = {form for secret in known for form in _forms(secret) if len(form) >= SHORTEST and form not in ordinary}
        # Longest first, so that a secret inside another one leaves no remainder.
        self._forms = sorted(forms, key=len, reverse=True)

    def text(self, value: str) -> str:
        for form in self._forms:
            if form in value:
                value = value.replace(form, MASK)
        return self._without_beginnings(value)

    def _without_beginnings(self, value: str) -> str:
        """Masks what a limit of length left of a secret: its beginning, before an ellipsis or the end."""
        pieces = value.split(_CUT)
        last = len(pieces) - 1
        for n, piece in enumerate(pieces):
            least = SHORTEST if n < last else _LEAST_REST
            for form in self._forms:
                # Of those that could match, the first letters are the rarest to occur.
                at = piece.find(form[:least], max(0, len(piece) - len(form) + 1))
                while at >= 0 and not form.startswith(piece[at:]):
                    at = piece.find(form[:least], at + 1)
                if at >= 0:
                    piece = piece[:at] + MASK
            pieces[n] = piece
        return _CUT.join(pieces)

    def data(self, value: Any) -> Any:
        """The same through mappings, lists and tuples; keys too."""
        everything = "\n".join(_texts(value))
        narrowed = Scrubber(())
        # Mostly none of them occurs, and then there is no need to look for each of them in each text.
        narrowed._forms = [form for form in self._forms if form[:SHORTEST] in everything]
        return narrowed._data(value)

    def _data(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self._data(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._data(item) for item in value]
        return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def of(settings: BaseModel, more: Iterable[str] = ()) -> Scrubber:
    """A scrubber for every secret in a configuration, and for `more` that were learned on the way."""
    return Scrubber({*_found(settings.model_dump()), *more})


_told: set[str] = set()


def remember(data: Mapping[str, Any]) -> None:
    """Takes note of configuration data before it is validated: errors and tracebacks of this process must not quote it.

    What it remembered of other data before is forgotten.
    """
    _told.clear()
    _told.update(_found(data))


def masked(text: str) -> str:
    """A message of this program without what it was told to `remember`, and without the password of any URL."""
    return _LOGIN_IN_URL.sub(rf"\1{MASK}@", Scrubber(_told).text(text))


def _found(value: Any, name: str = "", *, header: bool = False) -> Iterator[str]:
    """Every secret below a configuration value: what is typed as one, what is named like one, and logins in URLs."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if " " in str(key):  # `{Authorization Bearer TOKEN}`, where the colon was forgotten
                yield from _of_header(str(key).partition(" ")[2])
            yield from _found(item, str(key), header=name == "headers")
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _found(item, name)
    elif isinstance(value, SecretStr) or header:
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        if _URL.match(text):
            yield from _of_url(text, typed=True)
        elif not (header and _PLAIN_HEADERS.fullmatch(name)):
            yield from _of_header(text)
    elif isinstance(value, (str, int)) and not isinstance(value, bool):
        text = str(value)
        if (_PASSWORD if isinstance(value, int) else _SECRET_NAME).search(name):
            yield from _of_header(text)
        if name.lower() == _PROPERTIES:
            yield from _of_properties(text)
        if "://" in text or "?" in text:
            yield from _of_url(text, typed=name in ("uri", "app_uri", "url", "app_url"))


def _of_url(url: str, *, typed: bool) -> Iterator[str]:
    """The password, those parameters that are named like secrets, and a user where there is no password.

    Args:
        typed: that the URL is one of a server, to which a user alone may be the key.
    """
    rest = url.partition("://")[2]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    # A password that is not encoded may hold what ends the authority.
    login = authority.rpartition("@")[0] or (rest.rpartition("@")[0] if typed else "")
    user, colon, password = login.partition(":")
    for each in (password if colon else user if typed else "",):
        yield each
        yield unquote(each)
    for name, value in re.findall(r"[?&#;]([^=&#?]+)=([^&#]*)", url):
        if _SECRET_NAME.search(unquote(name)):
            yield value
            yield unquote_plus(value)
        if name.lower() == _PROPERTIES:
            yield from _of_properties(unquote(value))


def _of_properties(text: str) -> Iterator[str]:
    """`AWS_SESSION_TOKEN:...` among the properties of a mechanism."""
    for part in text.split(","):
        name, colon, value = part.partition(":")
        if colon and _SECRET_NAME.search(name) and "//" not in part:
            yield value


def _of_header(text: str) -> Iterator[str]:
    """The value as a whole, and its parts that appear alone too: `Bearer TOKEN`, `Basic BASE64`, `name=value; ...`."""
    yield text
    yield text.strip()
    if len(words := text.split()) == 2:
        yield words[1]
    for value in re.findall(r"=\s*\"?([^;,\"\s]+)", text):
        if len(value.strip("=")) >= SHORTEST:
            yield value
    scheme, _, encoded = text.strip().partition(" ")
    if scheme.lower() == "basic":
        try:
            pair = base64.b64decode(encoded, validate=True).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            return
        yield pair
        yield pair.partition(":")[2]


def _forms(secret: str) -> Iterator[str]:
    """How drivers, servers and formats write a secret."""
    raw = secret.encode("utf-8", "surrogatepass")
    yield secret
    yield re.sub(r"\s+", " ", secret)
    for encoded in (quote(raw, safe=""), quote(raw), quote_plus(raw), quote(raw, safe="!*'()~"), _all_percent(raw)):
        yield encoded
        yield re.sub("%..", lambda match: match[0].lower(), encoded)
    escaped = html.escape(secret)
    yield escaped
    yield escaped.replace("&#x27;", "&#39;")
    yield escaped.replace("&#x27;", "&#39;").replace("&quot;", "&#34;")
    yield html.escape(secret, quote=False)
    for text in (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
        yield text
        yield text.replace("/", "\\/")
        for character in "<>&'+":  # as Go, .NET and Rails do
            text = text.replace(character, f"\\u{ord(character):04x}")
        yield text
        yield re.sub(r"(?<=\\u)[0-9a-f]{4}", lambda match: match[0].upper(), text)
    yield repr(secret)[1:-1]
    yield repr(raw)[2:-1]
    yield raw.decode("latin-1")  # header bytes are read so
    yield secret.encode("latin-1", "replace").decode("utf-8", "replace")
    if len(raw) >= 8:
        yield from _base64(raw)
        yield raw.hex()


def _all_percent(raw: bytes) -> str:
    return "".join(f"%{byte:02X}" for byte in raw)


def _base64(raw: bytes) -> Iterator[str]:
    """The secret on its own, and inside something longer, where it may begin at any of three places."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(raw).decode().rstrip("=")
        for before in range(3):
            whole = encode(b"\0" * before + raw).decode().rstrip("=")
            # The first and the last character also hold bits of the neighbours.
            yield whole[(0, 2, 3)[before] : len(whole) - ((before + len(raw)) % 3 > 0)]


@cache
def _vocabulary() -> str:
    """The words by which reports are read again: statuses, fields, components."""
    words = [*model.COMPONENTS, *model.ON_DEMAND, *model.STACKS]
    for found in vars(model).values():
        if isinstance(found, EnumMeta):
            words += [str(each.value) for each in found]  # type: ignore[var-annotated]
        elif isinstance(found, type) and dataclasses.is_dataclass(found):
            words += [field.name for field in dataclasses.fields(found)]
    return "\n".join(words)
