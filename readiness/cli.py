"""The command line: its commands, its version, its signals."""

from __future__ import annotations

import signal
from typing import Annotated, Any

import typer
import typer.core

from readiness import __version__
from readiness.commands.audit import audit
from readiness.commands.catalogue import checks, explain
from readiness.commands.common import EXIT_CODES, OptionalValues
from readiness.commands.demo import demo
from readiness.commands.diff import diff
from readiness.commands.doctor import doctor
from readiness.commands.fleet import FLEET_EXIT_CODES, fleet
from readiness.commands.history import history
from readiness.commands.init import init
from readiness.commands.load import LOAD_EXIT_CODES, load
from readiness.commands.new_check import new_check
from readiness.commands.report import report
from readiness.commands.schema import schema
from readiness.commands.validate import validate

_UsageError: Any = typer.BadParameter.__base__


class _Commands(typer.core.TyperGroup):
    """The commands, whose usage errors quote arguments, but no password in them."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except _UsageError as error:
            from readiness.secrets import masked

            raise _UsageError(masked(error.format_message()), ctx=error.ctx) from None


app = typer.Typer(
    name="readiness",
    cls=_Commands,
    help="Audits a live deployment, read-only, and scores whether it is ready for production.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    rich_markup_mode=None,
)

app.command(epilog=EXIT_CODES, cls=OptionalValues)(audit)
app.command(epilog=EXIT_CODES)(demo)
app.command()(init)
app.command()(doctor)
app.command(epilog=FLEET_EXIT_CODES)(fleet)
app.command(epilog=LOAD_EXIT_CODES)(load)
app.command()(report)
app.command(cls=OptionalValues)(diff)
app.command()(history)
app.command()(checks)
app.command()(explain)
app.command()(schema)
app.command()(validate)
app.command("new-check")(new_check)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"readiness {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """The installed command."""
    signal.signal(signal.SIGTERM, _interrupt)
    app()


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
