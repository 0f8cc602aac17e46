"""`map.png` of a run: what is on it, or why there is none.

The tables of a run are written before it and never wait for it: whatever keeps a picture from
being drawn ends as one line for people and one entry of the receipt, and the run is done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mapreduce.errors import MapReduceError, UsageError
from mapreduce.machine import total_bytes
from roadspeed.maps.draw import Drawn, draw
from roadspeed.maps.page import typeface_of
from roadspeed.maps.typeface import named

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from roadspeed.maps.picture import Picture
    from roadspeed.maps.strokes import Objects
    from roadspeed.outputs import LinkTable

NAME = "map.png"
LISTED = 20  # ids of links far from all others that the receipt has
TOLD = 3  # and a line for people


@dataclass(frozen=True, slots=True)
class Beneath:
    """Roads without data, to be drawn faintly: geometry and class, as `draw` takes them."""

    geometry: Objects
    road_class: Objects


def map_or_why(
    path: Path,
    table: LinkTable,
    picture: Picture,
    total_trips: int | None,
    beneath: Callable[[], Beneath | None],
) -> dict[str, Any]:
    """Draw the map of a run; where that fails, give the reason and leave nothing.

    Parameters and result are those of `draw_map`, but that `beneath` is called for the roads
    without data, since a server may fail to give them; without a map, `file` is None and `why`
    says what kept it from being drawn.
    """
    try:
        return draw_map(path, table, picture, total_trips, beneath())
    except MapReduceError as error:
        return {"file": None, "why": str(error)}
    except Exception as error:  # noqa: BLE001 - not even a fault of ours may take the tables along
        return {"file": None, "why": f"{type(error).__name__}: {error}"}


def draw_map(
    path: Path,
    table: LinkTable,
    picture: Picture,
    total_trips: int | None,
    beneath: Beneath | None = None,
) -> dict[str, Any]:
    """Draw the map of a table; give what the receipt says of it.

    Parameters
    ----------
    path
        Where the picture goes.
    table, picture
        What is drawn and how; unit, least number of fixes and the note of a sample are the table's.
    total_trips
        How many trips the run read, if that is known.
    beneath
        The roads without data.

    Returns
    -------
    dict
        `file`, `drawn`, `little`, `outside`, `without_geometry`, `far` (ids of links that lie far
        from all others, the first twenty), `unset` (characters that no font has).

    Raises
    ------
    UsageError
        Where the picture cannot be drawn.
    """
    drawn = draw(
        path,
        replace(
            picture,
            unit=table.unit,
            min_fixes=table.told.min_fixes,
            note=" · ".join(note for note in (picture.note, table.sample) if note),
            attribution=picture.attribution or table.told.attribution,
            total_trips=total_trips,
        ),
        link_geometry=table.geometry,
        speed=table.mean,
        fixes=table.fixes,
        trips=table.trips,
        road_class=table.road_class,
        context_geometry=None if beneath is None else beneath.geometry,
        context_class=None if beneath is None else beneath.road_class,
    )
    return account_of(path, table, drawn)


def account_of(path: Path, table: LinkTable, drawn: Drawn) -> dict[str, Any]:
    """Give what a receipt says of any picture; see `draw_map`."""
    return {
        "file": path.name,
        "drawn": drawn.drawn,
        "little": drawn.little,
        "outside": drawn.outside,
        "without_geometry": drawn.without_geometry,
        "far": [table.ids[place] for place in drawn.strays[:LISTED]],
        "unset": named(drawn.unset),
    }


def check_memory(picture: Picture) -> None:
    """Refuse before the first trip what would be killed for its memory after the last.

    Raises
    ------
    UsageError
        Where the picture may need more than this machine has.
    """
    needed, there = picture.most_bytes(), total_bytes()
    if needed > there:
        raise UsageError(
            f"a map {picture.width_px:,} pixels wide may take {needed / 1e9:.1f} GB of memory to"
            f" draw, and this machine has {there / 1e9:.1f} GB: choose a smaller --width"
        )


def unsettable(picture: Picture | None) -> list[str]:
    """Give what can be told of a map's words before the first trip is read."""
    missing = "" if picture is None else typeface_of(picture).missing
    return [_left_out(NAME, named(missing))] if missing else []


def lines_of(account: dict[str, Any] | None) -> list[str]:
    """Give what people are to be told of a map, from what the receipt says of it."""
    if account is None:
        return []
    name = account["file"]
    if name is None:
        why = f"{NAME} was not drawn: {account['why']}"
        return [f"{why}. All other files were written; `roadspeed draw` can draw a map from them"]
    lines = []
    if far := account["far"]:
        ids = ", ".join(map(str, far[:TOLD])) + (", …" if len(far) > TOLD else "")
        lines.append(f"{name} leaves out links that lie far from all others: {ids} (--bbox)")
    if account["unset"]:
        lines.append(_left_out(name, account["unset"]))
    return lines


def _left_out(name: str, characters: str) -> str:
    return f"{name} leaves out {characters}: no installed font has it"
