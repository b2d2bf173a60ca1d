"""readiness demo"""

from __future__ import annotations

from typing import Annotated

import typer

from readiness.commands.common import Guard, NoColor, Outputs, Quiet, Verbose, deliver, finish, run, say, targets_of


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
    with Guard(verbose, quiet):
        from readiness import audit as auditing
        from readiness import demo as embedded
        from readiness.config import Source
        from readiness.errors import ConfigError

        if stage not in embedded.STAGES:
            raise ConfigError(f"no stage {stage!r}", place="--stage", hint=f"one of {', '.join(embedded.STAGES)}")
        targets = targets_of(output)
        say(f"starting the {stage} deployment on loopback ...", quiet)
        with embedded.deployment(stage) as running:
            for sentence in running.missing:
                say(sentence, False)
            plan = auditing.prepare(Source(running.config))
            audited = run(plan, quiet)
            problem = deliver(audited.report, targets, verbose=verbose, quiet=quiet, no_color=no_color)
        finish(audited.report, audited.abandoned, problem)
