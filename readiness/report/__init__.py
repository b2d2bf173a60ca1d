"""One small module a format; every one is made from the report and nothing else."""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from readiness.errors import ConfigError
from readiness.model import Report


class Renderer(Protocol):
    def __call__(self, report: Report, template_dir: Path | None = None) -> str: ...


@dataclass(frozen=True, slots=True)
class Format:
    """A file format. `renderer` is `module:function`, imported when the format is asked for."""

    name: str
    extensions: tuple[str, ...]
    renderer: str
    templated: bool = False

    def load(self) -> Renderer:
        module, _, function = self.renderer.partition(":")
        return cast(Renderer, getattr(importlib.import_module(module), function))


FORMATS: Mapping[str, Format] = {
    format.name: format
    for format in (
        Format("json", (".json",), "readiness.report.json_format:render"),
        Format("html", (".html", ".htm"), "readiness.report.html:render", templated=True),
        Format("md", (".md", ".markdown"), "readiness.report.markdown:render", templated=True),
        Format("md-short", (), "readiness.report.markdown:render_short", templated=True),
    )
}
"""Every format by the name that `-o NAME:FILE` takes; one without extensions must be named."""


def target(output: str) -> tuple[str, Path | None]:
    """Format and path of `-o OUTPUT`: `FILE`, `FORMAT:FILE`, or `-` for standard output, whose path is None.

    Raises:
        ConfigError: no such format, or a file that could not be written.
    """
    name, _, rest = output.partition(":")
    if name not in FORMATS or not rest:
        name, rest = "", output
    if rest == "-":
        return name or "json", None
    path = Path(rest)
    format = name or format_of(path)
    writable(path)
    return format, path


def format_of(path: Path) -> str:
    """The name of the format that a file's extension asks for. Raises ConfigError where none does."""
    for format in FORMATS.values():
        if path.suffix.lower() in format.extensions:
            return format.name
    known = ", ".join(format.extensions[0] for format in FORMATS.values() if format.extensions)
    raise ConfigError(
        f"no format for {path.name!r}", place="-o", hint=f"use {known}, or FORMAT:FILE with one of {', '.join(FORMATS)}"
    )


def render(report: Report, format: str, template_dir: Path | None = None) -> str:
    """The report in a format of `FORMATS`.

    Raises:
        ConfigError: an unknown format, or a template of `template_dir` that cannot be used.
    """
    if format not in FORMATS:
        raise ConfigError(f"unknown format {format!r}", hint=f"one of {', '.join(FORMATS)}")
    return FORMATS[format].load()(report, template_dir)


def writable(path: Path) -> None:
    """Raises ConfigError where `write` could not write; to be asked before anything is contacted."""
    parent = path.parent
    if path.is_dir():
        raise ConfigError(f"{path} is a folder", hint="name a file in it")
    if not parent.is_dir():
        raise ConfigError(f"cannot write {path}: no folder {parent}")
    if not os.access(path if _special(path) else parent, os.W_OK):
        raise ConfigError(f"cannot write {path}: no permission to write to {parent}")


def write(path: Path, text: str) -> None:
    """Writes a file as UTF-8, whole or not at all: readers see the old one or the new one.

    Raises:
        ConfigError: the folder does not exist or cannot be written, the disk is full.
    """
    writable(path)
    data = text.encode("utf-8", errors="replace")
    try:
        if _special(path):  # a device or a pipe cannot be replaced
            path.write_bytes(data)
            return
        path = path.resolve()  # a symbolic link stays one
        temporary = path.with_name(f".{path.name[:80]}.{secrets.token_hex(4)}.tmp")
        try:
            with temporary.open("xb") as file:
                file.write(data)
            if path.exists():
                temporary.chmod(stat.S_IMODE(path.stat().st_mode))
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror or error}") from None


def _special(path: Path) -> bool:
    return path.exists() and not path.is_file()
