"""What a run may be told, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mapreduce.limits import Limits
from mapreduce.objects.selection import Selection

if TYPE_CHECKING:
    from mapreduce.ledger import Ledger
    from mapreduce.runs.kept import Kept
    from mapreduce.runs.object_list import Coverage
    from mapreduce.tables.arrays import Array
    from mapreduce.tables.partial import Partial


@dataclass(frozen=True, slots=True)
class Options:
    """What a run may be told, beside job and source.

    `split_bytes` and `limits` change speed and what is refused, never a sum; `selection` says
    which objects are taken.
    """

    selection: Selection = field(default_factory=Selection)
    limits: Limits = field(default_factory=Limits)
    split_bytes: int | None = None
    endpoint: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What a run gave.

    Attributes
    ----------
    tables
        What `finish` gave: table name -> column name -> array.
    digest
        SHA-256 of the merged partial: equal for equal input under any engine, split and order.
    receipt
        The account, as `receipt.json` has it.
    partial
        The merged sums.
    ledger
        Quarantined objects and samples of dropped records.
    kept
        What it takes to try the quarantined objects again; None where there are none.
    covers
        What the sums are of, to be kept with them; None where the run has no folder, or where that
        of a retried run is not known.
    """

    tables: dict[str, dict[str, Array]]
    digest: str
    receipt: dict[str, Any]
    partial: Partial
    ledger: Ledger
    kept: Kept | None = None
    covers: Coverage | None = None

    @property
    def rows(self) -> dict[str, Array]:
        """The columns of the job's only table, or of its first."""
        return next(iter(self.tables.values()))
