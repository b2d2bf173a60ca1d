"""One plan over several processes or machines: split, run in any `concurrent.futures` executor, merge.

    with Processes(4) as executor:
        merged = run_shards(split(plan, 4), executor)

A shard is plain data that pickles, and so is what `run_shard` returns. An executor may have `stop(why)`, which ends the
shards that run in it early; others can only be waited for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass, replace
from typing import Any

from readiness.load.child import Link, link
from readiness.load.control import Control
from readiness.load.engine import LINGER_SECONDS, run
from readiness.load.files import allow_files
from readiness.load.histogram import merged
from readiness.load.loop import loop_factory
from readiness.load.plan import LoadError, Plan
from readiness.load.processes import ProcessLost
from readiness.load.result import Result, combined, whole

LOOK_SECONDS = 0.2
GRACE_SECONDS = LINGER_SECONDS + 5
"""How long shards that were told to stop have until they are given up."""
INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Shard:
    """A share of a plan. `number` counts from 1. `begin` is the Unix time when the first request becomes due, for
    executors that cannot start their shards together; None starts as soon as the connections are open."""

    plan: Plan
    number: int
    of: int
    begin: float | None = None

    def __str__(self) -> str:
        rate = f"{self.plan.rate:g} requests/s" if self.plan.rate else "a closed loop"
        connections = f"{self.plan.connections} connection{'s' * (self.plan.connections != 1)}"
        return f"process {self.number} of {self.of} ({rate} over {connections})"


@dataclass(frozen=True, slots=True)
class Lost:
    """A shard that brought no result, and why."""

    shard: Shard
    reason: str

    def __str__(self) -> str:
        return f"{self.shard} was lost: {self.reason}"


@dataclass(frozen=True, slots=True)
class Merged:
    """What all shards measured together. `apart` is the time in seconds between the first and the last that began."""

    result: Result
    shards: int
    lost: tuple[Lost, ...] = ()
    apart: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether the plan was carried out: no shard is missing, and nothing ended it early."""
        return not self.lost and self.result.stopped is None


def split(plan: Plan, shards: int, begin: float | None = None) -> list[Shard]:
    """The plan in equal parts that take turns: together they send what it alone would, when it would.

    Raises:
        ValueError: more shards than connections or requests.
    """
    if not 1 <= shards <= plan.connections:
        raise ValueError(f"{shards} processes cannot share {plan.connections} connections")
    if plan.max_requests is not None and plan.max_requests < shards:
        raise ValueError(f"{shards} processes cannot share {plan.max_requests} requests")
    parts = []
    for index in range(shards):
        part = replace(
            plan,
            rate=plan.rate / shards,
            offset=plan.offset + (index / plan.rate if plan.rate else 0.0),
            connections=_share(plan.connections, shards, index),
            max_requests=None if plan.max_requests is None else _share(plan.max_requests, shards, index),
        )
        parts.append(Shard(part, index + 1, shards, begin))
    return parts


def _share(total: int, parts: int, index: int) -> int:
    return total // parts + (index < total % parts)


def run_shard(shard: Shard) -> dict[str, Any]:
    """Carries out one shard and packs its result; the function that executors are given. Raises LoadError."""
    allow_files(shard.plan.connections)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_run(shard, link())).pack()


async def _run(shard: Shard, link: Link | None) -> Result:
    if link is not None:
        control = Control(link.progress, link.stopping)
        link.attach(control)
        return await run(shard.plan, ready=link.ready, control=control)

    async def begin() -> None:
        if shard.begin is not None:
            await asyncio.sleep(shard.begin - time.time())

    return await run(shard.plan, ready=begin)


def run_shards(shards: Sequence[Shard], executor: Executor, *, look: Callable[[], object] = lambda: None) -> Merged:
    """Runs the shards and merges what they measured.

    After KeyboardInterrupt nothing more is sent, and the result is what there was until then, `stopped` saying so; a
    second one is raised.

    Args:
        look: called a few times a second while the shards run.

    Raises:
        LoadError: no shard could be run at all.
    """
    futures: list[Future[dict[str, Any]]] = []
    interrupted = False
    try:
        for shard in shards:
            futures.append(executor.submit(run_shard, shard))
        pending = set(futures)
        while pending:
            pending = wait(pending, timeout=LOOK_SECONDS).not_done
            look()
    except KeyboardInterrupt:
        interrupted = True
        _stop(executor, futures)
        wait(futures, timeout=GRACE_SECONDS)
    results, lost = [], []
    for shard, future in zip(shards, futures, strict=False):  # an interrupt can come before all have begun
        try:
            results.append(Result.unpack(future.result(timeout=0)))
        except (LoadError, ProcessLost) as error:
            lost.append(Lost(shard, str(error)))
        except BaseException as error:  # cancelled, not back in time, a broken pool, a bug: the share is missing
            lost.append(Lost(shard, _why(error)))
    if not results and not interrupted:
        raise LoadError(lost[0].reason if len({each.reason for each in lost}) == 1 else str(lost[0]))
    result = merge(results)
    if interrupted:
        result = replace(result, stopped=INTERRUPTED)
    began = [each.started_at for each in results if each.started_at]
    return Merged(result, len(shards), tuple(lost), max(began) - min(began) if began else 0.0)


def _stop(executor: Executor, futures: Sequence[Future[Any]]) -> None:
    stop = getattr(executor, "stop", None)
    if stop is not None:
        stop(INTERRUPTED)
    else:
        for future in futures:
            future.cancel()


def _why(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300].removesuffix(": ")


def merge(results: Sequence[Result]) -> Result:
    """One result with the answers of all; the time runs from the first start to the last end."""
    began = [result for result in results if result.started_at]
    first = min((result.started_at for result in began), default=0.0)
    last = max((result.started_at + result.duration_seconds for result in began), default=0.0)
    windows = tuple(combined(parts) for parts in zip(*(result.windows for result in results), strict=True))
    reasons = dict.fromkeys(result.stopped for result in results if result.stopped)
    return Result(
        total=whole(windows) if windows else combined(()),
        windows=windows,
        connect=merged(result.connect for result in results),
        tls=merged(result.tls for result in results),
        duration_seconds=last - first,
        connections=sum(result.connections for result in results),
        refused=sum(result.refused for result in results),
        closed=sum(result.closed for result in results),
        received=sum(result.received for result in results),
        stopped="; ".join(reasons) or None,
        location=next((result.location for result in results if result.location), None),
        retry_after=next((result.retry_after for result in results if result.retry_after), None),
        unfinished=sum(result.unfinished for result in results),
        started_at=first,
        cpu_seconds=sum(result.cpu_seconds for result in results),
        busy_share=max((result.busy_share for result in results), default=0.0),
    )
