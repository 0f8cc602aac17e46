"""`speeds.csv`, as in 2019: `linkID;count(linkID);avg(absVelocity);geom`, ascending by link.

Only an id that is text with a semicolon, a quote or a line end is quoted (RFC 4180). Numbers are
the shortest text that gives the same double back, lines end in a newline, and equal tables give
equal bytes. The header has no room for a unit or a note, so both stand in
`speeds.csv-metadata.json` beside it, where the W3C's Metadata Vocabulary for Tabular Data (2015)
says to look. A geometry is never cut: one of more than 131,072 characters (about 5,400 points) is
above what Python's csv module takes by default, and the metadata then says so.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mapreduce.atomic_file import whole
from mapreduce.json_file import write_json
from roadspeed.outputs import shapes
from roadspeed.outputs.column_docs import SPEEDS_CSV

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from roadspeed.outputs.link_table import LinkTable

CHUNK_ROWS: Final = 50_000
FIELD_LIMIT: Final = 131_072  # csv.field_size_limit() of a fresh interpreter

_XSD: Final = {"int64": "long", "float64": "double", "geometry": "string", "text": "string"}


def write_csv(path: str | os.PathLike[str], table: LinkTable) -> Path:
    """Write the table as in 2019, and its metadata beside it.

    Parameters
    ----------
    path
        Where the CSV goes; the metadata's name is the same with `-metadata.json` behind.
    table
        What is written: link, fixes, mean, geometry.

    Returns
    -------
    Path
        Where the metadata is.
    """
    target = Path(path)
    longest = 0
    with whole(target) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        file.write(";".join(column.name for column in SPEEDS_CSV) + "\n")
        for piece in table.chunks(CHUNK_ROWS):
            wkt = [""] * len(piece) if piece.geometry is None else shapes.as_wkt(piece.geometry)
            longest = max(longest, *map(len, wkt))
            file.writelines(_lines(piece, wkt))
    beside = target.with_name(f"{target.name}-metadata.json")
    write_json(beside, _metadata(target.name, table, longest))
    return beside


def _lines(table: LinkTable, wkt: list[str]) -> Iterator[str]:
    links = map(_quoted, table.ids) if table.has_text_ids else table.ids
    rows = zip(links, table.fixes.tolist(), table.mean.tolist(), wkt, strict=True)
    for link, fixes, mean, geometry in rows:
        yield f"{link};{fixes};{'' if math.isnan(mean) else repr(mean)};{geometry}\n"


def _quoted(text: Any) -> str:
    quoted = text.replace('"', '""')
    return f'"{quoted}"' if any(mark in text for mark in ';"\r\n') else str(text)


def _metadata(name: str, table: LinkTable, longest: int) -> dict[str, Any]:
    """Describe the file in the W3C's vocabulary: dialect, columns, units, what it covers."""
    columns = [
        {
            "name": column.source,
            "titles": column.name,
            "datatype": _XSD[column.dtype_in(table)],
            "dc:description": column.meaning_in(table),
            **({"schema:unitText": column.unit_in(table.unit)} if column.unit else {}),
        }
        for column in SPEEDS_CSV
    ]
    notes = [] if table.sample is None else [f"Of a sample: {table.sample}."]
    if longest > FIELD_LIMIT:
        notes.append(
            f"The longest geometry has {longest} characters. Python's csv module needs "
            f"csv.field_size_limit({longest}); some spreadsheets and QGIS releases cut it, so "
            "take speeds.gpkg there."
        )
    return {
        "@context": "http://www.w3.org/ns/csvw",
        "url": name,
        "dc:title": f"Speeds by road link in {table.unit}",
        **({"dc:description": " ".join(notes)} if notes else {}),
        **({"dc:rights": f"Roads: {table.told.attribution}"} if table.told.attribution else {}),
        "dialect": {"delimiter": ";", "header": True, "encoding": "utf-8"},
        "tableSchema": {"columns": columns, "primaryKey": "link"},
    }
