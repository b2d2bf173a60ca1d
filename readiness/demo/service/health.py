"""Health: whether the process runs, and whether everything that it needs answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

CHECK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Dependency:
    """One system that requests need. Where it is not `required`, its loss degrades the service but keeps it ready."""

    ask: Callable[[], Awaitable[None]]
    required: bool = True
    details: Callable[[], Mapping[str, Any]] = dict


async def report(dependencies: Mapping[str, Dependency]) -> tuple[bool, dict[str, Any]]:
    """Asks all of them at once, and returns whether the service is ready and what to tell. Times in milliseconds."""
    names = list(dependencies)
    results = await asyncio.gather(*(_ask(dependencies[name]) for name in names))
    checks = dict(zip(names, results, strict=True))
    down = {name for name, check in checks.items() if check["status"] != "up"}
    ready = not any(dependencies[name].required for name in down)
    status = "ok" if not down else "degraded" if ready else "unavailable"
    return ready, {"status": status, "checks": checks}


async def _ask(dependency: Dependency) -> dict[str, Any]:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await dependency.ask()
        status = "up"
    except Exception:  # whatever a driver raises, the dependency is not usable; the reason is in the log
        status = "down"
    milliseconds = round((time.perf_counter() - began) * 1000, 2)
    return {"status": status, "responseTime": milliseconds, "unit": "ms", **dependency.details()}
