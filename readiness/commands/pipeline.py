"""What a CI system is told unasked: annotations, a summary and outputs on GitHub, two report files on GitLab."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

import typer

if TYPE_CHECKING:
    from readiness.model import Report

Targets = list[tuple[str, Path | None]]

GITLAB_FILES: Mapping[str, tuple[str, str]] = {
    # format: file in the working directory, the key under artifacts:reports that picks it up
    "gitlab": ("gl-code-quality-report.json", "codequality"),
    "junit": ("readiness-junit.xml", "junit"),
}


def on_github(environment: Mapping[str, str] = os.environ) -> bool:
    return _set(environment, "GITHUB_ACTIONS")


def on_gitlab(environment: Mapping[str, str] = os.environ) -> bool:
    return _set(environment, "GITLAB_CI")


def _set(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").lower() not in ("", "0", "false")


def files(targets: Targets, environment: Mapping[str, str] = os.environ) -> Targets:
    """On GitLab, the two files that nobody asked for with -o, where the working directory takes them."""
    if not on_gitlab(environment):
        return []
    from readiness.errors import ConfigError
    from readiness.report import writable

    more: Targets = []
    for format, (name, key) in GITLAB_FILES.items():
        if format in (asked for asked, _ in targets):
            continue
        try:
            writable(Path(name))
        except ConfigError as error:
            typer.echo(f"no file for GitLab: {error}", err=True)
        else:
            typer.echo(f"on GitLab: {name} is for artifacts:reports:{key}", err=True)
            more.append((format, Path(name)))
    return more


def publish(report: Report, environment: Mapping[str, str] = os.environ) -> None:
    """On GitHub: annotations on stderr, whose workflow commands the runner reads as well; the summary; the outputs.

    A file of the runner that cannot be written is named and changes no exit code.
    """
    if not on_github(environment):
        return
    from readiness.report import github

    sys.stdout.flush()
    typer.echo(github.render(report), nl=False, err=True)
    for name, text in (("GITHUB_STEP_SUMMARY", _summary), ("GITHUB_OUTPUT", _outputs)):
        if environment.get(name):
            path = Path(environment[name])
            try:
                # At once and in one piece: the runner reads it when the step has ended, however it ended.
                with path.open("ab", buffering=0) as file:
                    file.write(text(report, path))
            except OSError as error:
                typer.echo(f"readiness: cannot write {name}: {error.strerror or error}", err=True)


def _summary(report: Report, path: Path) -> bytes:
    """The whole report where the step's summaries have room for it, else the short one."""
    from readiness.report import render
    from readiness.report.github import SUMMARY_BYTES

    room = SUMMARY_BYTES - (path.stat().st_size if path.exists() else 0)
    whole = render(report, "md").encode() + b"\n"
    return whole if len(whole) <= room else render(report, "md-short").encode() + b"\n"


def _outputs(report: Report, path: Path) -> bytes:
    from readiness.report.github import outputs

    return outputs(report).encode()


def log(stream: TextIO) -> TextIO:
    """`stream`, or one that makes everything written to it `fit`."""
    if not _read_by_runner(stream):
        return stream
    from readiness.report.github import Log

    return cast(TextIO, Log(stream))


def fit(text: str, stream: TextIO) -> str:
    """`text`; on GitHub, and unless the stream is a file, without anything that the runner takes for a command."""
    if not _read_by_runner(stream):
        return text
    from readiness.report.github import harmless

    return harmless(text)


def _read_by_runner(stream: TextIO) -> bool:
    return on_github() and not _is_file(stream)


def _is_file(stream: TextIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False
