"""One small module a format; every one is made from the report and nothing else."""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
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
        Format("junit", (".xml",), "readiness.report.junit:render"),
        Format("sarif", (".sarif",), "readiness.report.sarif:render"),
        Format("badge", (".svg",), "readiness.report.badge:render"),
        Format("csv", (".csv",), "readiness.report.csv_format:render"),
        Format("prometheus", (".prom",), "readiness.report.prometheus:render"),
        Format("gitlab", (), "readiness.report.gitlab:render"),
        Format("github", (), "readiness.report.github:render"),
    )
}
"""Every format by the name that `-o NAME:FILE` takes; one without extensions must be named."""


ROOM = 1_000_000
"""Bytes that there must be for a report before the audit begins; a large one is smaller."""


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
    """Raises ConfigError where `write` could not write a report; to be asked before anything is contacted.

    It tries, with a file of `ROOM` bytes that is gone again: permissions do not tell of a full disk or a quota.
    """
    _permitted(path)
    if not _special(path):
        try:
            with _beside(path.resolve()) as temporary, temporary.open("xb") as file:
                file.write(bytes(ROOM))
        except OSError as error:
            raise _cannot(path, error) from None


def _permitted(path: Path) -> None:
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
    _permitted(path)
    data = text.encode("utf-8", errors="replace")
    try:
        if _special(path):  # a device or a pipe cannot be replaced
            path.write_bytes(data)
            return
        path = path.resolve()  # a symbolic link stays one
        with _beside(path) as temporary:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())  # else a crash could leave the new name with nothing in it
            if path.exists():
                temporary.chmod(stat.S_IMODE(path.stat().st_mode))
            temporary.replace(path)
    except OSError as error:
        raise _cannot(path, error) from None


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A name for a file in the same folder, which is gone afterwards unless it was renamed."""
    temporary = path.with_name(f".{path.name[:80]}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _cannot(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"cannot write {path}: {error.strerror or error}")


def _special(path: Path) -> bool:
    return path.exists() and not path.is_file()
