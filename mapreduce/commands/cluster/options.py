"""The options that the commands of `mapreduce cluster` share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from mapreduce.commands.options import AllowNan, OutOfJob, option, out_option

if TYPE_CHECKING:
    from mapreduce.cluster.fleet.operations import HostChoice

WHICH = "Which hosts"

Yes: TypeAlias = Annotated[bool, option("--yes", "Don't ask.")]
Run: TypeAlias = Annotated[str | None, option("--run", "One run; else all.")]
Out: TypeAlias = Annotated[
    Path | None, out_option("The --out of a run at work here, not its hosts.")
]


@dataclass(frozen=True, slots=True)
class HostOptions:
    """The hosts that a command is for."""

    inventory: Annotated[Path, option("--inventory", "The file that names the hosts.")] = Path(
        "hosts.toml"
    )
    only: Annotated[
        list[str] | None, option("--only", "Names, ranges or globs: pi[01-03],nuc*.", WHICH)
    ] = None
    except_: Annotated[list[str] | None, option("--except", "Not these.", WHICH)] = None
    tag: Annotated[list[str] | None, option("--tag", "Those with any of these tags.", WHICH)] = None

    def chosen(self) -> HostChoice:
        """Give the hosts, as operations take them."""
        from mapreduce.cluster.fleet.operations import HostChoice

        return HostChoice(
            self.inventory, tuple(self.only or ()), tuple(self.except_ or ()), tuple(self.tag or ())
        )


@dataclass(frozen=True, slots=True)
class HostRun:
    """A run over the hosts: of a job, or else of the application's own."""

    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A folder, or s3://bucket/prefix")]
    out: OutOfJob
    job: Annotated[str, option("--job", "package.module:Job or ./file.py:Job; else speeds.")] = ""
    roads: Annotated[str, option("--roads", "Roads, for speeds.")] = ""
    set_: Annotated[list[str] | None, option("--set", "A parameter of the job, name=value.")] = None
    with_: Annotated[
        list[str] | None, option("--with", "A package the job needs on the hosts.")
    ] = None
    allow_nan: AllowNan = False
    detach: Annotated[bool, option("--detach", "In the background.")] = False
