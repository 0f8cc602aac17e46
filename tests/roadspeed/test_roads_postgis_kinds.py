"""Tables of PostGIS as people make them: each kind of relation, geometry, id, name and address."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import shapely

from mapreduce.engines.local import Local
from mapreduce.errors import UsageError
from roadspeed import roads
from roadspeed.road_source import RoadSource
from roadspeed.roads.postgis.url import address_of
from roadspeed.roads.rows.answer import Named
from roadspeed.run import RunRequest, run_speeds

if TYPE_CHECKING:
    from pathlib import Path

    from tests.services.postgis import Postgis

IDS = np.array([3, 11], dtype=np.int64)
LINES = {3: "LINESTRING (-6 54, -6.5 54.5)", 11: "LINESTRING (-7 55, -7.1 55.1, -7.2 55)"}
PLAIN = "CREATE TABLE roads (link_id int, geom geometry(LineString, 4326));"
FILL = "".join(
    f"INSERT INTO roads (link_id, geom) VALUES ({id_}, 'SRID=4326;{line}');"
    for id_, line in LINES.items()
)
ROWS = ", ".join(f"({id_}, 'SRID=4326;{line}'::geometry)" for id_, line in LINES.items())
NAMED = f"FROM (VALUES {ROWS}) AS v (link_id, geom)"
AS = "CREATE TABLE roads AS SELECT"
LINED = "CREATE TABLE roads (link_id text, geom geometry(LineString, 4326));"
RIGHT = {
    "a view": f"CREATE VIEW roads AS SELECT link_id, geom AS shape {NAMED};",
    "a materialised view": f"CREATE MATERIALIZED VIEW roads AS SELECT * {NAMED};",
    "a partitioned table": (
        "CREATE TABLE roads (link_id int, geom geometry(LineString, 4326)) PARTITION BY RANGE"
        " (link_id); CREATE TABLE few PARTITION OF roads FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE many PARTITION OF roads FOR VALUES FROM (10) TO (99);" + FILL
    ),
    "a generated column": (
        "CREATE TABLE roads (link_id int, wkt text, geom geometry(LineString, 4326)"
        " GENERATED ALWAYS AS (ST_GeomFromText(wkt, 4326)) STORED);"
        + "".join(f"INSERT INTO roads VALUES ({i}, '{line}');" for i, line in LINES.items())
    ),
    "geography": f"{AS} link_id, geom::geography AS geog {NAMED};",
    "no SRID, in degrees": f"{AS} link_id, ST_SetSRID(geom, 0) AS geom {NAMED};",
    "Irish Grid": f"{AS} link_id, ST_Transform(geom, 29902) AS geom {NAMED};",
    "heights and measures": f"{AS} link_id, ST_Force4D(geom) AS geom {NAMED};",
    "compound curves without arcs": (
        f"{AS} link_id, ST_GeomFromText('COMPOUNDCURVE(' || ST_AsText(geom) || ')', 4326) AS geom"
        f" {NAMED};"
    ),
    "a domain of integers and one of lines": (
        "CREATE DOMAIN link AS bigint CHECK (VALUE > 0);"
        "CREATE DOMAIN way AS geometry(LineString, 4326);"
        f"{AS} link_id::link, geom::way {NAMED};"
    ),
    "ids as numeric": f"{AS} link_id::numeric(30, 4) AS link_id, geom {NAMED};",
    "ids as text with zeros": f"{AS} '000' || link_id AS link_id, geom {NAMED};",
    "centres beside lines": (
        f"{AS} link_id, ST_Centroid(geom)::geometry(Point, 4326) AS centre, geom {NAMED};"
    ),
    "a table of points beside": (
        PLAIN + FILL + "CREATE TABLE a_nodes (id int, geom geometry(Point, 4326));"
    ),
    "an empty class": f"{AS} link_id, geom, NULL::text AS highway {NAMED};",
}
REFUSED = {
    r"expected lines as roads, got points \(POINT\)": (
        "CREATE TABLE roads (link_id int, geom geometry(Point, 4326));"
        "INSERT INTO roads VALUES (3, 'SRID=4326;POINT (-6 54)')"
    ),
    r"expected lines as roads, got areas \(POLYGON\)": (
        "CREATE TABLE roads (link_id int, geom geometry);"
        "INSERT INTO roads VALUES (3, 'SRID=4326;POLYGON ((0 0, 1 0, 1 1, 0 0))')"
    ),
    "expected roads, got no row": PLAIN,
    "nothing in all rows.*--roads-geometry": PLAIN + "INSERT INTO roads VALUES (3, NULL)",
    "expected integers in the id column link_id, got 'a3'": (
        LINED + f"INSERT INTO roads VALUES ('a3', 'SRID=4326;{LINES[3]}')"
    ),
    "expected integers, or text of integers, in the id column link_id, got uuid": (
        f"{AS} '{uuid.UUID(int=3)}'::uuid AS link_id, geom {NAMED}"
    ),
    "expected integers in the id column link_id, got '18446744073709551619": (
        f"{AS} link_id + 2::numeric ^ 64 AS link_id, geom {NAMED}"
    ),
    "SRID 990002.*--roads-crs": f"{AS} link_id, ST_SetSRID(geom, 990002) AS geom {NAMED}",
    "expected longitude and latitude.*no known reference system.*--roads-crs": (
        f"{AS} link_id, ST_SetSRID(ST_Transform(geom, 29902), 0) AS geom {NAMED}"
    ),
    "expected longitude and latitude.*--roads-crs": (
        f"{AS} link_id, CASE link_id WHEN 3 THEN ST_SetSRID(geom, 0) ELSE"
        f" ST_SetSRID(ST_Transform(geom, 29902), 0) END AS geom {NAMED}"
    ),
}


def right(joined: roads.JoinedRoads) -> None:
    for shape, line in zip(joined.geometry, LINES.values(), strict=True):
        assert shapely.equals_exact(shape, shapely.from_wkt(line), 1e-6)


@pytest.mark.parametrize("kind", RIGHT)
def test_each_kind_of_table_is_right(postgis: Postgis, cursor: Any, kind: str) -> None:
    cursor.execute(RIGHT[kind])
    roads.check(postgis.url())
    right(roads.join(IDS, postgis.url()))


@pytest.mark.parametrize("said", REFUSED)
def test_a_table_no_link_could_be_joined_to_is_refused_before_any_trip(
    postgis: Postgis, cursor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    def opened(*_: object, **__: object) -> None:
        raise AssertionError("a trip was to be read")

    monkeypatch.setattr("roadspeed.run.run", opened)
    cursor.execute(REFUSED[said])
    wanted = RunRequest(tmp_path / "out", roads=RoadSource(postgis.url()))
    with pytest.raises(UsageError, match=said):
        run_speeds(str(tmp_path), wanted, Local(1))


def test_one_bad_row_costs_no_run(postgis: Postgis, cursor: Any) -> None:
    cursor.execute(
        f"CREATE TABLE roads AS SELECT link_id, geom::geometry AS geom {NAMED};"
        "UPDATE roads SET geom = ST_SetSRID(geom, 990002) WHERE link_id = 3"
    )
    joined = roads.join(IDS, postgis.url())
    assert (joined.joined, joined.unreadable) == (1, 1)


@pytest.mark.parametrize(
    "typed", ['"My Maps"."The.Roads"', "My Maps.The.Roads"], ids=["quoted", "as it is spelled"]
)
def test_a_name_may_be_quoted_as_in_sql(postgis: Postgis, cursor: Any, typed: str) -> None:
    cursor.execute('CREATE SCHEMA "My Maps";')
    try:
        cursor.execute(f'CREATE TABLE "My Maps"."The.Roads" AS SELECT * {NAMED}')
        right(roads.join(IDS, postgis.url(), named=roads.Named(table=typed)))
    finally:
        cursor.execute('DROP SCHEMA "My Maps" CASCADE')


def test_a_class_in_bytes_that_are_no_utf8_is_read(postgis: Postgis, cursor: Any) -> None:
    cursor.execute("CREATE DATABASE bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    try:
        with postgis.connect(dbname="bytes") as other, other.cursor() as there:
            there.execute("CREATE EXTENSION postgis")
            there.execute(
                f"CREATE TABLE roads AS SELECT link_id, geom, ''::text AS highway {NAMED}"
            )
            there.execute(r"UPDATE roads SET highway = E'prim\xe4r'")
            there.execute(r"DO $$ BEGIN EXECUTE E'ALTER TABLE roads ADD \xe4 int'; END $$")
        other.close()
        joined = roads.join(IDS, f"postgresql://postgres@127.0.0.1:{postgis.port}/bytes")
        assert joined.road_class.tolist() == ["primär", "primär"]
    finally:
        cursor.execute("DROP DATABASE bytes WITH (FORCE)")


@pytest.mark.parametrize(
    ("typed", "dsn"),
    [
        ("postgresql:///db", "postgresql:///db"),
        ("postgres:///db?table=x", "postgres:///db"),
        ("postgresql:///?service=roads&table=gen", "postgresql:///?service=roads"),
        ("postgresql://?service=roads", "postgresql://?service=roads"),
        ("postgresql:///db?host=/run/postgresql", "postgresql:///db?host=%2Frun%2Fpostgresql"),
        ("postgresql://u@/db", "postgresql://u@/db"),
        ("postgresql://%2Frun%2Fpostgresql/db", "postgresql://%2Frun%2Fpostgresql/db"),
        ("postgresql://a:1,b:2/db?target_session_attrs=any", None),
        ("postgresql://[::1]:5432/db", None),
    ],
)
def test_libpqs_own_forms_of_address_are_handed_on(typed: str, dsn: str | None) -> None:
    assert address_of(typed, Named()).dsn == (dsn or typed)


def test_the_remedy_that_is_printed_is_taken(
    postgis: Postgis, cursor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor.execute(PLAIN + FILL)
    services = tmp_path / "services.conf"
    services.write_text(
        f"[roads]\nhost=127.0.0.1\nport={postgis.port}\ndbname=postgres\nuser=postgres\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    for typed in ("postgresql:///?service=roads&table=roads", "postgresql://?service=roads"):
        right(roads.join(IDS, typed))
    monkeypatch.setenv("PGPORT", str(postgis.port))
    right(roads.join(IDS, "postgresql:///postgres?host=127.0.0.1&user=postgres&table=roads"))
