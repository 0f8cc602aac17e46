"""Roads from PostGIS. The only file that speaks SQL.

Rule: names go through `psycopg2.sql.Identifier`, ids travel as one array, never as literals, and
rows come back by binary COPY inside one read-only transaction. Round trips after connecting: one
to look at the table, one to send ids and read rows, one more for coordinates that are not in
degrees. A server that drops the line is asked once more from the start. Every error says what
to do next. Nothing is written to the database, no temporary table either, so a read-only replica
and a role with nothing but SELECT will do.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import time
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import psycopg2
import pyproj
import shapely
from psycopg2 import sql

from mapreduce.errors import UsageError
from roadspeed.roads import RoadsError, columns, projection
from roadspeed.roads.address import address_of
from roadspeed.roads.copied import CopiedRows
from roadspeed.roads.faults import Dropped, connecting, reading
from roadspeed.roads.layer import from_wkb
from roadspeed.roads.merging import Rows, touching
from roadspeed.roads.relation import Relation, chosen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from roadspeed.roads import BBox, Named, Objects, OnRows

T = TypeVar("T")

CONNECT = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "application_name": "roadspeed",
}
STATEMENT_TIMEOUT = "10min"
RETRY_PAUSE_S = 0.5
WGS84 = 4326

# One transaction sees one state of the roads. A time limit of the user's own goes before ours.
# Compiling a query that runs once costs more than it saves.
BEGIN = f"""
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT set_config('statement_timeout', CASE current_setting('statement_timeout')
         WHEN '0' THEN '{STATEMENT_TIMEOUT}' ELSE current_setting('statement_timeout') END, true),
       set_config('jit', 'off', true);
"""
RELATIONS = """
SELECT n.nspname, c.relname, a.attname, t.typname, t.typcategory,
       format_type(a.atttypid, a.atttypmod),
       (SELECT s.nspname FROM pg_extension e JOIN pg_namespace s ON s.oid = e.extnamespace
         WHERE e.extname = 'postgis')
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid
 WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p')
   AND CASE WHEN %(table)s::text IS NULL
            THEN EXISTS (SELECT FROM pg_attribute g JOIN pg_type y ON y.oid = g.atttypid
                          WHERE g.attrelid = c.oid AND NOT g.attisdropped
                            AND y.typname IN ('geometry', 'geography'))
             AND n.nspname NOT IN ('pg_catalog', 'information_schema')
            ELSE (c.relname = %(table)s AND pg_table_is_visible(c.oid))
              OR n.nspname || '.' || c.relname = %(table)s END
 ORDER BY n.nspname, c.relname, a.attnum
"""

# What an id is, by the category of its column's type; anything else is NULL and matches nothing.
WHOLE = {
    "int": sql.SQL("{column}::bigint"),
    "numeric": sql.SQL(
        "CASE WHEN {column} BETWEEN -9223372036854775808 AND 9223372036854775807"
        " AND {column} = trunc({column}) THEN {column}::bigint END"
    ),
    "float": sql.SQL(
        "CASE WHEN {column} BETWEEN -9007199254740992 AND 9007199254740992"
        " AND {column} = trunc({column}::float8) THEN {column}::bigint END"
    ),
    "text": sql.SQL(
        "CASE WHEN {column}::text COLLATE \"C\" ~ '^-?0*[0-9]{{1,19}}$' THEN CASE WHEN"
        " {column}::numeric BETWEEN -9223372036854775808 AND 9223372036854775807"
        " THEN {column}::bigint END END"
    ),
}

WANTED = sql.SQL("JOIN unnest({ids}::bigint[]) AS w(id) ON w.id = {whole}")


def matching(
    ids: NDArray[np.int64], url: str, named: Named, on_progress: OnRows | None
) -> list[Rows]:
    """Read the rows whose id is wanted.

    Parameters
    ----------
    ids
        int64[n], strictly ascending.
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

    def read(table: _Table) -> list[Rows]:
        has_id, whole = table.id_column()
        found: list[Rows] = []

        def take(read_ids: NDArray[np.int64], geometry: Objects, words: Objects) -> None:
            place = np.searchsorted(ids, read_ids)
            found.append(table.rows(place, geometry, words))
            table.count(len(read_ids), on_progress, len(ids))

        table.copy(
            take,
            id_expression=whole.format(column=sql.Identifier("r", has_id)),
            condition=WANTED.format(
                ids=sql.Literal("{" + ",".join(map(str, ids.tolist())) + "}"),
                whole=whole.format(column=sql.Identifier("r", has_id)),
            ),
        )
        return table.readable(table.in_degrees(found))

    return _asked(address.dsn, address.named, read)


def check(url: str, named: Named) -> None:
    """Connect, and find the table and the columns that `matching` will read; no row is read."""
    address = address_of(url, named)
    _asked(address.dsn, address.named, lambda table: table.id_column())


def within(
    bbox: BBox | None, url: str, named: Named, limit: int | None, on_progress: OnRows | None
) -> Iterable[Rows]:
    """Read all rows whose box touches a box (EPSG:4326), at most `limit`, in any order."""
    address = address_of(url, named)

    def read(table: _Table) -> list[Rows]:
        found: list[Rows] = []

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
                edges=sql.SQL(", ").join(map(sql.Literal, projection.box_in(bbox, table.crs))),
                srid=sql.Literal(srid),
            )
        if limit is not None and there:
            condition += sql.SQL(" LIMIT {limit}").format(limit=sql.Literal(limit))
        table.copy(take, id_expression=sql.SQL("0::bigint"), condition=condition)
        return [touching(rows, bbox) for rows in table.in_degrees(found)]

    return _asked(address.dsn, address.named, read)


class _Table:
    """A table of roads inside an open transaction."""

    def __init__(self, cursor: Any, dsn: str, named: Named) -> None:
        self.cursor = cursor
        self.named = named
        self.came = 0
        cursor.execute(BEGIN + RELATIONS, {"table": named.table})
        found = cursor.fetchall()
        if not found and named.table is not None:
            cursor.execute(RELATIONS, {"table": None})
            found = cursor.fetchall()
        self.relation: Relation = chosen(found, named, dsn)
        self.where = f"{dsn} table {self.relation.name}"
        self.attributes = self.relation.attributes
        self.road_class = columns.choose_class(self.attributes, named.class_column, self.where)
        self.srid = self.relation.srid_of(self.relation.geometry)
        self.crs = projection.crs_named(named.crs) if named.crs else self._crs(self.srid)
        self.mixed = self.crs is None  # each row has a reference system of its own, or none
        self.shape = sql.Identifier("r", self.relation.geometry)
        if self.relation.is_geography:
            kind = sql.Identifier(self.relation.postgis_schema, "geometry")
            self.shape = sql.SQL("{shape}::{kind}").format(shape=self.shape, kind=kind)

    def id_column(self) -> tuple[str, sql.SQL]:
        """Choose the column of ids, and what makes whole numbers of its kind."""
        name = columns.choose_id(self.attributes, self.named.id_column, self.where)
        return name, WHOLE[self.relation.kind_of_id(name, self.where)]

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

    def rows(self, positions: NDArray[np.int64], wkb: Objects, words: Objects) -> Rows:
        """Decode what came, and project it if every row has the table's reference system."""
        geometry = from_wkb(wkb)
        known = np.count_nonzero(wkb != None)  # noqa: E711 - element by element
        if not self.mixed:
            geometry = projection.to_lonlat(geometry, self.crs, self.where)
        lost = int(known - np.count_nonzero(~shapely.is_missing(geometry)))
        return Rows(positions.astype(np.int64, copy=False), geometry, words, lost)

    def in_degrees(self, found: list[Rows]) -> list[Rows]:
        """Project rows that brought reference systems of their own."""
        if not self.mixed:
            return found
        srids = np.unique(
            np.concatenate(
                [np.zeros(1, dtype=np.int32), *(shapely.get_srid(r.geometry) for r in found)]
            )
        )
        known = {srid: self._crs(srid) for srid in srids.tolist() if srid >= 0}
        return [projection.projected(rows, known, self.where) for rows in found]

    def readable(self, found: list[Rows]) -> list[Rows]:
        """Return the rows, but refuse a column none of whose geometries made sense, as files do."""
        lost = sum(rows.unreadable for rows in found)
        if lost and all(shapely.is_missing(rows.geometry).all() for rows in found):
            raise UsageError(
                f"{self.where}: expected lines of finite coordinates in the geometry column "
                f"{self.relation.geometry}, and none of the {lost:,} rows of wanted ids has any. "
                "Name another: --roads-geometry COLUMN"
            )
        return found

    def _crs(self, srid: int) -> Any:
        if srid == 0:
            return None
        if srid == WGS84:
            return projection.WGS84
        table = sql.Identifier(self.relation.postgis_schema, "spatial_ref_sys")
        query = sql.SQL("SELECT auth_name, auth_srid, srtext, proj4text FROM {} WHERE srid = {}")
        self.cursor.execute(query.format(table, sql.Literal(srid)))
        for authority, code, *definitions in self.cursor.fetchall():
            names = [f"{authority}:{code}"] if authority and code else []
            for said in [*names, *filter(None, definitions)]:
                with contextlib.suppress(pyproj.exceptions.CRSError):
                    return pyproj.CRS.from_user_input(said)
        raise UsageError(
            f"{self.where}: its coordinates are in SRID {srid}, which the database's "
            f"spatial_ref_sys does not explain. {projection.REMEDY}"
        )


def _asked(dsn: str, named: Named, read: Callable[[_Table], T]) -> T:
    """Ask the server; if it drops the line half-way, once more."""
    try:
        return _in_thread(dsn, named, read)
    except Dropped:
        time.sleep(RETRY_PAUSE_S)
    try:
        return _in_thread(dsn, named, read)
    except Dropped as again:
        raise RoadsError(
            f"{dsn}: the server dropped the line twice while roads were read ({again}). Look into "
            "its log, then run the same command again"
        ) from again


def _in_thread(dsn: str, named: Named, read: Callable[[_Table], T]) -> T:
    """Read in a thread, since libpq waits deaf: so an interrupt is heard, and cancels."""
    opened: list[Any] = []

    def work() -> T:
        with _transaction(dsn, named, opened) as table:
            return read(table)

    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="roads") as pool:
        future = pool.submit(work)
        try:
            return future.result()
        except KeyboardInterrupt:
            for connection in opened:
                connection.cancel()
            raise


@contextlib.contextmanager
def _transaction(dsn: str, named: Named, opened: list[Any]) -> Iterator[_Table]:
    with connecting(dsn):
        theirs = psycopg2.extensions.parse_dsn(dsn)
        settings = {name: value for name, value in CONNECT.items() if name not in theirs}
        connection = psycopg2.connect(dsn, client_encoding="UTF8", **settings)
    opened.append(connection)
    with contextlib.closing(connection):
        connection.autocommit = True  # BEGIN is ours: it rides along with the first question
        with connection.cursor() as cursor, reading(connection, dsn, named.table or "the roads"):
            yield _Table(cursor, dsn, named)
