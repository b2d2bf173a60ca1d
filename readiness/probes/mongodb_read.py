"""What is read from one member besides its counters: a command each, reduced to the facts that are kept.

Every function takes a session and returns a fact's value, or an absent one with the reason. What might hold documents
or literals of queries is reduced on the server.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from readiness.facts.base import Absent, absent
from readiness.probes.mongodb_connect import Session, first_batch

HOTTEST = 50
"""How many collections are looked into, two commands each."""
LONG_SECONDS = 10
WARNINGS = 50
MOST_SHARDS = 1000
SYSTEM = ("admin.", "local.", "config.")


def reduced(answer: Any, reduce: Callable[[Any], Any]) -> Any:
    """`reduce(answer)`; absent where the answer is, or where it does not have the expected shape."""
    if isinstance(answer, Absent):
        return answer
    try:
        return reduce(answer)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError):
        return absent("the answer has an unexpected shape")


async def shard_names(session: Session) -> Any:
    """Every shard of the cluster by its name, those without data too. For a mongos."""
    answer = await session.ask({"listShards": 1})
    return reduced(answer, lambda found: [str(shard["_id"]) for shard in found["shards"][:MOST_SHARDS]])


async def replica_config(session: Session) -> Any:
    return reduced(await session.ask({"replSetGetConfig": 1}), lambda answer: answer["config"])


async def command_line(session: Session) -> Any:
    def reduce(answer: Any) -> Any:
        parsed = answer["parsed"]
        # Only named options: the rest may hold paths and secrets.
        net, security = parsed.get("net", {}), parsed.get("security", {})
        return {
            "net": {name: net[name] for name in ("bindIp", "bindIpAll", "tls", "ssl") if name in net},
            "security": {"authorization": security["authorization"]} if "authorization" in security else {},
            "key_file": "keyFile" in security,
            "min_retention_hours": parsed.get("storage", {}).get("oplogMinRetentionHours", 0),
        }

    return reduced(await session.ask({"getCmdLineOpts": 1}), reduce)


async def feature_version(session: Session) -> Any:
    answer = await session.ask({"getParameter": 1, "featureCompatibilityVersion": 1})
    return reduced(answer, lambda found: found["featureCompatibilityVersion"]["version"])


async def startup_warnings(session: Session) -> Any:
    def reduce(answer: Any) -> Any:
        lines = [json.loads(line) for line in answer["log"][:WARNINGS] if isinstance(line, str) and len(line) < 10_000]
        return [
            {"id": line["id"], "s": str(line["s"]), "msg": str(line["msg"]), "attr": _limits(line)} for line in lines
        ]

    return reduced(await session.ask({"getLog": "startupWarnings"}), reduce)


def _limits(line: Mapping[str, Any]) -> dict[str, Any]:
    attributes = line.get("attr")
    named = ("currentValue", "recommendedMinimum")
    return {name: attributes[name] for name in named if name in attributes} if isinstance(attributes, dict) else {}


async def connections(session: Session, user_agent: str, *, routed: bool) -> Any:
    """Connections by application, host and driver, grouped on the server."""
    without_port = {"$regexFind": {"input": {"$ifNull": ["$client", "$client_s"]}, "regex": r"^(.*):\d+$"}}
    return await session.rows(
        1,
        [
            {"$currentOp": {"allUsers": True, "idleConnections": True, **({"localOps": True} if routed else {})}},
            {"$match": {"clientMetadata": {"$exists": True}, "appName": {"$ne": user_agent}}},
            {"$project": {
                "app": "$appName", "driver": "$clientMetadata.driver", "found": without_port, "active": 1,
                "users": {"$size": {"$ifNull": ["$effectiveUsers", []]}},
            }},
            {"$group": {
                "_id": {
                    "app": "$app", "driver": "$driver.name", "version": "$driver.version",
                    "host": {"$arrayElemAt": ["$found.captures", 0]},
                },
                "connections": {"$sum": 1},
                "active": {"$sum": {"$cond": ["$active", 1, 0]}},
                "logged_in": {"$sum": {"$cond": [{"$gt": ["$users", 0]}, 1, 0]}},
            }},
            {"$sort": {"connections": -1}},
            {"$limit": 200},
            {"$project": {
                "_id": 0, "connections": 1, "active": 1, "logged_in": 1, "app": {"$ifNull": ["$_id.app", ""]},
                "driver": {"$ifNull": ["$_id.driver", ""]}, "driver_version": {"$ifNull": ["$_id.version", ""]},
                "host": {"$ifNull": ["$_id.host", ""]},
            }},
        ],
    )  # fmt: skip


async def long_operations(session: Session, user_agent: str, *, routed: bool) -> Any:
    """Client operations that have run for ten seconds, by kind; greetings that wait and the set's own left out."""
    return await session.rows(
        1,
        [
            {"$currentOp": {"allUsers": True, **({"localOps": True} if routed else {})}},
            {"$match": {
                "active": True, "op": {"$ne": "none"}, "secs_running": {"$gte": LONG_SECONDS},
                "appName": {"$nin": [user_agent, "OplogFetcher"]}, "clientMetadata": {"$exists": True},
                "command.hello": {"$exists": False}, "command.isMaster": {"$exists": False},
                "command.ismaster": {"$exists": False}, "command.createIndexes": {"$exists": False},
                "clientMetadata.driver.name": {"$not": {"$regex": "^(NetworkInterfaceTL|MongoDB Internal)"}},
                "ns": {"$not": {"$regex": r"^local\."}},
            }},
            {"$group": {"_id": "$op", "count": {"$sum": 1}, "max_seconds": {"$max": "$secs_running"}}},
            {"$limit": 50},
            {"$project": {"_id": 0, "op": "$_id", "count": 1, "max_seconds": 1}},
        ],
    )  # fmt: skip


async def oplog(session: Session, options: Any) -> Any:
    """First and last time stamp and the size of the oplog; nothing else of its entries."""
    ends = []
    for direction in (1, -1):
        command = {
            "find": "oplog.rs", "sort": {"$natural": direction}, "limit": 1, "singleBatch": True,
            "projection": {"ts": 1, "_id": 0},
        }  # fmt: skip
        ends.append(first_batch(await session.ask(command, "local")))
    stats = await session.rows("oplog.rs", [{"$collStats": {"storageStats": {}}}, {"$project": _OPLOG}], "local")
    for answer in (*ends, stats):
        if isinstance(answer, Absent):
            return answer
    return reduced(
        stats,
        lambda rows: {
            "first": ends[0][0]["ts"].as_datetime(),
            "last": ends[1][0]["ts"].as_datetime(),
            "size": rows[0]["storageStats"]["size"],
            "max_size": rows[0]["storageStats"]["maxSize"],
            "min_retention_hours": options if isinstance(options, Absent) else options["min_retention_hours"],
        },
    )


_OPLOG = {"_id": 0, "storageStats.size": 1, "storageStats.maxSize": 1}


async def account(session: Session) -> Any:
    """Who the auditor is and what he may do."""

    def reduce(answer: Any) -> Any:
        info = answer["authInfo"]
        return {
            "users": [f"{user['user']}@{user['db']}" for user in info["authenticatedUsers"]],
            "roles": [f"{role['role']}@{role['db']}" for role in info["authenticatedUserRoles"]],
            "privileges": [
                {"resource": _resource(entry["resource"]), "actions": [str(action) for action in entry["actions"]]}
                for entry in info["authenticatedUserPrivileges"]
            ],
        }

    return reduced(await session.ask({"connectionStatus": 1, "showPrivileges": True}), reduce)


def _resource(resource: Mapping[str, Any]) -> str:
    if "db" not in resource:
        return "cluster" if resource.get("cluster") else "any"
    return f"{resource['db'] or '*'}.{resource['collection'] or '*'}"


async def data_bytes(session: Session) -> Any:
    return reduced(await session.ask({"listDatabases": 1}), lambda answer: int(answer["totalSize"]))


async def anonymous(session: Session) -> Any:
    """Whether a session without credentials may list the databases."""
    answer = await session.ask({"listDatabases": 1, "nameOnly": True})
    if isinstance(answer, Absent):
        return False if answer.privilege else answer
    return True


async def top(session: Session) -> Any:
    """What `top` knows of every collection, by its full name."""
    return reduced(await session.ask({"top": 1}), lambda found: dict(found["totals"]))


def busiest(totals: Any) -> Any:
    """The names of all collections, the busiest first; those of the system left out."""
    return reduced(totals, _ranked)


async def collections(session: Session, ranked: Any, uptime_ms: Any) -> Any:
    """The busiest collections."""
    if isinstance(ranked, Absent):
        return ranked
    uptime = uptime_ms / 3_600_000 if isinstance(uptime_ms, int) else absent("the uptime is unknown")
    looked = [await _collection(session, name, uptime) for name in ranked[:HOTTEST]]
    return [entry for entry in looked if entry is not None]


def _ranked(totals: Mapping[str, Any]) -> list[str]:
    busy: dict[str, float] = {}
    for name, entry in totals.items():
        database, _, collection = name.partition(".")
        if name.startswith(SYSTEM) or not database or not collection or collection.startswith("system."):
            continue
        if isinstance(entry, dict):
            time = entry["total"]["time"]
            busy[name] = time if isinstance(time, (int, float)) and math.isfinite(time) else 0.0
    return sorted(busy, key=lambda name: -busy[name])


async def _collection(session: Session, name: str, uptime_hours: Any) -> dict[str, Any] | None:
    database, _, collection = name.partition(".")
    sources: dict[str, Any] = {"storageStats": {}, "queryExecStats": {}}
    stats = await session.rows(collection, [{"$collStats": sources}, {"$project": _STATS}], database)
    if stats == [] or (isinstance(stats, Absent) and not stats.privilege):
        return None  # a view, or dropped since it was busy
    indexes = await session.rows(collection, [{"$indexStats": {}}, {"$limit": 100}, {"$project": _INDEX}], database)
    return {
        "name": name,
        "documents": reduced(stats, lambda rows: rows[0]["storageStats"]["count"]),
        "data_bytes": reduced(stats, lambda rows: rows[0]["storageStats"]["size"]),
        # An empty collection has no mean, and another storage engine no free blocks.
        "document_bytes": reduced(stats, lambda rows: int(rows[0]["storageStats"].get("avgObjSize", 0))),
        "storage_bytes": reduced(stats, lambda rows: rows[0]["storageStats"]["storageSize"]),
        "free_bytes": reduced(stats, lambda rows: rows[0]["storageStats"].get("freeStorageSize", 0)),
        "index_bytes": reduced(stats, lambda rows: rows[0]["storageStats"]["totalIndexSize"]),
        "collection_scans": reduced(stats, lambda rows: rows[0]["queryExecStats"]["collectionScans"]["nonTailable"]),
        "uptime_hours": uptime_hours,
        "indexes": reduced(indexes, lambda rows: [_index(row) for row in rows]),
    }


_STATS = {
    "_id": 0, "storageStats.count": 1, "storageStats.size": 1, "storageStats.avgObjSize": 1,
    "storageStats.storageSize": 1, "storageStats.freeStorageSize": 1, "storageStats.totalIndexSize": 1,
    "queryExecStats.collectionScans.nonTailable": 1,
}  # fmt: skip


def _given(path: str) -> dict[str, Any]:
    return {"$ne": [{"$type": f"$spec.{path}"}, "missing"]}


_INDEX = {
    "_id": 0, "name": 1, "key": {"$objectToArray": "$key"}, "uses": "$accesses.ops", "since": "$accesses.since",
    "unique": {"$eq": ["$spec.unique", True]}, "sparse": {"$eq": ["$spec.sparse", True]},
    "hidden": {"$eq": ["$spec.hidden", True]}, "ttl": _given("expireAfterSeconds"),
    # The filter itself holds literals: only whether there is one.
    "partial": _given("partialFilterExpression"), "collation": _given("collation"),
}  # fmt: skip


def _index(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"key": [(str(part["k"]), _direction(part["v"])) for part in row["key"]]}


def _direction(value: Any) -> str:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return f"{value:g}" if number else str(value)[:50]
