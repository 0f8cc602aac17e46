"""A program as a table of its commands: the file of each loads when it is used.

So `--help` loads none: it tells what the table says, which is how the commands' own help begins.
"""

from __future__ import annotations

import importlib
import keyword
import platform
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer
from typer.core import TyperCommand

from mapreduce.output import say

if TYPE_CHECKING:
    from collections.abc import Mapping


def program(name: str, told: str) -> typer.Typer:
    """Give a program, or a group of commands, that has none yet; `told` is what it says it is."""
    return typer.Typer(
        name=name,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        help=told,
    )


def add_commands(app: typer.Typer, room: str, told: Mapping[str, str]) -> None:
    """Add commands by name, each with what it does: `run` is `run_command` of the room's `run`."""
    for name, summary in told.items():
        app.command(name, cls=_later(room, name), help=summary)(_not_loaded)


def loaded(room: str, name: str) -> Any:
    """Load a command; its `SETTINGS` are those of Typer's context.

    The file of `from-osm` is `from_osm`; that of a keyword ends in `_`.
    """
    word = name.replace("-", "_")
    file = f"{word}_" if keyword.iskeyword(word) else word
    module = importlib.import_module(f"{room}.{file}")
    alone = program(name, "")
    alone.command(name, context_settings=getattr(module, "SETTINGS", None))(
        getattr(module, f"{word}_command")
    )
    return typer.main.get_command(alone)


def _later(room: str, name: str) -> type[TyperCommand]:
    class Later(TyperCommand):
        """What is known of a command until it is used."""

        def make_context(self, *given: Any, **more: Any) -> Any:
            """Read what was typed, as the command itself does."""
            return loaded(room, name).make_context(*given, **more)

    return Later


def _not_loaded() -> None:
    """Stand for a command that is not loaded."""


def _show_version(wanted: bool) -> None:
    if wanted:
        import mapreduce
        from mapreduce.formats import scanner
        from mapreduce.tables import grouping

        parts = {"scanner": scanner.is_built(), "grouping": grouping.is_built()}
        told = (f"{'with' if built else 'without'} the compiled {p}" for p, built in parts.items())
        say(
            f"roadspeed {mapreduce.__version__}, Python {platform.python_version()}"
            f" on {platform.machine()}, {', '.join(told)}"
        )
        raise typer.Exit


Version: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--version",
        callback=_show_version,
        is_eager=True,
        help="Show the version, and whether compiled code reads plain JSON and sums by key.",
    ),
]
