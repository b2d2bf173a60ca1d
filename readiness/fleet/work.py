"""One audit as a function that pickles: a sealed order goes in, plain data comes out, and nothing is raised.

Audits that run in one process are started one after the other, so that together they take no more than a share of one
core: an audit whose machine has no time measures the machine. An interpreter runs on one core anyway, so the way to
more is more processes.
"""

from __future__ import annotations

import os
import platform
import threading
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from readiness import audit, config, secrets
from readiness.errors import ConfigError, PackError
from readiness.fleet.deployments import Deployment, filled
from readiness.fleet.overview import Audit, Row, row
from readiness.gate import ExitCode
from readiness.loader import Registry, load
from readiness.report import render
from readiness.sealed import Sealed
from readiness.settings import Settings

SHARE = 0.8
"""Of a core that the audits of one process may take."""
FIRST_GUESS, LEAST, MOST = 0.3, 0.05, 2.0
"""CPU seconds of an audit, before the first has been seen, and the range in which the estimate stays."""
WARM_UP = 2
"""Audits that are not counted, because they import what the others find imported."""


@dataclass(frozen=True, slots=True)
class Order:
    """One deployment to audit. `formats` are those in which its report is wanted."""

    deployment: Deployment
    formats: tuple[str, ...] = ()
    worker_environment: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an order: the row, and the reports by format, compressed."""

    row: Row
    reports: Mapping[str, bytes]

    def report(self, format: str) -> str:
        """One report as text."""
        return zlib.decompress(self.reports[format]).decode()


class Pace:
    """Spaces the starts of audits by what one costs, so that `share` of a core does for all of them."""

    def __init__(self, share: float = SHARE) -> None:
        self._share = share
        self._lock = threading.Lock()
        self._next = self._spent = 0.0
        self._ended = 0
        self.gap = FIRST_GUESS / share

    def turn(self) -> None:
        """Waits until it is this thread's turn to start."""
        with self._lock:
            begin = max(time.monotonic(), self._next)
            self._next = begin + self.gap
        time.sleep(max(0.0, begin - time.monotonic()))

    def ended(self) -> None:
        """An audit has ended: the estimate follows the CPU time that this process has used since the first ones."""
        with self._lock:
            self._ended += 1
            if self._ended == WARM_UP:
                self._spent = time.process_time()
            elif self._ended > WARM_UP:
                each = (time.process_time() - self._spent) / (self._ended - WARM_UP)
                self.gap = min(MOST, max(LEAST, each)) / self._share


_pace = Pace()
_loading = threading.Lock()


def run(order: Sealed) -> Outcome:
    """Audits the deployment of a sealed `Order`; the function that executors are given."""
    opened: Order = order.open()
    _pace.turn()
    try:
        return _audited(opened)
    finally:
        _pace.ended()


def _audited(order: Order) -> Outcome:
    deployment = order.deployment
    settings: Settings | None = None
    try:
        data = filled(deployment.data, order.worker_environment, os.environ)
        source = config.Source(data, {(): deployment.place})
        plan = audit.prepare(source, registry=_registry(tuple(map(str, config.packs(source)))))
        settings = plan.settings
        report = audit.run(plan).report
        made = row(report, deployment.name, deployment.region, _worker())
        return Outcome(made, {format: zlib.compress(render(report, format).encode()) for format in order.formats})
    except ConfigError as error:
        return _failed(deployment, Audit.FAILED, ExitCode.INCOMPLETE, str(error), settings)
    except PackError as error:
        return _failed(deployment, Audit.BUG, ExitCode.BUG, f"a check pack failed to load: {error}", settings)
    except Exception as error:
        # Before there are settings nobody knows which words are secret.
        reason = f"a bug: {type(error).__name__}" + (f": {error}" if settings is not None else "")
        return _failed(deployment, Audit.BUG, ExitCode.BUG, reason, settings)


def _failed(
    deployment: Deployment, audit: Audit, code: ExitCode, reason: str, settings: Settings | None = None
) -> Outcome:
    scrubbed = reason if settings is None else secrets.of(settings).text(reason)
    return Outcome(nothing(deployment, audit, code, scrubbed, _worker()), {})


def nothing(deployment: Deployment, audit: Audit, code: ExitCode, reason: str, worker: str = "") -> Row:
    """The row of a deployment of which nothing is known, and why."""
    return Row(
        name=deployment.name,
        service=deployment.service,
        environment=deployment.environment,
        target=deployment.target,
        audit=audit,
        code=int(code),
        reason=reason,
        region=deployment.region,
        worker=worker,
    )


def _worker() -> str:
    return f"{platform.node()}:{os.getpid()}"


@cache
def _packs(folders: tuple[str, ...]) -> Registry:
    return load([Path(folder) for folder in folders])


def _registry(folders: tuple[str, ...]) -> Registry:
    """The packs, loaded once in a process."""
    with _loading:
        return _packs(folders)
