"""What stands below a map: title, counts, colour bar, keys, scale bar, credits.

Everything is set on one grid of `em`, a share of the page's width, so a picture looks the same
at any size; on a narrow page, where that could not be read, an em is larger, and the scale bar
stands below the rest. Text that would run into its neighbour shrinks, and ends in "…" at last. It
draws what it is told and computes no figure of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from roadspeed.maps.frame import INCH_M
from roadspeed.maps.typeface import FONT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

    from roadspeed.maps.colour import Ground, Scale
    from roadspeed.maps.frame import Frame
    from roadspeed.maps.strokes import Floats

WIDE_EM, NARROW_EM = 92, 56  # in a page's width
LEAST_EM_PX = 1000 / WIDE_EM  # which text of 0.9 em can be read in; a narrow page has less at last
MARGIN_EM = 3.0
HEIGHT_EM = 13.2
LIFT_EM = 4.0  # which a narrow page takes more, for the scale bar
BAR_EM, SCALE_BAR_EM, GAP_EM = 27.0, 47.5, 2.0  # wide columns, from the right; between columns
SMALLEST = 0.6  # of the wanted size, before text is cut
TITLE_EM = 2.5
CUT = "…"
TICK_GAP_EM = 0.6  # between the numbers below a colour bar
SPARE = 0.99  # letters do not shrink quite as the size says
Side = Literal["left", "center", "right"]


@dataclass(frozen=True, slots=True)
class LegendLine:
    """One grey line and what it stands for."""

    colour: str
    width_px: float
    text: str


@dataclass(frozen=True, slots=True)
class Legend:
    """The words and figures of a legend; `scale` is None where no link has enough data."""

    title: str
    subtitle: str
    counts: tuple[str, ...]
    measure: str
    scale: Scale | None
    beyond: tuple[bool, bool]
    keys: tuple[LegendLine, ...]
    paper_scale: str
    note: str
    attribution: str


class Sheet:
    """The strip below the map, measured in pixels from the page's lower left corner."""

    def __init__(
        self, figure: Figure, ground: Ground, width_px: int, height_px: int,
        families: tuple[str, ...] = (FONT,),
    ) -> None:  # fmt: skip
        self.ground = ground
        self.families = list(families)
        self.em = em_px(width_px)
        self.is_narrow = is_narrow(width_px)
        self.left = MARGIN_EM * self.em
        self.right = width_px - self.left
        self.axes: Axes = figure.add_axes((0, 0, 1, 1))
        self.axes.set_axis_off()
        self.axes.set_xlim(0, width_px)
        self.axes.set_ylim(0, height_px)
        self.axes.patch.set_alpha(0.0)
        self.points_per_px = 72.0 / figure.dpi

    def up(self, y_em: float) -> float:
        """Return pixels from the bottom: on a narrow page higher, above the scale bar."""
        return (y_em + LIFT_EM * self.is_narrow) * self.em

    def text(
        self, x: float, y: float, words: str, *, size_em: float = 1.0, room: float,
        faint: bool = False, side: Side = "left", smallest: float = SMALLEST,
    ) -> Text:  # fmt: skip
        """Set one line with its baseline at y, within `room` pixels."""
        drawn = self.axes.text(
            x, y, " ".join(words.split()), ha=side, va="baseline", parse_math=False,
            color=self.ground.faint_ink if faint else self.ground.ink,
            fontfamily=self.families, fontsize=size_em * self.em * self.points_per_px,
        )  # fmt: skip
        share = 1.0
        while share > smallest and (wide := drawn.get_window_extent().width) > room:
            share = max(smallest, SPARE * share * room / wide)
            drawn.set_fontsize(size_em * share * self.em * self.points_per_px)
        cut(drawn, room)
        return drawn

    def line(self, xs: tuple[float, float], y: float, colour: str, width_px: float) -> None:
        """Draw one horizontal line."""
        self.axes.plot(
            xs, (y, y), color=colour, linewidth=width_px * self.points_per_px,
            solid_capstyle="butt",
        )  # fmt: skip


def cut(drawn: Text, room: float) -> None:
    """Keep as much of a text as takes `room` pixels, with "…" behind it if that is not all."""
    words = drawn.get_text()
    if drawn.get_window_extent().width <= room:
        return
    low, high = 0, len(words) - 1  # so many letters fit; so many might
    while low < high:
        keep = (low + high + 1) // 2
        drawn.set_text(words[:keep].rstrip() + CUT)
        if drawn.get_window_extent().width <= room:
            low = keep
        else:
            high = keep - 1
    drawn.set_text(words[:low].rstrip() + CUT)


def em_px(width_px: int) -> float:
    """Return pixels of an em on a page of this width."""
    return max(width_px / WIDE_EM, min(width_px / NARROW_EM, LEAST_EM_PX))


def is_narrow(width_px: int) -> bool:
    """Whether a page has fewer em across than all columns take."""
    return em_px(width_px) * WIDE_EM > width_px * (1 + 1e-9)


def strip_height_px(width_px: int) -> int:
    """Height of the strip for a page of this width."""
    return round((HEIGHT_EM + LIFT_EM * is_narrow(width_px)) * em_px(width_px))


def set_legend(sheet: Sheet, legend: Legend, frame: Frame, ramp: Floats) -> None:
    """Set the whole strip."""
    em, left, right = sheet.em, sheet.left, sheet.right
    hair = max(1.0, 0.06 * em)
    sheet.line((left, right), sheet.up(12.6), sheet.ground.rule, hair)
    bar = right - BAR_EM * em
    words_room = bar - left - GAP_EM * em if sheet.is_narrow else 37 * em
    set_title(sheet, legend.title, words_room)
    sheet.text(left, sheet.up(7.2), legend.subtitle, size_em=1.15, room=words_room)
    for row, words in enumerate(legend.counts):
        y = sheet.up(5.45 - 1.45 * row)
        sheet.text(left, y, words, size_em=0.9, faint=True, room=words_room)
    set_scale_bar(sheet, frame, legend.paper_scale)
    set_colour_bar(sheet, legend, ramp, bar)
    set_keys(sheet, legend.keys, bar)
    set_credits(sheet, legend)


def set_title(sheet: Sheet, words: str, room: float) -> None:
    """Set the title in one line, or, if it would be cut at its smallest, in two."""
    left = sheet.left
    first = sheet.text(left, sheet.up(9.2), words, size_em=TITLE_EM, room=room)
    words = " ".join(words.split())
    kept = first.get_text().removesuffix(CUT)
    if kept == words:
        return
    if not words.startswith(f"{kept} "):  # else it ends with a word
        kept = kept.rpartition(" ")[0] or kept
    first.set_text(kept)
    first.set_y(sheet.up(10.75))
    rest = words[len(kept) :]
    sheet.text(left, sheet.up(8.8), rest, size_em=SMALLEST * TITLE_EM, room=room, smallest=1.0)


def set_credits(sheet: Sheet, legend: Legend) -> None:
    """Set the last line: the note on the left, who is to be credited on the right."""
    em, room = sheet.em, sheet.right - sheet.left
    share = 0.5 if legend.note and legend.attribution else 1.0
    y, room = 1.35 * em, share * room - em
    sheet.text(sheet.left, y, legend.note, size_em=0.75, faint=True, room=room)
    sheet.text(
        sheet.right, y, legend.attribution, size_em=0.75, faint=True, room=room, side="right"
    )


def set_colour_bar(sheet: Sheet, legend: Legend, ramp: Floats, x: float) -> None:
    """Set the measure's name, the ramp and its ticks, `x` to the right margin."""
    em, right, scale = sheet.em, sheet.right, legend.scale
    sheet.text(x, sheet.up(9.95), legend.measure, size_em=1.0, room=right - x)
    if scale is None:
        sheet.text(
            x, sheet.up(7.9), "no link has enough data", size_em=0.9, faint=True, room=right - x
        )
        return
    low, high = sheet.up(7.9), sheet.up(9.0)
    sheet.axes.imshow(
        ramp[np.newaxis], extent=(x, right, low, high), aspect="auto", interpolation="bilinear"
    )
    ends = (scale.ticks[0], scale.ticks[-1])
    taken: list[Bbox] = []
    for tick in (*ends, *scale.ticks[1:-1]):
        at = x + float(scale.place(tick)) * (right - x)
        mark = "≤ " if tick == ends[0] and legend.beyond[0] else ""
        mark = "≥ " if tick == ends[1] and legend.beyond[1] else mark
        side: Side = "left" if tick == ends[0] else "right" if tick == ends[1] else "center"
        words = mark + tick_text(scale, tick)
        label = sheet.text(at, sheet.up(6.55), words, size_em=0.9, room=8 * em, side=side)
        if tick in ends:
            taken.append(label.get_window_extent())
            continue
        sheet.axes.plot(
            (at, at), (low - 0.3 * em, low), color=sheet.ground.faint_ink,
            linewidth=max(1.0, 0.06 * em) * sheet.points_per_px,
        )  # fmt: skip
        box = label.get_window_extent().padded(TICK_GAP_EM * em / 2)
        if any(box.overlaps(other) for other in taken):
            label.remove()
        else:
            taken.append(box)


def set_keys(sheet: Sheet, keys: tuple[LegendLine, ...], x: float) -> None:
    """Set the grey lines and their meaning, one below the other."""
    em = sheet.em
    for row, key in enumerate(keys):
        y = sheet.up(4.6 - 1.45 * row)
        sheet.line((x, x + 3 * em), y + 0.32 * em, key.colour, max(key.width_px, 0.12 * em))
        sheet.text(
            x + 3.9 * em, y, key.text, size_em=0.9, faint=True, room=sheet.right - x - 3.9 * em
        )


def set_scale_bar(sheet: Sheet, frame: Frame, paper_scale: str) -> None:
    """Set a bar of a round length, 5 to 12 em long, and the scale on paper beneath or beside it."""
    em = sheet.em
    x = sheet.left if sheet.is_narrow else sheet.right - (SCALE_BAR_EM - MARGIN_EM) * em
    down = 5.0 * em if sheet.is_narrow else 0.0
    metres = round_length_m(12 * em * frame.ground_m_per_px)
    length = metres / frame.ground_m_per_px
    y, tick, thick = 8.1 * em - down, 0.45 * em, max(1.0, 0.11 * em)
    sheet.line((x - thick / 2, x + length + thick / 2), y, sheet.ground.ink, thick)
    for at in (x, x + length):
        sheet.axes.plot(
            (at, at), (y, y + tick), color=sheet.ground.ink,
            linewidth=thick * sheet.points_per_px, solid_capstyle="butt",
        )  # fmt: skip
    words = f"{metres / 1000:,.0f} km" if metres >= 1000 else f"{metres:g} m"  # noqa: PLR2004 - a km
    words = f"{words} {frame.projection.true_at}".rstrip()
    sheet.text(x, 9.2 * em - down, words, size_em=0.9, room=14 * em)
    if sheet.is_narrow:
        at = x + length + GAP_EM * em
        sheet.text(at, y, paper_scale, size_em=0.9, faint=True, room=sheet.right - at)
    else:
        sheet.text(x, 6.55 * em, paper_scale, size_em=0.9, faint=True, room=14 * em)


def round_length_m(most_m: float) -> float:
    """Return the longest of 1, 2, 5 · 10^k metres that is at most `most_m`."""
    power = 10.0 ** np.floor(np.log10(most_m))
    return float(max(power * m for m in (1, 2, 5) if power * m <= most_m * (1 + 1e-9)))


def number_text(value: float) -> str:
    """Return a number for people: 5, 2.5, 1,000, 20,000."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.6g}"


def tick_text(scale: Scale, tick: float) -> str:
    """Return the number below a tick: with its sign where the scale is one of differences."""
    sign = ("\N{MINUS SIGN}" if tick < 0 else "+" if tick > 0 else "") if scale.signed else ""
    return sign + number_text(abs(tick) if scale.signed else tick)


def scale_text(frame: Frame, dpi: float) -> str:
    """Return the scale on paper, three digits of it, as `1 : 25,000 at 300 dpi`."""
    denominator = frame.denominator(dpi)
    digits = 2 - int(np.floor(np.log10(denominator)))
    return f"1 : {round(denominator, digits):,.0f} at {dpi:g} dpi, {paper_width_text(frame, dpi)}"


def paper_width_text(frame: Frame, dpi: float) -> str:
    """Return how wide the map comes out on paper, in whole centimetres."""
    return f"{frame.width_px / dpi * INCH_M * 100:.0f} cm wide"
