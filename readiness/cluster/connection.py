"""A connection to a Dask scheduler, examined before any work goes there."""

from __future__ import annotations

import contextlib
import importlib
import logging
import platform
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from readiness import __version__
from readiness.errors import ConfigError
from readiness.machine import cores

FLAG = "--dask"
CONNECT_SECONDS = 6.0
"""For the first connection, for the first worker, and for a scheduler that went away to come back."""
NO_WORKER_SECONDS = 60.0
"""How long work waits for a worker where none is left: a cluster may be replacing one."""
_LOGGERS = ("distributed", "distributed.client", "distributed.comm", "distributed.core", "tornado")


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker process. `regions` are the resources that it was started with."""

    address: str
    name: str
    host: str
    threads: int
    regions: frozenset[str]


@contextlib.contextmanager
def connect(
    address: str, *, seconds: float = CONNECT_SECONDS, patience: float = NO_WORKER_SECONDS
) -> Iterator[Cluster]:
    """A cluster whose workers were seen to have this version of readiness.

    Args:
        address: such as tcp://scheduler:8786; tls:// takes the certificates of Dask's own configuration.
        patience: seconds that work waits for a worker where none is left.

    Raises:
        ConfigError: Dask is not installed, nothing answers there, there is no worker, or another version on one.
    """
    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError:
        hint = "pip install 'readiness[dask]', here, on the scheduler and on the workers"
        raise ConfigError("Dask is not installed", place=FLAG, hint=hint) from None
    with _quiet():
        try:
            client = distributed.Client(address, timeout=seconds, set_as_default=False, name="readiness")
        except (OSError, ValueError, TimeoutError) as error:
            # Where several attempts were made, the last one's reason is the one that counts.
            reason = str(error.__cause__ or error).strip() or type(error).__name__
            raise ConfigError(f"no scheduler at {address}: {' '.join(reason.split())[:200]}", place=FLAG) from None
        try:
            cluster = Cluster(client, address, seconds, patience)
            cluster.examine()
            yield cluster
        finally:
            with contextlib.suppress(Exception):
                client.close(timeout=2)


class Cluster:
    """What can be asked of a cluster; thread-safe, as Dask's client is."""

    def __init__(self, client: Any, address: str, seconds: float, patience: float) -> None:
        self.client = client
        self.address = address
        self._seconds = seconds
        self._patience = patience
        self._lock = threading.Lock()
        self._seen: dict[str | None, float] = {}
        self._executors: dict[str | None, Executor] = {}
        self.clocks: dict[str, float] = {}
        """Seconds that each worker's clock is ahead of ours, once somebody has compared them."""
        self.cores = 1.0
        """That each worker has to itself, going by the workers of its machine; the least of all."""

    def examine(self) -> None:
        """Raises ConfigError where there is no worker, or not the same version of readiness everywhere."""
        try:
            self.client.wait_for_workers(1, timeout=self._seconds)
        except TimeoutError:
            hint = f"start one with `dask worker {self.address}`"
            raise ConfigError(f"the scheduler at {self.address} has no workers", place=FLAG, hint=hint) from None
        answers = self.client.run(_version, on_error="return")
        self.cores = self._shared({each: found[2] for each, found in answers.items() if isinstance(found, tuple)})
        answers["the scheduler"] = _asked(lambda: self.client.run_on_scheduler(_version))
        for where, found in answers.items():
            if isinstance(found, ModuleNotFoundError):
                hint = "the scheduler and all workers need the same version"
                raise ConfigError(f"readiness is not installed on {where}", place=FLAG, hint=hint)
            if isinstance(found, tuple) and found[:2] != _version()[:2]:
                theirs, ours = (f"readiness {one} on Python {other}" for one, other, _ in (found, _version()))
                raise ConfigError(f"{where} has {theirs}, this is {ours}", place=FLAG)

    def _shared(self, cores: Mapping[str, int]) -> float:
        workers = self.workers
        hosts = Counter(worker.host for worker in workers.values())
        return min((found / hosts[workers[each].host] for each, found in cores.items() if each in workers), default=1.0)

    @property
    def workers(self) -> Mapping[str, Worker]:
        """The workers that there are now, by address, as of the last few seconds."""
        info: Mapping[str, Any] = self.client.scheduler_info(n_workers=-1)
        return {
            address: Worker(
                address, str(entry["name"]), entry["host"], entry["nthreads"], frozenset(entry["resources"])
            )
            for address, entry in info["workers"].items()
        }

    def demand(self, regions: Iterable[str | None]) -> None:
        """Raises ConfigError where no worker has a region that somebody asks for."""
        there = sorted({region for worker in self.workers.values() for region in worker.regions})
        for region in regions:
            if region is not None and region not in there:
                hint = f"there is {', '.join(there)}" if there else f'start one with --resources "{region}=1000"'
                raise ConfigError(f"no worker has the region {region!r}", place=FLAG, hint=hint)

    def executor(self, region: str | None = None) -> Executor:
        """Dask's own executor; every call is made again on another worker where its worker is lost.

        The key under which the scheduler shows a call is the function's name and a random number.
        """
        with self._lock:
            if region not in self._executors:
                resources = {"resources": {region: 1}} if region else {}
                self._executors[region] = self.client.get_executor(pure=False, **resources)
            return self._executors[region]

    @property
    def connected(self) -> bool:
        """Whether the scheduler can be reached just now."""
        return bool(self.client.status == "running")

    def trouble(self, regions: Iterable[str | None]) -> dict[str | None, str]:
        """Why work for these regions cannot go on; nothing where it can, or still may."""
        if self.client.status in ("closing", "closed"):
            return dict.fromkeys(regions, f"the scheduler at {self.address} is gone")
        if not self.connected:
            return {}
        now, workers, found = time.monotonic(), self.workers.values(), {}
        for region in regions:
            if any(region is None or region in worker.regions for worker in workers):
                self._seen[region] = now
            elif now - self._seen.setdefault(region, now) >= self._patience:
                what = "no worker is left" if region is None else f"no worker of region {region} is left"
                found[region] = f"{what}, and none came for {self._patience:.0f} s"
        return found


def _version() -> tuple[str, str, int]:
    """Of readiness, and of Python without its patch level, for what is pickled depends on both; and how many cores."""
    return __version__, platform.python_version().rpartition(".")[0], cores()


def _asked(ask: Any) -> Any:
    try:
        return ask()
    except Exception as error:
        return error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Dask tells on stderr of every connection that is lost; here that is told once, by whoever lost something."""
    before = {name: logging.getLogger(name).level for name in _LOGGERS}
    for name in before:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
