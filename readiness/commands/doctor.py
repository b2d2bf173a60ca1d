"""readiness doctor"""

from __future__ import annotations

import sys

import typer

from readiness.commands.common import (
    Config,
    Guard,
    Kubernetes,
    MongoDB,
    Prometheus,
    Quiet,
    Redis,
    Url,
    Verbose,
    reader_may_leave,
    systems,
)


def doctor(
    url: Url = None,
    config: Config = None,
    mongodb: MongoDB = None,
    redis: Redis = None,
    prometheus: Prometheus = None,
    kubernetes: Kubernetes = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Says what the audit can reach and which rights it lacks; gives no score. Exits with 3 where it lacks any."""
    with Guard(verbose):
        from readiness import audit as auditing
        from readiness import doctor as surgery
        from readiness.commands.pipeline import fit
        from readiness.gate import ExitCode
        from readiness.progress import reporter

        source = systems(config, url, mongodb, redis, prometheus, kubernetes)
        with reporter(quiet) as progress:
            diagnosis = surgery.examine(auditing.prepare(source), progress)

        def say(text: str) -> None:
            typer.echo(fit(text, sys.stdout))

        with reader_may_leave():
            say(", ".join(diagnosis.tools))
            for name, system in sorted(diagnosis.systems.items()):
                detail = system.reason or (f"needs {system.needs}" if system.needs else f"{system.seconds:.1f} s")
                detail += f"  {diagnosis.servers[name]}" if name in diagnosis.servers else ""
                say(f"{name.removesuffix('Facts'):<16} {system.outcome.value.replace('_', ' '):<15} {detail}")
            for right, ids in diagnosis.lacking.items():
                say(f"\nwithout {right}, {len(ids)} checks cannot be judged: {', '.join(ids)}")
            for name, account in diagnosis.accounts.items():
                say(f"\nthe least rights for {name.removesuffix('Facts')}:\n{account}")
        raise typer.Exit(ExitCode.OK if diagnosis.healthy else ExitCode.INCOMPLETE)
