"""`mapreduce cluster enrol`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mapreduce.commands.cluster.options import HostOptions
from mapreduce.commands.command import command
from mapreduce.commands.options import option


@command
def enrol_command(
    hosts: HostOptions,
    yes: Annotated[
        bool, option("--yes", "Trust keys seen for the first time; never changed ones.")
    ] = False,
    replace: Annotated[
        bool, option("--replace", "Ask about changed keys of the hosts of --only.")
    ] = False,
    install_key: Annotated[
        bool, option("--install-key", "Ask each password once; install the public key.")
    ] = False,
    fingerprints: Annotated[
        Path | None, option("--fingerprints", "Trust what this file lists, and nothing else.")
    ] = None,
) -> None:
    """Show host keys, ask, pin them; then see that the login works.

    Examples:

        mapreduce cluster enrol --install-key

        mapreduce cluster enrol --only pi07 --replace
    """
    from mapreduce.cluster.fleet import operations

    operations.enrol_hosts(
        hosts.chosen(),
        yes=yes,
        replace=replace,
        install_key=install_key,
        fingerprints=fingerprints,
    )
