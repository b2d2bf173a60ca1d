"""readiness schema"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from readiness.commands.common import Guard, put

if TYPE_CHECKING:
    from readiness.config import Source


def schema(
    of: Annotated[str, typer.Argument(metavar="report|config", help="What to describe.", show_default=False)],
    config: Annotated[Path | None, typer.Option("-c", "--config", help="For the packs that it names.")] = None,
) -> None:
    """Prints the JSON Schema of the report or of the configuration.

    For completion in editors: readiness schema config > readiness.schema.json, and as the first line of readiness.yaml
    # yaml-language-server: $schema=readiness.schema.json
    """
    with Guard(False):
        from readiness import config as configuration
        from readiness import schema as schemas
        from readiness.errors import ConfigError
        from readiness.loader import load
        from readiness.report.json_format import strict

        if of not in ("report", "config"):
            raise ConfigError(f"no schema {of!r}", hint="one of report, config")
        made = schemas.report() if of == "report" else schemas.configuration(load(configuration.packs(_source(config))))
        put(strict(made), nl=False)


class _Anything(Mapping[str, str]):
    """An environment in which every variable is set: a schema must not need the secrets of a deployment."""

    def __getitem__(self, name: str) -> str:
        return name

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _source(path: Path | None) -> Source:
    from readiness import config

    if path is None and not config.DEFAULT_FILE.is_file():
        return config.Source()
    return config.read(path or config.DEFAULT_FILE, _Anything())
