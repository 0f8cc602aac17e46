"""Every column of every table that is written: its name, type, unit and meaning, said once.

The writers take names and descriptions from here, and `docs/outputs.md` holds what `markdown`
gives, which a test compares. What a run is told (unit, field names, highest speed) stands here by
a name in braces, and each file says what was given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from roadspeed.outputs.link_table import Told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from roadspeed.outputs.link_table import LinkTable

SPEED: Final = "unit of the speeds"
"""Stands for the table's unit: km/h, mph, m/s or knots."""

IN_THE_DOCS: Final = {
    "{link}": "from the trips' field `dbResponse.linkID`, or what `--link` names",
    "{speed}": "`absVelocity`, or what `--speed` names",
    "{trip}": "objects, or ids at `--trip`",
    "{most}": "`--max-speed`",
}
"""What the documentation says, which is of no run."""


@dataclass(frozen=True, slots=True)
class ColumnDoc:
    """One column of a table.

    Parameters
    ----------
    name
        As in the file's header or schema.
    dtype
        "int64", "float64", "text" or "geometry".
    unit
        `SPEED` for a speed in the table's unit; "" for what has none.
    template
        One sentence or more for people, with names in braces for what a run is told.
    source
        The `LinkTable` attribute the values come from; "" for lists of objects and records.
    """

    name: str
    dtype: str
    unit: str
    template: str
    source: str = ""

    def unit_in(self, unit: str) -> str:
        """Give this column's unit in a table whose speeds are in `unit`."""
        return unit if self.unit == SPEED else self.unit

    @property
    def meaning(self) -> str:
        """What the column means in a table whose run was told nothing special."""
        return self.told(Told())

    def dtype_in(self, table: LinkTable) -> str:
        """Give this column's type in a table: ids may be text."""
        return "text" if self.source == "link" and table.has_text_ids else self.dtype

    def meaning_in(self, table: LinkTable) -> str:
        """Give this column's meaning in a table: with the names its run was given."""
        return self.told(table.told)

    def told(self, told: Told) -> str:
        """Give this column's meaning with the names a run was given."""
        return _filled(
            self.template,
            {"{link}": _MATCHED if told.is_matched else f"from the trips' field `{told.link}`",
             "{speed}": _STEPPED if told.is_stepped else f"`{told.speed}`",
             "{trip}": f"ids at `{told.trip}`" if told.trip else "objects",
             "{most}": f"{told.max_speed:.6g}"},
        )  # fmt: skip


def _filled(template: str, words: Mapping[str, str]) -> str:
    for name, word in words.items():
        template = template.replace(name, word)
    return template


_LINK = "Id of the road link, {link}; rows are sorted by it."
_MATCHED = "matched to OpenStreetMap: the id of its way times 10,000, plus its number along the way"
_STEPPED = "from positions and times"
_FIXES = "Fixes on this link: records that have a link, and a speed from 0 to {most}."
_ROUNDED = "Each speed is first rounded to a millionth of its unit."
_MEAN = (
    "Arithmetic mean of the speeds ({speed}) of all fixes on this link. "
    f"{_ROUNDED} The sum is exact, and the mean is rounded once, to a double. Fixes come at "
    "equal time intervals, so it estimates the space-mean speed."
)
_WHERE = "WGS 84, longitude then latitude"

SPEEDS: Final = (
    ColumnDoc("link", "int64", "", _LINK, "link"),
    ColumnDoc("fixes", "int64", "fixes", _FIXES, "fixes"),
    ColumnDoc("trips", "int64", "trips", "Distinct trips ({trip}) with such a fix.", "trips"),
    ColumnDoc("mean", "float64", SPEED, _MEAN, "mean"),
    ColumnDoc(
        "std",
        "float64",
        SPEED,
        "Sample standard deviation (n - 1) of the speeds of the fixes, from exact sums; "
        "null for one fix.",
        "std",
    ),
    ColumnDoc(
        "ci95",
        "float64",
        SPEED,
        "Half-width of the 95 % confidence interval of the mean (Student's t), as if fixes were "
        "independent. Fixes of one trip are not, so treat it as a lower bound. Null for one fix.",
        "ci95",
    ),
    ColumnDoc(
        "min", "float64", SPEED, "Lowest speed of a fix on this link, to a millionth.", "min"
    ),
    ColumnDoc(
        "max", "float64", SPEED, "Highest speed of a fix on this link, to a millionth.", "max"
    ),
    ColumnDoc(
        "road_class",
        "text",
        "",
        "Class of the road, as the roads file names it; null if the file gives none.",
        "road_class",
    ),
    ColumnDoc(
        "geometry",
        "geometry",
        _WHERE,
        "Line of the link; null for a link that is not among the roads. If a link has several "
        "different geometries, they are merged.",
        "geometry",
    ),
)
"""Columns of `speeds.parquet` and `speeds.gpkg`."""

COVERING: Final = ColumnDoc(
    "bbox",
    "struct",
    _WHERE,
    "Bounds of the geometry as `xmin`, `ymin`, `xmax`, `ymax`, so that readers can skip rows.",
)
"""What GeoParquet has besides."""

SPEEDS_CSV: Final = (
    ColumnDoc("linkID", "int64", "", _LINK, "link"),
    ColumnDoc("count(linkID)", "int64", "fixes", _FIXES, "fixes"),
    ColumnDoc("avg(absVelocity)", "float64", SPEED, _MEAN, "mean"),
    ColumnDoc(
        "geom",
        "geometry",
        _WHERE,
        "Line of the link as WKT, rounded to 7 decimals (about 1 cm); empty if it is missing.",
        "geometry",
    ),
)
"""Columns of `speeds.csv`: those of 2019, in their order."""

QUARANTINE: Final = (
    ColumnDoc("key", "text", "", "Key of the quarantined object."),
    ColumnDoc("etag", "text", "", "Version of the object, as the store listed it."),
    ColumnDoc("reason", "text", "", "Reason, in one word (`not_json`, `empty`, …)."),
    ColumnDoc("place", "text", "", "What was found, and where."),
)
"""Columns of `quarantine.csv`."""

DROPPED: Final = (
    ColumnDoc("reason", "text", "", "Why the record was dropped (`no_link`, `bad_speed`, …)."),
    ColumnDoc("key", "text", "", "Key of the object that holds it."),
    ColumnDoc("place", "int64", "records", "Number of records before it in the object."),
    ColumnDoc(
        "value",
        "text",
        "",
        "The value as in the document, up to 60 characters; empty if it is null or absent. For"
        " `not_a_record`: the beginning of the text, or where it holds NaN.",
    ),
)
"""Columns of `dropped.csv`."""

FILES: Final = {
    "speeds.csv": SPEEDS_CSV,
    "speeds.parquet": (*SPEEDS, COVERING),
    "speeds.gpkg": SPEEDS,
    "quarantine.csv": QUARANTINE,
    "dropped.csv": DROPPED,
}
"""Which file has which columns."""


def markdown(files: Mapping[str, Sequence[ColumnDoc]] = FILES) -> str:
    """Give the columns of files as Markdown tables, for `docs/outputs.md`."""
    parts = []
    for name, columns in files.items():
        rows = [
            f"| `{c.name}` | {c.dtype} | {c.unit} | {_filled(c.template, IN_THE_DOCS)} |"
            for c in columns
        ]
        head = ["| Column | Type | Unit | Meaning |", "|---|---|---|---|"]
        parts.append("\n".join([f"### `{name}`", "", *head, *rows]))
    return "\n\n".join(parts) + "\n"
