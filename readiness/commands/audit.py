"""readiness audit"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from readiness.commands.common import (
    Config,
    Guard,
    MongoDB,
    NoColor,
    Outputs,
    Prometheus,
    Quiet,
    Redis,
    TemplateDir,
    Url,
    Verbose,
    deliver,
    finish,
    run,
    systems,
    targets_of,
)


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
    with Guard(verbose):
        from readiness import audit as auditing

        source = systems(config, url, mongodb, redis, prometheus)
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
        targets = targets_of(output, template_dir)
        result, abandoned = run(plan, quiet)
        deliver(result, targets, template_dir, verbose=verbose, quiet=quiet, no_color=no_color)
        finish(result, abandoned, allow_incomplete=allow_incomplete)
