"""The compressions that are taken off: gzip, zstd, bzip2 and xz, each known by how it begins.

A name ending alone says that content is meant to be compressed; what begins otherwise is refused
then. Each decompressor gives at most as many bytes as it is asked for, and may use a bounded
amount of memory, whatever a frame declares.
"""

from __future__ import annotations

import bz2
import importlib
import lzma
import sys
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from mapreduce.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD_BYTES: Final = 16  # enough to tell them apart
_GZIP: Final = 31  # zlib's wbits: gzip framing, the largest window
_XZ_BYTES: Final = 256 << 20  # xz -9 needs 65 MiB
_WINDOW_LOG: Final = 27  # of zstd: 128 MiB, what its own program takes without being told
_SKIPPED: Final = tuple(bytes([n]) + b"\x2a\x4d\x18" for n in range(0x50, 0x60))  # zstd's frames
_BZIP2: Final = tuple(
    b"BZh%d" % level + block
    for level in range(1, 10)
    for block in (b"1AY&SY", b"\x17rE8P\x90")  # a block, or the end of an empty one
)


class Decompressor(Protocol):
    """One member of compressed content, as `bz2`, `lzma` and `zstd` give it."""

    @property
    def eof(self) -> bool:
        """Whether the member is at its end."""

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes without more input."""

    @property
    def unused_data(self) -> bytes:
        """What came behind the end of the member."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Take input, give up to `max_length` bytes of content."""


class _Gunzip:
    """zlib's gzip, as the others are used."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)

    @property
    def eof(self) -> bool:
        return self._member.eof

    @property
    def needs_input(self) -> bool:
        return not self._member.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._member.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._member.decompress(self._member.unconsumed_tail + data, max_length)


@dataclass(frozen=True, slots=True)
class Compression:
    """One way to compress.

    Attributes
    ----------
    signs
        How a member begins.
    follows
        How what may come behind a member begins.
    """

    name: str
    ending: str
    signs: tuple[bytes, ...]
    follows: tuple[bytes, ...]
    decompressor: Callable[[], Decompressor]

    def goes_on(self, rest: bytes) -> bool:
        """Whether these bytes, however few, may begin another member."""
        return any(rest.startswith(sign[: len(rest)]) for sign in self.follows)


def _zstd() -> Any:
    """Give the module that reads zstd.

    Raises
    ------
    JobError
        There is none: this installation is at fault, and no object.
    """
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    try:
        return importlib.import_module(name)
    except ImportError:
        raise JobError(
            "an object is compressed with zstd, which needs Python 3.14 or another package: install"
            " backports.zstd (pip install backports.zstd; for hosts: --with backports.zstd)"
        ) from None


def _unzstd() -> Decompressor:
    zstd = _zstd()
    found: Decompressor = zstd.ZstdDecompressor(
        options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
    )
    return found


def _unxz() -> Decompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_BYTES)


_GZIP_SIGNS: Final = (b"\x1f\x8b\x08",)
_XZ_SIGNS: Final = (b"\xfd7zXZ\0",)
_ZSTD_SIGNS: Final = (b"\x28\xb5\x2f\xfd",)
_ZSTD: Final = Compression("zstd", ".zst", _ZSTD_SIGNS, (*_ZSTD_SIGNS, *_SKIPPED), _unzstd)
COMPRESSIONS: Final = (
    Compression("gzip", ".gz", _GZIP_SIGNS, _GZIP_SIGNS, _Gunzip),
    _ZSTD,
    Compression("bzip2", ".bz2", _BZIP2, _BZIP2, bz2.BZ2Decompressor),
    Compression("xz", ".xz", _XZ_SIGNS, _XZ_SIGNS, _unxz),
)


def compression_of(head: bytes) -> Compression | None:
    """Tell how content is compressed that begins so; None where it is not."""
    for known in COMPRESSIONS:
        if head.startswith(known.signs):
            return known
    if head.startswith(_SKIPPED) and head[12:].startswith(_ZSTD_SIGNS):
        return _ZSTD  # as pzstd writes it: first a frame of 12 bytes to be skipped
    return None


def meant_by(key: str) -> Compression | None:
    """Tell which compression a key's ending names."""
    return next((known for known in COMPRESSIONS if key.endswith(known.ending)), None)


def failures() -> tuple[type[Exception], ...]:
    """Give what decompressors raise for damaged content."""
    found: list[type[Exception]] = [zlib.error, lzma.LZMAError, OSError, EOFError, ValueError]
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    if name in sys.modules:
        found.append(sys.modules[name].ZstdError)
    return tuple(found)
