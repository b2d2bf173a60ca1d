"""What GitHub Actions reads: annotations as workflow commands, outputs of the step, and a log without commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from readiness.model import Report
from readiness.report.alerts import alerts, level, sentence
from readiness.report.text import clean, one_line
from readiness.report.wording import alarms, beside, count, no_overall, observed, of_ten, rating_mark, unreached

MOST = 10  # annotations of one kind that a step may show; the host drops the others silently
SUMMARY_BYTES = 1_048_576  # of all summaries of a step; a larger one is refused as a whole
_KINDS = {"error": "error", "warning": "warning", "note": "notice"}
_COMMAND = re.compile(r"^(\s*)::|##\[", re.MULTILINE)


def render(report: Report, template_dir: Path | None = None) -> str:
    """The annotations, a workflow command a line: the score, unmet conditions, then the gravest alerts."""
    return "".join(f"{line}\n" for line in commands(report))


def commands(report: Report) -> Iterator[str]:
    """Workflow commands, at most `MOST` of a kind; the notice with the score counts what is left out."""
    found: dict[str, list[str]] = {kind: [] for kind in _KINDS.values()}
    for condition in report.gate.conditions:
        if not condition.passed:
            numbers = f"{observed(condition)} (required {condition.required})"
            found["error"].append(_command("error", f"readiness gate: {condition.name}", numbers))
    for name, reason in unreached(report):
        found["error"].append(_command("error", f"readiness could not read {name}", reason))
    for text in alarms(report):
        found["warning"].append(_command("warning", "readiness", text))
    for check in alerts(report):
        kind = _KINDS[level(check)]
        found[kind].append(_command(kind, check.id, sentence(report, check)))
    limits = {"error": MOST, "warning": MOST, "notice": MOST - 1}
    left_out = sum(max(0, len(lines) - limits[kind]) for kind, lines in found.items())
    more = f"; {count(left_out, 'more finding')} in the step summary" if left_out else ""
    score = no_overall(report)
    if report.score is not None:
        score = f"{of_ten(report.headline)} {rating_mark(report.rating)} {beside(report)}"
    yield _command("notice", f"readiness of {report.service}", score + more)
    for kind, lines in found.items():
        yield from lines[: limits[kind]]


def outputs(report: Report) -> str:
    """Lines for the file of step outputs; no text of the target is among them."""
    values = {
        "score": report.score,
        "headline": report.headline,
        "rating": report.rating,
        "coverage": report.coverage,
        "passed": report.gate.passed,
        "incomplete": report.incomplete,
    }
    return "".join(f"{name}={_output(value)}\n" for name, value in values.items())


def _output(value: float | str | bool | None) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)


def _command(kind: str, title: str, message: str) -> str:
    return f"::{kind} title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    """The message of a workflow command; one line needs no escape but that of the escape."""
    return one_line(clean(text), 1000).replace("%", "%25")


def _property(text: str) -> str:
    return one_line(clean(text), 200).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")


def harmless(text: str) -> str:
    """`text` with a backslash where a line of a log would be a workflow command, in its old or its new form."""
    return _COMMAND.sub(lambda match: rf"{match[1]}\::" if match[1] is not None else r"##\[", text)


class Log:
    """A stream in whose text the runner finds no command: what a target says must not steer the job."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(harmless(text))

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)
