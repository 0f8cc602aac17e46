"""Positions, times and trips of some records: whether they are there, and what they say of speeds.

The unit of speed is the one in which the speeds are nearest to distance over time. A guess, for a
look; no run is decided by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mapreduce import Time
from roadspeed import positions
from roadspeed.inspect.leaves import JSON_NUMBER, likely
from roadspeed.trip import METRES_PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from roadspeed.inspect.leaves import Keys, Leaf

    Record = Mapping[str, Any]

LEAST_STEPS: Final = 20
LEAST_MM: Final = 5_000
MOST_S: Final = 30
NEAR: Final = 0.2  # so far may the median be from a unit, as a share
EPOCHS: Final = {"s": (1e8, 1e10), "ms": (1e11, 1e13)}


@dataclass(frozen=True, slots=True)
class Trace:
    """Where a record says its position and time; `epoch` is "" for text."""

    latitude: Keys
    longitude: Keys
    time: Keys
    epoch: str


def trace_of(leaves: Mapping[Keys, Leaf]) -> Trace | None:
    """Give where position and time are likely to be, None where one of them is not there."""
    lat, lon, time = likely("latitude", leaves), likely("longitude", leaves), time_of(leaves)
    return Trace(lat[0], lon[0], *time) if lat and lon and time else None


def time_of(leaves: Mapping[Keys, Leaf]) -> tuple[Keys, str] | None:
    """Give where the time is likely to be, and its epoch as in `Trace`; None where it is not."""
    time = likely("time", leaves)
    if not time:
        return None
    leaf = leaves[time[0]]
    if leaf.is_time:
        return time[0], ""
    for epoch, (low, high) in EPOCHS.items():
        if low <= leaf.low and leaf.high <= high:
            return time[0], epoch
    return None


def unit_of(
    samples: Iterable[Sequence[Record]], trace: Trace, speed: Keys, trip: Keys | None
) -> str | None:
    """Give the unit that speeds seem to have; None where they fit none, or too few can tell.

    `samples` are records of one object each, in their order.
    """
    ratios = [_ratios(records, trace, speed, trip) for records in samples]
    every = np.concatenate([np.zeros(0), *ratios])
    if len(every) < LEAST_STEPS:
        return None
    median = float(np.median(every))
    unit = min(METRES_PER_SECOND, key=lambda name: abs(np.log(median * METRES_PER_SECOND[name])))
    return unit if abs(median * METRES_PER_SECOND[unit] - 1) < NEAR else None


def _ratios(
    records: Sequence[Record], trace: Trace, speed: Keys, trip: Keys | None
) -> positions.Floats:
    """Give speeds over distance over time (m/s) of the steps that tell."""
    epoch: Any = trace.epoch or None
    times = Time("t", epoch=epoch).column([value_at(one, trace.time) for one in records])
    columns = [numbers(records, keys) for keys in (trace.latitude, trace.longitude, speed)]
    good = np.isfinite(columns).all(axis=0)
    for mask in (times.absent, times.bad):
        if mask is not None:
            good &= ~mask
    lat, lon, speeds = (column[good] for column in columns)
    trips = np.array([str(value_at(one, trip)) if trip else "" for one in records], dtype=str)[good]
    order = positions.in_order(trips, times.values[good])
    steps = positions.steps(trips[order], lat[order], lon[order], times.values[good][order])
    tells = (steps.distance_mm > LEAST_MM) & (steps.time_us > 0) & (speeds[order] > 0)
    tells &= steps.time_us <= MOST_S * positions.US_A_SECOND
    return np.asarray(speeds[order][tells] / steps.speeds()[tells])


def numbers(records: Sequence[Record], keys: Keys) -> positions.Floats:
    """Give the numbers at a path: float64[n], NaN where there is none."""
    values = [value_at(one, keys) for one in records]
    is_number = [
        (isinstance(v, (int, float)) and not isinstance(v, bool))
        or (isinstance(v, str) and JSON_NUMBER.fullmatch(v) is not None)
        for v in values
    ]
    return np.array([float(v) if ok else np.nan for v, ok in zip(values, is_number, strict=True)])


def value_at(record: Any, keys: Keys) -> Any:
    """Give the value at a path of a record; None where there is none."""
    for key in keys:
        record = record.get(key) if isinstance(record, dict) else None
    return record
