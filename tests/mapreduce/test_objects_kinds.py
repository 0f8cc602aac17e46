"""What is packed in a way that is not read, or is no text at all, is told by its name."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.engines.local import Local
from mapreduce.errors import ObjectError
from mapreduce.objects.body import BytesBody
from mapreduce.objects.file_kinds import named
from mapreduce.objects.memory import Memory
from mapreduce.objects.unpacked import read_all, unpacked
from mapreduce.runs.driver import Options, run
from tests.jobs.counting import Lines, Links

if TYPE_CHECKING:
    from collections.abc import Callable

TRIP = json.dumps({"data": [{"link": 7, "v": 50.0}]}).encode()
CAP = 1 << 20


def tar(content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("trip.json")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def zipped(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("trip.json", content)
    return out.getvalue()


def parquet(_: bytes) -> bytes:
    out = io.BytesIO()
    pd.DataFrame({"link": [1, 2]}).to_parquet(out)
    return out.getvalue()


def with_arrow(codec: str) -> Callable[[bytes], bytes]:
    def make(content: bytes) -> bytes:
        return bytes(pa.compress(content, codec=codec, asbytes=True))

    return make


KINDS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a.lzma": (lambda c: lzma.compress(c, format=lzma.FORMAT_ALONE), "compressed with lzma"),
    "a.lz4": (with_arrow("lz4"), "compressed with lz4"),
    "a.br": (with_arrow("brotli"), "compressed with brotli"),
    "a.snappy": (with_arrow("snappy"), "compressed with snappy"),
    "a.zlib": (zlib.compress, "compressed with zlib"),
    "fast.zlib": (lambda c: zlib.compress(c, 1), "compressed with zlib"),
    "zip.bin": (zipped, "a zip archive, but its name does not end in .zip: rename it"),
    "tar.bin": (tar, "a tar archive, but its name does not end in .tar: rename it"),
    "a.tar.gz": (lambda c: gzip.compress(tar(c)), "a tar archive that is compressed: unpack it"),
    "a.tgz": (lambda c: gzip.compress(tar(c)), "decompress it to a plain .tar"),
    "bz2 in.gz": (
        lambda c: gzip.compress(bz2.compress(c)),
        "compressed twice, the second time with bzip2",
    ),
    "gzip in.bz2": (
        lambda c: bz2.compress(gzip.compress(c)),
        "compressed twice, the second time with gzip",
    ),
    "really lz4.gz": (with_arrow("lz4"), "compressed with lz4: decompress it first (gzip, zstd"),
    "a.parquet": (parquet, "a Parquet file: use --format parquet"),
    "a.pdf": (lambda _: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a PDF"),
}


@pytest.mark.parametrize("job", [Links(), Lines()], ids=["documents", "lines"])
def test_a_run_sets_them_aside_and_says_which(job: Links | Lines) -> None:
    packed = {key: make(TRIP * 3) for key, (make, _) in KINDS.items()}
    good = {"good": TRIP, "good.gz": gzip.compress(TRIP), "really bz2.gz": bz2.compress(TRIP)}
    good |= {"good.xz": lzma.compress(TRIP), "good.zst": with_arrow("zstd")(TRIP)}
    got = run(job, Memory(packed | good), engine=Local(1))
    assert {q.key: q.reason for q in got.ledger.quarantined} == dict.fromkeys(packed, "unreadable")
    for bad in got.ledger.quarantined:
        assert KINDS[bad.key][1] in bad.place


def test_lines_that_are_packed_with_gzip_twice_are_not_taken_for_text() -> None:
    twice = gzip.compress(gzip.compress(TRIP * 3))
    got = run(Lines(), Memory({"good": TRIP, "twice.gz": twice, "bare": twice}), engine=Local(1))
    assert {q.key for q in got.ledger.quarantined} == {"twice.gz", "bare"}
    assert all(
        "compressed twice, the second time with gzip" in q.place for q in got.ledger.quarantined
    )


def test_a_divided_object_is_looked_at_too() -> None:
    random = bytes(np.random.default_rng(1).integers(0, 99, 900_000, np.uint8))
    content = with_arrow("lz4")(random)
    got = run(
        Lines(),
        Memory({"big": content, "good": b"x\n"}),
        engine=Local(1),
        options=Options(split_bytes=1 << 16),
    )
    (bad,) = got.ledger.quarantined
    assert "lz4" in bad.place


@pytest.mark.parametrize("key", ["trip.json.gz", "trip.json"])
@pytest.mark.parametrize("padding", [b"\n", b"\r\n", b"\0" * 1000, b" \n\0\t", b"\n" * 200_000])
def test_white_space_and_zeros_behind_gzip_are_padding(key: str, padding: bytes) -> None:
    for content in (
        gzip.compress(TRIP, mtime=0) + padding,
        (gzip.compress(TRIP, mtime=0) + padding) * 2,
    ):
        expected = TRIP * (1 if content.count(gzip.compress(TRIP, mtime=0)) == 1 else 2)
        assert read_all(BytesBody(content), key, CAP) == expected
        body = unpacked(BytesBody(content), key)
        assert body.read() == expected


@pytest.mark.parametrize("rest", [b"garbage", b"\n{}", b"\x1f\x8c\x08", b"\x1fx", b"\0\0x"])
def test_other_bytes_behind_gzip_are_refused_and_told(rest: bytes) -> None:
    with pytest.raises(ObjectError, match=r"followed by unexpected bytes.*remove them"):
        read_all(BytesBody(gzip.compress(TRIP) + rest), "k.gz", CAP)


@pytest.mark.parametrize("cut", [1, 2, 3, 9, 15])
def test_a_member_that_is_cut_off_is_never_taken_for_padding(cut: int) -> None:
    with pytest.raises(ObjectError, match="ends in the middle"):
        read_all(BytesBody(gzip.compress(TRIP) + gzip.compress(TRIP)[:cut]), "k.gz", CAP)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\n<!DOCTYPE html><title>Sign in</title>", 'a web page, "Sign in", not JSON'),
        (b'<?xml version="1.0"?><gpx version="1.1"></gpx>', "an XML document <gpx>, not JSON"),
    ],
)
def test_other_documents_are_told(content: bytes, told: str) -> None:
    got = run(Links(), Memory({"x": content, "y": TRIP}), engine=Local(1))
    (bad,) = got.ledger.quarantined
    assert (bad.reason, told in bad.place) == ("not_json", True)


@given(st.text(max_size=400))
def test_no_text_is_taken_for_something_else(text: str) -> None:
    if not any(c < " " and c not in "\t\r\n\f" for c in text):
        assert named(text.encode(), "k.br") is None
