"""readiness history"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from readiness.commands import pipeline
from readiness.commands.common import Config, Guard, NoColor, Verbose, reader_may_leave, say, target_of

FORMATS = {"json": (".json",), "csv": (".csv",)}
DEFAULT_FILE = Path(".readiness/history.db")


def history(
    file: Annotated[Path | None, typer.Argument(help="The file that --history wrote.", show_default=False)] = None,
    config: Config = None,
    service: Annotated[str | None, typer.Option(metavar="NAME", help="This service alone.")] = None,
    last: Annotated[int, typer.Option(metavar="N", min=1, help="At most so many audits of each service.")] = 30,
    output: Annotated[
        list[str],
        typer.Option("-o", "--output", metavar="FILE", help="Also write FILE: .json or .csv; - is stdout, as JSON."),
    ] = [],  # noqa: B006
    verbose: Verbose = False,
    no_color: NoColor = False,
) -> None:
    """Shows the scores of the audits that --history recorded, with a trend for each component."""
    with Guard(verbose):
        from rich.console import Console

        from readiness import config as configuration
        from readiness import history as recorded
        from readiness import report as formats
        from readiness.errors import ConfigError
        from readiness.report import trend

        targets = [target_of(each, FORMATS) for each in output]
        path = file or _configured(config)
        runs = recorded.runs(path, service, last)
        if service is not None and not runs:
            known = dict.fromkeys(run.service for run in recorded.runs(path, last=1))
            raise ConfigError(f"no audit of {service!r} in {path}", hint=configuration.nearest(service, known))
        for format, target in targets:
            if target is not None:
                formats.write(target, trend.FORMATS[format](runs))
                say(f"wrote {target}", False)
        to_stdout = [format for format, target in targets if target is None]
        stream = pipeline.log(sys.stdout)
        with reader_may_leave():
            for format in to_stdout:
                stream.write(trend.FORMATS[format](runs))
            if not to_stdout:
                trend.to_terminal(runs, Console(file=stream, no_color=no_color or None), verbose=verbose)
            sys.stdout.flush()


def _configured(config: Path | None) -> Path:
    """The file of the configuration, else the default one."""
    from readiness import config as configuration

    if config is None and not configuration.DEFAULT_FILE.is_file():
        return DEFAULT_FILE
    section = configuration.read(config or configuration.DEFAULT_FILE, _Environment()).data.get("history")
    named = section.get("file") if isinstance(section, dict) else None
    return Path(named) if isinstance(named, str) else DEFAULT_FILE


class _Environment(dict[str, str]):
    """Every variable has a value: the secrets of an audit are not needed to look at its scores."""

    def get(self, name: str, default: object = None) -> str:
        return os.environ.get(name, "")
