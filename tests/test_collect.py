"""Probes side by side: each once, under deadlines, none able to take another down."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterable

import pytest

from readiness.collect import Run, collect
from readiness.errors import ProbeError
from readiness.facts.base import ABSENT, Fact, Facts
from readiness.facts.collected import Outcome
from readiness.settings import Settings
from readiness.spec import ATTRIBUTE, Context, ProbeSpec, probe


class A(Facts):
    value: Fact[int] = ABSENT


class B(Facts):
    value: Fact[int] = ABSENT


class C(Facts):
    value: Fact[int] = ABSENT


def settings(**limits: float) -> Settings:
    return Settings.model_validate(
        {"http": {"url": "http://127.0.0.1:1"}, "limits": {"window_seconds": 0.2, "audit_seconds": 5} | limits}
    )


def run(*functions: object, limits: dict[str, float] | None = None) -> Run:
    specs: Iterable[ProbeSpec] = [getattr(function, ATTRIBUTE) for function in functions]
    return collect({spec.facts: spec for spec in specs}, settings(**limits or {}), lambda name, outcome: None)


def test_a_probe_gets_the_facts_of_another_and_runs_once() -> None:
    calls = []

    @probe(needs="http.url")
    async def a(context: Context) -> A:
        calls.append(context.canary)
        return A(value=1)

    @probe(needs="http.url")
    async def b(a: A) -> B:
        return B(value=a.value + 1)

    @probe(needs="http.url")
    async def c(a: A, b: B) -> C:
        return C(value=a.value + b.value)

    result = run(c, b, a)
    assert result.collected[C].facts == C(value=3)
    assert len(calls) == 1


def test_failures_stay_where_they_are_and_pass_to_dependents() -> None:
    @probe(needs="http.url")
    async def a() -> A:
        raise ProbeError("refused", privilege="monitor")

    @probe(needs="http.url")
    async def b(a: A) -> B:
        return B(value=1)

    @probe(needs="redis.url")
    async def c() -> C:
        raise AssertionError("not configured, so never called")

    result = run(a, b, c)
    assert (result.collected[A].outcome, result.collected[A].privilege) == (Outcome.FAILED, "monitor")
    assert result.collected[B].reason == "refused"
    assert result.collected[C].outcome is Outcome.NOT_CONFIGURED
    assert not result.abandoned


def test_a_crash_is_a_failure_with_its_name() -> None:
    @probe(needs="http.url")
    async def a() -> A:
        raise ZeroDivisionError("by zero")

    assert "ZeroDivisionError: by zero" in run(a).collected[A].reason


def test_a_probe_that_never_yields_is_left_behind() -> None:
    free = threading.Event()

    @probe(needs="http.url")
    async def a() -> A:
        free.wait(30)  # holds its thread, as a driver in C code would
        return A()

    @probe(needs="http.url")
    async def b() -> B:
        return B(value=1)

    began = time.monotonic()
    result = run(a, b, limits={"audit_seconds": 0.5})
    assert time.monotonic() - began < 10
    assert result.abandoned
    assert "not done within" in result.collected[A].reason
    assert result.collected[B].outcome is Outcome.COLLECTED
    free.set()


def test_a_probe_that_waits_for_ever_is_cancelled() -> None:
    @probe(needs="http.url")
    async def a() -> A:
        await asyncio.sleep(600)
        return A()

    result = run(a, limits={"probe_seconds": 0.2})
    assert "no answer within" in result.collected[A].reason
    assert not result.abandoned


def test_the_window_is_shared() -> None:
    spans = {}

    @probe(needs="http.url", windowed=True)
    async def a(context: Context) -> A:
        opened = await context.window.opened()
        await context.window.closed(opened)
        spans["a"] = (opened, time.monotonic())
        return A()

    @probe(needs="http.url", windowed=True)
    async def b(context: Context) -> B:
        await asyncio.sleep(0.3)
        opened = await context.window.opened()
        await context.window.closed(opened)
        spans["b"] = (opened, time.monotonic())
        return B()

    run(a, b)
    assert abs(spans["a"][0] - spans["b"][0]) < 0.1
    assert all(end - start >= 0.2 for start, end in spans.values())


def test_a_probe_that_fails_does_not_hold_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("readiness.window.GRACE_SECONDS", 60)

    @probe(needs="http.url", windowed=True)
    async def a(context: Context) -> A:
        await context.window.quiet()
        return A(value=1)

    @probe(needs="http.url", windowed=True)
    async def b() -> B:
        raise ProbeError("down")

    began = time.monotonic()
    assert run(a, b).collected[A].outcome is Outcome.COLLECTED
    assert time.monotonic() - began < 10


def test_an_interrupt_keeps_what_was_learned() -> None:
    @probe(needs="http.url")
    async def a() -> A:
        return A(value=1)

    @probe(needs="http.url")
    async def b() -> B:
        await asyncio.sleep(600)
        return B()

    @probe(needs="http.url")
    async def c(b: B) -> C:
        return C(value=b.value)

    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    result = run(a, c, b, limits={"probe_seconds": 60, "audit_seconds": 60})
    timer.join()
    assert result.interrupted
    assert not result.abandoned
    assert result.collected[C].outcome is Outcome.INTERRUPTED
    assert result.collected[A].outcome is Outcome.COLLECTED
    assert result.collected[B].outcome is Outcome.INTERRUPTED
