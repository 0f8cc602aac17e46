"""A run for publishing: no file tells of fewer trips, and the ends of trips are in none."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import geopandas
import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest

import mapreduce as mr
from roadspeed.town import make_town
from tests.roadspeed import measured_trips as trips
from tests.roadspeed.plain_measures import (
    Clock,
    Fix,
    cells,
    check_fixes,
    check_stays,
    percentile,
    stays,
    stays_by_cell,
    um,
)
from tests.roadspeed.test_run import receipt_of, roadspeed

if TYPE_CHECKING:
    from pathlib import Path

ENDS_M, K = 200.0, 5
NO_TABLES = (
    "receipt.json", "command.json", "speeds.csv-metadata.json", "map.png", "quarantine.csv",
    "dropped.csv",
)  # fmt: skip


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("town")
    make_town(folder, 40)
    return folder


@pytest.fixture(scope="module")
def out(town: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a published run with everything."""
    folder = tmp_path_factory.mktemp("published") / "out"
    done = roadspeed(
        "run", town / "trips", "--roads", town / "roads.geojson", "--publish", "--out", folder,
        "--by", "hour,week-hour,day,period,direction,direction-hour", "--layer", "hour",
        "--period", "rush=Mon-Fri 06:00-09:00, Mon-Fri 16:00-19:00", "--width", "600",
        "--direction", "dbResponse.dirTravel", "--speed-limit", "dbResponse.speedLimit",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def trimmed(town: Path) -> dict[int, set[str]]:
    """Give the trips of each link, by a loop over fixes that are away from their trip's ends."""
    found: dict[int, set[str]] = defaultdict(set)
    for path in sorted((town / "trips").rglob("*.json")):
        kept = []
        for fix in json.loads(path.read_text())["data"]:
            link = (fix["dbResponse"] or {}).get("linkID", "")
            if link.removeprefix("-").isdecimal() and fix["absVelocity"] is not None:
                kept.append((int(link), fix["lat"], fix["long"]))
        for link, *place in kept:
            if all(metres(place, end[1:]) >= ENDS_M for end in (kept[0], kept[-1])):
                found[link].add(path.name)
    return found


def metres(one: Any, other: Any) -> float:
    (lat, lon), (to_lat, to_lon) = ([*map(math.radians, place)] for place in (one, other))
    half = math.sin((to_lat - lat) / 2) ** 2
    half += math.cos(lat) * math.cos(to_lat) * math.sin((to_lon - lon) / 2) ** 2
    return 2 * 6_371_008.8 * math.asin(math.sqrt(half))


def tables_of(out: Path) -> dict[str, Any]:
    """Read every table of a folder; a file that is none is one of those that are known."""
    tables: dict[str, Any] = {}
    for path in out.iterdir():
        if path.name in NO_TABLES:
            continue
        if path.suffix == ".gpkg":
            for layer in geopandas.list_layers(path)["name"]:
                tables[f"{path.name} {layer}"] = geopandas.read_file(path, layer=layer)
        elif path.suffix == ".parquet":
            tables[path.name] = pyarrow.parquet.read_table(path).to_pandas()
        else:
            assert path.suffix == ".csv", path.name
            sign = ";" if path.name == "speeds.csv" else ","
            options = pyarrow.csv.ParseOptions(delimiter=sign)
            tables[path.name] = pyarrow.csv.read_csv(path, parse_options=options).to_pandas()
    return tables


def test_every_file_has_links_of_enough_trips_alone(town: Path, out: Path) -> None:
    found = trimmed(town)
    good = {link for link, its in found.items() if len(its) >= K}
    assert 50 < len(good) < len(found)
    tables = tables_of(out)
    assert len(tables) > 20
    for name, table in tables.items():
        link = "linkID" if name == "speeds.csv" else "link"
        if link not in table:
            continue
        assert set(table[link]) <= good, name
        assert len(table) or "hour" in name or "day" in name
        if "trips" in table:
            assert (table["trips"] >= K).all(), name
        for extreme in {"min", "max"} & set(table):
            assert table[extreme].isna().all(), name
    assert set(tables["speeds.parquet"]["link"]) == good


def test_links_of_few_trips_are_named_nowhere(town: Path, out: Path) -> None:
    few = [link for link, its in trimmed(town).items() if len(its) < K]
    for path in out.iterdir():
        if path.suffix in {".csv", ".json"}:
            text = path.read_text()
            assert not [link for link in few if str(link) in text], path.name


def test_the_receipt_says_what_was_withheld(town: Path, out: Path) -> None:
    found = trimmed(town)
    receipt = receipt_of(out)
    assert receipt["publishing"] == {
        "min_trips": K,
        "links_withheld": sum(len(its) < K for its in found.values()),
        "extremes": False,
        "trip_ends_m": ENDS_M,
    }
    assert receipt["records"]["dropped"]["trip_end"] > 1000
    for name, said in receipt["groupings"].items():
        table = pyarrow.parquet.read_table(out / f"speeds-by-{name}.parquet")
        assert len(table) == said["cells"]
        assert said["fixes"] + said["without_cell"] == receipt["records"]["kept"]


def test_what_is_left_of_a_link_is_never_of_few_trips(out: Path) -> None:
    links = pyarrow.parquet.read_table(out / "speeds.parquet").to_pandas().set_index("link")
    for name in ("hour", "week-hour", "day", "period", "direction", "direction-hour"):
        table = pyarrow.parquet.read_table(out / f"speeds-by-{name}.parquet").to_pandas()
        sums = table.groupby("link")[["fixes", "trips"]].sum()
        mine = links.loc[sums.index]
        left = mine["fixes"] - sums["fixes"]
        # As many trips as fixes at the most: where fewer are left, they tell of few.
        assert not ((left > 0) & (left < K)).any()


@pytest.mark.parametrize("silent", [(), (0, 1, 2, -1, -2)])
def test_trip_ends_and_ways_are_those_of_a_plain_loop(silent: tuple[int, ...]) -> None:
    """Even where the first and last fixes of trips have no time."""
    metres_off, kept, ways = 80.0, [], {}
    objects = {}
    for number, rows in enumerate(trips.rows()):
        mine = [dict(row) for row in rows]
        good = [row for row in mine if row["link"] is not None and row["speed"] is not None]
        for at in silent:
            good[at]["time"] = None
        objects[str(number)] = trips.as_document(mine)
        ends = [(good[at]["lat"], good[at]["lon"]) for at in (0, -1)]
        for row in good:
            place = row["lat"], row["lon"]
            if any(metres(place, end) < metres_off for end in ends):
                continue
            fix = fix_of(row)
            kept.append(fix)
            ways[fix] = place
    job = trips.job(trip_ends=metres_off, by=("hour",), periods=())
    result = mr.run(job, mr.Memory(objects), workers=1)
    dropped = sum(len(rows) for rows in trips.rows()) - len(kept)
    assert result.receipt["records"]["kept"] == len(kept)
    assert sum(result.receipt["records"]["dropped"].values()) == dropped
    clock = Clock(trips.ZONE)
    found = stays(kept)
    check_fixes(result.tables["by_hour"], "hour", cells(kept, "hour", clock))
    by_cell = stays_by_cell(found, "hour", clock)
    check_stays(result.tables["by_hour"], "hour", by_cell)
    columns = result.tables["by_hour"]
    for link, hour, mean in zip(
        *(columns[name].tolist() for name in ("link", "hour", "traversal_space_mean")), strict=True
    ):
        those = by_cell.get((link, hour), [])
        seconds = sum(stay.duration_us or 0 for stay in those) / 1e6
        if not seconds:
            assert math.isnan(mean)
            continue
        way = sum(
            metres(ways[one], ways[other])
            for stay in those
            for one, other in zip(stay.fixes, stay.fixes[1:], strict=False)
        )
        assert math.isclose(mean, way / seconds * 3.6, rel_tol=1e-3, abs_tol=1e-2)


def fix_of(row: dict[str, Any]) -> Fix:
    time = None if row["time"] is None else trips.moment(row["time"])
    way = {"F": 1, "T": 2}.get(row["way"], 0)
    return Fix(row["trip"], row["link"], um(row["speed"]), time, way, um(row["limit"] or 0))


def spans(clock: Clock, speeds: list[tuple[Fix, int]], fixes: list[Fix]) -> tuple[Any, Any, Any]:
    """Give (trip, speed) off-peak and of weekdays, and fixes of peak hours, by link."""
    off: dict[int, list[Any]] = defaultdict(list)
    week: dict[int, list[Any]] = defaultdict(list)
    peak: dict[int, list[Fix]] = defaultdict(list)
    for first, speed in speeds:
        day, hour = clock.cell("day", first), clock.cell("hour", first)
        if hour < 0:
            continue
        if (hour in {*range(9, 16), *range(19, 22)}) if day < 6 else 6 <= hour < 22:
            off[first.link].append((first.trip, speed))
        if day < 6 <= hour < 22:
            week[first.link].append((first.trip, speed))
    for fix in fixes:
        if clock.cell("day", fix) < 6 and clock.cell("hour", fix) in {6, 7, 8, 16, 17, 18}:
            peak[fix.link].append(fix)
    return off, week, peak


@pytest.mark.parametrize("traversals", [True, False])
def test_free_flow_and_limits_are_those_of_a_plain_loop(traversals: bool) -> None:
    fixes = [
        fix_of(row)
        for rows in trips.rows()
        for row in rows
        if row["link"] is not None and row["speed"] is not None
    ]
    job = trips.job(trip_ends=0.0, traversals=traversals)
    result = mr.run(job, mr.Memory(trips.many()), workers=1)
    clock = Clock(trips.ZONE, frozenset({trips.HOLIDAY}))
    speeds = [(s.fixes[0], s.speed_um) for s in stays(fixes)] if traversals else [
        (fix, fix.speed_um) for fix in fixes
    ]  # fmt: skip
    off, week, peak = spans(clock, speeds, fixes)
    table = result.tables["free_flow"]
    assert table["link"].tolist() == sorted(off)
    rows = zip(*(column.tolist() for column in table.values()), strict=True)
    some = 0
    for row in (dict(zip(table, values, strict=True)) for values in rows):
        mine = [speed for _, speed in off[row["link"]]]
        free = percentile(mine, 85)
        assert math.isclose(row["free_flow"], free, rel_tol=1e-12)
        assert row["off_peak"] == len(mine)
        peaks = peak[row["link"]]
        groups = [{trip for trip, _ in off[row["link"]]}, {fix.trip for fix in peaks},
                  {trip for trip, _ in week[row["link"]]}]  # fmt: skip
        assert row["trips"] == min(len(group) for group in groups if group)
        assert row["peak_fixes"] == len(peaks)
        if peaks:
            mean = sum(fix.speed_um for fix in peaks) / len(peaks) / 1e6
            assert math.isclose(row["peak_mean"], mean, rel_tol=1e-12)
            if mean:
                assert math.isclose(row["travel_time_index"], free / mean, rel_tol=1e-12)
        else:
            assert math.isnan(row["travel_time_index"])
        weekday = [speed for _, speed in week[row["link"]]]
        if weekday:
            share = share_below(weekday, free * 0.9)
            assert math.isclose(row["congested_share"], share, rel_tol=1e-9, abs_tol=1e-9)
            some += 0 < share < 1
        else:
            assert math.isnan(row["congested_share"])
    assert some > 5
    check_limits(result, fixes)


def share_below(speeds: list[int], limit: float) -> float:
    """Give the share below a limit, spread evenly within buckets of 2."""
    parts = ((limit - speed // um(2) * 2) / 2 for speed in speeds)
    return sum(min(max(part, 0.0), 1.0) for part in parts) / len(speeds)


def check_limits(result: mr.Result, fixes: list[Fix]) -> None:
    by_link: dict[int, list[Fix]] = defaultdict(list)
    for fix in fixes:
        by_link[fix.link].append(fix)
    known = {}
    for link, mine in by_link.items():
        limited = [fix for fix in mine if fix.limit_um > 0]
        if limited:
            limits = [fix.limit_um for fix in limited]
            usual = min(limits, key=lambda one: (-limits.count(one), one))
            above = sum(fix.speed_um > fix.limit_um for fix in limited) / len(limited)
            p85 = percentile([fix.speed_um for fix in mine], 85)
            those = {fix.trip for fix in limited if fix.limit_um == usual}
            known[link] = (len(those), usual / 1e6, len(limited), above, p85, p85 - usual / 1e6)
    columns = result.tables["limits"]
    names = ("trips", "limit", "limit_fixes", "above_limit_share", "p85", "p85_above_limit")
    assert columns["link"].tolist() == sorted(known)
    found = np.array([columns[name] for name in names]).T
    assert np.allclose(found, [known[link] for link in sorted(known)], rtol=1e-12, atol=1e-9)
