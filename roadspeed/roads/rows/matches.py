"""Why no id found a road: what ids look like on both sides, and which columns have them. Pure.

Rule: a join of nothing is never silent, since it is nearly always another column, or another map
than the trips were matched to. Columns are named only by how many of the ids they hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mapreduce.safe_text import in_line
from roadspeed.roads.rows.column_choice import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roadspeed.roads.rows.answer import Ids

EXAMPLES = 3
COLUMNS = 40  # at most so many are looked at
IDS = 10_000  # so many ids, spread over all, are enough to ask a server about


@dataclass(frozen=True, slots=True)
class Match:
    """A column, how many of the wanted ids it holds, and a few ids that it does hold."""

    column: str
    ids: int
    examples: tuple[Any, ...]


def _written(one: Any) -> str:
    return in_line(one.decode(errors="replace") if isinstance(one, bytes) else str(one))


def told(ids: Ids, matches: Sequence[Match], where: str, id_column: str, geometry: str) -> str:
    """Say what does not fit, and which option would."""
    wanted = ", ".join(map(_written, ids[:EXAMPLES].tolist()))
    own = next((match for match in matches if match.column == id_column), None)
    held = ", ".join(map(_written, own.examples)) if own is not None else ""
    said = (
        f"no link matches a road. The trips have ids such as {wanted}; the column "
        f"{id_column} of {where} has {f'such as {held}' if held else 'none'}"
    )
    if own is not None and own.ids:
        return (
            f"{said}, and {own.ids:,} of the {len(ids):,} ids, but the geometry in the column "
            f"{geometry} of these rows is empty or cannot be read. Is it the right one? Name "
            "another: --roads-geometry COLUMN"
        )
    others = sorted((m for m in matches if m.ids), key=lambda match: (-match.ids, match.column))
    if others:
        best = others[0]
        more = listed([f"{match.column} {match.ids:,}" for match in others[1:]], most=5)
        also = f" (others: {more})" if len(others) > 1 else ""
        return (
            f"{said}. The column {best.column} has {best.ids:,} of the {len(ids):,} ids{also}: "
            f"--roads-id {best.column}"
        )
    return (
        f"{said}. None of its columns contains one of these ids: are these the roads to which"
        " the trips were matched?"
    )
