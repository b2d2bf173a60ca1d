"""An open-loop HTTP/1.1 load engine, usable alone: it imports nothing else of readiness.

    from readiness.load import Plan, measure

    result = measure(Plan("http://127.0.0.1:8080/", rate=200, duration=5, connections=20))
    result.percentile(95)       # milliseconds, from the moment each request was due
    result.to_json()

Requests are due at fixed times, whatever the server does, and their latency counts from the due time, so that a stall
is seen by every request that it delayed (no coordinated omission). Only successful answers enter the latency
histogram; everything else is counted by kind. `rate=0` is a closed loop: every connection asks again at once.

`run(plan)` does the same inside a running event loop. Times go in as seconds and come out as milliseconds.
"""

from readiness.load.engine import measure, run
from readiness.load.histogram import Histogram, merged
from readiness.load.plan import LoadError, Plan
from readiness.load.result import LATE_MS, LATE_SHARE, Kind, Result, Sample, combined

__all__ = [
    "LATE_MS",
    "LATE_SHARE",
    "Histogram",
    "Kind",
    "LoadError",
    "Plan",
    "Result",
    "Sample",
    "combined",
    "measure",
    "merged",
    "run",
]
