"""The command as it was typed, noted in the run's folder so that `mapreduce resume` can repeat it.

It holds what was typed and nothing else: a secret in an argument was refused before.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from mapreduce.errors import UsageError
from mapreduce.json_file import write_json

NAME: Final = "command.json"


@dataclass(frozen=True, slots=True)
class Typed:
    """A command line, and the folder it was typed in."""

    program: Literal["mapreduce", "roadspeed"]
    arguments: tuple[str, ...]
    folder: str


def remember(folder: Path, program: Literal["mapreduce", "roadspeed"]) -> None:
    """Note this process' command in the run's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / NAME, asdict(Typed(program, tuple(sys.argv[1:]), str(Path.cwd()))))


def remembered(folder: Path) -> Typed:
    """Read what was typed.

    Raises
    ------
    UsageError
        Where the folder holds no note of a command, or a damaged one.
    """
    path = folder / NAME
    if not path.exists():
        raise UsageError(f"{folder} is not the --out of a run: it has no {NAME}")
    try:
        return msgspec.json.decode(path.read_bytes(), type=Typed)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} is damaged ({error}): type that run's command again, with --out {folder};"
            " it goes on where it stopped"
        ) from None
