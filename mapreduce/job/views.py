"""What a job's code sees: an object's records, and a merged table, as named columns.

Arrays are given as they are, never copied, and nothing is computed but the whole value of a wide
sum, when it is asked for. A name that is not there is answered with those that are.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from mapreduce.errors import JobError
from mapreduce.formats.parsed import Parsed
from mapreduce.tables.histogram import Distributions, percentile_names
from mapreduce.tables.partial import distinct_counts, wide_total
from mapreduce.tables.runs import run_starts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from mapreduce.formats.field_column import Mask
    from mapreduce.plan import Piece
    from mapreduce.tables.arrays import Array
    from mapreduce.tables.histogram import Histogram
    from mapreduce.tables.partial import TablePartial

Drops: TypeAlias = "list[tuple[str, npt.NDArray[np.int64]]]"
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Records:
    """One object's records, in the document's order, as `map` sees them.

    Each field is an attribute: an array of length n. `object` says which object this is (its
    `key`, `ordinal`, `etag`), `rows` (int64[n]) each record's place in it, and `has(name)` where
    an optional field is present. A large object of lines, rows or points comes as several
    `Records`; where it is divided, places are counted from the piece's beginning, `object.start`
    (a byte).
    `without` leaves some out, for a reason that the run counts.
    """

    __slots__ = ("_columns", "_drops", "_first_row", "_places", "_present", "object")

    def __init__(
        self, piece: Piece, parsed: Parsed, first_row: int = 0, drops: Drops | None = None
    ) -> None:
        self.object = piece
        self._places = parsed.rows
        self._first_row = first_row
        self._columns = parsed.columns
        self._present = parsed.present
        self._drops: Drops = [] if drops is None else drops

    def __getattr__(self, name: str) -> Array:
        if name.startswith("_"):  # no field is called so, and ours are not there yet in a copy
            raise AttributeError(name)
        try:
            return self._columns[name]
        except KeyError:
            have = ", ".join(self._columns)
            raise AttributeError(f"no field {name!r} in the job's records; it has {have}") from None

    def __len__(self) -> int:
        return len(self._places)

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """Each record's place in the object: int64[n]; made when asked for, as few jobs do."""
        return self._places + self._first_row if self._first_row else self._places

    def part(self, start: int, stop: int) -> Records:
        """Give some of the records by themselves: to find the one at which a job fails."""
        return Records(self.object, self._some(slice(start, stop)))

    def ordered(self, order: npt.NDArray[np.intp]) -> Records:
        """Give the same records in another order: positions, each once."""
        return Records(self.object, self._some(order), drops=self._drops)

    def without(self, mask: Mask, reason: str) -> Records:
        """Drop the records where `mask` is true: bool[n]; give the others.

        The run counts them as dropped for `reason`, a word of letters, digits and underscores.

        Raises
        ------
        JobError
            The reason is no such word, or the mask is none of these records.
        """
        if not reason.isidentifier():
            raise JobError(f"without: expected a reason such as 'too_far', got {reason!r}")
        if mask.dtype != np.bool_ or mask.shape != (len(self),):
            raise JobError(
                f"without: expected bool of {len(self)} records, got {mask.dtype} of {mask.shape}"
            )
        if not mask.any():
            return self
        self._drops.append((reason, self.rows[mask]))
        return Records(self.object, self._some(~mask), drops=self._drops)

    def _some(self, which: slice | Mask | npt.NDArray[np.intp]) -> Parsed:
        columns = {name: column[which] for name, column in self._columns.items()}
        present = {name: mask[which] for name, mask in self._present.items()}
        rows = self.rows[which]
        return Parsed(columns, present, rows, len(rows))

    @property
    def drops(self) -> Sequence[tuple[str, npt.NDArray[np.int64]]]:
        """The records that were dropped: reasons, and places in the object."""
        return self._drops

    def has(self, name: str) -> Mask:
        """Where the optional field `name` is present: bool[n]."""
        mask = self._present.get(name)
        return np.ones(len(getattr(self, name)), dtype=bool) if mask is None else mask


class Columns:
    """One merged table as `finish` sees it: its keys and values as attributes, ascending by key.

    `behind` are the tables behind its columns, by column.

    Sums, minima, maxima and distinct counts are int64; a wide sum is an object array of exact
    Python integers. Of a histogram there are the percentiles of `mapreduce.tables.histogram`, in
    its values' unit, as float64 columns such as `speed_p85`; `distributions` gives any other.
    """

    __slots__ = ("_columns", "_distributions", "_rows", "_stored")

    def __init__(
        self,
        partial: TablePartial,
        behind: Mapping[str, TablePartial] = NOTHING,
        histograms: Mapping[str, Histogram] = NOTHING,
    ) -> None:
        schema = partial.schema
        columns: dict[str, Array | None] = dict(
            zip((k.name for k in schema.keys), partial.keys, strict=True)
        )
        stored = dict(zip((c.name for c in schema.columns), partial.values, strict=True))
        for column in schema.columns:
            name, _, limb = column.name.partition(".")
            if not limb:
                columns[name] = stored[name]
            elif limb == "hi":
                columns[name] = None  # made when asked for: exact integers are slow to make
        self._distributions: dict[str, Distributions] = {}
        for name, table in behind.items():
            if name not in histograms:
                columns[name] = distinct_counts(partial, table)
                continue
            self._distributions[name] = _distributions(histograms[name], table)
            columns |= dict.fromkeys(percentile_names(name))  # made when asked for, as above
        self._columns = columns
        self._stored = stored
        self._rows = len(partial)

    def __len__(self) -> int:
        return self._rows

    def __getattr__(self, name: str) -> Array:
        if name.startswith("_"):  # as above
            raise AttributeError(name)
        if name not in self._columns:
            have = ", ".join(self._columns)
            raise AttributeError(f"no column {name!r} in the table; it has {have}")
        column = self._columns[name]
        if column is not None:
            return column
        of, _, percent = name.rpartition("_p")
        if of in self._distributions:
            return self._distributions[of].percentile(int(percent))
        return wide_total(*self.limbs(name))

    def distributions(self, name: str) -> Distributions:
        """Give a histogram's distributions, one a row of the table.

        Raises
        ------
        AttributeError
            There is no histogram of that name.
        """
        try:
            return self._distributions[name]
        except KeyError:
            have = ", ".join(self._distributions) or "none"
            raise AttributeError(f"no histogram {name!r} in the table; it has {have}") from None

    def limbs(self, name: str) -> tuple[Array, Array]:
        """Give a wide sum as two int64 arrays: hi * 2**32 + lo, 0 <= lo < 2**32."""
        return self._stored[f"{name}.hi"], self._stored[f"{name}.lo"]

    def asdict(self) -> dict[str, Array]:
        """All columns by name, keys first."""
        return {name: getattr(self, name) for name in self._columns}


def _distributions(histogram: Histogram, table: TablePartial) -> Distributions:
    """Read the table behind a histogram: its last key is the bucket."""
    *keys, buckets = table.keys
    starts = run_starts(keys)
    return Distributions(histogram.width, starts, buckets, table.values[0])
