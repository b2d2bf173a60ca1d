from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from readiness.model import Report
from readiness.report import render
from readiness.report.markdown import code, escape, fence, label, prose, summary
from readiness.report.text import UNSAFE

from .hostile import TEXT, hostile
from .sample import REPORTS, assessment

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HTML = re.compile(r"</?(?:details|summary|b|code)(?: open)?>")


def tokens(markdown: str) -> list[Token]:
    return [each for token in PARSER.parse(markdown) for each in (token, *(token.children or ()))]


def foreign(markdown: str) -> list[str]:
    """Raw HTML in the document that is not ours."""
    raw = [token.content for token in tokens(markdown) if token.type in ("html_inline", "html_block")]
    return [part for part in raw if "<" in HTML.sub("", part)]


@pytest.mark.parametrize(("name", "code"), REPORTS)
def test_golden(name: str, code: int, golden: Callable[[str, str], None]) -> None:
    golden(f"{name}.{code}.md", render(REPORTS[name, code](), "md"))


def test_golden_short(golden: Callable[[str, str], None]) -> None:
    text = render(assessment(), "md-short")
    golden("assessment-short.1.md", text)
    assert len(text) < 4000


def test_the_table_of_the_assessment() -> None:
    text = render(assessment(), "md")
    assert "### Current Implementation: 7/10 ⚠️ 7.1 (6.9 without 2 waivers), up to 7.9; coverage 91 %" in text
    assert "| Component | Score | Production Ready | Notes |" in text
    assert "| Database | 8/10 (8.4) | ✅ |" in text
    assert "### Target Production Score: 9/10" in text
    assert "- [x] **Security Headers**" in text
    assert "- [ ] **Redis Integration**" in text
    assert len(re.findall(r"^- \[[ x]\] ", text, re.M)) == 13
    assert not foreign(text)


@pytest.mark.parametrize("make", REPORTS.values())
@pytest.mark.parametrize("format", ["md", "md-short"])
def test_hostile_text_is_text(make: Callable[[], Report], format: str) -> None:
    text = render(hostile(make()), format)
    parsed = tokens(text)
    assert not UNSAFE.search(text)
    assert not re.search(r"[\r\u2028\x85]", text)
    assert not foreign(text)
    assert not [token for token in parsed if token.type in ("image", "link_open")]
    assert not [token.content for token in parsed if token.type == "heading_open" and "heading" in token.content]
    assert not [token for token in parsed if token.type in ("text", "html_block") and "@octocat" in token.content]
    rows = [token for token in parsed if token.type in ("tr_open", "th_open", "td_open")]
    widths: list[int] = []
    for token in rows:
        widths = [*widths, 0] if token.type == "tr_open" else [*widths[:-1], widths[-1] + 1]
    assert set(widths) <= {2, 3, 4}
    assert format == "md" or len(render(hostile(make(), TEXT * 50), format)) < 65_536  # the limit of a comment


def test_a_hostile_table_keeps_its_columns() -> None:
    honest, spoiled = (render(report, "md-short") for report in (assessment(), hostile(assessment())))
    assert [t.type for t in tokens(honest) if t.type == "td_open"] == [
        t.type for t in tokens(spoiled) if t.type == "td_open"
    ]


def shown(markdown: str) -> str:
    """The text that a reader of the rendered line sees."""
    html = PARSER.renderInline(markdown)
    assert not re.search(r"<(?!/?code>)", html), html
    return unescape(re.sub(r"</?code>", "", html))


@given(st.text(st.sampled_from("ab1 -+=.)#*_`[]()<>|\\~!&;:/@$\n\"'{}^") | st.characters(categories=["L", "S", "P"])))
def test_escaped_text_reads_as_it_was(text: str) -> None:
    words = " ".join(text.split())
    assert shown(escape(text)) == words
    assert shown(code(text)) == words
    block = PARSER.parse(escape(text))
    assert [token.type for token in block] in ([], ["paragraph_open", "inline", "paragraph_close"])


@given(st.text("`ab\n~ "))
def test_a_fence_holds(text: str) -> None:
    parsed = PARSER.parse(fence(text) + "\nafter")
    assert [token.type for token in parsed] == ["fence", "paragraph_open", "inline", "paragraph_close"]
    assert parsed[0].content == text.strip("\n") + "\n"


def test_links_and_mentions_are_broken() -> None:
    assert escape("see https://evil.example") == r"see https:\/\/evil.example"
    assert escape("www.evil.example") == r"www\.evil.example"
    assert escape("@octocat a@b") == "<code>@</code>octocat a<code>@</code>b"
    assert summary("<b> @octocat") == "&lt;b&gt; <code>@</code>octocat"


@given(st.text(st.sampled_from("ab1\"'`()[]{}<>;:#&%|/\\-=~_*\n ") | st.characters(categories=["L", "S", "P"])))
def test_a_label_cannot_end_or_be_markup(text: str) -> None:
    made = str(label(text, 60))
    assert made
    assert not re.search(r"[\"'`<>\[\]{};#&%|\\*\n]|//|__", made)


def test_the_diagrams() -> None:
    text = render(assessment(), "md")
    current, recommended = re.findall(r"^```mermaid\n(.*?)^```$", text, re.M | re.S)
    assert 'n0["Clients<br>HTTPS"]' in current
    assert "n0 --> n1" in current
    assert "n2 -.-> n4" in current
    assert 'n1["CDN<br>for scripts, styles and images<br><b>missing</b>"]:::missing' in recommended
    for line in render(hostile(assessment()), "md").partition("```mermaid\n")[2].partition("```")[0].splitlines():
        assert re.fullmatch(r'flowchart TB|  n\d+ (-->|-\.->) n\d+|  classDef .*|  n\d+\["[^"]*"\](:::\w+)?', line), (
            line
        )


def test_prose() -> None:
    assert prose("Use `a|b` and\n*this*.\n\nThen <b>.") == "Use <code>a\\|b</code> and \\*this\\*.\n\nThen &lt;b&gt;."
    assert not foreign(prose(TEXT))


def test_a_user_template(tmp_path: Path) -> None:
    (tmp_path / "comment.md.j2").write_text("Score of {{ report.service }}: {{ words.of_ten(report.headline) }}")
    assert render(hostile(assessment(), "<b>"), "md-short", tmp_path) == "Score of &lt;b&gt;: 7/10\n"
