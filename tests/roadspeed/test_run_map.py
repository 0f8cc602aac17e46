"""Tables come first: whatever keeps a map from being drawn never takes a run's files along."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import geopandas
import pytest
from PIL import Image

from mapreduce.engines.local import Local
from mapreduce.errors import MapReduceError, UsageError
from mapreduce.runs import receipt_file
from mapreduce.runs.sums import SUMS
from roadspeed.maps import map_file
from roadspeed.maps.picture import Picture
from roadspeed.maps.redraw import redraw
from roadspeed.road_source import RoadSource
from roadspeed.run import RunRequest, run_speeds
from tests.roadspeed.test_outputs_whole import no_file_beyond

if TYPE_CHECKING:
    from pathlib import Path

TABLES = {"speeds.csv", "speeds.csv-metadata.json", "speeds.parquet", "speeds.gpkg"}
FIJI = {
    1: [(179.9, -16.8), (179.95, -16.81)],
    2: [(179.95, -16.81), (179.999, -16.82)],
    3: [(-179.999, -16.82), (-179.95, -16.83)],
    4: [(-179.95, -16.83), (-179.9, -16.8)],
    5: [(179.99, -16.85), (-179.99, -16.85)],
}


def written(folder: Path, roads: dict[int, Any], kind: str = "LineString") -> tuple[Path, Path]:
    """Write roads of a kind, and one trip over each of them; give where both are."""
    features = [
        {
            "type": "Feature",
            "properties": {"link_id": link},
            "geometry": {"type": kind, "coordinates": at},
        }
        for link, at in roads.items()
    ]
    file, trips = folder / "roads.geojson", folder / "trips"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    trips.mkdir()
    fixes = [{"dbResponse": {"linkID": str(i)}, "absVelocity": 30.5 + n}
             for n in range(6) for i in roads]  # fmt: skip
    (trips / "a.json").write_text(json.dumps({"data": fixes}))
    return file, trips


def ran(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "roadspeed.cli", "run", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
        env=dict(os.environ),
    )


def mapped(trips: Path, roads: Path, out: Path, **picture: Any) -> dict[str, Any]:
    """Run without a command of its own; give what the receipt says of the map."""
    source, asked = RoadSource(str(roads)), Picture(width_px=600, **picture)
    run_speeds(str(trips), RunRequest(out, roads=source, picture=asked, context=True), Local(1))
    found: dict[str, Any] = receipt_of(out)["map"]
    return found


def receipt_of(out: Path) -> dict[str, Any]:
    receipt: dict[str, Any] = json.loads((out / "receipt.json").read_text())
    return receipt


def files_of(out: Path) -> set[str]:
    return {path.name for path in out.iterdir()}


def test_fiji_on_both_sides_of_the_date_line(tmp_path: Path) -> None:
    roads, trips = written(tmp_path, FIJI)
    account = mapped(trips, roads, tmp_path / "out")
    assert files_of(tmp_path / "out") >= TABLES | {"map.png"}
    assert (account["drawn"], account["outside"], account["far"]) == (5, 0, [])
    box = mapped(trips, roads, tmp_path / "box", bbox=(179.92, -16.86, -179.96, -16.79))
    assert (box["drawn"], box["outside"]) == (4, 1)


def test_the_world_is_one_map(tmp_path: Path) -> None:
    corners = [(-150, 60), (-60, -30), (0, 50), (100, 30), (150, -40), (178, 65)]
    links = {i: [(lon, lat), (lon + 3, lat + 2)] for i, (lon, lat) in enumerate(corners)}
    roads, trips = written(tmp_path, links)
    assert mapped(trips, roads, tmp_path / "out")["drawn"] == 6


def test_a_link_far_from_all_others_is_named(tmp_path: Path) -> None:
    near = {i: [(8.5 + i / 100, 47.0), (8.5 + i / 100, 47.01)] for i in range(1, 9)}
    roads, trips = written(tmp_path, near | {77: [(0, 0), (0.0001, 0)]})
    done = ran(trips, "--roads", roads, "--out", tmp_path / "out", "--width", "600")
    assert done.returncode == 0, done.stderr
    assert "leaves out links that lie far from all others: 77" in done.stdout
    assert receipt_of(tmp_path / "out")["map"]["far"] == [77]
    assert len(geopandas.read_file(tmp_path / "out" / "speeds.gpkg", layer="speeds")) == 9


@pytest.mark.parametrize(
    ("kind", "at", "said"),
    [
        ("Point", (8.5, 47.0), "the roads are points"),
        ("Polygon", [[(8, 47), (9, 47), (9, 48), (8, 47)]], "the roads are polygons"),
    ],
)
def test_roads_that_are_no_lines_are_told_as_such(
    tmp_path: Path, kind: str, at: Any, said: str
) -> None:
    roads, trips = written(tmp_path, {1: at, 2: at}, kind)
    wanted = RunRequest(
        tmp_path / "out", roads=RoadSource(str(roads)), picture=Picture(width_px=600)
    )
    try:  # who reads roads may refuse them before any trip
        receipt = run_speeds(str(trips), wanted, Local(1))
    except UsageError as error:
        assert kind.lower() in str(error).lower()  # noqa: PT017 - either is right
    else:
        assert said in receipt["map"]["why"]
        assert files_of(tmp_path / "out") >= TABLES


def test_a_box_without_a_road_costs_the_map_alone(tmp_path: Path) -> None:
    roads, trips = written(tmp_path, FIJI)
    typed: list[str | Path] = [trips, "--roads", roads, "--out", tmp_path / "out", "--width", "600"]
    assert ran(*typed).returncode == 0
    assert (tmp_path / "out" / "map.png").exists()
    done = ran(*typed, "--bbox", "10,10,11,11")
    assert done.returncode == 0
    assert "map.png was not drawn: no link lies within the frame" in done.stdout
    assert "error" not in done.stderr
    assert files_of(tmp_path / "out") >= TABLES
    assert not (tmp_path / "out" / "map.png").exists()  # the old one showed another box
    receipt = receipt_of(tmp_path / "out")
    assert receipt["map"]["file"] is None
    assert set(receipt["files"]) == TABLES | {"quarantine.csv", "dropped.csv", *SUMS}
    assert not list((tmp_path / "out").glob(".*")) + list((tmp_path / "out").glob("journal*"))


@pytest.mark.parametrize("error", [RuntimeError("torn"), MemoryError("all gone"), OSError(28, "x")])
def test_not_even_a_fault_of_the_painter_takes_the_tables_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def torn(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(map_file, "draw", torn)
    roads, trips = written(tmp_path, FIJI)
    wanted = RunRequest(tmp_path / "out", roads=RoadSource(str(roads)), picture=Picture())
    receipt = run_speeds(str(trips), wanted, Local(1))
    assert type(error).__name__ in receipt["map"]["why"]
    assert files_of(tmp_path / "out") == set(receipt_of(tmp_path / "out")["files"]) | {
        "receipt.json"
    }


@pytest.mark.parametrize(
    ("name", "wanted"), [("pyarrow.parquet", "roads"), ("matplotlib.figure", "maps")]
)
def test_a_missing_library_is_told_before_the_first_trip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, wanted: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    roads, _ = written(tmp_path, FIJI)
    asked = RunRequest(tmp_path / "out", roads=RoadSource(str(roads)), picture=Picture())
    with pytest.raises(UsageError, match=rf"pip install 'roadspeed\[{wanted}\]'"):
        run_speeds(str(tmp_path / "no such trips"), asked, Local(1))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["speeds.parquet", "map.png", "dropped.csv", "receipt.json"])
def test_a_folder_in_the_way_is_told_before_the_first_trip(tmp_path: Path, name: str) -> None:
    roads, trips = written(tmp_path, FIJI)
    (tmp_path / "out" / name).mkdir(parents=True)
    done = ran(trips, "--roads", roads, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert (
        f"out/{name}: expected no folder, because a file of this name will be written"
        in done.stderr
    )
    assert files_of(tmp_path / "out") == {name}


def test_what_a_run_is_told_reaches_every_output(tmp_path: Path) -> None:
    roads, trips = written(tmp_path, FIJI)
    fixes = json.loads((trips / "a.json").read_text())["data"]
    renamed = [{"edge": f["dbResponse"]["linkID"], "v": f["absVelocity"]} for f in fixes]
    (trips / "a.json").write_text(json.dumps({"points": renamed}))
    done = ran(
        trips, "--roads", roads, "--out", tmp_path / "out", "--no-map", "--records-at", "points",
        "--link", "edge", "--speed", "v", "--unit", "mph", "--max-speed", "90", "--min-fixes", "30",
        "--attribution", "© the mappers", "--limit", "1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert receipt_of(tmp_path / "out")["speeds"] == {"unit": "mph", "rounded_to": 1e-6}
    import pyarrow.parquet as pq  # noqa: PLC0415 - beside what it is for
    import pyogrio  # noqa: PLC0415 - as above

    out = tmp_path / "out"
    parquet = pq.read_schema(out / "speeds.parquet")
    gpkg = (out / "speeds.gpkg").read_bytes().decode("utf-8", "replace")
    texts = {
        "csv": (out / "speeds.csv-metadata.json").read_text().encode().decode("unicode_escape"),
        "parquet": " ".join(
            (f.metadata or {}).get(b"description", b"").decode() for f in parquet
        ) + parquet.metadata[b"roadspeed"].decode(),
        "gpkg": gpkg,
    }  # fmt: skip
    for kind, text in texts.items():
        for said in ("field `edge`", "(`v`)", "0 to 90", "the mappers", "the first 1 trip"):
            assert said in text, (kind, said)
        for default in ("linkID`", "`absVelocity`", "km/h"):
            assert default not in text, (kind, default)
    assert "&quot;fixes&quot; &lt; 30" in gpkg
    assert "Roads: © the mappers" in pyogrio.read_info(out / "speeds.gpkg", layer="speeds")[
        "layer_metadata"
    ].get("DESCRIPTION", "")


def test_the_map_has_the_threshold_of_the_style(tmp_path: Path) -> None:
    roads, trips = written(tmp_path, FIJI)
    wanted = RunRequest(
        tmp_path / "out", roads=RoadSource(str(roads)), picture=Picture(width_px=600, min_fixes=7)
    )
    assert run_speeds(str(trips), wanted, Local(1))["map"]["little"] == 5
    assert b"&quot;fixes&quot; &lt; 7" in (tmp_path / "out" / "speeds.gpkg").read_bytes()
    with Image.open(tmp_path / "out" / "map.png") as image:
        assert image.width == 600


def test_letters_that_no_font_has_are_told_before_the_first_trip(tmp_path: Path) -> None:
    roads, trips = written(tmp_path, FIJI)
    done = ran(
        trips, "--roads", roads, "--out", tmp_path / "out", "--width", "600",
        "--title", "Fiji \U000f1234",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[0] == "map.png leaves out U+F1234: no installed font has it"
    assert "leaves out U+F1234" in done.stdout


def test_another_map_is_drawn_from_a_runs_tables(tmp_path: Path) -> None:
    roads, trips = written(tmp_path, FIJI)
    out, path = tmp_path / "out", tmp_path / "other.png"
    asked = RunRequest(out, roads=RoadSource(str(roads)), attribution="© the mappers")
    first = run_speeds(str(trips), asked, Local(1))
    assert first["map"] is None  # none was wanted
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    account = redraw(out, path, Picture(width_px=600, min_fixes=7))
    assert (account["file"], account["drawn"], account["little"]) == ("other.png", 5, 5)
    with Image.open(path) as image:
        assert image.width == 600
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
    redraw(out, out / "map.png", Picture(width_px=600))  # no receipt has that name yet


def test_what_no_map_can_be_drawn_from_is_refused(tmp_path: Path) -> None:
    _, trips = written(tmp_path, FIJI)
    out, path = tmp_path / "out", tmp_path / "other.png"
    with pytest.raises(UsageError, match=r"receipt\.json: expected the folder"):
        redraw(out, path, Picture())
    run_speeds(str(trips), RunRequest(out), Local(1))
    with pytest.raises(UsageError, match="this run had no --roads"):
        redraw(out, path, Picture())
    with pytest.raises(UsageError, match="choose another --out"):
        redraw(out, out / "speeds.csv", Picture())
    said = receipt_file.read(out / "receipt.json")[1]
    del said["checksum"]
    (out / "speeds.parquet").write_bytes((out / "speeds.csv").read_bytes())
    with pytest.raises(UsageError, match="was changed after the run wrote it"):
        redraw(out, path, Picture())
    (out / "receipt.json").unlink()
    receipt_file.write(out, {**said, "files": {}})  # as that of another job is
    with pytest.raises(UsageError, match="belongs to another job"):
        redraw(out, path, Picture())
    for receipt in ("[", "[]", "{}", '{"files": 3, "objects": {"ok": 1}}'):
        (out / "receipt.json").write_text(receipt)
        with pytest.raises(MapReduceError, match="is not a complete receipt"):
            redraw(out, path, Picture())
    assert not path.exists()


def test_a_disk_that_takes_the_tables_and_not_the_map(tmp_path: Path) -> None:
    roads, trips = written(tmp_path, FIJI)
    out = tmp_path / "out"
    asked = RunRequest(out, roads=RoadSource(str(roads)), picture=Picture(width_px=6000))
    run_speeds(str(trips), asked, Local(1))
    sizes = {path.name: path.stat().st_size for path in out.iterdir()}
    picture = sizes.pop("map.png")
    assert picture > 1.2 * max(sizes.values())
    with no_file_beyond((picture + max(sizes.values())) // 2):
        receipt = run_speeds(str(trips), asked, Local(1))
    assert "large" in receipt["map"]["why"]
    assert set(receipt_of(out)["files"]) == files_of(out) - {"receipt.json"} >= TABLES
    assert "map.png" not in files_of(out)


def test_a_disk_that_fills_up_among_the_tables_leaves_the_run_before(tmp_path: Path) -> None:
    roads, trips = written(tmp_path, FIJI)
    out = tmp_path / "out"
    asked = RunRequest(out, roads=RoadSource(str(roads)), picture=Picture(width_px=600))
    run_speeds(str(trips), asked, Local(1))
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    (trips / "b.json").write_bytes((trips / "a.json").read_bytes())
    size = (out / "speeds.gpkg").stat().st_size  # the largest, beside the map
    with pytest.raises(OSError, match=r"speeds\.gpkg"), no_file_beyond(size - 1):
        run_speeds(str(trips), asked, Local(1))
    after = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    assert {n: after[n] for n in before} == before
    assert not list(out.glob(".run.*"))
    receipt = run_speeds(str(trips), asked, Local(1))
    assert receipt["objects"]["ok"] == 2


def test_a_map_too_large_for_this_machine_is_told_before_the_first_trip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_file, "total_bytes", lambda: 4_000_000_000)  # as of a Pi
    roads, _ = written(tmp_path, FIJI)
    asked = RunRequest(
        tmp_path / "out", roads=RoadSource(str(roads)), picture=Picture(width_px=20_000)
    )
    with pytest.raises(
        UsageError, match=r"5\.1 GB of memory to draw, and this machine has 4\.0 GB"
    ):
        run_speeds(str(tmp_path / "no such trips"), asked, Local(1))
    map_file.check_memory(Picture(width_px=17_000))
