"""Compressed content that is bad: the same cases for gzip, zstd, bzip2 and xz, and some of each."""

from __future__ import annotations

import bz2
import functools
import gzip
import io
import lzma
import random
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from backports import zstd

from tests.jobs.forms import OfLines
from tests.mapreduce.bad.case import Case, Cases, Form, refused, taken
from tests.mapreduce.bad.json_lines import plain
from tests.mapreduce.bad.records import OF_ONE

if TYPE_CHECKING:
    from collections.abc import Callable

MARK: Final = b"\xef\xbb\xbf"
BOMB_MIB: Final = 128
SOME: Final = plain(99)
GOOD: Final = {
    "good": b'{"link":1,"v":50}\n{"link":"2","v":51.5}\n{"link":3,"v":0}\n',
    "good marked": MARK + b'{"v":7.5,"other":[{}],"link":12}\r\n\r\n{"link":8,"v":13}',
    "good again": b'{"link":2,"v":5}\n{"link":4,"v":400}\n',
}


@functools.cache
def varied() -> bytes:
    """Give lines that do not pack well."""
    draw = random.Random(1)
    return b"".join(b'{"link":1,"v":1,"x":"%x"}\n' % draw.getrandbits(2000) for _ in range(2000))


@dataclass(frozen=True)
class Codec:
    """A way to pack."""

    name: str
    ending: str
    pack: Callable[[bytes], bytes]
    packer: Callable[[], Any]

    def bomb(self, byte: bytes) -> bytes:
        """Pack much of one byte, as one member."""
        return _bomb(self.packer, byte)


@functools.cache
def _bomb(packer_of: Callable[[], Any], byte: bytes) -> bytes:
    packer, block = packer_of(), byte * (1 << 20)
    packed = [packer.compress(block) for _ in range(BOMB_MIB)]
    return b"".join([*packed, packer.flush()])


ZSTD: Final = {int(zstd.CompressionParameter.checksum_flag): 1}
GZIP: Final = Codec(
    "gzip", ".gz", functools.partial(gzip.compress, mtime=0),
    functools.partial(zlib.compressobj, 9, zlib.DEFLATED, 31),
)  # fmt: skip
ZSTANDARD: Final = Codec(
    "zstd", ".zst", functools.partial(zstd.compress, options=ZSTD),
    functools.partial(zstd.ZstdCompressor, options=ZSTD),
)  # fmt: skip
BZIP2: Final = Codec("bzip2", ".bz2", bz2.compress, bz2.BZ2Compressor)
XZ: Final = Codec("xz", ".xz", lzma.compress, functools.partial(lzma.LZMACompressor, preset=0))
CODECS: Final = (GZIP, ZSTANDARD, BZIP2, XZ)


def flipped(content: bytes, at: int) -> bytes:
    at %= len(content)
    return content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :]


def zipped(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("a.jsonl", content)
    return out.getvalue()


def tarred(content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        info = tarfile.TarInfo("a.jsonl")
        info.size = len(content)
        file.addfile(info, io.BytesIO(content))
    return out.getvalue()


def _common(codec: Codec) -> Cases:
    """Give what is bad of every codec; keys have its ending."""
    pack, packed, large = codec.pack, codec.pack(SOME), codec.pack(varied())
    other = next(one for one in CODECS if one is not codec)
    half = len(large) // 2
    cut = {f"cut to {n}": refused(packed[:n], "unreadable") for n in (1, 2, 3, 4, 6, 9, 12)}
    ends = {f"without the last {n}": refused(packed[:-n], "unreadable") for n in (1, 4, 8, 9)}
    return {
        **cut,
        **ends,
        "nothing": refused(b"", "empty", "0 bytes"),
        "nothing packed": refused(pack(b""), "empty", "no line"),
        "nothing packed often": refused(pack(b"") * 1000, "empty", "no line"),
        "a mark packed": refused(pack(MARK), "empty", "no line"),
        "cut in the middle": refused(large[:half], "unreadable", "ends in the middle"),
        "the first byte": refused(flipped(packed, 0), "unreadable"),
        "the third byte": refused(flipped(packed, 2), "unreadable"),
        "the last byte": refused(flipped(packed, -1), "unreadable"),
        "a byte in the middle": refused(flipped(large, half), "unreadable", "damaged"),
        "zeros in the middle": refused(
            large[:half] + bytes(999) + large[half + 999 :], "unreadable", "damaged"
        ),
        "a part left out": refused(large[:half] + large[half + 512 :], "unreadable", "damaged"),
        "a part twice": refused(large[:half] + large[half - 512 :], "unreadable", "damaged"),
        "lines ends as of another system": refused(
            large.replace(b"\n", b"\r\n"), "unreadable", "damaged"
        ),
        "as UTF-8 from latin-1": refused(large.decode("latin-1").encode(), "unreadable"),
        "plain": refused(SOME, "unreadable", "is it not compressed"),
        "plain and short": refused(b"1", "unreadable", codec.name),
        "zeros": refused(bytes(1000), "unreadable", codec.name),
        "html": refused(b"<html>503</html>", "unreadable", codec.name),
        "a line end before": refused(b"\n" + packed, "unreadable", codec.name),
        "a mark before": refused(MARK + packed, "unreadable", codec.name),
        "by another codec": taken(other.pack(SOME), 99),
        "twice": refused(pack(packed), "unreadable", "twice"),
        "and by another codec": refused(pack(other.pack(SOME)), "unreadable", other.name),
        "two members": taken(packed * 2, 198),
        "many members": taken(pack(OF_ONE + b"\n") * 500, 500),
        "a line over members": taken(pack(OF_ONE[:5]) + pack(OF_ONE[5:]), 1),
        "an empty member first": taken(pack(b"") + packed, 99),
        "an empty member last": taken(packed + pack(b""), 99),
        "zeros behind": taken(packed + bytes(100_000), 99),
        "line ends behind": taken(packed + b"\r\n\n", 99),
        "rubbish behind": refused(packed + b"rubbish", "unreadable", "unexpected bytes"),
        "plain lines behind": refused(packed + SOME, "unreadable", "unexpected bytes"),
        "another codec behind": refused(packed + other.pack(SOME), "unreadable", "unexpected"),
        "the second cut": refused(packed + large[:half], "unreadable", "ends in the middle"),
        "the second damaged": refused(packed + flipped(large, half), "unreadable", "damaged"),
        "the second of nothing but a sign": refused(packed + packed[:4], "unreadable"),
        "utf-16": refused(pack(SOME.decode().encode("utf-16")), "bad_encoding", "UTF-16"),
        "parquet": refused(pack(b"PAR1" + bytes(99)), "unreadable", "Parquet"),
        "a zip": refused(pack(zipped(SOME)), "unreadable", "zip"),
        "a tar": refused(pack(tarred(SOME)), "unreadable", "tar"),
        "an object that is html": taken(pack(b"<html>\n</html>\n"), not_a_record=2),
        "bad lines": taken(pack(b"x\n" + SOME + b"{"), 99, not_a_record=2),
        "a bomb of a line": taken(lambda: packed + codec.bomb(b" "), 99, not_a_record=1),
        "a bomb of brackets": taken(lambda: packed + codec.bomb(b"["), 99, not_a_record=1),
        "a bomb, cut": refused(lambda: codec.bomb(b" ")[:-9], "unreadable", "ends in the middle"),
        "a bomb in a bomb": refused(lambda: pack(codec.bomb(b" ")), "unreadable", "twice"),
    }  # fmt: skip


GZIPS: Final[Cases] = {
    "flags that are none": refused(b"\x1f\x8b\x08\xe0" + GZIP.pack(SOME)[4:], "unreadable"),
    "another method": refused(b"\x1f\x8b\x07" + GZIP.pack(SOME)[3:], "unreadable"),
    "a name without end": refused(b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 999, "unreadable"),
    "a wrong sum": refused(flipped(GZIP.pack(SOME), -8), "unreadable", "damaged"),
    "a wrong length": refused(flipped(GZIP.pack(SOME), -3), "unreadable", "damaged"),
    "zlib": refused(zlib.compress(SOME), "unreadable", "zlib"),
    "deflate alone": refused(zlib.compress(SOME)[2:-4], "unreadable"),
    "compress": refused(b"\x1f\x9d\x90" + SOME, "unreadable", "compress (.Z)"),
}
FRAME: Final = ZSTANDARD.pack(SOME)
SKIPPED: Final = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
ZSTDS: Final[Cases] = {
    "a wrong sum": refused(flipped(FRAME, -2), "unreadable", "damaged"),
    "a frame to be skipped first": taken(SKIPPED + FRAME, 99),
    "a frame to be skipped last": taken(FRAME + SKIPPED, 99),
    "a frame to be skipped, cut": refused(FRAME + SKIPPED[:-1], "unreadable"),
    "a longer frame to be skipped": refused(FRAME + SKIPPED[:4] + b"\xff" * 4, "unreadable"),
    "a window of a gigabyte": refused(b"\x28\xb5\x2f\xfd\0\xa0" + FRAME[6:], "unreadable"),
    "a content of an exabyte": refused(
        b"\x28\xb5\x2f\xfd\xc0\x58" + b"\xff" * 7 + b"\x0f" + FRAME[6:], "unreadable"
    ),
    "a dictionary": refused(b"\x28\xb5\x2f\xfd\x03\x58" + b"\1\0\0\0" + FRAME[6:], "unreadable"),
    "an old version": refused(b"\x27\xb5\x2f\xfd" + FRAME[4:], "unreadable"),
}
BZIP2S: Final[Cases] = {
    "level 0": refused(b"BZh0" + BZIP2.pack(SOME)[4:], "unreadable"),
    "bzip1": refused(b"BZ0" + BZIP2.pack(SOME)[3:], "unreadable"),
    "a sign alone": refused(b"BZh91AY&SY", "unreadable"),
    "a wrong sum": refused(flipped(BZIP2.pack(SOME), 11), "unreadable", "damaged"),
    "level 1 for a block of level 9": refused(
        b"BZh1" + bz2.compress(varied(), 9)[4:], "unreadable", "damaged"
    ),
}
XZS: Final[Cases] = {
    "lzma alone": refused(lzma.compress(SOME, lzma.FORMAT_ALONE), "unreadable", "lzma"),
    "lzip": refused(b"LZIP\x01" + SOME, "unreadable", "lzip"),
    "a check that is none": refused(flipped(XZ.pack(SOME), 7), "unreadable", "damaged"),
    "a wrong sum": refused(
        flipped(lzma.compress(varied(), check=lzma.CHECK_CRC32), -40), "unreadable", "damaged"
    ),
    "a dictionary of a gigabyte": refused(
        lzma.compress(
            SOME,
            filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30, "depth": 1,
                      "mode": lzma.MODE_FAST, "mf": lzma.MF_HC3, "nice_len": 8}],
        ),
        "unreadable", "Memory",
    ),
    "padding that is none": taken(XZ.pack(SOME) + bytes(3), 99),
}  # fmt: skip


def _form(codec: Codec, more: Cases) -> Form:
    """Give the good objects packed so, and the cases under names with the codec's ending."""
    good = {f"{name}{codec.ending}": codec.pack(content) for name, content in GOOD.items()}
    cases: dict[str, Case] = {**_common(codec), **more}
    named = {f"{name}{codec.ending}": case for name, case in cases.items()}
    unnamed = {
        "cut, without a name": refused(codec.pack(SOME)[:-9], "unreadable", "ends in the middle"),
        "whole, without a name": taken(codec.pack(SOME), 99),
    }
    return Form(OfLines, good, plain, {**named, **unnamed})


FORMS: Final = {
    "gzip": _form(GZIP, GZIPS),
    "zstd": _form(ZSTANDARD, ZSTDS),
    "bzip2": _form(BZIP2, BZIP2S),
    "xz": _form(XZ, XZS),
}
