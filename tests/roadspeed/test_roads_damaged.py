"""Files of roads that are damaged, half there or oddly named: a sentence, never a traceback."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
import zlib
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from mapreduce.errors import MapReduceError, UsageError
from roadspeed import roads
from roadspeed.roads.files.untouched import untouched
from tests.roadspeed.road_files import IDS, LINES, town
from tests.roadspeed.test_roads_written import ALL, contents

if TYPE_CHECKING:
    from pathlib import Path

    from tests.roadspeed.road_files import Written

GOOD = [written for written in ALL if written.roads is not None]
MUTATIONS = 2


def mutated(body: bytes, chance: random.Random) -> bytes:
    """Cut bytes off, change some, or double a few."""
    at = chance.randrange(len(body))
    changed = bytearray(body)
    kind = chance.choice(["cut", "change", "change", "double"])
    if kind == "cut":
        del changed[at:]
    elif kind == "double":
        changed[at:at] = body[at : at + 50]
    else:
        for _ in range(chance.choice([1, 3, 20])):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


@pytest.mark.parametrize("written", GOOD, ids=lambda written: written.name)
def test_damage_is_told_in_a_sentence_or_does_no_harm(written: Written, tmp_path: Path) -> None:
    path = tmp_path / "whole" / written.file
    path.parent.mkdir()
    written.write(path)
    files = sorted(
        file for file in path.parent.rglob("*") if file.stat().st_size and file.is_file()
    )
    chance = random.Random(zlib.crc32(written.name.encode()))
    for turn in range(MUTATIONS):
        damaged = tmp_path / str(turn)
        shutil.copytree(path.parent, damaged)
        file = damaged / chance.choice(files).relative_to(path.parent)
        file.write_bytes(mutated(file.read_bytes(), chance))
        with contextlib.suppress(MapReduceError):
            roads.check(str(damaged / written.file), named=roads.Named(**written.options))
            roads.join(IDS, str(damaged / written.file), named=roads.Named(**written.options))


@pytest.mark.parametrize(
    "name",
    ["r.geojson", "r.gpkg", "r.shp", "r.parquet", "r.feather", "r.csv", "r.csv.gz", "r.gml", "r"],
)
def test_an_empty_file_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(UsageError, match=name):
        roads.check(str(tmp_path / name))


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=str(tmp_path)):
        roads.check(str(tmp_path))


def test_a_folder_of_shapefiles_is_layers(tmp_path: Path) -> None:
    town().to_file(tmp_path / "a.shp")
    assert roads.join(IDS, str(tmp_path)).joined == 4
    town().to_file(tmp_path / "b.shp")
    with pytest.raises(UsageError, match=r"more than one layer has lines: .*--roads-table"):
        roads.check(str(tmp_path))


def test_a_name_that_is_no_utf8_is_told(tmp_path: Path) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/stra\xdfe.geojson")
    like = tmp_path / "straße.geojson"  # what it looks like
    town().to_file(like)
    shutil.copy(like, odd)
    assert roads.join(IDS, str(like)).joined == 4
    with pytest.raises(UsageError, match=r"stra\\xdfe.geojson: expected a name in UTF-8"):
        roads.check(odd)


def test_a_view_without_ids_in_some_rows_has_none_made_up(tmp_path: Path) -> None:
    path = tmp_path / "r.gpkg"
    town(ids=[7001, 7002, 7003, 7004]).to_file(path, SPATIAL_INDEX="NO")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE VIEW seen AS SELECT CASE link_id WHEN 7002 THEN NULL ELSE link_id END AS way,"
            " geom FROM r"
        )
        database.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id)"
            " VALUES ('seen', 'features', 'seen', 4326)"
        )
        database.execute(
            "INSERT INTO gpkg_geometry_columns VALUES ('seen', 'geom', 'MULTILINESTRING', 4326,"
            " 0, 0)"
        )
    with pytest.raises(UsageError, match="no such column"):
        roads.check(str(path), named=roads.Named(table="seen", id_column="way"))


def test_a_change_that_was_broken_off_is_not_read_and_nothing_is_mended(tmp_path: Path) -> None:
    """A hot journal: whoever reads the file rolls it back, and so must change it."""
    path = tmp_path / "r.gpkg"
    town().to_file(path, SPATIAL_INDEX="NO")
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA cache_spill = 1")
    database.execute("PRAGMA cache_size = 1")
    database.execute("BEGIN")
    database.execute("UPDATE r SET link_id = link_id + 1000")
    for _ in range(200):  # more than the cache holds: pages reach the file before the commit
        database.execute("INSERT INTO r (geom, link_id) SELECT geom, 0 FROM r LIMIT 4")
    broken = tmp_path / "broken"
    broken.mkdir()
    for end in ("", "-journal"):
        shutil.copy(f"{path}{end}", f"{broken / path.name}{end}")
    database.close()
    before = contents(broken)
    assert before[path.name] != contents(tmp_path)[path.name], "pages had reached the file"
    assert roads.join(IDS, str(broken / path.name)).joined == 4
    assert contents(broken) == before


def test_a_file_that_is_being_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.gpkg"
    town().to_file(path)
    log = tmp_path / "r.gpkg-wal"
    log.write_bytes(b"x")
    copy = shutil.copyfile

    def meanwhile(source: Path, target: Path) -> None:
        copy(source, target)
        with log.open("ab") as file:
            file.write(b"x")

    monkeypatch.setattr(shutil, "copyfile", meanwhile)
    with pytest.raises(UsageError, match="another program is writing to it"), untouched(str(path)):
        pass


def test_bytes_of_no_encoding_spoil_only_themselves(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.csv"
    good = f"7001;prim\xe4r;{LINES[0]}\n7002;b\n7003;\xfc;{LINES[2]}\n"
    path.write_bytes(f"link_id;highway;geom\n{good}".encode("latin-1"))
    joined = roads.join(IDS, str(path))
    assert (joined.joined, joined.unreadable) == (2, 1)
    assert joined.road_class.tolist() == ["primär", None, "ü", None]
    assert not capfd.readouterr().err
