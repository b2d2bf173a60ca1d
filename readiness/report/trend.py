"""The recorded audits of a history: a trend for each component on a terminal, every figure as JSON and CSV."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby

from rich import box
from rich.console import Console
from rich.table import Table

from readiness.history import Run
from readiness.model import COMPONENTS, ON_DEMAND, SCHEMA_VERSION
from readiness.report import wording
from readiness.report.csv_format import cell
from readiness.report.json_format import strict
from readiness.report.terminal import Paper
from readiness.report.text import one_line
from readiness.report.wording import NONE

_BARS = "▁▂▃▄▅▆▇█"
_PLAIN = "_.:~=+*#"  # for streams that hold no more than ASCII
_GAP = "·"


def sparkline(scores: Iterable[float | None], *, plain: bool = False) -> str:
    """One character a score, on the fixed scale from 0 to 10; a dot where nothing was assessed."""
    bars = _PLAIN if plain else _BARS
    return "".join(_GAP if score is None else bars[min(7, max(0, int(score * 0.8)))] for score in scores)


def ids(runs: Sequence[Run]) -> list[str]:
    """The components of these audits, in the order of the report."""
    found = {id for run in runs for id in run.components}
    known = [id for id in (*COMPONENTS, *ON_DEMAND) if id in found]
    return [*known, *sorted(found - set(known))]


def to_json(runs: Sequence[Run]) -> str:
    """All runs as strict JSON."""
    data = [dataclasses.asdict(run) for run in runs]
    return strict({"schema_version": SCHEMA_VERSION, "kind": "history", "runs": data})


def to_csv(runs: Sequence[Run]) -> str:
    """A line for each run, with a column for each component; no cell is a formula."""
    components = ids(runs)
    names = [entry.name for entry in dataclasses.fields(Run) if entry.name not in ("components", "better", "worse")]
    file = io.StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow([*names, *components, "better", "worse"])
    for run in runs:
        figures = [_plain(getattr(run, name)) for name in names] + [run.components.get(id) for id in components]
        writer.writerow([cell(value) for value in (*figures, " ".join(run.better), " ".join(run.worse))])
    return file.getvalue()


def _plain(value: str | float | bool | None) -> str | float | None:
    return str(value).lower() if isinstance(value, bool) else value


FORMATS: Mapping[str, Callable[[Sequence[Run]], str]] = {"json": to_json, "csv": to_csv}


def to_terminal(runs: Sequence[Run], console: Console, *, verbose: bool = False) -> None:
    """Prints the trend of each service and environment; `verbose` lists the audits as well."""
    paper = Paper(console)
    if not runs:
        paper.line(["No audit is recorded yet."])
    for (service, environment), group in groupby(runs, lambda run: (run.service, run.environment)):
        own = list(group)
        about = f" · {one_line(environment, 80)}" if environment else ""
        paper.line([(one_line(service, 80), "bold cyan"), about])
        first, last = wording.moment(own[0].started_at), wording.moment(own[-1].started_at)
        paper.line([(wording.count(len(own), "audit") + f", {first} to {last}" * (len(own) > 1), "dim")])
        paper.table(_trend(own, paper))
        if verbose:
            paper.table(_runs(own, paper))
            paper.console.print()


def _trend(runs: Sequence[Run], paper: Paper) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False, header_style="bold")
    table.add_column("Component", no_wrap=True)
    table.add_column("Trend", overflow="fold")
    for name in ("First", "Last", "Change"):
        table.add_column(name, no_wrap=True, justify="right")
    rows = [(wording.component_name(id), [run.components.get(id) for run in runs], "") for id in ids(runs)]
    for name, scores, style in [*rows, ("Overall", [run.score for run in runs], "bold")]:
        known = [score for score in scores if score is not None]
        change = round(known[-1] - known[0], 1) if len(known) > 1 else None
        colour = "" if not change else "green" if change > 0 else "red"
        table.add_row(
            paper.text((one_line(name, 40), style)),
            paper.text(sparkline(scores, plain=paper.ascii)),
            paper.text(wording.score(known[0]) if known else NONE),
            paper.text((wording.score(known[-1]) if known else NONE, style)),
            paper.text((NONE if change is None else f"{change:+.1f}" if change else "0.0", colour)),
        )
    return table


def _runs(runs: Sequence[Run], paper: Paper) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False, header_style="bold")
    table.add_column("Audit", no_wrap=True)
    for name in ("Score", "Coverage"):
        table.add_column(name, no_wrap=True, justify="right")
    table.add_column("Gate", no_wrap=True)
    table.add_column("Since the one before", overflow="fold")
    for run in runs:
        gate = "" if run.gate is None else "passed" if run.gate else "not passed"
        moved = [f"{len(run.better)} better"] * bool(run.better)
        moved += [f"{len(run.worse)} worse: {', '.join(run.worse[:5])}"] * bool(run.worse)
        state = ["interrupted"] * run.interrupted + ["incomplete"] * run.incomplete
        table.add_row(
            paper.text(wording.moment(run.started_at)),
            paper.text(wording.score(run.score)),
            paper.text(wording.percent(run.coverage)),
            paper.text(gate),
            paper.text("; ".join([*state, *moved])),
        )
    return table
