"""Archives in a listing: their members in place of them.

An archive's directory is read by ranges, when it is listed. One whose directory cannot be used
(damaged, with a name twice or none, or with members that overlap) stays the object that it is, and
is told when it is read.
"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any, Final

from mapreduce.errors import ObjectError
from mapreduce.objects.object_file import ObjectFile
from mapreduce.objects.reader import Reader
from mapreduce.objects.zip_members import ENCRYPTED, ENDING, HEADER_BYTES, Member

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mapreduce.objects import Entry, Store

MOST_MEMBERS: Final = 1 << 20


def expanded(entries: Iterable[Entry], store: Store) -> Iterator[Entry]:
    """Give entries, with the members of archives in place of them."""
    with Reader() as reader:
        for entry in entries:
            if entry.key.lower().endswith(ENDING):
                yield from _members(reader, entry, store) or [entry]
            else:
                yield entry


def _members(reader: Reader, entry: Entry, store: Store) -> list[Entry]:
    """Give an archive's members; none where its directory cannot be used."""
    try:
        with (
            ObjectFile(reader, entry, store.locate(entry)) as file,
            zipfile.ZipFile(file) as zipped,
        ):
            found = zipped.infolist()
    except (ObjectError, zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError):
        return []
    names = {info.filename for info in found}
    least = sum(info.compress_size + HEADER_BYTES for info in found)
    if least > entry.size_bytes:  # some overlap, as in a bomb
        return []
    if len(names) < len(found) or len(found) > MOST_MEMBERS or "" in names:
        return []
    found = [info for info in found if not info.is_dir()]
    return [_member(entry, info).entry(info.filename, info.file_size) for info in found]


def _member(archive: Entry, info: Any) -> Member:
    method = ENCRYPTED if info.flag_bits & 1 else info.compress_type
    return Member(archive, info.header_offset, info.compress_size, method, info.CRC)
