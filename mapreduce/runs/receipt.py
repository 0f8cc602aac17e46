"""The receipt: what a run covered, in numbers that balance, with its digest.

Keys are stable; more may be added. `objects.listed` is `ok + quarantined + ignored`, and
`records.read` is `kept` plus everything dropped, or there is no receipt. No secret is in it.
"""

from __future__ import annotations

import platform
import secrets
import time
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from mapreduce.errors import MapReduceError
from mapreduce.formats.nan_tokens import TAKEN_BY
from mapreduce.version import __version__

if TYPE_CHECKING:
    from mapreduce.engine import Manning
    from mapreduce.ledger import Cost, Ledger
    from mapreduce.objects.selection import Selection


class Phases(msgspec.Struct):
    """Seconds each phase of a run took; listing and mapping overlap."""

    list: float = 0.0
    map: float = 0.0
    merge: float = 0.0
    join: float = 0.0
    write: float = 0.0
    total: float = 0.0


def run_id() -> str:
    """Name a run by when it began and a little chance: `20190826T221727-3fa2`."""
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"


def versions() -> dict[str, str]:
    """Versions of what made the numbers."""
    return {
        "roadspeed": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "msgspec": msgspec.__version__,
    }


def objects_of(ledger: Ledger, *, listed: int, ignored: int) -> dict[str, int]:
    """Count objects by how they ended; `nan` of those quarantined would be taken with `allow_nan`.

    Raises
    ------
    MapReduceError
        Where the account does not balance: a fault of this program.
    """
    counted = ledger.ok + len(ledger.quarantined)
    if counted != listed:
        raise MapReduceError(
            f"the account does not balance: {listed} objects listed, {ledger.ok} ok,"
            f" {len(ledger.quarantined)} quarantined. Please report this."
        )
    nan = sum(bad.place.endswith(TAKEN_BY) for bad in ledger.quarantined)
    if not 0 <= ledger.unchecked <= ledger.ok:
        raise MapReduceError(
            f"the account does not balance: {ledger.unchecked} objects read without"
            " verification, of"
            f" {ledger.ok} ok. Please report this."
        )
    return {
        "listed": listed + ignored,
        "ok": ledger.ok,
        "quarantined": len(ledger.quarantined),
        "ignored": ignored,
        "bytes": ledger.ok_bytes,
        **({"nan": nan} if nan else {}),
        "unchecked": ledger.unchecked,
    }


def selection_of(selection: Selection) -> dict[str, Any] | None:
    """Give which objects were taken; None where all were."""
    if selection.whole:
        return None
    sample = None if selection.sample is None else float(selection.sample)
    return {
        "match": list(selection.match),
        "exclude": list(selection.exclude),
        "sample": sample,
        "limit": selection.limit,
    }


def records_of(ledger: Ledger) -> dict[str, Any]:
    """Count records by how they ended; raise as `Ledger.check` does where they don't balance.

    `nan` counts those dropped for NaN or Infinity alone; `unused` of them `allow_nan` would take.
    """
    ledger.check()
    out: dict[str, Any] = {
        "read": ledger.read,
        "kept": ledger.kept,
        "dropped": dict(sorted(ledger.dropped.items())),
    }
    if ledger.refused_keys:
        out["refused_keys"] = dict(sorted(ledger.refused_keys.items()))
    if ledger.nan.first is not None:
        first = ledger.nan.first
        out["nan"] = {
            "records": ledger.nan.records,
            "unused": ledger.nan.unused,
            "first": {"key": first.key, "row": first.row, "value": first.value},
        }
    return out


def work_of(cost: Cost, manning: Manning | None, *, whole: bool = True) -> dict[str, Any]:
    """Give what attempts cost, and where it is known what there was to do them with.

    `whole` is false where part of the work was done before this run.
    """
    work: dict[str, Any] = {
        "waited_s": round(cost.waited_s, 3),
        "worked_s": round(cost.worked_s, 3),
        "worker_peak_bytes": cost.peak_bytes,
    }
    if manning is not None and manning.hosts:
        work["hosts"] = [msgspec.structs.asdict(share) for share in manning.hosts]
    if manning is not None and whole:
        work |= {"slots": manning.slots, "slots_s": round(manning.slots_s, 3)}
    return work


def rounded(phases: Phases) -> dict[str, float]:
    """Seconds to the millisecond."""
    return {name: round(value, 3) for name, value in msgspec.structs.asdict(phases).items()}
