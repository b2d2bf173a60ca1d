"""Every shape of a cache on real servers, Valkey and Redis: exactly what is wrong with each, and nothing else."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from readiness.model import Status

from .redis_audit import IDLE, PLAIN, collect, judged, score, wrong
from .redis_servers import (
    DEBIAN_REDIS,
    VALKEY,
    Instance,
    clustered,
    connection,
    has_debian_redis,
    has_valkey,
    replicated,
    serving,
    traffic,
    watched,
)

pytestmark = pytest.mark.real
PASSWORD = "hunter2-but-longer"
BOUNDED = ("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru", "--latency-monitor-threshold", "100")
ALONE = {
    "caching.ha.replicas": Status.WARN,
    "caching.ha.failover": Status.WARN,
    "caching.security.auth": Status.WARN,
}
# What the server of Debian 12 is always told: it reports 7.0.15, whatever the distribution has repaired in it.
OLD = {"caching.version.eol": Status.WARN, "caching.version.cve": Status.WARN}

SERVERS = [
    pytest.param(VALKEY, id="valkey", marks=pytest.mark.skipif(not has_valkey, reason="no valkey-server here")),
    pytest.param(
        DEBIAN_REDIS, id="redis", marks=pytest.mark.skipif(not has_debian_redis, reason="no redis-server here")
    ),
]


@pytest.fixture(params=SERVERS)
def binary(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def aged(expected: dict[str, Status], facts: Any) -> dict[str, Status]:
    return expected | (OLD if facts.server.version == "7.0.15" else {})


def read(client: Any, number: int) -> None:
    client.get(f"user:{number % 200}")


def test_no_configuration(tmp_path: Path, binary: Path) -> None:
    with serving(tmp_path, binary=binary) as server:
        facts = collect(server.url)
    assert facts.server.name == ("valkey" if binary == VALKEY else "redis")
    assert wrong(facts) == aged(PLAIN | IDLE, facts)


def test_busy_and_as_it_should_be(tmp_path: Path, binary: Path) -> None:
    with serving(tmp_path, *BOUNDED, binary=binary) as server:
        server.fill("user:*", 200)
        with traffic(server, read):
            facts = collect(server.url, seconds=1)
    assert facts.hit_rate == 1.0
    assert wrong(facts) == aged(ALONE, facts)


def test_minimal_rights(tmp_path: Path, binary: Path) -> None:
    with serving(tmp_path, *BOUNDED, binary=binary, password=PASSWORD) as server:
        server.fill("user:*", 200)
        with server.admin() as client:
            client.execute_command("ACL", "SETUSER", "minimal", "on", ">" + PASSWORD, "-@all", "+ping", "+info")
            client.execute_command("ACL", "SETUSER", "reader", "on", ">" + PASSWORD, "-@all", "+@read", "%R~*")
        with traffic(server, read):
            facts = collect(f"redis://minimal:{PASSWORD}@127.0.0.1:{server.port}", seconds=1)
        reader = collect(f"redis://reader:{PASSWORD}@127.0.0.1:{server.port}")
    refused = ("latency.slowlog", "latency.events", "conn.idle_timeout", "security.exposure")
    assert wrong(facts) == aged(
        {
            "caching.ha.replicas": Status.WARN,
            "caching.ha.failover": Status.WARN,
            **{f"caching.{id}": Status.ERROR for id in refused},
        },
        facts,
    )
    found = wrong(reader)
    assert found.pop("caching.reach.connect") is Status.ERROR
    assert set(found.values()) == {Status.BLOCKED}


def test_config_renamed_away(tmp_path: Path, binary: Path) -> None:
    with serving(tmp_path, *BOUNDED, "--rename-command", "CONFIG", "", binary=binary) as server:
        server.fill("user:*", 200)
        with traffic(server, read):
            facts = collect(server.url, seconds=1)
    # Without events, whether they are recorded at all cannot be told.
    blind = dict.fromkeys(
        ("caching.conn.idle_timeout", "caching.security.exposure", "caching.latency.events"), Status.ERROR
    )
    assert wrong(facts) == aged(ALONE | blind, facts)


def test_full_without_eviction(tmp_path: Path, binary: Path) -> None:
    options = ("--maxmemory", "4mb", "--maxmemory-policy", "noeviction", "--latency-monitor-threshold", "100")
    with serving(tmp_path, *options, binary=binary) as server:
        server.fill("user:*", 200)

        def act(client: Any, number: int) -> None:
            client.get(f"user:{number % 200}")
            client.set(f"big:{number}", "x" * 50_000, ex=3600)

        with traffic(server, act), server.admin() as client:
            while not client.info("errorstats").get("errorstat_OOM"):
                time.sleep(0.05)
            facts = collect(server.url, seconds=1)
    failing = ("memory.oom_errors", "memory.headroom", "memory.policy", "errors.rate")
    assert wrong(facts) == aged(ALONE | {f"caching.{id}": Status.FAIL for id in failing}, facts)


def test_evicting_by_use(tmp_path: Path, binary: Path) -> None:
    options = ("--maxmemory", "6mb", "--maxmemory-policy", "allkeys-lru", "--latency-monitor-threshold", "100")
    with serving(tmp_path, *options, binary=binary) as server:
        server.fill("user:*", 200)

        def act(client: Any, number: int) -> None:
            client.get(f"user:{number % 200}")
            client.set(f"big:{number}", "x" * 20_000, ex=3600)

        with traffic(server, act), server.admin() as client:
            while not client.info("stats")["evicted_keys"]:
                time.sleep(0.05)
            facts = collect(server.url, seconds=1)
    found = wrong(facts)
    # A full cache that evicts is at 100 % by design: only how fast it does is judged, and what it lost shows as misses.
    assert found.pop("caching.memory.evictions") is Status.FAIL
    found.pop("caching.hit_rate.window", None)
    assert found.pop("caching.memory.headroom", Status.WARN) is Status.WARN
    assert found == aged(ALONE, facts)


def test_a_pair_that_nobody_watches(tmp_path: Path, binary: Path) -> None:
    with replicated(tmp_path, *BOUNDED, binary=binary) as (primary, _):
        primary.fill("user:*", 200)
        with traffic(primary, read):
            facts = collect(primary.url, seconds=1)
    expected = {
        "caching.ha.failover": Status.FAIL,
        "caching.ha.config_drift": Status.WARN,
        "caching.security.auth": Status.WARN,
    }
    assert wrong(facts) == aged(expected, facts)


def test_a_well_configured_pair_with_sentinels(tmp_path: Path, binary: Path) -> None:
    with (
        replicated(tmp_path, *BOUNDED, replica=BOUNDED, binary=binary, password=PASSWORD) as (primary, _),
        watched(tmp_path, primary, binary=binary) as sentinels,
    ):
        primary.fill("user:*", 200)
        url = f"redis://:{PASSWORD}@127.0.0.1:{primary.port}"
        with traffic(primary, read):
            facts = collect(url, seconds=1, warm_keys={"user:*": 100})
            asked = collect(url, seconds=1, sentinels=[f"127.0.0.1:{port}" for port in sentinels])
    assert wrong(facts) == aged({}, facts)
    assert score(facts) >= 9.0
    assert facts.clients.sentinels == 3
    assert facts.sample.on_replica
    assert [(each.name, each.quorum_ok, each.sentinels) for each in asked.masters] == [("cache", True, 3)] * 3
    assert "3 Sentinels with a quorum" in judged(asked)["caching.ha.failover"].message
    assert wrong(asked) == aged({}, asked)


def test_a_sentinel_leads_to_its_primary(tmp_path: Path, binary: Path) -> None:
    with replicated(tmp_path, *BOUNDED, replica=BOUNDED, binary=binary) as (primary, replica):
        primary.fill("user:*", 200)
        with watched(tmp_path, primary, binary=binary) as sentinels:
            with traffic(primary, read):
                facts = collect(f"redis://127.0.0.1:{sentinels[0]}", seconds=1)
            assert facts.port == primary.port
            assert wrong(facts) == aged({"caching.security.auth": Status.WARN}, facts)
            with connection(replica.port) as client:
                client.execute_command("REPLICAOF", "NO", "ONE")
            other = collect(replica.url, sentinels=[f"127.0.0.1:{sentinels[0]}"])
            assert "watch other primaries" in str(other.to_json()["masters"])


def test_a_cluster_of_three(tmp_path: Path, binary: Path) -> None:
    with clustered(tmp_path, *BOUNDED, binary=binary) as nodes:
        for node in nodes:
            _fill_own(node, 400)
        with traffic(nodes[0], _read_own(nodes[0])), traffic(nodes[1], _read_own(nodes[1])):
            facts = collect(nodes[2].url, seconds=1, warm_keys={"k*": 1000})
        apart = [collect(node.url) for node in nodes]
    assert len(facts.cluster.shards) == 3
    assert facts.keys == sum(each.keys for each in facts.cluster.shards) == 1200
    assert facts.lookups > 200, "of the two other primaries"
    assert facts.hit_rate == 1.0
    assert facts.window.connections == 0
    assert (facts.sample.complete, facts.sample.patterns[0].matched, facts.sample.keys) == (True, 1200, 1200)
    assert facts.sample.patterns[0].without_ttl == 0
    assert sorted(each.commands > 100 for each in facts.cluster.shards) == [False, True, True]
    bare = {
        "caching.ha.replicas": Status.WARN,
        "caching.ha.failover": Status.WARN,
        "caching.cluster.replicas_per_shard": Status.WARN,
        "caching.security.auth": Status.WARN,
    }
    found = wrong(facts)
    # Two of three shards get all the commands; whether they are enough to be judged depends on the machine.
    assert found.pop("caching.cluster.balance", Status.WARN) is Status.WARN
    assert found == aged(bare, facts)
    assert {each.keys for each in apart} == {1200}, "whichever node is asked"


def _fill_own(node: Instance, count: int) -> None:
    """Keys whose slots this node serves."""
    with node.admin() as client, client.pipeline(transaction=False) as pipe:
        for number in _own(node, count):
            pipe.set(f"k{number}", "x", ex=1800 + number % 1800)
        pipe.execute()


def _own(node: Instance, count: int) -> list[int]:
    from redis.crc import key_slot

    with node.admin() as client:
        nodes = client.execute_command("CLUSTER NODES")
    mine = next(part for part in nodes.values() if "myself" in part["flags"])
    low, high = (int(each) for each in mine["slots"][0])
    return [number for number in range(20_000) if low <= key_slot(f"k{number}".encode()) <= high][:count]


def _read_own(node: Instance) -> Any:
    numbers = _own(node, 400)

    def act(client: Any, number: int) -> None:
        client.get(f"k{numbers[number % 400]}")

    return act
