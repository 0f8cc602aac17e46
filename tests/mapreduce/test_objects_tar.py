"""Members of tar archives as objects: one digest, each accounted for, none lost at a bad header."""

from __future__ import annotations

import gzip
import io
import re
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.engines.dask import Dask
from mapreduce.errors import StoreError
from mapreduce.objects.listing import objects_of
from mapreduce.objects.members import located
from mapreduce.objects.reader import Reader
from mapreduce.objects.s3 import S3
from mapreduce.objects.s3_settings import Keys, Settings
from mapreduce.objects.source import open_store
from mapreduce.plan import Planner
from tests.jobs.counting import PlainRows
from tests.mapreduce.test_objects_zip import LOOSE, known, lines

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from tests.services.seaweed import Seaweed

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def tarred(members: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize("form", FORMATS)
def test_members_give_the_digest_of_loose_objects(form: str, tmp_path: Path) -> None:
    (tmp_path / "all.tar").write_bytes(tarred(LOOSE, FORMATS[form]))
    got = mr.run(PlainRows(), tmp_path, workers=2, options=mr.Options(split_bytes=1))
    assert got.digest == known().digest
    assert got.receipt["objects"]["ok"] == len(LOOSE)
    keys = [entry.key for entry in objects_of(open_store(tmp_path))]
    assert keys == [f"all.tar!/{name}" for name in LOOSE]


def test_what_tar_itself_writes_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "trips"
    for name, content in LOOSE.items():
        path = folder / ("a long way down/" * 9) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    tar = shutil.which("tar")
    assert tar
    subprocess.run([tar, "-cf", tmp_path / "all.tar", "-C", folder, "."], check=True)
    shutil.rmtree(folder)
    got = mr.run(PlainRows(), tmp_path, workers=1)
    assert got.digest == known().digest
    keys = {entry.key for entry in objects_of(open_store(tmp_path))}
    assert keys == {f"all.tar!/{'a long way down/' * 9}{name}" for name in LOOSE}


def test_in_a_bucket_and_on_dask(seaweed: Seaweed, tmp_path: Path, dask_address: str) -> None:
    bucket = seaweed.bucket()
    seaweed.put(bucket, {"x/all.TAR": tarred(LOOSE)})
    settings = Settings(endpoint=seaweed.endpoint, keys=Keys(seaweed.access, seaweed.secret))
    assert mr.run(PlainRows(), S3(bucket, settings=settings)).digest == known().digest
    (tmp_path / "all.tar").write_bytes(tarred(LOOSE))
    assert mr.run(PlainRows(), tmp_path, engine=Dask(dask_address)).digest == known().digest


def test_a_large_member_is_divided(tmp_path: Path) -> None:
    content = lines(4_000)
    (tmp_path / "all.tar").write_bytes(tarred({"a": content, "b.jsonl.gz": gzip.compress(content)}))
    got = mr.run(PlainRows(), tmp_path, workers=2, options=mr.Options(split_bytes=1 << 16))
    assert got.digest == mr.run(PlainRows(), mr.Memory({"a": content, "b": content})).digest
    planner = Planner(split_bytes=1 << 16, divisible=True)
    splits = [*planner.splits_of(objects_of(open_store(tmp_path)))]
    assert [split.pieces[0].whole for split in splits] == [*[False] * (len(splits) - 1), True]
    assert len(splits) > 5


def test_what_is_no_file_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        kinds = {"link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "fifo": tarfile.FIFOTYPE}
        for name, kind in kinds.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "a.jsonl"
            file.addfile(info)
        info = tarfile.TarInfo("folder")
        info.type = tarfile.DIRTYPE
        file.addfile(info)
        for name, content in {"a.jsonl": lines(1), "empty": b"", "caf\udce9": lines(1)}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    (tmp_path / "all.tar").write_bytes(out.getvalue())
    got = mr.run(PlainRows(), tmp_path, workers=1)
    assert got.ledger.read == 100
    assert {(q.key, q.reason) for q in got.ledger.quarantined} == {
        *((f"all.tar!/{name}", "unreadable") for name in kinds),
        ("all.tar!/empty", "empty"),
    }
    assert "a link, a device or a sparse file" in got.ledger.quarantined[0].place
    assert "all.tar!/caf\\xe9" in {entry.key for entry in objects_of(open_store(tmp_path))}


def test_archives_that_cannot_be_used_are_told_as_one_object(tmp_path: Path) -> None:
    good = tarred({"a": lines(1), "b": lines(2)})
    second = good.index(b"b\0")  # where the second header begins
    bad = {
        "second header": good[:second] + b"c" + good[second + 1 :],
        "no end": good[: second + 512 + 1024],
        "cut": good[: second + 700],
        "cut at a header": good[: second + 200],
        "twice": tarred({"a": lines(1)})[:second] + good,
        "behind": good + tarred({"c": lines(1)}),
        "packed": gzip.compress(good),
        "of nothing": b"",
    }
    for name, content in bad.items():
        (tmp_path / f"{name}.tar").write_bytes(content)
    (tmp_path / "good.tar").write_bytes(good)
    got = mr.run(PlainRows(), tmp_path, workers=1)
    told = {q.key.removesuffix(".tar"): q.reason for q in got.ledger.quarantined}
    assert told == dict.fromkeys(bad, "unreadable") | {"of nothing": "empty"}
    places = {q.key: q.place for q in got.ledger.quarantined}
    assert "it is compressed with gzip" in places["packed.tar"]
    assert {entry.key for entry in objects_of(open_store(tmp_path)) if "good" in entry.key} == {
        "good.tar!/a",
        "good.tar!/b",
    }


def sized(archive: bytes, size: bytes) -> bytes:
    """Give an archive whose first header says another size, with the checksum that it needs."""
    header = bytearray(archive[:512])
    header[124:136] = size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + archive[512:]


@pytest.mark.parametrize("name", ["a", "a" * 300])  # with a header of its own for a long name
@pytest.mark.parametrize(
    ("size", "told"),
    [
        (b"\xff" * 12, "below zero|over 1,048,576|no tar archive"),  # minus one
        (b"\xff" * 4 + b"\0" * 8, "below zero|over 1,048,576|no tar archive"),
        (b"77777777777\0", "over 1,048,576|no tar archive|cut off"),
    ],
)
def test_sizes_that_cannot_be_are_not_believed(size: bytes, told: str, name: str) -> None:
    archive = sized(tarred({name: lines(3), "b": lines(1)}), size)
    got = mr.run(PlainRows(), mr.Memory({"a.tar": archive}), workers=1)
    (bad,) = got.ledger.quarantined
    assert (bad.key, bad.reason) == ("a.tar", "unreadable")
    assert re.search(told, bad.place)


def test_an_object_that_is_named_as_a_member_is_not_counted_beside_it(tmp_path: Path) -> None:
    (tmp_path / "all.tar").write_bytes(tarred({"a": lines(1)}))
    (tmp_path / "all.tar!").mkdir()
    (tmp_path / "all.tar!/a").write_bytes(lines(1))
    with pytest.raises(StoreError, match="rename it"):
        mr.run(PlainRows(), tmp_path, workers=1)


@given(
    content=st.binary(max_size=3_000),
    cuts=st.tuples(st.integers(0, 3_000), st.integers(0, 3_000)),
    form=st.sampled_from(list(FORMATS.values())),
)
def test_any_range_of_a_member_is_read(content: bytes, cuts: tuple[int, int], form: int) -> None:
    store = mr.Memory({"a.tar": tarred({"x": b"before", "b": content, "y": b"behind"}, form)})
    (entry,) = (e for e in objects_of(store) if e.key == "a.tar!/b")
    start, stop = min(cuts), max(cuts)
    with Reader() as reader, reader.open(entry, located(store, entry), start, stop) as body:
        assert body.read() == content[start:stop]


@given(st.randoms(use_true_random=False))
def test_damage_never_loses_a_member_quietly(order: random.Random) -> None:
    archive = bytearray(tarred({f"{n}": bytes(600) for n in range(4)}))
    archive[order.randrange(len(archive))] ^= 1 << order.randrange(8)
    found = [entry.key for entry in objects_of(mr.Memory({"a.tar": bytes(archive)}))]
    assert found == ["a.tar"] or len(found) == 4
