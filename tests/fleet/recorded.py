"""What the tests have Dask workers do; imported there as tests.fleet.recorded."""

from __future__ import annotations

import time
from typing import Any

from readiness.load import Result, Sample, Shard
from readiness.load.histogram import Histogram
from readiness.sealed import Sealed


def recorded(index: int) -> float:
    """What the request with this number took, in seconds: mostly a little, and now and then a stall."""
    return 0.001 * (1 + index * 7919 % 1000 / 100) + (0.5 if index % 50 == 0 else 0.0)


def replay(shard: Shard) -> dict[str, Any]:
    """The result of a sender to which each of its requests took what was recorded for it."""
    plan, sample = shard.plan, Sample()
    assert plan.due is not None
    for number in range(plan.due):
        seconds = recorded(shard.number - 1 + shard.of * number)
        sample.succeed(seconds, seconds)
    nothing = Histogram(), Histogram()
    return Result(sample, (sample,), *nothing, plan.duration, plan.connections, started_at=time.time()).pack()


def slow(sealed: Sealed) -> str:
    """Opens the secret, after a while in which the scheduler has something to show."""
    time.sleep(0.5)
    return str(sealed.open()["password"])
