"""How the application connects to its cache, as its own URL states it."""

from __future__ import annotations

from typing import Any

from readiness.api import Finding, check, failed, maybe, passed, show, warn
from readiness.facts.redis_client import CacheClientFacts


@check(
    id="caching.client.timeouts",
    component="caching",
    severity="medium",
    phase=2,
    item="Caching Strategy",
    fix="REDIS_URL=rediss://app:PASSWORD@HOST:6379/0?socket_connect_timeout=1&socket_timeout=1  # redis-py: seconds",
    effort="minutes",
    reference="https://redis.io/docs/latest/develop/clients/redis-py/produsage/",
    verify="tr '?&' '\\n' <<< \"$APP_REDIS_URL\" | grep -i timeout",
)
def timeouts(client: CacheClientFacts, *, at_most_ms: float = 2000, none_from_ms: float = 10_000) -> Finding:
    """A slow or dead cache costs a request two seconds at most.

    A cache is there to save time: waiting longer for it than for the database is a loss, and hanging on it takes the
    service down with it. Only what the URL of redis.app_url sets is judged, under the names of redis-py, ioredis,
    go-redis and Lettuce, because defaults differ: five seconds and ten retries in recent versions of redis-py, no
    limit at all for a command in ioredis. Time-outs set in code are not seen: put them into the URL, or waive this.
    """
    connect, command = client.connect_ms, client.command_ms
    times = {"connect": connect, "command": command}
    more: dict[str, Any] = {
        "observed": ", ".join(f"{name} {'not set' if ms is None else show(ms, 'ms')}" for name, ms in times.items()),
        "expected": f"both set, at most {at_most_ms:,.0f} ms",
        "evidence": {"library": client.library or "unknown", "retries": maybe(lambda: client.retries)},
    }
    endless = [name for name, ms in times.items() if ms is not None and (ms == 0 or ms >= none_from_ms)]
    if endless:
        return failed(f"{' and '.join(endless)} may take {_limit(times, endless)}", **more)
    unset = [name for name, ms in times.items() if ms is None]
    if unset:
        return warn(f"no time-out set for: {' and '.join(unset)}", **more)
    long = [name for name, ms in times.items() if ms is not None and ms > at_most_ms]
    if long:
        return warn(f"long time-out for: {' and '.join(long)} (at most {at_most_ms:,.0f} ms)", **more)
    return passed(f"{more['observed']}", **more)


def _limit(times: dict[str, float | None], names: list[str]) -> str:
    longest = max(times[name] or 0 for name in names)
    return "for ever" if any(times[name] == 0 for name in names) else f"{longest / 1000:g} s"


@check(
    id="caching.client.tls_auth",
    component="caching",
    severity="high",
    phase=1,
    item="Redis Integration",
    fix="REDIS_URL=rediss://app:PASSWORD@HOST:6379/0  # and ACL SETUSER app on >PASSWORD ~app:* +@all -@dangerous",
    effort="hours",
    reference="https://valkey.io/topics/acl/",
    verify="sed -E 's#:[^:@/]+@#:***@#' <<< \"$APP_REDIS_URL\"",
)
def tls_auth(client: CacheClientFacts) -> Finding:
    """The application encrypts its connection and logs in with an account of its own.

    Judged is the URL of redis.app_url alone; it is never connected to. In plain text the password and everything cached
    can be read on the way, and TLS that does not verify the certificate can be read by whoever stands in between. An
    account of its own can be limited to the application's keys and commands; the default user usually may do anything.
    """
    local = maybe(lambda: client.network) in ("loopback", "unix")
    verified = client.tls_verified if client.tls else None
    account = "no password" if not client.logs_in else "the default user" if client.default_user else "a named user"
    more: dict[str, Any] = {
        "observed": f"{_link(client, local, verified)}, {account}",
        "expected": "TLS with a verified certificate, and a named user",
    }
    if not local and not client.tls:
        return failed("plain text: password and entries can be read on the way", **more)
    if not local and not verified:
        return failed("TLS without verification of the certificate", **more)
    if not client.logs_in:
        return warn("no password in the URL", **more)
    if client.default_user:
        return warn("logs in as the default user, which usually may do anything", **more)
    return passed(f"{_link(client, local, verified)}, a named user", **more)


def _link(client: CacheClientFacts, local: bool, verified: bool | None) -> str:
    if client.tls:
        return "TLS, verified" if verified else "TLS, not verified"
    return "plain text on this host" if local else "plain text"
