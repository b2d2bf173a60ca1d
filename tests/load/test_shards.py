"""A plan over several processes sends what it would alone, and what comes back adds up."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readiness.load import (
    Histogram,
    Kind,
    LoadError,
    Merged,
    Plan,
    Processes,
    ProcessLost,
    Result,
    Sample,
    Shard,
    run_shard,
    run_shards,
    split,
    text,
)
from readiness.load.shards import merge

from .counting import Counting

URL = "http://127.0.0.1:9/"


# Splitting.


def _due(plan: Plan) -> list[float]:
    return [plan.offset + number / plan.rate for number in range(plan.due or 0)]


@given(
    rate=st.floats(0.5, 2000),
    duration=st.floats(0.05, 5),
    connections=st.integers(1, 500),
    shards=st.integers(1, 16),
    most=st.none() | st.integers(16, 500),
)
@settings(deadline=None)
def test_shards_take_turns_in_one_schedule(
    rate: float, duration: float, connections: int, shards: int, most: int | None
) -> None:
    plan = Plan(URL, rate=rate, duration=duration, connections=max(connections, shards), max_requests=most)
    parts = split(plan, shards)
    assert sum(part.plan.connections for part in parts) == plan.connections
    assert sum(part.plan.rate for part in parts) == pytest.approx(rate)
    together = sorted(due for part in parts for due in _due(part.plan))
    assert len(together) <= (plan.due or 0), "never more than asked"
    if most is None:
        assert together == pytest.approx(_due(plan), abs=1e-6)
    else:
        assert sum(part.plan.max_requests or 0 for part in parts) == most
    assert [part.number for part in parts] == list(range(1, shards + 1))


def test_what_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="3 processes cannot share 2 connections"):
        split(Plan(URL, connections=2), 3)
    with pytest.raises(ValueError, match="3 processes cannot share 2 requests"):
        split(Plan(URL, max_requests=2), 3)
    with pytest.raises(ValueError, match="0 processes"):
        split(Plan(URL), 0)


def test_a_shard_pickles_and_keeps_its_secrets_out_of_its_name() -> None:
    shard = split(Plan(URL, {"Authorization": "Bearer s3cret"}, rate=100, connections=5), 2)[1]
    assert pickle.loads(pickle.dumps(shard)) == shard
    assert str(shard) == "process 2 of 2 (50 requests/s over 2 connections)"
    assert "s3cret" not in f"{shard!r}"
    assert str(split(Plan(URL, rate=0, connections=1), 1)[0]) == "process 1 of 1 (a closed loop over 1 connection)"


# Merging.


TIMES = st.lists(st.tuples(st.floats(0, 2), st.floats(0, 1)), max_size=30)


def _result(times: list[tuple[float, float]], kinds: list[Kind], began: float = 100.0) -> Result:
    samples = (Sample(), Sample())
    for index, (latency, share) in enumerate(times):
        samples[index % 2].succeed(latency, latency * share if share > 0.5 else latency)
        samples[index % 2].lateness.record(latency / 100)
        samples[index % 2].service.record(latency / 2)
    samples[0].others.update(kinds)
    samples[1].skipped = 3
    whole = merge([]).total
    for sample in samples:
        whole.add(sample)
    histograms = Sample()
    return Result(whole, samples, histograms.latency, histograms.lateness, 2.0, 5, started_at=began)


@given(TIMES, TIMES, st.lists(st.sampled_from([Kind.TIMEOUT, Kind.LIMITED, Kind.REDIRECT])))
@settings(deadline=None, max_examples=20)
def test_merging_packed_results_loses_nothing(
    left: list[tuple[float, float]], right: list[tuple[float, float]], kinds: list[Kind]
) -> None:
    parts = [_result(left, kinds), _result(right, kinds, began=100.5)]
    there_and_back = [Result.unpack(json_like(part.pack())) for part in parts]
    assert [part.to_json() for part in there_and_back] == [part.to_json() for part in parts]
    total = merge(there_and_back)
    assert total.total.successes == len(left) + len(right)
    assert total.total.others == {kind: 2 * kinds.count(kind) for kind in kinds}
    latencies = sorted(1000 * latency for latency, _ in left + right)
    if latencies:
        assert total.total.latency.max == pytest.approx(latencies[-1])
        assert total.total.latency.mean == pytest.approx(sum(latencies) / len(latencies))
        assert total.percentile(100) == pytest.approx(latencies[-1], rel=0.001, abs=0.001)
    assert total.total.skipped == 6
    assert (total.duration_seconds, total.started_at, total.connections) == (2.5, 100.0, 10)
    assert [window.requests for window in total.windows] == [
        one.requests + other.requests for one, other in zip(parts[0].windows, parts[1].windows, strict=True)
    ]


def json_like(data: Any) -> Any:
    """Through pickle, and nothing in it but plain data."""
    kinds = set()

    def walk(each: Any) -> None:
        kinds.add(type(each))
        for item in each.values() if isinstance(each, dict) else each if isinstance(each, (list, tuple)) else ():
            walk(item)

    walk(data)
    assert kinds <= {dict, list, tuple, int, float, str, type(None)}
    return pickle.loads(pickle.dumps(data))


# Running.


@pytest.fixture
def server() -> Any:
    with Counting() as counting:
        yield counting


def test_processes_share_the_load(server: Counting) -> None:
    plan = Plan(server.url, {"X-Secret": "s3cret"}, rate=100, duration=1, connections=5, windows=4)
    with Processes(2) as executor:
        merged = run_shards(split(plan, 2), executor)
        progress = executor.progress()
    assert merged.complete
    assert server.requests == merged.result.total.successes == 100
    assert server.connections == server.most_open == merged.result.connections == 5
    assert merged.apart < 5
    assert merged.result.duration_seconds < 15
    assert [window.requests for window in merged.result.windows] == [25, 25, 25, 25]
    assert progress.requests <= 100
    assert "2xx 100" in text.summary(plan, merged)


def test_any_executor_does(server: Counting) -> None:
    begin = time.time() + 0.3
    with ThreadPoolExecutor(2) as executor:
        merged = run_shards(split(Plan(server.url, rate=50, duration=0.4, connections=2), 2, begin), executor)
    assert server.requests == merged.result.total.successes == 20
    assert merged.result.started_at >= begin - 0.01


def test_one_that_is_told_to_wait_stops_all(server: Counting) -> None:
    server.limit_after = 20
    plan = Plan(server.url, rate=100, duration=60, connections=4)
    began = time.monotonic()
    with Processes(2) as executor:
        merged = run_shards(split(plan, 2), executor)
    assert time.monotonic() - began < 30
    assert merged.result.stopped == "429 with Retry-After"
    assert not merged.complete
    assert 20 < server.requests < 60
    assert server.requests == merged.result.total.requests + merged.result.unfinished
    assert "stopped early: 429 with Retry-After: 7" in text.summary(plan, merged)


def test_a_lost_process_is_named_and_the_others_count(server: Counting) -> None:
    with Processes(2) as executor:

        def look() -> None:
            if executor.progress().requests > 20:
                with contextlib.suppress(ProcessLookupError):  # the second time
                    os.kill(executor.pids[1], signal.SIGKILL)

        merged = run_shards(split(Plan(server.url, rate=100, duration=2, connections=4), 2), executor, look=look)
    assert [str(each) for each in merged.lost] == [
        "process 2 of 2 (50 requests/s over 2 connections) was lost: killed by SIGKILL"
    ]
    assert merged.result.total.successes == 100
    assert not merged.complete


def test_a_process_that_is_lost_before_the_start_keeps_nobody_waiting(server: Counting) -> None:
    shards = split(Plan(server.url, rate=100, duration=0.3, connections=4), 2)
    shards[1] = replace(shards[1], plan=replace(shards[1].plan, url=URL))
    with Processes(2) as executor:
        merged = run_shards(shards, executor)
    assert merged.result.total.successes == 15
    assert merged.lost[0].reason.startswith("could not connect to 127.0.0.1:9")
    with pytest.raises(LoadError, match=r"^could not connect to 127\.0\.0\.1:9"), Processes(2) as executor:
        run_shards(split(Plan(URL, connections=2), 2), executor)


def test_processes_bring_results_and_errors() -> None:
    with Processes(3) as executor:
        futures = [executor.submit(os.getenv, "PATH"), executor.submit(int, "x"), executor.submit(os._exit, 7)]
        assert futures[0].result() == os.environ["PATH"]
        with pytest.raises(ValueError, match="invalid literal"):
            futures[1].result()
        with pytest.raises(ProcessLost, match="ended with status 7"):
            futures[2].result()
    with pytest.raises(RuntimeError, match="shut down"):
        executor.submit(os.getenv, "PATH")


def test_a_parent_that_is_killed_takes_the_load_with_it(server: Counting) -> None:
    code = f"""
from readiness.load import *
with Processes(2) as executor:
    run_shards(split(Plan({server.url!r}, rate=100, duration=60, connections=4), 2), executor)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    try:
        server.wait_for(20)
    finally:
        parent.kill()
        parent.wait()
    server.wait_until_quiet()
    assert server.requests < 2000


class _Slow(Executor):
    """Runs nothing, and notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.future: Future[Any] = Future()

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.future.set_running_or_notify_cancel()
        return self.future

    def stop(self, why: str) -> None:
        self.told.append(why)
        self.future.set_result(_result([(0.1, 1.0)], []).pack())


def test_an_interrupt_brings_what_there_is() -> None:
    executor = _Slow()

    def look() -> None:
        raise KeyboardInterrupt

    merged = run_shards([Shard(Plan(URL), 1, 1)], executor, look=look)
    assert executor.told == ["interrupted"]
    assert merged.result.stopped == "interrupted"
    assert merged.result.total.successes == 1


def test_an_interrupt_before_anything_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("readiness.load.shards.GRACE_SECONDS", 0.1)

    class Silent(Executor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            return Future()

    def look() -> None:
        raise KeyboardInterrupt

    plan = Plan(URL)
    merged = run_shards([Shard(plan, 1, 1)], Silent(), look=look)
    assert merged.result.stopped == "interrupted"
    assert "requests   0 in 0.00 s" in text.summary(plan, merged)
    json.dumps(text.document(plan, merged), allow_nan=False)


def test_run_shard_alone(server: Counting) -> None:
    packed = run_shard(Shard(Plan(server.url, rate=50, duration=0.2, connections=1), 1, 1))
    assert Result.unpack(packed).total.successes == 10


def test_remarks_on_what_the_figures_do_not_say() -> None:
    result = replace(_result([(0.1, 1.0)] * 4, [Kind.REDIRECT]), location="/\x1b[31m", closed=1, refused=2)
    merged = Merged(result, 2, apart=0.2)
    written = text.summary(Plan(URL, rate=0, connections=10), merged)
    assert "busy all the time" not in written
    busy = replace(merged, result=replace(result, busy_share=0.95))
    assert "this machine was too slow: it was busy all the time" in text.summary(Plan(URL), busy)
    result.total.lateness = Histogram()
    assert "the engine was busy all the time: more processes" in text.summary(Plan(URL, rate=0), busy)
    assert "redirects are not followed; the last one led to /[31m" in written
    assert "the server closed the connection after 1 answer" in written
    assert "2 connections of 10 could not be opened" in written
    assert "no more than 5 of 10 connections were open at once" in written
    assert "the processes began 0.20 s apart" in written
    assert "\x1b" not in written


def test_the_latency_over_time() -> None:
    assert text.sparkline([0.0, 1.0, None, 8.0, 4.0]) == "▁▂·█▅"
    assert text.sparkline([0.0, None]) == "▁·"
    assert text.windows(Plan(URL, rate=10, duration=1)) == 1
    assert text.windows(Plan(URL, rate=0)) == text.windows(Plan(URL, rate=1000)) == 60
    assert text.shown("https://host/a?token=s3cret#x") == "https://host/a?…"


def test_no_thread_is_left_behind() -> None:
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("load process")]
