"""The machine that this process runs on."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

NICENESS = 10


def cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not everywhere
        return os.cpu_count() or 1


def give_way() -> None:
    """From now on the kernel prefers others to this thread, and to those that it starts.

    Where many audits share a few cores, a thread that measures times must not queue behind those that only compute.
    Only Linux has a priority for each thread.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
