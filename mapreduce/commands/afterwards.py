"""What can be done about a run that is at work or over: `resume`, `retry`, `status`, `verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mapreduce.commands import options as given
from mapreduce.commands.once import ANEW
from mapreduce.console.terminal import consequences
from mapreduce.output import say

if TYPE_CHECKING:
    from pathlib import Path

    from mapreduce.commands.saved_command import Typed


def resume_command(
    folder: given.FolderArgument, anew: given.Anew = False, detach: given.Detach = False
) -> None:
    """Go on with a run that was interrupted, as it was typed then."""
    with consequences():
        from mapreduce.commands import run_folder  # noqa: PLC0415 - numpy, as above

        said = run_folder.to_resume(folder)
        if said is None:
            say(f"{folder} holds a finished run: nothing is left to resume")
            return
        _again(folder, said.told(*([ANEW] if anew else [])), detach=detach)


def retry_command(folder: given.FolderArgument, detach: given.Detach = False) -> None:
    """Try the quarantined objects of a finished run again; keep all others, write a new receipt."""
    with consequences():
        from mapreduce.commands import run_folder  # noqa: PLC0415 - numpy, as above

        said = run_folder.to_retry(folder)
        if said is None:
            say(f"{folder} holds a finished run without a quarantined object: none to retry")
            return
        _again(folder, said, detach=detach)


def status_command(folder: given.FolderArgument) -> None:
    """Say how far the run of a folder is."""
    with consequences():
        from mapreduce.commands import run_folder  # noqa: PLC0415 - numpy loads when it is needed

        say(run_folder.status(folder))


def verify_command(folder: given.FolderArgument) -> None:
    """Check a finished run: its account balances, and its files are as they were written."""
    with consequences():
        from mapreduce.commands import run_folder  # noqa: PLC0415 - numpy loads when it is needed

        say(run_folder.verified(folder))


def _again(folder: Path, said: Typed, *, detach: bool) -> None:
    """Type a command of a run again, here or in the background."""
    from mapreduce.commands.saved_command import become  # noqa: PLC0415 - numpy loads when it is needed

    if detach:
        from mapreduce.commands.detach import leave_running  # noqa: PLC0415 - as above

        leave_running(folder, said.program, hosts=said.over_hosts, typed=said)
        return
    become(said.program, said.arguments, said.folder)
