"""Keeps configured secrets out of everything that is printed or written, by their literal value."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import html
import html.entities
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import EnumMeta
from functools import cache
from typing import Any
from urllib.parse import unquote, unquote_plus

from pydantic import BaseModel, SecretStr

from readiness import model

MASK = "•••"
SHORTEST = 4  # anything shorter would mask ordinary words
_CUT = "…"
_LEAST_REST = 6
"""How much of a secret's beginning is masked at the end of a text, where something may have cut it off."""
_LEAST_PART = 10
"""How much of it is masked anywhere, if it is not all letters: words may begin like it."""
_LEAST_WORD = 10
"""How much of it is masked at the end of a text even so."""

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
    """Replaces every known secret with a mask: as URLs, JSON, HTML or Python write it, inside base64, or cut off.

    A word of the report's own vocabulary, such as `pass`, is no secret: masked, there would be no report.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        ordinary = _vocabulary()
        forms = {form for secret in secrets if secret not in ordinary for form in _forms(secret)}
        # Longest first, so that a secret inside another one leaves no remainder.
        known = sorted((form for form in forms if len(form) >= SHORTEST), key=len, reverse=True)
        self._patterns = [_Pattern(form) for form in known]

    def text(self, value: str) -> str:
        for pattern in self._patterns:
            value = pattern.whole.sub(MASK, value)
        # Last, for what one secret begins with may be a part of another one, or of another form of itself.
        for pattern in self._patterns:
            value = pattern.without_rests(value)
        return value

    def data(self, value: Any) -> Any:
        """The same through mappings, lists and tuples; keys too."""
        everything = "\n".join(_texts(value))
        narrowed = Scrubber(())
        # Mostly none of them occurs, and then there is no need to look for each of them in each text.
        narrowed._patterns = [pattern for pattern in self._patterns if pattern.may_be_in(everything)]
        return narrowed._data(value)

    def _data(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self._data(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._data(item) for item in value]
        return value


class _Pattern:
    """One secret, of which each character may be encoded, any number of times over: an error may quote JSON that quotes
    a header. What a limit of length left of it counts too, which is its beginning."""

    def __init__(self, secret: str) -> None:
        parts = [_encoded(part) for part in re.findall(r"\\+|\s+|.", secret, re.DOTALL)]
        self._start = re.compile("".join(parts[:SHORTEST]))
        self._rest = [_compiled(part) for part in parts[SHORTEST:]]
        self.whole = re.compile("".join(parts))

    def may_be_in(self, text: str) -> bool:
        return self._start.search(text) is not None

    def without_rests(self, text: str) -> str:
        at = 0
        while found := self._start.search(text, at):
            at, end = found.end(), found.end()
            matched = SHORTEST
            for part in self._rest:
                if not (more := part.match(text, end)):
                    break
                end, matched = more.end(), matched + 1
            half = _HALF.match(text, end)  # of an encoded character
            end = half.end() if half else end
            if _is_rest(found[0] + text[found.end() : end], text[end : end + 1], matched):
                text = text[: found.start()] + MASK + text[end:]
                at = found.start() + len(MASK)
        return text


_HALF = re.compile(r"(%[0-9A-Fa-f]?|\\+([ux][0-9A-Fa-f]{0,3})?|&[#A-Za-z0-9]{0,6})(?=…|\Z)")


def _is_rest(text: str, following: str, matched: int) -> bool:
    """Whether the beginning of a secret is what something left of it, rather than a word that begins alike."""
    if following == _CUT:
        return True
    if text.isalpha():
        return not following and matched >= _LEAST_WORD
    return matched >= (_LEAST_PART if following else _LEAST_REST)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


@cache
def _encoded(part: str) -> str:
    """A pattern for one character of a secret, or a run of backslashes or white space, however it is encoded.

    What is searched comes from strangers: every repetition has a bound, and backslashes are never tried twice.
    """
    character = part[0]
    if character.isascii() and character.isalnum():
        return character
    if character == "\\":
        return rf"{_BACKSLASH}{{1,64}}+"
    if character.isspace():
        return rf"(?:{_PERCENT}(?i:20|0[9a-d]|a0)|\+|\s|{_ESCAPES}(?:u00(?i:20|0[9a-d]|a0)|[nrt])){{1,20}}"
    raw = character.encode("utf-8", "surrogatepass")
    units = character.encode("utf-16-be", "surrogatepass")
    entities = [name[:-1] for name, text in html.entities.html5.items() if text == character and name[-1] == ";"]
    numbers = rf"{_HASH}0{{0,6}}{ord(character)}|{_HASH}[xX]0{{0,6}}(?i:{ord(character):x})"
    ways = [
        "".join(rf"{_PERCENT}(?i:{byte:02x})" for byte in raw),
        _ESCAPES.join(rf"u(?i:{units[n]:02x}{units[n + 1]:02x})" for n in range(0, len(units), 2)),
        _ESCAPES.join(rf"x(?i:{byte:02x})" for byte in raw),
        rf"[xuU]0{{0,6}}(?i:{ord(character):02x})",
        rf"{_AMPERSAND}(?:amp{_SEMICOLON}){{0,4}}(?:{'|'.join([numbers, *map(re.escape, entities)])}){_SEMICOLON}",
        re.escape(character),
    ]
    return f"{_BACKSLASH}{{0,16}}+(?:{'|'.join(ways)})"


# What encodings are made of, itself encoded or not.
_PERCENT = "%(?:25){0,4}"
_HASH = f"(?:#|{_PERCENT}23)"
_SEMICOLON = f"(?:;|{_PERCENT}(?i:3b))"
_AMPERSAND = f"(?:&|{_PERCENT}26|u0026)"
_BACKSLASH = rf"(?:\\|{_PERCENT}(?i:5c)|&(?:amp;){{0,4}}{_HASH}(?:92|(?i:x5c)){_SEMICOLON})"
_ESCAPES = f"{_BACKSLASH}{{1,16}}+"


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
    """The secret, as it looks when its bytes are read as what they are not, and inside of what is base64 or hex."""
    raw = secret.encode("utf-8", "surrogatepass")
    yield secret
    yield raw.decode("latin-1")  # header bytes are read so
    yield secret.encode("latin-1", "replace").decode("utf-8", "replace")
    if len(raw) >= 8:
        yield from _base64(raw)
        yield raw.hex()


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
