"""Which facts the selected checks ask for -> each collected once, all at the same time, under deadlines.

Every probe has a daemon thread with an event loop of its own. A driver that never yields (a hostile server can keep
one busy for minutes) is left behind when its time is up, and the others do not notice.
"""

from __future__ import annotations

import asyncio
import importlib
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any

from readiness import __version__
from readiness.budget import Budget
from readiness.errors import BudgetSpent, ProbeError
from readiness.facts.base import Facts
from readiness.facts.collected import Collected, Outcome
from readiness.machine import give_way
from readiness.settings import Section, Settings
from readiness.spec import CheckSpec, Context, ProbeSpec
from readiness.window import Window

Progress = Callable[[str, Outcome | None], None]
"""Called with the name of the facts, and None when their probe starts or its outcome when it ends."""

_PATIENCE_SECONDS = 1.0
"""How long probes that are called off may take to end, out of the time of the audit."""
_TURN_SECONDS = 0.0005
_IMPORTING = threading.Lock()


class _Turns:
    """Probes measure times in threads of one interpreter: a long turn of one would show in the figures of another.

    Turns are short while one audit collects. Several in one process have so many threads that short turns cost more
    than the work that is done in them, and all are later for it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._usual = sys.getswitchinterval()
        self._audits = 0

    def change(self, audits: int) -> None:
        """So many audits more are collecting."""
        with self._lock:
            self._audits += audits
            sys.setswitchinterval(_TURN_SECONDS if self._audits == 1 else self._usual)


_turns = _Turns()


@dataclass(frozen=True, slots=True)
class Run:
    """The outcome of every planned probe. `abandoned` probes still hold a thread that nobody waits for.

    `secrets` are credentials that probes came by elsewhere than in the configuration.
    """

    collected: Mapping[type[Facts], Collected]
    interrupted: bool = False
    abandoned: bool = False
    secrets: frozenset[str] = frozenset()


def plan(checks: Iterable[CheckSpec], probes: Mapping[type[Facts], ProbeSpec]) -> dict[type[Facts], ProbeSpec]:
    """The probes that these checks need, with those whose facts other probes need."""
    waiting = [entry.type for spec in checks for entry in spec.inputs.values() if issubclass(entry.type, Facts)]
    planned: dict[type[Facts], ProbeSpec] = {}
    while waiting:
        facts = waiting.pop()
        if facts not in planned:
            planned[facts] = probes[facts]
            waiting += [wanted for wanted in probes[facts].inputs.values() if issubclass(wanted, Facts)]
    return planned


def collect(
    planned: Mapping[type[Facts], ProbeSpec], settings: Settings, progress: Progress, *, crowded: bool = False
) -> Run:
    """Runs every planned probe whose system is configured. `crowded`: many audits share this machine.

    Ctrl-C ends the collection, not the program: what was learned until then is returned, marked as interrupted.
    """
    configured = {facts: spec for facts, spec in planned.items() if settings.given(spec.needs)}
    context = Context(
        window=Window(settings.limits.window_seconds, sum(spec.windowed for spec in configured.values())),
        limits=settings.limits,
        user_agent=f"readiness/{__version__}",
        canary=f"rdy-{secrets.token_hex(6)}",
        budget=Budget(settings.limits.requests),
    )
    futures: dict[type[Facts], Future[Collected]] = {facts: Future() for facts in configured}
    tasks = {facts: _Task(spec, settings, context, futures, crowded) for facts, spec in configured.items()}
    interrupted = False
    patience = min(_PATIENCE_SECONDS, settings.limits.audit_seconds / 10)
    _turns.change(+1)
    try:
        for facts, task in tasks.items():
            progress(facts.__name__, None)
            # The default argument binds this name: the loop goes on before the probe ends.
            futures[facts].add_done_callback(
                lambda done, name=facts.__name__: progress(name, done.result().outcome)  # type: ignore[misc]
            )
            task.start()
        wait(futures.values(), settings.limits.audit_seconds - patience)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        _turns.change(-1)
    for task in tasks.values():
        task.cancel()
    wait(futures.values(), patience)
    late = Collected(
        Outcome.INTERRUPTED if interrupted else Outcome.FAILED,
        reason="the audit was interrupted" if interrupted else f"not done within {settings.limits.audit_seconds:g} s",
    )
    collected = {
        facts: _settled(futures[facts], late)
        if facts in futures
        else Collected(
            Outcome.NOT_CONFIGURED, reason=_replaced(spec, configured, settings), needs=settings.lacks(spec.needs)
        )
        for facts, spec in planned.items()
    }
    abandoned = any(not future.done() for future in futures.values())
    return Run(collected, interrupted, abandoned, frozenset(tuple(context.secrets)))


def _replaced(spec: ProbeSpec, configured: Mapping[type[Facts], ProbeSpec], settings: Settings) -> str:
    """Why nobody misses what this probe needs: another system, which is configured, stands in for its own."""
    by_section = {other.replaces: other for other in configured.values() if other.replaces}
    sections = {key.partition(".")[0] for key in spec.needs.replace(" and ", " or ").split(" or ")}
    if not sections <= by_section.keys() or any(getattr(settings, each).model_fields_set for each in sections):
        return ""
    return "; ".join(f"{by_section[each].needs} is configured, and nothing under {each}" for each in sorted(sections))


def _settled(future: Future[Collected], late: Collected) -> Collected:
    """What a probe returned, or `late` where it did not end, or only because it was called off."""
    if not future.done() or future.result().outcome is Outcome.INTERRUPTED:
        return late
    return future.result()


class _Task:
    """One probe in its thread."""

    def __init__(
        self,
        spec: ProbeSpec,
        settings: Settings,
        context: Context,
        futures: Mapping[type[Facts], Future[Collected]],
        crowded: bool = False,
    ) -> None:
        self._spec = spec
        self._gives_way = crowded and not spec.windowed  # those with a window measure
        self._settings = settings
        self._context = context
        self._futures = futures
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._cancelled = False

    def start(self) -> None:
        threading.Thread(target=self._thread, name=self._spec.facts.__name__, daemon=True).start()

    def cancel(self) -> None:
        """Asks a probe that is still running to end; harmless at any time, from any thread."""
        self._cancelled = True
        if self._loop is not None and self._task is not None and not self._futures[self._spec.facts].done():
            try:
                self._loop.call_soon_threadsafe(self._task.cancel)
            except RuntimeError:  # the loop has just closed
                return

    def _thread(self) -> None:
        if self._gives_way:
            give_way()
        began = time.monotonic()
        future = self._futures[self._spec.facts]
        with asyncio.Runner() as runner:
            # What a driver's own task cannot bear in an answer is no traceback for the user: the probe sees the loss.
            runner.get_loop().set_exception_handler(lambda loop, trouble: None)
            try:
                with _IMPORTING:
                    for driver in self._spec.drivers:
                        importlib.import_module(driver)
                collected = runner.run(self._run(began))
            except BaseException as error:
                collected = _failure(error, began, self._cancelled)
            finally:
                if self._spec.windowed:
                    self._context.window.leave()
            # Before the runner closes: closing waits for name look-ups that may hang.
            future.set_result(collected)

    async def _run(self, began: float) -> Collected:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        limits = self._settings.limits
        # What it waits for has a limit of its own, and may have used it up where the service asks for patience.
        arguments = {name: await self._argument(wanted) for name, wanted in self._spec.inputs.items()}
        async with asyncio.timeout(limits.probe_seconds + limits.window_seconds):
            facts = await self._spec.function(**arguments)
        return Collected(Outcome.COLLECTED, facts, seconds=time.monotonic() - began)

    async def _argument(self, wanted: Any) -> Any:
        if wanted is Context:
            return self._context
        if issubclass(wanted, Section):
            return self._settings.section(wanted)
        if wanted not in self._futures:
            raise ProbeError(f"needs {wanted.__name__}, which is not configured")
        # Shielded: cancelling this probe must not cancel the one that it waits for.
        other = await asyncio.shield(asyncio.wrap_future(self._futures[wanted]))
        if other.facts is None:
            raise ProbeError(other.reason, privilege=other.privilege)
        return other.facts


def _failure(error: BaseException, began: float, cancelled: bool) -> Collected:
    seconds = time.monotonic() - began
    match error:
        case ProbeError():
            return Collected(Outcome.FAILED, reason=error.reason, privilege=error.privilege, seconds=seconds)
        case BudgetSpent():
            return Collected(Outcome.FAILED, reason=error.reason, seconds=seconds)
        case asyncio.CancelledError() if cancelled:
            return Collected(Outcome.INTERRUPTED, reason="the audit was interrupted", seconds=seconds)
        case TimeoutError():
            return Collected(Outcome.FAILED, reason=f"no answer within {seconds:.0f} s", seconds=seconds)
        case _:
            reason = f"the probe itself failed: {type(error).__name__}: {error}"
            return Collected(Outcome.FAILED, reason=reason, seconds=seconds)
