"""Redis servers that misbehave; `MISBEHAVIOURS` names them all."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
Handler = Callable[[Reader, Writer], Awaitable[None]]

MISBEHAVIOURS: dict[str, Handler] = {}
PASSWORD = "s3cr3t-passw0rd"
HOSTILE = "\x1b]0;owned\x07[/nope] <script>alert(1)</script> \u202egnp \x9b31m =HYPERLINK(1) | `x` {{7*7}}"

INFO: dict[str, str] = {
    "redis_version": "7.0.15",
    "redis_mode": "standalone",
    "run_id": "a" * 40,
    "uptime_in_seconds": "86400",
    "connected_clients": "3",
    "maxclients": "10000",
    "used_memory": "1000000",
    "used_memory_rss": "1200000",
    "maxmemory": "2000000",
    "maxmemory_policy": "allkeys-lru",
    "total_commands_processed": "1000",
    "keyspace_hits": "900",
    "keyspace_misses": "100",
    "role": "master",
    "connected_slaves": "0",
    "db0": "keys=10,expires=10,avg_ttl=1000",
}


def info(**changes: str) -> bytes:
    return bulk("".join(f"{name}:{value}\r\n" for name, value in (INFO | changes).items()).encode())


def bulk(data: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(data), data)


async def commands(reader: Reader) -> AsyncIterator[list[str]]:
    """The commands of a client, as words in upper case."""
    while True:
        count = int((await reader.readuntil(b"\r\n"))[1:])
        words = []
        for _ in range(count):
            length = int((await reader.readuntil(b"\r\n"))[1:])
            words.append((await reader.readexactly(length + 2))[:-2].decode().upper())
        yield words


def answering(name: str, **replies: bytes | Callable[[], bytes]) -> None:
    """A server that is honest but for some commands; `default` stands for all that are not named."""
    usual: dict[str, bytes | Callable[[], bytes]] = {"AUTH": b"+OK\r\n", "PING": b"+PONG\r\n", "INFO": info()}

    async def handler(reader: Reader, writer: Writer) -> None:
        known = usual | replies
        async for words in commands(reader):
            found = known.get("_".join(words[:2])) or known.get(words[0])
            found = found or known.get("default", b"-NOPERM this user has no permissions\r\n")
            writer.write(found() if callable(found) else found)
            await writer.drain()

    MISBEHAVIOURS[name] = handler


def streaming(name: str, head: bytes, piece: bytes, pause: float = 0.0) -> None:
    """To every command the head, and the piece for ever."""

    async def handler(reader: Reader, writer: Writer) -> None:
        async for _ in commands(reader):
            writer.write(head)
            while True:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)

    MISBEHAVIOURS[name] = handler


async def _never_answers(reader: Reader, writer: Writer) -> None:
    await asyncio.sleep(3600)


async def _closes_at_once(reader: Reader, writer: Writer) -> None:
    writer.close()


MISBEHAVIOURS |= {"never_answers": _never_answers, "closes_at_once": _closes_at_once}

# The protocol.

streaming("drips", b"+", b"P", 0.3)
streaming("line_without_end", b"+", b"P" * 65536)
streaming("bulk_without_end", b"$9000000000000000000\r\n", b"a" * 65536)
streaming("arrays_in_arrays", b"", b"*1\r\n" * 10_000)
streaming("array_without_end", b"*2000000000\r\n", b":1\r\n" * 10_000)
streaming("replies_that_nobody_asked_for", b"+OK\r\n", b"+PONG\r\n" * 10_000)
answering("speaks_http", PING=b"HTTP/1.1 400 Bad Request\r\n\r\n", AUTH=b"HTTP/1.1 400 Bad Request\r\n\r\n")
answering("bulk_of_terabytes", INFO=b"$9999999999999\r\nredis_version:7\r\n")
answering("bulk_of_negative_length", INFO=b"$-7\r\n")
answering("length_of_letters", INFO=b"$abc\r\n")
answering("length_of_400_digits", INFO=b"$" + b"9" * 400 + b"\r\n")
answering("unknown_type", PING=b"!21\r\nSYNTAX invalid syntax\r\n", default=b"%1\r\n+a\r\n:1\r\n")
answering("bulk_without_its_end", INFO=b"$5\r\nredis_version:7\r\n")
answering("invalid_utf8", INFO=bulk(b"redis_version:\xff\xfe\xc3\x28\r\nrole:\x80\r\n"))

# What is said in it.

answering("info_is_nil", INFO=b"$-1\r\n")
answering("info_is_an_array", INFO=b"*2\r\n+a\r\n+b\r\n")
answering("info_is_empty", INFO=bulk(b""))
answering("info_of_3_MB", INFO=bulk(b"a:b\r\n" * 600_000))
answering("moved", PING=b"-MOVED 1 169.254.169.254:80\r\n", default=b"-ASK 1 10.0.0.1:6379\r\n")
answering("echoes_the_password", AUTH=f"-ERR wrong arguments for AUTH {PASSWORD}\r\n".encode())
answering(
    "strings_for_numbers",
    INFO=info(used_memory="lots", maxmemory="nan", keyspace_hits="1e999", maxclients="-1", connected_clients=""),
    default=b"*3\r\n$1\r\na\r\n*0\r\n$-1\r\n",
)
answering(
    "numbers_beyond_any",
    INFO=info(used_memory="9" * 400, maxmemory="-" + "9" * 400, keyspace_hits="9" * 30, uptime_in_seconds="-5"),
)
answering(
    "hostile_words",
    INFO=info(redis_version=HOSTILE, maxmemory_policy=HOSTILE, os=HOSTILE, executable=HOSTILE, db0=HOSTILE),
    default=f"*2\r\n+{HOSTILE}\r\n+{HOSTILE}\r\n".encode(),
)
_backwards = itertools.count(1_000_000, -1000)
answering("counters_that_go_back", INFO=lambda: info(keyspace_hits=str(next(_backwards)), keyspace_misses="5"))
_restarts = itertools.count(10**39)
answering("restarts_every_time", INFO=lambda: info(run_id=str(next(_restarts)), uptime_in_seconds="0"))
answering("keys_without_end", SCAN=b"*2\r\n$2\r\n17\r\n*1000\r\n" + b"$6\r\nuser:1\r\n" * 1000, default=b":100\r\n")

# Where it points.

answering(
    "replicas_elsewhere",
    INFO=info(
        connected_slaves="3",
        slave0="ip=169.254.169.254,port=80,state=online,offset=1,lag=0",
        slave1="ip=10.0.0.1,port=6379,state=online,offset=1,lag=0",
        slave2="ip=evil.example,port=6379,state=online,offset=1,lag=0",
    ),
)
answering(
    "shards_elsewhere",
    INFO=info(redis_mode="cluster", cluster_enabled="1"),
    CLUSTER_INFO=bulk(b"cluster_state:ok\r\ncluster_slots_assigned:16384\r\n"),
    CLUSTER_SHARDS=b"*1\r\n*4\r\n$5\r\nslots\r\n*2\r\n:0\r\n:16383\r\n$5\r\nnodes\r\n*1\r\n*10\r\n$2\r\nid\r\n$1\r\na\r\n"
    b"$4\r\nport\r\n:80\r\n$2\r\nip\r\n$15\r\n169.254.169.254\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$6\r\nhealth\r\n$6\r\nonline\r\n",
)
answering(
    "sentinel_of_nobody",
    INFO=info(redis_mode="sentinel"),
    SENTINEL_MASTERS=b"*1\r\n*6\r\n$4\r\nname\r\n$1\r\nm\r\n$2\r\nip\r\n$15\r\n169.254.169.254\r\n$4\r\nport\r\n$2\r\n80\r\n",
)


def configuration(port: int) -> dict[str, object]:
    return {"redis": {"url": f"redis://:{PASSWORD}@127.0.0.1:{port}/0", "warm_keys": {"user:*": 1}}}
