"""What the commands share: options, one message for every error, rendering, exit codes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NoReturn

import typer
import typer.core

from readiness.commands import pipeline

if TYPE_CHECKING:
    from readiness.audit import Audited, Plan
    from readiness.config import Source
    from readiness.gate import ExitCode
    from readiness.model import Report

EXIT_CODES = """
Exit codes:

  0  audited; every gate condition met, or no gate asked for

  1  audited; a gate condition not met

  2  usage or configuration error; nothing was contacted

  3  audit incomplete: a configured system could not be reached, or, under a gate, coverage below the minimum (80 %)

  4  a bug, or a check pack that failed to load

  130  interrupted; the partial report is still written
"""

Url = Annotated[str | None, typer.Argument(help="The service's base URL.", show_default=False)]
Config = Annotated[Path | None, typer.Option("-c", "--config", help="Configuration; ./readiness.yaml where it exists.")]
MongoDB = Annotated[str | None, typer.Option(metavar="URI", help="MongoDB, with the auditor's own account.")]
Redis = Annotated[str | None, typer.Option(metavar="URL", help="Redis or Valkey.")]
Prometheus = Annotated[str | None, typer.Option(metavar="URL", help="The Prometheus that scrapes it.")]
Kubernetes = Annotated[
    str | None,
    typer.Option(
        metavar="CONTEXT/NAMESPACE", help="Where it runs; /NAMESPACE for the kubeconfig's current context, or in a pod."
    ),
]
Outputs = Annotated[
    list[str],
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="Also write FILE: .json .html .md .xml (JUnit) .sarif .svg (badge) .csv .prom; FORMAT:FILE forces one of "
        "these, or gitlab, github, md-short; - is stdout.",
    ),
]
TemplateDir = Annotated[
    Path | None,
    typer.Option("--template-dir", metavar="DIR", help="Templates that replace the bundled ones of the same name."),
]
NoRegression = Annotated[
    str | None,
    typer.Option(
        "--no-regression", metavar="[=N]", help="Gate: no score fell below the older one, or by more than N points."
    ),
]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Show every check, and tracebacks of bugs.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print the overall line only.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colour; NO_COLOR does the same.")]


class OptionalValues(typer.core.TyperCommand):
    """A command with options that may stand alone or carry a value after `=`, and never take the next argument."""

    ALONE: ClassVar[Mapping[str, str]] = {"--no-regression": "0", "--history": ".readiness/history.db"}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        alone = [f"{each}={self.ALONE[each]}" if each in self.ALONE else each for each in args[:end]]
        return super().parse_args(ctx, [*alone, *args[end:]])


class Guard:
    """Turns every error into one message and the exit code that the contract names."""

    def __init__(self, verbose: bool, quiet: bool = False) -> None:
        self.verbose = verbose
        self.quiet = quiet

    def __enter__(self) -> None:
        if self.verbose and self.quiet:
            from readiness.gate import ExitCode

            fail("-q and -v exclude each other", ExitCode.USAGE)

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
            import traceback

            fail("a bug:\n" + "".join(traceback.format_exception(error)).rstrip(), ExitCode.BUG)
        fail(f"a bug: {type(error).__name__}: {error} (run with -v for the traceback)", ExitCode.BUG)


def fail(message: str, code: int) -> NoReturn:
    typer.echo(_message(message), err=True)
    raise typer.Exit(code) from None


def _message(message: str) -> str:
    from readiness.report.text import clean
    from readiness.secrets import masked

    text = f"readiness: {clean(masked(message))}"
    return pipeline.fit(text, sys.stderr)


def warn(message: str) -> None:
    """Says on stderr, even where --quiet was given, what a reader of the exit code alone would miss."""
    typer.echo(_message(f"warning: {message}"), err=True)


def say(message: str, quiet: bool) -> None:
    if not quiet:
        typer.echo(message, err=True)


def source_of(path: Path | None, *, lenient: bool = False) -> Source:
    """The configuration; `lenient` where only its packs are of interest, and not the secrets of a deployment."""
    from readiness import config

    if path is None and config.DEFAULT_FILE.is_file():
        path = config.DEFAULT_FILE
        typer.echo(f"using {path}", err=True)
    return config.read(path, lenient=lenient) if path is not None else config.Source()


def systems(
    path: Path | None,
    url: str | None,
    mongodb: str | None,
    redis: str | None,
    prometheus: str | None,
    kubernetes: str | None = None,
) -> Source:
    """The configuration with the systems that flags name."""
    source = source_of(path)
    source.set("http.url", url, "URL")
    source.set("mongodb.uri", mongodb, "--mongodb")
    source.set("redis.url", redis, "--redis")
    source.set("prometheus.url", prometheus, "--prometheus")
    _set_kubernetes(source, kubernetes)
    return source


def _set_kubernetes(source: Source, value: str | None) -> None:
    from readiness.errors import ConfigError

    if value is None:
        return
    # The names of contexts hold slashes, those of namespaces do not.
    context, slash, namespace = value.rpartition("/")
    if not slash or value == "/":
        hint = "CONTEXT/NAMESPACE, or /NAMESPACE for the current context, or CONTEXT/ for its own namespace"
        raise ConfigError(f"{value!r} is not CONTEXT/NAMESPACE", place="--kubernetes", hint=hint)
    source.set("kubernetes.context", context or None, "--kubernetes")
    source.set("kubernetes.namespace", namespace or None, "--kubernetes")


def targets_of(outputs: list[str], template_dir: Path | None = None) -> list[tuple[str, Path | None]]:
    """Format and path of each -o, checked before anything is contacted; the path of `-` is None."""
    from readiness.errors import ConfigError
    from readiness.report import target

    if template_dir is not None:
        from readiness.report.templates import examine

        examine(template_dir)
    targets = [target(each) for each in outputs]
    places = ["-" if path is None else str(path.resolve()) for _, path in targets]
    for output, place in zip(outputs, places, strict=True):
        if places.count(place) > 1 and place != os.devnull:
            raise ConfigError(f"{output}: two formats for one place", place="-o", hint="give each its own file")
    return targets


def target_of(output: str, extensions: Mapping[str, tuple[str, ...]]) -> tuple[str, Path | None]:
    """Format and path of one -o of a command with formats of its own, by name with their extensions.

    Without a name, `-` is the first of them.
    """
    from readiness.errors import ConfigError
    from readiness.report import writable

    name, _, rest = output.partition(":")
    if name not in extensions or not rest:
        name, rest = "", output
    if rest == "-":
        return name or next(iter(extensions)), None
    path = Path(rest)
    format = name or next((each for each, ends in extensions.items() if path.suffix.lower() in ends), "")
    if not format:
        known = ", ".join(end for ends in extensions.values() for end in ends[:1])
        hint = f"use {known}, or FORMAT:FILE with one of {', '.join(extensions)}"
        raise ConfigError(f"no format for {path.name!r}", place="-o", hint=hint)
    writable(path)
    return format, path


def run(plan: Plan, quiet: bool) -> Audited:
    from readiness import audit as auditing
    from readiness.progress import reporter

    with reporter(quiet) as progress:
        return auditing.run(plan, progress)


def deliver(
    result: Report,
    targets: list[tuple[str, Path | None]],
    template_dir: Path | None = None,
    *,
    verbose: bool,
    quiet: bool,
    no_color: bool,
    tell_ci: bool = False,
    earlier: Iterable[Exception] = (),
) -> Exception | None:
    """Writes every file, prints the result and tells the CI system. stdout carries the table, or what `-o -` asks for.

    A format that cannot be made or written keeps none of the others from it. Returns the last such problem, for
    `finish`; those before it are printed, and `earlier` ones, of the audit itself, first.
    """
    from readiness import report as formats
    from readiness.errors import ConfigError

    problems = list(earlier)
    with _undisturbed():
        for format, path in targets:
            if path is not None:
                with _collecting(problems):
                    formats.write(path, formats.render(result, format, template_dir))
                    say(f"wrote {path}", quiet)
    to_stdout = [format for format, path in targets if path is None]
    texts = []
    for format in to_stdout:
        with _collecting(problems):
            text = formats.render(result, format, template_dir)
            texts.append(text if format == "github" else pipeline.fit(text, sys.stdout))
    try:
        with reader_may_leave():
            for text in texts:
                sys.stdout.buffer.write(text.encode())  # UTF-8, as in a file, whatever the locale
            if not to_stdout:
                from rich.console import Console

                from readiness.report import terminal

                console = Console(file=pipeline.log(sys.stdout), no_color=no_color or None)
                terminal.render(result, console, verbose=verbose, quiet=quiet)
            sys.stdout.flush()
    except ConfigError as error:
        problems.append(error)
    if to_stdout or quiet:
        _explain(result)
    if tell_ci:
        pipeline.publish(result)
    for problem in problems[:-1]:
        _complain(problem)
    return problems[-1] if problems else None


@contextlib.contextmanager
def _collecting(problems: list[Exception]) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except Exception as error:
        problems.append(error)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Lets a first interrupt wait until what is inside is done; a second one is obeyed at once."""
    waiting: list[int] = []
    both = (signal.SIGINT, signal.SIGTERM)

    def wait(number: int, frame: object) -> None:
        waiting.append(number)
        for each in both:
            signal.signal(each, before[each])

    before = {each: signal.signal(each, wait) or signal.SIG_DFL for each in both}
    try:
        yield
    finally:
        for each in both:
            signal.signal(each, before[each])
    if waiting:
        raise KeyboardInterrupt


def _complain(problem: Exception) -> ExitCode:
    """Prints why an output is missing; the exit code for it."""
    from readiness.errors import ConfigError
    from readiness.gate import ExitCode

    ours = isinstance(problem, ConfigError)
    typer.echo(_message(str(problem) if ours else f"a bug: {type(problem).__name__}: {problem}"), err=True)
    return ExitCode.USAGE if ours else ExitCode.BUG


def _explain(result: Report) -> None:
    """Why the exit code will not be 0, for those who do not see the table."""
    from readiness.report import wording
    from readiness.report.text import one_line

    if result.interrupted:
        typer.echo(_message("interrupted: the report is partial"), err=True)
    for condition in result.gate.conditions:
        if not condition.passed:
            typer.echo(_message(one_line(f"gate not passed: {wording.unmet(condition)}")), err=True)
    for name, reason in wording.unreached(result):
        typer.echo(_message(one_line(f"the audit is incomplete: {name}: {reason}")), err=True)


@contextlib.contextmanager
def reader_may_leave() -> Iterator[None]:
    """Lets `| head` close the pipe: the rest goes nowhere, and the exit code stays that of the audit.

    Raises ConfigError where stdout cannot be written for another reason, such as a full disk.
    """
    from readiness.errors import ConfigError

    try:
        yield
    except (BrokenPipeError, SystemExit):  # rich turns the one into the other, with status 1
        _drop_the_rest()
    except OSError as error:
        _drop_the_rest()
        raise ConfigError(f"cannot write to standard output: {error.strerror or error}") from None


def put(text: str, *, nl: bool = True) -> None:
    """Prints what was asked for; see `reader_may_leave`."""
    with reader_may_leave():
        typer.echo(text, nl=nl)


def _drop_the_rest() -> None:
    """What is still in the buffer of stdout would be tried again when the process ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def finish(result: Report, abandoned: bool, problem: Exception | None = None) -> NoReturn:
    """Ends the process; with a `problem` of an output that could not be written, by what that is."""
    from readiness.gate import exit_code

    code = exit_code(result) if problem is None else _complain(problem)
    if abandoned:
        # A probe still holds a thread in a driver; the interpreter would wait for it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise typer.Exit(code)
