"""Rows of many objects to one partial, combined whenever there are enough of them.

An object's rows join the others only when all of it has been read: until then those of a large one
are held apart, combined by themselves, and forgotten if it turns out to be bad. Memory is bounded
by the rows held and the keys there are, never by the number or size of objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mapreduce.tables import partial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mapreduce.plan import Piece
    from mapreduce.tables.partial import Partial, TablePartial
    from mapreduce.tables.table import Rows, Table

ROWS_HELD: Final = 1 << 18


class Combiner:
    """Combines what the objects of one attempt bring.

    Parameters
    ----------
    tables
        The job's tables by name.
    max_keys
        Most rows a table may have; one that outgrows it raises `JobError` from any method.
    """

    def __init__(self, tables: dict[str, Table], max_keys: int) -> None:
        self._tables = tables
        self._max_keys = max_keys
        self._rows: dict[str, list[tuple[Rows, int]]] = {name: [] for name in tables}
        self._count = 0
        self._objects = 0
        self._done = partial.empty([t.schema for t in tables.values()])
        self._held: dict[str, list[TablePartial]] = {name: [] for name in tables}

    def accept(self, piece: Piece, rows: Sequence[Rows]) -> None:
        """Take what an object, now known to be whole, brought."""
        self._objects += 1
        if any(self._held.values()):
            self.hold(piece, rows)
            held = tuple(partial.within_object(t, self._held[n]) for n, t in self._tables.items())
            self._held = {name: [] for name in self._tables}
            self._done = partial.merge([self._done, partial.Partial(held)])
            partial.check_keys(self._done, self._max_keys, self._objects, None)
            return
        for one in rows:
            self._rows[one.table.name].append((one, piece.ordinal))
            self._count += len(one)
        if self._count > ROWS_HELD:
            self._combine()

    def hold(self, piece: Piece, rows: Sequence[Rows]) -> None:
        """Combine rows of an object that is still being read, apart from the others."""
        for name, table in self._tables.items():
            mine = [r for r in rows if r.table is table]
            held = self._held[name]
            held.append(partial.combine(table, mine, [piece.ordinal] * len(mine)))
            if len(held) > 1 and sum(map(len, held[1:])) > max(len(held[0]), ROWS_HELD):
                self._held[name] = [partial.within_object(table, held)]
                partial.check_keys(
                    partial.Partial(tuple(self._held[name])), self._max_keys, 1, None
                )

    def forget(self) -> None:
        """Drop what was held of an object that turned out to be bad."""
        self._held = {name: [] for name in self._tables}

    def partial(self) -> Partial:
        """Give the partial of all objects taken."""
        self._combine()
        return self._done

    def _combine(self) -> None:
        combined = tuple(
            partial.combine(
                table, [r for r, _ in self._rows[name]], [o for _, o in self._rows[name]]
            )
            for name, table in self._tables.items()
        )
        self._rows = {name: [] for name in self._tables}
        self._count = 0
        self._done = partial.merge([self._done, partial.Partial(combined)])
        partial.check_keys(self._done, self._max_keys, self._objects, None)
