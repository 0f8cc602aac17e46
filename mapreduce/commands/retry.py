"""`mapreduce retry`."""

from __future__ import annotations

from mapreduce.commands.command import command
from mapreduce.commands.options import Detach, FolderArgument
from mapreduce.output import say


@command
def retry_command(folder: FolderArgument, detach: Detach = False) -> None:
    """Read the quarantined objects of a finished run again; write a new receipt."""
    from mapreduce.commands.detach import type_again
    from mapreduce.commands.run_folder import to_retry

    typed = to_retry(folder)
    if typed is None:
        say(f"{folder} holds a finished run without quarantined objects: there is nothing to retry")
        return
    type_again(folder, typed, detach=detach)
