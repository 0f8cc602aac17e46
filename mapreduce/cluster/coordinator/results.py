"""What attempts brought: checked against what was asked for, and merged into a task's outcome.

A worker's word is not taken for its result: a partial must be one of this job's to the last byte,
and its account must be of exactly the objects that were sent. It is unpacked once, here: what comes
of it is a view of the bytes that came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mapreduce.cluster.schedule.commands import Crashed
from mapreduce.engine import CheckedOutcome
from mapreduce.errors import MapReduceError, PartialError
from mapreduce.ledger import REASONS, SAMPLES_PER_REASON, Cost, Ledger, Quarantined, merged
from mapreduce.plan import Piece
from mapreduce.tables import encoding, partial
from mapreduce.tables.partial import Partial
from mapreduce.tables.table import Schema


@dataclass(slots=True, eq=False)
class Given:
    """An attempt that was given to a worker, and what has come of it so far."""

    attempt: int
    task: int
    worker: str
    pieces: tuple[Piece, ...]
    sent: tuple[Piece, ...] = ()  # those it was to read
    set_aside: list[Quarantined] = field(default_factory=list)  # those that were not located
    by_path: bool = False  # whether it reads them in a folder that its host is to see
    told: tuple[int, int] = (0, 0)  # objects and bytes done, for progress alone
    offered: tuple[Ledger, Cost] = field(default_factory=lambda: (Ledger(), Cost()))  # unchecked
    # Account, cost and partial, as it came and unpacked, once they have come and are sound:
    ledger: Ledger = field(default_factory=Ledger)
    cost: Cost = field(default_factory=Cost)
    body: bytes | bytearray = b""
    part: Partial | None = None

    @property
    def total(self) -> tuple[int, int]:
        """Objects and bytes there are in all."""
        return len(self.pieces), sum(p.read_bytes for p in self.pieces)


def checked(
    body: bytearray, ledger: Ledger, sent: Sequence[Piece], schemas: Sequence[Schema]
) -> Partial:
    """Check what an attempt over the pieces sent has brought, and give its partial.

    Agents compress nothing, so whatever would take more memory than was sent is refused. Raises
    PartialError where the bytes are no partial of these tables, or the account is not of these
    objects.
    """
    part = encoding.unpack(body, schemas, max_bytes=len(body))
    _check_account(ledger, sent)
    return part


def outcome(
    task: int, given: Sequence[Given], crashed: Sequence[Crashed], schemas: Sequence[Schema]
) -> CheckedOutcome:
    """Merge what a task's attempts brought, and book the objects that crash."""
    booked = [
        Quarantined(c.piece.ordinal, c.piece.key, c.piece.etag, "crashed", c.how) for c in crashed
    ]
    aside = [bad for one in given for bad in one.set_aside]
    ledgers = [one.ledger for one in given]
    if booked or aside:
        ledgers.append(Ledger(quarantined=[*booked, *aside]))
    cost = sum((one.cost for one in given), Cost())
    parts = [one.part for one in given if one.part is not None]
    if len(given) == len(parts) == 1:
        body, whole = given[0].body, parts[0]
    else:
        whole = partial.merge([partial.empty(schemas), *parts])
        body = encoding.pack(whole)
    return CheckedOutcome((task,), body, merged(ledgers), cost, whole)


def _check_account(ledger: Ledger, pieces: Sequence[Piece]) -> None:
    try:
        ledger.check()
    except MapReduceError as error:
        raise PartialError(str(error)) from None
    sent = {p.ordinal: p for p in pieces}
    bad = {q.ordinal for q in ledger.quarantined}
    if len(bad) != len(ledger.quarantined) or not bad <= sent.keys():
        raise PartialError(
            "its ledger quarantines objects twice, or objects that were not in the task"
        )
    for q in ledger.quarantined:
        piece = sent[q.ordinal]
        if (q.key, q.etag) != (piece.key, piece.etag) or q.reason not in REASONS:
            raise PartialError(f"its ledger has {q.key!r}, {q.reason!r} for {piece.key!r}")
    good = [p for p in pieces if p.ordinal not in bad and p.whole]
    expected = len(good), sum(p.size_bytes for p in good)
    if (ledger.ok, ledger.ok_bytes) != expected:
        raise PartialError(
            f"its ledger has {ledger.ok:,} objects and {ledger.ok_bytes:,} bytes for"
            f" {expected[0]:,} and {expected[1]:,}"
        )
    if not 0 <= ledger.unchecked <= len(pieces) - len(bad):
        raise PartialError(f"its ledger has {ledger.unchecked:,} objects read unchecked")
    if len(ledger.samples) > SAMPLES_PER_REASON * max(1, len(ledger.dropped)):
        raise PartialError(f"its ledger has {len(ledger.samples):,} samples")
    if any(s.ordinal not in sent or s.reason not in ledger.dropped for s in ledger.samples):
        raise PartialError(
            "its ledger has samples of records of other objects, or with other reasons"
        )
