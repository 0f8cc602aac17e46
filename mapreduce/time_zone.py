"""Time zones: offsets from UTC and local times of whole columns, exact to the second.

The rules are those of one compiled zone file (TZif, RFC 9636), as the standard library reads it: it
is asked once for every change between 1970 and 2100, and arrays are looked up in the table of
these. Before and after, the offset is that of the first and of the last moment. A zone is known by
its content: this machine's own files play no part, so that each host comes to the same times.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from struct import error as StructError  # noqa: N812 - an exception
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from mapreduce.errors import UsageError

if TYPE_CHECKING:
    import os

Ints: TypeAlias = npt.NDArray[np.int64]

SECOND_US: Final = 1_000_000
FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
END: Final = datetime(2100, 1, 1, tzinfo=UTC)
STEP: Final = timedelta(days=3)  # no zone of tzdata changed twice within six days since 1970
SECOND: Final = timedelta(seconds=1)
MOST_BYTES: Final = 1 << 20  # of a zone file: those of tzdata take a few hundred
SHOWN: Final = 5
# What the standard library raises of a damaged file: it asserts, too.
UNREADABLE: Final = (ValueError, LookupError, OverflowError, StructError, AssertionError, EOFError)


@dataclass(frozen=True, slots=True)
class _Changes:
    """Where the offset from UTC changes, and what it is from there on.

    Attributes
    ----------
    offsets
        int64[n + 1], microseconds east of UTC; the first is that before any change.
    in_utc
        int64[n], microseconds since 1970: the first moment of each later offset.
    in_local
        int64[n], the first wall clock reading that stands for it alone, or is in no gap.
    """

    offsets: Ints
    in_utc: Ints
    in_local: Ints


class TimeZone:
    """A time zone, from a compiled zone file; see `zone_file` for those of `tzdata`.

    Two are equal where their files hold the same. A worker needs the file alone.

    Parameters
    ----------
    path
        Where the file is on this machine.

    Raises
    ------
    UsageError
        It cannot be read, or is no zone file.
    """

    __slots__ = ("_changes", "_content")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:
            with Path(path).open("rb") as file:
                content = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise UsageError(f"the time zone {path} cannot be read: {error.strerror}") from None
        _rules(content, f"the time zone {path}")
        self._content = content
        self._changes: _Changes | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TimeZone) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)

    def __repr__(self) -> str:
        return f"<TimeZone sha256:{hashlib.sha256(self._content).hexdigest()[:12]}>"

    def __getstate__(self) -> bytes:
        return self._content

    def __setstate__(self, content: bytes) -> None:
        self._content, self._changes = content, None

    def offsets(self, utc_us: Ints) -> Ints:
        """Give the offsets at moments.

        Parameters
        ----------
        utc_us
            int64[n], microseconds since 1970-01-01 in UTC.

        Returns
        -------
        int64[n]
            Microseconds east of UTC: positive where clocks are ahead of it.
        """
        table = self._table()
        found = _looked_up(utc_us, table.in_utc, table.offsets)
        return np.broadcast_to(found, utc_us.shape).copy()

    def local(self, utc_us: Ints) -> Ints:
        """Give what clocks show at moments, as microseconds since 1970-01-01 of a local calendar.

        Parameters
        ----------
        utc_us
            int64[n], microseconds since 1970-01-01 in UTC.
        """
        table = self._table()
        return utc_us + _looked_up(utc_us, table.in_utc, table.offsets)

    def utc(self, local_us: Ints) -> Ints:
        """Give the moments at which clocks show a time: int64[n] both, as in `local`.

        A time that clocks show twice is the first of the two; one that they skip is told by the
        offset before the change (PEP 495 with `fold=0`).
        """
        table = self._table()
        return local_us - _looked_up(local_us, table.in_local, table.offsets)

    def _table(self) -> _Changes:
        if self._changes is None:
            try:
                self._changes = _changes_of(_rules(self._content, "the time zone"))
            except UNREADABLE as error:  # an offset of more than a day
                raise UsageError(f"the time zone's file is damaged: {error}") from None
        return self._changes


def zone_file(name: str) -> Path:
    """Give where the file of a zone is: that of the installed `tzdata`, never the machine's own.

    Parameters
    ----------
    name
        As the IANA database has it: `Europe/London`.

    Raises
    ------
    UsageError
        There is no such zone, or `tzdata` is not installed.
    """
    spec = find_spec("tzdata")
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(
            "names of time zones need the package tzdata, which is not installed here:"
            " pip install 'roadspeed[coordinator]'"
        )
    folder = Path(spec.submodule_search_locations[0])
    names = (folder / "zones").read_text(encoding="utf-8").split()
    if name not in names:
        raise UsageError(
            f"no time zone is called {name!r}: expected a name of the IANA database such as"
            f" Europe/London{_like(name, names)}"
        )
    return folder.joinpath("zoneinfo", *name.split("/"))


def _like(name: str, names: list[str]) -> str:
    """Say which zones are called much the same, as a whole or by their city."""
    wanted = name.strip().replace(" ", "_").casefold()
    called: dict[str, str] = {}
    for one in names:
        called.setdefault(one.rpartition("/")[2].casefold(), one)
        called[one.casefold()] = one
    found = [called[key] for key in get_close_matches(wanted, called, SHOWN, cutoff=0.75)]
    near = list(dict.fromkeys(found))
    return f". Did you mean {' or '.join(near)}?" if near else ""


def _looked_up(times: Ints, bounds: Ints, offsets: Ints) -> Ints:
    """Give the offset of each time: one for all of a batch where no change is between them."""
    if not len(times) or not len(bounds):
        return offsets[:1]
    first, last = bounds.searchsorted([times.min(), times.max()], side="right").tolist()
    if first == last:
        return offsets[first : first + 1]
    return offsets[first:].take(bounds[first:last].searchsorted(times, side="right"))


class _Content(io.BytesIO):
    """Bytes that end with an error: the standard library looks for a last line without an end."""

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        if size and not found:
            raise EOFError("it ends too early")
        return found


def _rules(content: bytes, called: str) -> ZoneInfo:
    """Read a zone file."""
    told = f"{called} is no compiled zone file (TZif)"
    if len(content) > MOST_BYTES:
        raise UsageError(f"{told}: it has over {MOST_BYTES:,} bytes")
    try:
        return ZoneInfo.from_file(_Content(content))
    except UNREADABLE as error:
        raise UsageError(f"{told}: {str(error) or type(error).__name__}") from None


def _changes_of(zone: ZoneInfo) -> _Changes:
    """Ask for the offset every few days, and between two that differ for the second it changed."""

    def offset(moment: datetime) -> Any:
        return zone.fromutc(moment).utcoffset()

    before = FIRST.replace(tzinfo=zone)
    end, last = END.replace(tzinfo=zone), offset(before)
    found, offsets = [], [last]
    while before < end:
        after = before + STEP
        if (now := offset(after)) != last:
            found.append(_change(zone, before, after))
            offsets.append(now)
            last = now
        before = after
    in_us = [one // timedelta(microseconds=1) for one in offsets]
    in_utc = np.array(found, np.int64) * SECOND_US
    table = np.array(in_us, np.int64)
    return _Changes(table, in_utc, in_utc + np.maximum(table[:-1], table[1:]))


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> int:
    """Give the first second at which the offset is not what it was, by halving."""
    old = zone.fromutc(before).utcoffset()
    while after - before > SECOND:
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        if zone.fromutc(middle).utcoffset() == old:
            before = middle
        else:
            after = middle
    return (after.replace(tzinfo=UTC) - FIRST) // SECOND
