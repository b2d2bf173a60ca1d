"""readiness checks, readiness explain"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Annotated

import typer

from readiness.commands.common import Guard, put, reader_may_leave, source_of
from readiness.commands.completion import check_ids


def checks(
    glob: Annotated[str, typer.Argument(help="Which checks, such as 'database.*'.", autocompletion=check_ids)] = "*",
    config: Annotated[Path | None, typer.Option("-c", "--config", help="For the packs that it names.")] = None,
) -> None:
    """Lists the checks: id, severity, title."""
    with Guard(False):
        from rich.console import Console
        from rich.table import Table

        from readiness import config as configuration
        from readiness.errors import ConfigError
        from readiness.judge import matches
        from readiness.loader import load

        registry = load(configuration.packs(source_of(config, lenient=True)))
        found = [spec for spec in registry.checks.values() if matches(spec.id, (glob,))]
        if not found:
            raise ConfigError(f"no check matches {glob!r}", hint=configuration.nearest(glob, registry.checks))
        found.sort(key=lambda spec: spec.id)
        if not sys.stdout.isatty():  # one line a check, for grep and cut
            with reader_may_leave():
                for spec in found:
                    typer.echo(f"{spec.id}\t{spec.severity}\t{spec.title}")
                sys.stdout.flush()
            return
        table = Table("id", "severity", "title", box=None, pad_edge=False)
        for spec in found:
            table.add_row(spec.id, spec.severity.value, spec.title)
        Console().print(table)


def explain(
    id: Annotated[str, typer.Argument(help="A check's id.", autocompletion=check_ids)],
    config: Annotated[Path | None, typer.Option("-c", "--config", help="For the packs that it names.")] = None,
) -> None:
    """Explains one check: why, thresholds, rights, fix."""
    with Guard(False):
        from readiness import config as configuration
        from readiness.errors import ConfigError
        from readiness.loader import load
        from readiness.model import STACKS

        registry = load(configuration.packs(source_of(config, lenient=True)))
        if id not in registry.checks:
            raise ConfigError(f"no check {id!r}", hint=configuration.nearest(id, registry.checks))
        spec = registry.checks[id]
        rows = {
            "severity": spec.severity.value,
            "requires": ", ".join(spec.requires),
            "privilege": spec.privilege,
            "settings": ", ".join(f"{name}={entry.default!r}" for name, entry in spec.settings.items()),
            "fix": "" if spec.fix_for else spec.fix,
            **{f"fix for {STACKS[name]}": text for name, text in spec.fixes.items()},
            "effort": spec.effort,
            "verify": spec.verify,
            "reference": spec.reference,
            "source": spec.source,
        }
        put(f"{spec.id}\n\n{spec.title}.\n\n{spec.explanation}\n")
        for name, value in rows.items():
            if "\n" in value or len(name) > 9:
                put(f"{name}:\n{textwrap.indent(value, '    ')}")
            elif value:
                put(f"{name + ':':11}{value}")
