"""The options by which a person chooses hosts, shared by the commands of `mapreduce cluster`."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Hosts:
    """Which hosts a command is about."""

    inventory: InventoryPath = HOSTS
    only: Only = None
    without: Without = None
    tag: Tags = None

    def chosen(self) -> HostChoice:
        """Give them as operations take them."""
        from mapreduce.cluster.fleet.operations import HostChoice  # noqa: PLC0415 - SSH loads here

        return HostChoice(
            self.inventory,
            tuple(self.only or ()),
            tuple(self.without or ()),
            tuple(self.tag or ()),
        )
