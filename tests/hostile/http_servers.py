"""HTTP servers that misbehave, a coroutine each; `MISBEHAVIOURS` names them all."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
Handler = Callable[[Reader, Writer], Awaitable[None]]

MISBEHAVIOURS: dict[str, Handler] = {}
HOSTILE = "\x1b]0;owned\x07[/nope] <script>alert(1)</script> \u202egnp \x9b31m =HYPERLINK(1) | `x` {{7*7}}"


def misbehaves(handler: Handler) -> Handler:
    MISBEHAVIOURS[handler.__name__] = handler
    return handler


async def request(reader: Reader) -> bytes:
    """The head of the next request; ends the connection where none comes."""
    return await reader.readuntil(b"\r\n\r\n")


def path_of(head: bytes) -> str:
    return head.split(b" ", 2)[1].decode("latin-1")


async def say(writer: Writer, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


def answer(body: bytes, media: str = "text/html", status: str = "200 OK", extra: bytes = b"") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {media}\r\nContent-Length: {len(body)}\r\n".encode()
    return head + extra + b"\r\n" + body


def always(name: str, data: bytes) -> None:
    """The same bytes to every request, after which the connection stays open."""

    async def handler(reader: Reader, writer: Writer) -> None:
        while True:
            await request(reader)
            await say(writer, data)

    MISBEHAVIOURS[name] = handler


def then_closes(name: str, data: bytes) -> None:
    async def handler(reader: Reader, writer: Writer) -> None:
        await request(reader)
        await say(writer, data)

    MISBEHAVIOURS[name] = handler


def endless(name: str, head: bytes, piece: bytes, pause: float = 0.0) -> None:
    async def handler(reader: Reader, writer: Writer) -> None:
        await request(reader)
        await say(writer, head)
        while True:
            await say(writer, piece)
            await asyncio.sleep(pause)

    MISBEHAVIOURS[name] = handler


# Silence, and answers that never end.


@misbehaves
async def never_answers(reader: Reader, writer: Writer) -> None:
    await asyncio.sleep(3600)


@misbehaves
async def closes_at_once(reader: Reader, writer: Writer) -> None:
    writer.close()


@misbehaves
async def resets(reader: Reader, writer: Writer) -> None:
    await request(reader)
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@misbehaves
async def slow_but_honest(reader: Reader, writer: Writer) -> None:
    """Every answer takes as long as is just allowed: many of them must not add up."""
    while True:
        await request(reader)
        await asyncio.sleep(0.9)
        await say(writer, answer(b"<p>slow"))


endless("drips_headers", b"HTTP/1.1 200 OK\r\nX-A: ", b"a", 0.3)
endless("drips_body", b"HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\n", b"a", 0.3)
endless(
    "endless_chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"a" * 65536 + b"\r\n"
)
endless("endless_until_close", b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", b"a" * 65536)
endless("endless_interim_answers", b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 50)
endless("endless_header", b"HTTP/1.1 200 OK\r\nX-A: ", b"a" * 65536)
endless("endless_status_line", b"HTTP/1.1 200 ", b"a" * 65536)
endless("endless_header_fields", b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 1000)
endless("endless_trailers", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X-A: b\r\n" * 1000)
then_closes(
    "chunks_of_one_byte",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 2_000_000 + b"0\r\n\r\n",
)

# Lengths that lie, and framing that is none.

then_closes("shorter_than_announced", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort")
always("longer_than_announced", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + b"longer" * 100)
always("two_lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!")
always("negative_length", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello")
always("astronomic_length", b"HTTP/1.1 200 OK\r\nContent-Length: 1" + b"0" * 300 + b"\r\n\r\nhello")
always("chunk_size_of_letters", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n")
always("chunk_of_an_exabyte", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\nhello")
always("chunked_and_length", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\nabc")
always("two_answers_at_once", answer(b"one") + answer(b"two", status="500 Internal Server Error"))
always("switches_protocols", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: nothing\r\n\r\n")
then_closes("no_http", b"SSH-2.0-OpenSSH_9.2\r\n")
then_closes("http_0_9", b"<h1>It works</h1>")
then_closes("status_of_six_digits", b"HTTP/1.1 999999 Huh\r\n\r\n")
then_closes("random_bytes", bytes(range(256)) * 40)

# Bombs.

BOMB = gzip.compress(b"\0" * 30_000_000)
always("gzip_bomb", answer(BOMB, extra=b"Content-Encoding: gzip\r\n"))
always("gzip_in_gzip_bomb", answer(gzip.compress(BOMB), extra=b"Content-Encoding: gzip, gzip\r\n"))
always("deflate_bomb", answer(zlib.compress(b"\0" * 30_000_000), extra=b"Content-Encoding: deflate\r\n"))
always("brotli_that_is_none", answer(b"\xff" * 900, extra=b"Content-Encoding: br\r\n"))
always("zstd_that_is_none", answer(b"\xff" * 900, extra=b"Content-Encoding: zstd\r\n"))
always("json_of_brackets", answer(b"[" * 400_000, "application/json"))
always("json_of_nested_objects", answer(b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "application/json"))

# Headers.

always("header_of_90_kB", answer(b"x", extra=b"X-A: " + b"a" * 90_000 + b"\r\n"))
always("thousands_of_headers", answer(b"x", extra=b"A: b\r\n" * 9_000))
always("thousand_cookies", answer(b"x", extra=b"".join(b"Set-Cookie: c%d=1\r\n" % n for n in range(2_000))))
always("cookie_that_is_not_ascii", answer(b"x", extra="Set-Cookie: a=\u00fc\u2028; Path=/\r\n".encode()))
always("unknown_charset", answer(b"x", "text/html; charset=hex"))
always(
    "every_security_header_twice", answer(b"x", extra=2 * b"Content-Security-Policy: ;;;\r\nX-Frame-Options: \x80\r\n")
)
always(
    "hostile_words",
    answer(HOSTILE.encode(), extra=f"Server: {HOSTILE}\r\n".replace("\x1b", "").replace("\x07", "").encode()),
)
always("hostile_words_in_bytes", answer(b"x", extra=b"Server: \x9b31m\x85\xe2\x80\xae\r\nX-Powered-By: [/nope]\r\n"))

# Redirects.


@misbehaves
async def redirects_for_ever(reader: Reader, writer: Writer) -> None:
    number = 0
    while True:
        await request(reader)
        number += 1
        await say(writer, answer(b"", status="302 Found", extra=b"Location: /r/%d\r\n" % number))


always("redirects_to_itself", answer(b"", status="301 Moved", extra=b"Location: /\r\n"))
always("redirects_to_metadata", answer(b"", status="302 Found", extra=b"Location: http://169.254.169.254/latest/\r\n"))
always("redirects_to_a_file", answer(b"", status="302 Found", extra=b"Location: file:///etc/passwd\r\n"))
always("redirects_to_nonsense", answer(b"", status="302 Found", extra=b"Location: http://[::1%25\x9b]:99999/\r\n"))
always("redirects_to_a_number", answer(b"", status="302 Found", extra=b"Location: //2852039166/\r\n"))

# Bodies that lie.

always("invalid_utf8", answer(b'\xff\xfe{"status": "\xc3\x28"}', "application/json"))
always(
    "numbers_that_are_none",
    answer(b'{"status": NaN, "uptime": 1e999, "n": ' + b"9" * 5000 + b', "b": -Infinity}', "application/json"),
)
always("the_same_key_twice", answer(b'{"status": "down", "status": "ok"}', "application/json"))
always(
    "strings_for_numbers",
    answer(json.dumps({"status": 1, "checks": "x", "uptime": {}, "x": [[]]}).encode(), "application/json"),
)
always("asks_to_come_back", answer(b"later", status="503 Unavailable", extra=b"Retry-After: 999999999\r\n"))
always("too_many_requests", answer(b"no", status="429 Too Many Requests", extra=b"Retry-After: -1e400\r\n"))


@misbehaves
async def says_yes_to_everything(reader: Reader, writer: Writer) -> None:
    """200 and a page of success for any path and method."""
    while True:
        await request(reader)
        await say(writer, answer(b'{"status":"ok","healthy":true}', "application/json"))


@misbehaves
async def changes_its_mind(reader: Reader, writer: Writer) -> None:
    for number in range(10_000):
        await request(reader)
        await say(writer, answer(b"x", status=("200 OK", "500 Error", "404 Not Found", "401 Who")[number % 4]))


def metrics(name: str, text: bytes) -> None:
    """An ordinary page, but hostile text at /metrics."""

    async def handler(reader: Reader, writer: Writer) -> None:
        while True:
            head = await request(reader)
            is_metrics = path_of(head) == "/metrics"
            await say(writer, answer(text, "text/plain; version=0.0.4") if is_metrics else answer(b"<p>hi"))

    MISBEHAVIOURS[name] = handler


metrics("metrics_of_one_line", b'http_requests_total{a="' + b"x" * 20_000_000)
metrics("metrics_of_many_series", b"".join(b'a_total{n="%d"} 1\n' % n for n in range(300_000)))
metrics(
    "metrics_that_lie",
    b'# TYPE h histogram\nh_bucket{le="1"} NaN\nh_bucket{le="+Inf"} -5\nh_count 1e308\nh_sum -Inf\n'
    b'process_start_time_seconds -1e300\nhttp_requests_total{status="\x9b"} 1e400\n# TYPE a a\x1b[31m\n',
)


@misbehaves
async def metrics_without_end(reader: Reader, writer: Writer) -> None:
    while True:
        head = await request(reader)
        if path_of(head) != "/metrics":
            await say(writer, answer(b"<p>hi"))
            continue
        await say(writer, b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n\r\n")
        number = 0
        while True:
            number += 1
            await say(writer, b"".join(b'a_total{n="%d"} 1\n' % (number * 1000 + n) for n in range(1000)))


def configuration(port: int) -> dict[str, Any]:
    """Everything configured that there is to ask a hostile service for."""
    url = f"http://127.0.0.1:{port}"
    return {
        "http": {
            "url": url,
            "headers": {"Authorization": "Bearer s3cr3t-t0ken"},
            "endpoints": ["/api"],
            "protected": ["/private"],
            "writable": ["/api"],
        },
        "prometheus": {"url": url, "alertmanager": url},
    }
