"""A GeoPackage of one layer, such as `speeds.gpkg` with its layer `speeds`.

It has a spatial index, descriptions, and a style that loads. GDAL writes the features, the R-tree
and the columns' descriptions (`gpkg_data_columns`); this adds the row of `layer_styles` that QGIS
takes as the layer's default. Links without a geometry keep their row. Lines are stored as
MULTILINESTRING, so that the layer has one type. The times of last change are set to 1970: equal
tables give equal bytes, and when it was is the receipt's to say. Sources: OGC 12-128r15, GeoPackage
1.2.1; the `layer_styles` columns are those QGIS itself makes.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError

from mapreduce.atomic_file import whole
from mapreduce.errors import UsageError
from roadspeed.outputs import arrow, shapes
from roadspeed.outputs.column_docs import SPEEDS
from roadspeed.outputs.qgis_style import qml

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from pathlib import Path

    from roadspeed.outputs.link_table import LinkTable

LAYER: Final = "speeds"
GEOMETRY: Final = "geometry"
VERSION: Final = "1.2"  # programs of before 2023 warn of a later one, and nothing here needs it
UNCHANGED: Final = "1970-01-01T00:00:00.000Z"

_STYLES: Final = """
CREATE TABLE layer_styles (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  f_table_catalog TEXT(256), f_table_schema TEXT(256), f_table_name TEXT(256),
  f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
  useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30), update_time DATETIME)
"""


@dataclass(frozen=True, slots=True)
class Layer:
    """What is to be written.

    Attributes
    ----------
    name, description
        Of the layer.
    fields
        Its columns, `geometry` among them, which is WKB.
    batches
        Its rows.
    rows, shapes
        How many there are, and how many of them have a geometry.
    kind
        Of its geometries: "MultiLineString", or "Unknown" for several.
    geometry_meaning
        What the geometry is: the one column whose description GDAL does not take.
    style
        QML; "" for none.
    """

    name: str
    description: str
    fields: pa.Schema
    batches: Iterable[pa.RecordBatch]
    rows: int
    shapes: int
    kind: str
    geometry_meaning: str
    style: str


def write_geopackage(path: str | os.PathLike[str], table: LinkTable) -> None:
    """Write the table as a GeoPackage that QGIS opens in colour.

    Parameters
    ----------
    path
        Where the file goes; its name ends in `.gpkg`.
    table
        What is written: every column of `columns.SPEEDS`.

    Raises
    ------
    UsageError
        Where the table has no geometry column.
    OSError
        Where the disk does not take it, whichever library notices.
    """
    if table.geometry is None:
        raise UsageError(f"{path}: a GeoPackage needs geometry; set the roads with --roads")
    lines = shapes.are_lines(table.geometry)
    fields = arrow.schema(table, covering=False)
    layer = Layer(
        name=LAYER,
        description=about(table),
        fields=fields,
        batches=arrow.batches(table, fields, multi=lines),
        rows=len(table),
        shapes=shapes.count_present(table.geometry),
        kind="MultiLineString" if lines else "Unknown",
        geometry_meaning=geometry_meaning(table),
        style=qml(table.unit, table.told.min_fixes) if lines else "",
    )
    write_layer(path, layer)


def write_layer(path: str | os.PathLike[str], layer: Layer) -> None:
    """Write a file of one layer, whole or not at all.

    Raises
    ------
    OSError
        Where the disk does not take it, whichever library notices.
    """
    with whole(path) as partial:
        try:
            _write_features(partial, layer)
            with closing(sqlite3.connect(partial)) as database, database:
                _check_complete(database, layer)
                _describe_geometry(database, layer)
                if layer.style:
                    _add_style(database, layer)
                database.execute("UPDATE gpkg_contents SET last_change = ?", (UNCHANGED,))
        except (sqlite3.Error, DataLayerError, DataSourceError) as error:
            raise OSError(f"{path}: could not be written; is the disk full? {error}") from error


def about(table: LinkTable) -> str:
    """Give the layer's description: what it is, its unit, what sample it is of, and credits."""
    text = f"Speeds by road link in {table.unit}"
    text += "" if table.sample is None else f", of a sample: {table.sample}"
    credit = table.told.attribution
    return f"{text}. Roads: {credit}" if credit else text


def geometry_meaning(table: LinkTable) -> str:
    """Give what the geometry of a table's links means."""
    [meaning] = [column.meaning_in(table) for column in SPEEDS if column.name == GEOMETRY]
    return meaning


def _write_features(path: Path, layer: Layer) -> None:
    pyogrio.write_arrow(
        pa.RecordBatchReader.from_batches(layer.fields, layer.batches),
        path,
        layer=layer.name,
        driver="GPKG",
        geometry_name=GEOMETRY,
        geometry_type=layer.kind,
        crs="EPSG:4326",
        dataset_options={"VERSION": VERSION},
        layer_options={
            "GEOMETRY_NAME": GEOMETRY,
            "SPATIAL_INDEX": "YES",
            "IDENTIFIER": layer.name,
            "DESCRIPTION": layer.description,
        },
    )


def _check_complete(database: sqlite3.Connection, layer: Layer) -> None:
    """Count features and the index's entries: on a full disk GDAL drops the index in silence."""
    tables = layer.name, f"rtree_{layer.name}_{GEOMETRY}"
    count = "SELECT " + ", ".join(f"(SELECT count(*) FROM {table})" for table in tables)  # noqa: S608 - names of ours
    found = database.execute(count).fetchone()
    expected = layer.rows, layer.shapes
    if found != expected:
        raise sqlite3.DatabaseError(f"expected {expected} features and index entries, got {found}")


def _describe_geometry(database: sqlite3.Connection, layer: Layer) -> None:
    """Describe the one column whose description GDAL does not take."""
    database.execute(
        "INSERT INTO gpkg_data_columns (table_name, column_name, description) VALUES (?, ?, ?)",
        (layer.name, GEOMETRY, layer.geometry_meaning),
    )


def _add_style(database: sqlite3.Connection, layer: Layer) -> None:
    database.execute(_STYLES)
    database.execute(
        "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, "
        "f_geometry_column, styleName, styleQML, styleSLD, useAsDefault, description, owner, ui, "
        "update_time) VALUES ('', '', ?, ?, 'speeds', ?, '', 1, ?, '', '', ?)",
        (layer.name, GEOMETRY, layer.style, layer.description, UNCHANGED),
    )
    database.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change) "
        "VALUES ('layer_styles', 'attributes', 'layer_styles', 'Styles that QGIS loads', ?)",
        (UNCHANGED,),
    )
