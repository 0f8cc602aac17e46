"""The quarantined objects of a finished run, tried again; all others stay as they were.

They are listed anew, as they are now, and numbered as they were. One that the store lists no more
stays quarantined, as gone. Objects that were taken are not looked at, whatever became of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from mapreduce.errors import UsageError
from mapreduce.ledger import Dropped, Ledger, Quarantined, merged
from mapreduce.runs.fingerprint import difference
from mapreduce.tables import encoding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mapreduce.objects import Entry
    from mapreduce.runs.aggregator import Aggregator
    from mapreduce.runs.kept import Kept
    from mapreduce.tables.table import Schema

T = TypeVar("T", Quarantined, Dropped)


class Retry:
    """What is tried again, and what is kept.

    Parameters
    ----------
    kept
        What the finished run kept.
    identity
        That of the run now: all but what is tried must be as it was.

    Raises
    ------
    UsageError
        Where it is another's.
    """

    def __init__(self, kept: Kept, identity: str) -> None:
        if kept.identity != identity:
            raise UsageError(
                "the quarantined objects cannot be retried alone:"
                f" {difference(kept.identity, identity)}. Run again without --retry, which reads"
                " everything"
            )
        self.kept = kept
        self._bad = {bad.key: bad for bad in kept.ledger.quarantined}

    def take(self, entries: Iterable[Entry], prefix: str | None = "") -> Iterator[Entry]:  # noqa: ARG002 - of a `Choice`
        """Give the objects to be tried, as they are listed now."""
        return (entry for entry in entries if entry.key in self._bad)

    def begin(self, gather: Aggregator, schemas: Sequence[Schema]) -> None:
        """Have the kept sums and account gathered."""
        rest = msgspec.structs.replace(self.kept.ledger, quarantined=[])
        gather.keep(encoding.unpack(self.kept.partial, schemas), rest)

    def numbered(self, ledger: Ledger) -> Ledger:
        """Give an account with the objects' numbers in the listing of the finished run."""
        nan = ledger.nan
        if nan.first is not None:
            nan = msgspec.structs.replace(nan, first=self._placed(nan.first))
        return msgspec.structs.replace(
            ledger,
            nan=nan,
            quarantined=[self._placed(bad) for bad in ledger.quarantined],
            samples=[self._placed(one) for one in ledger.samples],
        )

    def gone(self, listed: Iterable[str]) -> Ledger:
        """Give the account of the objects that are not listed any more."""
        here = frozenset(listed)
        place = "it is no longer listed"
        return merged(
            Ledger(quarantined=[msgspec.structs.replace(bad, reason="gone", place=place)])
            for key, bad in self._bad.items()
            if key not in here
        )

    def noted(self, ledger: Ledger, read_bytes: int) -> dict[str, Any]:
        """Give it for the receipt, with the whole account as it is now."""
        return {
            "run": self.kept.run,
            "objects": len(self._bad),
            "ok": len(self._bad) - len(ledger.quarantined),
            "bytes_since": read_bytes,
        }

    def _placed(self, one: T) -> T:
        return msgspec.structs.replace(one, ordinal=self._bad[one.key].ordinal)
