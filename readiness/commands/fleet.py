"""readiness fleet"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from readiness.commands import pipeline
from readiness.commands.common import (
    Guard,
    NoColor,
    Quiet,
    TemplateDir,
    Verbose,
    reader_may_leave,
    say,
    target_of,
    warn,
)

if TYPE_CHECKING:
    from readiness.fleet.deployments import Fleet
    from readiness.fleet.overview import Overview
    from readiness.fleet.running import Folder, Where

FORMATS = {"json": (".json",), "html": (".html", ".htm")}
JOBS_A_CORE = 16
"""Audits at a time for each core: most of them wait."""
Targets = list[tuple[str, Path | None]]

FLEET_EXIT_CODES = """
Exit codes:

  0  every deployment audited; every gate condition met, or no gate asked for

  1  every deployment audited; a gate condition of one or more not met

  2  usage or configuration error; nothing was contacted

  3  a deployment was not audited, or not fully: an unreachable system, a lost worker, coverage below the minimum

  4  a bug, or a check pack that failed to load

  130  interrupted; the overview of what was finished is still written, and --resume continues
"""


def fleet(
    file: Annotated[Path, typer.Argument(metavar="FLEET.yaml", help="The deployments.", show_default=False)],
    output: Annotated[
        list[str],
        typer.Option("-o", "--output", metavar="FILE", help="Also write FILE: .html or .json; - is stdout, as JSON."),
    ] = [],  # noqa: B006
    reports: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where each deployment's report goes; NAME-reports beside the first -o."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Leave out what an earlier run finished, by its reports.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=5000, help=f"Audits at a time ({JOBS_A_CORE} for each core)."),
    ] = None,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="On the workers of this Dask scheduler: tcp://HOST:8786.")
    ] = None,
    fail_under: Annotated[
        float | None, typer.Option(metavar="N", help="Gate: the score of every deployment at least N.")
    ] = None,
    fail_on: Annotated[
        str | None, typer.Option(metavar="SEVERITY", help="Gate: nothing of this severity or graver is wrong anywhere.")
    ] = None,
    min_coverage: Annotated[
        float | None, typer.Option(metavar="PCT", help="Gate: at least PCT of the weight was judged, everywhere (80).")
    ] = None,
    template_dir: TemplateDir = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Audits many deployments at the same time and prints one overview, worst first.

    The file lists deployments: each a configuration of its own, the name of a file with one, or a pattern of files.
    """
    with Guard(verbose, quiet):
        from readiness.errors import ConfigError
        from readiness.fleet import deployments, running, terminal

        targets = _targets(output)
        if dask is not None and jobs is not None:
            hint = "a Dask worker makes as many audits at a time as it has threads"
            raise ConfigError("--jobs and --dask exclude each other", place="--jobs", hint=hint)
        flags = (
            ("gate.fail_under", fail_under, "--fail-under"),
            ("gate.fail_on", fail_on, "--fail-on"),
            ("gate.min_coverage", min_coverage, "--min-coverage"),
        )
        read = deployments.read(file, flags)
        folder = _folder(reports, resume, targets)
        if folder is not None:
            folder.make()
        total = len(read.deployments)
        say(f"{read.name}: {total} deployment{'s' * (total != 1)}", quiet)
        with _where(read, dask, jobs) as where, terminal.reporter(total, quiet, no_color) as progress:
            result, problem = running.run(
                read, where, folder=folder, resume=resume, progress=progress, notices=_notices(read, dask)
            )
        _deliver(result, targets, folder, template_dir, verbose=verbose, quiet=quiet, no_color=no_color)
        if problem is not None:
            raise problem
        raise typer.Exit(result.code)


def _targets(outputs: list[str]) -> Targets:
    from readiness.errors import ConfigError

    targets = [target_of(each, FORMATS) for each in outputs]
    places = [None if path is None else path.resolve() for _, path in targets]
    for each, place in zip(outputs, places, strict=True):
        if places.count(place) > 1:
            raise ConfigError(f"{each}: two formats for one place", place="-o", hint="give each its own file")
    return targets


def _folder(reports: Path | None, resume: bool, targets: Targets) -> Folder | None:
    """Where the reports go, as HTML as well where the overview is HTML; None where nothing asks for them."""
    from readiness.errors import ConfigError
    from readiness.fleet.running import Folder

    first = next((path for _, path in targets if path is not None), None)
    path = reports or (None if first is None else first.with_name(f"{first.stem}-reports"))
    if path is None:
        if resume:
            raise ConfigError("there are no reports to go by", place="--resume", hint="add --reports DIR, or -o FILE")
        return None
    html = any(format == "html" for format, _ in targets)
    return Folder(path, ("json", "html") if html else ("json",))


@contextlib.contextmanager
def _where(read: Fleet, address: str | None, jobs: int | None) -> Iterator[Where]:
    from readiness.fleet.running import Where

    if address is not None:
        from readiness.cluster import connect

        with connect(address) as cluster:
            cluster.demand(dict.fromkeys(each.region for each in read.deployments))
            yield Where(cluster.executor, cluster.trouble, lambda: cluster.connected, cluster.cores)
        return
    from concurrent.futures import ThreadPoolExecutor

    from readiness.fleet import work
    from readiness.machine import cores

    with ThreadPoolExecutor(min(jobs or JOBS_A_CORE * cores(), len(read.deployments))) as executor:
        try:
            yield Where(lambda region: executor, cores=cores())
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
            work.stop()


def _notices(read: Fleet, address: str | None) -> tuple[str, ...]:
    regions = dict.fromkeys(each.region for each in read.deployments if each.region is not None)
    if regions and address is None:
        return (f"audited from here, although a region is named for some: {', '.join(regions)} (--dask)",)
    return ()


def _deliver(
    result: Overview,
    targets: Targets,
    folder: Folder | None,
    template_dir: Path | None,
    *,
    verbose: bool,
    quiet: bool,
    no_color: bool,
) -> None:
    from rich.console import Console

    from readiness import report as formats
    from readiness.fleet import document, html, terminal

    def text(format: str, path: Path | None) -> str:
        beside = Path() if path is None else path.parent
        to = "" if folder is None else Path(os.path.relpath(folder.path, beside)).as_posix()
        own = replace(result, folder=to)
        return html.render(own, template_dir) if format == "html" else document.render(own)

    for format, path in targets:
        if path is not None:
            formats.write(path, text(format, path))
            say(f"wrote {path}", quiet)
    to_stdout = [format for format, path in targets if path is None]
    stream = pipeline.log(sys.stdout)
    with reader_may_leave():
        for format in to_stdout:
            stream.write(text(format, None))
        if not to_stdout:
            terminal.render(result, Console(file=stream, no_color=no_color or None), verbose=verbose, quiet=quiet)
        sys.stdout.flush()
    if to_stdout or quiet:
        for row in result.below:
            warn(f"gate not passed: {row.name}: {'; '.join(row.unmet)}")
    if folder is not None and result.interrupted:
        say("--resume continues", quiet)
