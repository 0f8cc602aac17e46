"""Histograms of integers: how many values fell into each bucket, for every key of a table.

A bucket is a whole number: value // width, so that counts are integers that add up in any order. Of
them come percentiles and shares, with an error of less than a bucket: within one, values are taken
as spread evenly. Nothing here reads a record; numbers come out as floats, at the very end.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from mapreduce.errors import JobError

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]

HUNDRED: Final = 100
PERCENTILES: Final = (5, 15, 50, 85, 95)
"""Those that traffic engineers publish."""


class Histogram(msgspec.Struct, frozen=True):
    """A column that keeps the distribution of integers, in buckets of `width`.

    `Table(key="link", n=Sum, speed=Histogram(2_000_000))` and `fold(…, speed=v)`; in `finish`
    `t.speed_p85` is a percentile of each key
    and `t.distributions("speed")` gives any. It costs a row for each pair of key and bucket.
    """

    width: int

    def __post_init__(self) -> None:
        if not 0 < self.width < 2**62:
            raise JobError(f"Histogram: a width is 1 to 2**62, got {self.width}")

    def buckets(self, values: Ints) -> Ints:
        """Give the bucket of each value: int64[n]."""
        return values // self.width


@dataclass(frozen=True, eq=False)
class Distributions:
    """One distribution a key: rows of buckets, ascending by key and bucket.

    Attributes
    ----------
    width
        Of a bucket.
    starts
        intp[n], the first row of each key.
    buckets, counts
        int64[rows].
    """

    width: int
    starts: npt.NDArray[np.intp]
    buckets: Ints
    counts: Ints

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def sizes(self) -> Ints:
        """How many values each key has: int64[n]."""
        return np.add.reduceat(self.counts, self.starts) if len(self) else self.counts[:0]

    def percentile(self, percent: int) -> Floats:
        """Give a percentile of each key: float64[n], in the unit of the values.

        The least x below which `percent` in a hundred of the values lie, where the values of a
        bucket are taken as spread evenly over it.

        Raises
        ------
        JobError
            `percent` is not between 0 and 100.
        """
        if not 0 < percent < HUNDRED:
            raise JobError(f"percentile: expected a number between 0 and 100, got {percent}")
        if not len(self):
            return np.zeros(0)
        wanted = self.sizes * percent  # in hundredths of a value, as all that follows
        rows = self._first(self._up_to * HUNDRED >= np.repeat(wanted, self._lengths))
        before = self._up_to[rows] - self.counts[rows]
        within = (wanted - before * HUNDRED) / (self.counts[rows] * HUNDRED)
        return np.asarray((self.buckets[rows] + within) * self.width)

    def share_below(self, limits: Floats) -> Floats:
        """Give the share of each key's values below a limit of its own: float64[n].

        NaN where the limit is.
        """
        if not len(self):
            return np.zeros(0)
        place = np.repeat(limits / self.width, self._lengths)
        part = np.clip(place - self.buckets, 0.0, 1.0)
        below = np.add.reduceat(part * self.counts, self.starts)
        return np.asarray(below / self.sizes)

    @cached_property
    def _lengths(self) -> npt.NDArray[np.intp]:
        return np.diff(np.append(self.starts, len(self.counts)))

    @cached_property
    def _up_to(self) -> Ints:
        """How many values a key has up to each row, this one included: int64[rows]."""
        total: Ints = np.cumsum(self.counts)
        base = total[self.starts] - self.counts[self.starts]
        return total - np.repeat(base, self._lengths)

    def _first(self, reached: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
        """Give the first row of each key from which on something is true."""
        behind = np.add.reduceat(reached.astype(np.intp), self.starts)
        return np.asarray(self.starts + self._lengths - behind)


def percentile_names(column: str) -> list[str]:
    """Give the names of the columns in which `finish` finds a histogram's percentiles."""
    return [f"{column}_p{percent}" for percent in PERCENTILES]
