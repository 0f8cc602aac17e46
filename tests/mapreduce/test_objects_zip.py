"""Members of zip archives as objects: one digest, each accounted for, and no trust in sizes."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.engines.dask import Dask
from mapreduce.errors import ObjectError
from mapreduce.objects.listing import objects_of
from mapreduce.objects.members import located, member_of
from mapreduce.objects.reader import Reader
from mapreduce.objects.s3 import S3
from mapreduce.objects.s3_settings import Keys, Settings
from mapreduce.objects.source import open_store
from tests.jobs.counting import PlainRows

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from tests.services.seaweed import Seaweed


def lines(n: int) -> bytes:
    return b"".join(b'{"id": %d}\n' % (k % 7) for k in range(n * 50))


LOOSE = {f"2019/{n:02} é.jsonl": lines(n + 1) for n in range(12)}


def zipped(
    members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, *, streamed: bool = False
) -> bytes:
    out = io.BytesIO()
    sink: Any = _Unseekable(out) if streamed else out
    with zipfile.ZipFile(sink, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return out.getvalue()


class _Unseekable:
    """A pipe: zipfile then writes lengths behind the data."""

    def __init__(self, out: io.BytesIO) -> None:
        self.write = out.write
        self.flush = out.flush


def known() -> mr.Result:
    return mr.run(PlainRows(), mr.Memory(LOOSE), workers=1)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("streamed", [False, True])
def test_members_give_the_digest_of_loose_objects(
    method: int, streamed: bool, tmp_path: Path
) -> None:
    (tmp_path / "all.zip").write_bytes(zipped(LOOSE, method, streamed=streamed))
    got = mr.run(PlainRows(), tmp_path, workers=2, options=mr.Options(split_bytes=1))
    assert got.digest == known().digest
    assert got.receipt["objects"]["ok"] == len(LOOSE)
    keys = [entry.key for entry in objects_of(open_store(tmp_path))]
    assert keys == [f"all.zip!/{name}" for name in LOOSE]


def test_archives_beside_objects_of_a_bucket_and_a_folder(seaweed: Seaweed) -> None:
    names = list(LOOSE)
    half = {name: LOOSE[name] for name in names[:6]}
    objects = {f"a/{name}": LOOSE[name] for name in names[8:]} | {"a/odd.zip!/x.ZIP": zipped(half)}
    objects["a/y.Zip"] = zipped({name: LOOSE[name] for name in names[6:8]})
    bucket = seaweed.bucket()
    seaweed.put(bucket, objects)
    settings = Settings(endpoint=seaweed.endpoint, keys=Keys(seaweed.access, seaweed.secret))
    for source in (mr.Memory(objects), S3(bucket, settings=settings)):
        got = mr.run(PlainRows(), source, workers=2)
        assert got.digest == known().digest
        assert got.receipt["objects"]["ok"] == 12


def test_on_dask_too(tmp_path: Path, dask_address: str) -> None:
    (tmp_path / "all.zip").write_bytes(zipped(LOOSE))
    got = mr.run(PlainRows(), tmp_path, engine=Dask(dask_address))
    assert got.digest == known().digest


def test_members_are_selected_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "all.zip").write_bytes(zipped(LOOSE))
    options = mr.Options(selection=mr.Selection(match=("*.zip!/2019/0[0-3]*",)))
    got = mr.run(PlainRows(), tmp_path, workers=1, options=options)
    assert got.receipt["objects"]["ok"] == 4


def test_what_is_packed_within_is_unpacked_and_what_is_hidden_is_ignored(tmp_path: Path) -> None:
    members = {
        "a.jsonl.gz": gzip.compress(lines(2)), "__MACOSX/._a.jsonl": b"x", "dir/": b"",
        "empty.jsonl": b"", "../../b.jsonl": lines(1), "/c.jsonl": lines(1),
        "inner.zip": zipped({"d.jsonl": lines(1)}),
    }  # fmt: skip
    (tmp_path / "all.zip").write_bytes(zipped(members))
    got = mr.run(PlainRows(), tmp_path, workers=1)
    assert got.ledger.read == 200
    assert {(q.key, q.reason) for q in got.ledger.quarantined} == {
        ("all.zip!/empty.jsonl", "empty"),
        ("all.zip!/inner.zip", "unreadable"),
    }
    assert got.receipt["objects"]["ignored"] == 1
    assert not list(tmp_path.parent.glob("b.jsonl"))


def directory_of(archive: bytes) -> int:
    return archive.index(b"PK\x01\x02")


def test_archives_that_cannot_be_used_are_told_as_one_object(tmp_path: Path) -> None:
    good = zipped({"a.jsonl": lines(1), "b.jsonl": lines(2)})
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("a.jsonl", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("a.jsonl", b"2")
    bad = {
        "cut": good[: len(good) // 2],
        "no-directory": good[: directory_of(good)],
        "twice": out.getvalue(),
        "words": b"no archive at all",
        "nothing": b"",
        "far": good.replace(b"PK\x05\x06", b"PK\x05\x07"),
    }
    place = directory_of(good)
    bad["nameless"] = changed(good, place + 46, b"\0")
    second = good.index(b"PK\x01\x02", place + 1)  # it lies over the first, and over the rest
    bad["overlapping"] = changed(good, second + 20, struct.pack("<I", len(good)))
    for name, content in bad.items():
        (tmp_path / f"{name}.zip").write_bytes(content)
    (tmp_path / "good.zip").write_bytes(good)
    got = mr.run(PlainRows(), tmp_path, workers=1)
    assert got.receipt["objects"]["ok"] == 2 + 1  # the words are one line that is no record
    assert {q.key: q.reason for q in got.ledger.quarantined} == {
        "cut.zip": "unreadable",
        "no-directory.zip": "unreadable",
        "twice.zip": "unreadable",
        "far.zip": "unreadable",
        "nameless.zip": "unreadable",
        "overlapping.zip": "unreadable",
        "nothing.zip": "empty",
    }
    assert got.ledger.read == 150 + 1


def changed(archive: bytes, at: int, field: bytes) -> bytes:
    return archive[:at] + field + archive[at + len(field) :]


def test_members_that_are_not_what_the_directory_says_are_refused_each_by_itself(
    tmp_path: Path,
) -> None:
    members = {"a.jsonl": lines(3), "b.jsonl": lines(2)}
    good = zipped(members, zipfile.ZIP_STORED)
    place = directory_of(good)  # of the first member's part; its fields are at these offsets
    odd = {
        "crc": changed(good, place + 16, b"\0\0\0\0"),
        "smaller": changed(good, place + 24, struct.pack("<I", 100)),
        "larger": changed(good, place + 24, struct.pack("<I", 10_000)),
        "packed-smaller": changed(good, place + 20, struct.pack("<I", 100)),
        "encrypted": changed(good, place + 8, b"\x01\0"),
        "method": changed(good, place + 10, b"\x0c\0"),
        "deflated": changed(good, place + 10, b"\x08\0"),
        "elsewhere": changed(good, place + 42, struct.pack("<I", 7)),
        "flipped": changed(good, 100, b"\xff"),
    }
    for name, content in odd.items():
        (tmp_path / f"{name}.zip").write_bytes(content)
    got = mr.run(PlainRows(), tmp_path, workers=2)
    assert {q.key: q.reason for q in got.ledger.quarantined} == {
        f"{name}.zip!/a.jsonl": "unreadable" for name in odd
    }
    assert got.ledger.read == 100 * len(odd)


def test_a_bomb_ends_where_the_directory_says_that_it_ends(tmp_path: Path) -> None:
    bomb = zipped({"a.jsonl": b" " * 50_000_000})
    honest = {"honest": bomb, "lying": changed(bomb, directory_of(bomb) + 24, b"\x10\0\0\0")}
    for name, content in honest.items():
        (tmp_path / f"{name}.zip").write_bytes(content)
    options = mr.Options(limits=mr.Limits(line_cap_bytes=1 << 16))
    got = mr.run(PlainRows(), tmp_path, workers=1, options=options)
    assert {q.key: q.reason for q in got.ledger.quarantined} == {"lying.zip!/a.jsonl": "unreadable"}


@given(
    content=st.binary(max_size=3_000),
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    cuts=st.tuples(st.integers(0, 3_000), st.integers(0, 3_000)),
    piece=st.integers(1, 700),
)
def test_any_range_of_a_member_is_read(
    content: bytes, method: int, cuts: tuple[int, int], piece: int
) -> None:
    store = mr.Memory({"a.zip": zipped({"x": b"before", "b": content, "y": b"behind"}, method)})
    (entry,) = (e for e in objects_of(store) if e.key == "a.zip!/b")
    assert entry.size_bytes == len(content)
    start, stop = min(cuts), max(cuts)
    with Reader() as reader:
        with reader.open(entry, located(store, entry), start, stop) as body:
            read = b"".join(iter(lambda: body.read(piece), b""))
        assert read == content[start:stop]
        with reader.open(entry, located(store, entry)) as body:
            assert body.read() == content


@given(
    members=st.dictionaries(st.text(min_size=1, max_size=300), st.binary(max_size=50), max_size=9),
    comment=st.binary(max_size=200).filter(lambda c: b"PK" not in c),
    before=st.binary(max_size=50),
)
def test_what_pythons_own_reader_lists_is_listed(
    members: dict[str, bytes], comment: bytes, before: bytes
) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.comment = comment
        for name, content in members.items():
            with suppress(UnicodeEncodeError, IndexError):  # no name before a NUL
                file.writestr(name, content)
    archive = before + out.getvalue()
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        known = [(i.filename, i.file_size) for i in file.infolist() if not i.is_dir()]
    found = [*objects_of(mr.Memory({"a.zip": archive}))]
    if len(set(known)) < len(known) or not known:
        assert [entry.key for entry in found] == ["a.zip"]
    else:
        assert [(e.key.removeprefix("a.zip!/"), e.size_bytes) for e in found] == known


def test_archives_with_numbers_of_64_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    members = {f"{n}.jsonl": lines(n + 1) for n in range(9)}
    plain = zipped(members)
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 500)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 5)
    large = zipped(members)
    assert b"PK\x06\x06" in large
    assert b"PK\x06\x06" not in plain
    got, usual = (mr.run(PlainRows(), mr.Memory({"a.zip": one})) for one in (large, plain))
    assert got.digest == usual.digest
    assert got.receipt["objects"]["ok"] == 9


def test_an_archive_with_fewer_members_than_it_says_is_refused() -> None:
    good = zipped({"a": b"1", "b": b"2"})
    end = good.index(b"PK\x05\x06")
    bad = changed(good, end + 8, struct.pack("<2H", 3, 3))
    assert [entry.key for entry in objects_of(mr.Memory({"a.zip": bad}))] == ["a.zip"]


@given(st.randoms(use_true_random=False))
def test_damage_is_never_taken_for_content(order: random.Random) -> None:
    content = lines(2)
    archive = bytearray(zipped({"a": content, "b": content}))
    archive[order.randrange(len(archive))] ^= 1 << order.randrange(8)
    store = mr.Memory({"a.zip": bytes(archive)})
    with Reader() as reader:
        for entry in objects_of(store):
            if member_of(entry) is None:
                continue
            with suppress(ObjectError), reader.open(entry, located(store, entry)) as body:
                assert body.read() == content


def test_an_archive_that_changes_during_a_run_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({"a.jsonl": lines(1)}))
    store = open_store(tmp_path)
    entries = list(objects_of(store))
    path.write_bytes(zipped({"a.jsonl": lines(2)}))
    with Reader() as reader, pytest.raises(ObjectError, match="changed"):
        reader.open(entries[0], located(store, entries[0])).read()
