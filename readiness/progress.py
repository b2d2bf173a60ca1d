"""What the user sees on stderr while probes are at work."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from readiness.collect import Progress
from readiness.facts.collected import Outcome

if TYPE_CHECKING:
    from rich.spinner import Spinner
    from rich.table import Table

MARKS: Mapping[Outcome, str] = {Outcome.COLLECTED: "✓", Outcome.FAILED: "✗", Outcome.INTERRUPTED: "■"}
_ASCII: Mapping[Outcome, str] = {Outcome.COLLECTED: "ok", Outcome.FAILED: "FAILED", Outcome.INTERRUPTED: "stopped"}
SYSTEMS: Mapping[str, str] = {
    **dict.fromkeys(("http", "tls", "delivery", "service", "hardening", "robustness", "latency", "load"), "Service"),
    "survey": "Service",
    **dict.fromkeys(("mongo", "clientoptions"), "MongoDB"),
    **dict.fromkeys(("redis", "cacheclient", "cacheuse", "cachefallback"), "Redis"),
    "prometheus": "Prometheus",
    "kubernetes": "Kubernetes",
}
"""What a probe looks at, by its label; one of another pack is a system of its own."""


@contextlib.contextmanager
def reporter(quiet: bool) -> Iterator[Progress]:
    """A progress callback: a line for each system on a terminal, for each finished probe elsewhere, none when quiet."""
    if quiet:
        yield lambda name, outcome: None
    elif sys.stderr.isatty():
        yield from _live()
    else:
        yield _plain(sys.stderr)


def _label(facts: str) -> str:
    return facts.removesuffix("Facts").lower()


def _marks(encoding: str | None) -> Mapping[Outcome, str]:
    try:
        "".join(MARKS.values()).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return _ASCII
    return MARKS


def _plain(stream: TextIO) -> Progress:
    began, marks = time.monotonic(), _marks(stream.encoding)

    def progress(name: str, outcome: Outcome | None) -> None:
        if outcome is not None:
            # In one piece: probes end in threads of their own, and no line may begin within another.
            stream.write(f"{marks[outcome]} {_label(name)} {time.monotonic() - began:.1f} s\n")
            stream.flush()

    return progress


@dataclass
class Board:
    """The probes by system, each with its outcome, or None while it is at work; `took` is when a system was done."""

    marks: Mapping[Outcome, str]
    began: float = field(default_factory=time.monotonic)
    systems: dict[str, dict[str, Outcome | None]] = field(default_factory=dict)
    took: dict[str, float] = field(default_factory=dict)

    def note(self, name: str, outcome: Outcome | None) -> None:
        label = _label(name)
        system = SYSTEMS.get(label, label)
        probes = self.systems.setdefault(system, {})
        probes[label] = outcome
        if None not in probes.values():
            self.took[system] = time.monotonic() - self.began

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Mark, system, and what it waits for or how long it took; no mark while it is at work."""
        for system, probes in self.systems.items():
            waiting = [label for label, outcome in probes.items() if outcome is None]
            if waiting:
                yield "", system, ", ".join(waiting)
                continue
            worst = max((outcome for outcome in probes.values() if outcome), key=list(MARKS).index)
            failed = [label for label, outcome in probes.items() if outcome is not Outcome.COLLECTED]
            yield self.marks[worst], system, ", ".join(failed) or f"{self.took[system]:.1f} s"


def _live() -> Iterator[Progress]:
    from rich.console import Console
    from rich.live import Live
    from rich.spinner import Spinner

    console, lock = Console(stderr=True), threading.Lock()
    board = Board(_marks(console.encoding))
    spinner = Spinner("line" if console.options.ascii_only else "dots")  # one, or it would never turn

    def shown() -> Table:
        with lock:
            return _table(board, spinner)

    with Live(console=console, get_renderable=shown, transient=True, refresh_per_second=8):

        def progress(name: str, outcome: Outcome | None) -> None:
            with lock:
                board.note(name, outcome)

        yield progress


def _table(board: Board, spinner: Spinner) -> Table:
    """A row a system; the spinner turns while it is at work."""
    from rich.table import Table

    table = Table.grid(padding=(0, 1))
    table.add_column(width=max(map(len, board.marks.values())))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", style="dim")
    rows = list(board.rows())
    for mark, system, rest in rows:
        table.add_row(mark or spinner, system, rest)
    if rows and all(mark for mark, _, _ in rows):
        table.add_row(spinner, "judging", "")
    return table
