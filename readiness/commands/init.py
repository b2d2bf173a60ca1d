"""readiness init"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from readiness.commands.common import Guard, put, say


def init(
    url: Annotated[
        str | None, typer.Argument(help="The service's base URL; without it, a template.", show_default=False)
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where to write; - is stdout.")] = Path(
        "readiness.yaml"
    ),
    ca_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Certificates to trust besides those of the system, as PEM.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Do not say what is being done.")] = False,
) -> None:
    """Writes a first readiness.yaml, with comments: what a look at the service shows, and what else there is.

    Asks for the root, health, metrics and OpenAPI paths with GET and HEAD, under 100 requests, and a dozen of the
    parameterless GETs that an OpenAPI document names.
    """
    from readiness import init as first
    from readiness.errors import ConfigError
    from readiness.loader import load
    from readiness.progress import reporter
    from readiness.report import writable, write

    with Guard(False):
        to_stdout = str(output) == "-"
        if not to_stdout:
            _demand_free(output, force)
            writable(output)
        registry = load()
        found = None
        if url is not None:
            if "://" not in url:
                raise ConfigError(f"{url!r} is not a URL", place="URL", hint=f"did you mean https://{url.strip()}?")
            with reporter(quiet) as progress:
                found = first.discover(url, ca_file, registry, progress)
        beside = Path() if to_stdout else output.parent
        text = first.render(found, schema=(beside / first.SCHEMA_FILE).is_file())
        first.demand_valid(text, registry)
        if to_stdout:
            put(text, nl=False)
            return
        _demand_free(output, force)
        write(output, text)
        for word, sentence in first.summary(found) if found is not None else ():
            put(f"{word:<10} {sentence}")
        option = "" if output == Path("readiness.yaml") else f" -c {output}"
        say(f"wrote {output}; next: readiness doctor{option}", quiet)


def _demand_free(output: Path, force: bool) -> None:
    from readiness.errors import ConfigError

    if output.exists() and not force:
        raise ConfigError(f"{output} is there already", place="-o", hint="--force replaces it")
