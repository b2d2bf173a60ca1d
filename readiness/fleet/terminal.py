"""The overview for a terminal, and what is shown while audits are under way."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping

from rich import box
from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from readiness.fleet.overview import Audit, Frequent, Overview, Row
from readiness.model import Rating, Severity
from readiness.report import wording
from readiness.report.terminal import Paper
from readiness.report.text import one_line
from readiness.report.wording import NONE

SHOWN, SHOWN_FINDINGS = 20, 10
"""Deployments and findings that are shown without --verbose."""
RECENT = 8
_BESIDE, _A_COLUMN = 36, 7  # columns of a terminal: for what stands beside the components, and for one of them
STYLES = {Rating.READY: "green", Rating.NEEDS_WORK: "yellow", Rating.NOT_READY: "red"}
_SHORT = {"database": "DB", "caching": "Cache", "security": "Sec", "monitoring": "Mon", "error_handling": "Err",
          "performance": "Perf", "scalability": "Scale"}  # fmt: skip
WORDS = {
    Audit.DONE: "audited",
    Audit.INCOMPLETE: "incomplete",
    Audit.FAILED: "could not be audited",
    Audit.BUG: "could not be audited: a bug",
    Audit.LOST: "lost",
    Audit.NOT_RUN: "not audited",
}


def render(overview: Overview, console: Console, *, verbose: bool = False, quiet: bool = False) -> None:
    """Prints the overview: the deployments worst first, the most frequent findings, the gate.

    Args:
        verbose: all deployments and findings.
        quiet: the line with the figures of the fleet alone.
    """
    paper = Paper(console)
    if quiet:
        console.print(paper.text(*_figures(overview)), soft_wrap=True, highlight=False)
        return
    paper.line([("Fleet Readiness", "bold")])
    moment = wording.moment(overview.started_at)
    about = f" · {wording.count(len(overview.rows), 'deployment')} · {moment} · {wording.duration(overview.seconds)}"
    paper.line([(one_line(overview.name, 80), "bold cyan"), about])
    if overview.interrupted:
        paper.line([("Interrupted: this overview is partial.", "bold red")])
    if paper.narrow or paper.console.width < _BESIDE + _A_COLUMN * len(overview.columns):
        _list(overview, paper, verbose)
    else:
        paper.table(_table(overview, paper, verbose))
    if not verbose and len(overview.rows) > SHOWN:
        paper.line([(f"and {len(overview.rows) - SHOWN} better ones, -v for all", "dim")])
        paper.console.print()
    paper.line(_figures(overview))
    _troubles(overview, paper, verbose)
    _findings(overview, paper, verbose)
    _gate(overview, paper, verbose)
    for notice in overview.notices:
        paper.line([one_line(notice, 300)])


def _table(overview: Overview, paper: Paper, verbose: bool) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False, header_style="bold")
    table.add_column("Deployment", overflow="fold", min_width=10)
    table.add_column("Score", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, width=2)
    for column in overview.columns:
        name = column.name if console_is_wide(paper) else _SHORT.get(column.id, column.name[:5])
        table.add_column(paper.text(name), justify="right", no_wrap=True)
    table.add_column("Coverage", justify="right", no_wrap=True)
    for row in overview.rows if verbose else overview.rows[:SHOWN]:
        style = STYLES[row.rating] if row.rating else ""
        cells = [paper.text(*_heat(row.components.get(column.id))) for column in overview.columns]
        table.add_row(
            paper.text(one_line(row.name, 60), (f" {WORDS[row.audit]}" if not row.finished else "", "dim red")),
            paper.text((wording.score(row.score), f"bold {style}")),
            paper.text(row.rating.mark if row.rating else NONE),
            *cells,
            paper.text(wording.percent(row.coverage)),
        )
    table.add_section()
    means = [paper.text((wording.score(column.mean), "dim")) for column in overview.columns]
    table.add_row(
        paper.text(("mean", "dim")), paper.text((wording.score(overview.mean), "bold")), "", *means, paper.text("")
    )
    return table


def _list(overview: Overview, paper: Paper, verbose: bool) -> None:
    """The deployments where there is no room for columns: each component is named beside its score."""
    paper.console.print()
    for row in overview.rows if verbose else overview.rows[:SHOWN]:
        style = STYLES[row.rating] if row.rating else ""
        head: list[str | tuple[str, str]] = [(f"{wording.score(row.score)} ", f"bold {style}"), one_line(row.name, 60)]
        if not row.finished:
            head.append((f" {WORDS[row.audit]}", "dim red"))
        paper.marked(
            row.rating.mark if row.rating else NONE, [*head, *_named_scores(row.components, overview, row.coverage)]
        )
    means = {column.id: column.mean for column in overview.columns}
    mean = (f"{wording.score(overview.mean)} ", "bold")
    paper.marked("", [mean, ("mean", "dim"), *_named_scores(means, overview)])
    paper.console.print()


def _named_scores(
    scores: Mapping[str, float], overview: Overview, coverage: float | None = None
) -> list[str | tuple[str, str]]:
    parts: list[str | tuple[str, str]] = []
    for column in overview.columns:
        if column.id in scores:
            parts += [("\n" if not parts else ", ", "dim"), (f"{column.name} ", "dim"), *_heat(scores[column.id])]
    if coverage is not None:
        parts.append((f"; coverage {wording.percent(coverage)}", "dim"))
    return parts


def console_is_wide(paper: Paper) -> bool:
    """Whether the names of all components fit beside each other."""
    return paper.console.width >= 130


def _heat(score: float | None) -> list[str | tuple[str, str]]:
    if score is None:
        return [(NONE, "dim")]
    style = "green" if score >= 8 else "yellow" if score >= 6 else "red"
    return [(wording.score(score), style)]


def _figures(overview: Overview) -> list[str | tuple[str, str]]:
    counts = ", ".join(f"{count} {rating.mark}" for rating, count in overview.ratings.items() if count)
    parts: list[str | tuple[str, str]] = [("Fleet  ", "bold"), f"{counts or NONE}"]
    if overview.mean is not None:
        parts.append(f" · mean {wording.score(overview.mean)}, median {wording.score(overview.median)}")
        parts.append(f", worst {wording.score(overview.worst)}")
    unknown = sum(count for audit, count in overview.audits.items() if audit is not Audit.DONE)
    if unknown:
        parts.append((f" · {unknown} not fully audited", "bold red"))
    return parts


def _troubles(overview: Overview, paper: Paper, verbose: bool) -> None:
    """Deployments that were not fully audited, by the reason."""
    groups: dict[tuple[Audit, str], list[str]] = {}
    for row in overview.rows:
        if not row.finished:
            groups.setdefault((row.audit, row.reason), []).append(row.name)
    if not groups:
        return
    paper.heading("Not fully audited")
    shown = list(groups.items()) if verbose else list(groups.items())[:SHOWN_FINDINGS]
    for (audit, reason), names in shown:
        named = ", ".join(one_line(name, 60) for name in (names if verbose else names[:3]))
        more = f" and {len(names) - 3} more" if len(names) > 3 and not verbose else ""
        paper.marked("💥", [f"{named}{more} ", (f"{WORDS[audit]}: {one_line(reason, 240)}", "dim")])
    if len(groups) > len(shown):
        paper.line([(f"and {len(groups) - len(shown)} more reasons, -v for all", "dim")])


def _findings(overview: Overview, paper: Paper, verbose: bool) -> None:
    if not overview.findings:
        return
    shown = overview.findings if verbose else overview.findings[:SHOWN_FINDINGS]
    hidden = (
        [f"{len(shown)} of {len(overview.findings)} shown, -v for all"] if len(shown) < len(overview.findings) else []
    )
    paper.heading("Most frequent findings", *hidden)
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for finding in shown:
        grid.add_row(
            paper.text((_share(finding, overview), "bold")),
            paper.text((finding.severity.value, _SEVERITIES[finding.severity])),
            paper.text(one_line(finding.title, 100), (f"  {finding.check}", "dim")),
        )
    paper.table(grid)


def _share(finding: Frequent, overview: Overview) -> str:
    return f"{finding.count} of {len(overview.rows)}"


def _gate(overview: Overview, paper: Paper, verbose: bool) -> None:
    if overview.gate is None:
        return
    below = overview.below
    paper.heading("Gate", "passed" if overview.gate else "not passed")
    for row in below if verbose else below[:SHOWN_FINDINGS]:
        paper.marked("❌", [(f"{one_line(row.name, 60)}: ", "bold"), one_line("; ".join(row.unmet), 200)])
    if len(below) > SHOWN_FINDINGS and not verbose:
        paper.line([(f"and {len(below) - SHOWN_FINDINGS} more, -v for all", "dim")])


_SEVERITIES = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
    Severity.INFO: "dim",
}


# While it runs.


@contextlib.contextmanager
def reporter(total: int, quiet: bool, no_color: bool = False) -> Iterator[Callable[[Row], None]]:
    """What to call with every row: a live table on a terminal, a line for each deployment elsewhere."""
    if quiet:
        yield lambda row: None
    elif sys.stderr.isatty():
        yield from _live(total, no_color)
    else:
        yield _plain(total)


def _plain(total: int) -> Callable[[Row], None]:
    console = Console(stderr=True, no_color=True, soft_wrap=True, highlight=False)
    paper = Paper(console)
    done = 0

    def progress(row: Row) -> None:
        nonlocal done
        done += 1
        console.print(paper.text(f"{done}/{total} ", *_line(row)))

    return progress


def _line(row: Row) -> list[str | tuple[str, str]]:
    mark = row.rating.mark if row.rating else "💥"
    style = STYLES[row.rating] if row.rating else "red"
    more = "from an earlier run" if row.resumed else wording.duration(row.seconds) if row.seconds else ""
    if not row.finished:
        more = f"{WORDS[row.audit]}: {one_line(row.reason, 160)}"
    return [
        f"{mark} ",
        (f"{wording.score(row.score):>4}", f"bold {style}"),
        f" {one_line(row.name, 60)}  ",
        (more, "dim"),
    ]


def _live(total: int, no_color: bool) -> Iterator[Callable[[Row], None]]:
    from rich.live import Live

    console = Console(stderr=True, no_color=no_color or None)
    paper = Paper(console)
    bar = Bar(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        console=console,
    )  # fmt: skip
    task = bar.add_task("auditing", total=total)
    recent: deque[Row] = deque(maxlen=RECENT)
    worst: list[Row] = []
    counts = dict.fromkeys(Rating, 0)

    def shown() -> Group:
        table = Table.grid(padding=(0, 3))
        table.add_row(paper.text(("latest", "dim")), paper.text(("worst", "dim")))
        for number in range(max(len(recent), len(worst))):
            cells = [
                paper.text(*_line(rows[number])) if number < len(rows) else paper.text("")
                for rows in (list(reversed(recent)), worst)
            ]
            table.add_row(*cells)
        figures = "  ".join(f"{rating.mark} {count}" for rating, count in counts.items())
        return Group(bar, paper.text(figures), table)

    looked = 0.0
    with Live(console=console, get_renderable=shown, transient=True, refresh_per_second=4) as live:

        def progress(row: Row) -> None:
            nonlocal looked
            recent.append(row)
            worst.append(row)
            worst.sort(key=lambda each: (each.score is not None, each.score or 0.0, each.name))
            del worst[RECENT:]
            if row.rating:
                counts[row.rating] += 1
            bar.advance(task)
            if time.monotonic() - looked > 0.25:
                live.refresh()
                looked = time.monotonic()

        yield progress
