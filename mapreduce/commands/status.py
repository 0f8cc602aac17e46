"""`mapreduce status`."""

from __future__ import annotations

from mapreduce.commands.command import command
from mapreduce.commands.options import FolderArgument
from mapreduce.output import say


@command
def status_command(folder: FolderArgument) -> None:
    """Show the progress of the run in a folder."""
    from mapreduce.commands.run_folder import status

    say(status(folder))
