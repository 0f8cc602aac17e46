"""The options by which a person chooses hosts, shared by the commands of `mapreduce cluster`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from mapreduce.commands import options as given

if TYPE_CHECKING:
    from mapreduce.cluster.fleet.operations import HostChoice

WHICH = "Which hosts"
InventoryPath: TypeAlias = Annotated[
    Path, typer.Option("--inventory", help="The file that names the hosts.")
]
Only: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--only", help="Names, ranges or globs: pi[01-03],nuc*.", rich_help_panel=WHICH),
]
Without: TypeAlias = Annotated[
    list[str] | None, typer.Option("--except", help="Not these.", rich_help_panel=WHICH)
]
Tags: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--tag", help="Those with any of these tags.", rich_help_panel=WHICH),
]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", help="Don't ask.")]
Run: TypeAlias = Annotated[str | None, typer.Option("--run", help="One run; else all.")]
Out: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="The --out of a run at work here, not its hosts.",
        parser=given.folder,
        metavar="<path>",
    ),
]
HOSTS = Path("hosts.toml")


def chosen(
    inventory: Path, only: list[str] | None, without: list[str] | None, tags: list[str] | None
) -> HostChoice:
    """Give the hosts chosen, as operations take them."""
    from mapreduce.cluster.fleet.operations import HostChoice  # noqa: PLC0415 - SSH loads when it is needed

    return HostChoice(inventory, tuple(only or ()), tuple(without or ()), tuple(tags or ()))
