"""What the user sees on stderr while probes are at work."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

from readiness.collect import Progress
from readiness.facts.collected import Outcome

_MARKS = {Outcome.COLLECTED: "✓", Outcome.FAILED: "✗", Outcome.INTERRUPTED: "■"}


@contextlib.contextmanager
def reporter(quiet: bool) -> Iterator[Progress]:
    """A progress callback: a live line on a terminal, a line for each finished probe elsewhere, nothing when quiet."""
    if quiet:
        yield lambda name, outcome: None
    elif sys.stderr.isatty():
        yield from _live()
    else:
        yield _plain()


def _label(facts: str) -> str:
    return facts.removesuffix("Facts").lower()


def _plain() -> Progress:
    began = time.monotonic()

    def progress(name: str, outcome: Outcome | None) -> None:
        if outcome is not None:
            print(f"{_MARKS[outcome]} {_label(name)} {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)

    return progress


def _live() -> Iterator[Progress]:
    from rich.console import Console

    console, lock = Console(stderr=True), threading.Lock()
    waiting: dict[str, None] = {}
    with console.status("collecting", spinner="dots") as status:

        def progress(name: str, outcome: Outcome | None) -> None:
            with lock:
                if outcome is None:
                    waiting[_label(name)] = None
                else:
                    waiting.pop(_label(name), None)
                status.update(f"collecting: {', '.join(waiting)}" if waiting else "judging")

        yield progress
