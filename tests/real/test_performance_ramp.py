"""The course of the load, with modelled services and a modelled clock: what ends it, and what it never does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import chain, pairwise, repeat
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readiness.facts.base import maybe
from readiness.facts.collected import Collected, Outcome
from readiness.facts.load import LoadFacts, LoadStep, Timing
from readiness.facts.load_measurements import load
from readiness.probes.load_ramp import _Course
from readiness.settings import LoadSettings

Service = Callable[[float, float, int], dict[str, Any]]
"""Rate, seconds and connections -> what differs from a step that went well."""


def timing(p50: float, p95: float | None = None) -> Timing:
    p95 = p95 or 1.2 * p50
    return Timing(count=10, mean_ms=p50, p50_ms=p50, p95_ms=p95, p99_ms=p95, max_ms=p95)


class Modelled:
    """Stands for the generator of steps: notes what is asked for, and lets the clock run as long as it would take."""

    def __init__(self, service: Service, load: LoadSettings) -> None:
        self.service = service
        self.left = load.duration
        self.connections = load.connections
        self.tolerance = 0.01
        self.asked: list[tuple[float, float, int]] = []

    async def step(
        self, rate: float, seconds: float, connections: int, patience: float, *, warm: bool = False
    ) -> LoadStep:
        self.asked.append((rate, seconds, connections))
        requests = max(1, round(rate * seconds))
        found = {
            "rate": rate, "sent": rate, "seconds": seconds, "wanted": connections, "held": connections,
            "answers": {"2xx": requests}, "timing": timing(20), **self.service(rate, seconds, connections),
        }  # fmt: skip
        self.left = max(0.0, self.left - seconds - found.get("drained", 0.02))
        if not self.left:
            raise TimeoutError
        return LoadStep(**found)


def course(service: Service, *, users: int = 100, room: int = 100_000, **load: Any) -> tuple[LoadFacts, Modelled]:
    permitted = LoadSettings(allow=True, **{"rate": 1000, "duration": 30, "connections": 500, **load})
    modelled = Modelled(service, permitted)
    modelled.connections = min(modelled.connections, room)
    found = asyncio.run(_Course(modelled, permitted, room, 0.02).run(users))  # type: ignore[arg-type]
    return LoadFacts(url="http://shop", seconds=permitted.duration, rate=permitted.rate, **found), modelled


def fine(rate: float, seconds: float, connections: int) -> dict[str, Any]:
    return {}


def overloaded(capacity: float, **beyond: Any) -> Service:
    def service(rate: float, seconds: float, connections: int) -> dict[str, Any]:
        if rate <= capacity:
            return {}
        behind = (rate / capacity - 1) * seconds
        return {"timing": timing(500 * behind + 20, 950 * behind + 25), "drained": behind, **beyond}

    return service


def hiccup(at: int, times: int = 1, **what: Any) -> Service:
    steps = chain(repeat({}, at), repeat(what, times), repeat({}))
    return lambda rate, seconds, connections: next(steps)


LATE = {"skipped": 900}
SLOW = {"timing": timing(200, 900)}
RESET = {"answers": {"reset": 5}, "timing": Timing()}


def test_the_rate_rises_by_half_up_to_the_ceiling() -> None:
    facts, _ = course(fine)
    rates = [step.rate for step in facts.steps]
    assert rates[0] == 25
    assert rates[-1] == 1000
    assert all(1.02 < later / earlier <= 1.51 for earlier, later in pairwise(rates))
    assert facts.ended == "rate"
    assert facts.sustained == 1000
    assert facts.hold is not None
    assert facts.hold.wanted == 100
    assert facts.after is not None


def test_the_capacity_is_the_last_rate_that_went_well() -> None:
    facts, _ = course(overloaded(300))
    assert facts.ended == "latency"
    assert 200 <= facts.sustained <= 300
    assert [step.wrong for step in facts.beyond] == ["latency", "latency"]
    assert facts.hold is not None
    assert facts.hold.rate <= facts.sustained, "held at a rate that is known to go"


@pytest.mark.parametrize("what", [SLOW, LATE, {"answers": {"2xx": 10, "reset": 1}}])
def test_one_hiccup_ends_nothing(what: dict[str, Any]) -> None:
    facts, _ = course(hiccup(3, **what))
    assert facts.ended == "rate"
    assert sum(bool(step.wrong) for step in facts.steps) == 1


def test_a_hiccup_during_the_base_hides_no_knee() -> None:
    steps: Iterator[dict[str, Any]] = chain([{"timing": timing(20, 400)}, {}, {}], repeat({"timing": timing(60, 120)}))
    facts, _ = course(lambda *asked: next(steps))
    assert facts.ended == "latency", "twice the p95 of a rate that was held, not of the base"


def test_a_machine_that_stays_late_gives_no_verdict() -> None:
    assert course(hiccup(3, 2, **LATE))[0].ended == "rate"
    facts, _ = course(hiccup(3, 3, **LATE))
    reason = facts.__dict__["ended"].reason
    assert reason.startswith("this machine could not send")
    assert facts.sustained > 25, "what was seen before remains"
    assert not facts.beyond


def test_a_knee_is_confirmed_although_this_machine_was_late_in_between() -> None:
    steps: Iterator[dict[str, Any]] = chain([{}, {}, SLOW, LATE, SLOW], repeat({}))
    facts, _ = course(lambda *asked: next(steps))
    assert facts.ended == "latency"
    assert [step.wrong for step in facts.steps[-3:]] == ["latency", "late", "latency"]


def test_a_late_base_leaves_nothing_to_judge() -> None:
    facts, modelled = course(hiccup(0, 3, **LATE))
    assert len(modelled.asked) == 3
    for name in ("ended", "after", "hold"):
        assert "this machine could not send" in facts.__dict__[name].reason


def test_a_refusal_ends_everything() -> None:
    answers = {"answers": {"2xx": 20, "429": 1}, "retry_after": "60", "stopped": "429 with Retry-After"}
    facts, modelled = course(hiccup(2, **answers))
    assert facts.ended == "refused"
    assert len(modelled.asked) == 3


def test_a_service_that_fails_by_half_is_not_asked_again() -> None:
    facts, modelled = course(hiccup(2, answers={"5xx": 20}, stopped="20 of 20 requests failed within 2 s"))
    assert facts.ended == "errors"
    assert [rate for rate, _, _ in modelled.asked].count(facts.steps[-1].rate) == 1


def test_too_few_connections_for_the_rate() -> None:
    facts, _ = course(fine, connections=10, rate=5000)
    assert facts.ended == "connections"
    assert max(step.rate for step in facts.steps) == pytest.approx(0.5 * 10 / 0.02), "half of the connections busy"


def test_too_few_open_files() -> None:
    facts, _ = course(fine, connections=500, users=500, room=50, rate=5000)
    for name in ("ended", "hold"):
        assert facts.__dict__[name].reason == "this process can open 50 connections, not 500: raise `ulimit -n`"


def test_no_connections_are_held_on_a_service_that_did_not_recover() -> None:
    def service(rate: float, seconds: float, connections: int) -> dict[str, Any]:
        broken.extend([True] * (rate > 100))
        return {"answers": {"timeout": 50}, "timing": Timing()} if broken else {}

    broken: list[bool] = []
    facts, _ = course(service)
    assert facts.after is not None
    assert facts.after.successes == 0
    assert "did not recover" in facts.__dict__["hold"].reason


def test_a_service_that_hangs_until_the_time_is_over() -> None:
    facts, _ = course(lambda rate, *_: {} if rate <= 25 else {"answers": {"timeout": 20}, "drained": 14.0})
    assert facts.ended == "errors", "seen once, and there was no time to see it again"
    assert facts.after is facts.hold is None


def test_no_time_at_all() -> None:
    facts, _ = course(lambda *asked: {"drained": 100.0})
    assert facts.ended == "duration"
    assert facts.steps == ()
    assert facts.after is facts.hold is None


def test_too_little_time() -> None:
    facts, _ = course(fine, duration=1.5)
    assert facts.ended in ("duration", "rate")
    assert facts.after is None
    assert facts.hold is None


def test_the_steps_are_figures_of_the_report() -> None:
    facts, _ = course(overloaded(300), rate=600)
    rows = load({"LoadFacts": Collected(Outcome.COLLECTED, facts)})
    subjects = list(dict.fromkeys(row.subject for row in rows))
    assert subjects[0] == "25/s"
    assert any(subject.endswith(", again") for subject in subjects)
    assert subjects[-2:] == ["25/s, after the load", "20/s, 100 connections held"]
    assert {row.name for row in rows} == {"requests", "p50", "p95", "p99", "not answered"}
    assert load({}) == load({"LoadFacts": Collected(Outcome.FAILED, LoadFacts.unavailable("refused"))}) == ()


@settings(max_examples=150, deadline=None)
@given(
    rate=st.floats(0.1, 5000),
    duration=st.floats(0.2, 60),
    connections=st.integers(1, 20_000),
    users=st.integers(1, 50_000),
    room=st.integers(1, 30_000),
    capacity=st.floats(1, 5000),
    outcomes=st.lists(st.sampled_from([{}, {}, {}, SLOW, LATE, RESET]), max_size=12),
)
def test_no_ceiling_is_ever_passed(
    rate: float,
    duration: float,
    connections: int,
    users: int,
    room: int,
    capacity: float,
    outcomes: list[dict[str, Any]],
) -> None:
    model, left = overloaded(capacity), iter(outcomes)

    def service(*asked: Any) -> dict[str, Any]:
        return {**model(*asked), **next(left, {})}

    facts, modelled = course(service, rate=rate, duration=duration, connections=connections, users=users, room=room)
    assert all(0 < asked <= rate * (1 + 1e-9) for asked, _, _ in modelled.asked)
    assert all(0 < asked <= min(connections, room) for _, _, asked in modelled.asked)
    assert sum(seconds for _, seconds, _ in modelled.asked) <= duration * 1.5, "the generator ends a step at the end"
    assert maybe(lambda: facts.ended) in (None, "rate", "connections", "duration", "latency", "errors", "refused")
    assert LoadFacts.from_json(facts.to_json()) == facts
