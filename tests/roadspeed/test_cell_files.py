"""A grouping as a GeoPackage that plays by time, and as a wide table."""

from __future__ import annotations

import csv
import sqlite3
import xml.etree.ElementTree as ET
from contextlib import closing
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely

from mapreduce.errors import UsageError
from roadspeed.measures.groupings import check_span, grouping_of
from roadspeed.outputs.cell_layer import spans
from roadspeed.town import make_town
from tests.roadspeed.test_run import roadspeed

if TYPE_CHECKING:
    from pathlib import Path

MONDAY = datetime(2024, 1, 1)  # noqa: DTZ001 - of no zone: a week that stands for all


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    room = tmp_path_factory.mktemp("layers")
    make_town(room, 8)
    done = roadspeed(
        "run", room / "trips", "--roads", room / "roads.geojson", "--out", room / "out",
        "--no-map", "--by", "hour,date-hour", "--layer", "hour", "--layer", "date-hour",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return room / "out"


def test_gdal_reads_the_cells_with_the_lines_of_their_links(out: Path) -> None:
    frame = pyogrio.read_dataframe(out / "speeds-by-date-hour.gpkg", layer="speeds_by_date_hour")
    cells = pq.read_table(out / "speeds-by-date-hour.parquet").to_pydict()
    for name in ("link", "hour", "fixes", "trips", "traversals", "level"):
        assert frame[name].tolist() == cells[name], name
    for name in ("mean", "p85", "traversal_p50"):
        np.testing.assert_array_equal(frame[name].to_numpy(), np.array(cells[name], float))
    links = pq.read_table(out / "speeds.parquet", columns=["link", "geometry", "road_class"])
    lines = dict(zip(links["link"].to_pylist(), links["geometry"].to_pylist(), strict=True))
    known = shapely.from_wkb([lines[link] for link in cells["link"]])
    assert all(
        shapely.equals(shapely.get_geometry(one, 0), line)
        for one, line in zip(frame.geometry, known, strict=True)
    )
    classes = dict(zip(links["link"].to_pylist(), links["road_class"].to_pylist(), strict=True))
    assert frame["road_class"].tolist() == [classes[link] for link in cells["link"]]
    for day, hour, start, end in zip(
        cells["date"], cells["hour"], frame["start"], frame["end"], strict=True
    ):
        assert start == datetime.combine(day, datetime.min.time()) + timedelta(hours=hour)
        assert end - start == timedelta(hours=1)


def test_the_style_that_loads_plays_by_start_and_end(out: Path) -> None:
    with closing(sqlite3.connect(out / "speeds-by-hour.gpkg")) as database:
        [(layer, style, is_default)] = database.execute(
            "SELECT f_table_name, styleQML, useAsDefault FROM layer_styles"
        ).fetchall()
    assert (layer, is_default) == ("speeds_by_hour", 1)
    root = ET.fromstring(style)
    told = root.find("temporal")
    assert told is not None
    assert "Temporal" in root.attrib["styleCategories"]
    assert {n: told.attrib[n] for n in ("enabled", "mode", "startField", "endField")} == {
        "enabled": "1", "mode": "2", "startField": "start", "endField": "end",
    }  # fmt: skip


def test_a_wide_table_has_the_same_numbers_in_a_row_a_link(out: Path) -> None:
    cells = pq.read_table(out / "speeds-by-hour.parquet").to_pylist()
    with (out / "speeds-by-hour-wide.csv").open(newline="") as file:
        wide = {row["link"]: row for row in csv.DictReader(file)}
    assert [int(link) for link in wide] == sorted({cell["link"] for cell in cells})
    for cell in cells:
        row = wide[str(cell["link"])]
        assert int(row[f"fixes_{cell['hour']}"]) == cell["fixes"]
        assert float(row[f"mean_{cell['hour']}"]) == cell["mean"]
        assert float(row[f"p85_{cell['hour']}"]) == cell["p85"]
    there = {(str(cell["link"]), cell["hour"]) for cell in cells}
    for link, row in wide.items():
        for hour in range(24):
            if (link, hour) not in there:
                assert (row[f"fixes_{hour}"], row[f"mean_{hour}"]) == ("0", "")


@pytest.mark.parametrize(
    ("grouping", "cells", "start", "hours"),
    [
        ("hour", {"hour": 7}, MONDAY + timedelta(hours=7), 1),
        ("day", {"day": 7}, MONDAY + timedelta(days=6), 24),
        ("week-hour", {"week_hour": 167}, MONDAY + timedelta(hours=167), 1),
        ("week-hour", {"week_hour": 168}, MONDAY + timedelta(days=7), 1),  # a holiday
        ("day-hour", {"day": 3, "hour": 5}, MONDAY + timedelta(days=2, hours=5), 1),
        ("date", {"date": (date(2020, 2, 29) - date(1970, 1, 1)).days}, datetime(2020, 2, 29), 24),  # noqa: DTZ001 - as above
        ("direction-hour", {"direction": 1, "hour": 0}, MONDAY, 1),
    ],
)
def test_a_cell_begins_and_ends(
    grouping: str, cells: dict[str, int], start: datetime, hours: int
) -> None:
    columns: dict[str, Any] = {name: np.array([cell]) for name, cell in cells.items()}
    begins, ends = spans(grouping_of(grouping), {"link": np.array([1]), **columns})
    assert begins[0].astype(datetime) == start
    assert (ends - begins)[0].astype(int) == hours


@pytest.mark.parametrize("grouping", ["link", "direction", "period", "period-hour"])
def test_a_layer_needs_cells_that_are_spans_of_time(grouping: str) -> None:
    with pytest.raises(UsageError, match="expected a grouping with hour"):
        check_span(grouping_of(grouping))
