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
        bool, option("--yes", "Trust new keys without asking; never changed keys.")
    ] = False,
    replace: Annotated[
        bool, option("--replace", "Ask about changed keys of the hosts in --only.")
    ] = False,
    install_key: Annotated[
        bool, option("--install-key", "Ask for passwords once; install your public key.")
    ] = False,
    fingerprints: Annotated[
        Path | None, option("--fingerprints", "Trust only the fingerprints in this file.")
    ] = None,
) -> None:
    """Show host keys, ask whether to trust them, pin them, and test the login.

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
