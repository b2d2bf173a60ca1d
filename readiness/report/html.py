"""The report as one HTML file that loads nothing: styles and script inside, allowed by their hashes alone."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import partial
from pathlib import Path

from jinja2 import BytecodeCache, Environment, TemplateNotFound
from jinja2.bccache import Bucket
from markupsafe import Markup, escape

from readiness.errors import ConfigError
from readiness.model import Report
from readiness.report.templates import environment, fill
from readiness.report.text import clean, cut, https, one_line
from readiness.report.wording import evidence

TEMPLATE = "report.html.j2"
EVIDENCE_BYTES = 4000  # a check
ALL_EVIDENCE_BYTES = 250_000  # the report: browsers choke on audits that quote everything
LONGEST = 5000  # characters of one value
_CODE = re.compile(r"`([^`\n]+)`")


def render(report: Report, template_dir: Path | None = None) -> str:
    """The report as HTML. Raises ConfigError where a template of `template_dir` cannot be used."""
    made = prepared(template_dir)
    quoting = sum(bool(check.evidence) for check in report.checks)
    limit = min(EVIDENCE_BYTES, ALL_EVIDENCE_BYTES // max(1, quoting))
    made.globals |= {
        "evidence": partial(evidence, limit=limit),
        **inlined(made),
    }
    made.globals["policy"] = policy(made)
    return fill(made, TEMPLATE, {"report": report})


def policy(made: Environment, *more: str) -> str:
    """The content security policy of a page with what `inlined` gives."""
    styles = " ".join(_hash(made, name) for name in ("report.css", *more))
    return (
        "default-src 'none'; base-uri 'none'; form-action 'none'; "
        f"style-src {styles}; script-src {_hash(made, 'report.js')}"
    )


class _Compiled(BytecodeCache):
    """Templates compiled in this process: whoever renders many reports compiles each template once.

    jinja2 compares a template's source before it takes what was compiled of it.
    """

    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._known:
            bucket.bytecode_from_string(self._known[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[bucket.key] = bucket.bytecode_to_string()


_compiled = _Compiled()


def prepared(template_dir: Path | None) -> Environment:
    """The environment with the filters of HTML templates."""
    made = environment(template_dir, finalize=_finalize, bytecode_cache=_compiled)
    made.filters |= {"prose": prose, "cut": cut, "line": one_line, "https": https, "anchor": anchor}
    return made


def _finalize(value: object) -> object:
    """Every value of the report passes here before it is escaped."""
    return clean(cut(value, LONGEST)) if type(value) is str else value


def _source(made: Environment, name: str) -> str:
    assert made.loader is not None
    try:
        source, _, _ = made.loader.get_source(made, name)
    except TemplateNotFound:
        raise ConfigError(f"no template {name}", place=TEMPLATE) from None
    return "\n" + source.strip() + "\n"


def inlined(made: Environment, *more: str) -> dict[str, Markup]:
    """Style and script, each in its element; `more` styles follow. Raises ConfigError where one would end it."""
    styles = [_inline(made, name, "style") for name in ("report.css", *more)]
    return {"style": Markup("\n").join(styles), "script": _inline(made, "report.js", "script")}


def _inline(made: Environment, name: str, tag: str) -> Markup:
    source = _source(made, name)
    if f"</{tag}" in source.lower():
        raise ConfigError(f"contains </{tag}>, which would end it", place=name)
    return Markup(f"<{tag}>{source}</{tag}>")


def _hash(made: Environment, name: str) -> str:
    digest = hashlib.sha256(_source(made, name).encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def anchor(id: str) -> str:
    """The id of a check as the end of an element's id and of the link to it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", id)[:120]


def prose(text: str) -> Markup:
    """Escaped text with its paragraphs kept, and `words in backticks` as code."""
    paragraphs = filter(None, (one_line(clean(part)) for part in re.split(r"\n\s*\n", text)))
    marked = (_CODE.sub(r"<code>\1</code>", str(escape(paragraph))) for paragraph in paragraphs)
    return Markup("".join(f"<p>{paragraph}</p>" for paragraph in marked))
