"""How an audit slows down for a service that limits it, and that nothing a service says makes it wait for long."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest

from readiness import pace as module
from readiness.errors import ProbeError
from readiness.pace import FRUITLESS, LONGEST_PAUSE_SECONDS, PAUSE_SECONDS, PAUSES, Pace, pause


@pytest.mark.parametrize(
    ("said", "waited"),
    [
        (None, PAUSE_SECONDS),
        ("0", 1.0),
        ("2", 2.0),
        (" 3 ", 3.0),
        ("999999999", LONGEST_PAUSE_SECONDS),
        ("9" * 5000, LONGEST_PAUSE_SECONDS),
        ("-1e400", PAUSE_SECONDS),
        ("nan", PAUSE_SECONDS),
        ("\u0663", PAUSE_SECONDS),
        ("Wed, 21 Oct 2099 07:28:00 GMT", PAUSE_SECONDS),
    ],
)
def test_a_pause_is_the_services_word_within_bounds(said: str | None, waited: float) -> None:
    assert pause(said) == waited


def test_nobody_waits_before_the_first_refusal() -> None:
    async def run() -> None:
        pace = Pace()
        for _ in range(100):
            await pace.turn(until=0.0)

    began = time.monotonic()
    asyncio.run(run())
    assert time.monotonic() - began < 0.5


def test_what_was_under_way_together_is_one_refusal() -> None:
    pace = Pace()
    sent = time.monotonic()
    assert all(pace.refused(sent, None) for _ in range(50))
    assert not pace.given_up


def test_a_service_that_refuses_for_ever_is_left_alone() -> None:
    pace = Pace()
    asked = [pace.refused(time.monotonic(), "1") for _ in range(FRUITLESS + 2)]
    assert asked == [*[True] * FRUITLESS, False, False]
    assert pace.given_up


def test_pauses_are_bounded_where_answers_come_between_them() -> None:
    pace = Pace()
    asked = []
    for _ in range(PAUSES + 1):
        asked.append(pace.refused(time.monotonic(), None))
        pace.answered(time.monotonic())
    assert asked == [*[True] * PAUSES, False]


def test_waiting_ends_where_the_time_of_the_probe_does() -> None:
    pace = Pace()
    pace.refused(time.monotonic(), "3")
    with pytest.raises(ProbeError, match="429"):
        asyncio.run(pace.turn(until=time.monotonic() + 1))


def test_after_a_pause_one_request_follows_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.2)
    pace = Pace()
    began = time.monotonic()
    pace.refused(began, None)

    async def run() -> list[float]:
        return sorted(await asyncio.gather(*(pace.turn(began + 5) for _ in range(3))))

    turns = asyncio.run(run())
    assert turns[0] - began >= 0.2
    assert all(later - earlier > 0.1 for earlier, later in itertools.pairwise(turns))
