"""One step of load: so many requests a second over so many connections, and never more than the ceilings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from readiness.facts.load import LoadStep
from readiness.probes.load_figures import answers, known, printable, timing

if TYPE_CHECKING:  # the engine and its drivers are imported by the probe, when it runs
    from readiness.load import Plan, Progress, Result
    from readiness.load.child import Link

Together = Callable[[Sequence["Plan"], float], Awaitable[tuple[list["Result"], int]]]
"""Runs schedules at the same time: their results, and how many connections are open in the end."""
LEAST_SECONDS = 0.5
"""Of a step, and to give up what is still under way before the end."""
PAUSE_SECONDS = 0.02
"""Between two steps, in which the service sees that the connections of the first are gone."""


class Generator:
    """Sends steps: every endpoint gets an equal share of the rate and of the connections."""

    def __init__(
        self, plans: tuple[Plan, ...], connections: int, ends: float, tolerance: float, together: Together | None = None
    ) -> None:
        self._plans = plans[:connections]
        self._together = together or here
        self._ends = ends
        self.connections = connections
        self.tolerance = tolerance
        self.began = time.monotonic()
        self.requests = self.most = 0

    @property
    def left(self) -> float:
        """Seconds in which requests may still be sent."""
        return max(0.0, self._ends - time.monotonic())

    async def step(
        self, rate: float, seconds: float, connections: int, patience: float, *, warm: bool = False
    ) -> LoadStep:
        """One step; requests without an answer are given up after `patience` seconds, and before the end in any case.

        `warm` opens all connections before the first request, even where the service closes them after every answer.
        Raises TimeoutError where it cannot end in time.
        """
        from readiness.load import LoadError

        shares = range(len(self._plans))
        timeout = min(patience, max(LEAST_SECONDS, self.left - seconds - LEAST_SECONDS))
        plans = [
            replace(
                plan, rate=rate / len(shares), duration=seconds, timeout=timeout, tolerance=self.tolerance,
                connections=max(1, connections // len(shares) + (share < connections % len(shares))),
                warm=plan.warm or warm,
            )
            for share, plan in zip(shares, self._plans, strict=True)
        ]  # fmt: skip
        try:
            async with asyncio.timeout(self.left):
                results, still_open = await self._together(plans, rate)
        except LoadError as error:  # it can be reached: it was a moment ago
            await asyncio.sleep(PAUSE_SECONDS)
            return LoadStep(rate=rate, wanted=connections, answers={"connect": connections}, stopped=str(error))
        # Where the service ended a connection after an answer, its client opens another: nobody was refused.
        held = min(connections, still_open + sum(result.closed for result in results))
        step = _step(results, rate, seconds, connections).model_copy(update={"held": held})
        self.requests += step.requests
        self.most = max(self.most, step.connections)
        await asyncio.sleep(PAUSE_SECONDS)
        return step


async def here(plans: Sequence[Plan], rate: float, link: Link | None = None) -> tuple[list[Result], int]:
    """Runs all schedules, each a little after the one before, and how many connections are open in the end.

    What ends one of them early, such as a refusal that says when to retry, ends them all.

    Args:
        rate: of all senders together.
        link: to the others, where there are other senders that start at the same time.
    """
    from readiness.load import run

    together, started = asyncio.Barrier(len(plans)), asyncio.Event()

    async def ready(delay: float) -> None:
        if await together.wait() == 0:
            if link is not None:
                await link.ready()
            started.set()
        await started.wait()
        await asyncio.sleep(delay)

    watches = _Watches(len(plans), link)
    tasks = [
        asyncio.create_task(run(plan, ready=partial(ready, number / rate), control=watch.control))
        for number, (plan, watch) in enumerate(zip(plans, watches.all, strict=True))
    ]
    try:
        results = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return results, sum(watch.open for watch in watches.all)


class _Watch:
    """Sees how many connections of one schedule are open."""

    def __init__(self, on_progress: Callable[[Progress], object], on_stop: Callable[[str], object]) -> None:
        from readiness.load import Control

        self.open = 0
        self._on_progress = on_progress
        self.control = Control(self._note, on_stop)

    def _note(self, progress: Progress) -> None:
        self.open = progress.connections
        self._on_progress(progress)


class _Watches:
    """Of all schedules: what ends one ends all, here and, where there is a link, everywhere."""

    def __init__(self, count: int, link: Link | None) -> None:
        self._link = link
        on_progress = (lambda progress: None) if link is None else link.progress
        self.all = [_Watch(on_progress, self._halted) for _ in range(count)]
        if link is not None:
            link.attach(self)

    def _halted(self, why: str) -> None:
        if self._link is not None:
            self._link.stopping(why)
        self.stop(why)

    def stop(self, why: str) -> None:
        """Ends all schedules early."""
        for watch in self.all:
            watch.control.stop(why)


def _step(results: Sequence[Result], rate: float, seconds: float, connections: int) -> LoadStep:
    from readiness.load import combined

    total = combined(result.total for result in results)
    lasted = max(result.duration_seconds for result in results)
    scheduled = min(seconds, lasted) or seconds
    ends = answers(total)
    counted = ", ".join(f"{count} x {kind}" for kind, count in ends.items()) or "nothing was sent"
    return LoadStep(
        rate=round(rate, 3),
        sent=round(min(rate, total.requests / scheduled), 3),
        seconds=round(scheduled, 3),
        drained=round(max(0.0, lasted - scheduled), 3),
        connections=sum(result.connections for result in results),
        wanted=connections,
        answers=ends,
        skipped=total.skipped,
        saturated=any(result.saturated for result in results),
        timing=timing([total], f"no successful answer at {rate:,.0f}/s ({counted})"),
        lateness_ms=known(total.lateness.percentile(99), "nothing was due"),
        retry_after=next((printable(each) for result in results if (each := result.retry_after) is not None), ""),
        stopped=next((result.stopped for result in results if result.stopped), ""),
    )
