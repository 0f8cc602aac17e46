"""The same trips in every format, packed in every way, divided or not: one digest, one account."""

from __future__ import annotations

import bz2
import csv
import dataclasses
import gzip
import io
import json
import lzma
import shlex
import tarfile
import zipfile
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backports import zstd
from typer.testing import CliRunner

import mapreduce as mr
from mapreduce.objects.s3 import S3
from mapreduce.objects.s3_settings import Keys, Settings
from mapreduce.plan import MIN_RANGE_BYTES
from roadspeed.cli import app
from roadspeed.inspect.advice import told
from roadspeed.inspect.inspect import FIRST_BYTES, inspected
from roadspeed.speeds import Speeds
from tests.curitiba import CURITIBA, needs_curitiba
from tests.jobs.driven import Driven
from tests.roadspeed.rows import as_columns, as_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.services.seaweed import Seaweed

pytestmark = needs_curitiba
Trips = dict[str, list[dict[str, Any]]]


@cache
def trips() -> Trips:
    return {
        path.stem: json.loads(path.read_bytes())["data"]
        for path in sorted((CURITIBA / "trips").glob("*.json"))
    }


def flat(fixes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"link": (f["dbResponse"] or {}).get("linkID"), "speed": f["absVelocity"], "word": 'a,"b"'}
        for f in fixes
    ]


def as_csv(rows: list[dict[str, Any]], delimiter: str = ",", decimal: str = ".") -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(["word", "speed", "link"])
    for row in rows:
        writer.writerow(
            [
                row["word"],
                "" if row["speed"] is None else str(row["speed"]).replace(".", decimal),
                row["link"],
            ]
        )
    return out.getvalue().encode()


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out, row_group_size=100)
    return out.getvalue()


def each(make: Callable[[list[dict[str, Any]]], bytes], ending: str) -> dict[str, bytes]:
    return {f"{name}.{ending}": make(flat(fixes)) for name, fixes in trips().items()}


def documents() -> dict[str, bytes]:
    return {f"{name}.json": json.dumps({"data": fixes}).encode() for name, fixes in trips().items()}


FLAT: dict[str, Any] = {"link": "link", "speed": "speed"}
FORMS: dict[str, tuple[Callable[[], dict[str, bytes]], Speeds]] = {
    "json": (documents, Speeds()),
    "json-lines": (lambda: each(as_lines, "jsonl"), Speeds(format="json-lines", **FLAT)),
    "json-documents": (documents, Speeds(format="json-documents")),
    "json-columns": (
        lambda: each(as_columns, "json"),
        Speeds(format="json-columns", records_at="", **FLAT),
    ),
    "csv": (lambda: each(as_csv, "csv"), Speeds(format="csv", **FLAT)),
    "csv with semicolons": (
        lambda: each(lambda rows: as_csv(rows, ";", ","), "csv"),
        Speeds(format="csv", delimiter=";", decimal=",", **FLAT),
    ),
    "csv with tabs": (
        lambda: each(lambda rows: as_csv(rows, "\t"), "tsv"),
        Speeds(format="csv", delimiter="tab", **FLAT),
    ),
    "parquet": (lambda: each(as_parquet, "parquet"), Speeds(format="parquet", **FLAT)),
}


@cache
def known() -> mr.Result:
    return mr.run(Speeds(), CURITIBA / "trips", workers=1)


@pytest.mark.parametrize("name", FORMS)
def test_every_format_gives_the_digest_of_2019s(name: str) -> None:
    make, job = FORMS[name]
    got = mr.run(job, mr.Memory(make()), workers=2)
    assert got.digest == known().digest
    assert (got.ledger.read, got.ledger.kept) == (18_014, 17_888)
    assert got.ledger.dropped == known().ledger.dropped
    assert got.ledger.quarantined == []


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("scanner", ["0", "1"], ids=["plain Python", "compiled"])
def test_an_id_that_says_that_there_is_none_is_no_link_in_every_format(
    name: str, scanner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAPREDUCE_SCANNER", scanner)
    make, job = FORMS[name]
    links = known().rows["link"]
    none = (int(links[0]), int(links[7]), -1)
    given = tuple(map(str, none))
    got = mr.run(dataclasses.replace(job, no_link=given), mr.Memory(make()), workers=1)
    assert got.rows["link"].tolist() == [x for x in links.tolist() if x not in none]
    fewer = int(known().rows["fixes"][[0, 7]].sum())
    assert got.ledger.dropped["no_link"] == known().ledger.dropped["no_link"] + fewer
    assert got.ledger.read == 18_014


@pytest.mark.parametrize("name", ["json", "json-lines", "json-documents", "json-columns", "csv"])
@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress, bz2.compress, lzma.compress])
def test_packed_objects_give_it_too(name: str, pack: Callable[[bytes], bytes]) -> None:
    make, job = FORMS[name]
    got = mr.run(job, mr.Memory({k: pack(v) for k, v in make().items()}), workers=2)
    assert got.digest == known().digest


def zipped(objects: dict[str, bytes]) -> dict[str, bytes]:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for key, content in objects.items():
            file.writestr(key, content)
    return {"all.zip": out.getvalue()}


def tarred(objects: dict[str, bytes]) -> dict[str, bytes]:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for key, content in objects.items():
            info = tarfile.TarInfo(key)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return {"all.tar": out.getvalue()}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("archive", [zipped, tarred])
def test_archives_give_it_too(
    name: str, archive: Callable[[dict[str, bytes]], dict[str, bytes]]
) -> None:
    make, job = FORMS[name]
    got = mr.run(job, mr.Memory(archive(make())), workers=2)
    assert got.digest == known().digest
    assert got.receipt["objects"]["ok"] == len(trips())


@pytest.mark.parametrize(
    ("name", "pack"),
    [(name, bytes) for name in FORMS]
    + [(name, gzip.compress) for name in FORMS if name != "parquet"],  # which packs within
)
def test_inspect_finds_the_options_that_a_run_needs(
    name: str, pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    make, _ = FORMS[name]
    for key, content in make().items():
        (tmp_path / key).write_bytes(pack(content))
    said = CliRunner().invoke(app, ["inspect", str(tmp_path)])
    assert said.exit_code == 0, said.output
    typed = shlex.split(said.output.strip().rpartition("\n")[2].removesuffix("--roads ROADS"))
    out = tmp_path.parent / f"{tmp_path.name}-out"
    typed = [str(out) if word == "OUT" else word for word in typed[1:]]
    done = CliRunner().invoke(app, [*typed, "--no-map", "--workers", "1"])
    assert done.exit_code == 0, done.output
    assert known().digest in done.output


def test_inspect_looks_at_the_beginning_of_what_is_large_and_says_what_else_is_there(
    tmp_path: Path,
) -> None:
    rows = [row for fixes in trips().values() for row in flat(fixes)]
    (tmp_path / "a.csv").write_bytes(as_csv(rows * 15, ";"))
    assert (tmp_path / "a.csv").stat().st_size > FIRST_BYTES
    (tmp_path / "b.jsonl").write_bytes(as_lines(rows[:20]))
    (tmp_path / "c.parquet").write_bytes(as_parquet(rows[:30]))
    (tmp_path / "d.txt").write_bytes(b"nothing of the kind\nat all\n")
    said = told(inspected(str(tmp_path)), str(tmp_path))
    assert "3 of 4 objects, 5,000 records of csv" in said
    assert "also 20 records of json-lines" in said
    assert "also 30 records of parquet" in said
    assert "d.txt: could not be read" in said
    assert f"run {tmp_path} --format csv --delimiter ';' --link link --speed speed" in said


@pytest.mark.parametrize(
    "content", [b"link,speed\n", b"only\n1\n2\n", b"1,2\n3,4\n", b"a,b\n1\n2\n", b"a,a\n1,2\n"]
)
def test_a_table_that_is_none_is_told_as_one(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    said = told(inspected(str(tmp_path)), str(tmp_path))
    assert "a.csv: could not be read: wrong_shape: no CSV with the names of two columns" in said


ALL_AT_ONCE: dict[str, tuple[Callable[[list[dict[str, Any]]], bytes], Driven]] = {
    "json-lines": (as_lines, Driven(format="json-lines")),
    "csv": (as_csv, Driven(format="csv")),
    "parquet": (as_parquet, Driven(format="parquet")),
}


@pytest.mark.parametrize("name", ALL_AT_ONCE)
def test_one_large_object_is_divided_wherever_it_lies(name: str, seaweed: Seaweed) -> None:
    make, job = ALL_AT_ONCE[name]
    rows = [row for fixes in trips().values() for row in flat(fixes)] * 20
    alone = mr.run(Driven(format="json-lines"), mr.Memory({"all": as_lines(rows)}), workers=1)
    content = make(rows)
    some = mr.Options(split_bytes=1)
    assert len(content) > 4 * MIN_RANGE_BYTES  # so it is
    divided = mr.run(job, mr.Memory({"all": content}), workers=2, options=some)
    bucket = seaweed.bucket()
    seaweed.put(bucket, {"all": content})
    settings = Settings(endpoint=seaweed.endpoint, keys=Keys(seaweed.access, seaweed.secret))
    stored = mr.run(job, S3(bucket, settings=settings), workers=2, options=some)
    for got in (divided, stored):
        assert got.digest == alone.digest
        assert (got.ledger.read, got.ledger.kept) == (alone.ledger.read, alone.ledger.kept)
        assert got.receipt["objects"]["ok"] == 1
