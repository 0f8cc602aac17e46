"""Pictures of a finished run, drawn from its tables alone: what is where, and in which colour."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from PIL import Image

from mapreduce.engines.local import Local
from mapreduce.errors import UsageError
from mapreduce.runs.report import write_receipt
from roadspeed.maps.cells import Cells, names_of_hours
from roadspeed.maps.clock import clock_height_px, marks
from roadspeed.maps.difference import Choice
from roadspeed.maps.diverging import diverging_ramp
from roadspeed.maps.drawings import Asked, draw_finished
from roadspeed.maps.finished_run import finished_run
from roadspeed.maps.legend import em_px, strip_height_px
from roadspeed.maps.multiples import HEAD_EM
from roadspeed.maps.picture import Picture
from roadspeed.maps.speeds_by_cell import speeds_by_cell
from roadspeed.outputs import LinkTable
from roadspeed.outputs.link_table import Told
from roadspeed.outputs.parquet import write_parquet
from roadspeed.road_source import RoadSource
from roadspeed.run import RunRequest, run_speeds
from tests.curitiba import CURITIBA, needs_curitiba
from tests.roadspeed.cell_files import entered, fixes_of, with_cells, write_by

if TYPE_CHECKING:
    from pathlib import Path

LON, LAT = -49.3, -25.4
BOX = (LON, LAT, LON + 0.02, LAT + 0.01)
DARK = Picture(width_px=640, bbox=BOX, background="dark")
MONDAY = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
ROADS = 4
# Speeds by road (south to north) and hour; where there is none, no fix.
SPEEDS = {
    11: {8: 10.0, 14: 100.0},  # slow in the morning
    12: {8: 100.0, 14: 100.0},
    13: {14: 100.0},  # nobody drove there in the morning
    14: {8: 100.0, 14: 10.0},
}
NEEDS_FFMPEG = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="make services installs ffmpeg"
)


def run_of(
    folder: Path, speeds: dict[int, dict[int, float]] | None = None, unit: Any = "km/h"
) -> Path:
    """Write the folder of a finished run: parallel roads, ten fixes for each speed of an hour."""
    speeds = SPEEDS if speeds is None else speeds
    folder.mkdir()
    rows = [
        (link, speed, MONDAY + dt.timedelta(hours=hour, minutes=minute), 1)
        for link, hours in speeds.items()
        for hour, speed in hours.items()
        for minute in range(10)
    ]
    schema = ["link", "speed", "time", "trip"]
    fixes = with_cells(pl.DataFrame(rows, schema=schema, orient="row"))
    means = fixes.group_by("link").agg(pl.len().alias("n"), pl.col("speed").mean()).sort("link")
    links, n = np.array(means["link"], dtype=np.int64), len(means)
    lats = [LAT + 0.01 * (link - 10.5) / ROADS for link in links]
    lines = [shapely.LineString([(LON + 0.001, lat), (LON + 0.019, lat)]) for lat in lats]
    nan = np.full(n, np.nan)
    table = LinkTable(
        unit=unit,
        link=links,
        fixes=np.array(means["n"], dtype=np.int64),
        trips=np.ones(n, dtype=np.int64),
        mean=np.array(means["speed"], dtype=np.float64),
        std=nan, ci95=nan, min=nan, max=nan,
        geometry=np.array(lines, dtype=object),
        road_class=np.array(["primary"] * n, dtype=object),
        told=Told(attribution="© OpenStreetMap contributors"),
    )  # fmt: skip
    write_parquet(folder / "speeds.parquet", table)
    account = {
        "run": "a", "digest": "sha256:" + "0" * 64,
        "objects": {"listed": 1, "ok": 1, "quarantined": 0, "ignored": 0},
        "records": {"read": len(rows), "kept": len(rows), "dropped": {}},
    }  # fmt: skip
    write_receipt(folder, account, [folder / "speeds.parquet"])
    for grouping in ("hour", "week-hour", "day"):
        write_by(folder, grouping, fixes)
    return folder


def colours_at(pixels: Any, left: int, top: int, width: int, height: int) -> Any:
    """Return the colour in the middle of each road of a map, south to north: int64[4, 3]."""
    rows = [top + round(height * (1 - (i + 0.5) / ROADS)) for i in range(ROADS)]
    return np.array([pixels[row, left + width // 2, :3] for row in rows]).astype(np.int64)


def is_slow(colour: Any) -> bool:
    return bool(colour[2] > colour[0] > colour[1])


def is_fast(colour: Any) -> bool:
    return bool(min(colour[0], colour[1]) > 150 and colour[2] < 120)


def is_grey(colour: Any) -> bool:
    return bool(np.ptp(colour) < 16)


def frames_of(path: Path) -> list[Any]:
    with Image.open(path) as film:
        count: int = getattr(film, "n_frames", 1)
        found = []
        for number in range(count):
            film.seek(number)
            found.append(np.asarray(film.convert("RGB")).astype(np.int64))
    return found


def map_of(pixels: Any, picture: Picture = DARK) -> Any:
    """Return the colours of the roads on a page of an animation."""
    edge, head = picture.edge_px(), clock_height_px(picture.width_px)
    height = pixels.shape[0] - head - 2 * edge - strip_height_px(picture.width_px)
    return colours_at(pixels, edge, edge + head, picture.width_px - 2 * edge, height)


@pytest.mark.parametrize("ending", [".gif", ".png", ".apng"])
@pytest.mark.parametrize("background", ["dark", "light"])
def test_each_frame_has_the_colours_of_its_hour(
    tmp_path: Path, ending: str, background: Any
) -> None:
    picture = Picture(width_px=640, bbox=BOX, background=background)
    path = tmp_path / f"day{ending}"
    asked = Asked(kind="animation", seconds=0.25)
    account = draw_finished(run_of(tmp_path / "run"), path, picture, asked)
    assert (account["file"], account["drawn"], account["little"]) == (path.name, 4, 0)
    frames = frames_of(path)
    assert len(frames) == 24
    assert {frame.shape for frame in frames} == {frames[0].shape}
    morning, midday, night = (map_of(frames[hour], picture) for hour in (8, 14, 3))
    assert is_slow(morning[0])
    assert is_fast(morning[1])
    assert is_grey(morning[2])
    assert (morning[2] == night[2]).all()  # unchanged, where others around it changed
    paper = frames[8][frames[8].shape[0] // 2, 2]
    assert np.abs(morning[2] - paper).sum() > 40
    assert is_fast(morning[3])
    assert [is_fast(colour) for colour in midday] == [True, True, True, False]
    assert is_slow(midday[3])
    assert all(is_grey(colour) for colour in night)
    assert (midday[0] == morning[1]).all()  # the same speed has the same colour in any frame
    with Image.open(path) as film:
        assert film.info["duration"] == 250
        assert film.info["loop"] == 0


def test_nothing_but_the_map_and_the_clock_changes_between_frames(tmp_path: Path) -> None:
    path = tmp_path / "day.gif"
    draw_finished(run_of(tmp_path / "run"), path, DARK, Asked(kind="animation"))
    frames = frames_of(path)
    legend = slice(-strip_height_px(640), None)
    clock = slice(0, clock_height_px(640))
    for before, after in pairwise(frames):
        assert (before[legend] == after[legend]).all()
        assert (before[clock] != after[clock]).any()
    quiet = frames[2], frames[3], frames[20]
    body = slice(clock_height_px(640) + DARK.edge_px(), -strip_height_px(640))
    assert all((frame[body] == quiet[0][body]).all() for frame in quiet)


def test_a_gif_has_one_palette(tmp_path: Path) -> None:
    path = tmp_path / "day.gif"
    draw_finished(run_of(tmp_path / "run"), path, DARK, Asked(kind="animation"))
    data = path.read_bytes()
    assert data[10] & 0x80
    at, local = 13 + 3 * 256, []
    while data[at] != 0x3B:
        if data[at] == 0x2C:
            local.append(data[at + 9] & 0x80)
            at += 11
        else:
            at += 2
        while data[at]:
            at += data[at] + 1
        at += 1
    assert local == [0] * 24


def test_a_thin_grey_link_lies_where_the_wide_one_does(tmp_path: Path) -> None:
    path = tmp_path / "day.gif"
    draw_finished(run_of(tmp_path / "run"), path, DARK, Asked(kind="animation"))
    frames = frames_of(path)
    edge, head = DARK.edge_px(), clock_height_px(640)
    height = frames[0].shape[0] - head - 2 * edge - strip_height_px(640)
    third = edge + head + round(height * (1 - 2.5 / ROADS))
    cuts = [frames[hour][third - 12 : third + 12, 320] for hour in (3, 14)]
    thin, wide = (np.flatnonzero(np.abs(cut - cut[0]).sum(axis=1) > 40) for cut in cuts)
    assert 0 < len(thin) < len(wide)
    assert abs(thin.mean() - wide.mean()) <= 1


def test_of_two_links_at_one_place_the_one_with_data_is_seen(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", {11: {8: 100.0}, 12: {14: 10.0}})
    table = pq.read_table(run / "speeds.parquet")
    lines = table.column("geometry").to_pylist()
    place = table.schema.get_field_index("geometry")
    both = pa.array([lines[0]] * 2, table.schema.field(place).type)
    pq.write_table(table.set_column(place, table.schema.field(place), both), run / "speeds.parquet")
    entered(run, run / "speeds.parquet")
    draw_finished(run, tmp_path / "day.gif", DARK, Asked(kind="animation"))
    frames = frames_of(tmp_path / "day.gif")
    assert is_fast(map_of(frames[8])[0])
    assert is_slow(map_of(frames[14])[0])


@pytest.mark.parametrize(
    ("frames", "cells", "count"),
    [("day", None, 7), ("week-hour", None, 168), ("hour", "7-9", 3), ("day", "Mon-Wed,Sun", 4)],
)
def test_frames_are_hours_days_or_hours_of_the_week(
    tmp_path: Path, frames: str, cells: str | None, count: int
) -> None:
    asked = Asked(kind="animation", frames=frames, choice=Choice(cells=cells))
    path = tmp_path / "film.gif"
    draw_finished(run_of(tmp_path / "run"), path, Picture(width_px=400, bbox=BOX), asked)
    with Image.open(path) as film:
        assert getattr(film, "n_frames", 1) == count


@NEEDS_FFMPEG
def test_an_mp4_plays_everywhere(tmp_path: Path) -> None:
    picture, path = Picture(width_px=641, bbox=BOX), tmp_path / "day.mp4"  # an odd width
    draw_finished(run_of(tmp_path / "run"), path, picture, Asked(kind="animation"))
    said = subprocess.run(
        ["ffprobe", "-v", "error", "-show_streams", "-of", "json", path],
        capture_output=True, check=True,
    )  # fmt: skip
    (stream,) = json.loads(said.stdout)["streams"]
    assert (stream["codec_name"], stream["pix_fmt"]) == ("h264", "yuv420p")
    assert (stream["width"], stream["height"] % 2) == (642, 0)
    assert abs(float(stream["duration"]) - 12) < 0.1
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # plays while it loads
    still = tmp_path / "f.png"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-ss", "4.2", "-i", path, "-frames:v", "1", still], check=True
    )
    with Image.open(still) as image:
        morning = map_of(np.asarray(image.convert("RGB"))[:-1, :-1].astype(np.int64), picture)
    assert is_slow(morning[0])
    assert is_fast(morning[1])


def test_small_multiples_share_one_scale(tmp_path: Path) -> None:
    path = tmp_path / "m.png"
    asked = Asked(kind="multiples", choice=Choice(cells="8,14"))
    picture = Picture(width_px=800, bbox=BOX)
    draw_finished(run_of(tmp_path / "run"), path, picture, asked)
    (pixels,) = frames_of(path)
    edge, em = picture.edge_px(), em_px(800)
    gap, head = round(3.0 * em), round(HEAD_EM * em)
    width = (800 - 2 * edge - gap) // 2
    height = pixels.shape[0] - head - 2 * edge - strip_height_px(800)
    morning = colours_at(pixels, edge, edge + head, width, height)
    midday = colours_at(pixels, edge + width + gap, edge + head, width, height)
    assert is_slow(morning[0])
    assert is_fast(midday[0])
    assert np.abs(morning[1] - midday[1]).max() <= 2
    assert is_grey(morning[2])


def test_multiples_of_a_day_are_night_morning_midday_and_evening(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run")
    draw_finished(run, tmp_path / "m.png", Picture(width_px=800), Asked(kind="multiples"))
    asked = Asked(kind="multiples", choice=Choice(cells=",".join(map(str, range(13)))))
    with pytest.raises(UsageError, match="expected 1 to 12 panels, got 13"):
        draw_finished(run, tmp_path / "n.png", Picture(width_px=800), asked)


def test_named_periods_are_panels_in_their_order(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run")
    rows = {"link": [11, 11, 12], "period": ["rush", "dull", "rush"], "fixes": [9, 9, 9],
            "trips": [1, 1, 1], "mean": [10.0, 90.0, 50.0]}  # fmt: skip
    pq.write_table(pa.table(rows), run / "speeds-by-period.parquet")
    entered(run, run / "speeds-by-period.parquet")
    draw_finished(run, tmp_path / "m.png", Picture(width_px=800), Asked(kind="multiples"))
    asked = Asked(kind="difference", choice=Choice(cells="rush"), against="dull")
    assert draw_finished(run, tmp_path / "d.png", DARK, asked)["little"] == 3


def difference(run: Path, path: Path, asked: Asked, background: Any = "dark") -> Any:
    picture = Picture(width_px=640, bbox=BOX, background=background)
    account = draw_finished(run, path, picture, asked)
    (pixels,) = frames_of(path)
    edge = picture.edge_px()
    height = pixels.shape[0] - 2 * edge - strip_height_px(640)
    return colours_at(pixels, edge, edge, 640 - 2 * edge, height), account


@pytest.mark.parametrize("background", ["dark", "light"])
@pytest.mark.parametrize("relative", [False, True])
def test_slower_is_orange_faster_is_blue_and_unknown_is_grey(
    tmp_path: Path, background: Any, relative: bool
) -> None:
    asked = Asked(kind="difference", choice=Choice(cells="8"), against="14", relative=relative)
    run = run_of(tmp_path / "run")
    colours, account = difference(run, tmp_path / "d.png", asked, background)
    slower, equal, unknown, faster = colours
    assert slower[0] > slower[2] + 60
    assert faster[2] > faster[0] + 30
    assert is_grey(equal)
    assert is_grey(unknown)
    assert account["little"] == 1


def test_a_map_of_some_hours_shows_these_alone(tmp_path: Path) -> None:
    asked = Asked(choice=Choice(cells="8"))
    (slow, fast, unknown, _), account = difference(
        run_of(tmp_path / "r"), tmp_path / "m.png", asked
    )
    assert is_slow(slow)
    assert is_fast(fast)
    assert is_grey(unknown)
    assert account["little"] == 1


def test_one_run_against_another(tmp_path: Path) -> None:
    one = run_of(tmp_path / "one", {11: {8: 30.0}, 12: {8: 50.0}, 13: {8: 50.0}, 14: {8: 70.0}})
    two = run_of(tmp_path / "two", {11: {8: 50.0}, 12: {8: 50.0}, 14: {8: 50.0}})
    asked = Asked(kind="difference", against=str(two))
    colours, account = difference(one, tmp_path / "d.png", asked)
    slower, equal, unknown, faster = colours
    assert slower[0] > slower[2] + 60
    assert is_grey(equal)
    assert is_grey(unknown)
    assert faster[2] > faster[0] + 60
    assert account["little"] == 1
    miles = run_of(tmp_path / "miles", unit="mph")
    with pytest.raises(UsageError, match="speeds in mph"):
        draw_finished(one, tmp_path / "e.png", DARK, Asked(kind="difference", against=str(miles)))


def test_against_free_flow_and_limit(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run")
    rush = Choice(cells="8")
    colours, _ = difference(run, tmp_path / "d.png", Asked(kind="difference", choice=rush))
    assert colours[0][0] > colours[0][2] + 60  # p85 of 14:00, which is off-peak, is 100
    limit = Asked(kind="difference", choice=rush, against="limit")
    with pytest.raises(UsageError, match=r"no limits\.parquet: run again with --speed-limit"):
        draw_finished(run, tmp_path / "e.png", DARK, limit)
    for name, column in (("free-flow", "free_flow"), ("limits", "limit")):
        rows = pa.table({"link": [11, 14], column: [5.0, 150.0]})
        pq.write_table(rows, run / f"{name}.parquet")
        entered(run, run / f"{name}.parquet")
    for other in ("free-flow", "limit"):
        asked = Asked(kind="difference", choice=rush, against=other)
        colours, account = difference(run, tmp_path / f"{other}.png", asked)
        assert colours[0][2] > colours[0][0]
        assert colours[3][0] > colours[3][2]
        assert account["little"] == 2


def test_percentiles_and_coarser_tables_can_be_drawn(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run")
    said = json.loads((run / "receipt.json").read_text())
    (run / "speeds-by-hour.parquet").unlink()
    from mapreduce.runs import receipt_file  # noqa: PLC0415 - beside what it is for

    del said["checksum"], said["files"]["speeds-by-hour.parquet"]
    receipt_file.write(run, said)
    asked = Asked(kind="difference", choice=Choice(column="p50", cells="8"), against="14")
    colours, _ = difference(run, tmp_path / "d.png", asked)  # hours of the table by week-hour
    assert colours[0][0] > colours[0][2] + 60


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked(kind="poster"), "expected one of map, multiples"),
        (Asked(kind="map", against="limit"), "need --picture difference"),
        (Asked(kind="animation", frames="minute"), "--frames: expected one of hour"),
        (Asked(kind="animation", seconds=0), "--seconds-per-frame: expected 0.02"),
        (Asked(choice=Choice(part="minute")), "--by: expected one of hour, period"),
        (Asked(kind="animation", frames="date"), "run again with --by date"),
        (Asked(kind="multiples", choice=Choice(part="period")), "run again with --by period"),
        (Asked(kind="multiples", choice=Choice(cells="25")), "--cells: expected an hour"),
        (Asked(kind="multiples", choice=Choice(column="p99")), "has mean, std, p5, p15"),
        (Asked(kind="difference", against="no/such"), "expected the folder of a finished run"),
    ],
)
def test_what_cannot_be_drawn_is_told(tmp_path: Path, asked: Asked, said: str) -> None:
    path = tmp_path / "film.gif"
    with pytest.raises(UsageError, match=said):
        draw_finished(run_of(tmp_path / "run"), path, DARK, asked)
    assert not path.exists()


def test_an_animation_says_what_it_can_be_written_as(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, asked = run_of(tmp_path / "run"), Asked(kind="animation")
    with pytest.raises(UsageError, match=r"ends in \.gif, \.png, \.apng, \.mp4"):
        draw_finished(run, tmp_path / "day.webp", DARK, asked)
    transparent = Picture(width_px=640, background="none")
    with pytest.raises(UsageError, match="needs a ground, dark or light"):
        draw_finished(run, tmp_path / "day.gif", transparent, asked)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match=r"needs ffmpeg.*or choose \.gif"):
        draw_finished(run, tmp_path / "day.mp4", DARK, asked)


def test_a_table_that_was_changed_is_refused(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run")
    table = pq.read_table(run / "speeds-by-hour.parquet")
    pq.write_table(table.slice(1), run / "speeds-by-hour.parquet")
    with pytest.raises(UsageError, match="was changed after the run wrote it"):
        draw_finished(run, tmp_path / "m.png", DARK, Asked(kind="multiples"))
    with pytest.raises(UsageError, match="listed in the receipt"):
        draw_finished(run, run / "speeds.parquet", DARK, Asked(kind="multiples"))


def test_the_line_of_time_ends_where_the_last_hour_does() -> None:
    hours = Cells("hour", names_of_hours())
    assert marks(hours, [*range(24)])[-1] == (1.0, "24")
    assert marks(hours, [*range(6, 21)]) == [(0.0, "6"), (1.0, "21")]
    assert hours.label((22, 23, 0, 1)) == "22:00 to 02:00"
    assert hours.label((7, 8, 16)) == "07:00 to 09:00, 16:00 to 17:00"
    assert hours.chosen("22-1") == (22, 23, 0, 1)


def test_orange_and_blue_differ_for_the_colour_blind() -> None:
    # Machado, Oliveira and Fernandes (2009), severity 1: protanopia, deuteranopia.
    protan = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
              [-0.003882, -0.048116, 1.051998]]  # fmt: skip
    deutan = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
              [-0.011820, 0.042940, 0.968881]]  # fmt: skip
    for background in ("dark", "light", "none"):
        ramp = diverging_ramp(background)
        for seen in (np.array(protan), np.array(deutan)):
            slower, equal, faster = ramp[[40, 128, 215]] @ seen.T
            for one, two in ((slower, equal), (equal, faster), (slower, faster)):
                assert np.linalg.norm(one - two) > 0.2


@needs_curitiba
def test_hours_of_real_drives_are_those_of_a_query(tmp_path: Path) -> None:
    out = tmp_path / "run"
    asked = RunRequest(
        out, roads=RoadSource(str(CURITIBA / "roads.geojson")),
        attribution="© OpenStreetMap contributors",
    )  # fmt: skip
    run_speeds(str(CURITIBA / "trips"), asked, Local(1))
    fixes = fixes_of(sorted((CURITIBA / "trips").glob("*.json")), "America/Sao_Paulo")
    write_by(out, "week-hour", fixes)
    run = finished_run(out)
    table = run.link_table()
    found = speeds_by_cell(run, "hour", "mean", pa.array(table.ids))
    speed, count = found.of(range(6, 10))
    rows = duckdb.execute(
        "select link, avg(speed), count(*) from fixes where hour between 6 and 9 group by link"
    ).fetchall()
    place = {link: number for number, link in enumerate(table.ids)}
    for link, mean, n in rows:
        assert abs(speed[place[link]] - mean) < 1e-3
        assert count[place[link]] == n
    assert len(rows) == int((count > 0).sum())
    path = tmp_path / "m.png"
    account = draw_finished(out, path, Picture(width_px=800), Asked(kind="multiples"))
    assert account["drawn"] == 501


def test_the_command_draws_and_names_what_is_missing(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run")
    typed = [sys.executable, "-m", "roadspeed.cli", "draw", str(run)]
    film = [*typed, "--picture", "animation", "--width", "400", "--out", str(tmp_path / "d.gif")]
    done = subprocess.run(film, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "4 links in" in done.stdout
    missing = [*film, "--frames", "period"]
    done = subprocess.run(missing, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "run again with --by period" in done.stderr
