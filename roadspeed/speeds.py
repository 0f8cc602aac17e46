"""The job: how fast each road link is driven.

For each link: fixes, distinct trips, and the sum, sum of squares, minimum and maximum of the
speed in whole micro-units of the input's unit. A fix counts where link and speed are both present
(the rule of 2019). Fixes come at equal time intervals, so the mean over them estimates the
space-mean speed of the link; a mean over traversals would be another thing.
"""

from __future__ import annotations

from typing import Final

import mapreduce as mr
from mapreduce import Distinct, Max, Min, Sum, WideSum
from roadspeed.statistics import MICRO, deviation, half_width_95, mean, units
from roadspeed.trip import DEFAULT_MAX_SPEED, DEFAULT_SPEED_UNIT, FORMATS, PATHS, SPEED_UNITS

TAB: Final = "\t"
MAX_SPEED: Final = 3_000.0  # above it the square of a micro-unit would not fit int64


class Speeds(mr.Job):
    """Fixes, trips and speeds of every link.

    Parameters
    ----------
    unit
        Of the speed in the documents: km/h, mph, m/s or knots. Outputs are in the same unit.
    max_speed
        Faster fixes are dropped as `speed_out_of_range`, as negative ones are.
    records_at, link, speed
        Dotted paths of the list of fixes, of the link id in a fix, and of its speed. In CSV the
        names of columns as they stand.
    no_link
        Ids that say that there is none, such as 0 or -1: such a fix is dropped as `no_link`.
    format
        Of an object: `json`, a document with a list of fixes; `json-lines`, a fix a line;
        `json-documents`, such a document a line; `csv`; `parquet`.
    delimiter, decimal
        Of CSV: between columns, and in a number.
    """

    unit: str = DEFAULT_SPEED_UNIT
    max_speed: float = DEFAULT_MAX_SPEED
    records_at: str = PATHS.data
    link: str = PATHS.link
    speed: str = PATHS.speed
    no_link: tuple[int, ...] = ()
    format: str = "json"
    delimiter: str = ","
    decimal: str = "."

    links = mr.Table(
        key="link",
        fixes=Sum,
        trips=Distinct(per="object"),
        total=Sum,
        squares=WideSum,
        lowest=Min,
        highest=Max,
    )

    def __post_init__(self) -> None:
        """Check what types cannot say."""
        if self.unit not in SPEED_UNITS:
            raise mr.UsageError(f"--unit is one of {', '.join(SPEED_UNITS)}, got {self.unit!r}")
        if not 0 < self.max_speed <= MAX_SPEED:
            raise mr.UsageError(
                f"--max-speed is above 0 and at most {MAX_SPEED:g}, got {self.max_speed:g}"
            )
        if self.format not in FORMATS:
            raise mr.UsageError(f"--format is one of {', '.join(FORMATS)}, got {self.format!r}")
        try:
            self.records  # noqa: B018 - whether its paths can be read
        except mr.JobError as error:
            raise mr.UsageError(
                f"--records-at, --link, --speed, --delimiter, --decimal: {error}"
            ) from None

    @property
    def records(self) -> mr.Format:
        """The fixes of a trip, or of many."""
        link = mr.Int(self.link, null=self.no_link)
        speed = mr.Float(self.speed, low=0.0, high=self.max_speed)
        match self.format:
            case "json-lines":
                return mr.JsonLines(link=link, speed=speed)
            case "json-documents":
                return mr.JsonLines(records_at=self.records_at, link=link, speed=speed)
            case "csv":
                delimiter = TAB if self.delimiter == "tab" else self.delimiter
                return mr.Csv(delimiter=delimiter, decimal=self.decimal, link=link, speed=speed)
            case "parquet":
                return mr.Parquet(link=link, speed=speed)
        return mr.Json(at=self.records_at, link=link, speed=speed)

    def map(self, r: mr.Records) -> mr.Rows:
        """Fold the fixes of a trip: `r.link` int64[n], `r.speed` float64[n] in `unit`."""
        v = mr.scaled(r.speed, MICRO)
        return self.links.fold(r.link, fixes=1, total=v, squares=v * v, lowest=v, highest=v)

    def finish(self, t: mr.Columns) -> dict[str, mr.Array]:
        """Statistics of each link, speeds in `unit`; see `roadspeed.statistics`."""
        high, low = t.limbs("squares")
        std = deviation(t.total, high, low, t.fixes)
        return {
            "link": t.link,
            "fixes": t.fixes,
            "trips": t.trips,
            "mean": mean(t.total, t.fixes),
            "std": std,
            "ci95": half_width_95(std, t.fixes),
            "min": units(t.lowest),
            "max": units(t.highest),
        }
