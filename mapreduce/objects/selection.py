"""Which of the listed objects a run takes: by name, by a sample, up to a number.

A choice depends on the key alone, so every machine and every repetition chooses alike, and a
sample of 1 % lies within that of 2 %. Ignored objects (directory markers, and what has a part of
its path that begins with `_` or `.`) are a matter of their own: they are accounted for, never read,
and use up no limit.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import TYPE_CHECKING

from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mapreduce.objects import Entry

_HASHES = 1 << 64
WITHIN = "!/"  # between an archive's key and the name of a member
_MARKERS = ("/", "_$folder$")  # as S3 consoles and Hadoop leave them for folders


@dataclass(frozen=True, slots=True)
class Selection:
    """What `--match`, `--exclude`, `--sample` and `--limit` say.

    Parameters
    ----------
    match
        Globs, of which a key must fit one if there are any; `*` fits slashes too.
    exclude
        Globs, of which a key must fit none.
    sample
        Share of keys to take, above 0 and at most 1, by a hash of the key.
    limit
        Most objects to take, the first in listing order.

    Raises
    ------
    UsageError
        A share or limit out of range, or one text in place of several globs.
    """

    match: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    sample: Fraction | float | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        for name, globs in (("match", self.match), ("exclude", self.exclude)):
            if isinstance(globs, str):  # each of its letters would be a glob
                raise UsageError(f"{name} is a tuple of globs, ({globs!r},), not {globs!r}")
        if self.sample is not None and not 0 < self.sample <= 1:
            raise UsageError(f"a sample is above 0 % and at most 100 %, not {self.sample}")
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"a limit is 1 or more, not {self.limit}")

    def wants(self, key: str) -> bool:
        """Whether names and sample let this key in (the limit is not asked)."""
        if self.match and not any(fnmatchcase(key, glob) for glob in self.match):
            return False
        if any(fnmatchcase(key, glob) for glob in self.exclude):
            return False
        return self.sample is None or _hash(key) < self.sample * _HASHES

    def take(self, entries: Iterable[Entry], prefix: str | None = "") -> Iterator[Entry]:
        """Entries that are wanted, until the limit; ignored ones pass and don't count.

        `prefix` is that of the source, as `ignored` takes it.
        """
        left = self.limit
        for entry in entries:
            if not self.wants(entry.key):
                continue
            yield entry
            if left is not None and not ignored(entry.key, prefix):
                left -= 1
                if not left:
                    return

    @property
    def whole(self) -> bool:
        """Whether everything is taken: outputs of anything less say so."""
        return self == Selection() or (
            not self.match and not self.exclude and self.sample == 1 and self.limit is None
        )


def ignored(key: str, prefix: str | None = "") -> bool:
    """Whether a key is no input: a directory marker, or hidden as Spark and pyarrow have it.

    Hidden is what has a part of its path that begins with `_` or `.`. What stands in the source's
    own `prefix` was typed, and hides nothing; nor does a key that was typed as a whole (None), but
    for the names within an archive. (The parts `.` and `..` are no names: they are told
    where they are read.)
    """
    if not key or key.endswith(_MARKERS):
        return True
    if "/_" not in key and "/." not in key and key[0] not in "_.":
        return False
    start, typed = 0, len(key.partition(WITHIN)[0] if prefix is None else prefix)
    for part in key.split("/"):
        if start >= typed and part[:1] in {"_", "."} and part not in {".", ".."}:
            return True
        start += len(part) + 1
    return False


def parse_sample(text: str) -> Fraction:
    """Share meant by `1%`, `0.5 %` or `0.01`.

    Raises
    ------
    UsageError
        Not a number, or not above 0 and at most 100 %.
    """
    number = text.strip().removesuffix("%").rstrip()
    try:
        share = Fraction(number)
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"a sample is typed as 1% or 0.01, not {text!r}") from None
    if text.strip().endswith("%"):
        share /= 100
    if not 0 < share <= 1:
        raise UsageError(f"a sample is above 0 % and at most 100 %, not {text!r}")
    return share


def _hash(key: str) -> int:
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")
