"""Archives in a listing: their members in place of them.

What an archive says of its members is read by ranges when it is listed, and waits in a file until
all of it is read. So one that cannot be used (damaged, without a file in it, with a name twice or
none, or with members that overlap) stays the object that it is, and is told when it is read, with
what is wrong with it. Memory is bounded whatever the number of members.
"""

from __future__ import annotations

import contextlib
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Final

import msgspec

from mapreduce.errors import ObjectError, StoreError
from mapreduce.objects import Entry
from mapreduce.objects.compression import HEAD_BYTES, compression_of
from mapreduce.objects.object_file import ObjectFile
from mapreduce.objects.reader import Reader
from mapreduce.objects.seen_texts import InOrder
from mapreduce.objects.selection import WITHIN
from mapreduce.objects.tar_headers import members_of_tar
from mapreduce.objects.zip_directory import members_of_zip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mapreduce.objects import Location, Store

    Lister = Callable[[ObjectFile, Entry], Iterator[Entry]]  # of an archive; raises ObjectError

LISTERS: Final[dict[str, Lister]] = {".zip": members_of_zip, ".tar": members_of_tar}
OF_NO_TEXT: Final = ("unreadable", "bad_encoding")  # what is said of an archive read as records
REMEDY: Final = "Make it anew, or unpack it"
IN_MEMORY_BYTES: Final = 1 << 20  # of one archive's members; beyond that they wait on the disk


def expanded(entries: Iterable[Entry], store: Store) -> Iterator[Entry]:
    """Give entries, with the members of archives in place of them.

    Raises
    ------
    StoreError
        An object has the name that a member of an archive would have.
    """
    with Reader() as reader:
        for entry in entries:
            lister = _lister_of(entry.key)
            if lister is not None:
                yield from _members(reader, entry, store, lister)
                continue
            if WITHIN in entry.key and is_like_member(entry.key):
                raise StoreError(
                    f"{store.name} lists {entry.key}, which is how a member of an archive is named"
                    " here, so it could be counted twice: rename it"
                )
            yield entry


def explained(reader: Reader, entry: Entry, location: Location, error: ObjectError) -> ObjectError:
    """Give what is wrong with an object; where it is named as an archive, why it is none.

    Parameters
    ----------
    error
        What whoever read it as records said.
    """
    lister = _lister_of(entry.key)
    if lister is None or location.member or error.reason not in OF_NO_TEXT:
        return error
    packed = None
    try:
        with ObjectFile(reader, entry, location) as file:
            packed = compression_of(file.read(HEAD_BYTES))
            file.seek(0)
            for _ in _checked(lister(file, entry), entry):
                pass
    except ObjectError as fault:
        if fault.place == error.place:  # it cannot be read at all
            return error
        what = f"it is compressed with {packed.name}" if packed else fault.place
        told = f"{entry.key}: it is an archive that cannot be used: {what}. {REMEDY}"
        return ObjectError("unreadable", told)
    return error


def is_like_member(key: str) -> bool:
    """Tell whether something is named as members of archives are."""
    return any(f"{ending}{WITHIN}" in key.lower() for ending in LISTERS)


def _lister_of(key: str) -> Lister | None:
    return LISTERS.get(key[-4:].lower())


def _members(reader: Reader, archive: Entry, store: Store, lister: Lister) -> Iterator[Entry]:
    """Give an archive's members; the archive itself where they cannot be had."""
    with SpooledTemporaryFile(IN_MEMORY_BYTES) as waiting:
        try:
            with ObjectFile(reader, archive, store.locate(archive)) as file:
                for entry in _checked(lister(file, archive), archive):
                    waiting.write(msgspec.json.encode(entry) + b"\n")
        except ObjectError:
            yield archive
            return
        waiting.seek(0)
        for line in waiting:
            yield msgspec.json.decode(line, type=Entry)


def _checked(members: Iterable[Entry], archive: Entry) -> Iterator[Entry]:
    """Give members; refuse names that are empty or there twice, and an archive without a file."""
    is_empty = True
    with contextlib.closing(InOrder()) as keys:
        for member in members:
            is_empty = False
            name = member.key.removeprefix(f"{archive.key}{WITHIN}")
            if not name:
                raise ObjectError("unreadable", "it holds a file without a name")
            if not keys.add(name):
                raise ObjectError("unreadable", f"it holds {name} twice")
            yield member
    if is_empty:
        raise ObjectError("unreadable", "it holds no file")
