"""readiness new-check"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from readiness.commands.common import Guard, put


def new_check(
    id: Annotated[str, typer.Argument(help="Such as security.mine.banner; it begins with a component.")],
    folder: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Your folder of checks.")] = Path("checks"),
) -> None:
    """Writes a check that works, with a fixture for each verdict and a test that runs them; contacts nothing."""
    with Guard(False):
        from readiness import config
        from readiness.scaffold import scaffold

        for path in scaffold(id, folder):
            put(f"wrote {path}")
        named = config.DEFAULT_FILE.is_file() and folder.resolve() in {
            path.resolve() for path in config.packs(config.read(config.DEFAULT_FILE, lenient=True))
        }
        if not named:
            typer.echo(f"for the audit, add to readiness.yaml: packs: [./{folder}]", err=True)
        typer.echo(f"next: edit the parts marked TODO, then run: pytest {folder}", err=True)
