"""What the commands share: options, one message for every error, rendering, exit codes."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from readiness.audit import Plan
    from readiness.config import Source
    from readiness.model import Report

EXIT_CODES = """
Exit codes:

  0  audited; every gate condition met, or no gate asked for

  1  audited; a gate condition not met

  2  usage or configuration error; nothing was contacted

  3  audit incomplete: a configured system could not be reached, or, under a gate, coverage below the minimum

  4  a bug, or a check pack that failed to load

  130  interrupted; the partial report is still written
"""

Url = Annotated[str | None, typer.Argument(help="The service's base URL.", show_default=False)]
Config = Annotated[Path | None, typer.Option("-c", "--config", help="Configuration; ./readiness.yaml where it exists.")]
MongoDB = Annotated[str | None, typer.Option(metavar="URI", help="MongoDB, with the auditor's own account.")]
Redis = Annotated[str | None, typer.Option(metavar="URL", help="Redis or Valkey.")]
Prometheus = Annotated[str | None, typer.Option(metavar="URL", help="The Prometheus that scrapes it.")]
Outputs = Annotated[
    list[str],
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="Also write FILE: .json .html .md; json:FILE forces a format, - is stdout.",
    ),
]
TemplateDir = Annotated[
    Path | None,
    typer.Option("--template-dir", metavar="DIR", help="Templates that replace the bundled ones of the same name."),
]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Show every check, and tracebacks of bugs.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print the overall line only.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colour; NO_COLOR does the same.")]


class Guard:
    """Turns every error into one message and the exit code that the contract names."""

    def __init__(self, verbose: bool) -> None:
        self.verbose = verbose

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, (typer.Exit, SystemExit)):
            return
        from readiness.errors import ConfigError, PackError, ReadinessError
        from readiness.gate import ExitCode

        if isinstance(error, KeyboardInterrupt):
            fail("interrupted", ExitCode.INTERRUPTED)
        if isinstance(error, ConfigError):
            fail(str(error), ExitCode.USAGE)
        if isinstance(error, PackError):
            fail(f"a check pack failed to load:\n{error}", ExitCode.BUG)
        if isinstance(error, ReadinessError):
            fail(str(error), ExitCode.INCOMPLETE)
        if self.verbose:
            return  # the traceback shows
        fail(f"a bug: {type(error).__name__}: {error} (run with -v for the traceback)", ExitCode.BUG)


def fail(message: str, code: int) -> NoReturn:
    from readiness.report.text import clean

    typer.echo(f"readiness: {clean(message)}", err=True)
    raise typer.Exit(code) from None


def say(message: str, quiet: bool) -> None:
    if not quiet:
        typer.echo(message, err=True)


def source_of(path: Path | None) -> Source:
    from readiness import config

    if path is None and config.DEFAULT_FILE.is_file():
        path = config.DEFAULT_FILE
        typer.echo(f"using {path}", err=True)
    return config.read(path) if path is not None else config.Source()


def systems(
    path: Path | None, url: str | None, mongodb: str | None, redis: str | None, prometheus: str | None
) -> Source:
    """The configuration with the systems that flags name."""
    source = source_of(path)
    source.set("http.url", url, "URL")
    source.set("mongodb.uri", mongodb, "--mongodb")
    source.set("redis.url", redis, "--redis")
    source.set("prometheus.url", prometheus, "--prometheus")
    return source


def targets_of(outputs: list[str], template_dir: Path | None = None) -> list[tuple[str, Path | None]]:
    """Format and path of each -o, checked before anything is contacted; the path of `-` is None."""
    from readiness.report import target

    if template_dir is not None:
        from readiness.report.templates import examine

        examine(template_dir)
    return [target(each) for each in outputs]


def run(plan: Plan, quiet: bool) -> tuple[Report, bool]:
    from readiness import audit as auditing
    from readiness.progress import reporter

    with reporter(quiet) as progress:
        audited = auditing.run(plan, progress)
    return audited.report, audited.abandoned


def deliver(
    result: Report,
    targets: list[tuple[str, Path | None]],
    template_dir: Path | None = None,
    *,
    verbose: bool,
    quiet: bool,
    no_color: bool,
) -> None:
    """Writes every file and prints the result. stdout carries the table, or what `-o -` asks for."""
    from readiness import report as formats

    for format, path in targets:
        if path is not None:
            formats.write(path, formats.render(result, format, template_dir))
            say(f"wrote {path}", quiet)
    to_stdout = [format for format, path in targets if path is None]
    with _reader_may_leave():
        for format in to_stdout:
            typer.echo(formats.render(result, format, template_dir), nl=False)
        if not to_stdout:
            from rich.console import Console

            from readiness.report import terminal

            terminal.render(result, Console(no_color=no_color or None), verbose=verbose, quiet=quiet)
        sys.stdout.flush()


@contextlib.contextmanager
def _reader_may_leave() -> Iterator[None]:
    """Lets `| head` close the pipe: the rest goes nowhere, and the exit code stays that of the audit."""
    try:
        yield
    except (BrokenPipeError, SystemExit):  # rich turns the one into the other, with status 1
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def finish(result: Report, abandoned: bool, *, allow_incomplete: bool) -> NoReturn:
    from readiness.gate import exit_code

    code = exit_code(result, allow_incomplete=allow_incomplete)
    if abandoned:
        # A probe still holds a thread in a driver; the interpreter would wait for it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise typer.Exit(code)
