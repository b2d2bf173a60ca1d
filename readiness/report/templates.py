"""The jinja2 environment of the reports: a user's folder first, then the bundled templates; errors with their line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import nodes

from readiness.errors import ConfigError
from readiness.report import changes, charts, drawing, wording

BUNDLED = "readiness.templates"


def environment(template_dir: Path | None, **options: Any) -> jinja2.Environment:
    """An environment that escapes by default and refuses undefined names.

    A template in `template_dir` replaces the bundled one of the same name, and may extend that as
    `readiness/report.html.j2`. Raises ConfigError where the folder does not exist.
    """
    bundled = jinja2.FunctionLoader(_bundled)
    loaders: list[jinja2.BaseLoader] = [bundled, jinja2.PrefixLoader({"readiness": bundled})]
    if template_dir is not None:
        if not template_dir.is_dir():
            raise ConfigError(f"no folder {template_dir}", place="--template-dir")
        loaders.insert(0, jinja2.FileSystemLoader(template_dir))
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,
    )
    made.globals |= {"words": wording, "draw": drawing, "chart": charts, "change": changes}
    return made


def examine(template_dir: Path) -> None:
    """Compiles what a user's folder holds, so that a slip shows before an audit and not after it.

    Raises:
        ConfigError: the folder does not exist, or a template in it has a syntax error, uses a filter that does not
            exist, or needs a template that is nowhere; names file and line.
    """
    from readiness.report import html, markdown  # they are made of this module

    pages = html.prepared(template_dir)
    html.inlined(pages)
    for path in sorted(template_dir.glob("*.j2")):
        made = markdown.prepared(template_dir) if path.name.endswith(".md.j2") else pages
        try:
            source = path.read_text(encoding="utf-8")
            made.compile(source, path.name, str(path))
            for name, line in _needed(made.parse(source)):
                if not _exists(made, name):
                    raise ConfigError(f"no template {name}", place=f"{path}:{line}")
        except jinja2.TemplateSyntaxError as error:
            raise ConfigError(error.message or "syntax error", place=f"{path}:{error.lineno}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read it: {error}", place=str(path)) from None


def _needed(tree: nodes.Template) -> Iterator[tuple[str, int]]:
    """The templates that one names and cannot do without, with the line."""
    for node in tree.find_all((nodes.Extends, nodes.Import, nodes.FromImport, nodes.Include)):
        name = getattr(node, "template", None)
        if isinstance(name, nodes.Const) and isinstance(name.value, str) and not getattr(node, "ignore_missing", False):
            yield name.value, node.lineno


def _exists(made: jinja2.Environment, name: str) -> bool:
    try:
        return made.loader is not None and bool(made.loader.get_source(made, name))
    except jinja2.TemplateNotFound:
        return False


def _bundled(name: str) -> tuple[str, str | None, Callable[[], bool] | None] | None:
    if "/" in name or "\\" in name:
        return None
    try:
        source = resources.files(BUNDLED).joinpath(name).read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError):
        return None
    return source, name, None


def fill(environment: jinja2.Environment, name: str, values: Mapping[str, Any]) -> str:
    """The rendered template. Raises ConfigError naming template and line, whatever goes wrong inside it."""
    try:
        return environment.get_template(name).render(values)
    except jinja2.TemplateSyntaxError as error:
        place = f"{error.filename or error.name}:{error.lineno}"
        raise ConfigError(error.message or "syntax error", place=place) from None
    except jinja2.TemplateNotFound as error:
        raise ConfigError(f"no template {error.name}", place=name) from None
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"{type(error).__name__}: {error}", place=_place(error, name)) from error


def _place(error: Exception, name: str) -> str:
    """The innermost line of a template in the traceback, which jinja2 has rewritten to show templates."""
    place, trace = name, error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.endswith(".py"):
            place = f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
