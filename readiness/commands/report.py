"""readiness report"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from readiness.commands.common import Guard, NoColor, Outputs, Quiet, TemplateDir, Verbose, deliver, targets_of


def report(
    file: Annotated[Path, typer.Argument(help="A report written with -o FILE.json.")],
    output: Outputs = [],  # noqa: B006
    template_dir: TemplateDir = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Renders a saved report again; contacts nothing."""
    with Guard(verbose, quiet):
        from readiness.config import read_text
        from readiness.report import json_format

        targets = targets_of(output, template_dir)
        saved = json_format.load(read_text(file), str(file))
        problem = deliver(saved, targets, template_dir, verbose=verbose, quiet=quiet, no_color=no_color)
        if problem is not None:
            raise problem
