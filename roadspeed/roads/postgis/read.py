"""Roads from PostGIS. Beside `queries`, the only file that speaks SQL.

Rule: names go through `psycopg2.sql.Identifier`, ids travel as one array, never as literals, and
rows come back by binary COPY inside one read-only transaction. Round trips after connecting: one
to look at the table, one to send ids and read rows, one more for coordinates that are not in
degrees. A server that drops the line is asked once more from the start. Every error says what
to do next. Nothing is written to the database, no temporary table either, so a read-only replica
and a role with nothing but SELECT will do.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyproj
import shapely
from psycopg2 import sql

from mapreduce.errors import UsageError
from roadspeed.roads.postgis import queries
from roadspeed.roads.postgis.catalogue import Relation, chosen, unquoted
from roadspeed.roads.postgis.copy_format import CopiedRows
from roadspeed.roads.postgis.transaction import asked
from roadspeed.roads.postgis.url import Address, address_of
from roadspeed.roads.rows import column_choice, crs, matches, to_lonlat
from roadspeed.roads.rows.align import RoadRows, touching
from roadspeed.roads.rows.decoding import from_wkb
from roadspeed.roads.rows.preflight import Look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from roadspeed.roads.rows.answer import BBox, Ids, Named, Objects, OnRows

T = TypeVar("T")

WGS84 = 4326
SAMPLE_ROWS = 1000


def matching(ids: Ids, url: str, named: Named, on_progress: OnRows | None) -> list[RoadRows]:
    """Read the rows whose id is wanted.

    Parameters
    ----------
    ids
        As for `roadspeed.roads.join`.
    url, named, on_progress
        As for `roadspeed.roads.join`; called from another thread.

    Raises
    ------
    UsageError
        The address, table, columns, coordinates or permissions are not as expected.
    RoadsError
        The server cannot be reached, takes too long, or drops the line twice.
    """
    address = address_of(url, named)
    if not len(ids):
        return []

    def read(table: _Table) -> list[RoadRows]:
        has_id, whole = table.id_column()
        found: list[RoadRows] = []

        def take(places: NDArray[np.int64], geometry: Objects, words: Objects) -> None:
            found.append(table.rows(places - 1, geometry, words))
            table.count(len(places), on_progress, len(ids))

        table.copy(
            take,
            id_expression=sql.SQL("w.place"),
            condition=queries.WANTED.format(
                ids=_array(ids),
                whole=whole.format(column=sql.Identifier("r", has_id)),
            ),
        )
        degrees = table.in_degrees(found)
        if not table.strays.inside:
            table.strays.check(every=True)
        return degrees

    return _asked(address, read)


def ids(url: str, named: Named) -> Ids:
    """Read the ids of all rows, in any order."""
    return _asked(address_of(url, named), lambda table: table.ids())


def check(url: str, named: Named) -> None:
    """Connect, find the table and columns that `matching` will read, and roads to be joined."""
    address = address_of(url, named)
    _asked(address, lambda table: table.look())


def unjoined(ids: Ids, url: str, named: Named) -> str:
    """Say why none of the ids was joined: which columns hold how many of them."""
    address = address_of(url, named)
    some = ids[:: max(1, -(-len(ids) // matches.IDS))]

    def read(table: _Table) -> str:
        id_column, _ = table.id_column()
        found = [table.match(name, some) for name in table.relation.with_ids[: matches.COLUMNS]]
        return matches.told(some, found, table.where, id_column, table.relation.geometry)

    return _asked(address, read)


def within(
    bbox: BBox | None, url: str, named: Named, limit: int | None, on_progress: OnRows | None
) -> Iterable[RoadRows]:
    """Read all rows whose box touches a box (EPSG:4326), at most `limit`, in any order."""
    address = address_of(url, named)

    def read(table: _Table) -> list[RoadRows]:
        found: list[RoadRows] = []

        def take(numbers: NDArray[np.int64], geometry: Objects, words: Objects) -> None:
            found.append(table.rows(numbers, geometry, words))
            table.count(len(numbers), on_progress, None)

        # Where each row has a reference system of its own, the server cannot compare boxes.
        srid = table.relation.srid_of(table.relation.geometry)
        there = bbox is None or srid != 0
        condition = sql.SQL("WHERE {shape} IS NOT NULL").format(shape=table.shape)
        if bbox is not None and there:
            condition += sql.SQL(
                " AND {shape} OPERATOR({schema}.&&) {envelope}({edges}, {srid})"
            ).format(
                shape=table.shape,
                schema=sql.Identifier(table.relation.postgis_schema),
                envelope=table.function("st_makeenvelope"),
                edges=sql.SQL(", ").join(map(sql.Literal, to_lonlat.box_in(bbox, table.crs))),
                srid=sql.Literal(srid),
            )
        if limit is not None and there:
            condition += sql.SQL(" LIMIT {limit}").format(limit=sql.Literal(limit))
        table.copy(take, id_expression=sql.SQL("0::bigint"), condition=condition)
        return [touching(rows, bbox) for rows in table.in_degrees(found)]

    return _asked(address, read)


class _Table:
    """A table of roads inside an open transaction."""

    def __init__(self, cursor: Any, dsn: str, named: Named) -> None:
        self.cursor = cursor
        self.named = named
        self.came = 0
        spelled = None if named.table is None else unquoted(named.table)
        cursor.execute(queries.BEGIN + queries.RELATIONS, {"table": spelled})
        found = cursor.fetchall()
        if not found and named.table is not None:
            cursor.execute(queries.RELATIONS, {"table": None})
            found = cursor.fetchall()
        self.relation: Relation = chosen(found, named, dsn)
        self.where = f"{dsn} table {self.relation.name}"
        self.attributes = self.relation.attributes
        self.road_class = column_choice.choose_class(
            self.attributes, named.class_column, self.where
        )
        self.srid = self.relation.srid_of(self.relation.geometry)
        self.crs = crs.crs_named(named.crs) if named.crs else self._crs(self.srid)
        self.strays = to_lonlat.Strays(self.where)
        self.mixed = self.crs is None  # each row has a reference system of its own, or none
        self.shape = sql.Identifier("r", self.relation.geometry)
        if self.relation.is_geography:
            kind = sql.Identifier(self.relation.postgis_schema, "geometry")
            self.shape = sql.SQL("{shape}::{kind}").format(shape=self.shape, kind=kind)

    def id_column(self) -> tuple[str, sql.SQL]:
        """Choose the column of ids, and what makes ids of its kind."""
        name = column_choice.choose_id(self.attributes, self.named.id_column, self.where)
        return name, self._ids_in(name)

    def _ids_in(self, name: str) -> sql.SQL:
        if self.named.text_ids:
            return queries.TEXT
        return queries.WHOLE[self.relation.kind_of_id(name, self.where)]

    def ids(self) -> Ids:
        """Read all ids."""
        name, whole = self.id_column()
        self.cursor.execute(
            queries.IDS.format(
                id=whole.format(column=sql.Identifier("r", name)),
                table=sql.Identifier(self.relation.schema, self.relation.table),
            )
        )
        found = [id_ for (id_,) in self.cursor if id_ not in (None, "")]
        if self.named.text_ids:
            return np.array([id_.encode() for id_ in found], dtype=np.bytes_)
        return np.array(found, dtype=np.int64)

    def match(self, name: str, ids: Ids) -> matches.Match:
        """Find how many ids a column holds."""
        kind = self._ids_in(name)
        self.cursor.execute(
            queries.MATCH.format(
                ids=_array(ids),
                whole=kind.format(column=sql.Identifier("r", name)),
                table=sql.Identifier(self.relation.schema, self.relation.table),
                few=sql.Literal(matches.EXAMPLES),
            )
        )
        count, examples = self.cursor.fetchone()
        return matches.Match(name, count, tuple(examples))

    def count(self, rows: int, on_progress: OnRows | None, of: int | None) -> None:
        """Tell how many rows came so far."""
        self.came += rows
        if on_progress is not None:
            on_progress(self.came, of)

    def function(self, name: str) -> sql.Identifier:
        """Return a PostGIS function, wherever the extension is installed."""
        return sql.Identifier(self.relation.postgis_schema, name)

    def copy(
        self,
        take: Callable[[NDArray[np.int64], Objects, Objects], None],
        *,
        id_expression: sql.Composable,
        condition: sql.Composable,
    ) -> None:
        """Stream rows: id, geometry, class (if there is a column of it)."""
        shape = self.shape
        if self.relation.may_curve:
            shape = sql.SQL("CASE WHEN {arc}({g}) THEN {line}({g}) ELSE {g} END").format(
                g=shape, arc=self.function("st_hasarc"), line=self.function("st_curvetoline")
            )
        if not self.mixed:  # a bare geometry is sent with its SRID
            shape = sql.SQL("{plain}({g})").format(plain=self.function("st_asbinary"), g=shape)
        fields = [id_expression, shape]
        if self.road_class is not None:
            word = sql.Identifier("r", self.road_class)
            fields.append(sql.SQL("{word}::text").format(word=word))
        query = sql.SQL("COPY (SELECT {fields} FROM {table} AS r {condition}) TO STDOUT").format(
            fields=sql.SQL(", ").join(fields),
            table=sql.Identifier(self.relation.schema, self.relation.table),
            condition=condition,
        )
        copied = CopiedRows(take, has_class=self.road_class is not None)
        self.cursor.copy_expert(query + sql.SQL(" (FORMAT binary)"), copied)
        copied.close()

    def rows(self, positions: NDArray[np.int64], wkb: Objects, words: Objects) -> RoadRows:
        """Decode what came, and project it if every row has the table's reference system."""
        geometry = from_wkb(wkb)
        known = np.count_nonzero(wkb != None)  # noqa: E711 - element by element
        if not self.mixed:
            geometry = to_lonlat.to_lonlat(geometry, self.crs, self.strays)
        lost = int(known - np.count_nonzero(~shapely.is_missing(geometry)))
        return RoadRows(positions.astype(np.int64, copy=False), geometry, words, lost)

    def in_degrees(self, found: list[RoadRows], *, strict: bool = False) -> list[RoadRows]:
        """Project rows that brought reference systems of their own; `strict`: all are known."""
        if not self.mixed:
            return found
        srids = np.unique(
            np.concatenate(
                [np.zeros(1, dtype=np.int32), *(shapely.get_srid(r.geometry) for r in found)]
            )
        )
        known: dict[int, Any] = {}
        for srid in srids[srids > 0].tolist():
            with contextlib.nullcontext() if strict else contextlib.suppress(UsageError):
                known[srid] = self._crs(srid)
        return [to_lonlat.projected(rows, known, self.strays) for rows in found]

    def look(self) -> None:
        """Refuse a table in which no link could be joined to any row."""
        name, whole = self.id_column()
        look = Look(self.where, name, self.relation.geometry, self.attributes)
        found: list[RoadRows] = []

        def take(numbers: NDArray[np.int64], wkb: Objects, words: Objects) -> None:
            rows = self.rows(numbers, wkb, words)
            look.see_roads(rows.geometry)
            found.append(rows)

        has_id = whole.format(column=sql.Identifier("r", name))
        parts: dict[str, sql.Composable] = {
            name: self.function(called) for name, called in queries.FUNCTIONS.items()
        }
        parts |= {
            "id": has_id,
            "g": self.shape,
            "text": sql.SQL("{}::text").format(sql.Identifier("r", name)),
            "table": sql.Identifier(self.relation.schema, self.relation.table),
            "most": sql.Literal(SAMPLE_ROWS),
        }
        roads = queries.ROADS.format(**parts)
        self.copy(take, id_expression=sql.SQL("0::bigint"), condition=roads)
        if self.mixed:  # one that is no longitude and latitude tells of the others
            strange = queries.STRANGE.format(**parts)
            self.copy(take, id_expression=sql.SQL("0::bigint"), condition=strange)
        self.in_degrees(found, strict=True)
        self.strays.check(every=True)
        if not look.roads:
            self.cursor.execute(queries.SEEN.format(**parts))
            look.tell(*self.cursor.fetchone(), lost=sum(rows.unreadable for rows in found))
            look.beside = self._lined()
            look.judge(self.strays, to_the_end=True)

    def _lined(self) -> list[str]:
        """Give the other columns of geometry that have a line."""
        found = []
        for name in self.relation.other_geometries:
            self.cursor.execute(
                queries.LINED.format(
                    table=sql.Identifier(self.relation.schema, self.relation.table),
                    dimension=self.function("st_dimension"),
                    g=sql.SQL("{}::{}").format(
                        sql.Identifier("r", name),
                        sql.Identifier(self.relation.postgis_schema, "geometry"),
                    ),
                )
            )
            if self.cursor.fetchone()[0]:
                found.append(name)
        return found

    def _crs(self, srid: int) -> Any:
        if srid == 0:
            return None
        if srid == WGS84:
            return crs.WGS84
        table = sql.Identifier(self.relation.postgis_schema, "spatial_ref_sys")
        query = sql.SQL("SELECT auth_name, auth_srid, srtext, proj4text FROM {} WHERE srid = {}")
        self.cursor.execute(query.format(table, sql.Literal(srid)))
        for authority, code, *definitions in self.cursor.fetchall():
            names = [f"{authority}:{code}"] if authority and code else []
            for said in [*names, *filter(None, definitions)]:
                with contextlib.suppress(pyproj.exceptions.CRSError, ValueError):
                    return crs.usable(pyproj.CRS.from_user_input(said))
        raise UsageError(
            f"{self.where}: its coordinates are in SRID {srid}, and what the database's "
            f"spatial_ref_sys says of it does not lead to longitude and latitude. {crs.REMEDY}"
        )


def _asked(address: Address, read: Callable[[_Table], T]) -> T:
    """Open the table in a transaction, and read."""
    return asked(
        address.dsn,
        address.named.table or "the roads",
        lambda cursor: read(_Table(cursor, address.dsn, address.named)),
    )


def _array(ids: Ids) -> sql.Composable:
    """Write ids as one array, with its type."""
    if ids.dtype.kind == "S":
        words = [id_.decode() for id_ in ids.tolist()]
        return sql.SQL("{}::text[]").format(sql.Literal(words))
    return sql.SQL("{}::bigint[]").format(sql.Literal("{" + ",".join(map(str, ids.tolist())) + "}"))
