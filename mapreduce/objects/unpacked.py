"""Compression taken off, and a cap on how many bytes may come: never a bomb.

Content is compressed if it begins so or its key ends so; anything else passes through untouched.
Several members after one another are one content, as gzip says (RFC 1952, section 2.2). Zeros and
white space behind a member are padding; anything else may be a member that was damaged, and is
refused. At no moment is more in memory than a step of input and what was asked for, so a bomb
costs its cap at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from mapreduce.errors import ObjectError
from mapreduce.objects.body import BytesBody
from mapreduce.objects.compression import HEAD_BYTES, compression_of, failures, meant_by
from mapreduce.objects.file_kinds import refuse_packed

if TYPE_CHECKING:
    from mapreduce.objects.body import Body
    from mapreduce.objects.compression import Compression

_PADDING = b"\0 \t\r\n"  # what is put behind a member, by tapes and by editors
_STEP_BYTES = 1 << 16  # of input: small, since what follows a member is copied at its end
_PIECE_BYTES = 1 << 20  # of output, where all is asked for


def unpacked(body: Body, key: str, cap_bytes: int | None = None) -> Capped:
    """Read a body as what it holds, as a stream.

    Parameters
    ----------
    body
        What was stored; closed with the result.
    key
        Its key, for its ending and for messages.
    cap_bytes
        Most bytes that may come out; None for content that is streamed and capped by the line.

    Raises
    ------
    ObjectError
        `unreadable` for damaged content, `too_large` past the cap; from `read`.
    JobError
        Where nothing here reads its compression.
    """
    return _opened(body, _head(body, _STEP_BYTES), key, cap_bytes)


def read_all(body: Body, key: str, cap_bytes: int) -> bytes:
    """Read a whole object as what it holds: one read and no copy where it is plain.

    Parameters and errors are those of `unpacked`; the body is left open.
    """
    data = _head(body, cap_bytes + 1)
    if len(data) <= cap_bytes and _compression(data, key) is None:
        more = body.read(cap_bytes + 1 - len(data))
        if not more:
            return data
        data += more
    return _opened(body, data, key, cap_bytes).read()


class Capped:
    """A body that lets no more than so many bytes through.

    Parameters
    ----------
    ahead
        What comes first.
    body
        What comes then; closed with this.
    key
        For the message.
    cap_bytes
        Most bytes that may come; None for no cap.
    """

    __slots__ = ("_ahead", "_body", "_cap_bytes", "_key", "_left")

    def __init__(self, ahead: bytes, body: Body, key: str, cap_bytes: int | None) -> None:
        self._ahead = BytesBody(ahead)
        self._body = body
        self._key = key
        self._cap_bytes = cap_bytes
        self._left = cap_bytes

    def read(self, n: int = -1, /) -> bytes:
        """Up to `n` bytes, all that is left if `n` is negative; `b""` at the end.

        Raises
        ------
        ObjectError
            `too_large`: more than the cap would have come.
        """
        if n >= 0:
            return self._piece(n)
        return b"".join(iter(lambda: self._piece(_PIECE_BYTES), b""))

    @property
    def unchecked(self) -> bool:
        """That of what is read from."""
        return self._body.unchecked

    def close(self) -> None:
        """Close what is read from."""
        self._ahead.close()
        self._body.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _piece(self, n: int) -> bytes:
        # One byte past the cap is asked for, to tell "just fits" from "too large".
        n = n if self._left is None else min(n, self._left + 1)
        piece = self._ahead.read(n) or self._body.read(n)
        if self._left is not None:
            if len(piece) > self._left:
                raise ObjectError(
                    "too_large", f"{self._key} holds more than {self._cap_bytes} bytes"
                )
            self._left -= len(piece)
        return piece


class Unpacked:
    """Content of compressed members, one after the other.

    Parameters
    ----------
    stored
        Body of compressed bytes; closed with this.
    key
        For messages.
    compression
        Of its first member, and so of all.
    """

    __slots__ = ("_compression", "_failures", "_input", "_key", "_member", "_stored")

    def __init__(self, stored: Body, key: str, compression: Compression) -> None:
        self._stored = stored
        self._key = key
        self._compression = compression
        self._input = b""
        self._member = compression.decompressor()
        self._failures = failures()

    def read(self, n: int = -1, /) -> bytes:
        """Up to `n` bytes of content (a piece, if `n` is negative); `b""` at the end.

        Raises
        ------
        ObjectError
            `unreadable`: damaged, or cut off.
        """
        while n:
            if self._member.eof and not self._next_member():
                return b""
            if self._member.needs_input and not self._input:
                self._input = self._stored.read(_STEP_BYTES)
                if not self._input:
                    raise ObjectError("unreadable", f"{self._named} ends in the middle")
            given, self._input = self._input, b""
            try:
                piece = self._member.decompress(given, n if n > 0 else _PIECE_BYTES)
            except self._failures as error:
                raise ObjectError("unreadable", f"{self._named} is damaged: {error}") from error
            if piece:
                return piece
        return b""

    @property
    def unchecked(self) -> bool:
        """That of the compressed body."""
        return self._stored.unchecked

    def close(self) -> None:
        """Close the compressed body."""
        self._stored.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _named(self) -> str:
        return f"{self._compression.name} of {self._key}"

    def _next_member(self) -> bool:
        """Go on to another member, over what pads the last one; False at the end."""
        rest = self._member.unused_data.lstrip(_PADDING)
        while len(rest) < HEAD_BYTES:
            more = self._stored.read(_STEP_BYTES)
            if not more:
                break
            rest = (rest + more).lstrip(_PADDING)
        if not rest:
            return False
        if not self._compression.goes_on(rest):
            raise ObjectError(
                "unreadable",
                f"{self._named} is followed by unexpected bytes ({rest[:8]!r}), perhaps a"
                " damaged part: remove them or compress it again",
            )
        self._input = rest
        self._member = self._compression.decompressor()
        return True


def _head(body: Body, n: int) -> bytes:
    """First bytes of a body: enough to tell a compression, whatever pieces it comes in."""
    head = body.read(n)
    while 0 < len(head) < HEAD_BYTES and (more := body.read(n - len(head))):
        head += more
    return head


def _compression(head: bytes, key: str) -> Compression | None:
    return compression_of(head) or (meant_by(key) if head else None)


def _opened(body: Body, head: bytes, key: str, cap_bytes: int | None) -> Capped:
    compression = _compression(head, key)
    if compression is None:
        return Capped(head, body, key, cap_bytes)
    if compression_of(head) is None:
        refuse_packed(head, key)
        _refuse_misnamed(head, key, compression)
    stored = Capped(head, body, key, None)
    return Capped(b"", Unpacked(stored, key, compression), key, cap_bytes)


def _refuse_misnamed(head: bytes, key: str, compression: Compression) -> None:
    """Refuse what begins otherwise than its name says, unless it is cut off before that is told."""
    if not compression.goes_on(head):
        raise ObjectError(
            "unreadable",
            f"{key}: according to its name it is compressed with {compression.name}, but it begins"
            f" with {head[:8]!r}: is it not compressed? Rename it",
        )
