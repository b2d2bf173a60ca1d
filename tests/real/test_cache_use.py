"""The same service with a cache in its processes and with a shared one, told apart from outside."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from readiness import judge, loader
from readiness.demo.processes import Server, accepts, free_ports, running
from readiness.facts.base import Facts
from readiness.facts.cache_use import CacheUseFacts
from readiness.facts.collected import Collected, Outcome
from readiness.facts.redis import RedisFacts
from readiness.facts.service import ServiceFacts
from readiness.model import Finding, Status
from readiness.probes import cache_use
from readiness.probes.cache_fallback import cache_fallback
from readiness.probes.load import latency
from readiness.probes.redis import read_redis
from readiness.settings import Expectations, HttpSettings, Limits, RedisSettings, Settings
from readiness.spec import Context
from readiness.window import Window

from .redis_servers import Instance, has_valkey, replicated, serving

pytestmark = [pytest.mark.real, pytest.mark.skipif(not has_valkey, reason="no valkey-server here")]
REGISTRY = loader.load()
PATHS = ("/api/products", "/api/artisans")


@contextlib.contextmanager
def shop(folder: Path, redis: Instance | None = None, **more: str) -> Iterator[str]:
    """Three instances behind a round-robin balancer; its URL."""
    front, *backs = free_ports(4)
    env = {**os.environ, **more} | ({"REDIS_URL": redis.url} if redis is not None else {})
    app = Path(__file__).with_name("cache_app.py")
    argvs = {port: [sys.executable, app, str(port)] for port in backs}
    argvs[front] = [sys.executable, "-m", "readiness.demo.balancer", str(front), *map(str, backs)]
    servers = {port: Server("shop", argv, log=folder / f"shop-{port}.log", env=env) for port, argv in argvs.items()}
    try:
        for server in servers.values():
            server.spawn()
        for port, server in servers.items():
            server.wait(lambda port=port: accepts(port))  # type: ignore[misc]
        yield f"http://127.0.0.1:{front}"
    finally:
        for server in servers.values():
            server.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache_use")


@pytest.fixture(scope="module")
def valkey(folder: Path) -> Iterator[Instance]:
    with serving(folder) as instance:
        instance.fill("other:*", 500)
        yield instance


@pytest.fixture(scope="module")
def sharing(folder: Path, valkey: Instance) -> Iterator[str]:
    with shop(folder, valkey) as url:
        yield url


@pytest.fixture(scope="module")
def in_process(folder: Path) -> Iterator[str]:
    with shop(folder) as url:
        yield url


def collect(redis: str, url: str, paths: tuple[str, ...] = PATHS, **settings: Any) -> tuple[RedisFacts, CacheUseFacts]:
    context = Context(Window(0.3, 1), Limits(request_seconds=5), "readiness/test", "rdy-0123456789ab")
    http, section = HttpSettings(url=url, endpoints=paths), RedisSettings(url=redis, **settings)

    async def both() -> tuple[RedisFacts, CacheUseFacts]:
        facts = await read_redis(section, context)
        return facts, await cache_use.cache_use(http, section, facts, context)

    facts, use = asyncio.run(both())
    assert CacheUseFacts.from_json(use.to_json()) == use
    return facts, use


def verdict(*facts: Facts) -> Finding:
    collection = {kind: Collected(Outcome.NOT_CONFIGURED, needs=spec.needs) for kind, spec in REGISTRY.probes.items()}
    collection |= {type(each): Collected(Outcome.COLLECTED, each) for each in facts}
    return judge.call(REGISTRY.checks["caching.usage.shared_by_app"], collection, Settings(), {})


# In a process of its own: a thread here would be slowed down by the very bursts that it is the background of.
NOISE = """
import random, sys, time
from redis import Redis
client = Redis(port=int(sys.argv[1]), protocol=2, driver_info=None)
print("noisy", flush=True)
while True:
    client.mget(f"other:{random.randrange(600)}", f"other:{random.randrange(600)}")
    client.get(f"other:{random.randrange(600)}")
    time.sleep(random.expovariate(250))
"""


@contextlib.contextmanager
def noise(folder: Path, instance: Instance) -> Iterator[None]:
    """Another service on the same server: several hundred lookups a second, at random moments."""
    server = Server("noise", [sys.executable, "-c", NOISE, str(instance.port)], log=folder / "noise.log")
    with running(server, server.logged("noisy")):
        yield


def test_told_apart_on_a_quiet_server(valkey: Instance, sharing: str, in_process: str) -> None:
    facts, use = collect(valkey.url, in_process)
    assert (use.requests, use.lookups.extra, use.declared) == (30, 0, True)
    finding = verdict(facts, use)
    # The instances of the sharing service are connected all the time: they may be anybody's.
    assert finding.status in (Status.WARN, Status.FAIL)
    assert "30 requests caused no lookup" in finding.message

    facts, use = collect(valkey.url, sharing)
    assert use.lookups.extra == pytest.approx(1, abs=0.05)
    assert use.lookups.rounds == pytest.approx((1, 1, 1), abs=0.15)
    assert [each.name for each in use.commands] == ["get"]
    finding = verdict(facts, use)
    assert finding.status is Status.PASS
    assert "1.00 lookups a request of 30 requests" in finding.message


def test_told_apart_under_unrelated_traffic(folder: Path, valkey: Instance, sharing: str, in_process: str) -> None:
    with noise(folder, valkey):
        facts, use = collect(valkey.url, in_process)
        assert facts.lookups > 100
        assert use.lookups.background > 300
        assert use.lookups.extra <= 3 * use.lookups.sigma
        print(use)
        finding = verdict(facts, use)
        assert finding.status is Status.WARN, finding
        facts, use = collect(valkey.url, sharing)
        print(use)
        finding = verdict(facts, use)
        assert finding.status is Status.PASS, finding
        assert "lookups a request" in finding.message, finding


def test_a_fallback_is_found_where_nobody_else_is_connected(folder: Path, in_process: str) -> None:
    with serving(folder) as lonely:
        facts, use = collect(lonely.url, in_process)
    finding = verdict(facts, use)
    assert finding.status is Status.FAIL
    assert "fallen back to its own memory" in finding.message


def test_what_the_service_says_settles_it(valkey: Instance, sharing: str, in_process: str) -> None:
    facts, use = collect(valkey.url, in_process)
    said = ServiceFacts.model_validate({"cache": {"source": "/health", "store": "memory"}})
    assert verdict(facts, use, said).status is Status.FAIL
    facts, use = collect(valkey.url, sharing)
    assert verdict(facts, use, said).status is Status.PASS, "a small cache in front of the shared one is in use, too"


def test_paths_that_tell_nothing(valkey: Instance, sharing: str) -> None:
    facts, use = collect(valkey.url, sharing, paths=())
    finding = verdict(facts, use)
    assert (finding.status, use.declared) == (Status.WARN, False)
    assert "name cached paths in http.endpoints" in finding.message
    facts, use = collect(valkey.url, sharing, paths=("/no/such/path",))
    assert use.requests == 0
    assert use.sent == 1
    assert verdict(facts, use).status is not Status.PASS


def test_without_a_service_it_says_so(valkey: Instance) -> None:
    context = Context(Window(0, 1), Limits(), "readiness/test", "rdy-0123456789ab")
    section = RedisSettings(url=valkey.url)
    facts = asyncio.run(read_redis(section, context))
    use = asyncio.run(cache_use.cache_use(HttpSettings(), section, facts, context))
    assert not use.asked
    assert "no service is configured" in str(use.to_json()["lookups"])
    queue = facts.model_copy(update={"role": "queue"})
    assert not asyncio.run(cache_use.cache_use(HttpSettings(url="http://127.0.0.1:9"), section, queue, context)).asked
    away = asyncio.run(cache_use.cache_use(HttpSettings(url="http://127.0.0.1:9"), section, facts, context))
    assert (away.asked, away.requests) == (True, 0)


def test_reads_on_a_replica_count(folder: Path) -> None:
    with replicated(folder) as (primary, replica):
        with primary.admin() as client:
            for name in ("products", "artisans"):
                client.set(f"{name}:all", "[]", ex=600)
            client.wait(1, 1000)
        with shop(folder, replica) as url:
            facts, use = collect(primary.url, url)
    assert use.nodes == 2
    assert verdict(facts, use).status is Status.PASS


def test_it_is_brief_polite_and_reads_only(valkey: Instance, sharing: str) -> None:
    collect(valkey.url, sharing)  # warm
    with valkey.admin() as client:
        before = client.info("all")
        facts, _ = collect(valkey.url, sharing)
        context = Context(Window(0, 1), Limits(), "readiness/test", "rdy-0123456789ab")
        section, http = RedisSettings(url=valkey.url), HttpSettings(url=sharing, endpoints=PATHS)
        began = time.monotonic()
        use = asyncio.run(cache_use.cache_use(http, section, facts, context))
        took = time.monotonic() - began
        after = client.info("all")
    assert use.sent <= 40
    assert use.seconds < 15
    assert took < 20
    print(f"took {took:.3f} s, measured {use.seconds:.3f} s")
    assert after["db0"]["keys"] == before["db0"]["keys"]
    assert after["total_error_replies"] == before["total_error_replies"]
    assert after["rdb_changes_since_last_save"] == before["rdb_changes_since_last_save"]


@pytest.mark.parametrize(("caches", "status"), [(True, Status.FAIL), (False, Status.PASS)])
def test_doing_without_the_cache(folder: Path, in_process: str, caches: bool, status: Status) -> None:
    """The shop with Redis does not do without it; the one without has nothing to lose."""
    context = Context(Window(0, 1), Limits(request_seconds=5), "readiness/test", "rdy-0123456789ab")
    (nobody,) = free_ports(1)
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(shop(folder, Instance(nobody))) if caches else in_process
        section, http = RedisSettings(without_url=url), HttpSettings(url="http://127.0.0.1:9", endpoints=PATHS)
        facts = asyncio.run(cache_fallback(http, section, context))
    collection = {kind: Collected(Outcome.NOT_CONFIGURED, needs=spec.needs) for kind, spec in REGISTRY.probes.items()}
    check = REGISTRY.checks["caching.local.fallback"]
    assert judge.call(check, collection, Settings(), {}).status is Status.UNTESTED
    collection[type(facts)] = Collected(Outcome.COLLECTED, facts)
    assert judge.call(check, collection, Settings(), {}).status is status


def test_own_lookups_are_not_in_the_hit_rate(valkey: Instance, sharing: str) -> None:
    """The light load alone, on an otherwise idle cache: all lookups are the audit's, so the hit rate is unknown."""
    context = Context(Window(3, 2), Limits(request_seconds=5), "readiness/test", "rdy-0123456789ab")
    paths = tuple(f"/api/{name}" for name in ("products", "artisans", "users"))
    http, section = HttpSettings(url=sharing, endpoints=paths), RedisSettings(url=valkey.url)

    async def all_three() -> tuple[Facts, ...]:
        load, redis = await asyncio.gather(latency(http, Expectations(), context), read_redis(section, context))
        return load, redis, await cache_use.cache_use(http, section, redis, context)

    load, redis, use = asyncio.run(all_three())
    assert isinstance(redis, RedisFacts)
    assert redis.lookups > 50
    collection = {kind: Collected(Outcome.NOT_CONFIGURED, needs=spec.needs) for kind, spec in REGISTRY.probes.items()}
    # As if there had been ten times as many of them: their number is not why they say nothing.
    loud = redis.model_copy(update={"lookups": 10 * redis.lookups, "hit_rate": 1.0})
    louder = load.model_copy(update={"endpoints": load.endpoints * 10})  # type: ignore[attr-defined]
    for each in (loud, louder, use):
        collection[type(each)] = Collected(Outcome.COLLECTED, each)
    finding = judge.call(REGISTRY.checks["caching.hit_rate.window"], collection, Settings(), {})
    assert finding.status is Status.UNTESTED
    assert "that the audit caused" in finding.message
