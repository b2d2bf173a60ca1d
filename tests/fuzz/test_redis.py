"""The RESP parser and the facts made of replies: any bytes, any replies, and only the exceptions that are meant."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import example
from hypothesis import strategies as st

from readiness import judge, loader
from readiness.facts.base import Absent
from readiness.facts.collected import Collected, Outcome
from readiness.facts.redis import RedisFacts
from readiness.probes.redis import _error_rate, _rates, described
from readiness.probes.redis_cluster import deltas_of_each, keyspace_of_all, summed
from readiness.probes.redis_info import Info, deltas_of, parse_info
from readiness.probes.redis_protocol import Malformed, Parser, Refused, Reply
from readiness.probes.redis_replies import (
    clients_of,
    cluster_of,
    config_of,
    latency_of,
    masters_of,
    quorum_of,
    slow_log_of,
)
from readiness.settings import Settings

from .fuzzing import JUNK, TEXT, broken, fuzzed

INFO = (Path(__file__).parent / "recorded/valkey-9-info.txt").read_text().splitlines()
REGISTRY = loader.load()
CHECKS = {id: spec for id, spec in REGISTRY.checks.items() if spec.component == "caching"}
NOTHING = {kind: Collected(Outcome.NOT_CONFIGURED, needs=spec.needs) for kind, spec in REGISTRY.probes.items()}

FRAMES = st.lists(
    st.sampled_from(
        [
            b"+OK", b"-ERR x", b"-NOPERM", b":", b"$", b"*", b"\r\n", b"\n", b"\r", b"-1", b"0", b"1", b"2", b"9" * 19,
            b"9" * 400, b"+", b"-", b"_", b"%1", b"\xff\xfe", b"abc", b"$3\r\nabc\r\n", b"*1\r\n", b"*-7\r\n", b"\x00",
            b"-" + b"A" * 40 + b" ", b"\xd9\xa3", b" 1", b"+1", b"1_0",
        ]
    )
    | st.binary(max_size=6),
    max_size=30,
).map(b"".join)  # fmt: skip


async def _read(data: bytes, limit: int) -> list[Reply]:
    stream = asyncio.StreamReader(limit=1 << 16)
    stream.feed_data(data)
    stream.feed_eof()
    parser = Parser(reply_bytes=limit)
    parser.on_connect(SimpleNamespace(_reader=stream))
    replies = []
    for _ in range(5):
        try:
            replies.append(await parser.read_response())
        except (Malformed, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            break
    return replies


def weight(reply: Reply) -> int:
    """The characters and elements of a reply."""
    if isinstance(reply, list):
        return 1 + sum(map(weight, reply))
    return len(reply) if isinstance(reply, str) else 1


@fuzzed(FRAMES, st.sampled_from([10, 1000, 100_000]), examples=300)
@example(b"*1\r\n" * 2000, 100_000)
@example(b"$-0\r\n", 10)
def test_any_bytes_are_replies_or_malformed(data: bytes, limit: int) -> None:
    for reply in asyncio.run(_read(data, limit)):
        assert reply is None or isinstance(reply, (int, str, list, Refused))
        assert weight(reply) <= len(data) + 1


VALUES = TEXT | st.sampled_from(
    ["0", "1", "-1", "nan", "inf", "1e999", "9" * 19, "-" + "9" * 19, "٣", "1_000", "ok", ""]
)
PARTS = st.sampled_from(
    ["keys=1,expires=2", "calls=9,usec=1e9", "count=-1", "ip=::1,port=x", "p99=nan", "=,=,", "a=b=c"]
)


@st.composite
def infos(draw: st.DrawFn) -> str:
    """INFO as a server gave it, with lines changed, gone, repeated and made up."""
    lines = list(INFO)
    for _ in range(draw(st.integers(0, 12))):
        at = draw(st.integers(0, len(lines) - 1))
        name = lines[at].partition(":")[0]
        match draw(st.integers(0, 4)):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, draw(VALUES))
            case 2:
                lines[at] = f"{name}:{draw(PARTS)}"
            case _:
                lines[at] = f"{name}:{draw(VALUES)}"
    return draw(st.sampled_from(["\r\n", "\n"])).join(lines)


PLAIN = {
    "role": "cache", "warm_keys": {"user:*": 1}, "host": "h", "port": 6379, "tls": False, "authenticates": False,
    "database": 0, "network": "private", "provider": "", "now": 1.7e9, "not_ready": "", "anonymous": "open",
    "commands_sent": 9, "refused": (),
}  # fmt: skip


def judged(facts: dict[str, Any]) -> None:
    """Facts are made of it, they are strict JSON and read back, and every check comes to a verdict of its own."""
    made = RedisFacts(**PLAIN | facts)
    text = json.dumps(made.to_json(), allow_nan=False)
    assert RedisFacts.from_json(json.loads(text)) == made
    results = judge.judge(CHECKS, NOTHING | {RedisFacts: Collected(Outcome.COLLECTED, made)}, Settings(), {})
    broken = {result.spec.id: result.finding.message for result in results if "itself failed" in result.finding.message}
    assert not broken


@fuzzed(infos(), infos(), infos(), infos(), examples=40)
def test_any_two_readings_are_facts(first: str, second: str, third: str, fourth: str) -> None:
    before, after, other, another = map(parse_info, (first, second, third, fourth))
    own = deltas_of(before, after, 1.0, [(other, another)], own=1)
    parts = [own, *deltas_of_each([other], [another], 1.0)]
    whole = summed(parts)
    assert isinstance(_error_rate(whole), (int, float, Absent))
    keyspace = keyspace_of_all([after, another])
    judged({**described(after), **_rates(whole), "window": whole, "keyspace": keyspace})


@fuzzed(st.text(max_size=300) | st.lists(VALUES, max_size=20).map("\n".join), examples=60)
def test_any_text_is_information(text: str) -> None:
    info = parse_info(text)
    assert isinstance(info, Info)
    judged({**described(info), "window": deltas_of(info, info, 0.0, [], own=1)})


NODE = ["id", "a", "port", 6379, "tls-port", 0, "ip", "10.0.0.1", "role", "master", "health", "online"]
REPLIES: dict[str, Any] = {
    "config": [["bind", "127.0.0.1", "save", "60 1", "timeout", "0", "slowlog-log-slower-than", "10000"]],
    "slow_log": [[14, 1_700_000_000, 15_000, ["GET", "user:1"], "127.0.0.1:1", "name"]],
    "latency": [["command", 1_700_000_000, 120, 500], ["fork", 1, 2, 3]],
    "clients": "id=3 addr=127.0.0.1:5 name=shop flags=N omem=0 cmd=get lib-name=x\nid=4 addr=[::1]:5 name= cmd=client",
    "state": "cluster_enabled:1\r\ncluster_state:ok\r\ncluster_slots_ok:16384\r\ncluster_slots_assigned:16384\r\n",
    "shards": [["slots", [0, 8191], "nodes", [NODE, ["role", "replica", "health", "online", "ip", "h", "port", 1]]]],
    "masters": [["name", "m", "ip", "10.0.0.1", "port", "6379", "flags", "master", "num-slaves", "2", "quorum", "2",
                 "num-other-sentinels", "2"]],
    "quorum": "OK 3 usable Sentinels.",
}  # fmt: skip
# What the parser may return: no numbers but integers, no booleans, no mappings.
REPLY = st.recursive(
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | TEXT
    | st.builds(Refused, st.sampled_from(["NOPERM", "UNKNOWN", "ERR"])),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=8,
)


@fuzzed(broken(REPLIES, REPLY), st.none() | st.integers(-(2**63), 2**63), st.booleans(), examples=120)
@example(REPLIES | {"shards": [["slots", [0, 1], "nodes", Refused("ERR")], ["slots", 5, "nodes", 7]]}, None, False)
def test_any_replies_are_facts(replies: dict[str, Any], threshold: int | None, tls: bool) -> None:
    told = {name: replies.get(name) if isinstance(replies, dict) else None for name in REPLIES}
    config = told["config"] if isinstance(told["config"], list) else [told["config"]]
    masters = masters_of(told["masters"])
    if not isinstance(masters, Absent):
        masters = tuple(each.model_copy(update={"quorum_ok": quorum_of(told["quorum"])}) for each in masters)
    judged(
        {
            "config": config_of(config),
            "slow_log": slow_log_of(told["slow_log"], threshold),
            "latency_events": latency_of(told["latency"]),
            "clients": clients_of(told["clients"]),
            "cluster": cluster_of(told["state"], told["shards"], tls),
            "masters": masters,
            "server": {"name": "redis", "version": str(told["quorum"])[:50], "mode": "standalone"},
        }
    )


@fuzzed(JUNK, examples=40)
def test_no_reply_is_of_a_shape_that_raises(reply: Any) -> None:
    for read in (clients_of, latency_of, masters_of, quorum_of, lambda each: slow_log_of(each, None)):
        read(reply)
    config_of([reply])
    cluster_of(reply, reply)
