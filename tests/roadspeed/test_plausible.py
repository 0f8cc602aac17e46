"""A run is warned of a unit and of roads that cannot be, by a few trips; it is never stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import shapely
from typer.testing import CliRunner

from roadspeed.cli import app
from roadspeed.inspect.plausible import few_fixes, roads_warning, unit_warning
from roadspeed.outputs.parquet import read_parquet, write_parquet
from roadspeed.speeds import Speeds
from tests.curitiba import CURITIBA, needs_curitiba

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs_curitiba
TRIPS = str(CURITIBA / "trips")


def said_by(out: Path, *options: str) -> tuple[int, str]:
    roads = ["--roads", str(CURITIBA / "roads.geojson"), "--no-map", "--workers", "1"]
    done = CliRunner().invoke(app, ["run", TRIPS, "--out", str(out), *roads, *options])
    return done.exit_code, " ".join(done.output.split())


@pytest.mark.parametrize("unit", ["m/s", "mph", "knots"])
def test_a_unit_that_does_not_fit_is_told(unit: str, tmp_path: Path) -> None:
    code, said = said_by(tmp_path / "out", "--unit", unit)
    assert code == 0
    assert f"The speeds look like km/h, not {unit}" in said


def test_a_run_that_fits_is_told_nothing(tmp_path: Path) -> None:
    code, said = said_by(tmp_path / "out")
    assert code == 0
    assert "look like" not in said
    assert "far from" not in said


def test_roads_far_from_the_fixes_on_them_are_told(tmp_path: Path) -> None:
    assert said_by(tmp_path / "out")[0] == 0
    few, path = few_fixes(TRIPS, Speeds()), tmp_path / "out" / "speeds.parquet"
    table = read_parquet(path)
    assert few is not None
    assert few.unit == "km/h"
    assert roads_warning(few, path) is None
    moved = np.array([shapely.transform(g, lambda p: p + (0.0, 0.1)) for g in table.geometry])  # type: ignore[union-attr] # noqa: RUF005
    write_parquet(path, replace(table, geometry=moved))
    told = roads_warning(few, path)
    assert told is not None
    assert "about 11," in told
    ids = np.array([link.encode() for link in sorted(map(str, table.ids))])
    write_parquet(path, replace(table, geometry=moved, link=ids))  # as text, in another order
    assert roads_warning(few, path) is not None
    assert roads_warning(replace(few, link=["none"] * len(few.link)), path) is None


def test_a_document_that_would_take_much_memory_is_not_looked_at(tmp_path: Path) -> None:
    found = json.loads((CURITIBA / "trips" / "A05.json").read_bytes())
    (tmp_path / "a.json").write_text(json.dumps(found | {"more": "x" * (8 << 20)}))
    assert few_fixes(str(tmp_path), Speeds()) is None
    (tmp_path / "a.json").write_text(json.dumps(found | {"more": "x" * (4 << 20)}))
    assert few_fixes(str(tmp_path), Speeds()) is not None


@pytest.mark.parametrize(
    "document",
    ["{", json.dumps({"data": [{"dbResponse": {"linkID": "1"}, "absVelocity": 3}]}), "[]"],
)
def test_where_nothing_can_be_told_nothing_is(document: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(document)
    few = few_fixes(str(tmp_path), Speeds())
    assert unit_warning(few, "m/s") is None
    assert few_fixes(str(tmp_path / "none"), Speeds()) is None
    assert few_fixes(TRIPS, Speeds(format="csv")) is None
