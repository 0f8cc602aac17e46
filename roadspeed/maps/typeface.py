"""Which installed fonts set some words, and what none of them has a glyph for.

The font that comes with matplotlib goes first, so that every machine sets the same page; only for
characters it lacks are the machine's other fonts looked through, and of those the one that has
most of them is taken, then the next. A character that no font has is left out and told, never a
box and never a warning. It draws nothing.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

FONT = "DejaVu Sans"
BOXES = "Last Resort"  # matplotlib's own fonts of that name have a box for every character
PLAIN = (400, "400", "normal", "regular", "book")
TRIED_PT = 12.0
SURROGATES = range(0xD800, 0xE000)  # bytes of an argument that were no UTF-8


@dataclass(frozen=True, slots=True)
class Typeface:
    """Families by preference, and the characters that none of them has."""

    families: tuple[str, ...] = (FONT,)
    missing: str = ""

    def settable(self, words: str) -> str:
        """Return the words without what cannot be set, in one line."""
        return " ".join("".join(c for c in words if c not in self.missing).split())


@functools.lru_cache(maxsize=16)
def typeface_for(words: str) -> Typeface:
    """Find the fonts that set these words, white space apart."""
    wanted = {c for c in words if not c.isspace()}
    if all(c.isascii() and c.isprintable() for c in wanted):
        return Typeface()
    families, left = [FONT], wanted - _glyphs(FONT, wanted)
    if left:
        found = {name: _glyphs(name, left) for name in _installed()}
        while left:
            best = max(sorted(found), key=lambda name: len(found[name] & left), default=FONT)
            if not found.get(best, set()) & left:
                break
            families.append(best)
            left -= found[best]
    return Typeface(tuple(families), "".join(sorted(left)))


def named(characters: str) -> str:
    """Name characters for a message: themselves, or their numbers where they cannot be shown."""
    return " ".join(c if c.isprintable() else f"U+{ord(c):04X}" for c in characters)


def _installed() -> list[str]:
    from matplotlib import font_manager  # noqa: PLC0415 - heavy

    return sorted(
        {
            entry.name
            for entry in font_manager.fontManager.ttflist
            if entry.style == "normal"
            and entry.weight in PLAIN
            and not entry.name.startswith(BOXES)
        }
        - {FONT}
    )


def _glyphs(family: str, wanted: set[str]) -> set[str]:
    """Return which characters a family has, as far as matplotlib can draw them."""
    from matplotlib import font_manager  # noqa: PLC0415 - heavy

    try:
        path = font_manager.findfont(
            font_manager.FontProperties(family=[family]), fallback_to_default=False
        )
        font = font_manager.get_font(path)
        known = font.get_charmap()
        having = {c for c in wanted if ord(c) in known and ord(c) not in SURROGATES}
        if having:  # a font of coloured bitmaps, as emoji mostly have, can be read but not set
            font.set_size(TRIED_PT, 72)
            font.set_text("".join(sorted(having)))
            font.draw_glyphs_to_bitmap()
    except (OSError, RuntimeError, ValueError):  # gone since it was listed, or of no known kind
        return set()
    return having
