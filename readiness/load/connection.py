"""One keep-alive connection: one request at a time, and how it ended."""

from __future__ import annotations

import asyncio
import math
import re
from time import perf_counter
from typing import Protocol, cast

import httptools

from readiness.load.result import KINDS, Kind, Sample

MAX_HEAD = 256 * 1024
MAX_INTERIM = 16
_FRAMED = re.compile(rb"(?i)\n(?:content-length|transfer-encoding)[ \t]*:")
_INTERIM = re.compile(rb"HTTP/1\.[01] 1\d\d")


class Owner(Protocol):
    """What a connection is given by its engine, and what it tells it."""

    payload: bytes
    timeout: float
    max_bytes: int

    def ended(self, connection: Connection, kind: Kind, now: float, reusable: bool) -> None: ...
    def surplus(self, connection: Connection) -> None: ...
    def lost(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """Sends the engine's request and reads the answer, which may be anything.

    The parser gets no header and no body callbacks: they would cost more than all the rest. The few answers whose
    headers matter (redirects, 429, an end without a length) are read again from the bytes that were kept.
    """

    __slots__ = (
        "_extra", "_head", "_in_body", "_interim", "_keep", "_owner", "_parser", "_received", "_status", "_timeout",
        "_transport", "deadline", "due", "first_byte", "latency", "previous", "received", "sample",
    )  # fmt: skip

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._timeout = owner.timeout
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self.sample: Sample | None = None  # None while idle
        self.previous: Sample | None = None  # of the last answer, where it was a success
        self.due = self.first_byte = self.latency = 0.0
        self.deadline = math.inf
        self.received = 0  # bytes, over all answers
        self._keep = True
        self._head: bytes | bytearray | None = None
        self._in_body = self._extra = False
        self._status = self._interim = self._received = 0

    @property
    def usable(self) -> bool:
        """Whether a request can be sent now."""
        return self._transport is not None and self.sample is None

    def send(self, due: float, sample: Sample) -> None:
        """Sends one request that was due then."""
        self.due = due
        self.deadline = due + self._timeout
        self.first_byte = 0.0
        self.sample = sample
        self._transport.write(self._owner.payload)  # type: ignore[union-attr]  # `usable` was asked before

    def idle(self) -> None:
        """Makes ready for the next request."""
        self.previous = self.sample if 200 <= self._status < 300 else None
        self.sample = None
        self.deadline = math.inf
        self._head = None
        self._in_body = self._extra = False
        self._status = self._interim = self._received = 0

    def give_up(self, now: float) -> None:
        """Ends the request that is under way, because its time is over."""
        self._end(Kind.TIMEOUT, now, reusable=False)

    def drop(self) -> None:
        """Closes at once, whatever is under way; the engine hears nothing more."""
        transport, self._transport, self.sample, self.deadline = self._transport, None, None, math.inf
        if transport is not None:
            transport.abort()

    def header(self, name: bytes) -> str | None:
        """The first header of that name in the answer that has just ended, cut to 2000 characters, or None."""
        match = re.search(rb"(?i)\n" + name + rb"[ \t]*:[ \t]*([^\r\n]*)", self._headers())
        return match[1][:2000].strip().decode("latin-1") if match else None

    def _keep_head(self, data: bytes) -> None:
        if not isinstance(self._head, bytearray):
            self._head = bytearray(self._head or b"")
        self._head += data

    def _headers(self) -> bytes:
        head = bytes(self._head or b"")
        while _INTERIM.match(head):
            head = head.partition(b"\r\n\r\n")[2]
        return head.partition(b"\r\n\r\n")[0]

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        now = perf_counter()
        size = len(data)
        self.received += size
        if self.sample is None:
            if self._transport is not None:
                self._owner.surplus(self)
            return
        self._received += size
        if not self.first_byte:
            self.first_byte = now
        if self._head is None:
            self._head = data  # nearly always all of it, and not worth a copy
        elif not self._in_body:
            self._keep_head(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._end(Kind.MALFORMED, now, reusable=False)
            return
        if self._status and not self._extra:
            self.latency = now - self.due
            self._owner.ended(self, KINDS[self._status], now, self._keep)
        elif self._extra or self._interim > MAX_INTERIM or (not self._in_body and self._received > MAX_HEAD):
            self._end(Kind.MALFORMED, now, reusable=False)
        elif self._received > self._owner.max_bytes:
            self._end(Kind.OVERSIZED, now, reusable=False)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is None:
            return
        if self.sample is not None:
            if not self._in_body:
                kind = Kind.RESET
            elif exc is not None or _FRAMED.search(self._headers()):
                kind = Kind.SHORT_BODY
            else:  # the end of the connection is the end of such a body
                kind = KINDS[self._parser.get_status_code()]
            self._end(kind, perf_counter(), reusable=False)
        self._transport = None
        self._owner.lost(self)

    def _end(self, kind: Kind, now: float, *, reusable: bool) -> None:
        self.latency = now - self.due
        self._owner.ended(self, kind, now, reusable)

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._status:
            self._extra = True

    def on_headers_complete(self) -> None:
        self._in_body = True

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self._interim += 1
            self._in_body = False
            return
        self._status = status or 999  # a status of 000 is none, but the answer is complete
        self._keep = self._parser.should_keep_alive()
