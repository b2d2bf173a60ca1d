"""The limit of open files, which a thousand connections soon meet."""

from __future__ import annotations

import contextlib

SPARE = 128


def allow_files(connections: int) -> None:
    """Raises this process's soft limit of open files as far as so many connections need it and the hard limit allows.

    Where that is not enough, opening the connections fails with a message that says so.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + SPARE
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY:
        needed = min(needed, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
