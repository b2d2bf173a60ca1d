"""The schedule: which request is due when, on which connection it goes out, and when the run is over."""

from __future__ import annotations

import asyncio
import errno
import math
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from time import perf_counter

from readiness.load.address import reason, resolve, tls
from readiness.load.connection import Connection
from readiness.load.histogram import Histogram
from readiness.load.plan import LoadError, Plan
from readiness.load.result import Kind, Result, Sample, combined

OPENING = 128
"""How many connections are opened at the same time."""
SPIN_SECONDS = 0.0015
"""Timers are this much too coarse: the last stretch before a due time is polled."""
TICK_SECONDS = 0.1
ERROR_SECONDS = 2.0
ERROR_SHARE = 0.5
BACKOFF_SECONDS = 0.05
LINGER_SECONDS = 1.0
"""How long a run that was stopped waits for the answers under way."""


async def run(plan: Plan, *, ready: Callable[[], Awaitable[object]] | None = None) -> Result:
    """Carries out the plan.

    Args:
        ready: awaited once between warming the connections and the first request.

    Raises:
        LoadError: the target cannot be reached at all, or this machine lacks file descriptors.
    """
    engine = _Engine(plan)
    try:
        await engine.warm()
        if ready is not None:
            await ready()
        await engine.measure()
    finally:
        engine.close()
    return engine.result()


def measure(plan: Plan) -> Result:
    """`run(plan)` in an event loop of its own, uvloop's where it is installed."""
    try:
        import uvloop
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(run(plan))


class _Engine:
    """One run. Everything happens in one event loop; a request is a due time and the sample that counts it."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.payload = plan.request()
        self.timeout = plan.timeout
        self.max_bytes = plan.max_bytes
        self._tolerance = math.inf if plan.tolerance is None else plan.tolerance
        self._loop = asyncio.get_running_loop()
        self._addresses: list[tuple[int, tuple[object, ...]]] = []
        self._tls = tls(plan)
        self._open: set[Connection] = set()
        self._idle: deque[Connection] = deque()
        self._waiting: deque[tuple[float, Sample]] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._handles: dict[str, asyncio.Handle] = {}
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._samples = tuple(Sample() for _ in range(plan.windows))
        self._connect, self._handshake = Histogram(), Histogram()
        self._limit = math.inf if plan.due is None else plan.due
        self._scheduled = self._busy = self._answered = self._failed = 0
        self._running, self._closed_loop = False, not plan.rate
        self._start = self._end = self._last = self._concluded = 0.0
        self._history: deque[tuple[float, int, int]] = deque()
        self._peak = self._refused = self._closed = self._received = 0
        self._stopped: str | None = None
        self._location: str | None = None
        self._retry_after: str | None = None

    # Connections.

    async def warm(self) -> None:
        """Finds the address and opens the connections. Raises LoadError where none could be opened."""
        host, port, _ = self._plan.target()
        try:
            async with asyncio.timeout(self._plan.timeout):
                self._addresses = await resolve(self._loop, host, port)
        except OSError as error:
            raise LoadError(f"{host}: {reason(error)}") from None
        if not self._plan.warm:
            return
        gate = asyncio.Semaphore(OPENING)
        errors = await asyncio.gather(*(self._try_open(gate) for _ in range(self._plan.connections)))
        failed = [error for error in errors if error is not None]
        if full := next((e for e in failed if e.errno in (errno.EMFILE, errno.ENFILE)), None):
            raise LoadError(f"{len(self._open)} connections, then {reason(full)}: raise `ulimit -n`")
        if len(failed) == len(errors):
            raise LoadError(f"could not connect to {host}:{port} ({reason(failed[0])})")
        self._refused = len(failed)

    async def _try_open(self, gate: asyncio.Semaphore) -> OSError | None:
        async with gate:
            try:
                self._idle.append(await self._connection())
            except OSError as error:
                return error
        return None

    async def _connection(self) -> Connection:
        connection = Connection(self)
        async with asyncio.timeout(self._plan.timeout):
            began = perf_counter()
            sock = await self._socket()
            self._connect.record(perf_counter() - began)
            try:
                began = perf_counter()
                name = self._plan.target()[0] if self._tls else None
                await self._loop.create_connection(lambda: connection, sock=sock, ssl=self._tls, server_hostname=name)
            except BaseException:
                sock.close()
                raise
            if self._tls:
                self._handshake.record(perf_counter() - began)
        if not connection.usable:  # closed again before anybody looked
            raise ConnectionResetError(errno.ECONNRESET, "closed at once")
        self._open.add(connection)
        self._peak = max(self._peak, len(self._open))
        return connection

    async def _socket(self) -> socket.socket:
        failure: OSError | None = None
        for family, address in list(self._addresses):
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setblocking(False)
            try:
                await self._loop.sock_connect(sock, address)
            except OSError as error:
                sock.close()
                failure = error
            except BaseException:
                sock.close()
                raise
            else:
                if failure is not None:  # start with the address that works next time
                    self._addresses.insert(0, self._addresses.pop(self._addresses.index((family, address))))
                return sock
        raise failure or OSError(errno.EADDRNOTAVAIL, "no address")

    def _grow(self) -> None:
        room = self._plan.connections - len(self._open) - len(self._opening)
        for _ in range(min(room, len(self._waiting) - len(self._opening))):
            task = self._loop.create_task(self._replace())
            self._opening.add(task)
            task.add_done_callback(self._opened)

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        if not task.cancelled():
            task.result()
        self._pump()

    async def _replace(self) -> None:
        try:
            self._idle.append(await self._connection())
        except OSError:
            if self._waiting:
                _, sample = self._waiting.popleft()
                self._count(sample, Kind.CONNECT, perf_counter())
                await asyncio.sleep(BACKOFF_SECONDS)
                self._again()

    # Requests.

    async def measure(self) -> None:
        """Sends what is due until the run is over."""
        self._running = True
        self._start = self._last = perf_counter()
        self._end = self._start + self._plan.duration
        self._history.append((self._start, 0, 0))
        self._tick()
        if self._plan.rate:
            self._dispatch()
        else:
            for _ in range(self._plan.connections):
                self._again()
        await self._over

    def _dispatch(self) -> None:
        now = perf_counter()
        interval, windows = 1 / self._plan.rate, self._samples
        due = self._start + self._scheduled * interval
        while due <= now and self._scheduled < self._limit:
            window = int((due - self._start) / self._plan.duration * len(windows))
            sample = windows[min(window, len(windows) - 1)]
            self._scheduled += 1
            if now - due > self._tolerance:
                sample.skipped += 1
            else:
                sample.lateness.record(now - due)
                self._waiting.append((due, sample))
            due = self._start + self._scheduled * interval
        if self._waiting:
            self._pump()
        if not self._running:
            return
        if self._scheduled == self._plan.max_requests:
            self._finish()
        elif self._scheduled >= self._limit:
            self._handles["next"] = self._loop.call_at(self._loop.time() + self._end - perf_counter(), self._finish)
        elif (pause := due - perf_counter()) > 2 * SPIN_SECONDS:
            self._handles["next"] = self._loop.call_later(pause - SPIN_SECONDS, self._dispatch)
        else:
            self._handles["next"] = self._loop.call_soon(self._dispatch)

    def _again(self) -> None:
        """The next request of a closed loop."""
        if not self._closed_loop or not self._running or self._scheduled >= self._limit:
            return
        self._scheduled += 1
        self._waiting.append((0.0, self._current()))
        self._pump()

    def _current(self) -> Sample:
        share = (perf_counter() - self._start) / self._plan.duration
        return self._samples[min(int(share * len(self._samples)), len(self._samples) - 1)]

    def _pump(self) -> None:
        while self._waiting and self._idle:
            # First in, first out: servers that take one connection after the other expect it.
            connection = self._idle.popleft()
            if connection.usable:
                due, sample = self._waiting.popleft()
                self._send(connection, due, sample)
        if self._waiting:
            self._grow()

    def _send(self, connection: Connection, due: float, sample: Sample) -> None:
        self._busy += 1
        connection.send(due or perf_counter(), sample)

    # What connections report.

    def ended(self, connection: Connection, kind: Kind, now: float, reusable: bool) -> None:
        """One request has ended."""
        sample = connection.sample
        assert sample is not None
        if kind is Kind.SUCCESS:
            self._answered += 1
            self._last = now
            sample.succeed(connection.latency, connection.first_byte - connection.due)
        else:
            self._count(sample, kind, now)
            self._note(connection, kind)
        connection.idle()
        if not reusable:
            self._busy -= 1
            self._closed += kind.answered
            self._forget(connection)
            self._again()
            self._pump()
        elif self._waiting:
            due, sample = self._waiting.popleft()
            connection.send(due or now, sample)
        elif self._closed_loop and self._running and self._scheduled < self._limit:
            self._scheduled += 1
            connection.send(now, sample if len(self._samples) == 1 else self._current())
        else:
            self._busy -= 1
            self._idle.append(connection)
        if not self._busy:
            self._check()

    def _note(self, connection: Connection, kind: Kind) -> None:
        if kind is Kind.REDIRECT:
            self._location = connection.header(b"location") or self._location
        elif kind is Kind.LIMITED and (retry := connection.header(b"retry-after")) is not None:
            self._retry_after = retry
            self._stop("429 with Retry-After")

    def surplus(self, connection: Connection) -> None:
        """Bytes came that belong to no request: the answer before them was not what it seemed."""
        if connection.previous is not None:
            connection.previous.revoke(connection.latency, connection.first_byte - connection.due)
            self._failed += 1
        self._forget(connection)

    def lost(self, connection: Connection) -> None:
        """The connection is gone."""
        self._forget(connection)
        self._pump()

    def _forget(self, connection: Connection) -> None:
        if connection in self._open:
            self._open.discard(connection)
            self._received += connection.received
            connection.drop()

    def _count(self, sample: Sample, kind: Kind, now: float) -> None:
        sample.others[kind] += 1
        self._answered += 1
        self._last = now
        self._failed += kind.failed

    # Time.

    def _tick(self) -> None:
        """Looks for requests past their deadline, for too many errors, and for the end."""
        now = perf_counter()
        for connection in [each for each in self._open if each.deadline < now]:
            connection.give_up(now)
        while self._waiting and 0 < self._waiting[0][0] < now - self._plan.timeout:
            self._count(self._waiting.popleft()[1], Kind.UNSENT, now)
        if self._running:
            self._judge(now)
        if not self._plan.rate and now >= self._end:
            self._finish()
        self._check()
        if not self._over.done():
            pause = min(TICK_SECONDS, max(self._plan.timeout / 20, 0.005), max(self._end - now, 0.005))
            self._handles["tick"] = self._loop.call_later(pause, self._tick)

    def _judge(self, now: float) -> None:
        self._history.append((now, self._answered, self._failed))
        while len(self._history) > 1 and self._history[1][0] <= now - ERROR_SECONDS:
            self._history.popleft()
        since, answered, failed = self._history[0]
        answered, failed = self._answered - answered, self._failed - failed
        if now - since >= ERROR_SECONDS and answered and failed > ERROR_SHARE * answered:
            self._stop(f"{failed} of {answered} requests failed within {ERROR_SECONDS:g} s")

    def _stop(self, why: str) -> None:
        if self._running:
            self._stopped = why
            self._waiting.clear()
            self._finish()
            self._handles["linger"] = self._loop.call_later(LINGER_SECONDS, self._conclude)

    def _finish(self) -> None:
        """Nothing more becomes due."""
        self._running = False
        if (handle := self._handles.get("next")) is not None:
            handle.cancel()
        if not self._plan.rate:
            self._waiting.clear()
        self._check()

    def _check(self) -> None:
        if self._running and (self._plan.rate or self._scheduled < self._limit):
            return
        if not self._busy and not self._waiting:
            self._running = False
            self._conclude()

    def _conclude(self) -> None:
        if not self._over.done():
            self._concluded = self._last if self._stopped else perf_counter()
            self._over.set_result(None)

    def close(self) -> None:
        """Ends everything that is still under way."""
        self._running = False
        for handle in self._handles.values():
            handle.cancel()
        for task in self._opening:
            task.cancel()
        for connection in list(self._open):
            self._forget(connection)

    def result(self) -> Result:
        """What was measured."""
        total = self._samples[0] if len(self._samples) == 1 else combined(self._samples)
        return Result(
            total=total,
            windows=self._samples,
            connect=self._connect,
            tls=self._handshake,
            duration_seconds=self._concluded - self._start,
            connections=self._peak,
            refused=self._refused,
            closed=self._closed,
            received=self._received,
            stopped=self._stopped,
            location=self._location,
            retry_after=self._retry_after,
        )
