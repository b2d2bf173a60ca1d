"""A Dask cluster on loopback: `python cluster.py WORKERS THREADS [REGION=NUMBER]...`.

Prints the address of its scheduler, which lives in this process, and ends with its input.
"""

from __future__ import annotations

import sys
from typing import Any, cast

import dask
from distributed import LocalCluster

if __name__ == "__main__":
    dask.config.set({"distributed.worker.profile.enabled": False})
    start = cast(Any, LocalCluster)
    with start(
        n_workers=int(sys.argv[1]),
        threads_per_worker=int(sys.argv[2]),
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        worker_dashboard_address=None,
        silence_logs=50,
        resources={name: float(number) for name, _, number in (each.partition("=") for each in sys.argv[3:])},
    ) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
