"""Where the keys of one table are in another: both of several columns, and ascending."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from mapreduce import Array


def rows_of(keys: Sequence[Array], wanted: Sequence[Array]) -> npt.NDArray[np.intp]:
    """Find keys among others that have all of them: intp[k], the row of each.

    `keys` ascend; columns are integers or bytes, and their distinct values together fewer than
    2**63 combinations.
    """
    known = np.zeros(len(keys[0]), np.int64)
    sought = np.zeros(len(wanted[0]), np.int64)
    for column, mine in zip(keys, wanted, strict=True):
        values, place = np.unique(column, return_inverse=True)
        known = known * (len(values) + 1) + place
        sought = sought * (len(values) + 1) + np.searchsorted(values, mine)
    return np.searchsorted(known, sought)
