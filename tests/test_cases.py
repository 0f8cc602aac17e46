"""What strangers found: each of their cases, typed as they typed it, is right or refused plainly.

The cases lie beside this checkout; those about SSH, whose files a host has to have, are tested with
the grammar of OpenSSH's own files (tests/cluster). Every case needs a row here.
"""

from __future__ import annotations

import csv
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services.postgis import Postgis

CASES = Path(__file__).parents[2] / "shared" / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not beside this checkout")
PROGRAM = str(Path(sys.executable).parent / "roadspeed")
ELSEWHERE = {
    "ssh-chatty-bashrc", "ssh-config-include", "ssh-known-hosts-marker",  # tests/cluster
    "trip-shapes",  # shapes that a later version reads
}  # fmt: skip


@dataclass
class Said:
    """What a command did: its exit code, its words, its speeds and its receipt."""

    code: int
    words: str
    out: Path
    speeds: dict[int, dict[str, str]] = field(default_factory=dict)
    receipt: dict[str, Any] = field(default_factory=dict)

    def geometry(self, link: int) -> str:
        return self.speeds[link]["geom"]

    def linked(self) -> set[int]:
        """Give the links that have a geometry."""
        return {link for link in self.speeds if self.geometry(link)}


@pytest.fixture
def case(tmp_path: Path) -> Callable[[str], Path]:
    """Copy a case, to be written beside."""

    def copied(name: str) -> Path:
        folder = tmp_path / name
        shutil.copytree(CASES / name, folder)
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        return folder

    return copied


def roadspeed(folder: Path, *words: str, environ: dict[str, str] | None = None) -> Said:
    """Type a command in a folder."""
    done = subprocess.run(
        [PROGRAM, *words],
        cwd=folder,
        env={**os.environ, **(environ or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    said = Said(done.returncode, done.stdout + done.stderr, folder / "o")
    assert "Traceback" not in said.words, said.words
    if (said.out / "receipt.json").exists():
        said.receipt = json.loads((said.out / "receipt.json").read_text())
        with (said.out / "speeds.csv").open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter=";"))
        said.speeds = {int(row["linkID"]): row for row in rows}
    return said


def ran(folder: Path, *words: str, code: int = 0, environ: dict[str, str] | None = None) -> Said:
    """Run trips to the folder `o`, and demand how it ends."""
    said = roadspeed(folder, "run", *words, "--out", "o", "--no-map", environ=environ)
    assert said.code == code, said.words
    return said


def refused(folder: Path, *words: str) -> str:
    """Run trips, which has to be refused before one is read."""
    said = ran(folder, *words, code=2)
    assert not (said.out / "speeds.csv").exists()
    assert "objects" not in said.words.replace("\n", " ").split("error", 1)[0]
    return said.words


def test_every_case_is_looked_at() -> None:
    text = Path(__file__).read_text()
    for folder in CASES.iterdir():
        assert folder.name in ELSEWHERE or f'case("{folder.name}")' in text, folder.name


@pytest.mark.parametrize("kind", ["csv", "gpkg", "fgb", "parquet"])
def test_curves(case: Callable[[str], Path], kind: str) -> None:
    said = ran(case("curves"), "t3", "--roads", f"curve.{kind}")
    assert said.linked() >= {1}
    joined = said.receipt["geometry"]
    assert joined["joined"] + joined.get("unreadable", 0) + joined["missing"] >= 4


def test_the_current_folder(case: Callable[[str], Path]) -> None:
    said = ran(case("cwd-shadow"), "t3")
    assert "MY OWN" not in said.words
    assert len(said.speeds) == 5


def test_an_unknown_srid(case: Callable[[str], Path]) -> None:
    folder = case("ewkt-unknown-srid")
    shutil.copytree(CASES / "curves" / "t3", folder / "t3")
    assert "--roads-crs" in refused(folder, "t3", "--roads", "ewkt_999999.csv")
    said = ran(folder, "t3", "--roads", "ewkt_999999.csv", "--roads-crs", "EPSG:4326")
    assert said.linked() == {1}


def test_numbers_that_were_made_up(case: Callable[[str], Path]) -> None:
    folder = case("geojson-fid")
    said = ran(folder, "t3", "--roads", "dupid.geojson", "--roads-id", "fid")
    assert said.linked() == {1, 5}
    assert "-5.2" in said.geometry(1)
    shutil.rmtree(folder / "o")
    again = roadspeed(
        folder, "run", "t3", "--roads", "floatid.geojson", "--roads-id", "fid",
        "--out", "o", "--no-map",
    )  # fmt: skip
    if again.code == 0:
        assert "-5.2" in again.geometry(2)
        assert 3 not in again.linked()
    assert again.code in {0, 2}


@pytest.mark.parametrize(
    ("name", "links"),
    [("osmnx_class", {1, 2, 4}), ("class_obj", {1, 2, 4}), ("osmnx_ids", {1, 4})],
)
def test_lists_in_columns(case: Callable[[str], Path], name: str, links: set[int]) -> None:
    folder = case("geojson-list-class")
    shutil.copytree(CASES / "curves" / "t3", folder / "t3")
    said = ran(folder, "t3", "--roads", f"{name}.geojson", "--roads-id", "osmid")
    assert said.linked() >= links


def test_ids_of_two_types(case: Callable[[str], Path]) -> None:
    folder = case("geojson-list-class")
    shutil.copytree(CASES / "curves" / "t3", folder / "t3")
    assert ran(folder, "t3", "--roads", "mixtype.geojson").linked() == {1, 2}


def test_a_write_ahead_log(case: Callable[[str], Path]) -> None:
    folder = case("gpkg-wal-readonly")
    shutil.copytree(CASES / "curves" / "t3", folder / "t3")
    before = {p.name: p.read_bytes() for p in folder.glob("r.gpkg*")}
    said = ran(folder, "t3", "--roads", "r.gpkg")
    assert said.linked() == {1, 3}
    assert {p.name: p.read_bytes() for p in folder.glob("r.gpkg*")} == before
    assert "RuntimeWarning" not in said.words


def test_what_stands_behind_a_gzip_member(case: Callable[[str], Path]) -> None:
    folder = case("gzip-tail")
    (folder / "t").mkdir()
    for path in folder.glob("*.json*"):
        path.rename(folder / "t" / path.name)
    shutil.copy(CASES / "hidden-folders" / "trips" / "a.json", folder / "t" / "a.json")
    said = ran(folder, "t", code=3)
    with (said.out / "quarantine.csv").open(newline="") as file:
        bad = {row["key"]: row for row in csv.DictReader(file)}
    assert set(bad) == {"04_garbage.json.gz"}  # bzip2 and xz are read


def test_hidden_folders(case: Callable[[str], Path]) -> None:
    said = ran(case("hidden-folders"), "trips")
    assert said.speeds[7]["count(linkID)"] == "2"
    assert said.receipt["objects"]["ignored"] >= 1


def test_keys_with_dots(case: Callable[[str], Path]) -> None:
    folder = case("inspect-dotted-keys")
    said = roadspeed(folder, "inspect", "dot")
    (command,) = [line.strip() for line in said.words.splitlines() if "roadspeed run" in line]
    words = shlex.split(
        command.removeprefix("roadspeed run").removesuffix("--out OUT --roads ROADS")
    )
    kept = ran(folder, *words)
    assert kept.speeds[7]["count(linkID)"] == "2"


def test_control_characters(case: Callable[[str], Path]) -> None:
    words = roadspeed(case("inspect-escapes"), "inspect", "esc").words
    assert not [c for c in words if ord(c) < 32 and c not in "\n\t"]


def test_tokens_that_are_no_json(case: Callable[[str], Path]) -> None:
    folder = case("inspect-nan")
    looked = roadspeed(folder, "inspect", "nan")
    assert "NaN" in looked.words
    assert "--allow-nan" in looked.words
    options = ("nan", "--records-at", "fixes", "--link", "wayId", "--speed", "kph")
    strict = ran(folder, *options)
    assert "NaN" in strict.words
    assert strict.receipt["records"]["kept"] == 27
    shutil.rmtree(folder / "o")
    assert ran(folder, *options, "--allow-nan").receipt["records"]["kept"] == 30


def test_a_second_geometry(case: Callable[[str], Path]) -> None:
    folder = case("parquet-second-geometry")
    said = ran(folder, "t3", "--roads", "two.parquet", "--roads-geometry", "geom_wgs84")
    assert said.geometry(1) == "LINESTRING (-5.9 54.5, -5.89 54.5)"


def test_an_address_without_a_host(case: Callable[[str], Path], postgis: Postgis) -> None:
    folder = case("postgres-empty-host")
    shutil.copytree(CASES / "curves" / "t3", folder / "t3")
    service = (folder / "svc.conf").read_text().replace("55432", str(postgis.port))
    (folder / "svc.conf").write_text(service)
    with postgis.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "create table gen_case (link_id bigint, geom geometry(linestring, 4326));"
            "insert into gen_case values (1, 'SRID=4326;LINESTRING(-5.9 54.5, -5.89 54.5)')"
        )
    said = ran(
        folder, "t3", "--roads", "postgresql:///?service=roads&table=gen_case",
        environ={"PGSERVICEFILE": str(folder / "svc.conf")},
    )  # fmt: skip
    assert said.linked() == {1}


def _store(mode: str) -> tuple[subprocess.Popen[bytes], dict[str, str]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    fake = CASES / "s3-duplicate-key" / "fakes3.py"
    server = subprocess.Popen([sys.executable, str(fake), str(port), mode])
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            break
    return server, {
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
    }  # fmt: skip


@pytest.mark.parametrize(("mode", "name"), [("dup", "s3-duplicate-key"), ("plain", "")])
def test_a_key_that_is_listed_twice(case: Callable[[str], Path], mode: str, name: str) -> None:
    folder = case("s3-duplicate-key")
    server, environ = _store(mode)
    try:
        said = roadspeed(folder, "run", "s3://bucket/t/", "--out", "o", "--no-map", environ=environ)
    finally:
        server.kill()
        server.wait()
    if said.code == 0:
        assert said.receipt["objects"]["ok"] == 10
        assert said.speeds[2]["count(linkID)"] == "60"
    else:
        assert name
        assert "t/004.json" in said.words
        assert said.code == 1


def test_a_listing_without_end(case: Callable[[str], Path]) -> None:
    folder = case("s3-endless-listing")
    server, environ = _store("loop")
    try:
        said = ran(folder, "s3://bucket/t/", code=1, environ=environ)
    finally:
        server.kill()
        server.wait()
    assert not said.speeds
    assert "its listing cannot be trusted: it forms a cycle" in said.words


def test_a_link_to_a_folder_that_is_listed(case: Callable[[str], Path]) -> None:
    folder = case("symlink-twice")
    latest = folder / "trips" / "latest"
    if latest.exists() and not latest.is_symlink():  # as some ways of copying leave it
        latest.unlink()
        latest.symlink_to("2019-01")
    said = ran(folder, "trips")
    assert said.speeds[7]["count(linkID)"] == "2"


def test_roads_on_both_sides_of_the_date_line(case: Callable[[str], Path]) -> None:
    folder = case("wide-map")
    shutil.copytree(CASES / "curves" / "t3", folder / "t3")
    said = roadspeed(folder, "run", "t3", "--roads", "fiji.geojson", "--out", "o")
    assert said.code == 0, said.words
    assert said.linked() == {1, 2, 3, 4, 5}
    assert (said.out / "map.png").stat().st_size > 10_000
