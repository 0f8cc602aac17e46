"""`mapreduce cluster init`."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from mapreduce.commands.command import command
from mapreduce.commands.options import option
from mapreduce.output import say


@command
def init_command(
    hosts: Annotated[
        list[str], typer.Argument(metavar="HOST…", help="192.168.10.101-116, or names")
    ],
    user: Annotated[str, option("--user", "Login name on the hosts.")] = "",
    name: Annotated[str, option("--name", "Name of the cluster.")] = "shelf",
    address: Annotated[
        str | None, option("--address", "This machine's address, to which workers connect.")
    ] = None,
) -> None:
    """Write a commented hosts.toml, and a fabfile beside it.

    Example:

        mapreduce cluster init 192.168.10.101-116 --user pi
    """
    from mapreduce.cluster.inventory.template import init

    who = user or getpass.getuser()
    for path in init(Path(), hosts, user=who, name=name, address=address):
        say(f"wrote {path}")
    say("check it, then type: mapreduce cluster enrol")
