"""The report for a terminal, with rich. Whatever comes from the report is `Text`, never markup."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from readiness.model import CheckResult, Component, Gate, Rating, Report, Severity, Status
from readiness.report import changes, charts, wording
from readiness.report.text import clean, cut, one_line
from readiness.report.wording import MARKS, NONE

NARROW = 70
"""Columns of a terminal below which a table would break words: a list stands in for it."""
GRAVEST = 5
"""How many findings are shown without --verbose."""
FIX_LINES = 6
"""How many lines of a fix are shown without --verbose."""

_RATINGS = {Rating.READY: "green", Rating.NEEDS_WORK: "yellow", Rating.NOT_READY: "red"}
_SEVERITIES = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
    Severity.INFO: "dim",
}
_ASCII = {"✅": "OK", "⚠️": "!!", "❌": "XX", "→": "->", "≥": ">=", NONE: "-", "·": "-", "…": "..."}
_PROSE = re.compile(r"[A-Z][a-z]+,? [a-z]")
_INDENT = 12


def render(report: Report, console: Console, *, verbose: bool = False, quiet: bool = False) -> None:
    """Prints the report: the table, the overall score, then what is wrong, worst first.

    Args:
        verbose: all findings with evidence, and what passed; otherwise the gravest five.
        quiet: the line with the overall score alone.
    """
    paper = Paper(console)
    if quiet:
        console.print(paper.text(*_overall(report)), soft_wrap=True, highlight=False)
        return
    _head(report, paper)
    _components(report, paper)
    _print_overall(report, paper)
    _caps(report, paper)
    _findings(report, paper, verbose)
    _unassessed(report, paper, verbose)
    _accepted(report, paper)
    _path(report, paper)
    if verbose:
        _expectations(report, paper)
        _measurements(report, paper)
        _passed(report, paper)
    changes.section(report.comparison, paper, verbose)
    gate(report.gate, paper)
    _notices(report, paper)


class Paper:
    """A console that takes only text, and falls back to ASCII where the stream can say no more."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.ascii = console.options.ascii_only
        self.wide = console.width >= 100
        self.narrow = console.width < NARROW

    def text(self, *parts: str | tuple[str, str]) -> Text:
        """A Text of plain strings and (string, style) pairs."""
        text = Text()
        for part in parts:
            words, style = part if isinstance(part, tuple) else (part, "")
            text.append(self._fit(clean(words)), style)
        return text

    def _fit(self, words: str) -> str:
        if not self.ascii:
            return words
        for symbol, plain in _ASCII.items():
            words = words.replace(symbol, plain)
        return words.encode("ascii", "replace").decode()

    def line(self, parts: Iterable[str | tuple[str, str]], indent: int = 0) -> None:
        self.console.print(Padding(self.text(*parts), (0, 0, 0, indent), expand=False), highlight=False)

    def heading(self, title: str, *more: str) -> None:
        self.console.print()
        self.line([(title, "bold"), *(("  " + part, "dim") for part in more)])

    def command(self, label: str, command: str, indent: int) -> None:
        """Text to paste: prose is wrapped, a command never, for half of one must not be pasted.

        What has several lines begins under its label, so that a terminal copies it as it is.
        """
        rows = cut(command, 4000).splitlines()
        if len(rows) > 1:
            self.line([(label.strip(), "dim")], indent)
            label = ""
        for row in rows:
            if _PROSE.match(row):
                self.hanging(label, row, indent)
            else:
                self.console.print(self.text(" " * indent, (label, "dim"), row), soft_wrap=True, highlight=False)

    def hanging(self, label: str, words: str, indent: int) -> None:
        grid = Table.grid(padding=0)
        grid.add_column(width=len(label), no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(self.text((label, "dim")), self.text(words))
        self.console.print(Padding(grid, (0, 0, 0, indent), expand=False), highlight=False)

    def marked(self, mark: str, parts: Iterable[str | tuple[str, str]]) -> None:
        """A line under a mark; what is wrapped stays clear of it."""
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=2, no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(self.text(mark), self.text(*parts))
        self.console.print(grid, highlight=False)

    def table(self, table: Table) -> None:
        self.console.print(table, highlight=False)


def _head(report: Report, paper: Paper) -> None:
    paper.line([(wording.TITLE, "bold")])
    about = [*wording.about(report.environment, report.target, report.service), wording.moment(report.started_at)]
    rest = "".join(f" · {one_line(part, 120)}" for part in about)
    paper.line([(one_line(report.service, 80), "bold cyan"), rest])
    if report.interrupted:
        paper.line([("Interrupted: this report is partial.", "bold red")])


def _components(report: Report, paper: Paper) -> None:
    if paper.narrow:
        paper.console.print()
        for component in report.components:
            _component(component, paper)
        paper.console.print()
        return
    table = Table(box=box.SIMPLE, pad_edge=False, header_style="bold")
    table.add_column("Component", overflow="fold", min_width=9, max_width=16)
    table.add_column("Score", no_wrap=True)
    table.add_column("Production Ready", justify="center", min_width=10, max_width=None if paper.wide else 10)
    table.add_column("Notes", overflow="fold")
    for component in report.components:
        table.add_row(
            paper.text(one_line(component.name, 40)),
            paper.text(*_component_score(component, " " if paper.wide else "\n")),
            paper.text(wording.rating_mark(component.rating)),
            paper.text(one_line(wording.component_note(component), 300)),
        )
    paper.table(table)


def _component(component: Component, paper: Paper) -> None:
    """A component where there is no room for columns: the note stands below the score."""
    note = one_line(wording.component_note(component), 300)
    head: list[str | tuple[str, str]] = [(one_line(component.name, 40), "bold"), "  "]
    head += _component_score(component, " ")
    paper.marked(wording.rating_mark(component.rating), [*head, (f"\n{note}" if note else "", "dim")])


def _component_score(component: Component, gap: str) -> list[str | tuple[str, str]]:
    if component.score is None:
        return [NONE]
    style = _RATINGS[component.rating] if component.rating else ""
    bound = wording.bound(component.upper_bound, component.coverage)
    return [
        (wording.of_ten(component.headline), f"bold {style}"),
        (f" ({wording.score(component.score)})", "dim"),
        (f"{gap}{bound}" if bound else "", "dim"),
    ]


def _overall(report: Report) -> list[str | tuple[str, str]]:
    target = (f"  target {report.target_score:g}/10", "dim")
    if report.score is None:
        return [("Overall  ", "bold"), NONE, f"  ({wording.no_overall(report)})", target]
    score = (wording.of_ten(report.headline), f"bold {_RATINGS[report.rating] if report.rating else ''}")
    mark = wording.rating_mark(report.rating)
    return [("Overall  ", "bold"), score, f" {mark} {wording.beside(report)}", target]


def _print_overall(report: Report, paper: Paper) -> None:
    *score, target = _overall(report)
    if paper.text(*score, target).cell_len <= paper.console.width:
        paper.line([*score, target])
    else:
        paper.line(score)
        paper.line([target], len("Overall"))
    if past := charts.history(report):
        line = charts.sparkline(past.overall, plain=paper.ascii)
        about = f"  {wording.count(past.runs, 'audit')} since {past.begins}: {past.overall.first} → {past.overall.last}"
        paper.line([("Trend    ", "bold"), line, (about, "dim")])


def _caps(report: Report, paper: Paper) -> None:
    for name, sentence in wording.caps(report):
        paper.line([(f"{name} ", "bold"), cut(sentence, 300)])


def _findings(report: Report, paper: Paper, verbose: bool) -> None:
    wrong = wording.findings(report)
    if not wrong:
        return
    shown = wrong if verbose else wrong[:GRAVEST]
    hidden = [f"{len(shown)} of {len(wrong)} shown, -v for all"] if len(shown) < len(wrong) else []
    paper.heading("Findings", wording.severities(wrong), *hidden)
    for check in shown:
        paper.console.print()
        _finding(check, paper, verbose)


def _finding(check: CheckResult, paper: Paper, verbose: bool) -> None:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=2, no_wrap=True)
    grid.add_column(width=8, no_wrap=True)
    grid.add_column(overflow="fold")
    body = paper.text((one_line(check.message or check.title, 300), "bold"))
    about = f"{check.id} · {one_line(check.title, 120)}" if verbose else check.id
    body.append("\n").append_text(paper.text((about, "dim")))
    if check.observed or check.expected:
        observed, expected = (one_line(text, 300) or NONE for text in (check.observed, check.expected))
        body.append("\n").append_text(paper.text(("observed ", "dim"), observed, (" → expected ", "dim"), expected))
    severity = (check.severity.value, _SEVERITIES[check.severity])
    grid.add_row(paper.text(MARKS[check.status]), paper.text(severity), body)
    paper.table(grid)
    if check.fix:
        paper.command(_fix_label(check), check.fix if verbose else _shortened(check.fix), _INDENT)
    if verbose:
        _details(check, paper)
    if gain := wording.gain(check):
        paper.line([(gain, "green")], _INDENT)


def _fix_label(check: CheckResult) -> str:
    return f"fix for {one_line(wording.stack_name(check.fix_for), 20)} " if check.fix_for else "fix "


def _shortened(fix: str) -> str:
    """A long fix is for the report: here its beginning will do."""
    rows = fix.splitlines()
    if len(rows) <= FIX_LINES + 1:
        return fix
    return "\n".join([*rows[:FIX_LINES], f"… and {len(rows) - FIX_LINES} more lines, -v for all"])


def _details(check: CheckResult, paper: Paper) -> None:
    if check.verify:
        paper.command("verify ", check.verify, _INDENT)
    for name, value in wording.evidence(check, 600):
        paper.hanging(f"{cut(name, 30)}: ", one_line(value, 300), _INDENT)
    more = [f"effort {check.effort}" if check.effort else "", check.reference]
    paper.line([(" · ".join(part for part in more if part), "dim")], _INDENT)


def _unassessed(report: Report, paper: Paper, verbose: bool) -> None:
    """What could not be judged: it counts nothing, and the reader learns how to change that."""
    errors, blocked, untested = wording.errors(report), wording.blocked(report), wording.untested(report)
    skipped = wording.with_status(report, Status.SKIPPED)
    if not (errors or blocked or untested or skipped):
        return
    paper.heading("Not assessed", f"coverage {wording.percent(report.coverage)}")
    for (message, need), checks in errors.items():
        _error(message, need, checks, paper, verbose)
    for parent, checks in blocked.items():
        what = wording.count(len(checks), "check")
        paper.marked(MARKS[Status.BLOCKED], [f"{what} blocked by {one_line(parent, 80)}"])
    for reason, checks in untested.items():
        what = checks[0].id if len(checks) == 1 else wording.count(len(checks), "check")
        paper.marked(MARKS[Status.UNTESTED], [(f"{what} not tested: ", "dim"), one_line(reason, 200)])
    if skipped:
        ids = ", ".join(check.id for check in skipped)
        what = f"{wording.count(len(skipped), 'check')} skipped: "
        paper.marked(MARKS[Status.SKIPPED], [what, ids if verbose else one_line(ids, 120)])


def _error(message: str, need: str, checks: list[CheckResult], paper: Paper, verbose: bool) -> None:
    shown = checks if verbose else checks[:3]
    ids = ", ".join(check.id for check in shown) + (f" and {len(checks) - 3} more" if len(shown) < len(checks) else "")
    needed = [(f" — needs {one_line(need, 120)}", "bold")] if need else []
    paper.marked(MARKS[Status.ERROR], [(f"{ids}: ", "dim"), one_line(message, 200), *needed])


def _accepted(report: Report, paper: Paper) -> None:
    if report.waivers:
        paper.heading("Waivers")
    for waiver in report.waivers:
        who = f"{one_line(waiver.owner, 80)}, {wording.waiver_end(waiver)}"
        about = f" — {one_line(waiver.reason, 160)} ({who}; {wording.waiver_state(waiver)})"
        paper.marked(MARKS[Status.WAIVED], [waiver.check, (about, "dim")])


def _path(report: Report, paper: Paper) -> None:
    if not report.path_to_target:
        return
    paper.heading(f"Path to {report.target_score:g}/10")
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_column(justify="right", no_wrap=True)
    titles = {check.id: check for check in report.checks}
    for number, step in enumerate(report.path_to_target, 1):
        check = titles.get(step.check)
        effort = f" ({check.effort})" if check and check.effort else ""
        provided = wording.provided(check)
        grid.add_row(
            paper.text((f"{number}.", "dim")),
            paper.text(step.check, (effort, "dim"), (f" {provided}" if provided else "", "dim")),
            paper.text(("→ ", "dim"), wording.score(step.score_after)),
        )
    paper.table(grid)


def _expectations(report: Report, paper: Paper) -> None:
    if not report.expectations:
        return
    paper.heading("Performance expectations")
    if paper.narrow:
        for entry in report.expectations:
            mark = NONE if entry.met is None else MARKS[Status.PASS if entry.met else Status.FAIL]
            why = f": {one_line(entry.why, 60)}" if entry.why else ""
            about = (f", target {wording.target(entry)}", "dim")
            paper.marked(mark, [(wording.metric(entry), "bold"), f" {wording.measured(entry)}{why}", about])
        return
    grid = Table.grid(padding=(0, 2))
    for entry in report.expectations:
        mark = NONE if entry.met is None else MARKS[Status.PASS if entry.met else Status.FAIL]
        grid.add_row(
            paper.text(wording.metric(entry)),
            paper.text(wording.measured(entry) + (f": {one_line(entry.why, 60)}" if entry.why else "")),
            paper.text((f"target {wording.target(entry)}", "dim")),
            paper.text(mark),
        )
    paper.table(grid)


def _measurements(report: Report, paper: Paper) -> None:
    for group, (columns, rows) in wording.measurements(report).items():
        paper.heading(one_line(group, 80))
        if paper.narrow:
            for subject, figures in rows.items():
                named = [
                    f"{one_line(name, 40)} {one_line(text, 60)}" for name, text in zip(columns, figures, strict=True)
                ]
                paper.marked("", [one_line(subject, 60), (f"\n{', '.join(named)}", "dim")])
            continue
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("", *columns):
            table.add_column(paper.text(one_line(name, 40)), overflow="fold", justify="right" if name else "left")
        for subject, figures in rows.items():
            table.add_row(*(paper.text(one_line(text, 60)) for text in (subject, *figures)))
        paper.table(table)


def _passed(report: Report, paper: Paper) -> None:
    for status in (Status.PASS, Status.NOT_APPLICABLE):
        for name, checks in wording.by_component(wording.with_status(report, status)).items():
            paper.heading(f"{name}: {len(checks)} {wording.STATUSES[status]}")
            for check in checks:
                paper.marked(MARKS[status], [f"{check.id}  ", (one_line(check.message, 200), "dim")])


def gate(gate: Gate, paper: Paper) -> None:
    """Every condition with its numbers."""
    if gate.passed is None:
        return
    paper.heading("Gate", "passed" if gate.passed else "not passed")
    for condition in gate.conditions:
        mark = MARKS[Status.PASS if condition.passed else Status.FAIL]
        numbers = f"{one_line(wording.observed(condition), 200)} (required {one_line(condition.required, 80)})"
        paper.marked(mark, [(f"{one_line(condition.name, 60)}: ", "bold"), numbers])


def _notices(report: Report, paper: Paper) -> None:
    lines: list[list[str | tuple[str, str]]] = []
    if report.incomplete:
        lines.append([("The audit is incomplete.", "bold red")])
    for name, reason in wording.unreached(report):
        lines.append([(f"{name}: ", "bold"), one_line(reason, 300)])
    for component, reason in report.absences.items():
        lines.append([f"{wording.component_name(component)} declared absent: ", (one_line(reason, 200), "dim")])
    lines += [[one_line(notice, 400)] for notice in report.notices]
    if lines:
        paper.console.print()
    for line in lines:
        paper.line(line)
