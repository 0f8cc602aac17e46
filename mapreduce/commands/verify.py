"""`mapreduce verify`."""

from __future__ import annotations

from mapreduce.commands.command import command
from mapreduce.commands.options import FolderArgument
from mapreduce.output import say


@command
def verify_command(folder: FolderArgument) -> None:
    """Check that the receipt of a finished run balances and its files are unchanged."""
    from mapreduce.commands.run_folder import verified

    say(verified(folder))
