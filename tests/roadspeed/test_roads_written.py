"""Files of roads as other tools write them: right to the metre, or refused before any trip."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pyproj
import pytest
import shapely

from mapreduce.engines.local import Local
from mapreduce.errors import UsageError
from roadspeed import roads
from roadspeed.road_source import RoadSource
from roadspeed.run import RunRequest, run_speeds
from tests.roadspeed import (
    road_files_arrow,
    road_files_crs,
    road_files_gdal,
    road_files_json,
    road_files_text,
)
from tests.roadspeed.road_files import IDS, Written

if TYPE_CHECKING:
    from pathlib import Path

ALL: list[Written] = [
    *road_files_gdal.FILES,
    *road_files_json.FILES,
    *road_files_arrow.FILES,
    *road_files_crs.FILES,
    *road_files_text.FILES,
]
NEAR_M = 1.0
IRELAND = pyproj.Transformer.from_crs(4326, 2157, always_xy=True)


def in_metres(shape: shapely.Geometry) -> shapely.Geometry:
    return shapely.normalize(
        shapely.transform(
            shapely.force_2d(shape), lambda xy: np.column_stack(IRELAND.transform(*xy.T))
        )
    )


def apart_m(one: shapely.Geometry, other: shapely.Geometry) -> float:
    return float(shapely.hausdorff_distance(in_metres(one), in_metres(other), densify=0.01))


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("written", ALL, ids=lambda written: written.name)
def test_a_file_is_right_to_the_metre_or_refused_before_any_trip(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "roads" / written.file
    path.parent.mkdir()
    written.write(path)
    before = contents(path.parent)
    if written.roads is None:
        refused_before_any_trip(written, path, tmp_path, monkeypatch)
    else:
        right(written, path)
    assert contents(path.parent) == before, "a file of the user's was changed by being read"


def right(written: Written, path: Path) -> None:
    roads.check(str(path), named=roads.Named(**written.options))
    joined = roads.join(IDS, str(path), named=roads.Named(**written.options))
    expected = {id_: shapely.from_wkt(text) for id_, text in (written.roads or {}).items()}
    got = {id_: shape for id_, shape in zip(IDS.tolist(), joined.geometry, strict=True) if shape}
    assert sorted(got) == sorted(expected)
    for id_, shape in got.items():
        assert apart_m(shape, expected[id_]) < NEAR_M, id_
    if written.classes is not None:
        assert joined.road_class.tolist() == [*written.classes]
    if written.read is not None:
        frame = written.read(path).to_crs(4326)
        theirs = dict(zip(frame["link_id"].astype("int64"), frame.geometry, strict=True))
        for id_, shape in got.items():
            assert apart_m(shape, theirs[id_]) < NEAR_M, id_


def refused_before_any_trip(
    written: Written, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: object, **__: object) -> None:
        raise AssertionError("a trip was to be read")

    monkeypatch.setattr("roadspeed.run.run", opened)
    wanted = RunRequest(
        tmp_path / "out", roads=RoadSource(str(path), roads.Named(**written.options))
    )
    with pytest.raises(UsageError, match=written.refused) as refused:
        run_speeds(str(tmp_path), wanted, Local(1))
    assert path.name.split(".")[0] in str(refused.value), "which file, is said"


def test_there_are_enough_of_them() -> None:
    assert len({written.name for written in ALL}) == len(ALL) >= 60
