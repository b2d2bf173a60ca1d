"""What happens to a fleet when its executor goes wrong."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from readiness.fleet import running, work
from readiness.fleet.deployments import Deployment, Fleet
from readiness.fleet.overview import Audit, Row
from readiness.fleet.running import Folder, Where, run
from readiness.fleet.work import Order, Outcome, Pace
from readiness.gate import ExitCode
from readiness.model import Rating
from readiness.sealed import Sealed

Answer = Callable[[Deployment, int], Outcome]


def deployment(name: str, region: str | None = None) -> Deployment:
    return Deployment(name, name, "fleet.yaml:1", f"digest of {name}", name, "production", "http://x/", region)


FLEET = Fleet("shop", tuple(map(deployment, "abcd")))


def outcome(deployment: Deployment, score: float = 8.0, **more: Any) -> Outcome:
    row = replace(
        work.nothing(deployment, Audit.DONE, ExitCode.OK, ""), score=score, rating=Rating.READY, coverage=1.0, **more
    )
    return Outcome(row, {"json": zlib.compress(b"{}\n")})


class Closed(Exception):
    """The executor takes nothing more."""


class Answering(Executor):
    """Answers at once; what the answer raises is the future's, but for `Closed`, and None leaves it pending."""

    def __init__(self, answer: Callable[[Deployment, int], Any]) -> None:
        self._answer = answer
        self.asked: dict[str, int] = {}
        self.futures: list[Future[Any]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        assert fn is work.run
        order: Order = args[0].open()
        name = order.deployment.name
        self.asked[name] = self.asked.get(name, 0) + 1
        future: Future[Any] = Future()
        self.futures.append(future)
        try:
            found = self._answer(order.deployment, self.asked[name])
        except Closed:
            raise
        except BaseException as error:
            future.set_exception(error)
        else:
            if found == "called off":
                future.cancel()
                future.set_running_or_notify_cancel()
            elif found is not None:
                future.set_result(found)
        return future


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "LOOK_SECONDS", 0.01)


def rows(executor: Answering, fleet: Fleet = FLEET, **more: Any) -> dict[str, Row]:
    where = more.pop("where", None) or Where(lambda region: executor)
    found, problem = run(fleet, where, **more)
    assert problem is None
    assert len(found.rows) == len(fleet.deployments)
    return {row.name: row for row in found.rows}


def test_a_lost_audit_stops_no_other() -> None:
    def answer(one: Deployment, attempt: int) -> Outcome:
        if one.name == "b":
            raise work.ForkLost("the process that made it ended")
        return outcome(one)

    found = rows(Answering(answer))
    assert found["b"].audit is Audit.LOST
    assert found["b"].reason == "the process that made it ended"
    assert found["b"].code == ExitCode.INCOMPLETE
    assert [found[name].audit for name in "acd"] == [Audit.DONE] * 3


def test_what_the_executor_calls_off_is_submitted_again() -> None:
    executor = Answering(lambda one, attempt: outcome(one) if attempt > 1 or one.name == "a" else "called off")
    assert {row.audit for row in rows(executor).values()} == {Audit.DONE}
    assert executor.asked == {"a": 1, "b": 2, "c": 2, "d": 2}


def test_it_is_not_submitted_for_ever() -> None:
    executor = Answering(lambda one, attempt: "called off" if one.name == "a" else outcome(one))
    assert rows(executor)["a"].audit is Audit.LOST
    assert executor.asked["a"] == running.ATTEMPTS


def test_an_executor_that_takes_nothing_more_loses_nothing_that_was_finished() -> None:
    """Of two that are finished, one was to have a second chance, and is not submitted a second time."""

    def answer(one: Deployment, attempt: int) -> Outcome:
        if one.name in "cd" or attempt > 1:
            raise Closed
        return outcome(one, 7.5, late=one.name == "a")

    executor = Answering(answer)

    def trouble(regions: Iterable[str | None]) -> dict[str | None, str]:
        return dict.fromkeys(regions, "the scheduler is gone") if executor.asked.get("c", 0) > 1 else {}

    found = rows(executor, where=Where(lambda region: executor, trouble))
    assert [found[name].audit for name in "abcd"] == [Audit.DONE, Audit.DONE, Audit.NOT_RUN, Audit.NOT_RUN]
    assert (found["a"].score, found["c"].reason) == (7.5, "the scheduler is gone")


def test_an_executor_that_is_closed_is_not_asked_for_ever() -> None:
    def answer(one: Deployment, attempt: int) -> Outcome:
        raise Closed("closed")

    executor = Answering(answer)
    found = rows(executor)
    assert {row.audit for row in found.values()} == {Audit.LOST}
    assert found["a"].reason == "Closed: closed"
    assert set(executor.asked.values()) == {running.ATTEMPTS}


def test_what_can_no_longer_come_is_given_up_and_the_rest_goes_on() -> None:
    fleet = Fleet("shop", (deployment("a", "eu"), deployment("b", "us"), deployment("c", "eu")))
    executor = Answering(lambda one, attempt: None if one.region == "us" else outcome(one))

    def trouble(regions: Iterable[str | None]) -> dict[str | None, str]:
        return dict.fromkeys((each for each in regions if each == "us"), "no worker of region us is left")

    found = rows(executor, fleet, where=Where(lambda region: executor, trouble))
    assert [found[name].audit for name in "abc"] == [Audit.DONE, Audit.NOT_RUN, Audit.DONE]
    assert found["b"].reason == "no worker of region us is left"
    assert all(future.done() for future in executor.futures)


def test_an_interrupt_keeps_what_was_finished() -> None:
    def progress(row: Row) -> None:
        if row.name == "b":
            raise KeyboardInterrupt

    executor = Answering(lambda one, attempt: None if one.name in "cd" else outcome(one))
    found, _ = run(FLEET, Where(lambda region: executor), progress=progress)
    assert found.interrupted
    assert found.code is ExitCode.INTERRUPTED
    by_name = {row.name: row.audit for row in found.rows}
    assert by_name == {"a": Audit.DONE, "b": Audit.DONE, "c": Audit.NOT_RUN, "d": Audit.NOT_RUN}


def test_an_audit_that_lacked_time_has_a_second_chance() -> None:
    executor = Answering(lambda one, attempt: outcome(one, late=one.name == "a" or (one.name == "b" and attempt == 1)))
    told: list[str] = []
    found, _ = run(FLEET, Where(lambda region: executor), progress=lambda row: told.append(row.name))
    assert executor.asked == {"a": 2, "b": 2, "c": 1, "d": 1}
    assert {row.name for row in found.rows if row.late} == {"a"}
    assert sorted(told) == list("abcd")
    assert found.notices[0].startswith("one audit lacked processor time")


def test_a_second_chance_that_fails_leaves_the_first_result() -> None:
    def answer(one: Deployment, attempt: int) -> Outcome:
        if attempt == 2:
            raise work.ForkLost("gone")
        return outcome(one, 7.5, late=one.name == "a")

    assert (rows(Answering(answer))["a"].score, rows(Answering(answer))["a"].audit) == (7.5, Audit.DONE)


def test_resume_goes_by_what_is_in_the_folder(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "reports", ("json",))
    folder.make()
    first = Answering(
        lambda one, attempt: outcome(one, 7.0) if one.name != "c" else outcome(one, audit=Audit.INCOMPLETE)
    )
    rows(first, folder=folder)
    assert {path.name for path in folder.path.iterdir()} == {"a.json", "b.json", "c.json", "d.json", ".state"}
    (folder.path / "b.json").unlink()
    (folder.path / ".state/d.json").write_text("{")
    again = Answering(lambda one, attempt: outcome(one, 9.0))
    found = rows(again, folder=folder, resume=True)
    assert set(again.asked) == {"b", "c", "d"}  # its report is gone; it was not finished; its state is damaged
    assert {name: (row.score, row.resumed) for name, row in found.items()} == {
        "a": (7.0, True), "b": (9.0, False), "c": (9.0, False), "d": (9.0, False),
    }  # fmt: skip
    anew = Answering(lambda one, attempt: outcome(one))
    rows(anew, folder=folder)
    assert set(anew.asked) == set("abcd")


def test_a_report_that_cannot_be_written_costs_no_row(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "reports", ("json",))
    folder.make()
    (folder.path / "b.json").mkdir()
    executor = Answering(lambda one, attempt: outcome(one))
    found, problem = run(FLEET, Where(lambda region: executor), folder=folder)
    assert {row.audit for row in found.rows} == {Audit.DONE}
    assert "b.json is a folder" in str(problem)


def test_audits_start_no_faster_than_the_cores_can_take_them(monkeypatch: pytest.MonkeyPatch) -> None:
    now, slept = 100.0, list[float]()
    monkeypatch.setattr(work.time, "monotonic", lambda: now)
    monkeypatch.setattr(work.time, "sleep", slept.append)
    pace = Pace()
    pace.ended(0.4)
    for _ in range(3):
        pace.turn(2.0)
    assert slept == pytest.approx([0.0, 0.2, 0.4])
    for _ in range(100):
        pace.ended(9.0)
    assert pace.cost == work.MOST


def test_a_worker_without_a_variable_says_so() -> None:
    order = Order(deployment("a"), worker_environment=("READINESS_TESTS_LACK_IT",))
    row = work.audited(Sealed(order)).row
    assert (row.audit, row.code) == (Audit.FAILED, ExitCode.INCOMPLETE)
    assert row.reason == "the environment variable READINESS_TESTS_LACK_IT is not set on the worker"


def test_a_bug_is_named_without_what_may_be_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **more: Any) -> None:
        raise RuntimeError("sentinel-4711")

    monkeypatch.setattr("readiness.audit.prepare", broken)
    row = work.audited(Sealed(Order(deployment("a")))).row
    assert (row.audit, row.code) == (Audit.BUG, ExitCode.BUG)
    assert row.reason == "a bug: RuntimeError"
