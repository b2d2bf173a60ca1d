"""The overview as one HTML file that loads nothing, made with the styles of a deployment's report."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from readiness import __version__
from readiness.fleet.overview import Overview, Row
from readiness.fleet.terminal import WORDS
from readiness.report.html import inlined, policy, prepared
from readiness.report.templates import fill

TEMPLATE, STYLE = "fleet.html.j2", "fleet.css"
FINDINGS = 60
"""How many of the most frequent findings have a row."""


def render(overview: Overview, template_dir: Path | None = None) -> str:
    """The overview as HTML. Raises ConfigError where a template of `template_dir` cannot be used."""
    made = prepared(template_dir)
    made.globals |= inlined(made, STYLE)
    values = {
        "fleet": overview,
        "findings": overview.findings[:FINDINGS],
        "audit_words": WORDS,
        "link": lambda row: link(overview, row),
        "version": __version__,
        "policy": policy(made, STYLE),
    }
    return fill(made, TEMPLATE, values)


def link(overview: Overview, row: Row) -> str:
    """The address of a deployment's report relative to the overview, or nothing where there is none."""
    name = row.reports.get("html") or row.reports.get("json")
    if not name or not overview.folder:
        return ""
    return f"{quote(overview.folder)}/{quote(name)}"
