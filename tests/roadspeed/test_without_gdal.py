"""Where GDAL and psycopg2 are not installed: GeoJSON joins alike, the rest says what to install."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import shapely

from mapreduce.errors import UsageError
from roadspeed import roads
from roadspeed.roads.rows.answer import Named
from tests.roadspeed.test_roads_files import WANTED, town

if TYPE_CHECKING:
    from pathlib import Path

    from roadspeed.roads import JoinedRoads

LINE = {"type": "LineString", "coordinates": [[-49.2, -25.4], [-49.21, -25.42]]}


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have neither, as after `make demo`."""
    for name in ("pyogrio", "psycopg2"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in [n for n in sys.modules if n.startswith("roadspeed.roads.") or "psycopg2." in n]:
        monkeypatch.delitem(sys.modules, name)


def same(one: JoinedRoads, other: JoinedRoads) -> bool:
    there = ~shapely.is_missing(other.geometry)
    assert shapely.is_missing(one.geometry).tolist() == (~there).tolist()
    assert shapely.equals(one.geometry[there], other.geometry[there]).all()
    assert list(one.road_class) == list(other.road_class)
    return True


def collection(*features: dict[str, Any], **more: Any) -> str:
    return json.dumps({"type": "FeatureCollection", **more, "features": list(features)})


def feature(link: object, **more: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": {"link_id": link}, "geometry": LINE, **more}


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:31982"])
def test_geojson_joins_as_gdal_would_join_it(
    tmp_path: Path, request: pytest.FixtureRequest, crs: str
) -> None:
    path = tmp_path / "roads.geojson"
    town().to_crs(crs).to_file(path, driver="GeoJSON", RFC7946="NO")
    expected = roads.join(WANTED, str(path))
    request.getfixturevalue("without")
    assert same(roads.join(WANTED, str(path)), expected)
    geometry, classes = roads.context(str(path))
    assert len(geometry) == len(classes) == 7


def test_features_ids_and_lines_of_json_are_read_too(tmp_path: Path, without: None) -> None:
    del without
    path = tmp_path / "roads.geojson"
    path.write_text(collection(feature("a", id=3), feature("b", id=11)))
    found = roads.join(WANTED, str(path), Named(id_column="id"))
    assert (~shapely.is_missing(found.geometry)).tolist() == [n in (3, 11) for n in WANTED]
    path.write_text("\n".join(json.dumps(feature(link)) for link in (3, -7)))
    found = roads.join(WANTED, str(path))
    assert (~shapely.is_missing(found.geometry)).tolist() == [n in (3, -7) for n in WANTED]


def test_what_needs_gdal_or_psycopg2_says_which_extra_has_it(tmp_path: Path, without: None) -> None:
    del without
    path = tmp_path / "roads.gpkg"
    path.write_bytes(b"SQLite format 3\0")
    with pytest.raises(UsageError, match=r"GDAL is needed .*'roadspeed\[gdal\]'.*GeoJSON"):
        roads.check(str(path))
    with pytest.raises(UsageError, match=r"psycopg2 is needed .*'roadspeed\[postgis\]'"):
        roads.check("postgresql://localhost/roads")
    arcs = tmp_path / "roads.csv"
    arcs.write_text("link_id;geom\n3;CIRCULARSTRING (0 0, 1 1, 2 0)\n")
    with pytest.raises(UsageError, match=r"arcs, and GDAL.*'roadspeed\[gdal\]'"):
        roads.join(np.array([3]), str(arcs))


def test_the_demo_runs_without_them_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules.update(pyogrio=None, psycopg2=None)\n"
        "from roadspeed.cli import main\n"
        f"sys.argv = ['roadspeed', 'demo', '--trips', '5', '--out', {str(tmp_path)!r}]\n"
        "if __name__ == '__main__': main()\n"
    )
    script = tmp_path / "light.py"
    script.write_text(code)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names = {"speeds.csv", "speeds.parquet", "map.png", "receipt.json"}
    written = {path.name for path in (tmp_path / "speeds").iterdir()}
    assert names <= written
    assert "speeds.gpkg" not in written
    assert "speeds.gpkg was not written" in done.stdout
    receipt = json.loads((tmp_path / "speeds" / "receipt.json").read_text())
    assert receipt["geometry"]["missing"] == 0
