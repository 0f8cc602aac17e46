"""What content is that is no text, by how it begins: so that it is told by its name.

Pure. Only what no JSON and no text begins with is named. Compressions that are taken off are no
matter of this file, but where content is packed twice.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Final

from mapreduce.errors import ObjectError
from mapreduce.objects.compression import compression_of

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD_BYTES: Final = 512  # enough to tell all of them
_UNPACK = "decompress it first (gzip, zstd, bzip2 and xz are read directly)"
_PACKED: Final = {
    b"\x04\x22\x4d\x18": "lz4",
    b"\x02\x21\x4c\x18": "lz4",
    b"\xff\x06\0\0sNaPpY": "snappy",
    b"\x89LZO\0": "lzo",
    b"\x1f\x9d": "compress (.Z)",
    b"LZIP\x01": "lzip",
    b"]\0\0": "lzma",
}
_READ_ARCHIVES: Final = {b"PK\x03\x04": "zip", b"PK\x05\x06": "zip"}
_PACKED_ENDING: Final = re.compile(r"\.(t?gz|t?bz2?|tbz2|t?xz|t?zst)$", re.IGNORECASE)
_ARCHIVES: Final = {
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
}
_FILES: Final = {
    b"Obj\x01": "an Avro file",
    b"ORC\x0a": "an ORC file",
    b"ARROW1\0": "an Arrow file",
    b"SQLite format 3\0": "an SQLite database (or GeoPackage)",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file",
    b"%PDF-": "a PDF",
    b"\x89PNG\r\n": "a picture",
    b"\xff\xd8\xff": "a picture",
}
_SIGNS: Final = (
    {sign: f"it is compressed with {name}: {_UNPACK}" for sign, name in _PACKED.items()}
    | {sign: f"it is a {name} archive: unpack it first" for sign, name in _ARCHIVES.items()}
    | {
        sign: f"it is {name}, which is not supported: choose a source of JSON or text"
        for sign, name in _FILES.items()
    }
    | {
        b"PAR1": "it is a Parquet file: use --format parquet (in a job: mr.Parquet)",
        b"PARE": "it is a Parquet file that is encrypted: decrypt it first",
    }
)
_SUFFIXES: Final = {".br": "brotli", ".sz": "snappy", ".snappy": "snappy", ".zz": "zlib"}
_TAR: Final = slice(257, 262)
_ZLIB: Final = (b"x\x01", b"x^", b"x\x9c", b"x\xda")


def refuse_packed(head: bytes, key: str) -> None:
    """Refuse content that begins as no text does.

    Raises
    ------
    ObjectError
        `unreadable`, with what it is.
    """
    if (what := named(head, key)) is not None:
        raise ObjectError("unreadable", f"{key}: {what}")


def refuse_other_than(sign: bytes, what: str, head: bytes, key: str) -> None:
    """Refuse content that begins otherwise than what is expected.

    Raises
    ------
    ObjectError
        `unreadable`, with what came instead where that can be told.
    """
    if not head.startswith(sign):
        packed = compression_of(head)
        told = f"it is compressed with {packed.name}: decompress it" if packed else named(head, key)
        told = told or f"it begins with {head[:8]!r}"
        raise ObjectError("unreadable", f"{key}: expected {what}, but {told}")


def refuse_packed_again(head: bytes, key: str) -> None:
    """Refuse what was unpacked and begins as no text does, or as something that is still packed.

    Raises
    ------
    ObjectError
        `unreadable`, with what it is.
    """
    refuse_packed(head, key)
    if (inner := compression_of(head)) is not None:
        told = (
            f"{key}: its content is compressed twice, the second time with {inner.name}:"
            " decompress it once"
        )
        raise ObjectError("unreadable", told)


def refusing(read: Callable[[int], bytes], key: str) -> Callable[[int], bytes]:
    """Give the same way to read what was unpacked; it refuses such content at its first piece."""
    first = [True]

    def looked_at(n: int) -> bytes:
        piece = read(n)
        if first:
            first.clear()
            refuse_packed_again(piece, key)
        return piece

    return looked_at


def named(head: bytes, key: str = "") -> str | None:
    """Name content by its first bytes and say what to do; None where it may be text.

    Where nothing is typical of a kind, the key's ending tells, if these bytes are no text.
    """
    if _is_text(head):
        return None
    for sign, told in _SIGNS.items():
        if head.startswith(sign):
            return told
    if (kind := _read_archive(head)) is not None:
        return _unread(kind, key)
    if _is_zlib(head):
        return f"it is compressed with zlib: {_UNPACK}"
    for suffix, name in _SUFFIXES.items():
        if key.endswith(suffix):
            return f"according to its name it is compressed with {name}: {_UNPACK}"
    return None


def _read_archive(head: bytes) -> str | None:
    """Give the kind of archive whose members are read, if it is named so."""
    if head[_TAR] == b"ustar":
        return "tar"
    return next((kind for sign, kind in _READ_ARCHIVES.items() if head.startswith(sign)), None)


def _unread(kind: str, key: str) -> str:
    """Say why an archive's members are not read, going by its name."""
    what = f"it is a {kind} archive"
    if any(f".{outer}!/" in key.lower() for outer in ("zip", "tar")):
        return f"{what} within an archive: unpack the outer one"
    if _PACKED_ENDING.search(key):
        return f"{what} that is compressed: unpack it, or decompress it to a plain .{kind}"
    if key.lower().endswith(f".{kind}"):
        return f"{what} that cannot be used: make it anew, or unpack it"
    return f"{what}, but its name does not end in .{kind}: rename it, or unpack it"


def _is_zlib(head: bytes) -> bool:
    if not head.startswith(_ZLIB):
        return False
    try:
        zlib.decompressobj().decompress(head, 1)
    except zlib.error:
        return False
    return True


def _is_text(head: bytes) -> bool:
    """Whether these bytes are UTF-8 without control characters; the last one may be cut."""
    try:
        text = head[:HEAD_BYTES].decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode("utf-8")
    return not any(c < " " and c not in "\t\r\n\f" for c in text)
