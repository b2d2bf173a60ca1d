"""A bounded look at the keys of the configured patterns. Names are matched on arrival and then forgotten."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from readiness.facts.base import absent
from readiness.facts.redis import KeySample, Sample
from readiness.probes.redis_client import Client
from readiness.probes.redis_protocol import Refused, Reply

SCAN_COUNT = 500
SCAN_CALLS = 10
SCAN_SECONDS = 0.2
EXAMINED = 50


@dataclass(slots=True)
class _Scan:
    matched: dict[str, int]
    kept: dict[str, list[tuple[Client, str]]]
    scanned: int = 0
    complete: bool = False
    seen: set[str] = field(default_factory=set)


async def sample_keys(clients: Sequence[Client], wanted: Mapping[str, int], keys: int | None, on_replica: bool) -> Any:
    """Scans up to 5 000 keys and examines up to 50 of each pattern, or returns why it could not.

    SCAN counts as no look-up, but TTL does: this runs after the window. On a primary both delete keys that have
    already expired, as any access does; a replica leaves them.

    Args:
        clients: one, or those of all primaries of a cluster, each of which is asked for its share.
        wanted: pattern -> the least number of keys.
        keys: how many keys the database holds, for the estimate.
    """
    scan = _Scan(dict.fromkeys(wanted, 0), {pattern: [] for pattern in wanted})
    ends, complete = time.monotonic() + SCAN_SECONDS, True
    for client in clients:
        refusal = await _scan(client, scan, max(1, SCAN_CALLS // len(clients)), ends)
        if refusal is not None:
            return refusal
        complete, scan.complete = complete and scan.complete, False
    scan.complete = complete
    size = scan.scanned if scan.complete else max(keys or 0, scan.scanned)
    return Sample(
        keys=size,
        scanned=scan.scanned,
        complete=scan.complete,
        on_replica=on_replica,
        patterns=tuple([await _pattern(scan, pattern, least, size) for pattern, least in wanted.items()]),
    )


async def _scan(client: Client, scan: _Scan, calls: int, ends: float) -> Any:
    """Scans one server, or returns the absent fact that its refusal amounts to."""
    cursor = "0"
    for _ in range(calls):
        # Without MATCH: one pass serves every pattern, and the server's work is the same.
        reply = await client.ask("SCAN", cursor, "COUNT", str(SCAN_COUNT))
        match reply:
            case Refused():
                return reply.fact
            case [str(cursor), [*names]]:
                _classify(client, scan, names)
            case _:
                return absent("SCAN has an unexpected shape")
        if cursor == "0":
            scan.complete = True
            break
        if time.monotonic() > ends:
            break
    return None


def _classify(client: Client, scan: _Scan, names: Sequence[Reply]) -> None:
    for name in names:
        # SCAN may return a key twice while the table is resized.
        if not isinstance(name, str) or name in scan.seen:
            continue
        scan.seen.add(name)
        scan.scanned += 1
        for pattern, kept in scan.kept.items():
            if fnmatchcase(name, pattern.replace("\\", "")):
                scan.matched[pattern] += 1
                if len(kept) < EXAMINED:
                    kept.append((client, name))


async def _pattern(scan: _Scan, pattern: str, wanted: int, size: int) -> KeySample:
    matched, names = scan.matched[pattern], scan.kept[pattern]
    estimate = matched if scan.complete or not scan.scanned else round(matched / scan.scanned * size)
    found = await _examine(names)
    return KeySample(pattern=pattern, wanted=wanted, matched=matched, estimate=estimate, **found)


async def _examine(names: Sequence[tuple[Client, str]]) -> dict[str, Any]:
    """TTL and size of some keys, in one round trip each; the first goes alone, in case it is refused."""
    lives = await _of_all(names, ("TTL",))
    sizes = await _of_all(names, ("MEMORY", "USAGE"))
    facts: dict[str, Any] = {}
    if isinstance(lives, list):
        alive = [life for life in lives if life != -2]  # -2: gone meanwhile
        ttls = [life for life in alive if life >= 0]
        nothing = absent("no key of the sample has a time to live")
        facts |= {
            "examined": len(alive),
            "without_ttl": len(alive) - len(ttls),
            "ttl_min": min(ttls) if ttls else nothing,
            "ttl_median": round(statistics.median(ttls)) if ttls else nothing,
            "ttl_max": max(ttls) if ttls else nothing,
        }
    else:
        facts |= dict.fromkeys(("examined", "without_ttl", "ttl_min", "ttl_median", "ttl_max"), lives)
    if isinstance(sizes, list):
        facts["largest"] = max(sizes) if sizes else absent("no key of this pattern was seen")
    else:
        facts["largest"] = sizes
    return facts


async def _of_all(names: Sequence[tuple[Client, str]], command: Sequence[str]) -> Any:
    """The numbers that the command gives for these keys, or the absent fact that the first refusal amounts to."""
    numbers: list[int] = []
    for client in dict.fromkeys(client for client, _ in names):
        found = await _each(client, [name for holder, name in names if holder is client], command)
        if not isinstance(found, list):
            return found
        numbers += found
    return numbers


async def _each(client: Client, names: Sequence[str], command: Sequence[str]) -> Any:
    if not names:
        return []
    first = await client.ask(*command, names[0])
    if isinstance(first, Refused):
        return first.fact
    replies = [first, *(await client.pipeline([(*command, name) for name in names[1:]]))]
    return [reply for reply in replies if isinstance(reply, int)]
