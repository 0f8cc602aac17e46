"""`speeds.csv` as in 2019, and the lists of what was left out."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.errors import JobError
from mapreduce.runs import report
from roadspeed.outputs.column_docs import SPEEDS_CSV
from roadspeed.outputs.speeds_csv import write_csv
from tests.roadspeed.link_tables import large, small

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "linkID;count(linkID);avg(absVelocity);geom"


def test_the_file_is_that_of_2019_to_the_byte(tmp_path: Path) -> None:
    write_csv(tmp_path / "speeds.csv", small())
    assert (tmp_path / "speeds.csv").read_bytes().decode() == (
        f"{HEADER}\n"
        "-7;3;0.1;LINESTRING (-49.3 -25.4, -49.31 -25.4123457)\n"
        "1;1;50.0;MULTILINESTRING ((0 0, 1 1), (2 2, 3 3.5))\n"
        "2;9;0.3333333333333333;\n"
        "4000000000;60;88.25;\n"
        "4611686018427387904;2;130.5;LINESTRING (1.23e-5 51.5, 0 51.6)\n"
    )


def test_without_roads_every_geometry_is_empty(tmp_path: Path) -> None:
    write_csv(tmp_path / "speeds.csv", small(geometry=False))
    lines = (tmp_path / "speeds.csv").read_text().splitlines()
    assert lines[0] == HEADER
    assert all(line.endswith(";") for line in lines[1:])


def test_a_mean_that_is_not_defined_is_empty(tmp_path: Path) -> None:
    write_csv(tmp_path / "speeds.csv", replace(small(), mean=np.full(5, np.nan)))
    assert (tmp_path / "speeds.csv").read_text().splitlines()[1].startswith("-7;3;;LINE")


def test_pandas_reads_back_the_same_doubles(tmp_path: Path) -> None:
    table = large()
    write_csv(tmp_path / "speeds.csv", table)
    read = pd.read_csv(tmp_path / "speeds.csv", sep=";", dtype={"avg(absVelocity)": str})
    assert read["linkID"].tolist() == table.link.tolist()
    assert read["count(linkID)"].tolist() == table.fixes.tolist()
    assert [float(text) for text in read["avg(absVelocity)"]] == table.mean.tolist()
    assert table.geometry is not None
    apart = shapely.hausdorff_distance(shapely.from_wkt(read["geom"].to_numpy()), table.geometry)
    assert apart.max() <= 0.5e-7 * 2**0.5 + 1e-12


def test_gdal_opens_it_with_its_geometry(tmp_path: Path) -> None:
    write_csv(tmp_path / "speeds.csv", small())
    frame = pyogrio.read_dataframe(
        tmp_path / "speeds.csv", GEOM_POSSIBLE_NAMES="geom", AUTODETECT_TYPE="YES"
    )
    assert frame["linkID"].tolist() == small().link.tolist()
    assert frame.geometry.isna().tolist() == [False, False, True, True, False]
    assert frame["avg(absVelocity)"].tolist() == small().mean.tolist()


def test_chunks_leave_no_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv(tmp_path / "a.csv", small())
    monkeypatch.setattr("roadspeed.outputs.speeds_csv.CHUNK_ROWS", 2)
    write_csv(tmp_path / "b.csv", small())
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_the_metadata_names_columns_unit_and_sample(tmp_path: Path) -> None:
    beside = write_csv(tmp_path / "speeds.csv", replace(small(sample="1% of trips"), unit="mph"))
    assert beside == tmp_path / "speeds.csv-metadata.json"
    about = json.loads(beside.read_text())
    assert about["url"] == "speeds.csv"
    assert about["dialect"]["delimiter"] == ";"
    assert about["dc:description"] == "Of a sample: 1% of trips."
    columns = about["tableSchema"]["columns"]
    assert ";".join(c["titles"] for c in columns) == HEADER
    assert [c.get("schema:unitText") for c in columns][2] == "mph"
    assert all(c["dc:description"] for c in columns)


def test_a_geometry_too_long_for_pythons_csv_is_kept_whole_and_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    geometry = np.array([shapely.linestrings(rng.uniform(10, 80, (9000, 2))), *[None] * 4])
    beside = write_csv(tmp_path / "speeds.csv", replace(small(), geometry=geometry))
    read = pd.read_csv(tmp_path / "speeds.csv", sep=";")
    assert shapely.get_num_coordinates(shapely.from_wkt(read["geom"][0])) == 9000
    told = json.loads(beside.read_text())["dc:description"]
    assert f"csv.field_size_limit({len(read['geom'][0])})" in told


def test_the_header_is_the_documented_one() -> None:
    assert ";".join(column.name for column in SPEEDS_CSV) == HEADER


KEYS = ["a", "a,b", 'say "hi"', "two\nlines", "cr\rlf\r\n", "=1+1", "@x", "-x", "'q", "", "é;😀"]


def test_hostile_keys_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [(key, "etag", "not_json", f"byte 1 of {key}") for key in KEYS]
    report.write_rows(tmp_path / "quarantine.csv", report.QUARANTINE, rows)
    with (tmp_path / "quarantine.csv").open(newline="", encoding="utf-8") as file:
        read = list(csv.reader(file))
    assert read[0] == ["key", "etag", "reason", "place"]
    assert [tuple(map(report.unescaped, row)) for row in read[1:]] == rows
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in read for cell in row)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_any_cell_survives_escaping(text: str) -> None:
    assert report.unescaped(report.escaped(text)) == text


def test_control_characters_are_written_as_escapes() -> None:
    assert report.escaped("\x1b[31mred") == "\\x1b[31mred"
    assert report.escaped("two\nlines") == "two\nlines"


def test_plain_numbers_are_not_escaped_and_formulas_are() -> None:
    numbers = ["-5", "-1.5e300", "12"]
    assert [report.escaped(n) for n in numbers] == numbers
    assert report.escaped(-5.0) == "-5.0"
    assert report.escaped(None) == ""
    assert report.escaped("-1+cmd") == "'-1+cmd"
    assert report.escaped("-\u0661") == "'-\u0661"  # a digit, but not an ASCII one


def test_a_file_name_of_stray_bytes_is_written_as_escapes(tmp_path: Path) -> None:
    key = b"caf\xe9.json".decode("utf-8", "surrogateescape")
    report.write_rows(tmp_path / "dropped.csv", report.DROPPED, [("no_link", key, 3, "")])
    text = (tmp_path / "dropped.csv").read_text(encoding="utf-8")
    assert text == "reason,key,place,value\nno_link,caf\\udce9.json,3,\n"


def test_a_row_of_the_wrong_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="row 0 has 1 cells, not 4"):
        report.write_rows(tmp_path / "dropped.csv", report.DROPPED, [("no_link",)])
    assert list(tmp_path.iterdir()) == []
