"""MongoDB servers that misbehave; `MISBEHAVIOURS` names them all."""

from __future__ import annotations

import asyncio
import datetime as dt
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import bson

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
Handler = Callable[[Reader, Writer], Awaitable[None]]
Document = Mapping[str, Any]

MISBEHAVIOURS: dict[str, Handler] = {}
PASSWORD = "s3cr3t-passw0rd"
HOSTILE = "\x1b]0;owned\x07[/nope] <script>alert(1)</script> \u202egnp \x9b31m =HYPERLINK(1) | `x` {{7*7}}"
OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013

HELLO: dict[str, Any] = {
    "ok": 1,
    "helloOk": True,
    "ismaster": True,
    "isWritablePrimary": True,
    "minWireVersion": 0,
    "maxWireVersion": 17,
    "maxBsonObjectSize": 16_777_216,
    "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000,
    "connectionId": 1,
    "readOnly": False,
}
FORBIDDEN = {"ok": 0, "code": 13, "codeName": "Unauthorized", "errmsg": f"not authorized, {HOSTILE} {PASSWORD}"}


async def message(reader: Reader) -> tuple[int, int, dict[str, Any]]:
    """Request id, operation and document of the next message."""
    length, request, _, operation = struct.unpack("<iiii", await reader.readexactly(16))
    body = await reader.readexactly(length - 16)
    if operation == OP_QUERY:
        start = body.index(b"\0", 4) + 1 + 8
        return request, operation, bson.decode(body[start : start + int.from_bytes(body[start : start + 4], "little")])
    return request, operation, bson.decode(body[5 : 5 + int.from_bytes(body[5:9], "little")])


def framed(request: int, operation: int, document: bytes) -> bytes:
    if operation == OP_QUERY:
        payload, kind = struct.pack("<iqii", 8, 0, 0, 1) + document, OP_REPLY
    else:
        payload, kind = struct.pack("<iB", 0, 0) + document, OP_MSG
    return struct.pack("<iiii", 16 + len(payload), 7, request, kind) + payload


def raw(name: str, make: Callable[[int, int, dict[str, Any]], bytes]) -> None:
    """Answers every message with bytes made from it."""

    async def handler(reader: Reader, writer: Writer) -> None:
        while True:
            writer.write(make(*await message(reader)))
            await writer.drain()

    MISBEHAVIOURS[name] = handler


def answering(name: str, default: Document | None = None, **replies: Document | bytes) -> None:
    """Greets honestly unless told otherwise, refuses what is not named, and gives `default` where there is one."""

    def make(request: int, operation: int, command: dict[str, Any]) -> bytes:
        word = next(iter(command))
        word = "hello" if word.lower() == "ismaster" else word
        usual = HELLO if word == "hello" else default or FORBIDDEN
        found = replies.get(word, usual)
        return framed(request, operation, found if isinstance(found, bytes) else bson.encode(found))

    raw(name, make)


async def _never_answers(reader: Reader, writer: Writer) -> None:
    await asyncio.sleep(3600)


async def _closes_at_once(reader: Reader, writer: Writer) -> None:
    writer.close()


async def _drips(reader: Reader, writer: Writer) -> None:
    request, operation, _ = await message(reader)
    for byte in framed(request, operation, bson.encode(HELLO)):
        writer.write(bytes([byte]))
        await asyncio.sleep(0.3)


async def _without_end(reader: Reader, writer: Writer) -> None:
    request, _, _ = await message(reader)
    writer.write(struct.pack("<iiii", 2**31 - 1, 7, request, OP_MSG) + struct.pack("<iB", 0, 0))
    while True:
        writer.write(b"\0" * 65536)
        await writer.drain()


MISBEHAVIOURS |= {
    "never_answers": _never_answers,
    "closes_at_once": _closes_at_once,
    "drips": _drips,
    "message_without_end": _without_end,
}

# The protocol.

raw("speaks_http", lambda *_: b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
raw("length_of_minus_one", lambda request, *_: struct.pack("<iiii", -1, 7, request, OP_MSG))
raw("length_of_40_MB", lambda request, *_: struct.pack("<iiii", 40_000_000, 7, request, OP_MSG) + b"\0" * 64)
raw("answers_somebody_else", lambda request, operation, _: framed(request + 9, operation, bson.encode(HELLO)))
raw("unknown_operation", lambda request, *_: struct.pack("<iiii", 20, 7, request, 4711) + b"abcd")
raw("compressed_nonsense", lambda request, *_: struct.pack("<iiii", 29, 7, request, 2012) + b"\xff" * 13)


def _nested(depth: int) -> bytes:
    inner = b"\x05\0\0\0\0"
    for _ in range(depth):
        inner = struct.pack("<i", len(inner) + 8) + b"\x03a\0" + inner + b"\0"
    return inner


def document(fields: bytes) -> bytes:
    """A document of fields that are already encoded."""
    return struct.pack("<i", len(fields) + 5) + fields + b"\0"


answering("document_that_is_none", hello=b"\xff" * 200)
answering("document_within_documents", hello=_nested(5000))
answering("document_with_a_lying_length", hello=struct.pack("<i", 5_000_000) + b"\0")
answering("text_that_is_not_utf8", hello=document(bson.encode(HELLO)[4:-1] + b"\x02msg\0\x04\0\0\0\xff\xfe\x80\0"))
answering("wire_version_of_the_future", hello=HELLO | {"minWireVersion": 900, "maxWireVersion": 999})
answering("wire_version_of_the_past", hello=HELLO | {"minWireVersion": 0, "maxWireVersion": 2})

# What is said in it.

answering("refuses_everything")
answering("says_ok_to_everything", default={"ok": 1})
answering("greets_with_strings", hello={name: str(value) for name, value in HELLO.items()} | {"ok": 1})
answering(
    "strings_for_numbers",
    default={"ok": 1, "connections": "many", "opcounters": [], "uptime": "long", "members": {}, "cursor": "x", "log": 5}
    | {"wiredTiger": {"cache": {"maximum bytes configured": "x"}}, "opLatencies": {"reads": {"ops": "a"}}},
)
answering(
    "numbers_beyond_any",
    default={
        "ok": 1,
        "uptime": float("nan"),
        "localTime": dt.datetime(1, 1, 1, tzinfo=dt.UTC),
        "connections": {"current": -(2**62), "available": 2**62, "active": float("inf"), "totalCreated": -1},
        "opcounters": {"query": float("-inf"), "insert": 2**62},
        "opLatencies": {"reads": {"ops": 2**62, "latency": -(2**62)}},
    },
)
answering(
    "hostile_words",
    hello=HELLO | {"setName": HOSTILE, "me": HOSTILE, "hosts": [HOSTILE, HOSTILE], "primary": HOSTILE},
    default={"ok": 1, "version": HOSTILE, "log": [HOSTILE] * 100, "databases": [{"name": HOSTILE}], "set": HOSTILE}
    | {"cursor": {"id": 0, "ns": HOSTILE, "firstBatch": [{"_id": HOSTILE, HOSTILE: HOSTILE}]}},
)
answering(
    "years_beyond_the_calendar",
    hello=document(bson.encode(HELLO)[4:-1] + b"\x09localTime\0" + struct.pack("<q", 2**62)),
)
answering(
    "hundred_thousand_databases",
    default={"ok": 1, "databases": [{"name": f"db{n}", "sizeOnDisk": 1, "empty": False} for n in range(100_000)]},
)
answering("cursor_without_end", default={"ok": 1, "cursor": {"id": 5, "ns": "a.b", "firstBatch": [{}] * 1000}})

# Where it points, and how it lets somebody in.

STRANGERS = ["169.254.169.254:80", "10.0.0.1:27017", "evil.example:27017", "[::ffff:169.254.169.254]:80"]
MANY = [f"127.0.0.1:{port}" for port in range(20_000, 24_000)]
answering("members_elsewhere", hello=HELLO | {"setName": "rs", "hosts": STRANGERS, "primary": STRANGERS[1]})
answering("thousands_of_members", hello=HELLO | {"setName": "rs", "hosts": MANY})


def configuration(port: int) -> dict[str, object]:
    return {"mongodb": {"uri": f"mongodb://127.0.0.1:{port}"}}


def with_credentials(port: int) -> dict[str, object]:
    return {"mongodb": {"uri": f"mongodb://auditor:{PASSWORD}@127.0.0.1:{port}"}}


def _scram(payload: bytes) -> dict[str, Any]:
    return {"ok": 1, "conversationId": 1, "done": False, "payload": payload}


def login(name: str, **replies: Document) -> None:
    """A misbehaviour of the login, to be met with credentials."""
    answering(name, **replies)
    LOGINS.append(name)


LOGINS: list[str] = []


def _ages(request: int, operation: int, command: dict[str, Any]) -> bytes:
    """SCRAM with so many iterations that the client computes for hours."""
    word = next(iter(command))
    if word == "saslStart":
        nonce = bytes(command["payload"]).decode().rpartition("r=")[2]
        document: dict[str, Any] = _scram(f"r={nonce}x,s=c2FsdHNhbHRzYWx0c2FsdA==,i=100000000".encode())
    else:
        document = HELLO | {"saslSupportedMechs": ["SCRAM-SHA-256"]}
    return framed(request, operation, bson.encode(document))


raw("login_that_takes_ages", _ages)
LOGINS.append("login_that_takes_ages")
login("login_in_clear_text", hello=HELLO | {"saslSupportedMechs": ["PLAIN"]})
login("login_of_nonsense", saslStart=_scram(b"i=1,r=,s="), hello=HELLO | {"saslSupportedMechs": ["SCRAM-SHA-1"]})
