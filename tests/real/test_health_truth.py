"""A health endpoint that always says ok is caught: Valkey is stopped under a lying and under an honest service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from readiness import judge
from readiness.demo.processes import Server, accepts, free_ports, running, valkey_binary
from readiness.errors import ProbeError
from readiness.facts.base import Facts
from readiness.facts.collected import Collected, Outcome
from readiness.facts.redis import RedisFacts
from readiness.facts.service import ServiceFacts
from readiness.model import Finding, Status
from readiness.settings import Settings

from .service_servers import REGISTRY, collect, findings, serving

pytestmark = pytest.mark.real
PASSWORD = "s3cr3t"


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[tuple[Server, int]]:
    binary = valkey_binary()
    if binary is None:
        pytest.skip("no valkey-server and no redis-server")
    (port,) = free_ports(1)
    argv = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", tmp_path]
    server = Server("valkey", argv, log=tmp_path / "valkey.log")
    with running(server, lambda: accepts(port)):
        yield server, port


async def pinged(port: int) -> bool:
    try:
        async with asyncio.timeout(0.5):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"PING\r\n")
            answer = await reader.readline()
            writer.close()
            await writer.wait_closed()
    except (OSError, TimeoutError):
        return False
    return answer == b"+PONG\r\n"


def service(ask: Callable[[], Awaitable[bool]]) -> Starlette:
    """A service whose readiness reports its cache as `ask` finds it."""

    async def ready(_: Request) -> Response:
        up = await ask()
        body = {"status": "ok" if up else "error", "checks": {"redis": {"status": "up" if up else "down"}}}
        return JSONResponse(body, 200 if up else 503)

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return Starlette(routes=[Route("/health/ready", ready), Route("/health/live", live)])


async def always() -> bool:
    return True


def audited(url: str, port: int) -> Finding:
    """The check as an audit runs it, a cache that cannot be reached included."""
    settings = Settings.model_validate({"http": {"url": url}, "redis": {"url": f"redis://127.0.0.1:{port}"}})
    facts: dict[type[Facts], Facts] = {}
    try:
        facts = collect(settings, ServiceFacts, RedisFacts, seconds=0.5)
    except ProbeError as error:
        facts = collect(settings, ServiceFacts)
        spec = REGISTRY.checks["monitoring.health.truth"]
        collection = {k: Collected(Outcome.NOT_CONFIGURED, needs=p.needs) for k, p in REGISTRY.probes.items()}
        collection[ServiceFacts] = Collected(Outcome.COLLECTED, facts[ServiceFacts])
        collection[RedisFacts] = Collected(Outcome.FAILED, reason=error.reason)
        return judge.call(spec, collection, settings, {"sure_after_seconds": 0.1})
    sure = {"monitoring.health.truth": {"sure_after_seconds": 0.1}}
    return findings(settings, facts, "monitoring.health.", parameters=sure)["monitoring.health.truth"]


@pytest.mark.parametrize("honest", [True, False], ids=["honest", "lying"])
def test_a_stopped_cache_tells_honest_health_from_lying_health(valkey: tuple[Server, int], honest: bool) -> None:
    server, port = valkey

    async def ask() -> bool:
        return await pinged(port)

    with serving(service(ask if honest else always)) as url:
        before = audited(url, port)
        server.stop()
        after = audited(url, port)
    assert before.status is (Status.PASS if honest else Status.FAIL), before
    if honest:
        assert "pinged it" in before.message
    else:
        assert "asked it nothing" in before.message
    assert after.status is (Status.PASS if honest else Status.FAIL), after
    assert ("reports the failure" if honest else "but it refuses connections") in after.message
