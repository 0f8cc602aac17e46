"""Runs of equal keys, folded by numpy: one row each, integers only, no sum that wraps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from mapreduce.errors import JobError
from mapreduce.tables.arrays import INT64_MAX, Ints
from mapreduce.tables.rules import Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from mapreduce.tables.arrays import Array

LIMB_BITS: Final = 32
LIMB_MASK: Final = (1 << LIMB_BITS) - 1


def run_starts(keys: Sequence[Array]) -> npt.NDArray[np.intp]:
    """Positions at which a run of equal keys begins."""
    begins = np.ones(len(keys[0]), dtype=np.bool_)
    np.not_equal(keys[0][1:], keys[0][:-1], out=begins[1:])
    for key in keys[1:]:
        begins[1:] |= key[1:] != key[:-1]
    (starts,) = begins.nonzero()
    return starts


def checked_sum(x: Ints, starts: npt.NDArray[np.intp], what: str) -> Ints:
    """Sum groups that begin at `starts`; raise where one passes int64 (numpy would wrap)."""
    if len(x) == 0:
        return x
    largest = max(abs(int(x.max())), abs(int(x.min())))
    if largest * len(x) > INT64_MAX:
        about = np.add.reduceat(np.abs(x.astype(np.float64)), starts)
        if float(about.max()) >= 2.0**62:
            high = np.add.reduceat(x >> LIMB_BITS, starts)
            high += np.add.reduceat(x & LIMB_MASK, starts) >> LIMB_BITS
            if int(high.max()) >= 2**31 or int(high.min()) < -(2**31):
                raise JobError(f"{what}: a sum exceeds int64; declare the column WideSum")
    return np.add.reduceat(x, starts)


def carried(high: Ints, low: Ints) -> tuple[Ints, Ints]:
    """Bring limbs to their one normal form: 0 <= low < 2**32."""
    return high + (low >> LIMB_BITS), low & LIMB_MASK


def folded_runs(
    rule: Rule, value: Ints | int, starts: npt.NDArray[np.intp], n: int, what: str
) -> list[Ints]:
    """Fold one declared column: the value of each run, or the two limbs of a wide sum."""
    if rule is Rule.DISTINCT:
        return [np.ones(len(starts), dtype=np.int64)]
    if rule is Rule.SUM and isinstance(value, int) and value == 1:  # a count: the runs' lengths
        return [_lengths(starts, n)]
    if isinstance(value, int):
        value = np.full(n, value, dtype=np.int64)
    if n == 0:
        return [value] * (2 if rule is Rule.WIDE_SUM else 1)
    if rule is Rule.WIDE_SUM:
        high = np.add.reduceat(value >> LIMB_BITS, starts)
        return list(carried(high, np.add.reduceat(value & LIMB_MASK, starts)))
    if rule is Rule.SUM:
        return [checked_sum(value, starts, what)]
    extreme = np.minimum if rule is Rule.MIN else np.maximum
    return [extreme.reduceat(value, starts)]


def _lengths(starts: npt.NDArray[np.intp], n: int) -> Ints:
    """Give the lengths of the runs that begin at `starts`, the last of which ends at `n`."""
    lengths = np.empty(len(starts), dtype=np.int64)
    np.subtract(starts[1:], starts[:-1], out=lengths[:-1])
    lengths[-1:] = n - starts[-1:]
    return lengths
