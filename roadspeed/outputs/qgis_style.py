"""How QGIS draws the speeds: a graduated line style (QML), dark purple slow to bright yellow fast.

Classes are the same for every town and run, so that two maps can be compared; the slowest lies on
top. Width follows the road's class, and a road with few fixes is thin and grey, never purple.
QGIS 3.22 or newer reads it. Nothing here looks at a table: the style depends on
the unit and on how many fixes are few.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET  # only written here: nothing is parsed
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from mapreduce.atomic_file import whole
from roadspeed.outputs.link_table import Told
from roadspeed.road_class import LINK_SHARE, UNKNOWN_WIDTH, WIDTHS

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from roadspeed.outputs.link_table import Unit

BREAKS: Final[Mapping[Unit, tuple[float, ...]]] = {
    "km/h": (0, 10, 20, 30, 40, 50, 60, 70, 80, 100, 120),
    "mph": (0, 5, 10, 15, 20, 25, 30, 40, 50, 60, 70),
    "m/s": (0, 2.5, 5, 7.5, 10, 12.5, 15, 20, 25, 30, 35),
    "knots": (0, 5, 10, 15, 20, 25, 30, 40, 50, 60, 70),
}
"""Lower bounds of the classes in each unit; a class ends where the next begins, the last never."""

# Plasma (matplotlib, CC0) at 0, 0.094, … 0.94: its last yellows are lost on a white ground.
# fmt: off
COLOURS: Final = (
    "#0d0887", "#3f049c", "#6600a7", "#8a09a5", "#aa2395", "#c43e7f",
    "#da5a6a", "#eb7655", "#f89540", "#feb82c", "#f8df25",
)
# fmt: on

LITTLE_COLOUR: Final = "#a09d98"
CASING_COLOUR: Final = "#3a3640"
MIN_FIXES: Final = Told().min_fixes
"""Links with fewer fixes are drawn thin and grey, where the run was told nothing else."""

_START_AND_END: Final = "2"  # QgsVectorLayerTemporalProperties.TemporalMode
_NEVER: Final = 1e6  # above any speed
_MOTORWAY_MM: Final = 1.3
_CASING_MM: Final = 0.16  # both edges together
_LITTLE_SHARE: Final = 0.5  # of the width of the same road with enough fixes


def qml(unit: Unit, min_fixes: int = MIN_FIXES, times: tuple[str, str] | None = None) -> str:
    """Give the style as a QML document for a line layer with the columns of `speeds.gpkg`.

    Parameters
    ----------
    unit
        Unit of the layer's speeds; it chooses the classes and stands in the legend.
    min_fixes
        Links with fewer fixes are drawn thin and grey.
    times
        Columns of a row's beginning and end, for the temporal controller; None without.
    """
    categories = "Symbology" if times is None else "Symbology|Temporal"
    root = ET.Element("qgis", version="3.22.0", styleCategories=categories)
    if times is not None:
        _add_times(root, *times)
    renderer = ET.SubElement(
        root,
        "renderer-v2",
        type="graduatedSymbol",
        attr="mean",
        graduatedMethod="GraduatedColor",
        symbollevels="1",  # draw by pass: all casings, then fast to slow
        enableorderby="0",
        forceraster="0",
    )
    ranges = ET.SubElement(renderer, "ranges")
    symbols = ET.SubElement(renderer, "symbols")
    for number, (lower, upper, label) in enumerate(_classes(unit)):
        ET.SubElement(
            ranges,
            "range",
            symbol=str(number),
            lower=f"{lower:.6f}",
            upper=f"{upper:.6f}",
            label=label,
            render="true",
        )
        _add_symbol(symbols, number, min_fixes)
    ET.SubElement(ET.SubElement(renderer, "classificationMethod", id="Custom"), "parameters")
    ET.SubElement(root, "layerGeometryType").text = "1"  # lines
    ET.indent(root, " ")
    doctype = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
    return doctype + ET.tostring(root, encoding="unicode") + "\n"


def _add_times(root: ET.Element, start: str, end: str) -> None:
    """Have rows shown from one column's time to before another's."""
    ET.SubElement(
        root,
        "temporal",
        enabled="1",
        mode=_START_AND_END,
        limitMode="0",  # the end is not included
        startField=start,
        endField=end,
        accumulate="0",
        fixedDuration="0",
        durationUnit="min",
        durationField="",
        startExpression="",
        endExpression="",
    )


def write_style(path: str | os.PathLike[str], unit: Unit, min_fixes: int = MIN_FIXES) -> None:
    """Write the style as a `.qml` file.

    QGIS applies `NAME.qml` to any layer opened from `NAME.*` in the same folder: beside
    `speeds.parquet` it is right, but it would hide `speeds.csv`, whose columns have other names.
    """
    with whole(path) as partial:
        partial.write_text(qml(unit, min_fixes), encoding="utf-8")


def _classes(unit: Unit) -> Iterator[tuple[float, float, str]]:
    breaks = BREAKS[unit]
    for lower, upper in pairwise(breaks):
        yield lower, upper, f"{lower:g} – {upper:g} {unit}"  # noqa: RUF001 - a range's dash
    yield breaks[-1], _NEVER, f"{breaks[-1]:g} {unit} and more"


def _add_symbol(symbols: ET.Element, number: int, min_fixes: int) -> None:
    """Add one class's symbol: a dark casing beneath, its colour above."""
    symbol = ET.SubElement(
        symbols, "symbol", type="line", name=str(number), alpha="1", clip_to_extent="1"
    )
    little = f'"fixes" < {min_fixes}'
    width = f"{_width()} * if({little}, {_LITTLE_SHARE}, 1)"
    casing = {"outlineWidth": f"{width} + {_CASING_MM}", "layerEnabled": f"not ({little})"}
    _add_line(symbol, 1, CASING_COLOUR, casing)
    inks = {
        "outlineWidth": width,
        "outlineColor": f"if({little}, '{LITTLE_COLOUR}', NULL)",
    }
    _add_line(symbol, 1 + len(COLOURS) - number, COLOURS[number], inks)


def _add_line(symbol: ET.Element, level: int, colour: str, expressions: dict[str, str]) -> None:
    """Add one line layer, drawn in pass `level`, with properties that expressions decide."""
    layer = ET.SubElement(
        symbol, "layer", {"class": "SimpleLine", "enabled": "1", "locked": "0", "pass": str(level)}
    )
    red, green, blue = bytes.fromhex(colour[1:])
    _add_options(
        layer,
        {
            "capstyle": "round",
            "joinstyle": "round",
            "line_color": f"{red},{green},{blue},255",
            "line_style": "solid",
            "line_width": f"{_MOTORWAY_MM * UNKNOWN_WIDTH:g}",
            "line_width_unit": "MM",
        },
    )
    defined = _add_options(ET.SubElement(layer, "data_defined_properties"), {"name": ""})
    properties = ET.SubElement(defined, "Option", type="Map", name="properties")
    for name, expression in expressions.items():
        by_expression = ET.SubElement(properties, "Option", type="Map", name=name)
        ET.SubElement(by_expression, "Option", type="bool", name="active", value="true")
        ET.SubElement(by_expression, "Option", type="QString", name="expression", value=expression)
        ET.SubElement(by_expression, "Option", type="int", name="type", value="3")
    ET.SubElement(defined, "Option", type="QString", name="type", value="collection")


def _add_options(parent: ET.Element, values: dict[str, str]) -> ET.Element:
    """Add a map of texts in the way QGIS writes its variants; give the map."""
    options = ET.SubElement(parent, "Option", type="Map")
    for name, value in values.items():
        ET.SubElement(options, "Option", type="QString", name=name, value=value)
    return options


def _width() -> str:
    """Give the expression of a road's width in millimetres: a constant map, looked up by class."""
    ramps = {f"{name}_link": share * LINK_SHARE for name, share in WIDTHS.items() if name.isalpha()}
    pairs = ", ".join(f"'{name}', {share:.3g}" for name, share in {**WIDTHS, **ramps}.items())
    known = f'map_get(map({pairs}), lower("road_class"))'
    return f"{_MOTORWAY_MM} * coalesce({known}, {UNKNOWN_WIDTH})"
