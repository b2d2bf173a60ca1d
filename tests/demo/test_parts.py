"""Parts of the marketplace by themselves."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from readiness.demo.balancer import Balancer
from readiness.demo.processes import free_ports
from readiness.demo.service.app import create
from readiness.demo.service.auth import Tokens, hash_password, password_matches
from readiness.demo.service.cache import MemoryCache, aside
from readiness.demo.service.limits import RateLimiter
from readiness.demo.service.settings import MemoryCacheSettings, Settings
from readiness.demo.traffic import Favourites

SECRET = "a secret of more than thirty-two bytes"


def settings(**more: Any) -> Settings:
    return Settings(port=1, token_secret=SECRET, payments_url="http://127.0.0.1:9", **more)


def fetch(path: str, **more: Any) -> httpx.Response:
    """One GET to a service without a database, with those settings."""

    async def request() -> httpx.Response:
        transport = httpx.ASGITransport(create(settings(**more)), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://market") as client:
            return await client.get(path)

    return asyncio.run(request())


def test_memory_evicts_the_least_recently_used_and_forgets_the_expired() -> None:
    now = [0.0]
    cache = MemoryCache(MemoryCacheSettings(max_keys=2, ttl=10), now=lambda: now[0])

    async def use() -> None:
        await cache.set("a", 1)
        await cache.set("b", 2)
        assert await cache.get("a") == 1
        await cache.set("c", 3)
        assert await cache.get("b") is None
        assert await cache.get("a") == 1
        now[0] = 9.0
        await cache.set("d", 4, ttl=5)
        now[0] = 11.0
        assert await cache.get("a") is None
        assert await cache.get("d") == 4
        now[0] = 20.0
        cache.clean()

    asyncio.run(use())
    statistics = cache.statistics()
    assert (statistics["hits"], statistics["misses"], statistics["evictions"], statistics["keys"]) == (3, 2, 2, 0)


def test_what_is_not_found_is_not_kept() -> None:
    cache, calls = MemoryCache(MemoryCacheSettings()), []

    async def load() -> Any:
        calls.append(1)
        return None if len(calls) == 1 else {"id": "x"}

    async def use() -> None:
        assert await aside(cache, "x", load) is None
        assert await aside(cache, "x", load) == {"id": "x"}
        assert await aside(cache, "x", load) == {"id": "x"}

    asyncio.run(use())
    assert len(calls) == 2


def test_limits_count_by_caller() -> None:
    limiter = RateLimiter()

    async def use() -> list[bool]:
        return [(await limiter.take("default", caller, 2)).refused for caller in ("a", "a", "b", "a")]

    assert asyncio.run(use()) in ([False, False, False, True], [False] * 4)  # the latter when a minute ends meanwhile


def test_a_refused_caller_learns_when_to_come_back() -> None:
    async def use() -> httpx.Response:
        transport = httpx.ASGITransport(create(settings(rate_limit=1)))
        async with httpx.AsyncClient(transport=transport, base_url="http://market") as client:
            for _ in range(3):
                answer = await client.get("/nowhere")
            return answer

    refused = asyncio.run(use())
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert refused.json()["code"] == "rate_limited"


def test_passwords() -> None:
    stored = hash_password("correct horse")
    assert password_matches("correct horse", stored)
    assert not password_matches("wrong horse", stored)
    assert not password_matches("", "")


def test_a_token_of_another_service_or_time_is_worthless() -> None:
    from starlette.requests import HTTPConnection

    def user(token: str) -> str | None:
        scope = {"type": "http", "headers": [(b"authorization", f"Bearer {token}".encode())]}
        return Tokens(SECRET, "market", 60).user(HTTPConnection(scope))

    assert user(Tokens(SECRET, "market", 60).issue("ada")) == "ada"
    assert user(Tokens(SECRET, "elsewhere", 60).issue("ada")) is None
    assert user(Tokens(SECRET, "market", -60).issue("ada")) is None
    assert user(Tokens(SECRET + "!", "market", 60).issue("ada")) is None


def test_a_bug_becomes_a_500_that_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from readiness.demo.service.database import Database

    async def broken(self: Database, id: str) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(Database, "artisan", broken)
    answer = fetch("/api/artisans/1")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"] == answer.json()["requestId"]


def test_a_dropped_header_is_missing_and_the_others_stay() -> None:
    headers = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"}
    answer = fetch("/health", headers=headers, drop_headers=["x-frame-options"])
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "x-frame-options" not in answer.headers


def test_security_txt_expires_in_the_future() -> None:
    answer = fetch("/.well-known/security.txt", security_contact="mailto:a@b.example")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text.startswith("Contact: mailto:a@b.example\nExpires: 20")


def test_favourites_come_first() -> None:
    import random

    entries = [str(number) for number in range(1000)]
    favourites = Favourites(entries, random.Random(1))
    drawn = [int(favourites.draw()) for _ in range(2000)]
    assert sum(number < 100 for number in drawn) > 1000
    assert max(drawn) > 500


@contextlib.asynccontextmanager
async def echo(name: bytes) -> AsyncIterator[int]:
    """A backend that answers with its name and what it got."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(name + b" " + await reader.readline())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def ask(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def test_the_balancer_takes_turns_and_passes_over_the_dead() -> None:
    async def use() -> tuple[list[bytes], bytes]:
        [dead] = free_ports(1)
        async with echo(b"one") as one, echo(b"two") as two:
            balancer = await asyncio.start_server(Balancer([one, dead, two]).handle, "127.0.0.1", 0)
            alone = await asyncio.start_server(Balancer([dead]).handle, "127.0.0.1", 0)
            async with balancer, alone:
                answers = [await ask(balancer.sockets[0].getsockname()[1]) for _ in range(6)]
                with contextlib.suppress(ConnectionError):
                    return answers, await ask(alone.sockets[0].getsockname()[1])
                return answers, b""

    answers, nothing = asyncio.run(use())
    assert set(answers) == {b"one hello\n", b"two hello\n"}
    assert nothing == b""


def test_the_log_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    import logging

    from readiness.demo.service.log import JsonFormatter

    record = logging.makeLogRecord({"msg": "said %s", "args": ("hi",), "levelname": "INFO", "route": "/x"})
    line = json.loads(JsonFormatter("market", "1").format(record))
    assert (line["msg"], line["level"], line["route"], line["instance"]) == ("said hi", "info", "/x", "1")


def test_the_service_says_what_is_wrong_with_its_settings(tmp_path: Path) -> None:
    import subprocess

    path = tmp_path / "settings.json"
    path.write_text('{"port": "x"}')
    result = subprocess.run(
        [sys.executable, "-m", "readiness.demo.service", str(path)], capture_output=True, text=True, timeout=30
    )
    assert result.returncode != 0
    assert "port" in result.stderr
