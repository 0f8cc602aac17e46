"""The command as it was typed, noted in the run's folder so that `mapreduce resume` can repeat it.

It holds what was typed and nothing else: a secret in an argument was refused before. Here too a
process becomes such a command.
"""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn, TypeAlias

import msgspec

from mapreduce.commands.once import ONCE
from mapreduce.errors import UsageError
from mapreduce.interpreter import command, environment
from mapreduce.json_file import write_json
from mapreduce.runs.journal_file import COMMAND, PENDING
from mapreduce.runs.journal_file import NAME as JOURNAL
from mapreduce.runs.receipt_file import RECEIPT
from mapreduce.runs.report import REPLACED

if TYPE_CHECKING:
    from collections.abc import Sequence

Program: TypeAlias = Literal["mapreduce", "roadspeed"]


@dataclass(frozen=True, slots=True)
class Typed:
    """A command line, and the folder it was typed in."""

    program: Program
    arguments: tuple[str, ...]
    folder: str

    def told(self, *words: str) -> Typed:
        """Give the same command with more options."""
        command, *rest = self.arguments
        more = [word for word in words if word not in rest]
        return replace(self, arguments=(command, *more, *rest))

    @property
    def over_hosts(self) -> bool:
        """Whether it runs over hosts."""
        words = self.arguments
        return "--engine=ssh" in words or ("--engine", "ssh") in pairwise(words)


def remember(folder: Path, program: Program) -> None:
    """Note this process' command in the run's folder, but for what is meant once alone."""
    words = tuple(word for word in sys.argv[1:] if word not in ONCE)
    name = PENDING if any((folder / there).exists() for there in (RECEIPT, REPLACED)) else COMMAND
    write_json(folder / name, asdict(Typed(program, words, str(Path.cwd()))), private=True)


def remembered(folder: Path) -> Typed:
    """Read what was typed.

    Raises
    ------
    UsageError
        Where the folder holds no note of a command, or a damaged one.
    """
    pending = (folder / JOURNAL).exists() and (folder / PENDING).exists()
    path = folder / (PENDING if pending else COMMAND)
    if not path.exists():
        raise UsageError(
            f"{folder} has no {COMMAND}, the record of the run's command: type that command"
            f" again, with --out {folder}; it resumes the run"
        )
    try:
        return msgspec.json.decode(path.read_bytes(), type=Typed)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} is damaged ({error}): type that run's command again, with --out {folder};"
            " it resumes the run"
        ) from None


def become(program: str, arguments: Sequence[str], folder: str | None = None) -> NoReturn:
    """Become a command of the console, in a folder of its own if one is given.

    It is this process from then on, so whatever signal would have reached us reaches it, once.

    Raises
    ------
    UsageError
        Where that folder is no more.
    """
    if folder is not None:
        try:
            os.chdir(folder)
        except OSError as error:
            raise UsageError(
                f"{folder}, the folder in which that command was typed, cannot be entered"
                f" ({error.strerror})"
            ) from None
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed, as under some schedulers
            stream.flush()
    words = command(f"{program}.cli", *arguments)
    os.execve(words[0], words, environment())  # noqa: S606 - no shell, our own interpreter
