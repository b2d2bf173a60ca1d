"""Connections to single members, over which only a few commands may go, all of them read-only."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from readiness.errors import ProbeError
from readiness.facts.base import Absent, absent
from readiness.probes.mongodb_target import Address, Target

if TYPE_CHECKING:
    from pymongo import AsyncMongoClient

COMMAND_SECONDS = 5.0
GREET_SECONDS = 3.75
"""For connection, login and the first answer. The driver tries every 500 ms; closed in the midst of an attempt it loses
a socket, so this is between two of them."""
PRIVILEGE = "clusterMonitor"
REJECTED = "the server rejected the credentials (code 18)"

COMMANDS = frozenset(
    {
        "aggregate", "buildInfo", "connectionStatus", "dbStats", "find", "getCmdLineOpts", "getDiagnosticData",
        "getLog", "getParameter", "hello", "hostInfo", "listDatabases", "listShards", "ping", "profile",
        "replSetGetConfig", "replSetGetStatus", "serverStatus", "top",
    }
)  # fmt: skip
"""The only commands that are ever sent, all of them read-only."""
SOURCES = frozenset({"$collStats", "$currentOp", "$indexStats"})
"""With what an aggregate begins: statistics, never documents."""
STAGES = frozenset({"$group", "$limit", "$match", "$project", "$sort"})
"""What may follow: nothing that writes, and nothing that reads another collection."""
DRIVER = frozenset({"authenticate", "endSessions", "saslContinue", "saslStart"})
"""What the driver sends on its own, besides the greeting that it does not announce."""
READABLE: Mapping[tuple[str, str], Mapping[str, int]] = {
    ("local", "oplog.rs"): {"ts": 1, "_id": 0},
    ("admin", "pbmBackups"): {"last_transition_ts": 1, "_id": 0},
    ("config", "mongos"): {"_id": 1, "ping": 1},
    ("config", "collections"): {"_id": 1},
}
"""The only collections that `find` may name, and what it may have of them: times, addresses and names."""
PARAMETERS = frozenset({"featureCompatibilityVersion"})
LOGS = frozenset({"startupWarnings"})
"""The only parameters and logs that are asked for: others hold secrets, and what users asked."""
FIELDS: Mapping[str, frozenset[str]] = {
    "aggregate": frozenset({"aggregate", "pipeline", "cursor"}),
    "find": frozenset({"find", "filter", "sort", "limit", "batchSize", "singleBatch", "projection"}),
    "getLog": frozenset({"getLog"}),
    "getParameter": frozenset({"getParameter", *PARAMETERS}),
    "profile": frozenset({"profile"}),
}
"""What such a command may hold, besides what the driver adds: no spilling to disk, no level that is set."""
_ADDED = frozenset({"lsid", "$db", "$readPreference", "$clusterTime"})
_FILTERS: tuple[dict[str, str], ...] = ({}, {"status": "done"})
_CODE = frozenset({"$accumulator", "$function", "$where"})


UNREADABLE = (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError, MemoryError)
"""What the decoder raises for bytes that are no document, besides its own errors."""


class Forbidden(BaseException):
    """A command off the list. Not an Exception: the driver would print one raised by a listener, and send on."""


class Gone(Exception):
    """A member that stopped answering, so that the rest of its pass is pointless."""


def permit(command: Mapping[str, Any], database: str = "admin") -> None:
    """Raises `Forbidden` for anything but the reads listed above."""
    name = next(iter(command), "")
    if name in DRIVER:
        return
    if name not in COMMANDS:
        raise Forbidden(f"{name} is not among the commands of the audit")
    if more := command.keys() - FIELDS.get(name, command.keys()) - _ADDED:
        raise Forbidden(f"the audit has no {name} with {', '.join(sorted(more))}")
    if _has_code(command):
        raise Forbidden("the audit runs no code on a server")
    if name == "aggregate":
        stages = [list(stage) for stage in command["pipeline"]]
        first, *others = [stage[0] if len(stage) == 1 else "several" for stage in stages] or [""]
        if first not in SOURCES or not STAGES.issuperset(others):
            raise Forbidden(f"the audit has no aggregate of {first} {' '.join(others)}")
    if name == "find" and (
        command.get("projection") != READABLE.get((database, command["find"]), "none")
        or command.get("filter", {}) not in _FILTERS
    ):
        raise Forbidden("the audit reads no documents")
    # -1 asks and any other level sets; what may come with it is set even then.
    if name == "profile" and command["profile"] != -1:
        raise Forbidden("the audit only asks how the profiler is set")
    if name == "getLog" and command["getLog"] not in LOGS:
        raise Forbidden("the audit reads no log")
    if name == "getParameter" and command["getParameter"] != 1:
        raise Forbidden("the audit asks for parameters by their names")


def _has_code(value: Any) -> bool:
    """Whether there is anything below that the server would run."""
    if isinstance(value, Mapping):
        return not _CODE.isdisjoint(value) or any(map(_has_code, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_has_code, value))


class Session:
    """A direct connection to one member, over which only permitted commands go."""

    def __init__(self, address: Address, target: Target, user_agent: str, *, anonymous: bool = False) -> None:
        """Connects nowhere yet. Raises ProbeError where the driver refuses the options."""
        from pymongo.errors import PyMongoError

        identity: dict[str, Any] = {}
        if target.logs_in and not anonymous:
            identity = {"username": target.username, "password": target.password, **target.credentials}
        try:
            self._client = _client(address, user_agent, target.limits.connect_seconds, {**identity, **target.tls})
        except (PyMongoError, ValueError, TypeError, OSError) as error:
            raise ProbeError(f"mongodb.uri: the driver refuses it ({type(error).__name__})") from None
        self._most = int(target.limits.reply_mb * 1_000_000)
        self._greeted = False
        self._silences = 0

    async def ask(self, command: dict[str, Any], database: str = "admin") -> Any:
        """The answer to one command, or the reason why there is none as an absent value.

        Raises:
            Gone: the member does not answer any more.
        """
        from bson import decode
        from bson.errors import BSONError
        from bson.raw_bson import RawBSONDocument
        from pymongo.errors import ConnectionFailure, NotPrimaryError, OperationFailure, PyMongoError

        name = next(iter(command))
        options = self._client.codec_options
        permit(command, database)
        try:
            async with asyncio.timeout(COMMAND_SECONDS if self._greeted else GREET_SECONDS):
                # As bytes at first: decoded, a document takes twenty times as much memory as it took on the wire.
                encoded = await self._client[database].command(
                    command, codec_options=options.with_options(document_class=RawBSONDocument)
                )
            if len(encoded.raw) > self._most:
                return absent(f"the answer to {name} is larger than limits.reply_mb, {self._most / 1_000_000:g} MB")
            answer = decode(encoded.raw, options)
        except OperationFailure as error:
            return _refusal(name, error.code)
        except TimeoutError:
            if not self._greeted:
                raise Gone(f"it speaks no MongoDB within {GREET_SECONDS:.0f} s") from None
            self._silences += 1
            if self._silences > 1:
                raise Gone(f"{name} was not answered within {COMMAND_SECONDS:g} s") from None
            return absent(f"{name} was not answered within {COMMAND_SECONDS:g} s")
        except NotPrimaryError:
            return absent(f"{name} failed: the member is neither primary nor secondary")
        except ConnectionFailure:
            raise Gone(f"the connection was lost at {name}") from None
        except (PyMongoError, BSONError, *UNREADABLE) as error:
            return absent(f"the answer to {name} is unreadable ({type(error).__name__})")
        self._greeted = True
        return answer

    async def rows(self, collection: str | int, pipeline: list[dict[str, Any]], database: str = "admin") -> Any:
        """The first batch of an aggregate over statistics, or an absent value."""
        command = {"aggregate": collection, "pipeline": pipeline, "cursor": {"batchSize": 500}}
        return first_batch(await self.ask(command, database))

    async def close(self) -> None:
        """Ends the session on the server too, as far as it still answers."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(1):
                await self._client.close()
                await asyncio.sleep(0.01)  # the loop may end now, and closes sockets only on its next round


def first_batch(answer: Any) -> Any:
    """The documents of a cursor's first batch, or the absent value that there is instead."""
    if isinstance(answer, Absent):
        return answer
    try:
        batch = answer["cursor"]["firstBatch"]
    except (KeyError, TypeError):
        batch = None
    if not isinstance(batch, list):
        return absent("the answer holds no batch")
    return [entry for entry in batch[:1000] if isinstance(entry, dict)]


def _refusal(name: str, code: int | None) -> Any:
    match code:
        case 13 | 8000:  # Unauthorized; Atlas answers what a tier does not offer with its own code
            return absent(f"{name} was refused (code {code})", privilege=PRIVILEGE)
        case 18:
            return absent(REJECTED, privilege="a valid account")
        case 59:
            return absent(f"the server does not know {name} (code 59)")
        case _:
            return absent(f"{name} failed (code {code})")


def _client(
    address: Address, user_agent: str, connect_seconds: float, options: Mapping[str, Any]
) -> AsyncMongoClient[dict[str, Any]]:
    from pymongo import AsyncMongoClient, monitoring

    class Guard(monitoring.CommandListener):
        """Sees every command before it is sent, the driver's own too."""

        def started(self, event: monitoring.CommandStartedEvent) -> None:
            # The driver empties what may hold secrets, so the name comes first.
            permit({event.command_name: 1, **event.command}, event.database_name)

        def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

        def failed(self, event: monitoring.CommandFailedEvent) -> None: ...

    return AsyncMongoClient(
        host=address.host,
        port=address.port,
        directConnection=True,  # else the driver contacts whomever the greeting names
        maxPoolSize=1,
        appname=user_agent,
        serverSelectionTimeoutMS=int(COMMAND_SECONDS * 1000),
        connectTimeoutMS=int(connect_seconds * 1000),
        socketTimeoutMS=int(COMMAND_SECONDS * 1000),
        serverMonitoringMode="poll",  # one greeting instead of a stream of them: the window stays quiet
        heartbeatFrequencyMS=600_000,
        retryReads=False,
        retryWrites=False,
        datetime_conversion="DATETIME_AUTO",
        tz_aware=True,
        unicode_decode_error_handler="replace",
        event_listeners=[Guard()],
        **options,
    )
