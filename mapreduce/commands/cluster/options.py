"""Options shared by the commands of `mapreduce cluster`."""

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
Run: TypeAlias = Annotated[str | None, option("--run", "Only this run; default: all.")]
Out: TypeAlias = Annotated[
    Path | None, out_option("Folder of a run that is running on this machine.")
]


@dataclass(frozen=True, slots=True)
class HostOptions:
    """The hosts that a command is for."""

    inventory: Annotated[Path, option("--inventory", "File that lists the hosts.")] = Path(
        "hosts.toml"
    )
    only: Annotated[
        list[str] | None,
        option("--only", "Only these: names, ranges or globs, pi[01-03],nuc*.", WHICH),
    ] = None
    except_: Annotated[list[str] | None, option("--except", "All except these.", WHICH)] = None
    tag: Annotated[
        list[str] | None, option("--tag", "Only hosts with one of these tags.", WHICH)
    ] = None

    def chosen(self) -> HostChoice:
        """Return the selected hosts for `operations`."""
        from mapreduce.cluster.fleet.operations import HostChoice

        return HostChoice(
            self.inventory, tuple(self.only or ()), tuple(self.except_ or ()), tuple(self.tag or ())
        )


@dataclass(frozen=True, slots=True)
class HostRun:
    """A run on the hosts: of a job, or of the application's own job."""

    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A folder, or s3://bucket/prefix")]
    out: OutOfJob
    job: Annotated[
        str, option("--job", "package.module:Job or ./file.py:Job; default: speeds of roads.")
    ] = ""
    roads: Annotated[str, option("--roads", "Roads file or database, for speeds of roads.")] = ""
    set_: Annotated[list[str] | None, option("--set", "A parameter of the job, name=value.")] = None
    with_: Annotated[
        list[str] | None, option("--with", "A package that the job needs on the hosts.")
    ] = None
    allow_nan: AllowNan = False
    detach: Annotated[bool, option("--detach", "Run in the background.")] = False
