from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
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

from .hostile import EVALUATED, INJECTIONS, TEXT, hostile
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


def test_fixes_say_what_they_are_for() -> None:
    text = render(assessment(), "md")
    assert "**Fix** for Express\n\n```js\napp.get('/health'" in text
    assert "**Fix** for redis-cli\n\n```sh\n" in text
    assert "**Fix** for mongosh\n\n```js\n" in text
    assert "**Fix**\n\n```\nValidate every body" in text


def test_the_trend_and_the_measurements() -> None:
    text = render(assessment(), "md")
    assert "📈 5 audits since 2026-01-05 09:30 UTC: 5.2 → **7.1** `▅·▆▆▆`\n" in text
    assert (
        "### Database connections\n\n| | Open | Active | Available | Average response |\n|---|---|---|---|---|\n"
        in text
    )
    assert "| `db1:27017` | 24 | 3 | 815 | 0.42 ms |\n" in text


def long(number: int, letter: str = "x", length: int = 4000) -> Report:
    """That many findings, each as long as they get."""
    text = letter * length
    check = replace(assessment().checks[0], explanation=text, fix=text, verify=text)
    return replace(assessment(), checks=tuple(replace(check, id=f"database.many.n{n}") for n in range(number)))


@pytest.mark.parametrize(("number", "letter", "shown"), [(60, "x", 60), (200, "x", 75), (100, "✓", 18)])
def test_a_summary_stays_below_what_github_shows(number: int, letter: str, shown: int) -> None:
    text = render(long(number, letter), "md")
    assert len(text.encode()) < 1024 * 1024
    assert text.count("<summary>❌ <b>critical</b>") == shown
    assert ("more findings: this text would be longer than the 1 MiB" in text) == (shown < number)
    assert text.count("<details") == text.count("</details>")
    assert "scoring model 1" in text  # the end is there


def test_a_list_of_very_many_checks_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("readiness.report.markdown._ROOM", ((0, 10),))
    text = render(assessment(), "md")
    assert f"_{len(assessment().checks) - 10} more checks in the HTML and the JSON report._" in text
    assert "8 more findings" in text


def test_a_template_that_heeds_no_limit_is_cut(tmp_path: Path) -> None:
    (tmp_path / "report.md.j2").write_text(
        "{% for n in range(40000) %}{{ report.service }} and on and on\n{% endfor %}"
    )
    text = render(assessment(), "md", tmp_path)
    assert len(text.encode()) < 1024 * 1024
    assert text.endswith(
        "artisan-market and on and on\n\n_Cut off here: the report is longer than the 1 MiB that GitHub shows._\n"
    )


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize("format", ["md", "md-short"])
def test_no_text_is_a_template(text: str, format: str) -> None:
    made = render(hostile(assessment(), text), format)
    assert EVALUATED not in made
    assert not foreign(made)
    assert not UNSAFE.search(made)


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
