"""readiness load"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from readiness import __version__
from readiness.commands.common import Guard, NoColor, _undisturbed, fail, reader_may_leave, say, warn

if TYPE_CHECKING:
    from readiness.cluster import Senders
    from readiness.load import Merged, Plan, Processes, Progress

LOAD_EXIT_CODES = """
Exit codes:

  0  the load was sent as planned, whatever the answers were

  2  usage error; nothing was contacted

  3  incomplete: not reachable, ended early (429 or 503 with Retry-After, too many errors), or a process was lost

  130  interrupted; the partial result is still printed and written
"""
_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_HEADER = re.compile(r"([^:\s]+):[ \t]*(.*)", re.DOTALL)


def load(
    url: Annotated[str, typer.Argument(metavar="URL", help="What to ask for; only what you may send load to.")],
    rate: Annotated[
        float, typer.Option("-r", "--rate", metavar="N", help="Requests a second; 0: as fast as they are answered.")
    ] = 50,
    duration: Annotated[
        str, typer.Option("-d", "--duration", metavar="TIME", help="Such as 500ms, 30s or 2m.")
    ] = "10s",
    connections: Annotated[
        int, typer.Option("-c", "--connections", metavar="N", help="Kept open; one request at a time on each.")
    ] = 50,
    requests: Annotated[
        int | None, typer.Option("-n", "--requests", metavar="N", help="End after so many requests.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option(metavar="N", help="Share rate and connections among N processes (1).")
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Share them among the workers, or N of them, of this Dask scheduler."),
    ] = None,
    region: Annotated[str | None, typer.Option(metavar="NAME", help="Only workers with this resource.")] = None,
    header: Annotated[
        list[str], typer.Option("-H", "--header", metavar="'NAME: VALUE'", help="Sent with every request; repeatable.")
    ] = [],  # noqa: B006
    method: Annotated[str, typer.Option(metavar="GET|HEAD", help="Nothing that changes data.")] = "GET",
    timeout: Annotated[str, typer.Option(metavar="TIME", help="For one answer, from when it was due.")] = "10s",
    ca_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Certificates (PEM) to trust instead of the system's.")
    ] = None,
    insecure: Annotated[bool, typer.Option("-k", "--insecure", help="Accept any certificate.")] = False,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE", help="Also write FILE as JSON; - is stdout.")
    ] = None,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Show tracebacks of bugs.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Nothing on standard error but warnings.")] = False,
    no_color: NoColor = False,
) -> None:
    """Sends load to one address and prints latency, errors and throughput.

    Requests are due at fixed times, whatever the server does, and latency counts from the due time: a server that
    stalls is seen by every request that it keeps waiting.
    """
    with Guard(verbose):
        from readiness.errors import ConfigError
        from readiness.gate import ExitCode
        from readiness.load import LoadError, run_shards, split, text
        from readiness.load.shards import INTERRUPTED

        path = _target(output)
        plan = _plan(url, rate, duration, connections, requests, header, method.upper(), timeout, ca_file, insecure)
        if region is not None and dask is None:
            raise ConfigError("only the workers of a cluster have regions", place="--region", hint="add --dask ADDRESS")
        try:
            with _senders(plan, processes, dask, region) as executor:
                shards = _checked("--processes", lambda: split(plan, executor.parties))
                say(text.headline(plan), quiet)
                with _progress(plan, executor.progress, quiet, no_color) as look:
                    merged = run_shards(shards, executor, look=look)
        except LoadError as error:
            fail(str(error), ExitCode.INCOMPLETE)
        _deliver(plan, merged, path, quiet)
        for lost in merged.lost:
            warn(str(lost))
        if merged.result.stopped == INTERRUPTED:
            raise typer.Exit(ExitCode.INTERRUPTED)
        raise typer.Exit(ExitCode.OK if merged.complete else ExitCode.INCOMPLETE)


@contextmanager
def _senders(plan: Plan, processes: int | None, dask: str | None, region: str | None) -> Iterator[Processes | Senders]:
    """What sends: so many processes of this machine, or workers of a cluster."""
    from readiness.load import Processes

    if dask is None:
        with Processes(1 if processes is None else processes) as executor:
            yield executor
        return
    from readiness.cluster import Senders, connect

    with connect(dask) as cluster:
        cluster.demand([region])
        with _checked("--processes", lambda: Senders(cluster, processes, region, plan.connections)) as senders:
            yield senders


def _target(output: str | None) -> Path | None:
    """The file to write, or None; a dash is left to `_deliver`."""
    if output is None or output == "-":
        return Path("-") if output else None
    from readiness.errors import ConfigError
    from readiness.report import writable

    path = Path(output.removeprefix("json:"))
    if path.suffix.lower() != ".json" and not output.startswith("json:"):
        raise ConfigError(f"no format for {path.name!r}", place="-o", hint="use .json, or json:FILE")
    writable(path)
    return path


def _plan(
    url: str,
    rate: float,
    duration: str,
    connections: int,
    requests: int | None,
    header: list[str],
    method: str,
    timeout: str,
    ca_file: Path | None,
    insecure: bool,
) -> Plan:
    """The plan as asked for. Raises ConfigError that names the option."""
    from dataclasses import replace

    from readiness.load import LoadError, Plan, address, text
    from readiness.urls import http_url

    plan: Plan = _checked("URL", lambda: Plan(http_url(url)))
    plan = _checked("--rate", lambda: replace(plan, rate=rate))
    plan = _checked("--duration", lambda: replace(plan, duration=_seconds(duration)))
    plan = _checked("--connections", lambda: replace(plan, connections=connections))
    plan = _checked("--requests", lambda: replace(plan, max_requests=requests))
    plan = _checked("--header", lambda: replace(plan, headers=_headers(header)))
    plan = _checked("--method", lambda: replace(plan, method=method))
    plan = _checked("--timeout", lambda: replace(plan, timeout=_seconds(timeout)))
    if ca_file is not None:
        from readiness.config import read_text

        pem = read_text(ca_file, 10_000_000)
        plan = replace(plan, ca_pem=pem)
    plan = replace(plan, verify=not insecure, windows=text.windows(plan))
    try:
        address.tls(plan)
    except LoadError as error:
        from readiness.errors import ConfigError

        raise ConfigError(str(error), place=str(ca_file or "--ca-file")) from None
    return plan


def _checked(place: str, make: Callable[[], Any]) -> Any:
    from readiness.errors import ConfigError

    try:
        return make()
    except ValueError as error:
        raise ConfigError(str(error), place=place) from None


def _seconds(value: str) -> float:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ms|s|m|h|)", value.strip())
    if match is None:
        raise ValueError(f"expected a time such as 10, 500ms, 30s or 2m, not {value!r}")
    return float(match[1]) * _UNITS[match[2]]


def _headers(given: list[str]) -> dict[str, str]:
    headers = {"User-Agent": f"readiness/{__version__}", "Accept": "*/*"}
    for each in given:
        match = _HEADER.fullmatch(each)
        if match is None:  # never quote it: it may be a secret
            raise ValueError("expected 'NAME: VALUE'")
        for name in [name for name in headers if name.lower() == match[1].lower()]:
            del headers[name]
        headers[match[1]] = match[2].strip()
    return headers


def _deliver(plan: Plan, merged: Merged, path: Path | None, quiet: bool) -> None:
    """Prints the summary, or what `-o -` asks for, and writes the file."""
    from readiness.load import text
    from readiness.report import write

    encoded = json.dumps(text.document(plan, merged), indent=2, allow_nan=False) + "\n"
    dash = path == Path("-")
    if path is not None and not dash:
        with _undisturbed():
            write(path, encoded)
    with reader_may_leave():
        sys.stdout.buffer.write((encoded if dash else text.summary(plan, merged) + "\n").encode())
        sys.stdout.flush()
    if path is not None and not dash:
        say(f"wrote {path}", quiet)


# While it runs.


@contextmanager
def _progress(
    plan: Plan, progress: Callable[[], Progress], quiet: bool, no_color: bool
) -> Iterator[Callable[[], object]]:
    """What to call now and then: it keeps a live line on a terminal, and prints a line now and then elsewhere."""
    if quiet:
        yield lambda: None
    elif sys.stderr.isatty():
        yield from _live(plan, progress, no_color)
    else:
        yield _plain(plan, progress)


def _plain(plan: Plan, progress: Callable[[], Progress]) -> Callable[[], object]:
    pause = max(1.0, plan.duration / 10)
    told = progress()

    def look() -> None:
        nonlocal told
        now = progress()
        if now.elapsed - told.elapsed >= pause:
            typer.echo(f"{now.elapsed:.0f} s: {_since(told, now)}", err=True)
            told = now

    return look


def _live(plan: Plan, progress: Callable[[], Progress], no_color: bool) -> Iterator[Callable[[], object]]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Display

    console = Console(stderr=True, no_color=no_color or None)
    columns = (BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}", markup=False))
    with Display(*columns, console=console, transient=True) as display:
        task = display.add_task("connecting", total=plan.duration)
        history = [progress()]

        def look() -> None:
            now = progress()
            if now.elapsed == history[-1].elapsed:
                return
            history.append(now)
            del history[:-6]  # about a second
            display.update(task, completed=min(now.elapsed, plan.duration), description=_since(history[0], now))

        yield look


def _since(before: Progress, now: Progress) -> str:
    seconds, requests = now.elapsed - before.elapsed, now.requests - before.requests
    successes = requests - (now.failed - before.failed)
    mean = f", mean {1000 * (now.seconds - before.seconds) / successes:.3g} ms" if successes > 0 else ""
    return f"{now.requests:,} requests, {requests / seconds:,.0f}/s{mean}, {now.failed:,} errors"
