"""One keep-alive connection: one request at a time, and how it ended."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable
from time import perf_counter
from typing import Protocol, cast

import httptools

from readiness.load.result import KINDS, Kind, Sample

MAX_HEAD = 256 * 1024
MAX_INTERIM = 16
MAX_USUAL = 16 * 1024
"""Of an answer that is compared with the one before it; a longer one is quicker to parse."""
_SUCCESS = Kind.SUCCESS
_FRAMED = re.compile(rb"(?i)\n(?:content-length|transfer-encoding)[ \t]*:")
_INTERIM = re.compile(rb"HTTP/1\.[01] 1\d\d")


class Owner(Protocol):
    """What a connection is given by its engine, and what it tells it.

    `usual` is the last success that came in one piece: the same bytes again need no parsing.
    """

    payload: bytes
    timeout: float
    max_bytes: int
    bodiless: bool
    usual: bytes

    def ended(self, connection: Connection, kind: Kind, now: float, reusable: bool) -> None: ...
    def surplus(self, connection: Connection) -> None: ...
    def lost(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """Sends the engine's request and reads the answer, which may be anything.

    The parser gets no header and no body callbacks: they would cost more than all the rest. The few answers whose
    headers matter (redirects, 429, an end without a length) are read again from the bytes that were kept.
    """

    __slots__ = (
        "_extra", "_head", "_in_body", "_interim", "_keep", "_mark", "_owner", "_parser", "_status", "_transport",
        "_unread", "_write", "deadline", "due", "first_byte", "latency", "previous", "received", "sample", "sent",
        "service",
    )  # fmt: skip

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._write: Callable[[bytes], None] = _nowhere
        self._parser = httptools.HttpResponseParser(self)
        self.sample: Sample | None = None  # None while idle
        self.previous: Sample | None = None  # of the last answer, where it was a success
        self.due = self.sent = self.first_byte = self.latency = self.service = 0.0
        self.deadline = math.inf
        self.received = self._mark = 0  # bytes over all answers, and of those before this one
        self._keep = True
        self._head: bytes | bytearray | None = None
        self._in_body = self._extra = False
        self._unread = owner.bodiless  # such an answer ends with its headers, whatever they announce
        self._status = self._interim = 0

    @property
    def usable(self) -> bool:
        """Whether a request can be sent now."""
        return self._transport is not None and self.sample is None

    @property
    def status(self) -> int:
        """Of the answer that has just ended, or 0."""
        return self._status

    def send(self, due: float, sent: float, sample: Sample) -> None:
        """Sends a request that was due earlier, or now."""
        owner = self._owner
        self.due = due
        self.sent = sent
        self.deadline = due + owner.timeout
        self.sample = sample
        self._write(owner.payload)

    def idle(self) -> None:
        """Forgets the answer that has just ended, and is ready for the next request."""
        self.previous = self.sample if 200 <= self._status < 300 else None
        self.sample = None
        self.deadline = math.inf
        self._head = None
        self._mark = self.received
        self._in_body = self._extra = False
        self._status = self._interim = 0

    def again(self, due: float, sent: float, sample: Sample) -> None:
        """`idle` and `send` in one, because nearly every request comes this way."""
        owner = self._owner
        self.previous = self.sample if 200 <= self._status < 300 else None
        self._head = None
        self._mark = self.received
        self._in_body = False  # and no more answers than one, or the connection would not be used again
        self._status = self._interim = 0
        self.due = due
        self.sent = sent
        self.deadline = due + owner.timeout
        self.sample = sample
        self._write(owner.payload)

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

    def _keep_head(self, data: bytes) -> bool:
        """Whether the headers are still of a size to go on with."""
        if not isinstance(self._head, bytearray):
            self._head = bytearray(self._head or b"")
        self._head += data
        return len(self._head) <= MAX_HEAD or self._head.find(b"\r\n\r\n", 0, MAX_HEAD) >= 0

    def _headers(self) -> bytes:
        return self._final().partition(b"\r\n\r\n")[0]

    def _final(self) -> bytes:
        """What was kept, from the head of the final answer on."""
        head = bytes(self._head or b"")
        while _INTERIM.match(head):
            head = head.partition(b"\r\n\r\n")[2]
        return head

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._write = self._transport.write

    def data_received(self, data: bytes) -> None:
        now = perf_counter()
        self.received += len(data)
        if self.sample is None:
            if self._transport is not None:
                self._owner.surplus(self)
            return
        if self._head is None:
            self.first_byte = now
            self._head = data  # nearly always all of it, and not worth a copy
            owner = self._owner
            if data == owner.usual:  # parsed before, and the parser is again where it was then: at a beginning
                self._status = 200
                self.latency = now - self.due
                owner.ended(self, _SUCCESS, now, True)
                return
        elif not self._in_body and not self._keep_head(data):
            self._end(Kind.MALFORMED, now, reusable=False)
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._end(Kind.MALFORMED, now, reusable=False)
            return
        if self._status and not self._extra:
            if self._status == 200 and self._keep and self._head is data and len(data) <= MAX_USUAL:
                self._owner.usual = data
            self.latency = now - self.due
            self._owner.ended(self, KINDS[self._status], now, self._keep)
        else:
            self._look(now)

    def _look(self, now: float) -> None:
        """Ends an answer that is incomplete, or more than one, where it must not go on."""
        size = self.received - self._mark
        if self._extra or self._interim > MAX_INTERIM or (not self._in_body and size > MAX_HEAD):
            self._end(Kind.MALFORMED, now, reusable=False)
        elif size > self._owner.max_bytes:
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
                self._status = self._parser.get_status_code()
                kind = KINDS[self._status]
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
        if self._unread and not 100 <= self._parser.get_status_code() < 200:
            self._complete_without_body()

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self._interim += 1
            self._in_body = False
        elif not self._unread:
            self._status = status or 999  # a status of 000 is none, but the answer is complete
            self._keep = self._parser.should_keep_alive()

    def _complete_without_body(self) -> None:
        """The answer to a HEAD request; the parser would go on to wait for the body."""
        self._status = self._parser.get_status_code() or 999
        self._extra = bool(self._final().partition(b"\r\n\r\n")[2])
        closing = (self.header(b"connection") or "").lower()
        self._keep = "close" not in closing and (self._parser.get_http_version() == "1.1" or "keep-alive" in closing)
        self._parser = httptools.HttpResponseParser(self)


def _nowhere(data: bytes) -> None:
    """Where a connection that is not open writes."""
