"""An open-loop HTTP/1.1 load engine, usable alone: it imports nothing else of readiness.

    from readiness.load import Plan, measure

    result = measure(Plan("http://127.0.0.1:8080/", rate=200, duration=5, connections=20))
    result.percentile(95)       # milliseconds, from the moment each request was due
    result.to_json()

Requests are due at fixed times, whatever the server does, and their latency counts from the due time, so that a stall
is seen by every request that it delayed (no coordinated omission). Only successful answers enter the latency
histogram; everything else is counted by kind. `rate=0` is a closed loop: every connection asks again at once.

`run(plan)` does the same inside a running event loop, and takes a `Control` that watches the run and ends it early.

    with Processes(4) as executor:                       # or any other executor of concurrent.futures
        merged = run_shards(split(plan, 4), executor)    # Ctrl-C: what was measured until then
    merged.result.percentile(99), merged.lost

shares a plan among processes: they start together, take turns in one schedule, and their histograms add up without
loss. `text.summary(plan, merged)` is a table for people, `text.document(plan, merged)` strict JSON.

Times go in as seconds and come out as milliseconds.
"""

from readiness.load.control import Control, Progress
from readiness.load.engine import run
from readiness.load.files import allow_files
from readiness.load.histogram import Histogram, merged
from readiness.load.loop import measure
from readiness.load.plan import LoadError, Plan
from readiness.load.processes import Processes, ProcessLost
from readiness.load.result import LATE_MS, LATE_SHARE, Kind, Result, Sample, combined
from readiness.load.shards import Lost, Merged, Shard, run_shard, run_shards, split

__all__ = [
    "LATE_MS",
    "LATE_SHARE",
    "Control",
    "Histogram",
    "Kind",
    "LoadError",
    "Lost",
    "Merged",
    "Plan",
    "ProcessLost",
    "Processes",
    "Progress",
    "Result",
    "Sample",
    "Shard",
    "allow_files",
    "combined",
    "measure",
    "merged",
    "run",
    "run_shard",
    "run_shards",
    "split",
]
