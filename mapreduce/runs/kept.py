"""What a finished run keeps where objects were quarantined: the sums and account of all others.

With it those objects alone are tried again, and what they bring is merged with what is kept, to the
sums that a run over all of them gives. One file, under a seal, for its owner alone; while such a
run is not finished, a copy of it lies beside its journal.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import msgspec

from mapreduce.atomic_file import whole
from mapreduce.errors import MapReduceError, UsageError
from mapreduce.ledger import Ledger
from mapreduce.runs.journal_file import NAME as JOURNAL
from mapreduce.runs.journal_file import RETRIED
from mapreduce.runs.seals import sealed

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = "kept.sums"
MAGIC: Final = b"mapreduce kept sums 1\n"
SEAL_BYTES: Final = 16


class Kept(msgspec.Struct, frozen=True):
    """The sums of a finished run, packed, and what it takes to go on from them.

    `run` and `identity` are that run's; `listed` and `ignored` count its objects.
    """

    run: str
    identity: str
    listed: int
    ignored: int
    ledger: Ledger
    partial: bytes

    @property
    def retry_identity(self) -> str:
        """Give the identity of the run that tries its quarantined objects again."""
        said = {**json.loads(self.identity), "retry": self.run}
        return json.dumps(said, sort_keys=True)


def write_kept(folder: Path, kept: Kept, name: str = NAME) -> Path:
    """Write it, whole or not at all."""
    path = folder / name
    raw = msgspec.msgpack.encode(kept)
    with whole(path, private=True) as partial, partial.open("wb") as file:
        file.write(MAGIC + sealed("kept", raw))
        file.write(raw)
    return path


def kept_in(folder: Path, *, anew: bool) -> Kept:
    """Read what the finished run of a folder kept; where a retry goes on, what that began with.

    Raises
    ------
    UsageError
        Where nothing is kept.
    MapReduceError
        Where it is damaged.
    """
    path = folder / RETRIED
    if anew or not (path.exists() and (folder / JOURNAL).exists()):
        path = folder / NAME
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(
            f"{folder} has no {NAME}, so there is nothing to retry: a finished run writes it if"
            " it quarantined objects"
        ) from None
    head, body = raw[: len(MAGIC) + SEAL_BYTES], raw[len(MAGIC) + SEAL_BYTES :]
    if head != MAGIC + sealed("kept", body):
        raise MapReduceError(
            f"{path} is damaged, so a retry is not possible: type the run's command again, which"
            " reads everything"
        )
    return msgspec.msgpack.decode(body, type=Kept)


def hold(folder: Path, kept: Kept) -> None:
    """Keep a copy beside the journal of a retry, since the file itself gives way to a new one."""
    if not (folder / RETRIED).exists():
        write_kept(folder, kept, RETRIED)
