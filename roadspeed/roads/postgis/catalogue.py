"""A table or view of roads as a database's catalogue describes it. Pure: rows in, choice out.

Rule: a name is taken exactly as it is spelled, `name` where the search path finds it or
`schema.name`, with or without SQL's quotes; nothing is guessed between two that can have lines.
What a column of geometries declares (kind, SRID) is read from PostgreSQL's own words for its type:
`geometry(LineStringZ,27700)`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from mapreduce.errors import UsageError
from roadspeed.roads.rows.column_choice import choose_geometry, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roadspeed.roads.rows.answer import Named

CatalogueRow = tuple[str, str, str, str, str, str, str | None]
"""Schema, table, column, type, its category, its full words, schema of PostGIS."""

SPATIAL = ("geometry", "geography")
DECLARED = re.compile(r"\((?P<kind>[A-Za-z]+)(?:,(?P<srid>\d+))?\)$")
STRAIGHT = re.compile(r"^(Multi)?(LineString|Polygon|Point)(Z|M|ZM)?$", re.IGNORECASE)
QUOTED = re.compile(r'(?<![^.])"((?:[^"]|"")+)"(?=\.|$)')
NO_LINES = re.compile(
    r"^(Multi)?(Point|Polygon|Surface|Triangle|Tin|PolyhedralSurface)", re.IGNORECASE
)
KINDS = {
    "oid": "int",
    "int2": "int",
    "int4": "int",
    "int8": "int",
    "numeric": "numeric",
    "float4": "float",
    "float8": "float",
}


@dataclass(frozen=True, slots=True)
class DbColumn:
    """A column: its name, type (`int8`), category (`S` is text) and PostgreSQL's full words."""

    name: str
    type: str
    category: str
    words: str


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view of roads and which of its columns is the geometry."""

    schema: str
    table: str
    columns: tuple[DbColumn, ...]
    geometry: str
    postgis_schema: str

    @property
    def name(self) -> str:
        """Schema and table, for messages."""
        return f"{self.schema}.{self.table}"

    @property
    def attributes(self) -> list[str]:
        """The columns that can hold ids or classes."""
        return [column.name for column in self.columns if column.type not in SPATIAL]

    @property
    def with_ids(self) -> list[str]:
        """The columns that can hold ids."""
        return [column.name for column in self.columns if _kind_of_id(column) is not None]

    @property
    def is_geography(self) -> bool:
        """Whether the geometry is of PostGIS' type geography."""
        return self._column(self.geometry).type == "geography"

    @property
    def may_curve(self) -> bool:
        """Whether rows may hold arcs: not if the column declares straight lines."""
        declared = DECLARED.search(self._column(self.geometry).words)
        return declared is None or STRAIGHT.match(declared["kind"]) is None

    @property
    def other_geometries(self) -> list[str]:
        """Columns of geometry that were not chosen."""
        spatial = [column.name for column in self.columns if column.type in SPATIAL]
        return [name for name in spatial if name != self.geometry]

    def srid_of(self, name: str) -> int:
        """Return the SRID a column of geometries declares, 0 if none."""
        column = self._column(name)
        declared = DECLARED.search(column.words)
        default = 4326 if column.type == "geography" else 0
        return int(declared["srid"] or default) if declared else default

    def kind_of_id(self, name: str, where: str) -> str:
        """Return how a column holds ids: `int`, `numeric`, `float` or `text`."""
        column = self._column(name)
        kind = _kind_of_id(column)
        if kind is None:
            raise UsageError(
                f"{where}: expected integers, or text of integers, in the id column {name}, got "
                f"{column.words}. Its columns are: {listed(self.attributes)}. "
                "Name another: --roads-id COLUMN"
            )
        return kind

    def _column(self, name: str) -> DbColumn:
        return next(column for column in self.columns if column.name == name)


def unquoted(name: str) -> str:
    """Return the name of a table without the quotes that SQL may want around its parts."""
    return QUOTED.sub(lambda part: part[1].replace('""', '"'), name)


def _kind_of_id(column: DbColumn) -> str | None:
    return "text" if column.category == "S" else KINDS.get(column.type)


def chosen(found: Sequence[CatalogueRow], named: Named, where: str) -> Relation:
    """Choose the table that is meant.

    Parameters
    ----------
    found
        The catalogue's rows of the named table; all spatial tables' if none is named, or none
        has that name.
    named
        What the user named.
    where
        The database, for messages.

    Raises
    ------
    UsageError
        No such table, more than one, none with geometry, or no such geometry column.
    """
    tables = {key: list(rows) for key, rows in groupby(found, lambda row: (row[0], row[1]))}
    lined = {key: rows for key, rows in tables.items() if any(map(_may_be_lines, _columns(rows)))}
    options = [f"{schema}.{table}" for schema, table in lined or tables]
    if named.table is not None:
        wanted = unquoted(named.table)
        tables = {key: rows for key, rows in tables.items() if wanted in (key[1], ".".join(key))}
        if not tables:
            raise UsageError(
                f"{where}: expected a table {named.table!r}, spelled as in the database, but"
                f" found none that is readable. Tables with geometry: {listed(options)}. "
                f"Name one: --roads-table {options[0] if options else 'SCHEMA.TABLE'}"
            )
    if not tables:
        raise UsageError(
            f"{where}: expected a table with a PostGIS geometry, found none in this database. Is "
            "it the right one, and does it have PostGIS (CREATE EXTENSION postgis)?"
        )
    if len(lined) == 1:
        tables = lined
    if len(tables) > 1:
        raise UsageError(
            f"{where}: more than one table could hold the roads: {listed(options)}. "
            f"Name it: --roads-table {options[0]}"
        )
    ((schema, table), rows) = next(iter(tables.items()))
    columns = _columns(rows)
    return Relation(
        schema=schema,
        table=table,
        columns=columns,
        geometry=_geometry(columns, named.geometry_column, f"{where} table {schema}.{table}"),
        postgis_schema=rows[0][6] or "public",
    )


def _columns(rows: Sequence[CatalogueRow]) -> tuple[DbColumn, ...]:
    return tuple(DbColumn(*row[2:6]) for row in rows)


def _may_be_lines(column: DbColumn) -> bool:
    """Say whether a column is of geometry, and does not declare points or areas."""
    declared = DECLARED.search(column.words)
    return column.type in SPATIAL and not (declared and NO_LINES.match(declared["kind"]))


def _geometry(columns: Sequence[DbColumn], named: str | None, where: str) -> str:
    spatial = [column.name for column in columns if column.type in SPATIAL]
    if not spatial:
        raise UsageError(
            f"{where}: expected a column of PostGIS' type geometry, got: "
            f"{listed([f'{column.name} {column.words}' for column in columns])}"
        )
    lined = [column.name for column in columns if _may_be_lines(column)]
    for only in (spatial, lined):
        if named is None and len(only) == 1:
            return only[0]
    return choose_geometry(spatial, named, where)
