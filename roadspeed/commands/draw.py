"""`roadspeed draw`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mapreduce.commands.command import command
from mapreduce.commands.options import option
from mapreduce.output import say
from roadspeed.commands.options import MAP, MapOptions

if TYPE_CHECKING:
    from roadspeed.maps.drawings import Asked
    from roadspeed.maps.picture import Picture

PICTURE = "Which picture"
FILM_WIDTH_PX = 1200


@dataclass(frozen=True, slots=True)
class DrawOptions:
    """Which picture, and of what."""

    picture: Annotated[
        str,
        option(
            "--picture",
            "map; multiples: parts of the day side by side; animation: GIF, APNG (.png) or MP4"
            " (needs ffmpeg), by the ending of --out; difference: see --against.",
            PICTURE,
        ),
    ] = "map"
    column: Annotated[
        str,
        option("--column", "Speed to show: mean, p50, p85, … of speeds-by-GROUPING.", PICTURE),
    ] = "mean"
    by: Annotated[
        str | None,
        option(
            "--by",
            "What --cells are: hour, period, day, week-hour or date. Default: what has them.",
            PICTURE,
        ),
    ] = None
    cells: Annotated[
        str | None,
        option(
            "--cells",
            "Cells to show: 7-9, Mon-Fri, or the name of a period. Several with commas: together,"
            " or for multiples a panel each.",
            PICTURE,
        ),
    ] = None
    against: Annotated[
        str | None,
        option(
            "--against",
            "Other side of a difference: free-flow (default), limit, all (all time), other cells,"
            " or the folder of another run.",
            PICTURE,
        ),
    ] = None
    relative: Annotated[
        bool, option("--relative", "A difference as a ratio, not in the unit of speed.", PICTURE)
    ] = False
    frames: Annotated[
        str,
        option("--frames", "Frame of an animation: hour, week-hour, day, date, period.", PICTURE),
    ] = "hour"
    seconds: Annotated[
        float, option("--seconds-per-frame", "How long an animation shows each frame.", PICTURE)
    ] = 0.5

    def asked(self) -> Asked:
        """Return what was asked for.

        Raises
        ------
        UsageError
            If a value is invalid.
        """
        from roadspeed.maps.difference import Choice
        from roadspeed.maps.drawings import Asked

        part = None if self.by is None else self.by.replace("-", "_")
        asked = Asked(
            kind=self.picture,
            choice=Choice(self.column, part, self.cells),
            against=self.against,
            relative=self.relative,
            frames=self.frames,
            seconds=self.seconds,
        )
        asked.check()
        return asked


@dataclass(frozen=True, slots=True)
class PageOptions(MapOptions):
    """What a map shows, and its width by the picture."""

    width: Annotated[
        int,
        option(
            "--width",
            "Width in pixels. Default: 2400, of an animation 1200.",
            MAP,
            show_default=False,
        ),
    ] = 0

    def page(self, asked: Asked) -> Picture:
        """Return how the picture is drawn.

        Raises
        ------
        UsageError
            If the options are invalid or contradict each other.
        """
        usual = FILM_WIDTH_PX if asked.kind == "animation" else MapOptions().width
        return MapOptions.picture(replace(self, width=self.width or usual))


@command
def draw_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder (--out) of a run")],
    out: Annotated[Path, option("--out", "File to write.")],
    draw: DrawOptions,
    page: PageOptions,
) -> None:
    """Draw a picture of a finished run from its tables, without reading trips.

    Examples:

        roadspeed draw speeds --out city.png --centre -5.93,54.6 --scale 25000

        roadspeed draw speeds --picture multiples --out day.png

        roadspeed draw speeds --picture animation --width 1000 --out day.gif

        roadspeed draw speeds --picture difference --cells 7-8 --out rush.png
    """
    from roadspeed.maps.drawings import draw_finished
    from roadspeed.maps.map_file import lines_of

    asked = draw.asked()
    account = draw_finished(folder, out, page.page(asked), asked)
    say(f"{account['drawn']:,} links in {out}")
    for line in lines_of(account):
        say(line)
