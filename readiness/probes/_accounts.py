"""How to create the auditor's accounts, with the least rights that the probes use."""

from __future__ import annotations

from readiness.facts.base import maybe
from readiness.facts.kubernetes import KubernetesFacts
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


def kubernetes_account(facts: KubernetesFacts | None) -> str:
    """For kubectl, in the namespace that was read; then what the present account may do, as the API server says."""
    namespace = facts.namespace if facts is not None else "NAMESPACE"
    lines = [
        f"kubectl -n {namespace} create serviceaccount readiness",
        f"kubectl -n {namespace} create rolebinding readiness --clusterrole=view "
        f"--serviceaccount={namespace}:readiness",
        f"kubectl -n {namespace} create token readiness --duration=1h",
    ]
    rules = maybe(lambda: facts.access.rules) if facts is not None else None
    if facts is not None and rules is not None:
        partly = "" if facts.access.complete else ", and perhaps more"
        lines.append(f"the present account ({facts.access.credential}) may{partly}:")
        lines += [f"  {rule}" for rule in rules[:40]]
        if len(rules) > 40:
            lines.append(f"  and {len(rules) - 40} rules more")
        if maybe(lambda: facts.access.reads_secrets):
            lines.append("it may read secrets, which no check needs")
    return "\n".join(lines)
