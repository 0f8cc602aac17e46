"""Runs on the hosts, started by `fab` and `mapreduce cluster` as commands of the console.

This process is replaced by that command. So the command that a run records for `mapreduce resume`
is a command of the console, and signals reach it. Only the program's name of the application is
known here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from mapreduce.commands.saved_command import become
from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mapreduce.cluster.fleet.operations import HostChoice
    from mapreduce.commands.cluster.options import HostRun

FRAMEWORK: Final = "mapreduce"
APPLICATION: Final = "roadspeed"  # what runs where no job is named, and has a demo


def run_words(choice: HostChoice, run: HostRun, more: Sequence[str] = ()) -> list[str]:
    """Return the command that runs a job on the selected hosts: the program, then its arguments.

    Without a job it runs the application's own job, the only one that takes roads. `more` is
    passed on.

    Raises
    ------
    UsageError
        If options contradict each other.
    """
    if run.source.startswith("-"):
        raise UsageError(f"expected SOURCE before {run.source}, an option of the run's own command")
    if run.job and run.roads:
        raise UsageError(f"--roads is for the application's own job: leave out --job {run.job}")
    if run.set_ and not run.job:
        raise UsageError("--set needs --job: the application's own job has options of its own")
    words = [FRAMEWORK, "run", run.job] if run.job else [APPLICATION, "run"]
    words += [run.source, "--out", str(run.out), *_over(choice)]
    words += ["--roads", run.roads] if run.roads else []
    words += [word for text in run.set_ or () for word in ("--set", text)]
    words += [word for text in run.with_ or () for word in ("--with", text)]
    words += ["--allow-nan"] if run.allow_nan else []
    words += ["--detach"] if run.detach else []
    return [*words, *more]


def demo_words(choice: HostChoice, out: Path, trips: int) -> list[str]:
    """Return the command that runs the application's demo on the selected hosts."""
    return [APPLICATION, "demo", "--out", str(out), "--trips", str(trips), *_over(choice)]


def start(words: Sequence[str]) -> NoReturn:
    """Replace this process by a command of the console, which handles the signals itself."""
    become(words[0], words[1:])


def _over(choice: HostChoice) -> list[str]:
    words = ["--engine", "ssh", "--inventory", str(choice.inventory)]
    if choice.without:  # those commands have no --except: name those that are left
        return [*words, "--only", ",".join(host.name for host in choice.read()[1])]
    words += [word for text in choice.only for word in ("--only", text)]
    return words + [word for text in choice.tags for word in ("--tag", text)]
