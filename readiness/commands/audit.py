"""readiness audit"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from readiness.commands import pipeline
from readiness.commands.common import (
    Config,
    Guard,
    Kubernetes,
    MongoDB,
    NoColor,
    NoRegression,
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
    warn,
)
from readiness.commands.completion import check_ids


def audit(
    url: Url = None,
    config: Config = None,
    mongodb: MongoDB = None,
    redis: Redis = None,
    metrics: Annotated[str | None, typer.Option(metavar="PATH|URL", help="Where the service exposes metrics.")] = None,
    prometheus: Prometheus = None,
    kubernetes: Kubernetes = None,
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
    baseline: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Say what changed since this report (.json), split by cause."),
    ] = None,
    no_regression: NoRegression = None,
    allow_incomplete: Annotated[
        bool, typer.Option("--allow-incomplete", help="Do not exit with 3 for what could not be judged.")
    ] = False,
    only: Annotated[
        list[str], typer.Option(metavar="GLOB", help="Judge only these checks.", autocompletion=check_ids)
    ] = [],  # noqa: B006
    skip: Annotated[
        list[str], typer.Option(metavar="GLOB", help="Leave these out; they count as 0.", autocompletion=check_ids)
    ] = [],  # noqa: B006
    save_facts: Annotated[Path | None, typer.Option(metavar="FILE", help="Save what was collected.")] = None,
    facts: Annotated[Path | None, typer.Option(metavar="FILE", help="Judge saved facts; contacts nothing.")] = None,
    timeout: Annotated[float | None, typer.Option(metavar="S", help="Seconds for the whole audit (120).")] = None,
    load: Annotated[bool, typer.Option("--load", help="Permit the checks that send load.")] = False,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Send it from the workers of this Dask scheduler.")
    ] = None,
    template_dir: TemplateDir = None,
    measured_only: Annotated[
        bool, typer.Option("--measured-only", help="Ignore attestations: what is only declared is not tested.")
    ] = False,
    no_ci: Annotated[
        bool, typer.Option("--no-ci", help="On GitHub and GitLab: write only what -o asks for, and no annotations.")
    ] = False,
    history: Annotated[
        str | None,
        typer.Option("--history", metavar="[=FILE]", help="Record the scores in .readiness/history.db, or in FILE."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse unknown and expired waivers, before anything is contacted.")
    ] = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Audits a live deployment and prints its score."""
    with Guard(verbose, quiet):
        from readiness import audit as auditing
        from readiness.errors import ConfigError
        from readiness.report import wording

        contacting = {"URL": url, "--mongodb": mongodb, "--redis": redis, "--metrics": metrics, "--load": load}
        contacting |= {"--prometheus": prometheus, "--kubernetes": kubernetes, "--dask": dask}
        if facts is not None and (given := [name for name, value in contacting.items() if value]):
            hint = "leave out the one or the other"
            raise ConfigError(
                "nothing is contacted where saved facts are judged", place=f"{', '.join(given)}, --facts", hint=hint
            )
        source = systems(config, url, mongodb, redis, prometheus, kubernetes)
        source.set("http.metrics", metrics, "--metrics")
        source.set("gate.fail_under", fail_under, "--fail-under")
        source.set("gate.fail_on", fail_on, "--fail-on")
        source.set("gate.min_coverage", min_coverage, "--min-coverage")
        source.set("limits.audit_seconds", timeout, "--timeout")
        source.set("load.allow", load or None, "--load")
        source.set("load.dask", dask, "--dask")
        source.set("attestations.measured_only", measured_only or None, "--measured-only")
        for pair in component:
            name, _, value = pair.partition("=")
            source.set(f"gate.components.{name}", value, "--component")
        if no_regression is not None and baseline is None:
            raise ConfigError("there is nothing to compare with", place="--no-regression", hint="add --baseline FILE")
        source.set("gate.no_regression", no_regression, "--no-regression")
        source.set("history.file", history, "--history")
        plan = auditing.prepare(
            source,
            only=tuple(only),
            skip=tuple(skip),
            facts=facts,
            save_facts=save_facts,
            baseline=baseline,
            strict=strict,
        )
        targets = targets_of(output, template_dir)
        if baseline is not None and baseline.resolve() in {path.resolve() for _, path in targets if path is not None}:
            warn(f"{baseline} is the baseline and an output: a run that fails the gate becomes the next baseline")
        if not no_ci:
            targets += pipeline.files(targets)
        audited = run(plan, quiet)
        result = replace(audited.report, allow_incomplete=allow_incomplete)
        problem = deliver(
            result,
            targets,
            template_dir,
            verbose=verbose,
            quiet=quiet,
            no_color=no_color,
            tell_ci=not no_ci,
            earlier=audited.problems,
        )
        for sentence in wording.alarms(result):
            warn(sentence)
        finish(result, audited.abandoned, problem)
