"""Facts from BSON: any documents for answers, any bytes for documents, and only the exceptions that are meant."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import time
from pathlib import Path
from typing import Any

import bson
from bson import json_util
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from hypothesis import example
from hypothesis import strategies as st

from readiness import judge, loader
from readiness.facts.base import Absent, absent
from readiness.facts.collected import Collected, Outcome
from readiness.facts.mongodb import MongoFacts
from readiness.facts.mongodb_server import Counters
from readiness.probes.mongodb import _announced, _facts
from readiness.probes.mongodb_connect import UNREADABLE, first_batch, permit
from readiness.probes.mongodb_member import Gate, Visit
from readiness.probes.mongodb_target import Address, Target
from readiness.settings import Settings
from readiness.window import Window

from .fuzzing import LEAVES, broken, fuzzed

OPTIONS: Any = CodecOptions(
    tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="replace"
)
RECORDED: dict[str, Any] = json_util.loads(
    (Path(__file__).parent / "recorded/mongod-6.json").read_text(),
    json_options=json_util.JSONOptions(tz_aware=True, tzinfo=dt.UTC),
)
"""What a member of a set answered, by command: `hello`, `getLog startupWarnings`, `aggregate products $collStats`."""
REGISTRY = loader.load()
CHECKS = {id: spec for id, spec in REGISTRY.checks.items() if spec.component in ("database", "scalability")}
NOTHING = {kind: Collected(Outcome.NOT_CONFIGURED, needs=spec.needs) for kind, spec in REGISTRY.probes.items()}

ODD = LEAVES | st.sampled_from(
    [
        bson.ObjectId(b"0" * 12), bson.Timestamp(2**32 - 1, 1), bson.Decimal128("NaN"), bson.Int64(2**62),
        bson.MinKey(),
        bson.Regex("("), bson.Code("x"), bson.Binary(b"\xff"), bson.DBRef("a", 1), bson.DatetimeMS(2**62),
        dt.datetime(1, 1, 1, tzinfo=dt.UTC), dt.datetime(9999, 12, 31, tzinfo=dt.UTC), dt.datetime(2026, 1, 1),  # noqa: DTZ001
        absent("refused (code 13)", "clusterMonitor"),
    ]
)  # fmt: skip
JUNK = st.recursive(
    ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


class Canned:
    """A session whose answers are there already; what is not gets a refusal."""

    def __init__(self, answers: Any) -> None:
        self._answers = answers if isinstance(answers, dict) else {}

    async def ask(self, command: dict[str, Any], database: str = "admin") -> Any:
        permit(command, database)
        name = next(iter(command))
        if name in ("find", "getLog"):
            name = f"{name} {command[name]}"
        elif name == "getParameter":
            name = "getParameter 1"
        elif name == "aggregate":
            collection = command[name] if command[name] in (1, "oplog.rs") else "products"
            name = f"aggregate {collection} {next(iter(command['pipeline'][0]))}"
        answer = self._answers.get(name, absent(f"{name} was refused (code 13)", "clusterMonitor"))
        # A session gives documents, or the reason why there is none.
        return answer if isinstance(answer, (dict, Absent)) else absent("no document")

    async def rows(self, collection: str | int, pipeline: list[dict[str, Any]], database: str = "admin") -> Any:
        return first_batch(await self.ask({"aggregate": collection, "pipeline": pipeline}, database))


async def _visit(answers: Any, number: int) -> Visit:
    """A member's whole pass over answers, without a connection."""
    target = Target((), None, None, {}, {})
    visit = Visit(Address("127.0.0.1", 1 + number), target, "readiness/test", time.monotonic())
    gate = Gate(Window(0.0, 1))
    gate.opened.set_result(0.0)
    session: Any = Canned(answers)
    visit._stranger = _nothing  # type: ignore[method-assign]  # these two connect
    visit._tls = _nothing  # type: ignore[method-assign,assignment]
    await visit._greet(session)
    list(_announced(visit))
    if not visit.reason:
        await visit._read(session, gate)
    return visit


async def _nothing(*_: Any) -> None: ...


def judged(answers: list[Any]) -> None:
    """Facts are made of it, they are strict JSON and read back, and every check comes to a verdict of its own."""

    async def every() -> list[Visit]:
        return [await _visit(each, number) for number, each in enumerate(answers)]

    made = _facts(Target((), None, None, {}, {}), asyncio.run(every()), {})
    text = json.dumps(made.to_json(), allow_nan=False)
    assert MongoFacts.from_json(json.loads(text)) == made
    results = judge.judge(CHECKS, NOTHING | {MongoFacts: Collected(Outcome.COLLECTED, made)}, Settings(), {})
    failed = {result.spec.id: result.finding.message for result in results if "itself failed" in result.finding.message}
    assert not failed


def test_what_was_recorded_is_understood() -> None:
    visit = asyncio.run(_visit(RECORDED, 0))
    missing = {name for name, value in visit.member().__dict__.items() if type(value) is Absent}
    assert missing == {"routers", "shards", "shard_names", "tls", "anonymous"}


@fuzzed(st.lists(broken(RECORDED, JUNK), min_size=1, max_size=2), examples=40)
@example([RECORDED, RECORDED | {"hello": {}}])
@example([RECORDED | {"replSetGetStatus": RECORDED["replSetGetStatus"] | {"members": []}}])
def test_any_answers_are_facts(answers: list[Any]) -> None:
    judged(answers)


@fuzzed(st.sampled_from(sorted(RECORDED)), st.data(), examples=60)
def test_any_answer_to_one_command_is_facts(name: str, data: st.DataObject) -> None:
    judged([RECORDED | {name: data.draw(broken(RECORDED[name], JUNK) | st.dictionaries(st.text(max_size=5), JUNK))}])


@fuzzed(broken(RECORDED["serverStatus"], JUNK), broken(RECORDED["serverStatus"], JUNK), examples=40)
def test_any_two_readings_have_a_difference(before: Any, after: Any) -> None:
    readings = [Counters.model_validate(each if isinstance(each, dict) else {}) for each in (before, after)]
    window = readings[1].since(readings[0])
    json.dumps(window.to_json(), allow_nan=False)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A recorded answer with some of its bytes changed."""
    raw = bytearray(bson.encode(RECORDED[draw(st.sampled_from(["hello", "ping", "replSetGetStatus", "top"]))]))
    for _ in range(draw(st.integers(1, 8))):
        raw[draw(st.integers(0, len(raw) - 1))] = draw(st.integers(0, 255))
    return bytes(raw[: draw(st.integers(0, len(raw)))] if draw(st.booleans()) else raw)


@fuzzed(damaged() | st.binary(max_size=80), examples=300)
@example(b"\x05\0\0\0\0")
def test_any_bytes_are_a_document_or_unreadable(raw: bytes) -> None:
    try:
        bson.decode(RawBSONDocument(raw, OPTIONS.with_options(document_class=RawBSONDocument)).raw, OPTIONS)
    except (BSONError, *UNREADABLE):
        return
