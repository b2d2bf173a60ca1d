"""readiness validate"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from readiness.commands.common import Guard, fail, put, warn


def validate(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="./readiness.yaml by default.", show_default=False)
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse unknown and expired waivers.")] = False,
) -> None:
    """Checks configuration files, with the packs that they name; contacts nothing and needs no secret.

    What an unset environment variable stands for is left open. Exits with 2 where a file is not valid.
    """
    from readiness.config import DEFAULT_FILE
    from readiness.gate import ExitCode

    with Guard(False):
        from readiness.errors import ConfigError

        problems = []
        for file in files or [DEFAULT_FILE]:
            try:
                line = _examine(file, strict)
            except ConfigError as error:
                problems.append(str(error))
            else:
                put(line)
        if problems:
            fail("\nreadiness: ".join(problems), ExitCode.USAGE)


def _examine(file: Path, strict: bool) -> str:
    """One line on a valid file. Raises ConfigError where it is not."""
    import datetime as dt

    from readiness import config
    from readiness.errors import ConfigError
    from readiness.loader import load
    from readiness.settings import WaiverSettings

    source = config.read(file, lenient=True)
    folders = config.packs(source)
    registry = load([folder for n, folder in enumerate(folders) if not source.open(("packs", n))])
    config.validate_offline(source, registry)
    if not source.open(("waivers",)):
        waivers = [WaiverSettings.model_validate(entry) for entry in source.data.get("waivers") or []]
        try:
            config.demand_valid(waivers, registry.checks, source, dt.datetime.now(dt.UTC).date())
        except ConfigError as error:
            if strict:
                raise
            warn(error.message)
    names = sorted(set(source.unset.values()))
    left_open = f"; left open, because not set here: {', '.join(names)}" if names else ""
    return f"{file}: valid against {len(registry.checks)} checks{left_open}"
