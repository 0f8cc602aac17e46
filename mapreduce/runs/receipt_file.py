"""`receipt.json` written and read back: whole, of the right form, and as it was written.

Its last entry is a checksum over all others, so an edit that is no forgery is found: a changed
digest, numbers that balance all the same, a file struck from the list. It is not signed: whoever
computes the checksum anew can write any receipt.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import msgspec
import ujson

from mapreduce.errors import MapReduceError
from mapreduce.json_file import write_json

if TYPE_CHECKING:
    from collections.abc import Mapping

RECEIPT: Final = "receipt.json"
CHECKSUM: Final = "checksum"
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
Sha256: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Named: TypeAlias = Annotated[str, msgspec.Meta(pattern="^sha256:[0-9a-f]{64}$")]


class Objects(msgspec.Struct, frozen=True):
    """How many objects ended how."""

    listed: Count
    ok: Count
    quarantined: Count
    ignored: Count


class Counted(msgspec.Struct, frozen=True):
    """How many records ended how."""

    read: Count
    kept: Count
    dropped: dict[str, Count]


class ReceiptFile(msgspec.Struct, frozen=True):
    """A file as it was written."""

    bytes: Count
    sha256: Sha256


class Receipt(msgspec.Struct, frozen=True):
    """What is checked of a receipt; it says more."""

    run: str
    digest: Named
    objects: Objects
    records: Counted
    files: dict[str, ReceiptFile]
    checksum: Named


def write(folder: Path, receipt: Mapping[str, Any]) -> Path:
    """Write it with its checksum."""
    path = folder / RECEIPT
    text = ujson.dumps(dict(receipt), allow_nan=False)  # the numbers as they will be read
    said = msgspec.json.decode(text)
    write_json(path, {**receipt, CHECKSUM: _checksum(said)})
    return path


def read(path: Path) -> tuple[Receipt, dict[str, Any]]:
    """Read it: what is checked, and all it says.

    Raises
    ------
    MapReduceError
        Where it is not a receipt, not as it was written, or does not balance.
    """
    try:
        said = msgspec.json.decode(path.read_bytes())
        receipt = msgspec.convert(said, Receipt)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _wrong(path, f"is not a complete receipt ({error})") from None
    except OSError as error:
        raise MapReduceError(f"{path} cannot be read: {error.strerror}") from None
    rest = {name: value for name, value in said.items() if name != CHECKSUM}
    if _checksum(rest) != receipt.checksum:
        raise _wrong(path, "was changed after the run wrote it (its checksum differs)")
    objects, records = receipt.objects, receipt.records
    if objects.listed != objects.ok + objects.quarantined + objects.ignored:
        raise _wrong(path, f"does not balance: {said['objects']}")
    if records.read != records.kept + sum(records.dropped.values()):
        raise _wrong(path, f"does not balance: {said['records']}")
    strange = [name for name in receipt.files if Path(name).name != name]
    if strange:
        raise _wrong(path, f"lists a name that is not a file of its folder: {strange[0]!r}")
    return receipt, said


def _wrong(path: Path, what: str) -> MapReduceError:
    return MapReduceError(
        f"{path} {what}: do not rely on the files beside it; run again to write them all again"
    )


def _checksum(said: Mapping[str, Any]) -> str:
    """Hash what a receipt says, in whatever order and layout."""
    return f"sha256:{hashlib.sha256(msgspec.json.encode(said, order='sorted')).hexdigest()}"
