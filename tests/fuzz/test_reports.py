"""What strangers write, through every format: it stays text, whatever it is."""

from __future__ import annotations

import csv
import io
import json
from html.parser import HTMLParser
from typing import Any

from hypothesis import example
from hypothesis import strategies as st
from lxml import etree
from rich.console import Console

from readiness.model import Report
from readiness.report import FORMATS, render, terminal
from readiness.report.json_format import from_data, load, to_data
from readiness.report.text import UNSAFE, clean_data

from ..report.hostile import ENUMS, hostile  # noqa: TID252
from ..report.sample import REPORTS, assessment  # noqa: TID252
from .fuzzing import HOSTILE, JUNK, fuzzed, places

SEEN = st.sampled_from(list(REPORTS.values()))
PARTS = HOSTILE | st.sampled_from(
    [
        "<", ">", "&", '"', "'", "</script", "<style>", "<!--", "`", "``` x", "~~~", "\n", "\r", "\t", "\n\n", "# ",
        "- ", "> ", "1. ", "|", "\\", "\\|", "*", "_", "[x](y)", "![", "](javascript:", "@octocat", "#1",
        "http://evil.example", "www.evil", "::set-output", "##[error]", "=1+1", "+1", "-1", "@SUM(1)", "\x0b", "\x1c",
        "\u2066", "\x85", "&lt;", "&#x3c;", "${x}", "{{ x }}", "{% raw %}", "onclick=x", "</td>", "]]>", "<?xml", "%",
        "\U0001f600", "\u0301" * 9, "\udfff", "a" * 300,
    ]
)  # fmt: skip
TEXTS = st.lists(PARTS | st.text(max_size=10), max_size=8).map("".join)


class Page(HTMLParser):
    """What a browser would run or load: scripts, handlers, addresses."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.scripts = 0
        self.handlers: list[str] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.scripts += tag == "script"
        for name, value in attrs:
            if name.startswith("on") or name in ("srcdoc", "style", "formaction"):
                self.handlers.append(name)
            if name in ("href", "src", "action", "xlink:href", "data"):
                self.addresses.append(value or "")


PLAIN = {
    name: Page(render(make(), "html")) for name, make in {make.__name__: make for make in REPORTS.values()}.items()
}
TAGS = set().union(*(page.tags for page in PLAIN.values()))


def of_html(text: str) -> None:
    page = Page(text)
    assert page.tags <= TAGS, page.tags - TAGS
    assert page.scripts <= max(each.scripts for each in PLAIN.values())
    assert set(page.handlers) <= {handler for each in PLAIN.values() for handler in each.handlers}
    assert all(each.startswith(("https://", "#", "data:image/svg+xml", "data:image/png")) for each in page.addresses)


def of_json(text: str) -> None:
    json.loads(text, parse_constant=_refused)


def of_xml(text: str) -> None:
    etree.fromstring(text.encode())


def of_csv(text: str) -> None:
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len({len(row) for row in rows}) == 1
    assert not any(cell[:1] in "=+-@" and not _number(cell) for row in rows[1:] for cell in row if cell)


def of_lines(text: str) -> None:
    """GitHub's workflow commands: a line each."""
    assert all(line.startswith("::") for line in text.splitlines() if line)


def of_text(text: str) -> None: ...


READERS = {
    "json": of_json, "sarif": of_json, "gitlab": of_json, "junit": of_xml, "badge": of_xml, "html": of_html,
    "csv": of_csv, "github": of_lines, "md": of_text, "md-short": of_text, "prometheus": of_text,
}  # fmt: skip


ALL = [*FORMATS, "terminal40", "terminal100"]


def _refused(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def rendered(report: Report, name: str) -> str:
    if not name.startswith("terminal"):
        return render(report, name)
    stream = io.StringIO()
    terminal.render(report, Console(file=stream, width=int(name[8:])), verbose=name == "terminal40", quiet=False)
    return stream.getvalue()


def unharmed(report: Report, name: str) -> None:
    text = rendered(report, name)
    found = UNSAFE.search(text.replace("\r\n", "\n") if name == "csv" else text)
    assert found is None, f"{name}: {text[max(0, found.start() - 40) : found.end() + 20]!r}"
    text.encode()
    READERS.get(name, of_text)(text)


def test_every_format_has_a_reader() -> None:
    assert {*READERS} == {*FORMATS}
    for make in REPORTS.values():
        for name in ALL:
            unharmed(make(), name)


@fuzzed(SEEN, TEXTS, st.sampled_from(ALL), examples=30)
@example(assessment, "]]>\ud800\x1b", "junit")
def test_one_text_everywhere(make: Any, text: str, name: str) -> None:
    unharmed(hostile(make(), text), name)


@fuzzed(SEEN, st.lists(TEXTS, min_size=1, max_size=6), st.integers(0, 10_000), st.sampled_from(ALL), examples=30)
def test_a_text_in_some_places(make: Any, texts: list[str], seed: int, name: str) -> None:
    data = to_data(make())
    there = [(container, key) for container, key in places(data) if isinstance(container[key], str)]
    for number, text in enumerate(texts):
        container, key = there[(seed * 7919 + number * 104_729) % len(there)]
        if key not in ENUMS:
            container[key] = text
    unharmed(from_data(clean_data(data)), name)


@fuzzed(JUNK, TEXTS, st.sampled_from(ALL), examples=30)
def test_evidence_of_any_shape(evidence: Any, text: str, name: str) -> None:
    data = to_data(assessment())
    for check in data["checks"]:
        check["evidence"] = {text: evidence}
    data["architecture"] = {"current": {text: evidence}, "recommended": {text: evidence}}
    report = from_data(clean_data(data))
    unharmed(report, name)
    again = load(render(report, "json"), "report.json")
    assert render(again, "json") == render(report, "json")
