"""Whether commands succeed."""

from __future__ import annotations

from typing import Any

from readiness.api import Finding, check, failed, maybe, passed, show, warn
from readiness.facts.redis import RedisFacts

from ._common import quiet

_FEW = 100


@check(
    id="caching.errors.rate",
    component="caching",
    severity="high",
    requires="caching.reach.connect",
    privilege="+info",
    fix="redis-cli -u $REDIS_URL INFO errorstats  # OOM: memory; MISCONF: disk; READONLY: a replica; NOPERM: ACL",
    effort="hours",
    reference="https://valkey.io/commands/info/",
    verify="redis-cli -u $REDIS_URL INFO errorstats",
)
def rate(redis: RedisFacts, *, good: float = 0.001, bad: float = 0.01) -> Finding:
    """Commands succeed.

    Error replies during the window, for every command sent to the server, without this audit's own and without the
    redirections of a cluster. Below 100 commands an error is a warning only, because the rate says little; without any
    there is no rate.
    """
    if maybe(lambda: redis.window.commands + redis.window.error_replies) == 0:
        return quiet("no commands")
    share, window = redis.error_rate, redis.window
    codes = {
        code: count for code, count in (maybe(lambda: window.errors) or {}).items() if code not in ("MOVED", "ASK")
    }
    common = ", ".join(f"{code} {count:,}" for code, count in sorted(codes.items(), key=lambda item: -item[1])[:3])
    more: dict[str, Any] = {
        "observed": f"{100 * share:.2f} % of {window.commands:,} commands",
        "expected": f"below {100 * good:g} %",
        "evidence": dict(list(codes.items())[:20]),
    }
    if share < good:
        return passed(f"{100 * share:.2f} % error replies", **more)
    message = f"{100 * share:.2f} % error replies" + (f": {common}" if common else "")
    if share < bad or window.commands + window.error_replies < _FEW:
        return warn(message, **more)
    return failed(message, **more)


@check(
    id="caching.errors.acl_denied",
    component="caching",
    severity="low",
    requires="caching.reach.connect",
    privilege="+info",
    fix="redis-cli -u $REDIS_URL ACL LOG 10  # who asked for what: a client with too few rights, or an intruder",
    effort="hours",
    reference="https://valkey.io/topics/acl/",
    verify="redis-cli -u $REDIS_URL ACL LOG 10",
    verdicts=("pass", "warn"),
)
def acl_denied(redis: RedisFacts) -> Finding:
    """Nobody is refused by the access rules.

    A refusal is a client that lacks a right it needs, or somebody who tries passwords. What this audit was refused
    happened before the window.
    """
    denied = redis.window.acl_denied
    more: dict[str, Any] = {"observed": show(denied), "expected": "0"}
    if denied:
        return warn(f"{denied} refusals in {redis.window.seconds:.1f} s", **more)
    return passed("no refusals in the window", **more)
