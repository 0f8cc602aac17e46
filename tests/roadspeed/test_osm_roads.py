"""Ways of OpenStreetMap to links: split where they meet, ids that stay, files that join."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import geopandas
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from mapreduce.errors import JobError, UsageError
from roadspeed.cli import app
from roadspeed.osm.extract import read_ways
from roadspeed.osm.links import NO_LINK, Links, write_links
from roadspeed.osm.osm_roads import LINKS_A_WAY, Ways, links_of
from roadspeed.osm.roads_file import lines_of, write_roads
from roadspeed.roads import join
from tests.roadspeed.osm_files import road, write_extract

if TYPE_CHECKING:
    from pathlib import Path

lines = st.lists(
    st.lists(st.integers(0, 9), min_size=2, max_size=7).filter(lambda refs: len({*refs}) > 1),
    min_size=1,
    max_size=6,
)


def ways_of(refs: list[list[int]], ids: list[int] | None = None) -> Ways:
    node = np.array([ref for line in refs for ref in line], dtype=np.int64)
    return Ways(
        way=np.array(ids or [7 * n + 3 for n in range(len(refs))], dtype=np.int64),
        starts=np.cumsum([0, *map(len, refs)]),
        node=node,
        lon=node.astype(np.float64),
        lat=-node.astype(np.float64),
        tags=[(str(n), "", "", "") for n in range(len(refs))],
    )


@given(lines, st.randoms(use_true_random=False))
def test_ways_are_split_where_a_plain_loop_splits_them(refs: list[list[int]], order: Any) -> None:
    seen = [ref for line in refs for ref in line]
    expected = {}
    for number, line in enumerate(refs):
        cuts = [
            place
            for place in range(len(line))
            if place in (0, len(line) - 1) or seen.count(line[place]) > 1
        ]
        for piece, (a, b) in enumerate(itertools.pairwise(cuts)):
            expected[(7 * number + 3) * LINKS_A_WAY + piece] = (number, line[a : b + 1])
    ids = [7 * n + 3 for n in range(len(refs))]
    both = list(zip(refs, ids, strict=True))
    order.shuffle(both)
    found = links_of(ways_of([refs for refs, _ in both], [way for _, way in both]))
    assert found.link.tolist() == sorted(expected)
    for row, link in enumerate(found.link.tolist()):
        number, line = expected[link]
        start, stop = found.starts[row : row + 2]
        assert found.lon[start:stop].tolist() == line
        assert found.lat[start:stop].tolist() == [-1.0 * ref for ref in line]
        assert found.way[row] == 7 * number + 3
        assert both[int(found.tags[found.row[row]][0])][1] == found.way[row]


@pytest.mark.parametrize("way", [-1, 2**63 // LINKS_A_WAY])
def test_a_way_without_room_for_its_links_is_refused(way: int) -> None:
    with pytest.raises(UsageError, match="renumber the extract"):
        links_of(ways_of([[1, 2]], [way]))


def test_no_way_is_refused() -> None:
    with pytest.raises(UsageError, match="holds no drivable way"):
        links_of(ways_of([]))


ROADS = [
    road(5, (0.0, 0.0), (1.0, 0.0), (2.0, 0.0), name="Straße", maxspeed="50"),
    road(3, (1.0, 1.0), (1.0, 0.0), highway="primary_link", oneway="-1"),
    road(9, (2.0, 0.0), (3.0, 3.0), highway="footway"),
    road(8, (5.0, 5.0), (6.0, 6.0), highway="service", area="yes"),
]


@pytest.mark.parametrize("name", ["a.osm.pbf", "a.osm", "a.osm.bz2"])
def test_drivable_ways_are_read_from_every_kind_of_extract(name: str, tmp_path: Path) -> None:
    write_extract(tmp_path / name, ROADS)
    seen: list[int] = []
    ways = read_ways(tmp_path / name, seen.append)
    assert ways.way.tolist() == [3, 5]
    assert ways.tags == [("primary_link", "", "", "-1"), ("residential", "Straße", "50", "")]
    roads = links_of(ways)
    assert roads.link.tolist() == [30_000, 50_000, 50_001]
    assert [line.wkt for line in lines_of(roads)] == [
        "LINESTRING (1 1, 1 0)", "LINESTRING (0 0, 1 0)", "LINESTRING (1 0, 2 0)",
    ]  # fmt: skip
    assert seen[-1] == 2


def test_ways_that_an_extract_cut_off_are_counted(tmp_path: Path) -> None:
    write_extract(tmp_path / "a.osm.pbf", ROADS, without=2)  # (0, 0) and (1, 0)
    ways = read_ways(tmp_path / "a.osm.pbf")
    assert (ways.way.tolist(), ways.incomplete) == ([], 2)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("none.osm.pbf", None, "no file"),
        ("a.osm.pbf", b"nothing of the kind", "expected an OpenStreetMap extract"),
        ("a.osm.pbf", b"", "expected an OpenStreetMap extract"),
        ("a.osm", b"<osm><node id='1'", "expected an OpenStreetMap extract"),
        ("a.txt", b"words", "expected an OpenStreetMap extract"),
    ],
)
def test_what_is_no_extract_is_refused(
    name: str, content: bytes | None, told: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=told):
        read_ways(tmp_path / name)


def test_the_file_joins_by_link_and_says_what_it_holds(tmp_path: Path) -> None:
    write_extract(tmp_path / "a.osm.pbf", ROADS)
    out = tmp_path / "roads.parquet"
    done = CliRunner().invoke(
        app, ["roads", "from-osm", str(tmp_path / "a.osm.pbf"), "--out", str(out)]
    )
    assert done.exit_code == 0, done.output
    assert "3 links of 2 ways" in done.output
    frame = geopandas.read_parquet(out)
    assert frame.crs.to_authority() == ("OGC", "CRS84")
    assert frame["name"].fillna("").tolist() == ["", "Straße", "Straße"]
    joined = join(np.array([30_000, 40_000, 50_001]), str(out))
    assert [g and g.wkt for g in joined.geometry] == [
        "LINESTRING (1 1, 1 0)", None, "LINESTRING (1 0, 2 0)",
    ]  # fmt: skip
    assert joined.road_class.tolist() == ["primary_link", None, "residential"]
    write_roads(tmp_path / "again.parquet", links_of(read_ways(tmp_path / "a.osm.pbf")))
    assert (tmp_path / "again.parquet").read_bytes() == out.read_bytes()


@given(lines)
def test_the_middle_of_each_link_is_nearest_to_itself(refs: list[list[int]]) -> None:
    from pathlib import Path as Place  # noqa: PLC0415 - as above
    from tempfile import TemporaryDirectory  # noqa: PLC0415 - hypothesis calls this many times

    spread = np.random.default_rng(3).uniform(-1, 1, (10, 2))
    ways = ways_of(refs)
    ways.lon[:], ways.lat[:] = spread[ways.node].T
    roads = links_of(ways)
    with TemporaryDirectory() as folder:
        write_links(Place(folder) / "links.npz", roads)
        links = Links(Place(folder) / "links.npz")
    for row, link in enumerate(roads.link.tolist()):
        start = roads.starts[row]
        first = set(roads.lon[start : start + 2].tolist())
        lon, lat = roads.lon[start : start + 2].mean(), roads.lat[start : start + 2].mean()
        found = int(np.searchsorted(roads.link, links.nearest(link // LINKS_A_WAY, lon, lat)))
        if found != row:  # the way goes there twice
            assert first <= set(roads.lon[roads.starts[found] : roads.starts[found + 1]].tolist())
    assert links.nearest(1, 0.0, 0.0) == NO_LINK


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"words"])
def test_what_are_no_links_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "links.npz").write_bytes(content)
    with pytest.raises(JobError, match=r"expected the links\.npz of"):
        Links(tmp_path / "links.npz")
