"""Whether the application really uses this server."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

from readiness.api import Finding, check, failed, maybe, passed, show, untested, warn
from readiness.facts.cache_use import CacheUseFacts, Signal
from readiness.facts.mongodb import MongoFacts
from readiness.facts.redis import RedisFacts
from readiness.facts.service import ServiceFacts

from . import _fixes
from ._common import used_commands
from ._stores import reported, store_of


@check(
    id="caching.usage.shared_by_app",
    component="caching",
    severity="high",
    phase=1,
    item="Redis Integration",
    requires="caching.reach.connect",
    privilege="+info +client|list",
    fixes=_fixes.SHARED,
    effort="days",
    reference="https://valkey.io/commands/client-list/",
    verify="for n in 1 2; do redis-cli -u $REDIS_URL INFO stats | grep ^keyspace; curl -so /dev/null $URL; done",
)
def shared_by_app(
    redis: RedisFacts,
    use: CacheUseFacts | None,
    service: ServiceFacts | None,
    mongo: MongoFacts | None,
    *,
    at_least: float = 0.2,
) -> Finding:
    """The audited service looks its entries up in this cache.

    An application whose cache URL is wrong or missing often falls back to its own memory without a word, and the server
    stays empty, or serves others only. So requests are sent to the service in bursts, and the lookups of the cache are
    compared with those of the quiet time in between: 0.2 lookups a request are enough, if they are more than three
    standard deviations of the background. Where that is too loud, it takes the service's word for its cache, or
    connections from hosts that the application's connections to MongoDB come from, too. Where no service is configured,
    only such connections can tell whose lookups they are. A queue or a store is judged by connections and commands;
    those of replicas, sentinels and exporters do not count.
    """
    crowd = _crowd(redis)
    if redis.role not in ("cache", "session"):
        return _by_traffic(redis, crowd)
    if use is None or maybe(lambda: use.asked) is False:
        return _without_service(redis, crowd, _application_hosts(mongo))
    if maybe(lambda: use.lookups) is None:
        return _by_traffic(redis, crowd, "requests to the service told nothing; name cached paths in http.endpoints")
    signal, ruled_out = _measured(use, at_least)
    more: dict[str, Any] = {
        "observed": f"{signal.extra:.2f} lookups a request (+-{3 * signal.sigma:.2f}), {crowd.text}",
        "expected": f"at least {at_least:g} lookups a request",
        "evidence": {
            "requests": use.requests, "paths": list(use.paths), "rounds": list(signal.rounds), "counter": signal.name,
            "background_per_second": signal.background, "connections": crowd.connections, "hosts": crowd.hosts[:20],
        },
    }  # fmt: skip
    if signal.extra >= at_least and signal.extra > 3 * signal.sigma:
        return passed(f"{signal.extra:.2f} lookups a request of {use.requests} requests, {crowd.text}", **more)
    word, kind = store_of(maybe(lambda: reported(service)))
    ours = _application_hosts(mongo)
    if not ruled_out:
        busy = f"{signal.background:,.0f} lookups/s drown those of {use.requests} requests"
        if kind == "shared":
            return passed(f"{busy}; the service reports a shared cache ({word})", **more)
        if shared_hosts := sorted(ours & set(crowd.hosts)):
            return passed(f"{busy}; the application's {show(tuple(shared_hosts[:3]))} are connected", **more)
        return warn(f"{busy}, {crowd.text}: whose cannot be told", **more)
    return _none(redis, use, crowd, ours, word if kind in ("process", "disk") else "", more)


def _none(
    redis: RedisFacts, use: CacheUseFacts, crowd: _Crowd, ours: set[str], own: str, more: dict[str, Any]
) -> Finding:
    """No request caused a lookup. `own` is the service's word for a cache of its own, where it reports one."""
    nothing = f"{use.requests} requests caused no lookup here"
    if own:
        return failed(f"{nothing}, and the service reports its own cache ({own})", **more)
    if redis.replication.role == "slave":
        return warn(f"{nothing}, but this is a replica: give the address of the primary", **more)
    if not crowd.connections:
        return failed(f"{nothing}, and nobody is connected: has it fallen back to its own memory?", **more)
    if ours and crowd.known and not ours & set(crowd.hosts):
        return failed(f"{nothing}, and no host of the application is connected, as it is to MongoDB", **more)
    if use.by_proxy:
        return warn(f"{nothing}, but a cache in front of the service answered {use.by_proxy} of them", **more)
    if not use.declared:
        return warn(f"{nothing}, though {crowd.text}: name cached paths in http.endpoints", **more)
    return warn(f"{nothing}: are the {crowd.connections} connections another service's?", **more)


def _application_hosts(mongo: MongoFacts | None) -> set[str]:
    """Where the application's connections to MongoDB come from; loopback says nothing about who it is."""
    members = maybe(lambda: mongo.readable) if mongo is not None else None
    groups = [group for member in members or () for group in maybe(partial(getattr, member, "connections")) or ()]
    hosts = {
        group.host
        for group in groups
        if group.logged_in and not group.internal and not group.app.startswith("readiness/")
    }
    return {host for host in hosts if host and host != "::1" and not host.startswith("127.")}


@dataclass(frozen=True, slots=True)
class _Crowd:
    """The connections of applications."""

    connections: int
    hosts: list[str]
    known: bool = True  # the hosts

    @property
    def text(self) -> str:
        where = f" from {show(tuple(self.hosts[:3]))}" if self.hosts and self.connections else ""
        return f"{self.connections} connections{where}"


def _crowd(redis: RedisFacts) -> _Crowd:
    clients = maybe(lambda: redis.clients)
    if clients is None:
        # INFO counts the audit's own connection.
        return _Crowd(max(0, redis.connections.open - 1), ["hosts unknown"], known=False)
    groups = [group for group in clients.groups if group.kind == "client"]
    return _Crowd(sum(group.count for group in groups), sorted({group.host for group in groups}))


def _measured(use: CacheUseFacts, at_least: float) -> tuple[Signal, bool]:
    """The clearest signal, and whether one lookup a request is ruled out where there is none.

    On a busy server the lookups of everybody are loud, while one command may be this service's alone. What lies between
    none and one, by three standard deviations, rules out neither.
    """
    signals = (use.lookups, *use.commands)
    clear = [each for each in signals if each.extra >= at_least and each.extra > 3 * each.sigma]
    most = min(_at_most(use.lookups), max(map(_at_most, use.commands), default=math.inf))
    return (clear[0] if clear else use.lookups), most < 1


def _at_most(signal: Signal) -> float:
    """How many a request there may have been."""
    return max(0.0, signal.extra) + 3 * signal.sigma


def _without_service(redis: RedisFacts, crowd: _Crowd, ours: set[str]) -> Finding:
    """Whose lookups they are only hosts can tell that the application's connections to MongoDB come from, too."""
    lookups = redis.lookups
    shared = sorted(ours & set(crowd.hosts))
    if not shared or not lookups:
        return untested(f"needs http.url in the configuration: whose the {lookups:,} lookups are cannot be told")
    return passed(
        f"{lookups:,} lookups in the window, and the application's {show(tuple(shared[:3]))} are connected",
        observed=f"{crowd.text}, {lookups:,} lookups in {redis.window.seconds:.1f} s",
        expected="lookups, and connections of the application's hosts",
        evidence={"connections": crowd.connections, "hosts": crowd.hosts[:20], "lookups": lookups},
    )


def _by_traffic(redis: RedisFacts, crowd: _Crowd, doubt: str = "") -> Finding:
    """What is left without requests to correlate: that somebody uses it. `doubt` says why it may be somebody else."""
    reads = redis.role in ("cache", "session")  # of which a look-up is the typical use
    busy, what = (redis.lookups, "lookups") if reads else (used_commands(redis), "commands")
    more: dict[str, Any] = {
        "observed": f"{crowd.text}, {busy:,} {what} in {redis.window.seconds:.1f} s",
        "expected": f"connections and {what}",
        "evidence": {"connections": crowd.connections, "hosts": crowd.hosts[:20], what: busy},
    }
    if busy and doubt:
        return warn(f"{busy:,} {what} in the window, {crowd.text}; {doubt}", **more)
    if busy:
        return passed(f"{busy:,} {what} in the window, {crowd.text}", **more)
    if crowd.connections:
        return warn(f"{crowd.text}, but no {what} in the window", **more)
    return failed("no application is connected: has it fallen back to its own memory?", **more)


@check(
    id="caching.usage.not_idle",
    component="caching",
    severity="info",
    requires="caching.reach.connect",
    privilege="+info",
    fix="readiness audit ...  # again at a time with traffic, so that the window has something to measure",
    effort="minutes",
    reference="https://valkey.io/commands/info/",
    verify="redis-cli -u $REDIS_URL INFO stats | grep instantaneous_ops_per_sec",
    verdicts=("pass", "warn"),
)
def not_idle(redis: RedisFacts, *, at_least: float = 1.0) -> Finding:
    """The cache had traffic while it was measured.

    Rates that were measured on an idle server say little about a busy one.
    """
    rate = redis.window.commands / redis.window.seconds if redis.window.seconds else 0.0
    more: dict[str, Any] = {"observed": f"{rate:.1f} commands/s", "expected": f"at least {at_least:g} commands/s"}
    if rate >= at_least:
        return passed(f"{rate:,.1f} commands/s", **more)
    return warn(f"{rate:.1f} commands/s: what the window measured says little", **more)
