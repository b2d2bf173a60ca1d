"""Applications of the tests' own, asked by the real probes, judged by the real checks."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import uvicorn

from readiness import judge, loader
from readiness.facts.base import Facts
from readiness.facts.collected import Collected, Outcome
from readiness.model import Finding
from readiness.settings import Section, Settings
from readiness.spec import Context
from readiness.window import Window

REGISTRY = loader.load()
CANARY = "rdy0123456789ab"


@contextlib.contextmanager
def serving(app: Any, **options: Any) -> Iterator[str]:
    """Runs an ASGI application in a thread; gives its URL."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, log_level="critical", ws="none", lifespan="off", timeout_graceful_shutdown=1, **options
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


def collect(settings: Settings, *kinds: type[Facts], seconds: float = 0.3) -> dict[type[Facts], Facts]:
    """What the probes of those facts learn, all in one shared window."""
    probes = [REGISTRY.probes[kind] for kind in kinds]
    context = Context(
        Window(seconds, sum(probe.windowed for probe in probes)), settings.limits, "readiness/test", CANARY
    )

    async def run() -> list[Facts]:
        def wanted(kind: type) -> Any:
            return context if kind is Context else settings.section(kind) if issubclass(kind, Section) else None

        calls = [probe.function(**{name: wanted(kind) for name, kind in probe.inputs.items()}) for probe in probes]
        return list(await asyncio.gather(*calls))

    return dict(zip(kinds, asyncio.run(run()), strict=True))


def findings(settings: Settings, facts: dict[type[Facts], Facts], *prefixes: str, **more: Any) -> dict[str, Finding]:
    """Every finding whose id begins with one of the prefixes; `more` are settings of checks, by id."""
    checks = {id: spec for id, spec in REGISTRY.checks.items() if id.startswith(prefixes)}
    collection = {kind: Collected(Outcome.NOT_CONFIGURED, needs=spec.needs) for kind, spec in REGISTRY.probes.items()}
    collection |= {kind: Collected(Outcome.COLLECTED, found) for kind, found in facts.items()}
    results = judge.judge(checks, collection, settings, more.get("parameters", {}))
    return {result.spec.id: result.finding for result in results}
