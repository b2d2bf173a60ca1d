"""What is wrong with a user's templates is said before anything is contacted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from readiness.errors import ConfigError
from readiness.report.templates import BUNDLED, examine


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("report.md.j2", "a\n{% if %}", "report.md.j2:2: Expected an expression"),
        ("report.html.j2", "{{ report.service|shout }}", "report.html.j2:1: No filter named 'shout'"),
        ("report.html.j2", "{{ report.service|fence }}", "report.html.j2:1: No filter named 'fence'"),
        ("report.md.j2", "\n{% include 'logo.md.j2' %}", "report.md.j2:2: no template logo.md.j2"),
        ("comment.md.j2", "{% extends 'readiness/none.md.j2' %}", "comment.md.j2:1: no template readiness/none.md.j2"),
        ("report.css", "p {} </style>", "report.css: contains </style"),
    ],
)
def test_a_broken_template_is_named_with_its_line(tmp_path: Path, name: str, source: str, message: str) -> None:
    (tmp_path / name).write_text(source)
    with pytest.raises(ConfigError, match=re.escape(message)):
        examine(tmp_path)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("report.md.j2", "{{ 'x'|fence }}{% include 'logo.md.j2' ignore missing %}{% import 'macros.md.j2' as m %}"),
        ("report.html.j2", "{% extends 'readiness/report.html.j2' %}{% block gate %}{{ passes }}{% endblock %}"),
        ("report.css", "p { color: red }"),
        ("notes.txt", "{% if %}"),
    ],
)
def test_what_is_sound_passes(tmp_path: Path, name: str, source: str) -> None:
    (tmp_path / name).write_text(source)
    examine(tmp_path)


def test_the_bundled_templates_pass() -> None:
    import importlib

    folder = Path(str(importlib.import_module(BUNDLED).__file__)).parent
    examine(folder)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder"):
        examine(tmp_path / "none")
