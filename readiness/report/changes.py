"""What changed between two audits: in words, on a terminal, as Markdown and as JSON. Computes no figure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from readiness.change import Cause, Change, Comparison, Delta, Part
from readiness.model import SCHEMA_VERSION, Gate, Report
from readiness.report import wording
from readiness.report.json_format import strict
from readiness.report.text import one_line
from readiness.report.wording import NONE

if TYPE_CHECKING:
    from readiness.report.terminal import Paper

TITLE = "What changed"
SHOWN = 5
"""How many changes of one cause are listed without --verbose."""
TEMPLATE = "diff.md.j2"

CAUSES: Mapping[Cause, str] = {
    # in the order of the lists: what the deployment did, what could be seen, what is judged and how
    Cause.REGRESSED: "regressed",
    Cause.LOST: "no longer assessed",
    Cause.UNWAIVED: "waivers ended",
    Cause.FIXED: "fixed",
    Cause.COVERED: "newly assessed",
    Cause.WAIVED: "waivers added",
    Cause.NEW: "new or newly applicable checks",
    Cause.RETIRED: "checks retired or no longer applicable",
    Cause.SEVERITY: "severity changed",
    Cause.SETTINGS: "settings changed",
    Cause.MODEL: "scoring model changed",
}

SHORT: Mapping[Cause, str] = {
    Cause.NEW: "new checks",
    Cause.RETIRED: "retired checks",
    Cause.SEVERITY: "severity",
    Cause.SETTINGS: "settings",
    Cause.MODEL: "scoring model",
}


# --- words -----------------------------------------------------------------------------------------------------------


def points(part: Part) -> str:
    """`+0.6`; `0.0` where there is none, or where it rounds to nothing: the exact share is in the JSON."""
    return f"{part.points:+.1f}" if part.points else "0.0"


def because(delta: Delta) -> str:
    """`fixed +0.6, new checks -0.2`: the printed parts sum to the printed change."""
    parts = sorted(delta.parts, key=lambda part: list(CAUSES).index(part.cause))
    return ", ".join(f"{SHORT.get(part.cause, CAUSES[part.cause])} {points(part)}" for part in parts)


def change(delta: Delta) -> str:
    """`+0.3`, or a dash where the two cannot be compared, or where neither has a score."""
    if delta.change is None or (delta.old is None and delta.new is None):
        return NONE
    return f"{delta.change:+.1f}" if delta.change else "0.0"


def rows(comparison: Comparison, *, all: bool = False) -> list[Delta]:
    """The components, then the overall score; unless `all`, only what changed."""
    deltas = [*comparison.components, comparison.overall]
    return [delta for delta in deltas if all or delta.parts or delta.change or delta is comparison.overall]


def groups(comparison: Comparison) -> Iterator[tuple[str, list[Change]]]:
    """The changes by cause, each with a heading such as `fixed: 2, +0.6 overall`."""
    worth = {part.cause: points(part) for part in comparison.overall.parts}
    for cause, name in CAUSES.items():
        own = [each for each in comparison.changes if each.cause is cause]
        if own:
            gained = f", {worth[cause]} overall" if cause in worth else ""
            yield f"{name}: {len(own)}{gained}", own


def subject(entry: Change) -> str:
    """The check's id, or what else changed."""
    if entry.check:
        return entry.check
    return f"{wording.component_name(entry.component)}: {entry.title}" if entry.component else entry.title


def movement(entry: Change) -> str:
    """`fail → pass`; a dash for what is not there."""
    return f"{one_line(entry.old, 200) or NONE} → {one_line(entry.new, 200) or NONE}"


def since(comparison: Comparison) -> str:
    return wording.moment(comparison.old.started_at)


def headline(comparison: Comparison) -> str:
    """`7.1 → 7.4 (+0.3)`."""
    delta = comparison.overall
    if delta.change is None:
        return "no overall score to compare"
    return f"{wording.score(delta.old)} → {wording.score(delta.new)} ({change(delta)})"


def unchanged(comparison: Comparison) -> bool:
    return not comparison.changes and not any(delta.parts or delta.change for delta in rows(comparison, all=True))


# --- formats ---------------------------------------------------------------------------------------------------------


def to_json(comparison: Comparison, gate: Gate) -> str:
    """The comparison with the gate's verdict, as strict JSON."""
    return strict(
        {"schema_version": SCHEMA_VERSION, "kind": "diff"}
        | dataclasses.asdict(comparison)
        | {"gate": dataclasses.asdict(gate)}
    )


def to_markdown(report: Report, template_dir: Path | None = None) -> str:
    """The comparison and the gate of a report as GitHub-flavoured Markdown."""
    from readiness.report.markdown import render_with

    return render_with(report, template_dir, TEMPLATE)


def to_terminal(report: Report, console: Console, *, verbose: bool = False, quiet: bool = False) -> None:
    """Prints the comparison and the gate of a report; `quiet` prints the overall line alone."""
    from readiness.report import terminal

    paper = terminal.Paper(console)
    comparison = report.comparison
    if comparison is None:
        return
    if quiet:
        line = paper.text(("Overall  ", "bold"), headline(comparison), (f"  {because(comparison.overall)}", "dim"))
        console.print(line, soft_wrap=True, highlight=False)
        return
    paper.line([(TITLE, "bold")])
    new = comparison.new
    about = " · ".join(one_line(part, 120) for part in wording.about(new.environment, new.target, new.service))
    paper.line([(one_line(new.service, 80), "bold cyan"), f" · {about}" if about else ""])
    paper.line([(f"{since(comparison)} → {wording.moment(new.started_at)}", "dim")])
    _table(comparison, paper, all=True)
    _lists(comparison, paper, verbose)
    terminal.gate(report.gate, paper)


def section(comparison: Comparison | None, paper: Paper, verbose: bool) -> None:
    """The part of an audit's report that says what changed since the baseline."""
    if comparison is None:
        return
    paper.heading(f"{TITLE} since {since(comparison)}", headline(comparison))
    if not unchanged(comparison):
        _table(comparison, paper, all=False)
    _lists(comparison, paper, verbose)


def _table(comparison: Comparison, paper: Paper, *, all: bool) -> None:
    if paper.narrow:
        paper.console.print()
        for delta in rows(comparison, all=all):
            figures = f"  {wording.score(delta.old)} → {wording.score(delta.new)} ({change(delta)})"
            reason = because(delta)
            paper.marked("", [(one_line(delta.name, 40), "bold"), figures, (f"\n{reason}" if reason else "", "dim")])
        paper.console.print()
        return
    table = Table(box=box.SIMPLE, pad_edge=False, header_style="bold")
    table.add_column("Component", overflow="fold", min_width=9, max_width=16)
    for name in ("Before", "After", "Change"):
        table.add_column(name, no_wrap=True, justify="right")
    table.add_column("Because", overflow="fold")
    for delta in rows(comparison, all=all):
        style = "bold" if delta is comparison.overall else ""
        colour = "" if not delta.change else "green" if delta.change > 0 else "red"
        table.add_row(
            paper.text((one_line(delta.name, 40), style)),
            paper.text(wording.score(delta.old)),
            paper.text((wording.score(delta.new), style)),
            paper.text((change(delta), colour)),
            paper.text(because(delta)),
        )
    paper.table(table)


def _lists(comparison: Comparison, paper: Paper, verbose: bool) -> None:
    if unchanged(comparison):
        paper.line(["Nothing changed."])
    for heading, changes in groups(comparison):
        shown = changes if verbose else changes[:SHOWN]
        paper.line([(heading[:1].upper() + heading[1:], "bold")])
        for entry in shown:
            about = f"  {one_line(entry.message, 200)}" if entry.message else ""
            paper.line([f"{subject(entry)}: {movement(entry)}", (about, "dim")], 2)
        if len(shown) < len(changes):
            paper.line([(f"and {len(changes) - len(shown)} more, -v for all", "dim")], 2)
    for note in comparison.warnings:
        paper.line([("Beware: ", "bold yellow"), one_line(note, 400)])
    for note in comparison.notes:
        paper.line([(one_line(note, 400), "dim")])
