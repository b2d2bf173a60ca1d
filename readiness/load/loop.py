"""A run outside an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from readiness.load.engine import run
from readiness.load.plan import Plan
from readiness.load.result import Result


def measure(plan: Plan, **options: Any) -> Result:
    """`run(plan, **options)` in an event loop of its own, uvloop's where it is installed."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(run(plan, **options))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop, or None where it is not installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return cast(Callable[[], asyncio.AbstractEventLoop], uvloop.new_event_loop)
