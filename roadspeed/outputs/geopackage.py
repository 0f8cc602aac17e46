"""`speeds.gpkg`: one layer `speeds` with a spatial index, descriptions, and a style that loads.

GDAL writes the features, the R-tree and the columns' descriptions (`gpkg_data_columns`); this adds
the row of `layer_styles` that QGIS takes as the layer's default. Links without a geometry keep
their row. Lines are stored as MULTILINESTRING, so that the layer has one type. The times of last
change are set to 1970: equal tables give equal bytes, and when it was is the receipt's to say.
Sources: OGC 12-128r15, GeoPackage 1.2.1; the `layer_styles` columns are those QGIS itself makes.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
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
    with whole(path) as partial:
        try:
            _write_features(partial, table, "MultiLineString" if lines else "Unknown")
            with closing(sqlite3.connect(partial)) as database, database:
                _check_complete(database, table)
                _describe_geometry(database, table)
                if lines:
                    _add_style(database, table)
                database.execute("UPDATE gpkg_contents SET last_change = ?", (UNCHANGED,))
        except (sqlite3.Error, DataLayerError, DataSourceError) as error:
            raise OSError(f"{path}: could not be written; is the disk full? {error}") from error


def about(table: LinkTable) -> str:
    """Give the layer's description: what it is, its unit, what sample it is of, and credits."""
    text = f"Speeds by road link in {table.unit}"
    text += "" if table.sample is None else f", of a sample: {table.sample}"
    credit = table.told.attribution
    return f"{text}. Roads: {credit}" if credit else text


def _write_features(path: Path, table: LinkTable, kind: str) -> None:
    fields = arrow.schema(table, covering=False)
    batches = arrow.batches(table, fields, multi=kind != "Unknown")
    pyogrio.write_arrow(
        pa.RecordBatchReader.from_batches(fields, batches),
        path,
        layer=LAYER,
        driver="GPKG",
        geometry_name=GEOMETRY,
        geometry_type=kind,
        crs="EPSG:4326",
        dataset_options={"VERSION": VERSION},
        layer_options={
            "GEOMETRY_NAME": GEOMETRY,
            "SPATIAL_INDEX": "YES",
            "IDENTIFIER": LAYER,
            "DESCRIPTION": about(table),
        },
    )


def _check_complete(database: sqlite3.Connection, table: LinkTable) -> None:
    """Count features and the index's entries: on a full disk GDAL drops the index in silence."""
    count = "SELECT (SELECT count(*) FROM speeds), (SELECT count(*) FROM rtree_speeds_geometry)"
    found = database.execute(count).fetchone()
    expected = (len(table), 0 if table.geometry is None else shapes.count_present(table.geometry))
    if found != expected:
        raise sqlite3.DatabaseError(f"expected {expected} features and index entries, got {found}")


def _describe_geometry(database: sqlite3.Connection, table: LinkTable) -> None:
    """Describe the one column whose description GDAL does not take."""
    [meaning] = [column.meaning_in(table) for column in SPEEDS if column.name == GEOMETRY]
    database.execute(
        "INSERT INTO gpkg_data_columns (table_name, column_name, description) VALUES (?, ?, ?)",
        (LAYER, GEOMETRY, meaning),
    )


def _add_style(database: sqlite3.Connection, table: LinkTable) -> None:
    database.execute(_STYLES)
    database.execute(
        "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, "
        "f_geometry_column, styleName, styleQML, styleSLD, useAsDefault, description, owner, ui, "
        "update_time) VALUES ('', '', ?, ?, 'speeds', ?, '', 1, ?, '', '', ?)",
        (LAYER, GEOMETRY, qml(table.unit, table.told.min_fixes), about(table), UNCHANGED),
    )
    database.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change) "
        "VALUES ('layer_styles', 'attributes', 'layer_styles', 'Styles that QGIS loads', ?)",
        (UNCHANGED,),
    )
