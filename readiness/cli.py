"""The command line: parse, call, print, exit. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from readiness import __version__

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

app = typer.Typer(
    name="readiness",
    help="Audits a live deployment, read-only, and scores whether it is ready for production.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    rich_markup_mode=None,
)

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


def _version(value: bool) -> None:
    if value:
        typer.echo(f"readiness {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command(epilog=EXIT_CODES)
def audit(
    url: Url = None,
    config: Config = None,
    mongodb: MongoDB = None,
    redis: Redis = None,
    metrics: Annotated[str | None, typer.Option(metavar="PATH|URL", help="Where the service exposes metrics.")] = None,
    prometheus: Prometheus = None,
    output: Outputs = [],  # noqa: B006  (typer copies it)
    fail_under: Annotated[float | None, typer.Option(metavar="N", help="Gate: overall score at least N.")] = None,
    component: Annotated[
        list[str], typer.Option(metavar="NAME=N", help="Gate: this component's score at least N.")
    ] = [],  # noqa: B006
    fail_on: Annotated[
        str | None, typer.Option(metavar="SEVERITY", help="Gate: nothing of this severity or graver is wrong.")
    ] = None,
    min_coverage: Annotated[
        float | None, typer.Option(metavar="PCT", help="Gate: at least PCT of the weight was judged (80).")
    ] = None,
    allow_incomplete: Annotated[
        bool, typer.Option("--allow-incomplete", help="Do not exit with 3 for what could not be judged.")
    ] = False,
    only: Annotated[list[str], typer.Option(metavar="GLOB", help="Judge only these checks.")] = [],  # noqa: B006
    skip: Annotated[list[str], typer.Option(metavar="GLOB", help="Leave these out; they count as 0.")] = [],  # noqa: B006
    save_facts: Annotated[Path | None, typer.Option(metavar="FILE", help="Save what was collected.")] = None,
    facts: Annotated[Path | None, typer.Option(metavar="FILE", help="Judge saved facts; contacts nothing.")] = None,
    timeout: Annotated[float | None, typer.Option(metavar="S", help="Seconds for the whole audit (120).")] = None,
    load: Annotated[bool, typer.Option("--load", help="Permit the checks that send load.")] = False,
    template_dir: TemplateDir = None,
    measured_only: Annotated[
        bool, typer.Option("--measured-only", help="Ignore attestations: what is only declared is not tested.")
    ] = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Audits a live deployment and prints its score."""
    with _Guard(verbose):
        from readiness import audit as auditing

        source = _systems(config, url, mongodb, redis, prometheus)
        source.set("http.metrics", metrics, "--metrics")
        source.set("gate.fail_under", fail_under, "--fail-under")
        source.set("gate.fail_on", fail_on, "--fail-on")
        source.set("gate.min_coverage", min_coverage, "--min-coverage")
        source.set("limits.audit_seconds", timeout, "--timeout")
        source.set("load.allow", load or None, "--load")
        source.set("attestations.measured_only", measured_only or None, "--measured-only")
        for pair in component:
            name, _, value = pair.partition("=")
            source.set(f"gate.components.{name}", value, "--component")
        plan = auditing.prepare(source, only=tuple(only), skip=tuple(skip), facts=facts, save_facts=save_facts)
        targets = _targets(output, template_dir)
        result, abandoned = _run(plan, quiet)
        _deliver(result, targets, template_dir, verbose=verbose, quiet=quiet, no_color=no_color)
        _finish(result, abandoned, allow_incomplete=allow_incomplete)


@app.command(epilog=EXIT_CODES)
def demo(
    stage: Annotated[
        str, typer.Option(help="current: as it is. production: with every recommendation applied.")
    ] = "current",
    output: Outputs = [],  # noqa: B006
    verbose: Verbose = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Starts an embedded marketplace on loopback, audits it like any other deployment, and stops it."""
    with _Guard(verbose):
        from readiness import audit as auditing
        from readiness import demo as embedded
        from readiness.config import Source
        from readiness.errors import ConfigError

        if stage not in embedded.STAGES:
            raise ConfigError(f"no stage {stage!r}", place="--stage", hint=f"one of {', '.join(embedded.STAGES)}")
        targets = _targets(output)
        _say(f"starting the {stage} deployment on loopback ...", quiet)
        with embedded.deployment(stage) as running:
            for sentence in running.missing:
                _say(sentence, False)
            plan = auditing.prepare(Source(running.config))
            report, abandoned = _run(plan, quiet)
            _deliver(report, targets, verbose=verbose, quiet=quiet, no_color=no_color)
        _finish(report, abandoned, allow_incomplete=False)


@app.command()
def doctor(
    url: Url = None,
    config: Config = None,
    mongodb: MongoDB = None,
    redis: Redis = None,
    prometheus: Prometheus = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Says what the audit can reach and which rights it lacks; gives no score. Exits with 3 where it lacks any."""
    with _Guard(verbose):
        from readiness import audit as auditing
        from readiness import doctor as surgery
        from readiness.gate import ExitCode
        from readiness.progress import reporter

        source = _systems(config, url, mongodb, redis, prometheus)
        with reporter(quiet) as progress:
            diagnosis = surgery.examine(auditing.prepare(source), progress)
        for name, system in sorted(diagnosis.systems.items()):
            detail = system.reason or (f"needs {system.needs}" if system.needs else f"{system.seconds:.1f} s")
            typer.echo(f"{name.removesuffix('Facts'):<16} {system.outcome.value.replace('_', ' '):<15} {detail}")
        for right, ids in diagnosis.lacking.items():
            typer.echo(f"\nwithout {right}, {len(ids)} checks cannot be judged: {', '.join(ids)}")
        for name, account in diagnosis.accounts.items():
            typer.echo(f"\nthe least rights for {name.removesuffix('Facts')}:\n{account}")
        raise typer.Exit(ExitCode.OK if diagnosis.healthy else ExitCode.INCOMPLETE)


@app.command()
def report(
    file: Annotated[Path, typer.Argument(help="A report written with -o FILE.json.")],
    output: Outputs = [],  # noqa: B006
    template_dir: TemplateDir = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Renders a saved report again; contacts nothing."""
    with _Guard(verbose):
        from readiness.config import read_text
        from readiness.report import json_format

        targets = _targets(output, template_dir)
        saved = json_format.load(read_text(file), str(file))
        _deliver(saved, targets, template_dir, verbose=verbose, quiet=quiet, no_color=no_color)


@app.command()
def checks(
    glob: Annotated[str, typer.Argument(help="Which checks, such as 'database.*'.")] = "*",
    config: Annotated[Path | None, typer.Option("-c", "--config", help="For the packs that it names.")] = None,
) -> None:
    """Lists the checks: id, severity, title."""
    with _Guard(False):
        from rich.console import Console
        from rich.table import Table

        from readiness import config as configuration
        from readiness.errors import ConfigError
        from readiness.judge import matches
        from readiness.loader import load

        registry = load(configuration.packs(_source(config)))
        found = [spec for spec in registry.checks.values() if matches(spec.id, (glob,))]
        if not found:
            raise ConfigError(f"no check matches {glob!r}", hint=configuration.nearest(glob, registry.checks))
        found.sort(key=lambda spec: spec.id)
        if not sys.stdout.isatty():  # one line a check, for grep and cut
            for spec in found:
                typer.echo(f"{spec.id}\t{spec.severity}\t{spec.title}")
            return
        table = Table("id", "severity", "title", box=None, pad_edge=False)
        for spec in found:
            table.add_row(spec.id, spec.severity.value, spec.title)
        Console().print(table)


@app.command()
def explain(
    id: Annotated[str, typer.Argument(help="A check's id.")],
    config: Annotated[Path | None, typer.Option("-c", "--config", help="For the packs that it names.")] = None,
) -> None:
    """Explains one check: why, thresholds, rights, fix."""
    with _Guard(False):
        from readiness import config as configuration
        from readiness.errors import ConfigError
        from readiness.loader import load

        registry = load(configuration.packs(_source(config)))
        if id not in registry.checks:
            raise ConfigError(f"no check {id!r}", hint=configuration.nearest(id, registry.checks))
        spec = registry.checks[id]
        rows = {
            "severity": spec.severity.value,
            "requires": ", ".join(spec.requires),
            "privilege": spec.privilege,
            "settings": ", ".join(f"{name}={entry.default!r}" for name, entry in spec.settings.items()),
            "fix": spec.fix,
            "effort": spec.effort,
            "verify": spec.verify,
            "reference": spec.reference,
            "source": spec.source,
        }
        typer.echo(f"{spec.id}\n\n{spec.title}.\n\n{spec.explanation}\n")
        for name, value in rows.items():
            if value:
                typer.echo(f"{name + ':':11}{value}")


def main() -> None:
    """The installed command."""
    signal.signal(signal.SIGTERM, _interrupt)
    app()


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


class _Guard:
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
            _fail("interrupted", ExitCode.INTERRUPTED)
        if isinstance(error, ConfigError):
            _fail(str(error), ExitCode.USAGE)
        if isinstance(error, PackError):
            _fail(f"a check pack failed to load:\n{error}", ExitCode.BUG)
        if isinstance(error, ReadinessError):
            _fail(str(error), ExitCode.INCOMPLETE)
        if self.verbose:
            return  # the traceback shows
        _fail(f"a bug: {type(error).__name__}: {error} (run with -v for the traceback)", ExitCode.BUG)


def _fail(message: str, code: int) -> NoReturn:
    from readiness.report.text import clean

    typer.echo(f"readiness: {clean(message)}", err=True)
    raise typer.Exit(code) from None


def _say(message: str, quiet: bool) -> None:
    if not quiet:
        typer.echo(message, err=True)


def _source(path: Path | None) -> Source:
    from readiness import config

    if path is None and config.DEFAULT_FILE.is_file():
        path = config.DEFAULT_FILE
        typer.echo(f"using {path}", err=True)
    return config.read(path) if path is not None else config.Source()


def _systems(
    path: Path | None, url: str | None, mongodb: str | None, redis: str | None, prometheus: str | None
) -> Source:
    """The configuration with the systems that flags name."""
    source = _source(path)
    source.set("http.url", url, "URL")
    source.set("mongodb.uri", mongodb, "--mongodb")
    source.set("redis.url", redis, "--redis")
    source.set("prometheus.url", prometheus, "--prometheus")
    return source


def _targets(outputs: list[str], template_dir: Path | None = None) -> list[tuple[str, Path | None]]:
    """Format and path of each -o, checked before anything is contacted; the path of `-` is None."""
    from readiness.report import target

    if template_dir is not None:
        from readiness.report.templates import examine

        examine(template_dir)
    return [target(each) for each in outputs]


def _run(plan: Plan, quiet: bool) -> tuple[Report, bool]:
    from readiness import audit as auditing
    from readiness.progress import reporter

    with reporter(quiet) as progress:
        audited = auditing.run(plan, progress)
    return audited.report, audited.abandoned


def _deliver(
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
            _say(f"wrote {path}", quiet)
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


def _finish(result: Report, abandoned: bool, *, allow_incomplete: bool) -> NoReturn:
    from readiness.gate import exit_code

    code = exit_code(result, allow_incomplete=allow_incomplete)
    if abandoned:
        # A probe still holds a thread in a driver; the interpreter would wait for it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise typer.Exit(code)
