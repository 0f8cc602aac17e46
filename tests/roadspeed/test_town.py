"""The demo town is a town: whole, connected, and the same each time it is made."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
import shapely

from mapreduce.errors import UsageError
from roadspeed.town import Town, make_town, trip_bytes, trip_key, write_trips
from tests.roadspeed.towns import default_town

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def town() -> Town:
    return default_town()


def test_the_default_town_has_some_thousand_links_of_every_class(town: Town) -> None:
    classes = Counter(town.net.highway)
    assert 2_500 <= len(town.net.link_id) <= 5_000
    assert set(classes) == {
        "motorway", "motorway_link", "trunk", "primary", "secondary", "tertiary",
        "residential", "service", "ferry",
    }  # fmt: skip
    assert classes["ferry"] == 1
    assert classes["residential"] > len(town.net.link_id) / 2


def test_link_ids_are_unique_large_and_in_no_order(town: Town) -> None:
    ids = town.net.link_id
    assert len(np.unique(ids)) == len(ids)
    assert ids.min() > 10**7
    assert ids.max() < 10**10
    rising = float(np.mean(np.diff(ids) > 0))
    assert 0.4 < rising < 0.6


def test_roads_are_valid_lines_with_all_their_properties(town: Town) -> None:
    features = town.roads()["features"]
    lines = [shapely.LineString(f["geometry"]["coordinates"]) for f in features]
    assert all(line.is_valid and line.length > 0 for line in lines)
    assert all(
        set(f["properties"]) == {"link_id", "name", "highway", "functional_class", "maxspeed"}
        and f["properties"]["name"]
        and 1 <= f["properties"]["functional_class"] <= 5
        and 10 <= f["properties"]["maxspeed"] <= 120
        for f in features
    )
    west, south, east, north = shapely.total_bounds(lines)
    assert 2.0 < west < east < 2.6
    assert 54.5 < south < north < 54.9


def test_vertices_are_spaced_as_on_a_real_map(town: Town) -> None:
    per_link = np.diff(town.net.first)
    assert per_link.min() >= 2
    steps = np.hypot(*np.diff(town.net.xy, axis=0).T)
    inner = np.delete(steps, town.net.first[1:-1] - 1)
    assert 10.0 < float(np.median(inner)) < 60.0
    assert 60.0 < float(town.net.length_m.mean()) < 250.0
    assert town.net.length_m.min() > 5.0


def test_links_begin_and_end_at_their_nodes(town: Town) -> None:
    net = town.net
    starts, ends = net.xy[net.first[:-1]], net.xy[net.first[1:] - 1]
    assert np.abs(starts - net.node_xy[net.ends[:, 0]]).max() < 0.01
    assert np.abs(ends - net.node_xy[net.ends[:, 1]]).max() < 0.01


def test_every_place_reaches_every_other_without_the_ferry(town: Town) -> None:
    net = town.net
    ahead: dict[int, list[int]] = {}
    back: dict[int, list[int]] = {}
    for k, (a, b) in enumerate(net.ends.tolist()):
        if net.highway[k] == "ferry":
            continue
        for x, y in [(a, b)] if net.one_way[k] else [(a, b), (b, a)]:
            ahead.setdefault(x, []).append(y)
            back.setdefault(y, []).append(x)
    for way in (ahead, back):
        seen, stack = {0}, [0]
        while stack:
            for other in way.get(stack.pop(), []):
                if other not in seen:
                    seen.add(other)
                    stack.append(other)
        assert len(seen) == len(net.node_xy)


def test_few_roads_cross_the_river(town: Town) -> None:
    from roadspeed.town.landscape import Landscape  # noqa: PLC0415 - only this test needs it

    ground = Landscape.shape(np.random.Generator(np.random.PCG64(town.seed)), 1.0)
    river = shapely.LineString(ground.river[~ground.at_sea(ground.river)])
    crossing = [
        town.net.highway[k]
        for k in range(len(town.net.link_id))
        if river.crosses(shapely.LineString(town.net.line(k)))
    ]
    assert crossing.count("ferry") <= 1
    assert 3 <= len(crossing) <= 12


def test_a_town_is_the_same_each_time(town: Town) -> None:
    again = Town.generate()
    assert json.dumps(again.roads()) == json.dumps(town.roads())
    assert trip_bytes(again, 5) == trip_bytes(town, 5)


def test_a_town_of_another_seed_is_another_and_whole_too(town: Town) -> None:
    net = Town.generate(seed=1).net
    assert set(net.link_id.tolist()) != set(town.net.link_id.tolist())
    assert len(net.link_id) > 2_500
    assert {"motorway", "motorway_link", "trunk", "ferry"} <= set(net.highway)


def test_a_larger_scale_is_a_larger_town(town: Town) -> None:
    larger = Town.generate(scale=2.0)
    assert 1.5 < len(larger.net.link_id) / len(town.net.link_id) < 3.0
    assert len(larger.trip(1)["data"]) >= 120


@pytest.mark.parametrize(("seed", "scale"), [(-1, 1.0), (1, 0.0), (1, 1e6)])
def test_a_town_that_cannot_be_is_refused(seed: int, scale: float) -> None:
    with pytest.raises(UsageError, match="expected"):
        Town.generate(seed=seed, scale=scale)


def test_a_trip_does_not_depend_on_how_many_are_made_or_by_whom(town: Town, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    assert write_trips(town, tmp_path / "few", 3) == 3
    done = write_trips(town, tmp_path / "many", 45, lambda n, of: told.append((n, of)), processes=2)
    assert done == 45
    assert sorted(told) == told
    assert told[-1] == (45, 45)
    for number in (1, 2, 3):
        few, many = (tmp_path / folder / trip_key(number) for folder in ("few", "many"))
        assert few.read_bytes() == many.read_bytes() == trip_bytes(town, number)


def test_compressed_trips_hold_the_same_bytes(town: Town, tmp_path: Path) -> None:
    write_trips(town, tmp_path, 1, compress=True)
    packed = (tmp_path / trip_key(1, compress=True)).read_bytes()
    assert gzip.decompress(packed) == trip_bytes(town, 1)


def test_a_town_on_disk_is_resumed_but_never_mixed_with_another(tmp_path: Path) -> None:
    made = make_town(tmp_path, 2)
    assert (made.written, made.kept) == (2, 0)
    before = hashlib.sha256((made.trips / trip_key(1)).read_bytes()).digest()
    more = make_town(tmp_path, 3)
    assert (more.written, more.kept) == (1, 2)
    again = make_town(tmp_path, 3, workers=2)
    assert (again.written, again.kept) == (0, 3)
    assert hashlib.sha256((made.trips / trip_key(1)).read_bytes()).digest() == before
    assert json.loads(more.roads.read_bytes())["type"] == "FeatureCollection"
    with pytest.raises(UsageError, match="another town"):
        make_town(tmp_path, 3, seed=8)
    with pytest.raises(UsageError, match="more than the 1 trips"):
        make_town(tmp_path, 1)
    assert not list(tmp_path.rglob("*.part"))


def test_a_town_is_not_made_among_the_files_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "receipt.json").write_text("{}")
    with pytest.raises(UsageError, match=r"finished run \(receipt.json\).*another --out"):
        make_town(tmp_path, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["receipt.json"]
