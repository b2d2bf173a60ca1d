"""A process for every call: whatever happens in it stays there."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from readiness.fleet.forks import ForkLost, Forks
from readiness.sealed import Sealed


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    made = Forks()
    yield made
    made.close()


def test_every_call_has_a_process_of_its_own(forks: Forks) -> None:
    with ThreadPoolExecutor(4) as threads:
        pids = list(threads.map(lambda _: forks.call(os.getpid), range(8)))
    assert len({*pids, os.getpid()}) == 9


def test_large_values_and_errors_come_back(forks: Forks) -> None:
    assert len(forks.call(bytes, 5_000_000)) == 5_000_000
    with pytest.raises(ZeroDivisionError):
        forks.call(divmod, 1, 0)


def test_a_process_that_ends_is_named_and_the_next_call_works(forks: Forks) -> None:
    with pytest.raises(ForkLost):
        forks.call(os._exit, 3)
    with pytest.raises(ForkLost):
        forks.call(os.abort)
    assert forks.call(abs, -1) == 1


def test_a_killed_zygote_is_replaced() -> None:
    forks = Forks()
    try:
        parent = forks.call(os.getppid)
        os.kill(parent, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while True:
            try:
                assert forks.call(os.getppid) != parent
                break
            except ForkLost:
                assert time.monotonic() < deadline
    finally:
        forks.close()


def test_closing_ends_what_is_under_way() -> None:
    forks = Forks()
    began = threading.Event()
    lost: list[BaseException] = []

    def call() -> None:
        forks.call(abs, 1)
        began.set()
        try:
            forks.call(time.sleep, 60)
        except ForkLost as error:
            lost.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    assert began.wait(60)
    time.sleep(0.1)
    zygote = forks._zygote
    assert zygote is not None
    forks.close()
    thread.join(20)
    assert lost
    assert not Path(f"/proc/{zygote.pid}").exists()
    with pytest.raises(ForkLost):
        forks.call(abs, 1)


def test_a_sealed_value_shows_nothing() -> None:
    sealed = Sealed({"password": "sentinel"})
    assert "sentinel" not in repr(sealed)
    assert "sentinel" not in str([sealed])
    assert sealed.open() == {"password": "sentinel"}
