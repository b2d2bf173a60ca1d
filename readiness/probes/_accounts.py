"""How to create the auditor's accounts, with the least rights that the probes use."""

from __future__ import annotations

from readiness.facts.base import maybe
from readiness.facts.mongodb import MongoFacts
from readiness.facts.redis import RedisFacts

_READ = "+ping +info +config|get +client|list +slowlog|get +latency|latest +cluster|info +cluster|shards"


def mongodb_account(facts: MongoFacts | None) -> str:
    """For mongosh. The role reads states and statistics; no document is among them but the oplog, which it may read."""
    return (
        'db.getSiblingDB("admin").createUser({user: "readiness", pwd: passwordPrompt(), '
        'roles: [{role: "clusterMonitor", db: "admin"}]})'
    )


def redis_account(facts: RedisFacts | None) -> str:
    """For redis-cli, by the server's version. Keys are only needed where `redis.warm_keys` names patterns."""
    version = None if facts is None else maybe(lambda: facts.server.version)
    major = int(version.partition(".")[0]) if version and version.partition(".")[0].isdigit() else None
    if major is not None and major < 6:
        return f"version {version} has no ACLs: the auditor needs the password of requirepass"
    # Before version 7 a subcommand that the server does not know ends the whole line in an error.
    rights = _READ.replace(" +cluster|shards", "") if major == 6 else _READ
    return (
        f"ACL SETUSER readiness on '>PASSWORD' resetkeys -@all {rights}\n"
        "for redis.warm_keys also: +scan +ttl +memory|usage %R~PATTERN"
        + ("" if major != 6 else "  (~PATTERN before version 7)")
    )
