"""What every writer takes: one row a link, its numbers in one unit, its geometry if there is one.

Rows ascend by link. Coordinates are WGS 84 longitude and latitude (EPSG:4326, x = longitude).
A number that is not defined is NaN; a geometry that is missing or empty is None. The table never
changes after it was made, and its arrays are the caller's, not copies.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from mapreduce.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Iterator

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Objects: TypeAlias = npt.NDArray[np.object_]
Unit: TypeAlias = Literal["km/h", "mph", "m/s", "knots"]

UNITS: Final[tuple[str, ...]] = get_args(Unit)

_INTS: Final = ("fixes", "trips")
FLOATS: Final = ("mean", "std", "ci95", "min", "max")
_OBJECTS: Final = ("geometry", "road_class")


@dataclass(frozen=True, slots=True)
class Told:
    """What a run was told that its outputs repeat: each file says what was given, no default.

    Parameters
    ----------
    link, speed
        Paths of the link id and of the speed in a fix.
    trip
        Path of the trip's id; "" where each object is a trip.
    is_matched
        Whether links are those that positions were matched to, not those of a field.
    is_stepped
        Whether speeds are from positions and times, not from a field.
    max_speed
        In the table's unit; faster fixes were dropped.
    min_fixes
        Links with fewer are drawn thin and grey.
    attribution
        Whom to credit for the roads; "" for nobody.
    """

    link: str = "dbResponse.linkID"
    speed: str = "absVelocity"
    trip: str = ""
    is_matched: bool = False
    is_stepped: bool = False
    max_speed: float = 400.0
    min_fixes: int = 5
    attribution: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class LinkTable:
    """Speeds by link, ready to be written.

    Parameters
    ----------
    unit
        Unit of all speeds: "km/h", "mph", "m/s" or "knots".
    link
        int64[n] or UTF-8 bytes (`S`)[n], strictly ascending ids.
    fixes, trips
        int64[n], how many fixes, and how many distinct trips.
    mean, std, ci95, min, max
        float64[n] in `unit`; NaN where not defined.
    geometry
        object[n] of shapely geometries or None; None where no roads were given at all.
    road_class
        object[n] of str, int or None; None where no classes are known at all.
    sample
        What the outputs say of a sample ("1% of the trips"); None for everything.
    told
        What else they repeat of what the run was told.

    Raises
    ------
    JobError
        On a wrong dtype, length or unit, and on ids that do not ascend.
    """

    unit: Unit
    link: npt.NDArray[Any]
    fixes: Ints
    trips: Ints
    mean: Floats
    std: Floats
    ci95: Floats
    min: Floats
    max: Floats
    geometry: Objects | None = None
    road_class: Objects | None = None
    sample: str | None = None
    told: Told = Told()

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise JobError(f"unit: expected one of {', '.join(UNITS)}, got {self.unit!r}")
        for names, dtype in ((_INTS, "int64"), (FLOATS, "float64"), (_OBJECTS, "object")):
            for name in names:
                self._check(name, np.dtype(dtype))
        self._check("link", np.dtype("S" if self.has_text_ids else "int64"))
        falling = np.flatnonzero(self.link[1:] <= self.link[:-1])
        if len(falling):
            i = int(falling[0])
            raise JobError(
                f"link: expected strictly ascending ids, got {self.link[i]} and then "
                f"{self.link[i + 1]} at row {i + 1}; sort the rows and merge equal ids first"
            )

    def __len__(self) -> int:
        return len(self.link)

    @property
    def has_text_ids(self) -> bool:
        """Whether ids are text, not integers."""
        return self.link.dtype.kind == "S"

    @property
    def ids(self) -> list[int] | list[str]:
        """The ids as they are written."""
        if self.has_text_ids:
            return [link.decode() for link in self.link.tolist()]
        ids: list[int] = self.link.tolist()
        return ids

    def chunks(self, rows: int) -> Iterator[LinkTable]:
        """Give the table in consecutive pieces of at most `rows` rows, without copying."""
        for start in range(0, len(self), rows):
            piece: dict[str, Any] = {}
            for field in fields(self):
                value = getattr(self, field.name)
                is_column = isinstance(value, np.ndarray)
                piece[field.name] = value[start : start + rows] if is_column else value
            yield LinkTable(**piece)

    def some(self, rows: npt.NDArray[np.bool_]) -> LinkTable:
        """Give some of the rows: bool[n]."""
        columns: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, column in columns.items():
            if isinstance(column, np.ndarray):
                columns[name] = column[rows]
        return LinkTable(**columns)

    def _check(self, name: str, dtype: np.dtype[Any]) -> None:
        column = getattr(self, name)
        if column is None and name in _OBJECTS:
            return
        same = column.dtype.kind == "S" if dtype.kind == "S" else column.dtype == dtype
        if not same or column.shape != (len(self.link),):
            raise JobError(
                f"{name}: expected {dtype} of shape ({len(self.link)},), "
                f"got {column.dtype} of shape {column.shape}"
            )
