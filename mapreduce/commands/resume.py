"""`mapreduce resume`."""

from __future__ import annotations

from mapreduce.commands.command import command
from mapreduce.commands.once import ANEW
from mapreduce.commands.options import Anew, Detach, FolderArgument
from mapreduce.output import say


@command
def resume_command(folder: FolderArgument, anew: Anew = False, detach: Detach = False) -> None:
    """Resume an interrupted run with the command that was typed then."""
    from mapreduce.commands.detach import type_again
    from mapreduce.commands.run_folder import to_resume

    typed = to_resume(folder)
    if typed is None:
        say(f"{folder} holds a finished run: there is nothing to resume")
        return
    type_again(folder, typed.told(*([ANEW] if anew else [])), detach=detach)
