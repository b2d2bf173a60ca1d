"""Sends ordinary requests in bursts and watches the cache's counters: whether this service is who uses this cache.

It begins when the Redis facts are there, so after the shared window: inside it the light load would be part of the
signal, and the bursts would be part of everybody's measurements.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from readiness.api import Context, HttpSettings, ProbeError, RedisSettings, absent, maybe, probe
from readiness.facts.base import Absent
from readiness.facts.cache_use import CacheUseFacts, Signal
from readiness.facts.exchange import Exchange
from readiness.facts.redis import RedisFacts
from readiness.probes.fetch import PARALLEL, fetcher
from readiness.probes.polite import Polite
from readiness.probes.redis_aside import MOST_REPLICAS, Companion, companions
from readiness.probes.redis_client import Client, connect, parse_url
from readiness.probes.redis_info import calls_of, parse_info
from readiness.probes.redis_protocol import Refused

ROUNDS = 3
BURST = 10
MOST_PATHS = 5
MOST_REQUESTS = ROUNDS * BURST + 2 * MOST_PATHS
QUIET_SECONDS = 0.08
SLOT_SECONDS = 0.008
MOST_NODES = 8
BURST_SECONDS = 1.0
"""After this long no further request of a burst is sent: slow services get fewer."""

# What a cache is asked with. `lookups` counts keys, these count calls: on a busy server one of them may be quiet.
READS = frozenset(
    (
        "get", "mget", "getex", "hget", "hmget", "hgetall", "hexists", "exists", "smembers", "sismember", "zrange",
        "zscore", "lrange", "json.get", "json.mget", "eval", "evalsha", "eval_ro", "evalsha_ro", "fcall", "fcall_ro",
    )
)  # fmt: skip

Counts = Mapping[str, int]


@dataclass(slots=True)
class Watch:
    """What was counted: quiet slots, and a burst a round with the requests that were answered in it."""

    quiet: list[tuple[float, Counts]] = field(default_factory=list)
    bursts: list[tuple[float, Counts, int]] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return sum(answered for _, _, answered in self.bursts)

    @property
    def seconds(self) -> float:
        return sum(seconds for seconds, _ in self.quiet) + sum(seconds for seconds, _, _ in self.bursts)

    def signal(self, name: str) -> Signal:
        """The counter's answer to requests; `requests` must not be 0.

        The background's variance a second is taken from its slots, as that of independent increments. What is
        correlated over longer times shows in the spread of the rounds; the larger of the two counts, and at least one
        stray lookup.
        """
        idle = sum(seconds for seconds, _ in self.quiet)
        rate = sum(counts.get(name, 0) for _, counts in self.quiet) / idle
        variance = sum((counts.get(name, 0) - rate * seconds) ** 2 for seconds, counts in self.quiet) / idle
        busy = sum(seconds for seconds, _, _ in self.bursts)
        extras = [counts.get(name, 0) - rate * seconds for seconds, counts, _ in self.bursts]
        spread = statistics.stdev(extras) * math.sqrt(len(extras)) if len(extras) > 1 else 0.0
        sigma = max(math.sqrt(variance * (busy + busy**2 / idle)), spread, 1.0)
        rounds = [extra / answered for extra, (_, _, answered) in zip(extras, self.bursts, strict=True) if answered]
        return Signal(
            name=name,
            background=round(rate, 1),
            extra=round(sum(extras) / self.requests, 3),
            sigma=round(sigma / self.requests, 3),
            rounds=tuple(round(each, 2) for each in rounds),
        )


@probe(needs="redis.url")
async def cache_use(http: HttpSettings, settings: RedisSettings, redis: RedisFacts, context: Context) -> CacheUseFacts:
    """Three times a quiet phase and a burst of ten GETs, on one connection to each of the cache's servers.

    Whatever goes wrong leaves the signals absent: the probes of the two systems report their own failures.
    """
    if http.url is None or redis.role not in ("cache", "session"):
        reason = (
            "no service is configured" if http.url is None else f"declared a {redis.role}, which is not looked up in"
        )
        return _without(reason, asked=False)
    try:
        return await _watched(http, settings, redis, context)
    except ProbeError as error:
        return _without(error.reason, privilege=error.privilege)


async def _watched(http: HttpSettings, settings: RedisSettings, redis: RedisFacts, context: Context) -> CacheUseFacts:
    assert settings.url is not None  # the engine runs no probe whose key is missing
    target = parse_url(settings.url.get_secret_value(), context.limits)
    if not target.path:
        # Where redis.url leads to a Sentinel, the facts are of the primary behind it.
        target = replace(target, host=redis.host, port=redis.port)
    client = await connect(target)
    others: list[Companion] = []
    try:
        found = await companions(target, redis.network, _addresses(redis), MOST_NODES)
        others = [each for each in found if isinstance(each, Companion)]
        own = parse_info(str(await client.ask("INFO", "server"))).fields.get("run_id")
        clients = [client, *(each.client for each in others if each.info.fields.get("run_id") != own)]
        async with fetcher(http, context) as fetch:
            return await _correlate(Polite(fetch, budget=MOST_REQUESTS), http, clients)
    finally:
        for each in (client, *(other.client for other in others)):
            await each.close()


def _addresses(redis: RedisFacts) -> list[str]:
    """The other nodes that the service may be reading from: replicas, and the primaries of a cluster."""
    replicas = [each.address for each in maybe(lambda: redis.replication.replicas) or ()]
    shards = [each.address for each in maybe(lambda: redis.cluster.shards) or () if each.address]
    return replicas[:MOST_REPLICAS] + shards


async def _correlate(polite: Polite, http: HttpSettings, clients: Sequence[Client]) -> CacheUseFacts:
    paths = await _answering(polite, http.endpoints[:MOST_PATHS] or ("/",))
    if not paths:
        return _without("no endpoint answered successfully").model_copy(update={"sent": polite.sent})
    watch, proxies = Watch(), 0
    turn = itertools.cycle(paths)
    for _ in range(ROUNDS):
        await _quiet(clients, watch)
        before, began = await counters(clients), time.monotonic()
        answers = await _burst(polite, turn)
        after, ended = await counters(clients), time.monotonic()
        watch.bursts.append((ended - began, _difference(before, after), len(answers)))
        proxies += sum(map(_from_proxy, answers))
    await _quiet(clients, watch)
    facts = CacheUseFacts(
        paths=tuple(paths),
        declared=bool(http.endpoints),
        requests=watch.requests,
        sent=polite.sent,
        by_proxy=proxies,
        nodes=len(clients),
        seconds=round(watch.seconds, 3),
    )
    return facts.model_copy(update=signals(watch))


def signals(watch: Watch) -> dict[str, Any]:
    """The signals of everything that was counted, or why there are none."""
    if not watch.requests:
        nothing = absent("no request of the bursts was answered successfully")
        return dict.fromkeys(("lookups", "hits", "commands"), nothing)
    slots = [*(counts for _, counts in watch.quiet), *(counts for _, counts, _ in watch.bursts)]
    seen = {name for counts in slots for name, count in counts.items() if count} & READS
    commands = sorted(map(watch.signal, seen), key=lambda each: (-each.extra / each.sigma, each.name))
    return {
        "lookups": watch.signal("lookups"),
        "hits": watch.signal("hits"),
        "commands": tuple(commands),
    }


def _without(why: str, *, asked: bool = True, privilege: str | None = None) -> CacheUseFacts:
    nothing = absent(why, privilege)
    return CacheUseFacts(asked=asked, seconds=nothing, lookups=nothing, hits=nothing, commands=nothing)


async def _answering(polite: Polite, paths: Sequence[str]) -> list[str]:
    """Where the paths lead, as far as they are answered successfully. This warms connections and entries, too."""
    answering = []
    for path in paths:
        exchange = await _get(polite, path)
        if exchange is not None and 300 <= exchange.status < 400:
            with contextlib.suppress(Exception):  # a hostile Location
                exchange = await polite.follow(exchange)
        if exchange is not None and exchange.ok:
            answering.append(exchange.url)
    return answering


async def _get(polite: Polite, path: str) -> Exchange | None:
    try:
        return await polite.request("GET", path, keep=0)
    except ProbeError:
        return None


async def _burst(polite: Polite, turn: itertools.cycle[str]) -> list[Exchange]:
    """Up to ten requests over at most four connections; the answers that were successful."""
    ends = time.monotonic() + BURST_SECONDS
    left = iter(range(BURST))
    answers: list[Exchange] = []

    async def work() -> None:
        for _ in left:
            if time.monotonic() > ends or polite.hangs:
                return
            exchange = await _get(polite, next(turn))
            if exchange is not None and exchange.status == 429:
                return
            if exchange is not None and exchange.ok:
                answers.append(exchange)

    await asyncio.gather(*(work() for _ in range(PARALLEL)))
    return answers


async def _quiet(clients: Sequence[Client], watch: Watch) -> None:
    """Slots of a few milliseconds without any request of ours."""
    before, began = await counters(clients), time.monotonic()
    ends = began + QUIET_SECONDS
    while began < ends:
        await asyncio.sleep(SLOT_SECONDS)
        after, now = await counters(clients), time.monotonic()
        watch.quiet.append((now - began, _difference(before, after)))
        before, began = after, now


async def counters(clients: Sequence[Client]) -> Counts:
    """Keys looked up and found, and calls by reading command, in all of these servers. Raises ProbeError."""
    total: dict[str, int] = {}
    for counts in await asyncio.gather(*map(_counters, clients)):
        for name, count in counts.items():
            total[name] = total.get(name, 0) + count
    return total


async def _counters(client: Client) -> Counts:
    replies = await client.pipeline([("INFO", "stats"), ("INFO", "commandstats")])
    for reply in replies:
        if isinstance(reply, Refused):
            raise ProbeError(f"{client.target.shown}: {reply.fact.reason}", privilege=reply.fact.privilege)
    info = parse_info("\n".join(str(reply) for reply in replies))
    hits, misses = info.integer("keyspace_hits"), info.integer("keyspace_misses")
    if isinstance(hits, Absent) or isinstance(misses, Absent):
        raise ProbeError(f"{client.target.shown}: INFO has no keyspace_hits or keyspace_misses")
    calls = calls_of(info)
    reads = {} if isinstance(calls, Absent) else {name: count for name, (count, _) in calls.items() if name in READS}
    return reads | {"lookups": hits + misses, "hits": hits}


def _difference(before: Counts, after: Counts) -> Counts:
    # Below zero where the server restarted or its counters were reset: then nothing is known to have been counted.
    return {name: max(0, count - before.get(name, 0)) for name, count in after.items()}


_PROXY_HEADERS = ("x-cache", "cf-cache-status", "x-cache-status", "x-vercel-cache", "x-proxy-cache", "cache-status")


def _from_proxy(exchange: Exchange) -> bool:
    """Whether an HTTP cache in front of the service says that it gave this answer."""
    age = exchange.header("age") or ""
    said = any("hit" in value.lower() for name in _PROXY_HEADERS for value in exchange.header_values(name))
    return said or (age.isdecimal() and age.strip("0") != "")
