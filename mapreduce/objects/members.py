"""Members of archives as objects: `trips.zip!/2019/a.json`, `trips.tar!/2019/a.json`.

A member is read by its own range, in the version of the archive that was listed. What is needed for
that stands in its etag, so an entry says all of it wherever it goes. Nothing is unpacked to a disk,
and no name in an archive is a path here. `archives` lists them, `member_body` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from mapreduce.objects import Entry
from mapreduce.objects.selection import WITHIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mapreduce.objects import Location, Spread, Store

MARK: Final = "!member!"  # in an etag, before what is known of a member
PLAIN, ENCRYPTED, NO_FILE = -1, -2, -3  # methods: a range of the archive's bytes; not read


@dataclass(frozen=True, slots=True)
class Member:
    """Where a member lies: in which version of which archive, from which byte, how packed.

    `method` is one of zip's, where `crc` is that of the content; or one of those above.
    """

    archive: Entry
    offset: int
    packed_bytes: int
    method: int
    crc: int = 0

    def entry(self, name: str, size_bytes: int) -> Entry:
        """Give the object that it is."""
        where = (self.offset, self.packed_bytes, self.method, self.crc)
        known = (len(self.archive.key), self.archive.size_bytes, *where)
        etag = f"{self.archive.etag}{MARK}{'!'.join(map(str, known))}"
        return Entry(f"{self.archive.key}{WITHIN}{name}", size_bytes, etag)


def member_of(entry: Entry) -> Member | None:
    """Give what an entry says of a member; None where it is none."""
    etag, mark, known = entry.etag.rpartition(MARK)
    if not mark:
        return None
    length, size, *where = map(int, known.split("!"))
    return Member(Entry(entry.key[:length], size, etag), *where)


def archive_of(entry: Entry) -> Entry:
    """Give the object that a store knows: a member's archive, or the entry itself."""
    member = member_of(entry)
    return entry if member is None else member.archive


def located(store: Store, entry: Entry) -> Location:
    """Give where an entry is read, a member too; raises as the store's `locate`."""
    return _told(entry, store.locate(archive_of(entry)))


def located_at(store: Spread, entry: Entry, endpoints: Sequence[str]) -> Location:
    """Do the same at some nodes; raises as the store's `locate_at`."""
    return _told(entry, store.locate_at(archive_of(entry), endpoints))


def _told(entry: Entry, location: Location) -> Location:
    if member_of(entry) is None:
        return location
    return msgspec.structs.replace(location, member=True)
