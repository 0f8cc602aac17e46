"""Cells of geometry -> shapely: WKB, EWKB, WKT, EWKT, hexadecimal, GeoJSON, each row its own.

Rule: what cannot be decoded, or has an x or y that is no number or infinite, is None: never an
exception, never a warning. Arcs become lines of short pieces, as GDAL does it (a point every 4
degrees). Whatever has an SRID keeps it. Surfaces of triangles and polygons have no lines in them
and stay None: `kind_of` tells what they were.
"""

from __future__ import annotations

import csv
import re
import struct
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from mapreduce.errors import UsageError
from roadspeed.roads.rows.cells import is_bytes, plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from roadspeed.roads.rows.answer import Objects

SRID_PREFIX = re.compile(r"^SRID\s*=\s*(-?[0-9]{1,9})\s*;\s*", re.IGNORECASE)
FIRST_WORD = re.compile(r"^[A-Za-z]+")
HEXADECIMAL = re.compile(r"^(?:\\x|0x)?(0[01][0-9A-Fa-f]{8,})$")
MEASURED = re.compile(r"^([A-Za-z]+?)(ZM|Z|M)\s*(?=\(|EMPTY)", re.IGNORECASE)
BYTE_ORDERS = (b"\x00", b"\x01")
EWKB_SRID = 0x20000000
KINDS = (  # ISO 19125 and SQL/MM, by number
    *("GEOMETRY", "POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING"),
    *("MULTIPOLYGON", "GEOMETRYCOLLECTION", "CIRCULARSTRING", "COMPOUNDCURVE", "CURVEPOLYGON"),
    *("MULTICURVE", "MULTISURFACE", "CURVE", "SURFACE", "POLYHEDRALSURFACE", "TIN", "TRIANGLE"),
)


def decoded(column: Any) -> tuple[Objects, int]:
    """Decode a column of geometries.

    Returns
    -------
    geometry : object[n]
        Shapely geometries; None for null, empty text and for what cannot be read. They carry an
        SRID where the source does.
    unreadable : int
        How many are there and could not be read.
    """
    column = plain(column)
    if is_bytes(column.type):
        raw = column.to_numpy(zero_copy_only=False)
        geometry = from_wkb(raw) if _all_wkb(raw) else _each(raw)
    else:
        geometry = np.full(len(column), None, dtype=object)
    return geometry, int(np.count_nonzero(shapely.is_missing(geometry))) - column.null_count


def from_wkb(raw: Objects) -> Objects:
    """Decode WKB and EWKB; what cannot be decoded or is not finite becomes None."""
    return finite(_parsed(shapely.from_wkb, raw, bytes.hex))


def finite(geometry: Objects) -> Objects:
    """Replace geometries with an x or y that is NaN or infinite by None."""
    coordinates, owners = shapely.get_coordinates(geometry, return_index=True)
    good = np.isfinite(coordinates)
    if good.all():
        return geometry
    geometry = geometry.copy()
    geometry[owners[~good.all(axis=1)]] = None
    return geometry


def kind_of(cell: Any) -> str:
    """Name what kind of geometry a cell says it is, "" if it says none."""
    if isinstance(cell, bytes):
        if cell[:1] in BYTE_ORDERS and len(cell) >= 5:  # noqa: PLR2004 - order and type
            number = struct.unpack_from("<I" if cell[0] else ">I", cell, 1)[0] & 0x1FFFFFFF
            return KINDS[number % 1000] if number % 1000 < len(KINDS) else ""
        cell = cell[:80].decode("ascii", "replace")
    text = SRID_PREFIX.sub("", str(cell).strip())
    if found := HEXADECIMAL.match(text[: len(text) & ~1]):
        return kind_of(bytes.fromhex(found[1][:10]))
    word = FIRST_WORD.match(text)
    said = word[0].upper() if word else ""
    return next((kind for kind in KINDS if said in {kind, f"{kind}Z", f"{kind}M"}), "")


def _all_wkb(raw: Objects) -> bool:
    return all(cell is None or cell[:1] in BYTE_ORDERS for cell in raw.tolist())


def _each(raw: Objects) -> Objects:
    """Decode cells that may be of different forms, form by form."""
    wkb, wkt, geojson = (np.full(len(raw), None, dtype=object) for _ in range(3))
    srids = np.zeros(len(raw), dtype=np.int32)
    for at, cell in enumerate(raw.tolist()):
        if cell is None:
            continue
        if cell[:1] in BYTE_ORDERS:
            wkb[at] = cell
            continue
        text = cell.decode("ascii", "replace").strip()
        if found := HEXADECIMAL.match(text):
            wkb[at] = bytes.fromhex(found[1]) if len(found[1]) % 2 == 0 else None
        elif text.startswith("{"):
            geojson[at] = text
        else:
            if prefix := SRID_PREFIX.match(text):
                srids[at] = int(prefix[1])
                text = text[prefix.end() :]
            wkt[at] = MEASURED.sub(r"\1 \2 ", text)
    geometry = _parsed(shapely.from_wkt, wkt, str)
    geometry = np.where(shapely.is_missing(geometry), from_wkb(wkb), geometry)
    if any(text is not None for text in geojson):
        read = shapely.from_geojson(geojson, on_invalid="ignore")
        geometry = np.where(shapely.is_missing(geometry), read, geometry)
    marked = (srids > 0) & ~shapely.is_missing(geometry)
    if marked.any():
        geometry[marked] = shapely.set_srid(geometry[marked], srids[marked])
    return finite(geometry)


def _parsed(read: Callable[..., Any], raw: Objects, as_text: Callable[[Any], str]) -> Objects:
    """Decode by shapely and, since it knows no arcs and ends at the first, those by GDAL."""
    with np.errstate(all="ignore"):
        try:
            return np.asarray(read(raw, on_invalid="ignore"), dtype=object)
        except NotImplementedError:
            pass
        geometry, curved = np.full(len(raw), None, dtype=object), []
        for at, cell in enumerate(raw.tolist()):
            try:
                geometry[at] = None if cell is None else read(cell, on_invalid="ignore")
            except NotImplementedError:
                curved.append(at)
        lines = shapely.from_wkb(_straightened([as_text(raw[at]) for at in curved]))
        srids = [_srid(raw[at]) for at in curved]
        geometry[curved] = shapely.set_srid(lines, srids)
    return geometry


def _srid(cell: Any) -> int:
    """Return the SRID that EWKB says, 0 if none."""
    if not isinstance(cell, bytes):
        return 0
    order = "<" if cell[0] else ">"
    (number,) = struct.unpack_from(f"{order}I", cell, 1)
    return struct.unpack_from(f"{order}i", cell, 5)[0] if number & EWKB_SRID else 0


def _straightened(texts: list[str]) -> Objects:
    """Turn WKT or hexadecimal WKB with arcs into WKB of lines; None where GDAL cannot."""
    try:
        import pyogrio  # noqa: PLC0415 - an extra of its own
    except ImportError:
        raise UsageError(
            "these roads have arcs, and GDAL, which is needed to read them, is not installed:"
            " pip install 'roadspeed[gdal]'"
        ) from None
    lines = np.full(len(texts), None, dtype=object)
    with tempfile.TemporaryDirectory(prefix="roads-") as folder:
        path = Path(folder, "curves.csv")
        with path.open("w", encoding="ascii", errors="replace", newline="") as file:
            csv.writer(file).writerows([("g", "at"), *zip(texts, range(len(texts)), strict=True)])
        with quietly():
            _, _, shapes, (at,) = pyogrio.raw.read(
                path, columns=["at"], GEOM_POSSIBLE_NAMES="g", KEEP_GEOM_COLUMNS="NO"
            )
    lines[at.astype(np.int64)] = shapes
    return lines


def quietly() -> warnings.catch_warnings[None]:
    """Keep GDAL's remarks from the screen: what matters of them is an error or counted."""
    return warnings.catch_warnings(action="ignore", category=RuntimeWarning)
