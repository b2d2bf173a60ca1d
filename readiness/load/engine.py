"""The schedule: which request is due when, on which connection it goes out, and when the run is over."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import cast

from readiness.load import spare
from readiness.load.connection import Connection
from readiness.load.control import Control, Progress
from readiness.load.dial import Dial
from readiness.load.plan import Plan
from readiness.load.result import Kind, Result, Sample, whole

SPIN_SECONDS = 0.0015
"""Timers are this much too coarse: the last stretch before a due time is polled."""
TICK_SECONDS = 0.1
SHORTEST_SECONDS = 0.25
"""A run that is shorter says nothing of what share of the time it was busy."""
ERROR_SECONDS = 2.0
ERROR_SHARE = 0.5
BACKOFF_SECONDS = 0.05
LINGER_SECONDS = 1.0
"""How long a run that was stopped waits for the answers under way."""
_SUCCESS = Kind.SUCCESS  # a member of an enumeration is slow to look up, for the path that every answer takes


async def run(
    plan: Plan, *, ready: Callable[[], Awaitable[object]] | None = None, control: Control | None = None
) -> Result:
    """Carries out the plan.

    Args:
        ready: awaited once between warming the connections and the first request.
        control: to watch the run and to end it early; the result then says so.

    Raises:
        LoadError: the target cannot be reached at all, or this machine lacks file descriptors.
    """
    engine = _Engine(plan, control or Control())
    try:
        if await engine.prepare(ready):
            await engine.measure()
    finally:
        engine.close()
    return engine.result()


class _Engine:
    """One run. Everything happens in one event loop; a request is a due time and the sample that counts it."""

    def __init__(self, plan: Plan, control: Control) -> None:
        self._plan = plan
        self._control = control
        self.payload = plan.request()
        self.timeout = plan.timeout
        self.max_bytes = plan.max_bytes
        self.usual = b""
        self.bodiless = plan.method == "HEAD"
        self._tolerance = math.inf if plan.tolerance is None else plan.tolerance
        self._loop = asyncio.get_running_loop()
        self._dial = Dial(plan, lambda: Connection(self))
        self._open: set[Connection] = set()
        self._idle: deque[Connection] = deque()
        self._waiting: deque[tuple[float, Sample]] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._preparing: asyncio.Task[None] | None = None
        self._handles: dict[str, asyncio.Handle] = {}
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._samples = tuple(Sample() for _ in range(plan.windows))
        self._sample = self._samples[0]  # of the current window; the closed loop's
        self._limit = math.inf if plan.due is None else plan.due
        self._left = 0.0 if plan.rate else self._limit  # what a closed loop may still send
        self._scheduling = plan.rate > 0
        self._spare, self._entered = spare.of(self._loop), cast(spare.Spent | None, None)
        self._scheduled = self._busy = self.answered = self._failed = 0
        self._running = False
        self._start = self._end = self._last = self._concluded = self._began = self._spent = self._share = 0.0
        self._history: deque[tuple[float, int, int]] = deque()
        self._peak = self._refused = self._closed = self._received = self._unfinished = 0
        self._stopped: str | None = None
        self._location: str | None = None
        self._retry_after: str | None = None

    # Connections.

    async def prepare(self, ready: Callable[[], Awaitable[object]] | None) -> bool:
        """Opens the connections and awaits `ready`; False where the run was stopped before all that was done."""
        self._preparing = self._loop.create_task(self._prepare(ready))
        self._control.attach(self)
        try:
            await self._preparing
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._stopped is None or (task is not None and task.cancelling()):
                raise
        return self._stopped is None

    async def _prepare(self, ready: Callable[[], Awaitable[object]] | None) -> None:
        await self._dial.resolve()
        if self._plan.warm:
            self._refused = await self._dial.several(self._plan.connections, self._keep)
        if ready is not None:
            await ready()

    def _keep(self, connection: Connection) -> None:
        self._open.add(connection)
        self._idle.append(connection)
        self._peak = max(self._peak, len(self._open))

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
            self._keep(await self._dial())
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
        self._began, self._entered = time.time(), self._spare.enter(self)
        self._start = self._last = perf_counter()
        self._end = self._start + self._plan.duration
        self._history.append((self._start, 0, 0))
        self._tick()
        if self._plan.rate:
            self._dispatch()
        else:
            self._turn(0)
            for _ in range(self._plan.connections):
                self._again()
        await self._over

    def _turn(self, window: int) -> None:
        """What a closed loop sends from now on belongs to this window."""
        self._sample = self._samples[window]
        if window + 1 < len(self._samples):
            due = self._start + (window + 1) * self._plan.duration / len(self._samples)
            self._handles["turn"] = self._loop.call_later(due - perf_counter(), self._turn, window + 1)

    def _dispatch(self) -> None:
        now = perf_counter()
        self._spare.begins(now)
        interval, windows = 1 / self._plan.rate, self._samples
        start = self._start + self._plan.offset
        due = start + self._scheduled * interval
        while due <= now and self._scheduled < self._limit:
            window = int((due - self._start) / self._plan.duration * len(windows))
            sample = windows[min(window, len(windows) - 1)]
            self._scheduled += 1
            if now - due > self._tolerance:
                sample.skipped += 1
            else:
                sample.lateness.record(now - due)
                self._waiting.append((due, sample))
            due = start + self._scheduled * interval
        if self._waiting:
            self._pump()
        if not self._running:
            return
        self._spare.ends(now := perf_counter())
        if self._scheduled == self._plan.max_requests:
            self._finish()
        elif self._scheduled >= self._limit:
            self._handles["next"] = self._loop.call_at(self._loop.time() + self._end - perf_counter(), self._finish)
        elif (pause := due - now) > 2 * SPIN_SECONDS:
            self._handles["next"] = self._loop.call_later(pause - SPIN_SECONDS, self._dispatch)
        else:
            self._handles["next"] = self._loop.call_soon(self._dispatch)

    def _again(self) -> None:
        """The next request of a closed loop."""
        if self._left > 0:
            self._left -= 1
            self._waiting.append((0.0, self._sample))
            self._pump()

    def _pump(self) -> None:
        while self._waiting and self._idle:
            # First in, first out: servers that take one connection after the other expect it.
            connection = self._idle.popleft()
            if connection.usable:
                due, sample = self._waiting.popleft()
                self._busy += 1
                now = perf_counter()
                connection.send(due or now, now, sample)
        if self._waiting:
            self._grow()

    # What connections report.

    def ended(self, connection: Connection, kind: Kind, now: float, reusable: bool) -> None:
        """One request has ended."""
        sample = connection.sample
        assert sample is not None
        if kind is _SUCCESS:
            self.answered += 1
            self._last = now
            sample.succeed(connection.latency, connection.first_byte - connection.due)
            if self._scheduling:
                connection.service = now - connection.sent
                sample.service.record(connection.service)
        else:
            self._count(sample, kind, now)
            self._note(connection, kind)
        if not reusable:
            connection.idle()
            self._busy -= 1
            self._closed += kind.answered
            self._forget(connection)
            self._again()
            self._pump()
        elif self._left > 0 and not self._waiting:
            self._left -= 1
            connection.again(now, now, self._sample)
        elif self._waiting:
            due, sample = self._waiting.popleft()
            connection.again(due or now, now, sample)
        else:
            connection.idle()
            self._busy -= 1
            self._idle.append(connection)
        if not self._busy:
            self._check()

    def _note(self, connection: Connection, kind: Kind) -> None:
        if kind is Kind.REDIRECT:
            self._location = connection.header(b"location") or self._location
        elif connection.status in (429, 503) and (retry := connection.header(b"retry-after")) is not None:
            self._retry_after = retry
            self._halt(f"{connection.status} with Retry-After")

    def surplus(self, connection: Connection) -> None:
        """Bytes came that belong to no request: the answer before them was not what it seemed."""
        if connection.previous is not None:
            service = connection.service if self._scheduling else None
            connection.previous.revoke(connection.latency, connection.first_byte - connection.due, service)
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
        self.answered += 1
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
        if self._control.on_progress is not None:
            self._control.on_progress(self._progress(now))
        if not self._plan.rate and now >= self._end:
            self._finish()
        self._check()
        if not self._over.done():
            pause = min(TICK_SECONDS, max(self._plan.timeout / 20, 0.005), max(self._end - now, 0.005))
            self._handles["tick"] = self._loop.call_later(pause, self._tick)

    def _judge(self, now: float) -> None:
        self._history.append((now, self.answered, self._failed))
        while len(self._history) > 1 and self._history[1][0] <= now - ERROR_SECONDS:
            self._history.popleft()
        since, answered, failed = self._history[0]
        answered, failed = self.answered - answered, self._failed - failed
        if now - since >= ERROR_SECONDS and answered and failed > ERROR_SHARE * answered:
            self._halt(f"{failed} of {answered} requests failed within {ERROR_SECONDS:g} s")

    def _progress(self, now: float) -> Progress:
        seconds = sum(sample.seconds for sample in self._samples)
        return Progress(now - self._start, self.answered, self._failed, seconds, len(self._open))

    def _halt(self, why: str) -> None:
        """Ends the run early of itself."""
        if self._running:
            self.stop(why)
            if self._control.on_stop is not None:
                self._control.on_stop(why)

    def stop(self, why: str) -> None:
        """Sends nothing more. The answers under way have a little time to come."""
        if self._stopped is not None or self._over.done():
            return
        self._stopped = why
        if not self._start:
            if self._preparing is not None:
                self._preparing.cancel()
            return
        self._waiting.clear()
        self._finish()
        self._handles["linger"] = self._loop.call_later(LINGER_SECONDS, self._conclude)

    def _finish(self) -> None:
        """Nothing more becomes due."""
        self._running = False
        self._left = 0
        if (handle := self._handles.get("next")) is not None:
            handle.cancel()
        if not self._plan.rate:
            self._waiting.clear()
        self._check()

    def _check(self) -> None:
        if self._running and (self._plan.rate or self._left > 0):
            return
        if not self._busy and not self._waiting:
            self._running = False
            self._conclude()

    def _conclude(self) -> None:
        if not self._over.done():
            now = perf_counter()
            self._concluded = self._last if self._stopped else now
            self._unfinished = self._busy
            self._leave(now)
            self._over.set_result(None)

    def _leave(self, now: float) -> None:
        if self._entered is not None:
            spent, self._entered = self._spare.leave(self, self._entered), None
            self._spent = spent.worked
            if now - self._start > SHORTEST_SECONDS:
                # Where others want the processor too, the engine may have no time left without ever having all of it.
                self._share = min(1.0, (spent.worked + spent.waited) / (now - self._start))

    def close(self) -> None:
        """Ends everything that is still under way."""
        self._leave(self._start)
        self._running = False
        for handle in self._handles.values():
            handle.cancel()
        for task in self._opening:
            task.cancel()
        for connection in list(self._open):
            self._forget(connection)

    def result(self) -> Result:
        """What was measured."""
        return Result(
            total=whole(self._samples),
            windows=self._samples,
            connect=self._dial.connect,
            tls=self._dial.handshake,
            duration_seconds=self._concluded - self._start,
            connections=self._peak,
            refused=self._refused,
            closed=self._closed,
            received=self._received,
            stopped=self._stopped,
            location=self._location,
            retry_after=self._retry_after,
            unfinished=self._unfinished,
            started_at=self._began,
            cpu_seconds=self._spent,
            busy_share=self._share,
        )
