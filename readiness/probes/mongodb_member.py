"""One pass over one member: greet, wait out the quiet window between two readings, then look at everything else."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable
from typing import Any

from readiness.errors import ProbeError
from readiness.facts.base import Absent, absent
from readiness.facts.mongodb import MongoMember, MongoTls
from readiness.facts.mongodb_server import Counters, Gauges
from readiness.probes import mongodb_estate as estate
from readiness.probes import mongodb_read as read
from readiness.probes.mongodb_connect import REJECTED, Gone, Session
from readiness.probes.mongodb_target import Address, Target, Unreachable, knock, lax
from readiness.probes.network import widest
from readiness.window import Window

PINGS = 5
QUEUE_SAMPLES = 3
_SECTIONS = (
    "asserts", "connections", "electionMetrics", "extra_info", "flowControl", "locks", "logicalSessionRecordCache",
    "metrics", "network", "opLatencies", "opcounters", "opcountersRepl", "repl", "security", "storageEngine",
    "tcmalloc", "transactions", "transportSecurity", "twoPhaseCommitCoordinator", "wiredTiger", "oplogTruncation",
)  # fmt: skip
"""What is left out of serverStatus where only the queue is wanted."""
_STATUS = {"serverStatus": 1, "opLatencies": {"histograms": True}}


class Gate:
    """The window as seen by the members: `answered` once a first one is ready, `opened` when it begins for all."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.answered = asyncio.Event()
        self.opened: asyncio.Future[float] = asyncio.get_running_loop().create_future()


class Visit:
    """The pass over one member; `member()` at any time says what was found so far.

    `ready` is set once the first reading is taken or the member has turned out not to be readable, `hello` and
    `config` are what it announced by then.
    """

    def __init__(self, address: Address, target: Target, user_agent: str, began: float) -> None:
        self.address = address
        self.ready = asyncio.Event()
        self.hello: dict[str, Any] = {}
        self.config: Any = {}
        self.peer = ""
        self.reason = ""
        self.rejected = False
        self._target = target
        self._agent = user_agent
        self._began = began
        self._found: dict[str, Any] = {}
        self._writes: list[dict[str, Any]] = []
        self._queued: list[Any] = []
        self._done = False

    @property
    def answers(self) -> bool:
        """Whether it answered commands, and to the end."""
        return "ping_ms" in self._found and not self.reason

    @property
    def own_name(self) -> str:
        """The address that the member gives itself in its set, or an empty string."""
        name = self.hello.get("me")
        return name if isinstance(name, str) else ""

    @property
    def greeted(self) -> bool:
        return bool(self.hello)

    @property
    def _routed(self) -> bool:
        return self.hello.get("msg") == "isdbgrid"

    def member(self) -> MongoMember:
        """The facts. What was not reached is absent with the reason."""
        missing = absent(self.reason or "not asked")
        unasked = {name: missing for name in MongoMember.model_fields if name not in ("last_writes", "loopback")}
        known = {
            "address": self.address.name,
            "answers": self.answers,
            "reason": self.reason,
            "data_bearing": self.greeted and self.hello.get("arbiterOnly") is not True,
            "loopback": widest([self.peer]) == "loopback",
            "last_writes": self._writes,
        }
        return MongoMember.model_validate({**unasked, **known, **self._found})

    def abandon(self) -> None:
        """Marks a visit that did not end in time."""
        if not self._done:
            self.reason = self.reason or "it did not answer in time"

    async def run(self, announce: Callable[[Visit], None], gate: Gate) -> None:
        """The whole pass. It never raises for what the member does."""
        session = None
        try:
            await self._knock()
            session = Session(self.address, self._target, self._agent)
            await self._greet(session)
            if self.greeted and not self.rejected:
                announce(self)
            if not self.reason:
                await self._read(session, gate)
        except (Gone, Unreachable, ProbeError) as error:
            self.reason = str(error)
        except Exception as error:  # answers of a shape that nobody thought of
            self.reason = f"its answers are unreadable ({type(error).__name__})"
        finally:
            self._done = True
            self.ready.set()
            if session is not None:
                await session.close()

    async def _knock(self) -> None:
        self.peer, tls = await knock(self.address, self._target, tls=self._target.uses_tls)
        self._found["tls"] = tls
        if tls.problem and not lax(self._target):
            raise Unreachable(f"its certificate is not accepted: {tls.problem}")

    async def _greet(self, session: Session) -> None:
        """Logs in and says hello, and sets the reason where there is nothing more to ask."""
        hello = await session.ask({"hello": 1})
        if isinstance(hello, Absent):
            self.reason, self.rejected = hello.reason, hello.reason == REJECTED
            hello = await self._greet_anonymously() if self.rejected else {}
        elif not hello:
            self.reason = "its greeting is empty"
        self.hello = hello
        if hello:
            self._found["hello"] = hello
        if hello.get("arbiterOnly") is True:
            self.reason, self.rejected = "an arbiter holds no data", False
        elif "setName" in hello and not self.rejected:
            self.config = self._found["replica_config"] = await read.replica_config(session)

    async def _greet_anonymously(self) -> dict[str, Any]:
        """The greeting without a login: an arbiter holds no users, so that nobody can log in there."""
        stranger = Session(self.address, self._target, self._agent, anonymous=True)
        try:
            hello = await stranger.ask({"hello": 1})
        finally:
            await stranger.close()
        return hello if isinstance(hello, dict) else {}

    async def _read(self, session: Session, gate: Gate) -> None:
        pings = []
        for _ in range(PINGS):
            before = time.perf_counter()
            pong = await session.ask({"ping": 1})
            pings.append((time.perf_counter() - before) * 1000)
        if isinstance(pong, Absent):
            self.reason = pong.reason
            return
        self._found["ping_ms"] = pings
        await self._last_write(session)
        pools = await read.connections(session, self._agent, routed=self._routed)
        host = await estate.host_sample(session)
        # Twice: what lies between them is the cost of the first, which the counters include.
        warm = Counters.model_validate(_document(await session.ask(_STATUS)))
        before = time.perf_counter()
        first = await session.ask(_STATUS)
        took, read_at = time.perf_counter() - before, time.monotonic()
        self._gauge(first)
        self.ready.set()
        gate.answered.set()
        await gate.window.closed(max(await gate.opened, read_at))
        second = await session.ask(_STATUS)
        self._found["window_seconds"] = time.monotonic() - read_at
        self._gauge(second)
        self._count(warm, first, second, took)
        self._state(second)
        self._found["host_load"] = estate.host_load(host, await estate.host_sample(session))
        await self._last_write(session)
        now = await read.connections(session, self._agent, routed=self._routed)
        self._found["connections"] = estate.pools(pools, now)
        options = self._found["command_line"] = await read.command_line(session)
        await asyncio.gather(self._rest(session, second, options), self._stranger(), self._tls(options))

    def _count(self, warm: Counters, first: Any, second: Any, took: float) -> None:
        """The differences over the window, without the auditor's own serverStatus."""
        refused = next((answer for answer in (first, second) if isinstance(answer, Absent)), None)
        if refused is not None:
            self._found["activity"] = refused
            return
        earlier, later = Counters.model_validate(first), Counters.model_validate(second)
        own_us = _own_microseconds(warm, earlier, took)
        self._found["activity"] = without_own(later.since(earlier), own_us)

    def _state(self, status: Any) -> None:
        if isinstance(status, Absent):
            self._found |= {"gauges": status, "clock_ahead_seconds": status}
            return
        self._found["gauges"] = Gauges.model_validate(status)
        local = status.get("localTime")
        now = dt.datetime.now(dt.UTC)
        known = isinstance(local, dt.datetime) and local.tzinfo is not None
        self._found["clock_ahead_seconds"] = (local - now).total_seconds() if known else absent("no localTime")

    def _gauge(self, status: Any) -> None:
        self._queued.append(
            read.reduced(status, lambda found: max(0, int(found["globalLock"]["currentQueue"]["total"])))
        )

    async def _last_write(self, session: Session) -> None:
        if "setName" not in self.hello:
            return
        date = read.reduced(await session.ask({"hello": 1}), lambda found: found["lastWrite"]["lastWriteDate"])
        if isinstance(date, dt.datetime) and date.tzinfo is not None:
            self._writes.append({"at": time.monotonic() - self._began, "date": date})

    async def _rest(self, session: Session, status: Any, options: Any) -> None:
        """Everything that is not counted over the window, on the one connection."""
        try:
            await self._look(session, status, options)
        except Gone as error:
            self.reason = str(error)

    async def _look(self, session: Session, status: Any, options: Any) -> None:
        found, in_set = self._found, "setName" in self.hello
        build = await session.ask({"buildInfo": 1})
        found["version"] = read.reduced(build, lambda answer: answer["versionArray"])
        found["account"] = await read.account(session)
        if self._routed:
            alone = absent("a mongos does not know it; audit each shard directly")
            found |= {"replica_status": alone, "replica_config": alone, "oplog": alone}
            found["routers"] = await estate.routers(session, status)
            found["shards"] = await estate.shards(session)
            found["shard_names"] = await read.shard_names(session)
        elif in_set:  # a standalone would count the question as an error of ours
            found["replica_status"] = await session.ask({"replSetGetStatus": 1})
            found["oplog"] = await read.oplog(session, options)
        found["feature_version"] = await read.feature_version(session)
        found["startup_warnings"] = await read.startup_warnings(session)
        found["host"] = await session.ask({"hostInfo": 1})
        found["disk"] = await session.ask({"dbStats": 1})
        found["data_bytes"] = await read.data_bytes(session)
        found["long_operations"] = await read.long_operations(session, self._agent, routed=self._routed)
        for _ in range(QUEUE_SAMPLES):
            self._gauge(await session.ask({"serverStatus": 1, **dict.fromkeys(_SECTIONS, 0)}))
        self._queue()
        uptime = read.reduced(status, lambda answer: int(answer["uptimeMillis"]))
        totals = await read.top(session)
        ranked = read.busiest(totals)
        found["collections_total"] = ranked if isinstance(ranked, Absent) else len(ranked)
        found["backups"] = await estate.backups(session, totals)
        found["profiling"] = await estate.profiling(session, ranked)
        found["collections"] = await read.collections(session, ranked, uptime)

    def _queue(self) -> None:
        """Joins the samples of the queue; one refused sample makes the gauge absent."""
        if isinstance(self._found.get("gauges"), Gauges):
            refused = next((sample for sample in self._queued if isinstance(sample, Absent)), None)
            queued = refused or tuple(self._queued)
            self._found["gauges"] = self._found["gauges"].model_copy(update={"queued": queued})

    async def _stranger(self) -> None:
        """A second connection without credentials; the server logs one line for it."""
        session = Session(self.address, self._target, self._agent, anonymous=True)
        try:
            self._found["anonymous"] = await read.anonymous(session)
        except Gone as error:
            self._found["anonymous"] = absent(str(error))
        finally:
            await session.close()

    async def _tls(self, options: Any) -> None:
        """A handshake of our own where the URI uses none, if the server offers it."""
        if self._target.uses_tls or self.address.port is None:
            return
        mode = read.reduced(options, _tls_mode)
        if mode is None or mode == "disabled":
            self._found["tls"] = MongoTls(used=False, offered=False)
            return
        try:
            _, self._found["tls"] = await knock(self.address, self._target, tls=True)
        except Unreachable:
            offered = absent("the TLS handshake failed") if isinstance(mode, str) else False
            self._found["tls"] = MongoTls(used=False, offered=offered)


def _tls_mode(options: Any) -> Any:
    net = options["net"]
    return (net.get("tls") or net.get("ssl") or {}).get("mode")


def _document(answer: Any) -> Any:
    return {} if isinstance(answer, Absent) else answer


def _own_microseconds(warm: Counters, first: Counters, took: float) -> int:
    """What one serverStatus of ours costs the server: at most its round trip, and at most what the counter grew by."""
    bounds = [int(took * 1_000_000)]
    grown = first.since(warm).__dict__["commands_us"]
    if isinstance(grown, int):
        bounds.append(grown)
    return min(bounds)


def without_own(activity: Counters, own_us: int) -> Counters:
    """The activity of a window less the one serverStatus that opened it."""
    changes: dict[str, Any] = {}
    for name, own in (("commands", 1), ("commands_us", own_us)):
        value = activity.__dict__[name]
        if isinstance(value, int):
            changes[name] = max(0, value - own)
    commands = activity.__dict__["by_command"]
    if isinstance(commands, dict) and "serverStatus" in commands:
        mine = commands["serverStatus"]
        kept = mine.model_copy(update={"total": max(0, mine.total - 1)})
        changes["by_command"] = {**commands, "serverStatus": kept}
    return activity.model_copy(update=changes)
