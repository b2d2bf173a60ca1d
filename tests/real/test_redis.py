"""The Redis probe and the caching checks against real Valkey and Redis servers, and against sockets that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from readiness.demo.processes import free_ports
from readiness.errors import FactMissing, ProbeError
from readiness.model import Status
from readiness.probes import redis_aside, redis_client
from readiness.settings import Limits

from .redis_audit import CHECKS, IDLE, PLAIN, SECONDS, collect, judged, wrong
from .redis_servers import (
    DEBIAN_REDIS,
    Instance,
    bulk,
    has_debian_redis,
    has_valkey,
    impostor,
    replicated,
    scripted,
    serving,
    traffic,
    watched,
)

pytestmark = [pytest.mark.real, pytest.mark.skipif(not has_valkey, reason="no valkey-server here")]
WARM = {"user:*": 100, "product:*": 100}
PASSWORD = "hunter2-but-longer"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("redis")


@pytest.fixture(scope="module")
def valkey(folder: Path) -> Iterator[Instance]:
    """A Valkey without any configuration, which some tests fill."""
    with serving(folder) as instance:
        yield instance


@pytest.fixture(scope="module")
def guarded(folder: Path) -> Iterator[Instance]:
    """A Valkey with a password and accounts of different rights."""
    with serving(folder, "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru", password=PASSWORD) as instance:
        with instance.admin() as client:
            client.execute_command("ACL", "SETUSER", "minimal", "on", ">" + PASSWORD, "-@all", "+ping", "+info")
            client.execute_command("ACL", "SETUSER", "reader", "on", ">" + PASSWORD, "-@all", "+@read", "%R~*")
            client.execute_command("ACL", "SETUSER", "pinger", "on", ">" + PASSWORD, "-@all", "+ping")
            commands = (
                "ping info config|get client|list slowlog|get latency|latest memory|usage scan ttl cluster|info "
                "cluster|shards"
            )
            rights = ["-@all", *("+" + command for command in commands.split(" ")), "%R~user:*", "%R~product:*"]
            client.execute_command("ACL", "SETUSER", "auditor", "on", ">" + PASSWORD, *rights)
        instance.fill("user:*", 300)
        instance.fill("product:*", 300)
        instance.fill("other:*", 300)
        yield instance


def login(instance: Instance, user: str) -> str:
    return f"redis://{user}:{PASSWORD}@127.0.0.1:{instance.port}"


# --- what is found


def test_idle_without_configuration(valkey: Instance) -> None:
    facts = collect(valkey.url)
    assert (facts.server.name, facts.network, facts.anonymous, facts.nodes) == ("valkey", "loopback", "open", ())
    assert facts.server.version.startswith("9.")
    assert facts.window.seconds == pytest.approx(SECONDS, abs=0.3)
    assert (facts.window.commands, facts.window.connections, facts.lookups) == (0, 0, 0), "its own do not count"
    assert facts.clients.groups == ()
    assert facts.ping.count == 10
    assert 0 < facts.ping.median_ms <= facts.ping.max_ms
    assert abs(facts.now - time.time()) < 60
    assert wrong(facts) == PLAIN | IDLE
    assert judged(facts)["caching.version.eol"].status is Status.PASS


def test_redis_of_debian(folder: Path) -> None:
    if not has_debian_redis:
        pytest.skip("no redis-server of the distribution here")
    with serving(folder, binary=DEBIAN_REDIS) as instance:
        facts = collect(instance.url)
        with instance.admin() as client:
            errors = client.info("errorstats")
    assert facts.server.name == "redis"
    assert errors == {}, "no CLIENT SETINFO, which 7.0 does not know"
    expected = PLAIN | IDLE
    if facts.server.version == "7.0.15":
        expected |= {"caching.version.eol": Status.WARN, "caching.version.cve": Status.WARN}
    assert wrong(facts) == expected


def test_a_busy_cache(folder: Path) -> None:
    options = ("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru", "--latency-monitor-threshold", "100")
    with serving(folder, *options) as instance:
        instance.fill("user:*", 500)
        instance.fill("product:*", 500)

        def act(client: Any, number: int) -> None:
            client.set(f"user:{number % 500}", "y", keepttl=True)
            client.get(f"user:{number % 500}" if number % 10 else "missing")

        with traffic(instance, act):
            facts = collect(instance.url, seconds=1, warm_keys=WARM)
    assert facts.hit_rate == pytest.approx(0.9, abs=0.03)
    assert facts.lookups >= 100
    assert facts.error_rate == 0
    assert {each.name for each in facts.window.commands_by_name} >= {"get", "set"}
    assert [(group.host, group.kind, group.count) for group in facts.clients.groups] == [("127.0.0.1", "client", 1)]
    assert facts.window.connections == 0
    sample = facts.sample
    assert (sample.complete, sample.scanned, sample.on_replica) == (True, 1000, False)
    assert [(each.pattern, each.matched, each.estimate) for each in sample.patterns] == [
        ("user:*", 500, 500),
        ("product:*", 500, 500),
    ]
    assert all(each.examined == 50 and each.without_ttl == 0 and each.largest < 1000 for each in sample.patterns)
    assert not any("user:1" in text for text in map(str, facts.to_json().values())), "no key names"
    findings = judged(facts)
    assert findings["caching.hit_rate.window"].status is Status.WARN
    assert findings["caching.hit_rate.window"].measured == pytest.approx(facts.hit_rate)
    assert wrong(facts) == {
        "caching.hit_rate.window": Status.WARN,
        "caching.ha.replicas": Status.WARN,
        "caching.ha.failover": Status.WARN,
        "caching.security.auth": Status.WARN,
    }


def test_a_database_that_is_not_the_first(valkey: Instance) -> None:
    with valkey.admin() as client:
        client.execute_command("SELECT", "3")
        client.execute_command("SET", "user:1", "x", "EX", "100")
    facts = collect(valkey.url + "/3", warm_keys={"user:*": 1})
    assert (facts.database, facts.sample.scanned, facts.sample.patterns[0].matched) == (3, 1, 1)
    with valkey.admin() as client:
        client.flushall()


def test_full_without_eviction(folder: Path) -> None:
    with serving(folder, "--maxmemory", "3mb", "--maxmemory-policy", "noeviction") as instance:

        def act(client: Any, number: int) -> None:
            client.set(f"k:{number}", "x" * 50_000)

        with traffic(instance, act), instance.admin() as client:
            while int(client.info("stats")["total_error_replies"]) == 0:
                time.sleep(0.05)
            facts = collect(instance.url)
    assert facts.window.errors["OOM"] > 10
    assert facts.error_rate > 0.5
    found = wrong(facts)
    for id in ("memory.oom_errors", "memory.headroom", "memory.policy", "errors.rate", "ttl.coverage"):
        assert found[f"caching.{id}"] is Status.FAIL, id


def test_primary_replica_and_sentinels(folder: Path) -> None:
    with (
        replicated(folder, "--maxmemory", "64mb", "--maxmemory-policy", "volatile-lru") as (primary, replica),
        watched(folder, primary) as sentinels,
    ):
        primary.fill("user:*", 200)

        def act(client: Any, number: int) -> None:
            client.get(f"user:{number % 200}")

        with traffic(replica, act):
            facts = collect(primary.url, seconds=1, warm_keys={"user:*": 100})
        assert [(each.online, each.address) for each in facts.replication.replicas] == [
            (True, f"127.0.0.1:{replica.port}")
        ]
        assert facts.hit_rate == 1.0, "the replica's lookups count too"
        assert facts.clients.sentinels == 3
        assert {group.kind for group in facts.clients.groups} == {"sentinel", "replica"}
        assert facts.sample.on_replica
        assert (facts.sample.patterns[0].matched, facts.sample.keys) == (200, 200)
        node = facts.nodes[0]
        assert (node.memory.limit, node.memory.policy) == (0, "noeviction")
        findings = judged(facts)
        assert findings["caching.ha.failover"].status is Status.PASS
        assert findings["caching.ha.replicas"].status is Status.PASS
        assert findings["caching.ha.config_drift"].status is Status.WARN
        assert "maxmemory 67.1 MB here, none there" in findings["caching.ha.config_drift"].message

        other = collect(replica.url)
        assert (other.replication.role, other.replication.link) == ("slave", "up")
        findings = judged(other)
        assert findings["caching.ha.link"].status is Status.PASS
        assert findings["caching.ha.failover"].status is Status.PASS
        assert findings["caching.ha.config_drift"].status is Status.UNTESTED

        sentinel = collect(f"redis://127.0.0.1:{sentinels[0]}")
        (master,) = sentinel.masters
        assert (master.flags, master.replicas, master.sentinels, master.quorum_ok) == ("master", 1, 3, True)
        findings = judged(sentinel)
        assert findings["caching.ha.failover"].status is Status.PASS
        assert sentinel.port == primary.port, "followed to the server that holds the data"
        assert findings["caching.memory.limit"].status is Status.PASS


def test_a_cluster_of_one(folder: Path) -> None:
    with serving(folder, "--cluster-enabled", "yes", "--cluster-port", str(free_ports(1)[0])) as instance:
        with instance.admin() as client:
            before = judged(collect(instance.url))
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
            time.sleep(1.5)  # a node waits a moment before it calls itself fit
        facts = collect(instance.url)
    assert before["caching.cluster.slots"].status is Status.FAIL
    findings = judged(facts)
    assert facts.cluster.slots_ok == 16_384
    assert findings["caching.cluster.slots"].status is Status.PASS
    assert findings["caching.cluster.replicas_per_shard"].status is Status.WARN
    assert findings["caching.ha.failover"].status is Status.WARN


def test_unix_socket(folder: Path) -> None:
    path = folder / "socket"
    with serving(folder, "--unixsocket", str(path)):
        facts = collect(f"unix://{path}?db=2")
    assert (facts.network, facts.database, facts.server.name) == ("unix", 2, "valkey")
    findings = judged(facts)
    assert findings["caching.reach.connect"].status is Status.PASS
    assert findings["caching.security.tls"].status is Status.NOT_APPLICABLE


def test_tls(folder: Path) -> None:
    if not has_debian_redis:
        pytest.skip("needs a server with TLS")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    with contextlib.suppress(FileNotFoundError):
        (folder / "cert.pem").unlink()
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(folder / "cert.pem", append=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = f"--tls-port {port} --tls-cert-file {folder}/cert.pem --tls-key-file {folder}/key.pem"
    options += f" --tls-ca-cert-file {folder}/ca.pem --tls-auth-clients no"
    with serving(folder, *options.split(), binary=DEBIAN_REDIS) as instance:
        facts = collect(f"rediss://localhost:{port}?ssl_ca_certs={folder}/ca.pem")
        assert facts.handshake.version.startswith("TLSv1.")
        assert facts.handshake.ca_file
        assert not facts.handshake.self_signed
        assert facts.handshake.expires > time.time()
        old = {"caching.version.eol": Status.WARN, "caching.version.cve": Status.WARN}
        assert wrong(facts) == PLAIN | IDLE | (old if facts.server.version == "7.0.15" else {})
        assert judged(facts)["caching.security.tls"].status is Status.PASS
        with pytest.raises(ProbeError, match="certificate is not trusted"):
            collect(f"valkeys://localhost:{port}")
        with pytest.raises(ProbeError, match="is it a plain-text port"):
            collect(f"rediss://127.0.0.1:{instance.port}?ssl_ca_certs={folder}/ca.pem", wait=1)


# --- rights


def test_ping_and_info_are_enough_for_most(guarded: Instance) -> None:
    facts = collect(login(guarded, "minimal"), warm_keys=WARM)
    assert facts.anonymous == "refused"
    assert set(facts.refused) == {"CONFIG GET", "CLIENT LIST", "SLOWLOG GET", "LATENCY LATEST", "SCAN"}
    found = wrong(facts)
    refused = {id: finding for id, finding in judged(facts).items() if finding.evidence.get("needs")}
    assert {id: finding.evidence["needs"] for id, finding in refused.items()} == {
        "caching.latency.slowlog": "+slowlog|get",
        "caching.latency.events": "+latency|latest",
        "caching.warmth.patterns": "+scan",
        "caching.keys.big": "+scan",
        "caching.ttl.values": "+scan",
        "caching.conn.idle_timeout": "+config|get",
        "caching.security.exposure": "+config|get",
    }
    assert "caching.usage.shared_by_app" not in found, "without a service nobody can tell"
    assert judged(facts)["caching.security.auth"].status is Status.PASS
    assert judged(facts)["caching.memory.limit"].status is Status.PASS


def test_each_right_is_asked_for_once(guarded: Instance) -> None:
    with guarded.admin() as client:
        before = int(client.info("errorstats")["errorstat_NOPERM"]["count"]) if client.info("errorstats") else 0
        facts = collect(login(guarded, "minimal"), warm_keys=WARM)
        after = int(client.info("errorstats")["errorstat_NOPERM"]["count"])
    assert after - before == len(facts.refused) == 5


def test_the_published_rights_suffice_for_everything(guarded: Instance) -> None:
    facts = collect(login(guarded, "auditor"), warm_keys=WARM)
    assert facts.refused == ()
    assert [(each.matched, each.examined, each.without_ttl) for each in facts.sample.patterns] == [(300, 50, 0)] * 2
    errors = {id for id, status in wrong(facts).items() if status is Status.ERROR}
    assert errors == set()


def test_a_reader_may_not_run_info(guarded: Instance) -> None:
    facts = collect(login(guarded, "reader"))
    assert {"PING", "INFO"} <= set(facts.refused)
    with pytest.raises(FactMissing, match="refused INFO") as missing:
        _ = facts.memory
    assert missing.value.privilege == "+info"
    findings = judged(facts)
    assert findings["caching.reach.connect"].status is Status.ERROR
    assert findings["caching.reach.connect"].evidence["needs"] == "+ping"
    redis_checks = [id for id, spec in CHECKS.items() if "caching.reach.connect" in spec.requires]
    assert all(findings[id].status is Status.BLOCKED for id in redis_checks)


def test_ping_without_info(guarded: Instance) -> None:
    began = time.monotonic()
    facts = collect(login(guarded, "pinger"), seconds=3)
    assert time.monotonic() - began < 2, "without counters there is nothing to wait for"
    findings = judged(facts)
    assert findings["caching.reach.connect"].status is Status.PASS
    assert findings["caching.latency.ping"].status is Status.PASS
    assert findings["caching.security.auth"].status is Status.PASS
    assert findings["caching.memory.limit"].status is Status.ERROR
    assert findings["caching.memory.limit"].evidence["needs"] == "+info"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis://127.0.0.1:{port}", "asks for a password"),
        ("redis://:wrong-password@127.0.0.1:{port}", "refuses the user name or password"),
        ("redis://nobody:wrong-password@127.0.0.1:{port}", "refuses the user name or password"),
        ("redis://minimal:" + PASSWORD + "@127.0.0.1:{port}/7", "cannot select database 7"),
        ("redis://:wrong-password@127.0.0.1:{port}/seven", "database must be a number"),
        ("redis://:wrong-password@127.0.0.1:123456", "host or port cannot be read"),
        ("redis://:wrong-password@no-such-host.invalid", "does not resolve"),
    ],
)
def test_what_cannot_be_used_is_named_without_the_password(guarded: Instance, url: str, reason: str) -> None:
    with pytest.raises(ProbeError, match=reason) as caught:
        collect(url.format(port=guarded.port)) if "123456" not in url else redis_client.parse_url(url, Limits())
    assert "wrong-password" not in str(caught.value)
    assert PASSWORD not in str(caught.value)


def test_no_secret_in_the_facts(guarded: Instance) -> None:
    text = str(collect(f"redis://:{PASSWORD}@127.0.0.1:{guarded.port}").to_json())
    assert PASSWORD not in text


def test_config_renamed_away(folder: Path) -> None:
    with serving(folder, "--rename-command", "CONFIG", "", "--rename-command", "SLOWLOG", "") as instance:
        facts = collect(instance.url)
    assert set(facts.refused) == {"CONFIG GET", "SLOWLOG GET"}
    findings = judged(facts)
    assert "this service has no CONFIG GET" in findings["caching.security.exposure"].message
    assert findings["caching.persist.mode"].status is Status.PASS
    assert findings["caching.memory.limit"].status is Status.FAIL


# --- it only reads


def test_nothing_changes_on_a_quiet_server(folder: Path) -> None:
    with serving(folder, "--maxmemory", "64mb") as instance:
        instance.fill("user:*", 6000)
        keys = (
            "rdb_changes_since_last_save",
            "master_repl_offset",
            "expired_keys",
            "evicted_keys",
            "total_error_replies",
        )
        with instance.admin() as client:
            before, size = client.info("all"), client.dbsize()
            facts = collect(instance.url, warm_keys=WARM)
            after = client.info("all")
            assert client.dbsize() == size == 6000
            calls = {name.removeprefix("cmdstat_"): part["calls"] for name, part in client.info("commandstats").items()}
    assert [before[key] for key in keys] == [after[key] for key in keys]
    assert set(calls) <= {
        "ping", "info", "config|get", "slowlog|get", "latency|latest", "client|list", "scan", "ttl", "memory|usage",
        "set", "dbsize", "hello", "client|setinfo", "auth", "select",
    }  # fmt: skip
    assert facts.sample.scanned <= 6000
    assert 4500 <= facts.sample.patterns[0].estimate <= 6000
    assert facts.commands_sent < 160


def test_only_reading_commands_leave_the_client(valkey: Instance) -> None:
    async def attempt(*command: str) -> None:
        client = await redis_client.connect(redis_client.parse_url(valkey.url, Limits()))
        try:
            await client.ask(*command)
        finally:
            await client.close()

    async def beneath(*command: str) -> None:
        client = await redis_client.connect(redis_client.parse_url(valkey.url, Limits()))
        try:
            await client._connection.send_command(*command)
        finally:
            await client.close()

    with valkey.admin() as client:
        before = client.info("commandstats")
        for command in (
            ("SET", "a", "b"),
            ("FLUSHALL",),
            ("CONFIG", "SET", "maxmemory", "1"),
            ("KEYS", "*"),
            ("GET", "a"),
        ):
            with pytest.raises(redis_client.NotAllowed):
                asyncio.run(attempt(*command))
            with pytest.raises(redis_client.NotAllowed):
                asyncio.run(beneath(*command))
        after = client.info("commandstats")
    assert set(after) <= set(before) | {"cmdstat_info"}


def test_a_large_server_takes_no_longer(folder: Path) -> None:
    """300 000 keys: the window and a third of a second, and no command of ours holds the server for 5 ms."""
    options = ("--enable-debug-command", "yes", "--slowlog-log-slower-than", "5000")
    with serving(folder, *options) as instance, instance.admin() as client:
        client.execute_command("DEBUG", "POPULATE", "150000", "user", "16")
        client.execute_command("DEBUG", "POPULATE", "150000", "product", "16")
        collect(instance.url, seconds=0)
        hits = client.info("stats")["keyspace_hits"]
        took, slow = [], []
        for _ in range(3):  # a server that waits for a processor meanwhile is slow without our doing
            client.execute_command("SLOWLOG", "RESET")
            began = time.monotonic()
            facts = collect(instance.url, seconds=0.3, warm_keys=WARM)
            took.append(time.monotonic() - began - 0.3)
            slow.append(client.execute_command("SLOWLOG", "GET", "10"))
        found = client.info("stats")["keyspace_hits"] - hits
    assert facts.sample.scanned <= 6000
    assert sum(each.estimate for each in facts.sample.patterns) == pytest.approx(300_000, rel=0.05)
    assert found == 3 * 100, "TTL of 50 keys a pattern"
    assert facts.lookups == 0, "which the hit rate does not know of"
    assert not min(slow, key=len)
    assert min(took) < 3  # a third of a second where nobody else wants the processor


def test_it_is_quick(folder: Path) -> None:
    with serving(folder) as instance:
        instance.fill("user:*", 20_000)
        collect(instance.url, seconds=0)  # the driver is imported once
        began = time.monotonic()
        facts = collect(instance.url, seconds=0, warm_keys=WARM)
        took = time.monotonic() - began
    assert not facts.sample.complete
    assert facts.sample.scanned == pytest.approx(5000, rel=0.1)
    assert facts.sample.patterns[0].estimate == pytest.approx(20_000, rel=0.01)
    assert took < 15


# --- servers that misbehave


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(ProbeError, match=r"could not connect \(Connection refused\)"):
        collect(f"redis://127.0.0.1:{port}")
    assert time.monotonic() - began < 3


def test_no_answer() -> None:
    with impostor(lambda connection: time.sleep(20)) as silent:
        began = time.monotonic()
        with pytest.raises(ProbeError, match="no answer in time"):
            collect(silent.url, wait=1)
        assert time.monotonic() - began < 4


def _drip(connection: socket.socket) -> None:
    for _ in range(200):
        connection.sendall(b"+")
        time.sleep(0.1)


def _flood(start: bytes, chunk: bytes, times: int) -> Any:
    def behave(connection: socket.socket) -> None:
        connection.sendall(start)
        for _ in range(times):
            connection.sendall(chunk)

    return behave


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (_drip, "no answer in time"),
        (_flood(b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", 0), "is this a Redis server"),
        (_flood(b"$5000000000\r\n", b"x" * 1_000_000, 50), "too large"),
        (_flood(b"+", b"x" * 100_000, 50), "one endless line"),
        (_flood(b"*1000000000\r\n", b":1\r\n" * 10_000, 100), "too many elements"),
        (_flood(b"", b"*1\r\n" * 10_000, 100), "too large"),
        (_flood(b":12x\r\n", b"", 0), "not a number"),
        (_flood(b"$-7\r\n", b"", 0), "not a number"),
        (_flood(b"+HELLO\r\n", b"", 0), "not PONG"),
        (_flood(b"-ERR max number of clients reached\r\n", b"", 0), "maxclients"),
        (_flood(b"-DENIED Redis is running in protected mode\r\n", b"", 0), "protected mode"),
        (_flood(b"+PO", b"", 0), "closed the connection"),
    ],
)
def test_answers_that_are_none(behave: Any, reason: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with impostor(behave) as hostile:
        began = time.monotonic()
        with pytest.raises(ProbeError, match=reason):
            collect(hostile.url, wait=1)
        assert time.monotonic() - began < 4
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000, "kilobytes"


def fake(info: str, **more: bytes) -> Any:
    """A server with that INFO; other commands by their first word, in lower case."""
    plain = {"ping": b"+PONG\r\n", "auth": b"+OK\r\n", "info": bulk(info)}

    def reply(words: list[str]) -> bytes:
        return (plain | more).get(words[0].lower(), b"-ERR unknown command\r\n")

    return scripted(reply)


@pytest.mark.parametrize(
    "info",
    [
        "",
        "# Stats\r\n" + "\r\n".join(f"{name}:{'9' * 5000}" for name in ("keyspace_hits", "used_memory", "maxmemory")),
        "# Memory\r\nused_memory:nan\r\nmaxmemory:-1\r\nmem_fragmentation_ratio:inf\r\nmaxmemory_policy:\x1b[2J\r\n",
        "# Replication\r\nrole:king\r\nconnected_slaves:-3\r\nslave0:ip\r\n# Keyspace\r\ndb999999999:keys=x\r\ndb0:",
        ("\x00\xff:\x00\r\n" * 1000) + "redis_version:" + "9" * 4000 + "\r\nredis_mode:orchestra\r\n",
        "# Commandstats\r\n" + "".join(f"cmdstat_x{n}:calls=1,usec=1\r\n" for n in range(20_000)),
    ],
)
def test_nonsense_in_info_costs_facts_and_never_the_probe(info: str) -> None:
    with impostor(fake(info)) as hostile:
        facts = collect(hostile.url, seconds=0, warm_keys=WARM)
    assert facts.refused
    findings = judged(facts)
    assert findings["caching.reach.connect"].status is Status.PASS
    assert findings["caching.memory.policy"].status is not Status.PASS


def test_nonsense_in_other_replies() -> None:
    shapes = [b"*1\r\n$-1\r\n", b":7\r\n", b"$-1\r\n", b"*2\r\n*0\r\n$1\r\nx\r\n", b"+fine\r\n"]
    info = "redis_version:7.2.4\r\nconnected_clients:3\r\ncluster_enabled:1\r\n# Keyspace\r\ndb0:keys=5,expires=1"
    for shape in shapes:
        replies = dict.fromkeys(("config", "slowlog", "latency", "client", "cluster", "scan"), shape)
        with impostor(fake(info, **replies)) as hostile:
            facts = collect(hostile.url, seconds=0, warm_keys=WARM)
        judged(facts)


def test_an_error_that_echoes_the_password_is_not_repeated() -> None:
    def reply(words: list[str]) -> bytes:
        return b"-ERR what is " + " ".join(words).encode() + b"\r\n"

    with impostor(scripted(reply)) as hostile, pytest.raises(ProbeError) as caught:
        collect(f"redis://user:{PASSWORD}@127.0.0.1:{hostile.port}")
    assert PASSWORD not in str(caught.value)
    assert caught.value.__cause__ is None


def test_loading_is_not_ready() -> None:
    info = "redis_version:7.2.4\r\nloading:1\r\n"
    with impostor(fake(info, ping=b"-LOADING Redis is loading the dataset in memory\r\n")) as server:
        facts = collect(server.url, seconds=0)
    findings = judged(facts)
    assert findings["caching.reach.connect"].status is Status.FAIL
    assert "LOADING" in findings["caching.reach.connect"].message


def _masters(*ports: int) -> bytes:
    """SENTINEL MASTERS that names primaries at these ports of this host."""
    parts = ["*6\r\n$4\r\nname\r\n$1\r\nm\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n$4\r\nport\r\n" for _ in ports]
    lines = [part.encode() + bulk(str(port)) for part, port in zip(parts, ports, strict=True)]
    return b"*%d\r\n" % len(lines) + b"".join(lines)


@pytest.mark.parametrize("named", ["nobody", "itself", "two", "elsewhere"])
def test_a_sentinel_that_leads_nowhere(named: str) -> None:
    ports: list[int] = []

    def behave(connection: socket.socket) -> None:
        named_ports = {"nobody": (), "itself": tuple(ports), "two": (1, 2), "elsewhere": (0,)}[named]
        fake("redis_version:7.2.4\r\nredis_mode:sentinel\r\n", sentinel=_masters(*named_ports))(connection)

    with impostor(behave) as sentinel:
        ports.append(sentinel.port)
        began = time.monotonic()
        facts = collect(sentinel.url, seconds=0)
    assert time.monotonic() - began < 3
    findings = judged(facts)
    assert findings["caching.memory.limit"].status is Status.ERROR
    assert "leads to a Sentinel" in findings["caching.memory.limit"].message


def test_only_replicas_in_the_same_kind_of_place_are_contacted() -> None:
    contacted = []

    def stranger(connection: socket.socket) -> None:
        contacted.append(1)

    with impostor(stranger) as other:
        addresses = ["10.0.0.1", "169.254.169.254", "evil.example", "203.0.113.9", "0.0.0.0"]
        info = "redis_version:7.2.4\r\nrole:master\r\nconnected_slaves:9\r\n"
        for address in addresses:
            line = f"slave0:ip={address},port={other.port},state=online,offset=1,lag=0\r\n"
            with impostor(fake(info + line)) as server:
                began = time.monotonic()
                facts = collect(server.url, seconds=0)
                assert time.monotonic() - began < 2
            with pytest.raises(FactMissing, match="not contacted"):
                _ = facts.nodes[0].memory
    assert not contacted


@pytest.mark.parametrize(
    ("network", "address", "tls", "allowed"),
    [
        ("loopback", "127.0.0.1:6380", False, True),
        ("private", "10.0.0.7:6379", False, True),
        ("private", "[fd00::7]:6379", False, False),
        ("private", "127.0.0.1:6379", False, False),
        ("private", "169.254.169.254:80", False, False),
        ("public", "93.184.215.14:6379", False, False),
        ("public", "93.184.215.14:6379", True, True),
        ("loopback", "127.0.0.1:99999", False, False),
        ("loopback", "127.0.0.1", False, False),
    ],
)
def test_permitted_replicas(network: Any, address: str, tls: bool, allowed: bool) -> None:
    target = redis_client.Target("cache.internal", 6379, tls=tls)
    assert isinstance(redis_aside.permitted(target, network, address), redis_client.Target) is allowed


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h", ("h", 6379, "", "", 0, False)),
        ("valkeys://u%40x:p%2Fw@h:1234/5", ("h", 1234, "u@x", "p/w", 5, True)),
        ("redis://:pw@[::1]:7000?db=2&socket_timeout=5", ("::1", 7000, "", "pw", 2, False)),
    ],
)
def test_urls(url: str, expected: tuple[Any, ...]) -> None:
    target = redis_client.parse_url(url, Limits())
    assert (target.host, target.port, target.username, target.password, target.database, target.tls) == expected
    assert "pw" not in repr(target)


@pytest.mark.parametrize(
    ("host", "os", "provider"),
    [
        ("master.shop.abc123.euw1.cache.amazonaws.com", "", "ElastiCache"),
        ("10.0.0.1", "Amazon ElastiCache", "ElastiCache"),
        ("clustercfg.shop.abc.memorydb.eu-west-1.amazonaws.com", "", "MemoryDB"),
        ("eu1-x.upstash.io", "", "Upstash"),
        ("cache.amazonaws.com.evil.example", "", ""),
        ("redis.internal", "Linux", ""),
    ],
)
def test_providers(host: str, os: str, provider: str) -> None:
    assert redis_aside.provider_of(host, os) == provider
