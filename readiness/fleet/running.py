"""Submits what is to do, keeps what is done in a folder, and survives what goes wrong.

folder/NAME.json, NAME.html    the report of a deployment
folder/.state/NAME.json        its row, by which --resume knows what is finished
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import queue
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, Executor, Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from readiness.errors import ConfigError
from readiness.fleet import work
from readiness.fleet.deployments import Deployment, Fleet
from readiness.fleet.overview import Audit, Overview, Row, Wrong, overview
from readiness.fleet.work import Order, Outcome, nothing
from readiness.gate import ExitCode
from readiness.report import write
from readiness.report.json_format import strict
from readiness.sealed import Sealed

if TYPE_CHECKING:
    from pydantic import TypeAdapter

STATE = ".state"
LOOK_SECONDS = 0.5
AGAIN = 10
"""One in so many deployments may be audited a second time because the first lacked processor time."""
ATTEMPTS = 3
"""Of a deployment whose audit was called off, by a scheduler that went away and came back."""

Progress = Callable[[Row], None]
"""Called with every row that is known, resumed ones first."""


@dataclass(frozen=True, slots=True)
class Folder:
    """Where the reports go, in which formats."""

    path: Path
    formats: tuple[str, ...]

    def make(self) -> None:
        """Raises ConfigError where there can be no such folder."""
        try:
            (self.path / STATE).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"cannot make the folder {self.path}: {error.strerror}", place="--reports") from None

    def finished(self, deployment: Deployment) -> Row | None:
        """The row of an earlier run, where that finished this deployment as it is configured now."""
        try:
            data = json.loads(self._state(deployment).read_text(encoding="utf-8"))
            row: Row = _adapter().validate_python(data["row"])
            known = data["digest"] == deployment.digest and row.finished
        except (OSError, ValueError, KeyError, TypeError):
            return None
        there = all((self.path / row.reports.get(format, STATE)).is_file() for format in self.formats)
        return replace(row, resumed=True) if known and there else None

    def keep(self, deployment: Deployment, outcome: Outcome) -> Row:
        """Writes the reports and the row; the row last, so that it never promises what is not there."""
        files = {format: f"{deployment.slug}.{format}" for format in outcome.reports}
        for format, name in files.items():
            write(self.path / name, outcome.report(format))
        row = replace(outcome.row, reports=files)
        write(self._state(deployment), strict({"digest": deployment.digest, "row": dataclasses.asdict(row)}))
        return row

    def _state(self, deployment: Deployment) -> Path:
        return self.path / STATE / f"{deployment.slug}.json"


@cache
def _adapter() -> TypeAdapter[Row]:
    from pydantic import TypeAdapter

    return TypeAdapter(Row)


@dataclass(frozen=True, slots=True)
class Where:
    """What carries the audits out: an executor for every region, and why work for some cannot go on, if so.

    `cores` is how many each process of it has for audits.
    """

    executor: Callable[[str | None], Executor]
    trouble: Callable[[Iterable[str | None]], Mapping[str | None, str]] = lambda regions: {}
    connected: Callable[[], bool] = lambda: True
    cores: float = 1.0


def run(
    fleet: Fleet,
    where: Where,
    *,
    folder: Folder | None = None,
    resume: bool = False,
    progress: Progress = lambda row: None,
    notices: tuple[str, ...] = (),
) -> tuple[Overview, ConfigError | None]:
    """Audits every deployment, and returns the overview of what is known in the end, whatever happened.

    After KeyboardInterrupt nothing more is begun, and what was under way is left for another run. The second value
    says why the report of some deployment could not be written.
    """
    started_at, began = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    runner = _Runner(fleet, where, folder, progress)
    interrupted = False
    try:
        runner.begin(resume)
        runner.wait()
    except KeyboardInterrupt:
        interrupted = True
    finally:
        runner.cancel()
    rows = runner.rows | {
        each.name: nothing(each, Audit.NOT_RUN, ExitCode.INCOMPLETE, "interrupted before it was done")
        for each in fleet.deployments
        if each.name not in runner.rows
    }
    made = overview(
        fleet.name,
        rows.values(),
        started_at=started_at,
        seconds=time.monotonic() - began,
        folder="" if folder is None else folder.path.name,
        interrupted=interrupted,
        notices=(*notices, *_late(rows.values())),
    )
    return made, runner.unwritten


def _late(rows: Iterable[Row]) -> Iterator[str]:
    if late := sum(row.late for row in rows):
        which = "one audit" if late == 1 else f"{late} audits"
        yield f"{which} lacked processor time, so that some latencies are missing: give fewer --jobs, or more machines"


class _Runner:
    def __init__(self, fleet: Fleet, where: Where, folder: Folder | None, progress: Progress) -> None:
        self._fleet = fleet
        self._where = where
        self._folder = folder
        self._progress = progress
        self._ended: queue.SimpleQueue[Future[Outcome]] = queue.SimpleQueue()
        self._futures: dict[Future[Outcome], Deployment] = {}
        self._called_off: list[Deployment] = []
        self._again: list[Deployment] = []
        self._attempts: Counter[str] = Counter()
        self._known_wrongs: dict[Wrong, Wrong] = {}
        self.rows: dict[str, Row] = {}
        self.unwritten: ConfigError | None = None

    def begin(self, resume: bool) -> None:
        """Submits every deployment that an earlier run has not finished."""
        todo = []
        for deployment in self._fleet.deployments:
            row = self._folder.finished(deployment) if self._folder is not None and resume else None
            if row is None:
                todo.append(deployment)
            else:
                self._known(row)
        for deployment in todo:
            self._submit(deployment)

    def _submit(self, deployment: Deployment) -> None:
        formats = self._folder.formats if self._folder is not None else ()
        order = Order(deployment, formats, self._fleet.worker_environment, self._where.cores)
        self._attempts[deployment.name] += 1
        try:
            future = self._where.executor(deployment.region).submit(work.run, Sealed(order))
        except Exception as error:  # a scheduler that has just gone takes nothing more
            self._call_off(deployment, _reason(error))
            return
        self._futures[future] = deployment
        future.add_done_callback(self._ended.put)

    def wait(self) -> None:
        """Takes results as they come; gives up what can no longer come."""
        looked = time.monotonic()
        while self._futures or self._called_off or self._again:
            if not self._futures and not self._called_off:
                for deployment in self._again:
                    self._submit(deployment)
                self._again.clear()
            with contextlib.suppress(queue.Empty):
                self._take(self._ended.get(timeout=LOOK_SECONDS))
            if time.monotonic() - looked >= LOOK_SECONDS:
                self._look()
                looked = time.monotonic()

    def _look(self) -> None:
        waiting = [*self._futures.values(), *self._called_off]
        trouble = self._where.trouble({deployment.region for deployment in waiting})
        for deployment in waiting:
            if (reason := trouble.get(deployment.region)) is not None:
                self._known(nothing(deployment, Audit.NOT_RUN, ExitCode.INCOMPLETE, reason))
        if trouble:
            for future in [each for each, deployment in self._futures.items() if deployment.region in trouble]:
                del self._futures[future]
                future.cancel()
            self._called_off = [each for each in self._called_off if each.region not in trouble]
        if self._called_off and self._where.connected():
            again, self._called_off = self._called_off, []
            for deployment in again:
                self._submit(deployment)

    def _take(self, future: Future[Outcome]) -> None:
        deployment = self._futures.pop(future, None)  # whoever held on to results would hold every report
        if deployment is None:
            return  # given up
        try:
            outcome = future.result()
        except CancelledError:
            self._call_off(deployment, "its executor called it off")  # not by us
        except Exception as error:
            self._known(nothing(deployment, Audit.LOST, ExitCode.INCOMPLETE, _reason(error)))
        else:
            self._ended_well(deployment, outcome)

    def _call_off(self, deployment: Deployment, reason: str) -> None:
        """Keeps it for later: a scheduler that went away may come back."""
        if self._attempts[deployment.name] < ATTEMPTS:
            self._called_off.append(deployment)
        else:
            self._known(nothing(deployment, Audit.LOST, ExitCode.INCOMPLETE, reason))

    def _ended_well(self, deployment: Deployment, outcome: Outcome) -> None:
        """Keeps it; what the machine had too little time for has a second chance when the others are done."""
        row = self._kept(deployment, outcome)
        first = deployment.name not in self.rows
        if row.late and first and len(self._again) < max(2, len(self._fleet.deployments) // AGAIN):
            self._again.append(deployment)
            self.rows[row.name] = row
        else:
            self._known(row)

    def _kept(self, deployment: Deployment, outcome: Outcome) -> Row:
        if self._folder is None:
            return outcome.row
        try:
            return self._folder.keep(deployment, outcome)
        except ConfigError as error:
            self.unwritten = error
            return outcome.row

    def _known(self, row: Row) -> None:
        if not row.finished and row.name in self.rows:
            row = self.rows[row.name]  # the second audit told less than the first
        # Most deployments have the same things wrong: each is kept once.
        wrong = tuple(self._known_wrongs.setdefault(each, each) for each in row.wrong)
        self.rows[row.name] = replace(row, wrong=wrong)
        self._progress(row)

    def cancel(self) -> None:
        """Calls off what is left, and takes what has ended meanwhile."""
        for future in list(self._futures):
            if future.done() and not future.cancelled():
                self._take(future)
            else:
                future.cancel()


def _reason(error: Exception) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return str(error) if type(error).__module__.startswith("readiness.") else text
