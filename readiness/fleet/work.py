"""One audit as a function that pickles: a sealed order goes in, plain data comes out.

Whatever thread of whatever process calls it, the audit is made in a process of its own (`forks`). Audits are started
one after the other, so that together they take no more than a share of the processor: an audit whose machine has no
time measures the machine.
"""

from __future__ import annotations

import importlib
import os
import platform
import threading
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from readiness import audit, config, secrets, trust
from readiness.errors import ConfigError, PackError
from readiness.fleet.deployments import Deployment, filled
from readiness.fleet.forks import ForkLost, Forks
from readiness.fleet.overview import Audit, Row, row
from readiness.gate import ExitCode
from readiness.loader import Registry, load
from readiness.report import html, render
from readiness.sealed import Sealed
from readiness.settings import Settings

SHARE = 0.75
"""Of the cores that audits may take: where more are busy, what measures times comes too late."""
FORKS = hasattr(os, "fork")
WARM = ("httpx", "h11", "anyio._backends._asyncio", "httpcore", "sniffio", "readiness.load")
FIRST_GUESS, LEAST, MOST = 0.8, 0.05, 2.0
"""CPU seconds of an audit, before the first has been seen, and the range in which the estimate stays."""


@dataclass(frozen=True, slots=True)
class Order:
    """One deployment to audit. `formats` are those in which its report is wanted, `cores` how many there
    are for the audits of the process that it is sent to."""

    deployment: Deployment
    formats: tuple[str, ...] = ()
    worker_environment: tuple[str, ...] = ()
    cores: float = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an order: the row, and the reports by format, compressed."""

    row: Row
    reports: Mapping[str, bytes]

    def report(self, format: str) -> str:
        """One report as text."""
        return zlib.decompress(self.reports[format]).decode()


class Pace:
    """Spaces the starts of audits by what one costs, so that some cores do for all of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = self._spent = 0.0
        self._ended = 0
        self.cost = FIRST_GUESS
        """CPU seconds of one audit."""

    def turn(self, cores: float) -> None:
        """Waits until it is this thread's turn to start, so that audits take no more than so many cores."""
        with self._lock:
            begin = max(time.monotonic(), self._next)
            self._next = begin + self.cost / cores
        time.sleep(max(0.0, begin - time.monotonic()))

    def ended(self, cost: float) -> None:
        """An audit has ended, and took so many CPU seconds."""
        with self._lock:
            self._ended += 1
            self._spent += cost
            self.cost = min(MOST, max(LEAST, self._spent / self._ended))


_pace = Pace()
_forks = Forks()


def run(order: Sealed) -> Outcome:
    """Audits the deployment of a sealed `Order`; the function that executors are given.

    Raises:
        ForkLost: the process of the audit ended, twice.
    """
    cores = order.open().cores
    for last in (False, True):
        _pace.turn(SHARE * cores)
        try:
            outcome = _forks.call(audited, order) if FORKS else audited(order)
        except ForkLost:
            if last:
                raise
        else:
            _pace.ended(outcome.row.cpu_seconds)
            return outcome
    raise AssertionError


def stop() -> None:
    """Ends every audit of this process."""
    _forks.close()


def warm() -> None:
    """Imports everything that most audits need, loads the bundled checks, and compiles the report's templates."""
    registry = _registry(())
    for spec in registry.probes.values():
        for driver in spec.drivers:
            importlib.import_module(driver)
    for module in WARM:
        importlib.import_module(module)
    config.settings_model(registry)
    trust.system()
    html.prepared(None).get_template(html.TEMPLATE)


def audited(sealed: Sealed) -> Outcome:
    """Makes the audit here and now; nothing is raised."""
    order: Order = sealed.open()
    outcome = _audited(order)
    return replace(outcome, row=replace(outcome.row, cpu_seconds=round(time.process_time(), 3)))


def _audited(order: Order) -> Outcome:
    deployment = order.deployment
    settings: Settings | None = None
    try:
        data = filled(deployment.data, order.worker_environment, os.environ)
        source = config.Source(data, {(): deployment.place})
        plan = audit.prepare(source, registry=_registry(tuple(map(str, config.packs(source)))))
        settings = plan.settings
        report = audit.run(plan, crowded=FORKS).report
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
def _registry(folders: tuple[str, ...]) -> Registry:
    """The packs, loaded once in a process."""
    return load([Path(folder) for folder in folders])
