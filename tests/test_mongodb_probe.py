"""What the MongoDB probes do without a server: whom to follow, what may be sent, arithmetic, hostile answers."""

from __future__ import annotations

import asyncio
import math
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from readiness.errors import ProbeError
from readiness.facts.base import Absent
from readiness.facts.mongodb import Hello, MongoMember, ReplicaConfig, ReplicaStatus
from readiness.facts.mongodb_client import ClientOptionsFacts
from readiness.facts.mongodb_server import Counters, Gauges
from readiness.probes.mongodb import mongodb, operation_ms
from readiness.probes.mongodb_client import client_options
from readiness.probes.mongodb_connect import Forbidden, Session, permit
from readiness.probes.mongodb_estate import host_load, host_sample
from readiness.probes.mongodb_member import without_own
from readiness.probes.mongodb_target import Address, target
from readiness.probes.network import refusal, widest
from readiness.settings import Limits, MongoDBSettings
from readiness.spec import Context
from readiness.window import Window


def options(uri: str | None = None, **beside: Any) -> ClientOptionsFacts:
    settings = MongoDBSettings.model_validate({"app_uri": uri, "options": beside})
    facts = asyncio.run(client_options(settings))
    assert ClientOptionsFacts.from_json(facts.to_json()) == facts
    return facts


def test_everything_that_a_uri_sets() -> None:
    facts = options(
        "mongodb://u:p%40ss@h1,h2,h3/shop?replicaSet=rs0&maxPoolSize=50&minPoolSize=10&maxIdleTimeMS=30000"
        "&serverSelectionTimeoutMS=5000&socketTimeoutMS=45000&connectTimeoutMS=10000&retryWrites=true&compressors=zlib"
        "&authSource=admin&w=majority&tls=true&appName=shop-api"
    )
    assert (facts.max_pool_size, facts.min_pool_size, facts.max_idle_ms) == (50, 10, 30_000)
    assert (facts.server_selection_ms, facts.connect_ms, facts.socket_ms) == (5000, 10_000, 45_000)
    assert facts.seeds == ("h1:27017", "h2:27017", "h3:27017")
    assert facts.write_concern == "majority"
    assert facts.retry_writes is True
    assert facts.retry_reads is None
    assert facts.tls
    assert facts.tls_verified
    assert facts.logs_in
    assert "p@ss" not in str(facts.to_json())
    assert "p%40ss" not in str(facts.to_json())


def test_srv_implies_tls_without_asking_dns() -> None:
    facts = options("mongodb+srv://u:p@cluster0.abcde.invalid/shop?w=majority")
    assert facts.srv
    assert facts.tls
    assert facts.auth_source == "shop"


def test_compressors_are_read_as_written() -> None:
    assert options("mongodb://h1/?compressors=zstd,snappy").compressors == ("zstd", "snappy")


def test_ignored_options_are_named() -> None:
    facts = options("mongodb://h1/?useNewUrlParser=true&poolSize=5&autoSelectFamily=false&j=true&ssl=true")
    assert facts.unknown == ("useNewUrlParser", "poolSize")
    assert facts.journal is True
    assert facts.tls


def test_values_that_no_driver_takes() -> None:
    facts = options("mongodb://h1/?minPoolSize=20&maxPoolSize=10&retryWrites=perhaps&connectTimeoutMS=-5")
    assert set(facts.refused) == {"retrywrites", "connecttimeoutms", "minPoolSize above maxPoolSize"}
    assert isinstance(facts.__dict__["connect_ms"], Absent)


def test_options_beside_the_uri_win() -> None:
    facts = options("mongodb://h1/?maxPoolSize=10", maxPoolSize=50, retryWrites=False)
    assert facts.max_pool_size == 50
    assert facts.retry_writes is False
    alone = options(maxPoolSize=50)
    assert not alone.from_uri
    assert isinstance(alone.__dict__["seeds"], Absent)


def test_a_uri_that_is_none_is_not_quoted() -> None:
    settings = MongoDBSettings.model_construct(app_uri=SecretStr("mongodb://u:p@ss@h1/"), options={})
    with pytest.raises(ProbeError) as caught:
        asyncio.run(client_options(settings))
    assert "p@ss" not in caught.value.reason


@pytest.mark.parametrize(
    ("addresses", "kind"),
    [
        (["127.0.0.1"], "loopback"),
        (["::1", "127.0.0.1"], "loopback"),
        (["::ffff:127.0.0.1"], "loopback"),
        (["10.0.0.9"], "private"),
        (["100.64.0.3"], "private"),
        (["fd00::1"], "private"),
        (["127.0.0.1", "10.0.0.9"], "private"),
        (["8.8.8.8"], "public"),
        (["169.254.169.254"], "special"),
        (["fe80::1%eth0"], "special"),
        (["10.0.0.9", "169.254.169.254"], "special"),
        (["0.0.0.0"], "special"),
        ([], "special"),
    ],
)
def test_networks(addresses: list[str], kind: str) -> None:
    assert widest(addresses) == kind


@pytest.mark.parametrize(
    ("limits", "announced", "configured", "followed"),
    [
        ({}, "loopback", {"loopback"}, True),
        ({}, "private", {"private"}, True),
        ({}, "public", {"public"}, True),
        ({}, "loopback", {"private"}, False),
        ({}, "private", {"public"}, False),
        ({}, "loopback", {"public"}, False),
        ({}, "public", {"private"}, False),
        ({}, "special", {"special"}, False),
        ({"follow_announced": "never"}, "private", {"private"}, False),
        ({"follow_announced": "listed"}, "private", {"private"}, False),
        ({"follow_announced": "listed", "listed": ["db-2:27017"]}, "private", {"loopback"}, True),
        ({"follow_announced": "listed", "listed": ["db-2:27017"]}, "special", {"loopback"}, False),
    ],
)
def test_announcements_lead_nowhere_else(
    limits: dict[str, object], announced: str, configured: set[str], followed: bool
) -> None:
    assert (refusal(Limits.model_validate(limits), "db-2:27017", announced, configured) == "") is followed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "h1",
        "h1:0",
        "h1:70000",
        "http://h1:80",
        "h1:80/x",
        "u:p@h1:80",
        "h 1:80",
        "h1:80\n",
        "[::1",
        "a" * 300 + ":1",
    ],
)
def test_what_is_no_address(text: str) -> None:
    assert Address.parse(text) is None


def test_addresses() -> None:
    assert Address.parse("DB1.example.com:27017") == Address("db1.example.com", 27017)
    six = Address.parse("[::1]:27017")
    assert six is not None
    assert six.name == "[::1]:27017"


def test_the_login_comes_from_the_uri_and_little_else() -> None:
    found = asyncio.run(
        target("mongodb://u:p%40ss@h1:1,h2/shop?readPreference=secondary&maxPoolSize=9&compressors=zlib", Limits())
    )
    assert found.password == "p@ss"
    assert dict(found.credentials) == {"authSource": "shop"}
    assert dict(found.tls) == {}
    assert "p@ss" not in repr(found)


@pytest.mark.parametrize(
    "command",
    [
        {"insert": "x"},
        {"find": "users", "projection": {"ts": 1, "_id": 0}},
        {"find": "oplog.rs"},
        {"aggregate": 1, "pipeline": [{"$currentOp": {}}, {"$out": "x"}]},
        {"aggregate": "x", "pipeline": [{"$lookup": {}}]},
        {"aggregate": "x", "pipeline": [{"$match": {}}]},
        {"aggregate": "x", "pipeline": [{"$collStats": {}}, {"$unionWith": "users"}]},
        {"aggregate": "x", "pipeline": []},
        {"mapReduce": "x"},
        {},
    ],
)
def test_forbidden(command: dict[str, Any]) -> None:
    with pytest.raises(Forbidden):
        permit(command)


def counters(**values: Any) -> Counters:
    return Counters(**values)


def test_differences() -> None:
    earlier = counters(uptime_ms=1000, reads=10, reads_us=500, by_command={"find": {"total": 5, "failed": 1}})
    later = counters(
        uptime_ms=4000,
        reads=40,
        reads_us=900,
        by_command={"find": {"total": 9, "failed": 3}, "ping": {"total": 0, "failed": 0}},
    )
    window = later.since(earlier)
    assert (window.reads, window.reads_us, window.uptime_ms) == (30, 400, 3000)
    assert window.by_command["find"].total == 4
    assert window.by_command["find"].failed == 2
    assert isinstance(window.__dict__["writes"], Absent)
    assert "restarted" in earlier.since(later).__dict__["reads"].reason


def test_the_auditor_is_taken_out() -> None:
    window = counters(commands=5, commands_us=400, by_command={"serverStatus": {"total": 1, "failed": 0}})
    own = without_own(window, 300)
    assert (own.commands, own.commands_us, own.by_command["serverStatus"].total) == (4, 100, 0)
    assert without_own(counters(commands=0, commands_us=100), 300).commands_us == 0


def activity(**values: Any) -> Counters:
    zero = dict.fromkeys(("reads", "reads_us", "writes", "writes_us", "commands", "commands_us"), 0)
    return counters(**{"by_command": {}, **zero, **values})


def test_the_mean_time_of_an_operation() -> None:
    assert operation_ms([activity(reads=100, reads_us=300_000), activity(writes=100, writes_us=100_000)]) == 2.0
    busy = {"replSetHeartbeat": {"total": 900, "failed": 0}}
    # Nine hundred heartbeats beside a hundred reads change nothing.
    heartbeats = activity(reads=100, reads_us=300_000, commands=900, commands_us=9000, by_command=busy)
    assert operation_ms([heartbeats]) == 3.0
    assert isinstance(operation_ms([activity(commands=900, commands_us=9, by_command=busy)]), Absent)
    assert isinstance(operation_ms([counters(reads=100)]), Absent)
    assert isinstance(operation_ms([]), Absent)


PATHS = st.sampled_from(
    [
        "setName", "me", "hosts", "opLatencies", "reads", "ops", "latency", "metrics", "commands", "find", "total",
        "failed", "connections", "current", "wiredTiger", "cache", "members", "state", "name", "optimeDate", "host",
        "priority", "votes", "globalLock", "network", "compression", "security", "asserts", "defaultRWConcern",
    ]
)  # fmt: skip
json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | PATHS, inner, max_size=5),
    max_leaves=15,
)


@given(st.dictionaries(PATHS, json_like, max_size=8))
def test_hostile_answers_are_absent_facts(answer: dict[str, Any]) -> None:
    for kind in (Hello, Counters, Gauges, ReplicaStatus, ReplicaConfig):
        facts = kind.model_validate(answer)
        assert kind.from_json(facts.to_json()) == facts
    member = MongoMember.model_validate(
        {"address": "x", "hello": answer, "gauges": answer, "disk": answer, "account": answer}
    )
    assert not any(isinstance(value, float) and not math.isfinite(value) for value in member.to_json().values())


def test_a_server_that_has_just_started_knows_nothing_of_its_machine() -> None:
    class Young:
        async def ask(self, command: dict[str, Any]) -> Any:
            return {"data": {}}

    sample = asyncio.run(host_sample(cast(Session, Young())))
    assert sample.reason == "mongod has not looked at its machine yet: it does so once a second"
    assert host_load(sample, sample) is sample


def _serve(answer: Callable[[socket.socket], None]) -> int:
    server = socket.create_server(("127.0.0.1", 0))

    def loop() -> None:
        with server:
            server.settimeout(20)
            try:
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.settimeout(0.2)
                        answer(connection)
            except OSError:
                return

    threading.Thread(target=loop, daemon=True).start()
    return int(server.getsockname()[1])


def _garbage(connection: socket.socket) -> None:
    try:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 5)
    except OSError:
        return


def test_something_else_on_the_port() -> None:
    port = _serve(_garbage)
    context = Context(Window(0.1, 1), Limits(window_seconds=0.1), "readiness/test", "rdy-0123456789ab")
    began = time.monotonic()
    with pytest.raises(ProbeError, match="speaks no MongoDB"):
        asyncio.run(mongodb(MongoDBSettings.model_validate({"uri": f"mongodb://u:secret@127.0.0.1:{port}/"}), context))
    assert time.monotonic() - began < 10
