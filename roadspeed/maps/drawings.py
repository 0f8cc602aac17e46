"""Any picture of a finished run, from its tables alone.

What the run says of itself (unit, sample, credits, number of trips) is on every picture, whoever
draws it again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np
import pyarrow as pa

from mapreduce.errors import UsageError
from roadspeed.maps.animation import draw_animation
from roadspeed.maps.cells import DAY_PARTS, PARTS
from roadspeed.maps.difference import (
    FREE_FLOW,
    Choice,
    against,
    shown_of_difference,
    side_of,
    values_of,
    with_part,
)
from roadspeed.maps.draw import Drawn, draw
from roadspeed.maps.film import check_ending
from roadspeed.maps.finished_run import finished_run
from roadspeed.maps.map_file import account_of
from roadspeed.maps.multiples import Panel, draw_multiples
from roadspeed.maps.redraw import redraw
from roadspeed.maps.shown import shown_of
from roadspeed.maps.speeds_by_cell import parts_there, speeds_by_cell

if TYPE_CHECKING:
    from pathlib import Path

    from roadspeed.maps.finished_run import FinishedRun
    from roadspeed.maps.picture import Picture
    from roadspeed.outputs.link_table import LinkTable

Kind = Literal["map", "multiples", "animation", "difference"]
KINDS: Final = get_args(Kind)
FRAMES: Final = ("hour", "week-hour", "day", "date", "period")
WHOLE: Final = Choice()


@dataclass(frozen=True, slots=True)
class Asked:
    """Which picture, and of what.

    Parameters
    ----------
    kind
        One of `KINDS`.
    choice
        The column, and the cells of a part of the time.
    against
        Of a difference: the other side, as `difference.against` reads it.
    relative
        Whether a difference is a ratio.
    frames
        Of an animation: what a frame is, one of `FRAMES`.
    seconds
        How long each frame is shown.
    """

    kind: str = "map"
    choice: Choice = WHOLE
    against: str | None = None
    relative: bool = False
    frames: str = "hour"
    seconds: float = 0.5

    def check(self) -> None:
        """Raise UsageError where it cannot be meant."""
        if self.kind not in KINDS:
            raise UsageError(f"--picture: expected one of {', '.join(KINDS)}, got {self.kind!r}")
        part = self.choice.part
        if part is not None and part not in PARTS:
            names = ", ".join(PARTS).replace("_", "-")
            raise UsageError(f"--by: expected one of {names}, got {part.replace('_', '-')!r}")
        if self.frames not in FRAMES:
            raise UsageError(f"--frames: expected one of {', '.join(FRAMES)}, got {self.frames!r}")
        if not 0.02 <= self.seconds <= 60:  # noqa: PLR2004 - what players show
            raise UsageError(f"--seconds-per-frame: expected 0.02 to 60, got {self.seconds:g}")
        if self.kind != "difference" and (self.against is not None or self.relative):
            raise UsageError("--against and --relative need --picture difference")


def draw_finished(folder: Path, path: Path, picture: Picture, asked: Asked) -> dict[str, Any]:
    """Draw a picture of a run; give what a receipt would say of it.

    Parameters
    ----------
    folder
        What the run was given as `--out`.
    path
        Where the picture goes: any name but those that the run's receipt lists.
    picture
        How it is drawn.
    asked
        What is drawn.

    Raises
    ------
    UsageError
        Where the folder is no run's, has no such table, or the picture cannot be drawn.
    MapReduceError
        Where the receipt is not as it was written.
    """
    picture.check()
    asked.check()
    if asked.kind == "map" and asked.choice == WHOLE:
        return redraw(folder, path, picture)
    if picture.measure != "speed":
        raise UsageError("--measure: only a map of all time shows trips or fixes")
    run = finished_run(folder)
    run.refuse(path)
    table = run.link_table()
    picture = told(picture, table)
    drawn = _PICTURES[asked.kind](run, table, path, picture, asked)
    return account_of(path, table, drawn)


def told(picture: Picture, table: LinkTable) -> Picture:
    """Return a picture that says what the run says of itself."""
    return replace(
        picture,
        unit=table.unit,
        note=" · ".join(note for note in (picture.note, table.sample) if note),
        attribution=picture.attribution or table.told.attribution,
    )


def _one_map(
    run: FinishedRun, table: LinkTable, path: Path, picture: Picture, asked: Asked
) -> Drawn:
    """Draw the map of some cells, or of another column."""
    choice = with_part(run, asked.choice)
    side = side_of(run, table, choice, pa.array(table.ids))
    words = shown_of(choice.column)
    fixes = table.fixes if side.fixes is None else side.fixes
    picture = replace(
        picture,
        other=words,
        title=picture.title or f"{words.sentence}",
        subtitle=side.name,
        counts=f"{int(fixes.sum()):,} GPS fixes",
    )
    return draw(
        path, picture, link_geometry=table.geometry, speed=side.speed, fixes=fixes,
        trips=np.zeros_like(fixes), road_class=table.road_class,
    )  # fmt: skip


def _difference(
    run: FinishedRun, table: LinkTable, path: Path, picture: Picture, asked: Asked
) -> Drawn:
    one, two = against(run, table, asked.choice, asked.against or FREE_FLOW, pa.array(table.ids))
    values, fixes = values_of(one, two, relative=asked.relative)
    enough = (fixes >= picture.min_fixes) & np.isfinite(values)
    words = shown_of_difference(one, two, asked.choice.column, relative=asked.relative)
    picture = replace(
        picture,
        other=words,
        counts=f"{int(enough.sum()):,} of {len(table):,} links have enough data to compare",
    )
    return draw(
        path, picture, link_geometry=table.geometry, speed=values, fixes=fixes,
        trips=np.zeros_like(fixes), road_class=table.road_class,
    )  # fmt: skip


def _multiples(
    run: FinishedRun, table: LinkTable, path: Path, picture: Picture, asked: Asked
) -> Drawn:
    choice = with_part(run, asked.choice)
    part = choice.part or ("period" if "period" in parts_there(run) else "hour")
    found = speeds_by_cell(run, part, choice.column, pa.array(table.ids))
    cells = found.cells
    if choice.cells is not None:
        groups = [(cells.label(c), c) for c in map(cells.chosen, choice.cells.split(","))]
    elif part == "hour":
        groups = [(name, cells.span(*ends)) for name, ends in DAY_PARTS]
        groups = [(f"{name}, {cells.label(chosen)}", chosen) for name, chosen in groups]
    else:
        groups = [(name, (number,)) for number, name in enumerate(cells.names)]
    panels = [Panel(title, *found.of(chosen)) for title, chosen in groups]
    total = int(sum(panel.fixes.sum() for panel in panels))
    picture = replace(picture, other=shown_of(choice.column), counts=counts_of(run, table, total))
    return draw_multiples(
        path, picture, panels, link_geometry=table.geometry, road_class=table.road_class
    )


def _animation(
    run: FinishedRun, table: LinkTable, path: Path, picture: Picture, asked: Asked
) -> Drawn:
    check_ending(path)
    part, column = asked.frames.replace("-", "_"), asked.choice.column
    found = speeds_by_cell(run, part, column, pa.array(table.ids))
    frames = list(range(len(found.cells.names)))
    if asked.choice.cells is not None:
        texts = asked.choice.cells.split(",")
        frames = [cell for text in texts for cell in found.cells.chosen(text)]
    total = int(found.fixes[frames].sum(dtype=np.float64))
    picture = replace(
        picture,
        other=shown_of(column),
        counts=counts_of(run, table, total),
    )
    return draw_animation(path, picture, table, found, frames, seconds=asked.seconds)


def counts_of(run: FinishedRun, table: LinkTable, fixes: int) -> str:
    """Return what a picture rests on: its fixes, and the run's trips where they are known."""
    trips = "" if table.told.trip else f" · {run.receipt.objects.ok:,} trips in all"
    return f"{fixes:,} GPS fixes{trips}"


_PICTURES: Final = {
    "animation": _animation,
    "map": _one_map,
    "difference": _difference,
    "multiples": _multiples,
}
