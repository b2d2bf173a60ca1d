"""Shell completion of check ids: read out of the packs' files as text, because loading them takes a second per Tab."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import util
from pathlib import Path

import typer

DEFAULT_CONFIG = Path("readiness.yaml")  # as in readiness.config, whose import takes too long
_ID = re.compile(
    r'(?:\bid=|^[A-Z_]+ = )"((?:database|caching|security|monitoring|error_handling|performance|scalability)'
    r'(?:\.[a-z0-9_]+)+)"',
    re.MULTILINE,
)
_MAX_BYTES = 1_000_000


def check_ids(context: typer.Context, incomplete: str) -> list[str]:
    """Ids that begin with what was typed, of the bundled pack, of installed ones and of the folders under `packs:`."""
    return sorted({id for id in _ids(_config(context)) if id.startswith(incomplete)})


def _config(context: typer.Context) -> Path:
    given = context.params.get("config")
    return Path(given) if given else DEFAULT_CONFIG


def _ids(config: Path) -> Iterator[str]:
    for folder in (*_installed(), *_local(config)):
        files = [folder] if folder.is_file() else sorted(folder.rglob("*.py"))
        for file in files:
            try:
                yield from _ID.findall(file.read_text(encoding="utf-8")[:_MAX_BYTES])
            except (OSError, UnicodeDecodeError):
                continue


def _installed() -> Iterator[Path]:
    """The folders of the bundled pack and of installed ones; only their outermost package is looked up, none run."""
    from importlib import metadata  # here, because every command would pay for it

    names = ["readiness.checks", *(point.value for point in metadata.entry_points(group="readiness.packs"))]
    for name in names:
        top, *rest = name.partition(":")[0].split(".")
        if top == "readiness":
            top, rest = ".".join((top, *rest)), []
        try:
            spec = util.find_spec(top)
        except (ImportError, ValueError):
            continue
        if spec is not None:
            if spec.submodule_search_locations is None:
                yield Path(spec.origin or "")
            for root in spec.submodule_search_locations or ():
                inner = Path(root).joinpath(*rest)
                yield inner if inner.is_dir() else inner.with_suffix(".py")


def _local(config: Path) -> Iterator[Path]:
    if not config.is_file():
        return
    import yaml

    try:
        data = yaml.safe_load(config.read_text(encoding="utf-8")[:_MAX_BYTES])
        folders = data.get("packs") or []
        yield from (Path(folder) for folder in folders if isinstance(folder, str))
    except (OSError, ValueError, AttributeError, TypeError, yaml.YAMLError, RecursionError):
        return
