"""The steps of the load, sent by the workers of a Dask cluster instead of this machine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from readiness.api import HttpSettings, LoadSettings, ProbeError
from readiness.errors import ConfigError
from readiness.probes.load_step import Together, here

if TYPE_CHECKING:  # the engine and Dask are imported by the probe, when it runs
    from readiness.cluster import Cluster
    from readiness.load import Plan, Result, Shard


@contextlib.asynccontextmanager
async def senders(load: LoadSettings) -> AsyncIterator[Together | None]:
    """What sends the steps: the workers that `load.dask` names, or None where that names none.

    Raises ProbeError where they cannot be reached.
    """
    if load.dask is None:
        yield None
        return
    from readiness.cluster import connect

    stack = contextlib.ExitStack()
    try:
        cluster = await asyncio.to_thread(stack.enter_context, connect(load.dask))
        cluster.demand([load.region])
        yield _Workers(cluster, load.region)
    except ConfigError as error:
        raise ProbeError(f"load.dask: {error.message}" + (f" ({error.hint})" if error.hint else "")) from None
    finally:
        await asyncio.to_thread(stack.close)


def portable(plan: Plan, http: HttpSettings) -> Plan:
    """The plan as it can be sent to another machine: with the certificates to trust instead of a file's name.

    That machine looks the host up for itself: the nearest address is another one there.
    """
    try:
        pem = None if http.ca_file is None else http.ca_file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ProbeError(f"http.ca_file {http.ca_file}: {error.strerror}") from None
    return replace(plan, ssl_context=None, ca_pem=pem, addresses=())


class _Workers:
    """Splits every schedule over the workers; a worker has one call, in which it sends its share of all of them."""

    def __init__(self, cluster: Cluster, region: str | None) -> None:
        self._cluster = cluster
        self._region = region

    async def __call__(self, plans: Sequence[Plan], rate: float) -> tuple[list[Result], int]:
        """Raises LoadError where the service cannot be reached, and ProbeError where a worker was lost."""
        from readiness.cluster import Senders
        from readiness.load import ProcessLost, Result
        from readiness.load.shards import merge

        try:
            workers = Senders(self._cluster, region=self._region, most=min(plan.connections for plan in plans))
        except ValueError as error:
            raise ProbeError(f"load.dask: {error}") from None
        shares = _shares(plans, workers.parties)
        try:
            futures = [asyncio.wrap_future(workers.submit(send, share, rate)) for share in shares]
            answers = await asyncio.gather(*futures, return_exceptions=True)
        finally:
            workers.shutdown(wait=False)
        for share, answer in zip(shares, answers, strict=True):
            if isinstance(answer, ProcessLost):
                raise ProbeError(f"a sender was lost, {_named(share)}: {answer}")
            if isinstance(answer, BaseException):
                raise answer
        packed: Any = answers
        results = [
            merge([Result.unpack(each) for each in column]) for column in zip(*(one for one, _ in packed), strict=True)
        ]
        return results, sum(still_open for _, still_open in packed)


def _shares(plans: Sequence[Plan], workers: int) -> list[list[Shard]]:
    """The schedules of every worker."""
    from readiness.load import split

    return [list(column) for column in zip(*(split(plan, workers) for plan in plans), strict=True)]


def _named(share: Sequence[Shard]) -> str:
    rate = sum(shard.plan.rate for shard in share)
    connections = sum(shard.plan.connections for shard in share)
    return f"{share[0].number} of {share[0].of} with {rate:g} requests/s over {connections} connections"


def send(share: Sequence[Shard], rate: float) -> tuple[list[dict[str, Any]], int]:
    """Sends a worker's share of all schedules; the function that the workers are given."""
    from readiness.load import allow_files
    from readiness.load.child import link
    from readiness.load.loop import loop_factory

    allow_files(sum(shard.plan.connections for shard in share))
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        results, still_open = runner.run(here([shard.plan for shard in share], rate, link()))
    return [result.pack() for result in results], still_open
