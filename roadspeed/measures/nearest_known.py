"""Which neighbour speaks for a fix that says nothing itself. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]
    Indices = npt.NDArray[np.intp]


def nearest_known(known: Mask, begins: Mask) -> Indices:
    """Give the row that speaks for each: intp[n].

    That is the row itself where it is known, else the last one before that is, else the first one
    after, within the same group; itself in a group in which none is.

    Parameters
    ----------
    known
        bool[n].
    begins
        bool[n], where a group begins; the first row does.
    """
    at = np.arange(len(known))
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts, append=len(known))
    first, stop = np.repeat(starts, lengths), np.repeat(starts + lengths, lengths)
    before = np.maximum.accumulate(np.where(known, at, -1))
    after = np.minimum.accumulate(np.where(known, at, len(at))[::-1])[::-1]
    return np.where(before >= first, before, np.where(after < stop, after, at))
