"""A Redis connection that can only read: an allow-list, one attempt, raw replies under limits, no quoted errors.

The driver supplies transport, TLS and framing of requests. Replies are parsed here, because neither of its parsers
bounds what a server may make it allocate.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from readiness.errors import ProbeError
from readiness.probes.redis_protocol import Malformed, Parser, Refused, Reply
from readiness.probes.redis_replies import PARAMETERS
from readiness.settings import Limits

ANSWER_SECONDS = 5.0
DEFAULT_PORT = 6379

# Nothing else ever leaves this client. AUTH and SELECT open a connection, the rest reads.
ALLOWED = frozenset(
    (
        "AUTH", "SELECT", "PING", "INFO", "SCAN", "TTL", "MEMORY USAGE", "CONFIG GET", "CLIENT LIST", "SLOWLOG GET",
        "LATENCY LATEST", "CLUSTER INFO", "CLUSTER SHARDS", "SENTINEL MASTERS", "SENTINEL CKQUORUM",
    )
)  # fmt: skip
_CONTAINERS = {name.split()[0] for name in ALLOWED if " " in name}


class NotAllowed(Exception):
    """A command outside the allow-list: a mistake in this program, caught before anything is sent."""


def command_name(command: Sequence[str]) -> str:
    """`CONFIG GET` of ("config", "get", "save"). Raises NotAllowed unless this client may send it."""
    words = [str(word).upper() for word in command[:2]]
    # A space in the first word is one word more on the wire.
    name = " ".join(words) if words and words[0] in _CONTAINERS else "".join(words[:1]).partition(" ")[0]
    if name not in ALLOWED:
        raise NotAllowed(name)
    # A pattern would return passwords.
    if name == "CONFIG GET" and not set(map(str, command[2:])) <= set(PARAMETERS):
        raise NotAllowed(f"{name} of other parameters")
    return name


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect and as whom, from `redis.url`, under which limits."""

    host: str
    port: int
    path: str = ""
    tls: bool = False
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    database: int = 0
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    limits: Limits = field(default_factory=Limits)

    @property
    def seconds(self) -> float:
        """How long to wait for an answer."""
        return min(self.limits.request_seconds, ANSWER_SECONDS)

    @property
    def shown(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.path or f"{host}:{self.port}"

    @property
    def authenticates(self) -> bool:
        return bool(self.username or self.password)


def parse_url(url: str, limits: Limits) -> Target:
    """The target of a redis, rediss, valkey, valkeys or unix URL.

    Of its options, `db`, `ssl_ca_certs`, `ssl_certfile` and `ssl_keyfile` are used; the application's own are ignored.

    Raises:
        ProbeError: naming the part that is wrong, never its value.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname or ""
    except ValueError:
        raise ProbeError("redis.url: host or port cannot be read") from None
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    unix = parts.scheme == "unix"
    database = options.get("db", "" if unix else parts.path.strip("/"))
    if database and not re.fullmatch(r"[0-9]{1,5}", database):
        raise ProbeError("redis.url: the database must be a number")
    if not unix and not host:
        raise ProbeError("redis.url: the host is missing")
    return Target(
        host="" if unix else host,
        port=0 if unix else port or DEFAULT_PORT,
        path=unquote(parts.path) if unix else "",
        tls=parts.scheme in ("rediss", "valkeys"),
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=int(database or 0),
        ca_file=options.get("ssl_ca_certs", ""),
        cert_file=options.get("ssl_certfile", ""),
        key_file=options.get("ssl_keyfile", ""),
        limits=limits,
    )


@functools.cache
def _connection_classes() -> dict[str, Any]:
    """The driver's connections, each of which refuses to frame a command outside the allow-list."""
    from redis.asyncio import Connection, SSLConnection, UnixDomainSocketConnection

    def guarded(kind: Any) -> Any:
        class ReadOnly(kind):  # type: ignore[misc]
            def pack_command(self, *args: Any) -> Any:
                command_name([str(arg) for arg in args])
                return super().pack_command(*args)

        return ReadOnly

    return {"tcp": guarded(Connection), "tls": guarded(SSLConnection), "unix": guarded(UnixDomainSocketConnection)}


def _connection(target: Target) -> Any:
    from redis.asyncio.connection import AbstractConnection
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    options: dict[str, Any] = {
        "protocol": 2,
        "decode_responses": True,
        "socket_timeout": target.seconds,
        "socket_connect_timeout": min(target.limits.connect_seconds, target.seconds),
        "retry": Retry(NoBackoff(), 0),
        "client_name": None,
        "parser_class": functools.partial(Parser, reply_bytes=int(target.limits.reply_mb * 1_000_000)),
    }
    # CLIENT SETINFO would be an error on servers before 7.2, and for accounts without that right.
    parameters = inspect.signature(inspect.unwrap(vars(AbstractConnection)["__init__"])).parameters
    options |= {"driver_info": None} if "driver_info" in parameters else {"lib_name": None, "lib_version": None}
    classes = _connection_classes()
    if target.path:
        return classes["unix"](path=target.path, **options)
    options |= {"host": target.host, "port": target.port}
    if not target.tls:
        return classes["tcp"](**options)
    return classes["tls"](
        ssl_cert_reqs="required",
        ssl_check_hostname=True,
        ssl_ca_certs=target.ca_file or None,
        ssl_certfile=target.cert_file or None,
        ssl_keyfile=target.key_file or None,
        **options,
    )


class Client:
    """One connection. Use `connect`; every method raises ProbeError once the connection is lost."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.sent = 0
        self.refused: dict[str, Refused] = {}
        self._connection = _connection(target)

    async def open(self) -> None:
        with self._translated():
            await self._connection.connect()

    async def login(self) -> None:
        """AUTH and SELECT, as far as the URL asks for them."""
        target = self.target
        if target.authenticates:
            names = (target.username, target.password) if target.username else (target.password,)
            reply = await self.ask("AUTH", *names)
            if isinstance(reply, Refused):
                raise ProbeError(f"{target.shown}: {_LOGIN.get(reply.code, f'AUTH was answered with {reply.code}')}")
        if target.database:
            reply = await self.ask("SELECT", str(target.database))
            if isinstance(reply, Refused):
                raise ProbeError(f"{target.shown}: cannot select database {target.database} ({reply.code})")

    async def ask(self, *command: str) -> Reply:
        """One command and its reply."""
        return (await self.pipeline([command]))[0]

    async def pipeline(self, commands: Sequence[Sequence[str]]) -> list[Reply]:
        """The replies, in order. What was refused for good before is not sent again but answered from memory."""
        names = [command_name(command) for command in commands]
        wanted = [name not in self.refused for name in names]
        outgoing = [command for command, send in zip(commands, wanted, strict=True) if send]
        replies: list[Reply] = []
        if outgoing:
            with self._translated():
                async with asyncio.timeout(self.target.seconds):
                    await self._connection.send_packed_command(
                        self._connection.pack_commands(outgoing), check_health=False
                    )
                    self.sent += len(outgoing)
                    replies = [await self._connection.read_response() for _ in outgoing]
        answers = iter(replies)
        return [
            self._named(name, next(answers)) if send else self.refused[name]
            for name, send in zip(names, wanted, strict=True)
        ]

    def _named(self, name: str, reply: Reply) -> Reply:
        if isinstance(reply, Refused):
            reply = Refused(reply.code, name)
            if reply.lasting:
                self.refused[name] = reply
        return reply

    async def close(self) -> None:
        await self._connection.disconnect(nowait=True)

    def _translated(self) -> _Translation:
        return _Translation(self.target.shown)


class _Translation:
    """Turns whatever the driver raises into a ProbeError of one sentence, which never quotes the driver."""

    def __init__(self, shown: str) -> None:
        self._shown = shown

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, (ProbeError, NotAllowed)):
            raise ProbeError(f"{self._shown}: {_reason(error)}") from None


_LOGIN = {
    "WRONGPASS": "the server refuses the user name or password of redis.url",
    "NOPASS": "redis.url gives a password, but the server has none set",
    "MAXCLIENTS": "the server is at maxclients and takes no more connections",
    "DENIED": "protected mode refuses connections from other hosts without a password",
}


def _reason(error: BaseException) -> str:
    for each in _chain(error):
        match each:
            case Malformed():
                return f"the answer is {each}; is this a Redis server?"
            case ssl.SSLCertVerificationError():
                return f"the certificate is not trusted ({each.verify_message})"
            case ssl.SSLError():
                return f"the TLS handshake failed ({each.reason or type(each).__name__})"
            case TimeoutError():
                return "no answer in time"
            case asyncio.IncompleteReadError() | ConnectionResetError() | BrokenPipeError():
                return "the server closed the connection"
            case asyncio.LimitOverrunError():
                return "the answer is one endless line; is this a Redis server?"
            case socket.gaierror():
                return "the host name does not resolve"
            case OSError():
                return f"could not connect ({os.strerror(each.errno) if each.errno else 'every address refused'})"
    return f"the connection failed ({type(error).__name__})"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes, innermost first: the driver wraps what the system said."""
    if error is None:
        return
    if "Timeout" in type(error).__name__:
        yield TimeoutError()
        return
    yield from _chain(error.__cause__ or error.__context__)
    yield error


async def connect(target: Target, *, anonymously: bool = False) -> Client:
    """An open connection, logged in unless `anonymously`. Raises ProbeError."""
    client = Client(target)
    try:
        await client.open()
        if not anonymously:
            await client.login()
    except BaseException:
        await client.close()
        raise
    return client
