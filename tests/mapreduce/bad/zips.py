"""Zip archives that are bad: as archives, and in one of their members."""

from __future__ import annotations

import functools
import gzip
import io
import struct
import warnings
import zipfile
from typing import TYPE_CHECKING, Any, Final

from tests.jobs.forms import OfLines
from tests.mapreduce.bad.case import Case, Cases, Content, Form, refused, taken
from tests.mapreduce.bad.compressed import BOMB_MIB, GOOD, flipped, tarred, varied
from tests.mapreduce.bad.json_lines import plain
from tests.mapreduce.bad.packed import bomb
from tests.mapreduce.bad.records import OF_ONE

if TYPE_CHECKING:
    from collections.abc import Mapping

SOME: Final = plain(9)
HEADER, ENTRY, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
METHOD_AT, CRC_AT, PACKED_AT, SIZE_AT, OFFSET_AT = 10, 16, 20, 24, 42  # in a directory's entry
FLAGS_AT, COUNT_AT, LENGTH_AT, BEGIN_AT = 8, 10, 12, 16  # the last three at the end


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED, **how: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name, content in members.items():
            file.writestr(name.removesuffix("?"), content, **how)
    return out.getvalue()


@functools.cache
def bombed() -> bytes:
    """Give two members of which the first is a bomb."""
    return zipped({"a.jsonl": b"x" * (BOMB_MIB << 20), "b.jsonl": plain(5)})


def over(archive: bytes, sign: bytes, at: int, new: bytes, number: int = 0) -> bytes:
    """Overwrite something behind a sign, the first or a later one."""
    place = -1
    for _ in range(number + 1):
        place = archive.index(sign, place + 1)
    return archive[: place + at] + new + archive[place + at + len(new) :]


TWO: Final = zipped({"a.jsonl": SOME, "b.jsonl": plain(5)})
LARGE: Final = zipped({"a.jsonl": varied(), "b.jsonl": plain(5)})
STORED: Final = zipped({"a.jsonl": SOME, "b.jsonl": plain(5)}, zipfile.ZIP_STORED)


def _first(archive: Content, told: str = "") -> Case:
    """Give two members of which the first is set aside; of the second five records are kept."""
    return refused(archive, "unreadable", told, within="!/a.jsonl", ok=1, kept=5)


def _member(content: bytes, reason: str, told: str = "") -> Case:
    archive = zipped({"a.jsonl": content, "b.jsonl": plain(5)})
    return refused(archive, reason, told, within="!/a.jsonl", ok=1, kept=5)


def _whole(archive: bytes, told: str = "") -> Case:
    return refused(archive, "unreadable", told or "archive that cannot be used: ")


def _overlapping() -> bytes:
    """Name one member a hundred times, as a bomb does."""
    archive = zipped({"a.jsonl": plain(2000)}, zipfile.ZIP_STORED)
    start, end = archive.index(ENTRY), archive.index(END)
    entries = [archive[start:end].replace(b"a.jsonl", b"%07d" % n) for n in range(100)]
    tail = END + struct.pack("<4H2LH", 0, 0, 100, 100, sum(map(len, entries)), start, 0)
    return archive[:start] + b"".join(entries) + tail


ARCHIVES: Final[Cases] = {
    "nothing": refused(b"", "empty"),
    "no members": refused(zipped({}), "unreadable", "holds no file"),
    "cut to 2": taken(TWO[:2], not_a_record=1),
    "cut to 4": _whole(TWO[:4]),
    "cut in a member": _whole(LARGE[: len(LARGE) // 2], "no directory"),
    "cut before the directory": _whole(TWO[: TWO.index(ENTRY)]),
    "cut in the directory": _whole(TWO[: TWO.index(ENTRY) + 60]),
    "cut before the end": _whole(TWO[: TWO.index(END)], "no directory"),
    "cut in the end": _whole(TWO[:-3]),
    "cut in front": _whole(HEADER + LARGE[99_000:]),
    "a part left out": _whole(LARGE[:50_000] + LARGE[60_000:]),
    "a part twice": _first(LARGE[:60_000] + LARGE[50_000:], "begin"),
    "as UTF-8 from latin-1": _whole(TWO.decode("latin-1").encode()),
    "the directory's sign": _whole(over(TWO, ENTRY, 0, b"PK\1\3"), "its directory is damaged"),
    "the second sign of the directory": _whole(over(TWO, ENTRY, 0, b"\0\0\0\0", 1)),
    "zeros for the directory": _whole(over(TWO, ENTRY, 0, bytes(46))),
    "more members than said": _whole(
        over(TWO, END, COUNT_AT, b"\1\0"), "it says that it has 1 members, and has 2"
    ),
    "fewer members than said": _whole(over(TWO, END, COUNT_AT, b"\3\0")),
    "a directory too long": _whole(
        over(TWO, END, LENGTH_AT, b"\xff\xff\0\0"), "its directory is cut off"
    ),
    "a directory too short": _whole(over(TWO, END, LENGTH_AT, b"\x20\0\0\0")),
    "a directory that lies elsewhere": _whole(over(TWO, END, BEGIN_AT, b"\xff\xff\xff\0")),
    "a name too long": _whole(over(TWO, ENTRY, 28, b"\xff\xff")),
    "a name twice": _whole(zipped({"a.jsonl": SOME, "a.jsonl?": SOME})),
    "a name of nothing": _whole(over(zipped({"a": SOME}), ENTRY, 28, b"\0\0\1\0")),
    "a name with a NUL": _whole(TWO.replace(b"a.jsonl", b"a\0jsonl"), "a name in it holds a NUL"),
    "a name that is no UTF-8": _whole(
        over(TWO, ENTRY, FLAGS_AT, b"\0\x08").replace(b"a.jsonl", b"\xff.jsonl")
    ),
    "members that overlap": _whole(_overlapping(), "its members overlap"),
    "rubbish in front": taken(b"#!/bin/sh\n" + TWO, 14, ok=2),
    "rubbish behind": taken(TWO + b"\n", 14, ok=2),
    "not packed at all": taken(SOME, 9),
}
MEMBERS: Final[Cases] = {
    "another checksum": _first(over(TWO, ENTRY, CRC_AT, b"\1\2\3\4"), "checksum"),
    "another checksum, stored": _first(over(STORED, ENTRY, CRC_AT, b"\1\2\3\4"), "checksum"),
    "a larger size": _first(over(TWO, ENTRY, SIZE_AT, b"\xff\0\0\0")),
    "a smaller size": _first(over(TWO, ENTRY, SIZE_AT, b"\x03\0\0\0")),
    "a size of four gigabytes": _first(over(TWO, ENTRY, SIZE_AT, b"\xf0\xff\xff\xff")),
    "packed larger": _whole(over(TWO, ENTRY, PACKED_AT, b"\xff\xff\0\0")),
    "packed smaller": _first(over(TWO, ENTRY, PACKED_AT, b"\x03\0\0\0")),
    "a member that lies elsewhere": _first(over(TWO, ENTRY, OFFSET_AT, b"\x07\0\0\0"), "begin"),
    "a member behind the end": _first(over(TWO, ENTRY, OFFSET_AT, b"\xff\xff\xff\x7f")),
    "a member's own sign": _first(over(TWO, HEADER, 0, b"PK\3\5"), "begin"),
    "a byte in the middle": _first(flipped(LARGE, 50_000)),
    "zeros in the middle": _first(LARGE[:50_000] + bytes(999) + LARGE[50_999:]),
    "a byte in the middle, stored": _first(flipped(STORED, 60), "checksum"),
    "encrypted": _first(over(TWO, ENTRY, FLAGS_AT, b"\1\0"), "encrypted"),
    "by a method that is none": _first(over(TWO, ENTRY, METHOD_AT, b"\x63\0"), "method 99"),
    "by bzip2": refused(
        zipped({"a.jsonl": SOME}, zipfile.ZIP_BZIP2), "unreadable", "method 12", within="!/a.jsonl"
    ),
    "by lzma": refused(
        zipped({"a.jsonl": SOME}, zipfile.ZIP_LZMA), "unreadable", "method 14", within="!/a.jsonl"
    ),
    "stored, said to be deflated": _first(over(STORED, ENTRY, METHOD_AT, b"\x08\0")),
    "deflated, said to be stored": _first(over(TWO, ENTRY, METHOD_AT, b"\0\0")),
    "nothing in it": _member(b"", "empty"),
    "a mark in it": _member(b"\xef\xbb\xbf", "empty", "no line"),
    "utf-16": _member(SOME.decode().encode("utf-16"), "bad_encoding", "UTF-16"),
    "zeros": _member(bytes(1000), "bad_encoding", "zeros"),
    "parquet": _member(b"PAR1" + bytes(99), "unreadable", "Parquet"),
    "a zip in it": _member(zipped({"c": SOME}), "unreadable", "zip"),
    "a tar in it": _member(tarred(SOME), "unreadable", "tar"),
    "packed twice in it": _member(gzip.compress(gzip.compress(SOME)), "unreadable", "twice"),
    "a cut gzip in it": _member(gzip.compress(SOME)[:-9], "unreadable", "ends in the middle"),
    "a gzip in it": taken(zipped({"a.gz": gzip.compress(SOME)}), 9),
    "bad lines": taken(zipped({"a": b"x\n" + SOME, "b": b"{"}), 9, ok=2, not_a_record=2),
    "html in it": taken(zipped({"a": b"<html>\n</html>"}), not_a_record=2),
    "a folder": taken(zipped({"a/": b"", "a/b.jsonl": SOME}), 9),
    "a name that leads elsewhere": taken(zipped({"../../a": SOME, "/etc/b": SOME}), 18, ok=2),
    "a name of other letters": taken(zipped({"\u00e9\u4e2d \U0001f697.jsonl": SOME}), 9),
    "many members": taken(zipped({f"{n}": OF_ONE for n in range(3000)}), 3000, ok=3000),
    "a bomb of a line": taken(bombed, 5, ok=2, not_a_record=1),
    "a bomb of empty lines": taken(lambda: zipped({"a.jsonl": b"\n" * (32 << 20)})),
    "a bomb that says it is small": _first(lambda: over(bombed(), ENTRY, SIZE_AT, b"\x09\0\0\0")),
    "a bomb in a gzip": taken(lambda: zipped({"a.gz": bomb(b" ")}), not_a_record=1),
}  # fmt: skip
ZIP: Final = Form(
    OfLines,
    {f"{name}.zip": zipped({"in it.jsonl": content}) for name, content in GOOD.items()},
    plain,
    {f"{name}.zip": case for name, case in {**ARCHIVES, **MEMBERS}.items()},
)
