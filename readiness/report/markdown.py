"""The report as GitHub-flavoured Markdown: a file, a step summary, or short for the comment on a merge request."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup
from markupsafe import escape as escape_html

from readiness.model import Report
from readiness.report.templates import environment, fill
from readiness.report.text import clean, cut, https, one_line

TEMPLATE = "report.md.j2"
SHORT_TEMPLATE = "comment.md.j2"
LARGEST = 1_000_000  # bytes of a whole report; GitHub takes 1 MiB as the summary of a step
_ROOM = ((1_000_000, 1_000_000), (75, 2000), (18, 1000), (0, 300))
"""Findings in full and rows of the list of checks, tried in turn."""
LONGEST = 500  # characters of one value: more is no sentence; code blocks are cut in the template
_SPECIAL = re.compile(r"[\\`*_\[\]#|~$]")
_AT_START = re.compile(r"^(?:[-+=](?=[\s\-=+]|$)|\d+(?=[.)](?:\s|$)))")
_LINK = re.compile(r"(?i)(?<=[a-z])://|\bwww\.")
_MENTION = re.compile(r"@(?=[\w-])")
_NO_LABEL = re.compile(r"[^\w .,:+()/…-]|(?<=/)/|__+")
_FENCES = re.compile(r"`+")


def render(report: Report, template_dir: Path | None = None) -> str:
    """The whole report, with fewer findings in full where it would exceed `LARGEST`.

    Raises ConfigError where a template of `template_dir` cannot be used.
    """
    text = ""
    for most, most_rows in _ROOM:
        text = render_with(report, template_dir, TEMPLATE, most=most, most_rows=most_rows)
        if len(text.encode()) <= LARGEST:
            return text
    kept = text.encode()[: LARGEST - 200].decode(errors="ignore").rpartition("\n")[0]
    return f"{kept}\n\n_Cut off here: the report is longer than the 1 MiB that GitHub shows._\n"


def render_short(report: Report, template_dir: Path | None = None) -> str:
    """The table, the gate and the gravest findings, short enough for a comment."""
    return render_with(report, template_dir, SHORT_TEMPLATE)


def render_with(report: Report, template_dir: Path | None, template: str, **values: object) -> str:
    """The report in this template of Markdown."""
    text = fill(prepared(template_dir), template, {"report": report, **values})
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def prepared(template_dir: Path | None) -> Environment:
    """The environment with the filters of Markdown templates."""
    made = environment(template_dir, finalize=_finalize)
    made.filters |= {"line": one_line, "cut": cut, "code": code, "fence": fence, "prose": prose}
    made.filters |= {"summary": summary, "link": link, "label": label}
    return made


def _finalize(value: object) -> object:
    """Every value of the report becomes plain text here, unless a filter below has made Markdown of it."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return Markup(escape(cut(str(value), LONGEST)))


def escape(text: str) -> str:
    """`text` as one line of Markdown that reads as just that: no markup, link, mention, formula or cell border."""
    text = one_line(clean(text))
    text = _SPECIAL.sub(r"\\\g<0>", text)
    text = _AT_START.sub(lambda match: f"\\{match[0]}" if not match[0][0].isdigit() else f"{match[0]}\\", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # GitHub makes links and mentions of bare text; neither may come from the audited system.
    text = _LINK.sub(lambda match: match[0].replace("/", r"\/").replace(".", r"\."), text)
    return _MENTION.sub("<code>@</code>", text)


def code(text: str) -> Markup:
    """A code span, on one line, that also holds in a table; empty text stays empty."""
    text = one_line(clean(text), LONGEST)
    if not text:
        return Markup("")
    if re.search(r"[`\\|]", text):
        return Markup(f"<code>{escape(text)}</code>")
    return Markup(f"`{text}`")


def fence(text: str, language: str = "") -> Markup:
    """A code block; its fence is longer than any in the text."""
    text = re.sub("[\u2028\u2029]", "\n", clean(text)).strip("\n")
    longest = max(map(len, _FENCES.findall(text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return Markup(f"{ticks}{language}\n{text}\n{ticks}")


def summary(text: str) -> Markup:
    """Text inside raw HTML, where Markdown's own escapes would show."""
    html = str(escape_html(one_line(clean(text))))
    return Markup(_MENTION.sub("<code>@</code>", html))


def label(text: str, limit: int) -> Markup:
    """Text in a quoted label of a mermaid diagram, reduced to what cannot be markup there."""
    return Markup(_NO_LABEL.sub(" ", cut(one_line(clean(text)), limit)).strip() or "-")


def link(url: str) -> Markup:
    """A link of a plain https URL, the text of anything else."""
    plain = https(url)
    return Markup(f"<{plain}>") if plain else Markup(escape(url))


def prose(text: str) -> Markup:
    """Paragraphs, with `words in backticks` as code."""
    paragraphs = []
    for part in re.split(r"\n\s*\n", text):
        pieces = re.split(r"`([^`\n]+)`", one_line(clean(part)))
        paragraphs.append("".join(code(piece) if n % 2 else _inner(piece) for n, piece in enumerate(pieces)))
    return Markup("\n\n".join(paragraphs))


def _inner(text: str) -> str:
    """A piece of a line: escaped, with the spaces at its ends."""
    stripped = text.strip()
    if not stripped:
        return text
    return text[: len(text) - len(text.lstrip())] + escape(stripped) + text[len(text.rstrip()) :]
