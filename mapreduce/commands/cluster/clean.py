"""`mapreduce cluster clean`."""

from __future__ import annotations

from typing import Annotated

from mapreduce.commands.cluster.options import HostOptions, Yes
from mapreduce.commands.command import command
from mapreduce.commands.options import option


@command
def clean_command(
    hosts: HostOptions,
    all_: Annotated[bool, option("--all", "Remove everything that no running agent uses.")] = False,
    yes: Yes = False,
) -> None:
    """Free disk space on hosts: remove old releases, packages, overlays, inputs and logs."""
    from mapreduce.cluster.fleet import operations

    operations.clean_hosts(hosts.chosen(), everything=all_, yes=yes)
