"""Matched fixes as a table: what `roadspeed match` writes, a row for each fix that has a position.

Objects are matched as a run matches them, with the same account; a fix that is on no road has a row
without a link. Memory is bounded by a row group and the objects that are at work.
"""

from __future__ import annotations

import importlib
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mapreduce.atomic_file import whole
from mapreduce.runs.collect import collect
from roadspeed.measures.direction import NAMES
from roadspeed.osm.links import NO_LINK
from roadspeed.osm.matched_speeds import MatchedSpeeds
from roadspeed.osm.matcher import UNMATCHED
from roadspeed.traced_speeds import without

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import mapreduce as mr
    from mapreduce.runs.collect import Account

NAME: Final = "fixes.parquet"
GROUP_ROWS: Final = 1 << 17
LINK: Final = "link"
DIRECTION: Final = "direction"


class MatchedFixes(MatchedSpeeds):
    """The fixes of an object with their links, left to be taken; nothing is summed."""

    @cached_property
    def _left(self) -> list[dict[str, Any]]:
        """The columns of the last object, in its order, until they are taken."""
        return []

    def taken(self) -> dict[str, Any] | None:
        """Give the columns of the object that was mapped last, once; None where none was."""
        return self._left.pop() if self._left else None

    def map(self, r: mr.Records) -> list[mr.Rows]:
        """Match the fixes of an object."""
        r, steps = self.in_order(r)
        found = self.matched(r, steps)
        columns = {
            "record": r.rows,
            "trip": self.trip_of(r),
            "time": r.time,
            "longitude": r.longitude,
            "latitude": r.latitude,
            LINK: found.link,
            DIRECTION: found.direction,
            "matched_longitude": found.lon,
            "matched_latitude": found.lat,
        }
        order = np.argsort(r.rows, kind="stable")
        self._left[:] = [{n: c[order] for n, c in columns.items() if c is not None}]
        without(r, [(UNMATCHED, found.link == NO_LINK)])
        return self.folded(r.part(0, 0), np.zeros(0, np.int64), np.zeros(0))


def write_fixes(
    folder: Path,
    source: str,
    job: MatchedFixes,
    *,
    workers: int | None,
    options: mr.Options,
    on_progress: Callable[[mr.Progress], None] = lambda _: None,
) -> Account:
    """Write `fixes.parquet`, whole or not at all.

    Raises
    ------
    MapReduceError
        Any of its kinds, each with what to do next.
    """
    pa, parquet = (importlib.import_module(name) for name in ("pyarrow", "pyarrow.parquet"))
    schema = _schema(pa, has_trip=bool(job.trip))
    with (
        whole(folder / NAME) as part,
        parquet.ParquetWriter(part, schema, compression="zstd") as writer,
    ):
        waiting: list[Any] = []

        def take(key: str, left: dict[str, Any]) -> None:
            waiting.append(_table(pa, schema, key, left))
            if sum(table.num_rows for table in waiting) >= GROUP_ROWS:
                writer.write_table(pa.concat_tables(waiting))
                waiting.clear()

        account = collect(
            job, source, take, workers=workers, options=options, on_progress=on_progress
        )
        if waiting:
            writer.write_table(pa.concat_tables(waiting))
    return account


def _schema(pa: Any, *, has_trip: bool) -> Any:
    fields = [("object", pa.dictionary(pa.int32(), pa.string())), ("record", pa.int64())]
    fields += [("trip", pa.string())] if has_trip else []
    fields += [("time", pa.timestamp("us", tz="UTC"))]
    fields += [(name, pa.float64()) for name in ("longitude", "latitude")]
    fields += [(LINK, pa.int64()), (DIRECTION, pa.dictionary(pa.int32(), pa.string()))]
    fields += [(name, pa.float64()) for name in ("matched_longitude", "matched_latitude")]
    return pa.schema(fields)


def _table(pa: Any, schema: Any, key: str, left: dict[str, Any]) -> Any:
    """Turn an object's columns into a table."""
    n, unmatched = len(left["record"]), left[LINK] == NO_LINK
    of = pa.DictionaryArray.from_arrays(np.zeros(n, np.int32), pa.array([key]))
    arrays = {"object": of}
    for name, column in left.items():
        nulls = unmatched if name == LINK or name.startswith("matched_") else None
        kind = schema.field(name).type
        if name == DIRECTION:
            words = pa.array(NAMES)
            places = pa.array(column.astype(np.int32), mask=unmatched)
            arrays[name] = pa.DictionaryArray.from_arrays(places, words)
        elif name == "trip":
            arrays[name] = pa.array([text.decode() for text in column.tolist()], kind)
        else:
            arrays[name] = pa.array(column, mask=nulls).cast(kind)
    return pa.table([arrays[name] for name in schema.names], schema=schema)
