"""`mapreduce verify`."""

from __future__ import annotations

from mapreduce.commands.command import command
from mapreduce.commands.options import FolderArgument
from mapreduce.output import say


@command
def verify_command(folder: FolderArgument) -> None:
    """Check a finished run: its account balances, and its files are as they were written."""
    from mapreduce.commands.run_folder import verified

    say(verified(folder))
