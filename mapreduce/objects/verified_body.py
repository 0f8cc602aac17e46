"""A body from a plain connection, held against what the store says of its bytes.

Nothing that was altered on its way is handed on as an object's last bytes. What has not been handed
on at all is read again, from another node where there is one; whoever was given a part of it is
told, and begins anew. What comes altered again and again is a fault of the way, never the object's.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, Protocol, Self

from mapreduce.errors import AlteredError, ObjectError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mapreduce.objects import Entry
    from mapreduce.objects.body import Body
    from mapreduce.objects.checksum import Check
    from mapreduce.objects.request_count import Count

READS: Final = 4  # of an object whose bytes come altered, in all
_PIECE_BYTES: Final = 1 << 20


class Answered(Protocol):
    """A body with what was said of it."""

    node: str

    @property
    def headers(self) -> Mapping[str, str]:
        """Of the answer."""

    def read(self, n: int = -1, /) -> bytes:
        """As `Body.read`."""

    def close(self) -> None:
        """As `Body.close`."""


class Verified:
    """Bytes of a whole object.

    Parameters
    ----------
    entry
        What was listed.
    ask
        Asks for the object, at another node the more often something came altered.
    check_of
        Gives what an answer can be checked by.
    altered
        How often something came altered, shared by all.

    Attributes
    ----------
    unchecked
        Whether there is nothing that its bytes could be held against.
    """

    __slots__ = (
        "_altered",
        "_ask",
        "_body",
        "_check",
        "_check_of",
        "_entry",
        "_got",
        "_reads",
        "unchecked",
    )

    def __init__(
        self,
        entry: Entry,
        ask: Callable[[], Answered],
        check_of: Callable[[Answered], Check | None],
        altered: Count,
    ) -> None:
        self._altered = altered
        self._entry = entry
        self._ask = ask
        self._check_of = check_of
        self._reads = 0
        self._begin()

    def read(self, n: int = -1, /) -> bytes:
        """Up to `n` bytes, all that is left if `n` is negative; `b""` at the end.

        Raises
        ------
        AlteredError
            They are not those that the store speaks of.
        """
        while True:
            before = self._got
            piece = self._body.read(n)
            self._got += len(piece)
            if self._check is not None:
                self._check.update(piece)
            if self._got < self._entry.size_bytes or not piece:
                return piece
            if self._check is None or self._check.holds():
                return piece
            self._altered.add()
            if before or self._reads >= READS:
                raise self._fault(again=bool(before))
            self._body.close()
            self._begin()

    def settle(self) -> None:
        """Read the rest: what seems to be the object's fault may be that of its way.

        Raises
        ------
        AlteredError
            It is.
        """
        if self._check is not None and self._got < self._entry.size_bytes:
            with contextlib.suppress(ObjectError):
                while self.read(_PIECE_BYTES):
                    pass

    def close(self) -> None:
        """Give the connection back."""
        self._body.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> None:
        self._body = self._ask()
        self._reads += 1
        self._got = 0
        try:
            self._check = self._check_of(self._body)
        except BaseException:
            self._body.close()
            raise
        self.unchecked = self._check is None and self._entry.size_bytes > 0

    def _fault(self, *, again: bool) -> AlteredError:
        name = "checksum" if self._check is None else self._check.name
        often = "" if again else f", {self._reads} times"
        return AlteredError(
            f"{self._entry.key}: what came from {self._body.node} differs from what it stores:"
            f" its {name} differs{often}. Something changes the bytes in transit (a proxy, a"
            " faulty switch or memory): use https://, or repair the connection; the same"
            " command resumes the run. If the ETags of this store only look like MD5, set"
            " AWS_RESPONSE_CHECKSUM_VALIDATION=when_required"
        )


def settle(body: Body) -> None:
    """Read the rest of a body that can be checked.

    Raises
    ------
    AlteredError
        It was altered on its way.
    """
    if isinstance(body, Verified):
        body.settle()
