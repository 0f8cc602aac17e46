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
            lister = LISTERS.get(entry.key[-4:].lower())
            if lister is not None:
                yield from _members(reader, entry, store, lister)
                continue
            if WITHIN in entry.key and _is_like_member(entry.key):
                raise StoreError(
                    f"{store.name} lists {entry.key}, which is how a member of an archive is named"
                    " here, so it could be counted twice: rename it"
                )
            yield entry


def fault_of(reader: Reader, entry: Entry, location: Location) -> str | None:
    """Say why an object that is named as an archive has no members; None where it is named else."""
    lister = LISTERS.get(entry.key[-4:].lower())
    if lister is None or location.member:
        return None
    try:
        with ObjectFile(reader, entry, location) as file:
            for _ in _checked(lister(file, entry)):
                pass
    except ObjectError as error:
        return error.place
    return None


def _is_like_member(key: str) -> bool:
    return any(f"{ending}{WITHIN}" in key.lower() for ending in LISTERS)


def _members(reader: Reader, archive: Entry, store: Store, lister: Lister) -> Iterator[Entry]:
    """Give an archive's members; the archive itself where they cannot be had."""
    with (
        SpooledTemporaryFile(IN_MEMORY_BYTES) as waiting,
        ObjectFile(reader, archive, store.locate(archive)) as file,
    ):
        try:
            for entry in _checked(lister(file, archive)):
                waiting.write(msgspec.json.encode(entry) + b"\n")
        except ObjectError:
            yield archive
            return
        waiting.seek(0)
        for line in waiting:
            yield msgspec.json.decode(line, type=Entry)


def _checked(members: Iterable[Entry]) -> Iterator[Entry]:
    """Give members; refuse names that are empty or there twice, and an archive without a file."""
    is_empty = True
    with contextlib.closing(InOrder()) as keys:
        for member in members:
            is_empty = False
            if member.key.endswith(WITHIN) or not keys.add(member.key):
                raise ObjectError("unreadable", f"{member.key}: a name is empty, or there twice")
            yield member
    if is_empty:
        raise ObjectError("unreadable", "it holds no file")
