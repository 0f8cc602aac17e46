"""What a store says of an object's bytes, and whether those that came agree with it.

Pure. Of several things it says the cheapest to compute is taken: a checksum of its own
(`x-amz-checksum-crc32`, `-sha1`, `-sha256`), or the ETag where it is an MD5. It is one of an object
that was stored in one piece and not with a key of KMS or of the customer's. Of what was stored in
parts it is the MD5 of the parts' MD5s, with their number behind it, and so are composite checksums:
these can be checked where the parts' size is known.

Formats: Amazon S3 user guide, "Checking object integrity"; RFC 1321; RFC 6234.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MD5 = re.compile(r"([0-9a-f]{32})(?:-([1-9]\d{0,4}))?")
_COMPOSITE = re.compile(r"([A-Za-z0-9+/=]+)(?:-([1-9]\d{0,4}))?")
_NO_MD5: Final = {"aws:kms", "aws:kms:dsse", "aws:fsx"}
MODE: Final = "x-amz-checksum-mode"  # to be asked for, or checksums are not told


class _Sum(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class _Crc32:
    """CRC-32 with the interface of hashlib."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


def _md5() -> _Sum:
    return hashlib.md5(usedforsecurity=False)


def _sha1() -> _Sum:
    return hashlib.sha1(usedforsecurity=False)


_OWN: Final[Mapping[str, Callable[[], _Sum]]] = {  # the quickest first
    "crc32": _Crc32,
    "sha256": hashlib.sha256,
    "sha1": _sha1,
}


class Check:
    """Compares bytes, as they come, with what a store says of them.

    Parameters
    ----------
    name
        What is computed, for messages.
    make
        Makes an empty sum.
    expected
        What must come out.
    part_bytes
        Size of the parts, where it is the sum of the parts' sums; 0 where it is of the whole.
    """

    __slots__ = ("_expected", "_left", "_make", "_part_bytes", "_parts", "_sum", "name")

    def __init__(
        self, name: str, make: Callable[[], _Sum], expected: bytes, part_bytes: int = 0
    ) -> None:
        self.name = name
        self._make = make
        self._expected = expected
        self._part_bytes = part_bytes
        self._left = part_bytes
        self._sum = make()
        self._parts = make()

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        if not self._part_bytes:
            self._sum.update(data)
            return
        view = memoryview(data)
        while view:
            self._sum.update(view[: self._left])  # type: ignore[arg-type]
            taken = min(len(view), self._left)
            view = view[taken:]
            self._left -= taken
            if not self._left:
                self._end_part()

    def holds(self) -> bool:
        """Tell, once all bytes have come, whether they are those that the store speaks of."""
        if not self._part_bytes:
            return self._sum.digest() == self._expected
        if self._left < self._part_bytes:
            self._end_part()
        return self._parts.digest() == self._expected

    def _end_part(self) -> None:
        self._parts.update(self._sum.digest())
        self._sum, self._left = self._make(), self._part_bytes


def needs_part_size(etag: str) -> bool:
    """Whether an object was stored in several parts, whose size must be asked for."""
    found = _MD5.fullmatch(etag)
    return found is not None and found[2] not in {None, "1"}


def check_of(
    etag: str, size_bytes: int, headers: Mapping[str, str], part_bytes: int | None
) -> Check | None:
    """Give what a whole object can be checked by; None for nothing.

    Parameters
    ----------
    etag
        Of the version that was listed, unquoted.
    headers
        Of the answer, by any case.
    part_bytes
        Size of its parts where it has several and the store has told.
    """
    for name, make in _OWN.items():
        told = _COMPOSITE.fullmatch(headers.get(f"x-amz-checksum-{name}", ""))
        if told is not None and (parts := _part_size(told[2], size_bytes, part_bytes)) is not None:
            return Check(name.upper(), make, base64.b64decode(told[1]), parts)
    found = _MD5.fullmatch(etag)
    if found is None or not _etag_is_md5(headers):
        return None
    parts = _part_size(found[2], size_bytes, part_bytes)
    return None if parts is None else Check("MD5", _md5, bytes.fromhex(found[1]), parts)


def _etag_is_md5(headers: Mapping[str, str]) -> bool:
    return (
        headers.get("x-amz-server-side-encryption", "") not in _NO_MD5
        and "x-amz-server-side-encryption-customer-algorithm" not in headers
        and headers.get("x-amz-storage-class", "") != "EXPRESS_ONEZONE"
    )


def _part_size(count: str | None, size_bytes: int, part_bytes: int | None) -> int | None:
    """Size of a sum's parts: 0 where it is of the whole, None where it cannot be known."""
    if count is None:
        return 0
    if count == "1":
        return max(1, size_bytes)
    if not part_bytes or -(-size_bytes // part_bytes) != int(count):
        return None  # not told, or the parts differ in size
    return part_bytes
