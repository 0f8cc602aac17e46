"""The order in which fixes were driven: by trip, then by time. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from roadspeed.measures.nearest_known import nearest_known

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.generic]
    Ints = npt.NDArray[np.int64]
    Mask = npt.NDArray[np.bool_]
    Indices = npt.NDArray[np.intp]


def driving_order(trip: Array | None, time_us: Ints, timed: Mask) -> Indices:
    """Order fixes by trip and time; stable.

    A fix without a time stays behind the one before it in its trip, as they are given (those before
    any time stay at the beginning): an end of a trip is one whether its clock was read or not.

    Parameters
    ----------
    trip
        Anything that compares, [n]. None: all are one trip.
    time_us, timed
        int64[n], and bool[n], where there is one.
    """
    order = np.arange(len(time_us)) if trip is None else np.argsort(trip, kind="stable")
    if not timed.all():
        begins = np.zeros(len(order), np.bool_)
        begins[:1] = True
        if trip is not None:
            begins[1:] = trip[order][1:] != trip[order][:-1]
        time_us = time_us.copy()
        time_us[order] = time_us[order][nearest_known(timed[order], begins)]
    return np.lexsort((time_us,) if trip is None else (time_us, trip))
