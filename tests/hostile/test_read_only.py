"""That an audit only reads: by what real servers under load heard of it, and by attempts to get more past it."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from bson.errors import BSONError
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from redis.cluster import ClusterNode, RedisCluster

from readiness.probes import redis_client
from readiness.probes.mongodb_connect import COMMANDS, DRIVER, READABLE, Forbidden, Session, permit
from readiness.probes.mongodb_target import Address, Target
from readiness.settings import Limits

from .auditing import LIMITS, audit
from .real_servers import MongoSet, Valkey, cluster, replica_set, standalone, until, valkey

pytestmark = pytest.mark.real

# --- MongoDB: attempts

FORBIDDEN: list[tuple[dict[str, Any], str]] = [
    # Names that a server might read otherwise than this program does.
    ({"Insert": "x", "documents": [{}]}, "shop"),
    ({"INSERT": "x"}, "shop"),
    ({" ping": 1}, "admin"),
    ({"ping\0": 1}, "admin"),
    ({"Ping": 1}, "admin"),
    ({"$eval": "db.x.drop()"}, "shop"),
    ({"eval": "1"}, "shop"),
    ({"mapReduce": "x", "map": "f", "reduce": "f", "out": "y"}, "shop"),
    ({"killOp": 1, "op": 5}, "admin"),
    ({"killCursors": "x", "cursors": [1]}, "shop"),
    ({"getMore": 1, "collection": "oplog.rs"}, "local"),
    ({"setParameter": 1, "logLevel": 5}, "admin"),
    ({"fsync": 1, "lock": True}, "admin"),
    ({"shutdown": 1}, "admin"),
    ({"replSetStepDown": 1}, "admin"),
    ({"logRotate": 1}, "admin"),
    ({"explain": {"find": "x"}}, "shop"),
    ({"distinct": "x", "key": "a"}, "shop"),
    ({"count": "x"}, "shop"),
    ({"validate": "x"}, "shop"),
    ({"dbHash": 1}, "shop"),
    ({"listCollections": 1}, "shop"),
    ({"usersInfo": 1, "showCredentials": True}, "admin"),
    # A permitted name with something more.
    ({"ping": 1, "filter": {"$where": "sleep(1)"}}, "admin"),
    ({"listDatabases": 1, "filter": {"$expr": {"$function": {"body": "f", "args": [], "lang": "js"}}}}, "admin"),
    ({"profile": 0}, "shop"),
    ({"profile": -1, "slowms": 0}, "shop"),
    ({"profile": -1, "comment": "x", "filter": "unset"}, "shop"),
    ({"getParameter": "*"}, "admin"),
    ({"getParameter": 1, "tlsCertificateKeyFilePassword": 1}, "admin"),
    ({"getParameter": {"showDetails": True, "allParameters": True}}, "admin"),
    ({"getLog": "global"}, "admin"),
    ({"getLog": "*"}, "admin"),
    # Documents.
    ({"find": "products"}, "shop"),
    ({"find": "products", "projection": {"ts": 1, "_id": 0}}, "shop"),
    ({"find": "system.users", "projection": {"_id": 1}}, "admin"),
    ({"find": "oplog.rs", "projection": {"ts": 1, "_id": 0, "o": 1}}, "local"),
    ({"find": "oplog.rs", "projection": {"_id": 0, "ts": 1}, "filter": {"o.password": {"$regex": "^a"}}}, "local"),
    ({"find": "oplog.rs", "projection": {"ts": 1, "_id": 0}, "tailable": True, "awaitData": True}, "local"),
    ({"find": "oplog.rs", "projection": {"ts": 1, "_id": 0}, "allowDiskUse": True}, "local"),
    ({"find": "pbmBackups", "filter": {"$where": "1"}, "projection": {"last_transition_ts": 1, "_id": 0}}, "admin"),
    # Pipelines.
    ({"aggregate": "x", "pipeline": []}, "shop"),
    ({"aggregate": "x", "pipeline": [{}]}, "shop"),
    ({"aggregate": "x", "pipeline": [{"$match": {}}]}, "shop"),
    ({"aggregate": "x", "pipeline": [{"$collStats": {}}, {"$out": "y"}]}, "shop"),
    ({"aggregate": "x", "pipeline": [{"$collStats": {}, "$out": "y"}]}, "shop"),
    ({"aggregate": "x", "pipeline": [{"$collStats": {}}, {"$match": {}, "$merge": "y"}]}, "shop"),
    ({"aggregate": "x", "pipeline": [{"$collStats": {}}, {"$MERGE": {"into": "y"}}]}, "shop"),
    ({"aggregate": "x", "pipeline": [{"$collStats": {}}, {"$merge": {"into": "y"}}]}, "shop"),
    ({"aggregate": "x", "pipeline": [{"$collStats": {}}, {"$lookup": {"from": "y", "as": "z"}}]}, "shop"),
    ({"aggregate": "x", "pipeline": [{"$collStats": {}}, {"$unionWith": "y"}]}, "shop"),
    ({"aggregate": "x", "pipeline": [{"$collStats": {}}, {"$graphLookup": {"from": "y"}}]}, "shop"),
    ({"aggregate": "x", "pipeline": [{"$facet": {"a": [{"$collStats": {}}]}}]}, "shop"),
    ({"aggregate": "x", "pipeline": [{"$collStats": {}}, {"$facet": {"a": [{"$lookup": {}}]}}]}, "shop"),
    ({"aggregate": "x", "pipeline": [{"$collStats": {}}, {"$match": {"$where": "1"}}]}, "shop"),
    ({"aggregate": "x", "pipeline": [{"$collStats": {}}, {"$project": {"a": {"$function": {}}}}]}, "shop"),
    ({"aggregate": "x", "pipeline": [{"$collStats": {}}, {"$group": {"_id": 1, "a": {"$accumulator": {}}}}]}, "shop"),
    ({"aggregate": "x", "pipeline": [{"$collStats": {}}], "allowDiskUse": True}, "shop"),
    ({"aggregate": "x", "pipeline": [{"$collStats": {}}], "bypassDocumentValidation": True}, "shop"),
    ({"aggregate": 1, "pipeline": [{"$changeStream": {}}]}, "shop"),
    ({"aggregate": 1, "pipeline": [{"$currentOp": {}}, {"$limit": 5}, {"$out": {"db": "a", "coll": "b"}}]}, "admin"),
    ({"aggregate": 1, "pipeline": [{"$listSessions": {}}]}, "config"),
]


@pytest.mark.parametrize(("command", "database"), FORBIDDEN, ids=lambda value: str(value)[:60])
def test_a_command_that_is_no_read_is_refused(command: dict[str, Any], database: str) -> None:
    with pytest.raises(Forbidden):
        permit(command, database)
    # The name of the command is the first key; the others may be anywhere.
    for key in [*command][1:]:
        with pytest.raises(Forbidden):
            permit({key: command[key], **command}, database)


@pytest.fixture(scope="module")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with standalone(tmp_path_factory.mktemp("attempts")) as found:
        with found.client() as client:
            client.shop.x.insert_one({"_id": 1})
        yield found


def test_no_attempt_reaches_a_server(mongod: Any) -> None:
    """The driver's own listener stands behind `ask`, for whoever goes around it."""

    async def attempt() -> None:
        session = Session(Address("127.0.0.1", mongod.port), Target((), None, None, {}, {}), "readiness/attempts")
        for command, database in FORBIDDEN:
            with pytest.raises(Forbidden):
                await session.ask(dict(command), database)
            # What cannot be encoded, or has no first key that is a name, the driver refuses itself.
            with pytest.raises((Forbidden, PyMongoError, BSONError, ValueError, TypeError)):
                await session._client[database].command(dict(command))
        with pytest.raises((Forbidden, PyMongoError)):
            await session._client.shop.x.insert_one({"_id": 2})
        with pytest.raises((Forbidden, PyMongoError)):
            await session._client.shop.x.find_one()
        with pytest.raises((Forbidden, PyMongoError)):
            await session._client.drop_database("shop")
        assert (await session.ask({"ping": 1}))["ok"] == 1
        await session.close()

    with mongod.client() as client, heard([mongod]):
        before = client.admin.command("serverStatus")["opcounters"]
        asyncio.run(attempt())
        after = client.admin.command("serverStatus")["opcounters"]
        documents = list(client.shop.x.find())
    assert {
        name: after[name] - before[name] for name in ("insert", "update", "delete", "query", "getmore")
    } == dict.fromkeys(("insert", "update", "delete", "query", "getmore"), 0)
    assert documents == [{"_id": 1}]
    assert names_of(mongod, "readiness/attempts") <= {"ping", "hello", "isMaster", "ismaster", "endSessions"}


# --- MongoDB: what a set heard


@contextmanager
def heard(members: Any) -> Iterator[None]:
    """Has every member write every command of every client into its log."""
    for member in members:
        with member.client() as client:
            client.admin.command("setParameter", 1, logComponentVerbosity={"command": {"verbosity": 2}})
    try:
        yield
    finally:
        for member in members:
            with member.client() as client:
                client.admin.command("setParameter", 1, logComponentVerbosity={"command": {"verbosity": 0}})


def commands_of(member: Any, app: str) -> list[dict[str, Any]]:
    """The commands in a member's log that came from clients of that name."""
    found = []
    for line in member.server.log.read_text(errors="replace").splitlines():
        if '"COMMAND"' in line and app in line:
            with suppress(ValueError):
                attributes = json.loads(line).get("attr", {})
                if str(attributes.get("appName", "")).startswith(app) and isinstance(attributes.get("command"), dict):
                    found.append({"ns": attributes.get("ns"), **attributes})
    return found


def names_of(member: Any, app: str) -> set[str]:
    return {next(iter(entry["command"]), "") for entry in commands_of(member, app)}


@contextmanager
def shopping(uri: str) -> Iterator[None]:
    """Clients that read and write one database until the end of the block."""
    with loaded(MongoClient(uri, appname="load"), _shop):
        yield


def _shop(client: Any, number: int) -> None:
    client.shop.products.insert_one({"n": number})
    client.shop.products.update_one({"n": number}, {"$set": {"seen": True}})
    list(client.shop.products.find({"n": {"$lt": number}}).limit(5))


@contextmanager
def loaded(client: Any, act: Callable[[Any, int], object]) -> Iterator[None]:
    stop, done = threading.Event(), threading.Event()

    def work() -> None:
        number = 0
        while not stop.wait(0.003):
            number += 1
            act(client, number)
            if number == 50:
                done.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        assert done.wait(60)
        yield
    finally:
        stop.set()
        thread.join(20)
        client.close()


def _still(member: Any) -> dict[str, Any]:
    """What nobody but an auditor that writes could have changed while the load went on."""
    with member.client() as client:
        return {
            "hash": {name: client[name].command("dbHash")["collections"] for name in ("still", "admin")},
            "databases": sorted(client.list_database_names()),
            "collections": sorted(client.shop.list_collection_names()),
            "indexes": sorted(client.shop.products.index_information()),
            "profile": [client[name].command("profile", -1)["was"] for name in ("shop", "still")],
            "oplog": client.local["oplog.rs"].count_documents(
                {"op": {"$ne": "n"}, "ns": {"$nin": ["shop.products", "config.system.sessions"]}}
            ),
            "config": client.admin.command("replSetGetConfig")["config"]["version"],
        }


@pytest.mark.timeout(300)
def test_a_set_under_load_hears_reads_alone(tmp_path: Path) -> None:
    with replica_set(tmp_path) as found:
        with MongoClient(found.uri, w=3) as client:
            client.still.things.insert_many([{"_id": n} for n in range(200)])
            client.shop.products.create_index("n")
        _at_rest(found)
        with shopping(found.uri), heard(found.members):
            before = [_still(member) for member in found.members]
            outcome = audit(tmp_path / "audit", {"mongodb": {"uri": found.uri}, "limits": LIMITS})
            after = [_still(member) for member in found.members]
    assert outcome.statuses()["database.reach.connect"] == "pass"
    assert after == before
    greetings = {"hello", "isMaster", "ismaster"}
    for member in found.members:
        commands = commands_of(member, "readiness/")
        assert len(commands) > 20, "the log tells what was asked"
        assert {next(iter(entry["command"])) for entry in commands} <= COMMANDS | DRIVER | greetings
        for entry in commands:
            command, database = entry["command"], str(entry["ns"]).partition(".")[0]
            if next(iter(command)) not in greetings | DRIVER:
                # As the server heard it, and by the names that the server gives.
                permit(command, str(command.get("$db", database)))


def _at_rest(found: MongoSet) -> None:
    def alike() -> bool:
        hashes = []
        for member in found.members:
            with member.client() as client:
                hashes.append(client.still.command("dbHash")["md5"])
        return len(set(hashes)) == 1

    until(alike)


# --- Redis: attempts

REFUSED: list[tuple[Any, ...]] = [
    ("SET", "a", "b"),
    ("set", "a", "b"),
    ("FLUSHALL",),
    ("flushall", "ASYNC"),
    ("EVAL", "return redis.call('set','a','b')", "0"),
    ("EVALSHA", "a", "0"),
    ("FCALL", "f", "0"),
    ("SCRIPT", "FLUSH"),
    ("DEBUG", "SLEEP", "1"),
    ("DEBUG", "SEGFAULT"),
    ("CLIENT", "KILL", "TYPE", "normal"),
    ("client", "pause", "10000"),
    ("CLIENT", "NO-EVICT", "on"),
    ("CLIENT",),
    ("CONFIG", "SET", "maxmemory", "1"),
    ("config", "set", "dir", "/tmp"),
    ("CONFIG", "RESETSTAT"),
    ("CONFIG", "REWRITE"),
    ("CONFIG", "GET", "*"),
    ("CONFIG", "GET", "requirepass"),
    ("CONFIG", "GET", "bind", "masterauth"),
    ("CONFIG", "GET", "re[q]uirepass"),
    ("CONFIG GET", "requirepass"),
    ("CONFIG SET", "maxmemory", "1"),
    ("CONFIG\tSET", "maxmemory", "1"),
    ("SLOWLOG", "RESET"),
    ("LATENCY", "RESET"),
    ("CLUSTER", "RESET"),
    ("CLUSTER", "FAILOVER"),
    ("SENTINEL", "FAILOVER", "m"),
    ("SENTINEL", "REMOVE", "m"),
    ("MEMORY", "PURGE"),
    ("SHUTDOWN", "NOSAVE"),
    ("REPLICAOF", "NO", "ONE"),
    ("MONITOR",),
    ("SUBSCRIBE", "a"),
    ("MULTI",),
    ("KEYS", "*"),
    ("GET", "a"),
    ("DUMP", "a"),
    ("SAVE",),
    ("BGSAVE",),
    ("ACL", "SETUSER", "x"),
    ("ACL", "LIST"),
    ("MODULE", "LOAD", "/tmp/x.so"),
    ("PING\r\nFLUSHALL",),
    ("PING FLUSHALL\r\n",),
    ("INFO\r\nSET a b\r\n",),
    (b"FLUSHALL",),
    ("",),
    (),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with valkey(tmp_path_factory.mktemp("valkey")) as found:
        with found.client() as client:
            client.set("a", "1")
        yield found


@pytest.mark.parametrize("command", REFUSED, ids=repr)
def test_a_redis_command_that_is_no_read_is_refused(command: tuple[Any, ...]) -> None:
    if command in (("PING FLUSHALL\r\n",),):
        return  # goes out as PING with one argument, which the next test shows
    with pytest.raises(redis_client.NotAllowed):
        redis_client.command_name(command)


INJECTED = "x\r\nSET injected 1\r\n*3\r\n$3\r\nSET\r\n$8\r\ninjected\r\n$1\r\n1\r\n"


def test_no_attempt_reaches_a_redis(server: Valkey) -> None:
    async def attempt() -> None:
        target = redis_client.parse_url(server.url, Limits())
        client = await redis_client.connect(target)
        for command in REFUSED:
            with suppress(redis_client.NotAllowed):
                await client.ask(*command)
            with suppress(redis_client.NotAllowed):
                await client._connection.send_command(*command)
        await client.close()
        client = await redis_client.connect(target)
        for command in (
            ("TTL", INJECTED), ("MEMORY", "USAGE", INJECTED), ("SCAN", "0", "MATCH", INJECTED), ("PING", INJECTED),
            ("AUTH", INJECTED), ("AUTH", INJECTED, INJECTED), ("SELECT", INJECTED), ("INFO", INJECTED),
            ("SENTINEL", "CKQUORUM", INJECTED),
        ):  # fmt: skip
            await client.ask(*command)
        await client.close()

    with watched([server]) as lines:
        asyncio.run(attempt())
        with server.client() as client:
            assert client.keys("*") == ["a"]
            assert client.get("a") == "1"
            assert client.config_get("maxmemory") == {"maxmemory": "0"}
    said = {each.split("] ", 1)[1].split(" ")[0].strip('"').upper() for each in lines if "] " in each}
    # KEYS, GET, CONFIG and CLIENT are those of the lines above.
    assert said <= {
        "TTL",
        "MEMORY",
        "SCAN",
        "PING",
        "AUTH",
        "SELECT",
        "INFO",
        "KEYS",
        "GET",
        "CONFIG",
        "CLIENT",
        "HELLO",
    }


# --- Redis: what a cluster heard


@contextmanager
def watched(nodes: Any) -> Iterator[list[str]]:
    """What MONITOR said of every node in the block, once that has ended."""
    lines: list[str] = []
    stop = threading.Event()

    def listen(node: Valkey, ready: threading.Event) -> None:
        with socket.create_connection(("127.0.0.1", node.port), timeout=10) as monitor:
            monitor.sendall(b"MONITOR\r\n")
            heard = monitor.recv(5)
            ready.set()
            monitor.settimeout(0.2)
            while not stop.is_set():
                with suppress(TimeoutError):
                    heard += monitor.recv(1 << 16)
            lines.extend(heard.decode(errors="replace").splitlines())

    threads = []
    for node in nodes:
        ready = threading.Event()
        thread = threading.Thread(target=listen, args=(node, ready), daemon=True)
        thread.start()
        threads.append(thread)
        assert ready.wait(10)
    try:
        yield lines
        time.sleep(0.5)
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)


def _unchanged(node: Valkey) -> dict[str, Any]:
    with node.client() as client:
        keys = client.keys("still:*")
        return {
            "keys": {key: (client.get(key), client.execute_command("PEXPIRETIME", key)) for key in sorted(keys)},
            "config": client.config_get("*"),
            "slots": client.execute_command("CLUSTER SLOTS"),
            "slow": len(client.slowlog_get(10)),
            "acl": client.execute_command("ACL LIST"),
            "scripts": client.info("memory")["number_of_cached_scripts"],
        }


@pytest.mark.timeout(300)
def test_a_cluster_under_load_hears_reads_alone(tmp_path: Path) -> None:
    with ExitStack() as stack:
        nodes = stack.enter_context(cluster(tmp_path))
        load = RedisCluster(startup_nodes=[ClusterNode("127.0.0.1", node.port) for node in nodes], client_name="load")
        for number in range(60):
            load.set(f"still:{number}", "x", ex=3000)

        def act(client: Any, number: int) -> None:
            client.set(f"user:{number % 200}", number, ex=1000)
            client.get(f"user:{number % 300}")

        stack.enter_context(loaded(load, act))
        before = [_unchanged(node) for node in nodes]
        with watched(nodes) as lines:
            configuration = {"redis": {"url": nodes[0].url, "warm_keys": {"user:*": 10}}, "limits": LIMITS}
            outcome = audit(tmp_path / "audit", configuration)
        after = [_unchanged(node) for node in nodes]
    assert outcome.statuses()["caching.reach.connect"] == "pass"
    assert after == before
    # `1700000000.1 [0 127.0.0.1:40000] "GET" "user:1"`: the load's words are GET and SET, and nobody else's.
    said = [re.findall(r'"((?:[^"\\]|\\.)*)"', line.split("] ", 1)[1]) for line in lines if "] " in line]
    auditor = [words for words in said if words and words[0].upper() not in ("SET", "GET")]
    assert len(auditor) > 50
    for words in auditor:
        redis_client.command_name(words)
    assert {words[0].upper() for words in auditor} >= {"INFO", "PING", "SCAN", "CLUSTER"}
    assert not [words for words in said if words[0].upper() in ("SET", "GET") and not words[1].startswith("user:")]


def test_what_may_be_read_is_listed_narrowly() -> None:
    """Whoever adds to these lists should meet this test, and think."""
    assert {collection for _, collection in READABLE} == {"oplog.rs", "pbmBackups", "mongos", "collections"}
    writing = re.compile(
        "set|insert|update|delete|drop|create|kill|reset|flush|shutdown|compact|coll|fsync|add|remove", re.I
    )
    assert {name for name in COMMANDS if writing.search(name)} == {"replSetGetConfig", "replSetGetStatus"}
    assert not {name for name in redis_client.ALLOWED if writing.search(name)}
