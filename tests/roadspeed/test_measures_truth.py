"""By hour, day, date, period and direction: what DuckDB and a plain loop make of the same trips."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path  # noqa: TC003
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pytest

import mapreduce as mr
from roadspeed.speeds import Speeds
from roadspeed.town import make_town
from tests.curitiba import CURITIBA, needs_curitiba
from tests.roadspeed.plain_measures import (
    BUCKET,
    PERCENTS,
    Clock,
    cells,
    check_fixes,
    check_stays,
    fixes_of,
    parts_of,
    stays,
    stays_by_cell,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(400)  # a loop over 100,000 fixes and a dozen groupings
BY = (
    "hour", "day", "week-hour", "date", "period", "direction",
    "direction-week-hour", "direction-hour", "date-hour", "direction-period", "day-hour",
)  # fmt: skip
MORNING, NIGHT = "morning=Mon-Fri 07:00-09:30", "evening=Sat,Sun 18:00-24:00, Mon-Fri 19:00-21:00"
WORKDAYS, WEEKEND = frozenset(range(1, 6)), frozenset((6, 7))
# (days, from, to before) by the number of the period, as a loop and as DuckDB need them.
SPANS = ((0, WORKDAYS, 420, 570), (1, WEEKEND, 1080, 1440), (1, WORKDAYS, 1140, 1260))
FIXES = """
CREATE TABLE fixes AS WITH read AS (
    SELECT filename AS trip, unnest(data) AS fix
    FROM read_json($folder, filename = true, maximum_object_size = 100000000, columns = {
        data: 'STRUCT(absVelocity DOUBLE, datetime VARCHAR, dbResponse STRUCT(
            linkID VARCHAR, dirTravel VARCHAR))[]'})
), clocks AS (
    SELECT trip, CAST(fix.dbResponse.linkID AS BIGINT) AS link, fix.absVelocity AS speed,
        timezone($zone, CAST(fix.datetime AS TIMESTAMPTZ)) AS clock,
        CASE fix.dbResponse.dirTravel WHEN 'F' THEN 1 WHEN 'T' THEN 2 ELSE 0 END AS direction
    FROM read
    WHERE regexp_full_match(fix.dbResponse.linkID, '-?[0-9]+') AND fix.absVelocity IS NOT NULL
), cells AS (
    SELECT *, hour(clock) AS hour, CAST(clock AS DATE) - DATE '1970-01-01' AS date,
        isodow(clock) AS day, (isodow(clock) - 1) * 24 + hour(clock) AS week_hour,
        hour(clock) * 60 + minute(clock) AS passed
    FROM clocks
)
SELECT *, CASE
    WHEN day <= 5 AND passed >= 420 AND passed < 570 THEN 0
    WHEN day > 5 AND passed >= 1080 OR day <= 5 AND passed >= 1140 AND passed < 1260 THEN 1
    ELSE -1 END AS period
FROM cells
"""
QUERY = """
SELECT {keys}, count(*), count(DISTINCT trip), avg(speed), stddev_samp(speed),
    quantile_disc(speed, [0.05, 0.15, 0.5, 0.85, 0.95])
FROM fixes {where} GROUP BY {keys} ORDER BY {keys}
"""


@contextmanager
def duck(folder: Path, zone: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """Read trips with DuckDB, whose time zones are those of ICU."""
    with duckdb.connect() as database:
        database.execute("SET threads = 1; SET timezone = 'UTC'")
        database.execute(FIXES, {"folder": f"{folder}/**/*.json", "zone": zone})
        yield database


def check_duck(columns: Any, database: duckdb.DuckDBPyConnection, grouping: str) -> None:
    """Compare one finished table: counts equal, means to rounding, percentiles to a bucket."""
    names = ("link", *parts_of(grouping))
    where = "WHERE period >= 0" if "period" in names else ""
    query = QUERY.replace("{keys}", ", ".join(names)).replace("{where}", where)
    expected = database.execute(query).fetchall()
    assert [
        *zip(*(columns[name].tolist() for name in (*names, "fixes", "trips")), strict=True)
    ] == [row[: len(names) + 2] for row in expected]
    means, stds, percentiles = (
        np.array([row[len(names) + at] for row in expected], float) for at in (2, 3, 4)
    )
    assert np.allclose(columns["mean"], means, rtol=0, atol=1e-6)
    assert np.allclose(columns["std"], stds, rtol=0, atol=1e-5, equal_nan=True)
    for at, percent in enumerate(PERCENTS):
        assert (np.abs(columns[f"p{percent}"] - percentiles[:, at]) <= BUCKET).all()


def job_of(zone: str, **more: Any) -> Speeds:
    """The job with every grouping."""
    return Speeds(
        by=BY,
        periods=(MORNING, NIGHT),
        zone=mr.SideFile(mr.zone_file(zone)),
        direction_from="field",
        direction="dbResponse.dirTravel",
        direction_values="F=forward,T=backward",
        speed_limit="dbResponse.speedLimit",
        **more,
    )


def clock_of(zone: str) -> Clock:
    return Clock(ZoneInfo(zone), periods=SPANS)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trips of four weeks in the generated town."""
    folder = tmp_path_factory.mktemp("town")
    make_town(folder, 40)
    return folder


def check_all(folder: Path, zone: str) -> mr.Result:
    """Check every grouping of the trips of a folder both ways."""
    result = mr.run(job_of(zone), folder, workers=2)
    fixes, clock = fixes_of(folder), clock_of(zone)
    assert result.receipt["records"]["kept"] == len(fixes)
    trips = stays(fixes)
    with duck(folder, zone) as database:
        for grouping in ("link", *BY):
            columns = result.tables["by_" + grouping.replace("-", "_")]
            check_duck(columns, database, grouping)
            check_fixes(columns, grouping, cells(fixes, grouping, clock))
            check_stays(columns, grouping, stays_by_cell(trips, grouping, clock))
    return result


@needs_curitiba
@pytest.mark.parametrize("zone", ["America/Sao_Paulo", "Asia/Kathmandu"])
def test_real_drives_are_told_apart_as_duckdb_and_a_plain_loop_do(zone: str) -> None:
    check_all(CURITIBA / "trips", zone)


def test_trips_of_the_town_are_told_apart_as_duckdb_and_a_plain_loop_do(town: Path) -> None:
    check_all(town / "trips", "Europe/London")
