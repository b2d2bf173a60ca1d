"""RESP2 replies under limits: what a server may make this program allocate is decided here."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Any

from readiness.facts.base import absent

Reply = Any
"""None, an int, a str, a list of replies, or `Refused`."""

REPLY_ITEMS = 50_000
REPLY_DEPTH = 8


class Malformed(Exception):
    """An answer that is not the Redis protocol, or is larger than any honest one."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An error reply, of which only the code is kept: its text may repeat what was sent."""

    code: str
    command: str = ""

    @property
    def lasting(self) -> bool:
        """Whether asking again would only be refused again."""
        return self.code in ("NOPERM", "UNKNOWN")

    @property
    def fact(self) -> Any:
        """The absent fact that stands for this refusal."""
        if self.code == "NOPERM":
            return absent(f"NOPERM: the account was refused {self.command}", f"+{self.privilege}")
        if self.code == "UNKNOWN":
            return absent(f"this service has no {self.command}")
        return absent(f"{self.command} was answered with {self.code}")

    @property
    def privilege(self) -> str:
        return self.command.lower().replace(" ", "|")


_CODE = re.compile(r"[A-Z][A-Z_]{1,30}(?=\s|$)")


def _refusal(text: str) -> Refused:
    match = _CODE.match(text)
    code, rest = (match[0], text[match.end() :].strip().lower()) if match else ("ERR", text.lower())
    if code == "ERR":
        if rest.startswith(("unknown command", "unknown subcommand", "unknown sentinel subcommand")):
            code = "UNKNOWN"
        elif rest.startswith("max number of clients"):
            code = "MAXCLIENTS"
        elif "without any password" in rest or "but no password is set" in rest:
            code = "NOPASS"
    return Refused(code)


class Parser:
    """RESP2 under limits, in the shape in which the driver's connection wants a parser."""

    def __init__(self, socket_read_size: int = 0, *, reply_bytes: int) -> None:
        self._stream: asyncio.StreamReader | None = None
        self._most = reply_bytes
        self._bytes = self._items = 0

    def on_connect(self, connection: Any) -> None:
        self._stream = connection._reader

    def on_disconnect(self) -> None:
        self._stream = None

    async def can_read(self) -> bool:
        return False

    can_read_destructive = can_read

    async def read_response(self, disable_decoding: bool = False, **_: Any) -> Reply:
        self._bytes, self._items = self._most, REPLY_ITEMS
        return await self._reply(REPLY_DEPTH)

    async def _reply(self, depth: int) -> Reply:
        if self._stream is None:
            raise ConnectionResetError
        line = (await self._stream.readuntil(b"\r\n"))[:-2]
        self._bytes -= len(line)
        self._items -= 1
        if depth < 0 or self._items < 0 or self._bytes < 0:
            raise Malformed("too large")
        kind, rest = line[:1], line[1:]
        match kind:
            case b"+":
                return rest.decode("utf-8", "replace")
            case b"-":
                return _refusal(rest.decode("utf-8", "replace"))
            case b":":
                return self._number(rest, -(2**63))
            case b"$":
                return await self._bulk(self._stream, self._number(rest, -1))
            case b"*":
                count = self._number(rest, -1)
                if count > self._items:
                    raise Malformed("too many elements")
                return None if count < 0 else [await self._reply(depth - 1) for _ in range(count)]
        raise Malformed("not a reply")

    async def _bulk(self, stream: asyncio.StreamReader, size: int) -> str | None:
        if size < 0:
            return None
        self._bytes -= size
        if self._bytes < 0:
            raise Malformed("too large")
        data = await stream.readexactly(size + 2)
        return data[:-2].decode("utf-8", "replace")

    @staticmethod
    def _number(text: bytes, least: int) -> int:
        if not re.fullmatch(rb"-?[0-9]{1,19}", text) or int(text) < least:
            raise Malformed("not a number")
        return int(text)
