"""Whether what a run is told can be: its unit of speed, and its roads, against a few trips.

Of some fixes speed is compared with distance over time, and position with the line of the link.
Whatever cannot be found out is no objection: a run is warned by this, never refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import shapely

from mapreduce.errors import MapReduceError
from mapreduce.formats.field_path import keys_of
from roadspeed.inspect.inspect import inspected
from roadspeed.inspect.traces import numbers, trace_of, unit_of, value_at
from roadspeed.outputs.parquet import few_lines

if TYPE_CHECKING:
    from pathlib import Path

    from roadspeed.inspect.leaves import Keys
    from roadspeed.speeds import Speeds

OBJECTS: Final = 3
RECORDS: Final = 300  # of each: a second more of a run would be felt
MOST_BYTES: Final = 8 << 20  # of a document: Python takes many times as much for it
FAR_M: Final = 200.0
LEAST: Final = 20  # fixes
METRES_A_DEGREE: Final = 111_195.0


@dataclass(frozen=True, slots=True, eq=False)
class FewFixes:
    """Some fixes of the first objects.

    Attributes
    ----------
    unit
        The unit that their speeds seem to have; None where that cannot be told.
    link
        Ids as text, of the fixes that have one and a position.
    lat, lon
        float64[n], degrees.
    """

    unit: str | None
    link: list[str]
    lat: Any
    lon: Any


def few_fixes(source: str, job: Speeds, endpoint: str | None = None) -> FewFixes | None:
    """Read some fixes as a run would; None where positions and times are not found in them."""
    try:
        found = inspected(
            source,
            endpoint=endpoint,
            objects=OBJECTS,
            records=RECORDS,
            most_bytes=MOST_BYTES,
        )
    except MapReduceError:  # the run itself will tell
        return None
    at, place = found.at, found.place
    trace = trace_of(place.leaves)
    if at is None or trace is None or at.format != job.format:
        return None
    speed, link = _keys(job.speed, job.format), _keys(job.link, job.format)
    unit = unit_of(place.samples, trace, speed, None) if speed in place.leaves else None
    records = [one for sample in place.samples for one in sample]
    ids = [value_at(one, link) for one in records]
    lat, lon = numbers(records, trace.latitude), numbers(records, trace.longitude)
    good = np.isfinite(lat) & np.isfinite(lon) & [value is not None for value in ids]
    links = [str(value) for value, ok in zip(ids, good.tolist(), strict=True) if ok]
    return FewFixes(unit, links, lat[good], lon[good])


def unit_warning(few: FewFixes | None, unit: str) -> str | None:
    """Say that the unit looks wrong, where it does."""
    if few is None or few.unit in (None, unit):
        return None
    return (
        f"The speeds look like {few.unit}, not {unit}, by the distance and time between fixes of"
        f" the first objects. If that is right, set --unit {few.unit} and run it again."
    )


def roads_warning(few: FewFixes | None, speeds: Path) -> str | None:
    """Say that the roads are far from the fixes on them, where they are.

    `speeds` is the run's `speeds.parquet`, with geometry; of it only the links of the few are read.
    """
    if few is None or not few.link:
        return None
    lines = few_lines(speeds, {*few.link})
    pairs = [(n, lines[link]) for n, link in enumerate(few.link) if link in lines]
    if len(pairs) < LEAST:
        return None
    fixes, shapes = map(list, zip(*pairs, strict=True))
    points = shapely.points(few.lon[fixes], few.lat[fixes])
    median = float(np.median(shapely.distance(points, shapes))) * METRES_A_DEGREE
    if median < FAR_M:
        return None
    return (
        f"The roads are far from the fixes on them: about {median:,.0f} m (median of"
        f" {len(pairs):,} fixes). Are these the roads that the ids mean, in the right coordinate"
        " system (--roads-crs)?"
    )


def _keys(path: str, form: str) -> Keys:
    return (path,) if form == "csv" else tuple(keys_of(path, "path"))
