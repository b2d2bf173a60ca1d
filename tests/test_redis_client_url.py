"""The application's Redis URL: read without connecting, in the words of several libraries, and never quoted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr

from readiness.errors import FactMissing, ProbeError
from readiness.facts.redis_client import CacheClientFacts
from readiness.probes.redis_client_url import client_url
from readiness.settings import RedisSettings


def parsed(url: str) -> CacheClientFacts:
    # Not validated, so that nonsense reaches the probe, too.
    facts = asyncio.run(client_url(RedisSettings().model_copy(update={"app_url": SecretStr(url)})))
    assert CacheClientFacts.from_json(facts.to_json()) == facts
    return facts


@pytest.mark.parametrize(
    ("query", "library", "connect", "command", "retries"),
    [
        ("", "", None, None, None),
        ("?socket_connect_timeout=1&socket_timeout=0.5", "redis-py", 1000, 500, None),
        ("?socket_timeout=None", "redis-py", None, None, None),
        ("?connectTimeout=1500&commandTimeout=500&maxRetriesPerRequest=1", "ioredis", 1500, 500, 1),
        ("?dial_timeout=3&read_timeout=500ms&max_retries=2", "go-redis", 3000, 500, 2),
        ("?timeout=2s&clientName=shop", "Lettuce", None, 2000, None),
    ],
)
def test_timeouts(query: str, library: str, connect: Any, command: Any, retries: Any) -> None:
    facts = parsed("redis://cache:6379/0" + query)
    assert (facts.library, facts.connect_ms, facts.command_ms) == (library, connect, command)
    assert facts.retries == retries
    assert facts.unknown == ()


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "1e999", "5parsecs", "1" * 400 + "h"])
def test_times_that_no_library_takes_are_absent(value: str) -> None:
    facts = parsed(f"redis://cache?socket_timeout={value}")
    with pytest.raises(FactMissing, match="not a number"):
        _ = facts.command_ms
    assert facts.connect_ms is None


@pytest.mark.parametrize(
    ("url", "network", "tls", "verified", "logs_in", "default_user"),
    [
        ("redis://127.0.0.1", "loopback", False, None, False, False),
        ("redis://:secret-1@10.0.0.7", "private", False, None, True, True),
        ("rediss://default:secret-1@10.0.0.7", "private", True, True, True, True),
        ("valkeys://app:secret-1@93.184.215.14:6380/3", "public", True, True, True, False),
        ("rediss://app:secret-1@10.0.0.7?ssl_cert_reqs=none", "private", True, False, True, False),
        ("rediss://app:secret-1@10.0.0.7?skip_verify=true", "private", True, False, True, False),
        ("unix:///run/redis.sock", "unix", False, None, False, False),
    ],
)
def test_the_way_there(
    url: str, network: str, tls: bool, verified: bool | None, logs_in: bool, default_user: bool
) -> None:
    facts = parsed(url)
    assert (facts.network, facts.tls, facts.logs_in, facts.default_user) == (network, tls, logs_in, default_user)
    if verified is not None:
        assert facts.tls_verified is verified
    assert "secret-1" not in str(facts.to_json())


def test_a_name_is_not_resolved() -> None:
    with pytest.raises(FactMissing, match="not resolved"):
        _ = parsed("redis://cache.internal").network


def test_a_url_that_is_none_is_not_quoted() -> None:
    for url in ("redis://:secret-1@[::1", "redis://:secret-1@h:port", "redis://:secret-1@h?" + "a=1&" * 200):
        with pytest.raises(ProbeError) as caught:
            parsed(url)
        assert "secret-1" not in str(caught.value)
