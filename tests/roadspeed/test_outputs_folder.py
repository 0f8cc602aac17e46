"""All files of a run together, their documentation, and the table they come from."""

from __future__ import annotations

import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest

from mapreduce.errors import JobError
from mapreduce.ledger import Ledger
from mapreduce.runs.report import write_account
from roadspeed.outputs import column_docs, measure_docs, write_outputs
from tests.roadspeed.link_tables import small

DOCS = Path(__file__).parents[2] / "docs" / "outputs.md"


def test_every_file_is_written_and_named(tmp_path: Path) -> None:
    files = write_outputs(tmp_path / "new" / "out", small())
    accounts = {"quarantine.csv", "dropped.csv"}
    assert set(files) | accounts == {*column_docs.FILES, "speeds.csv-metadata.json"}
    assert {path.name for path in (tmp_path / "new" / "out").iterdir()} == set(files)
    assert all(path == tmp_path / "new" / "out" / name for name, path in files.items())


def test_without_roads_there_is_no_geopackage_not_even_an_old_one(tmp_path: Path) -> None:
    write_outputs(tmp_path, small())
    files = write_outputs(tmp_path, small(geometry=False))
    assert "speeds.gpkg" not in files
    assert not (tmp_path / "speeds.gpkg").exists()
    assert (tmp_path / "speeds.parquet").exists()


def test_the_files_agree_and_have_the_documented_columns(tmp_path: Path) -> None:
    files = write_outputs(tmp_path, small())
    package = pyogrio.read_dataframe(files["speeds.gpkg"], layer="speeds")
    parquet = gpd.read_parquet(files["speeds.parquet"])
    assert package["mean"].tolist() == parquet["mean"].tolist() == small().mean.tolist()
    for path in write_account(tmp_path, Ledger()):
        with path.open(newline="") as file:
            assert next(csv.reader(file)) == [c.name for c in column_docs.FILES[path.name]]


def test_the_documentation_holds_every_column() -> None:
    page = DOCS.read_text(encoding="utf-8")
    assert column_docs.markdown() in page
    assert column_docs.markdown(measure_docs.FILES) in page


def test_every_column_has_a_meaning_and_every_number_a_unit() -> None:
    for table in column_docs.FILES.values():
        for column in table:
            assert column.meaning.endswith(".")
            assert column.unit or column.dtype == "text" or column.source == "link"


def test_importing_the_outputs_loads_nothing_heavy() -> None:
    program = (
        "import sys, roadspeed.outputs\n"
        "heavy = {'pyarrow', 'pyogrio', 'geopandas', 'pandas', 'shapely', 'matplotlib'}\n"
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert done.stderr.strip() == ""
    assert done.returncode == 0


def test_ids_that_do_not_ascend_are_refused() -> None:
    with pytest.raises(JobError, match="got 3 and then 3 at row 2"):
        replace(small(), link=np.array([1, 3, 3, 4, 5], dtype=np.int64))


def test_columns_of_another_type_or_length_are_refused() -> None:
    with pytest.raises(JobError, match="fixes: expected int64"):
        replace(small(), fixes=np.ones(5))  # type: ignore[arg-type]  # the fault
    with pytest.raises(JobError, match=r"mean: expected float64 of shape \(5,\)"):
        replace(small(), mean=np.ones(4))
    with pytest.raises(JobError, match="geometry: expected object"):
        replace(small(), geometry=np.ones(5))  # type: ignore[arg-type]  # the fault


def test_an_unknown_unit_is_refused() -> None:
    with pytest.raises(JobError, match="expected one of km/h, mph, m/s, knots, got 'furlongs'"):
        replace(small(), unit="furlongs")  # type: ignore[arg-type]  # the fault
