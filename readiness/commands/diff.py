"""readiness diff"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from readiness.commands import pipeline
from readiness.commands.common import (
    Guard,
    NoColor,
    NoRegression,
    Quiet,
    TemplateDir,
    Verbose,
    reader_may_leave,
    say,
    target_of,
    warn,
)

if TYPE_CHECKING:
    from readiness.model import Report

FORMATS = {"json": (".json",), "md": (".md", ".markdown")}


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD.json", help="The earlier report.")],
    new: Annotated[Path, typer.Argument(metavar="NEW.json", help="The later report.")],
    output: Annotated[
        list[str],
        typer.Option("-o", "--output", metavar="FILE", help="Also write FILE: .json or .md; - is stdout, as JSON."),
    ] = [],  # noqa: B006
    no_regression: NoRegression = None,
    template_dir: TemplateDir = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Says what changed between two saved reports, split by cause; contacts nothing."""
    with Guard(verbose, quiet):
        from readiness import diff as differences
        from readiness import gate
        from readiness.config import read_text
        from readiness.model import Gate
        from readiness.report import json_format

        targets = [target_of(each, FORMATS) for each in output]
        tolerance = None if no_regression is None else _points(no_regression)
        before, after = (json_format.load(read_text(path), str(path)) for path in (old, new))
        comparison = differences.compare(before, after)
        verdict = Gate(None)
        if tolerance is not None:
            conditions = tuple(gate.no_regression(comparison, tolerance, after.components))
            verdict = Gate(all(condition.passed for condition in conditions), conditions)
        result = replace(after, comparison=comparison, gate=verdict)
        _deliver(result, targets, template_dir, verbose=verbose, quiet=quiet, no_color=no_color)
        if tolerance is None:
            raise typer.Exit(gate.ExitCode.OK)
        # An interrupted audit is an incomplete one to whoever compares it; this process was not interrupted.
        raise typer.Exit(
            gate.exit_code(replace(result, interrupted=False, incomplete=after.incomplete or after.interrupted))
        )


def _deliver(
    result: Report,
    targets: list[tuple[str, Path | None]],
    template_dir: Path | None,
    *,
    verbose: bool,
    quiet: bool,
    no_color: bool,
) -> None:
    from rich.console import Console

    from readiness import report as formats
    from readiness.report import changes

    comparison = result.comparison
    assert comparison is not None
    renderers: dict[str, Callable[[], str]] = {
        "json": lambda: changes.to_json(comparison, result.gate),
        "md": lambda: changes.to_markdown(result, template_dir),
    }
    for format, path in targets:
        if path is not None:
            formats.write(path, renderers[format]())
            say(f"wrote {path}", quiet)
    to_stdout = [format for format, path in targets if path is None]
    stream = pipeline.log(sys.stdout)
    with reader_may_leave():
        for format in to_stdout:
            stream.write(renderers[format]())
        if not to_stdout:
            changes.to_terminal(result, Console(file=stream, no_color=no_color or None), verbose=verbose, quiet=quiet)
        sys.stdout.flush()
    if to_stdout or quiet:
        for sentence in comparison.warnings:
            warn(sentence)


def _points(text: str) -> float:
    from readiness.errors import ConfigError

    try:
        points = float(text)
    except ValueError:
        points = -1
    if not 0 <= points <= 10:
        raise ConfigError(f"{text!r} is no number of points between 0 and 10", place="--no-regression")
    return points
