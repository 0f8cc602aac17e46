"""Roads from PostGIS: right by PostGIS' own word, few round trips, errors that say what to do."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg2
import pytest
import shapely
from psycopg2 import sql

from mapreduce.errors import UsageError
from roadspeed import roads
from roadspeed.roads.postgis import errors, transaction
from roadspeed.roads.postgis.url import address_of
from roadspeed.roads.rows.answer import Named, RoadsError
from tests.services.delay import delayed

if TYPE_CHECKING:
    from tests.services.postgis import Postgis

IDS = np.array([-7, 3, 11, 12, 2**40, 2**40 + 1], dtype=np.int64)
LINES = {
    -7: "MULTILINESTRING ((-6 54, -6.1 54.1), (-6.2 54, -6.3 54))",
    3: "LINESTRING (-6 54, -6.5 54.5)",
    2**40: "LINESTRING (-7 55, -7.1 55.1, -7.2 55)",
}
BIG = """
CREATE TABLE big AS
SELECT 1000000000 + 7 * g + g % 5 AS link_id,
       (ARRAY['trunk', 'service', NULL])[1 + g % 3] AS highway,
       CASE WHEN g % 1000 = 7 THEN NULL
            WHEN g % 1000 = 8 THEN ST_GeomFromText('LINESTRING EMPTY', 4326)
            ELSE ST_SetSRID(ST_MakeLine(
              ST_MakePoint(-8 + (g % 500) * 0.005, 54 + (g / 500) * 0.004),
              ST_MakePoint(-8 + (g % 500) * 0.005 + random() * 0.01, 54.001 + (g / 500) * 0.004)),
              4326) END::geometry(LineString, 4326) AS geom
  FROM generate_series(1, 170000) g ORDER BY random();
INSERT INTO big SELECT link_id, highway, geom FROM big WHERE link_id % 100 = 0;
INSERT INTO big SELECT link_id, highway, ST_Translate(geom, 0.01, 0) FROM big
 WHERE link_id % 100 = 50;
CREATE INDEX ON big (link_id); ANALYZE big;
"""


def fill(cursor: Any, table: str = "roads", kind: str = "bigint", srid: int = 4326) -> None:
    """Make a small table: 3 twice, 11 twice differing, 12 null, shuffled."""
    shape = f"ST_Transform(ST_GeomFromText(%s, 4326), {srid})"
    cursor.execute(
        f"CREATE TABLE {table} (link_id {kind}, highway text, geom geometry(Geometry, {srid}))"
    )
    rows = [(2**40, LINES[2**40]), (3, LINES[3]), (11, LINES[3]), (3, LINES[3]), (12, None)]
    rows += [(-7, LINES[-7]), (11, "LINESTRING (-6 54.1, -6 54.2)"), (99, LINES[3])]
    for link, text in rows:
        cursor.execute(f"INSERT INTO {table} VALUES (%s, 'primary', {shape})", (link, text))


def check(joined: roads.JoinedRoads) -> None:
    for link, shape in zip(IDS.tolist(), joined.geometry, strict=True):
        if link in LINES:
            assert shapely.equals_exact(shape, shapely.from_wkt(LINES[link]), 1e-6), link
    assert len(joined.geometry[2].geoms) == 2
    assert joined.geometry[3] is None
    assert joined.geometry[5] is None
    assert (joined.joined, joined.missing, joined.merged, joined.folded) == (4, 2, 1, 1)
    assert joined.road_class.tolist() == ["primary", "primary", "primary", None, "primary", None]


@pytest.mark.parametrize("kind", ["bigint", "numeric", "text", "varchar(20)", "char(20)", "float8"])
def test_ids_are_found_whatever_their_columns_type(
    postgis: Postgis, cursor: Any, kind: str
) -> None:
    fill(cursor, kind=kind)
    check(roads.join(IDS, postgis.url("table=roads")))


@pytest.mark.parametrize("srid", [4326, 29902, 3857])
def test_every_reference_system_gives_the_same_join(
    postgis: Postgis, cursor: Any, srid: int
) -> None:
    fill(cursor, srid=srid)
    check(roads.join(IDS, postgis.url()))


def test_a_column_that_declares_nothing_may_mix_reference_systems(
    postgis: Postgis, cursor: Any
) -> None:
    fill(cursor)
    cursor.execute(
        "ALTER TABLE roads ALTER geom TYPE geometry;"
        "UPDATE roads SET geom = ST_Transform(geom, 29902) WHERE link_id < 10;"
        "UPDATE roads SET geom = ST_SetSRID(geom, 0) WHERE link_id = 2^40"
    )
    check(roads.join(IDS, postgis.url()))
    geometry, _ = roads.context(postgis.url(), (-7.3, 54.9, -6.9, 55.2))
    assert [shape.wkt for shape in geometry] == [LINES[2**40]]


def test_coordinates_without_a_reference_system_are_refused_with_the_option(
    postgis: Postgis, cursor: Any
) -> None:
    fill(cursor, srid=29902)
    cursor.execute("ALTER TABLE roads ALTER geom TYPE geometry USING ST_SetSRID(geom, 0)")
    with pytest.raises(UsageError, match="--roads-crs EPSG:"):
        roads.join(IDS, postgis.url())
    check(roads.join(IDS, postgis.url("crs=EPSG:29902")))


def test_a_reference_system_of_the_databases_own_is_read_from_it(
    postgis: Postgis, cursor: Any
) -> None:
    cursor.execute(
        "INSERT INTO spatial_ref_sys (srid, auth_name, auth_srid, srtext, proj4text)"
        " SELECT 990001, 'house', 1, srtext, proj4text FROM spatial_ref_sys WHERE srid = 29902"
    )
    fill(cursor, srid=990001)
    check(roads.join(IDS, postgis.url()))


def test_text_that_is_no_integer_matches_nothing(postgis: Postgis, cursor: Any) -> None:
    cursor.execute("CREATE TABLE roads (link_id text, geom geometry(Point, 4326))")
    cursor.execute(
        "INSERT INTO roads SELECT t, ST_SetSRID(ST_MakePoint(1, 2), 4326) FROM"
        " unnest(ARRAY['', ' 3', '3 ', '1_1', '\uff11\uff12', '1e3', '+11', 'x',"
        " NULL, '99999999999999999999', '9223372036854775808', repeat('9', 5000)]) t"
    )
    assert roads.join(IDS, postgis.url()).joined == 0
    cursor.execute("UPDATE roads SET link_id = '00000000000000000000000000011' WHERE link_id = 'x'")
    assert roads.join(IDS, postgis.url()).joined == 1


def test_coordinates_that_are_no_numbers_are_unreadable(postgis: Postgis, cursor: Any) -> None:
    fill(cursor)
    cursor.execute(
        "UPDATE roads SET geom = ST_SetSRID(ST_MakeLine(ST_MakePoint('NaN', 1),"
        " ST_MakePoint(2, 'Infinity')), 4326) WHERE link_id IN (3, 99)"
    )
    joined = roads.join(IDS, postgis.url())
    assert (joined.joined, joined.unreadable) == (3, 2)
    assert joined.geometry[1] is None
    lost = roads.join(IDS[1:2], postgis.url())  # others are well: no run fails for this one
    assert (lost.joined, lost.unreadable) == (0, 2)
    roads.check(postgis.url())
    cursor.execute("DELETE FROM roads WHERE link_id NOT IN (3, 99)")
    with pytest.raises(UsageError, match="finite coordinates in the geometry column geom"):
        roads.check(postgis.url())


def test_geography_height_measure_and_arcs_become_plain_lines(
    postgis: Postgis, cursor: Any
) -> None:
    cursor.execute(
        "CREATE TABLE a (link_id int, geog geography); CREATE TABLE b (link_id int, geom geometry);"
        "INSERT INTO a VALUES (3, 'LINESTRING Z (-6 54 9, -6.5 54.5 9)');"
        "INSERT INTO b VALUES (3, 'SRID=4326;CIRCULARSTRING M (0 0 1, 1 1 2, 2 0 3)')"
    )
    assert roads.join(IDS, postgis.url("table=a")).geometry[1].wkt == LINES[3]
    arc = roads.join(IDS, postgis.url("table=b")).geometry[1]
    assert arc.geom_type == "LineString"
    assert arc.length == pytest.approx(np.pi, rel=1e-3)
    assert not arc.has_z


@pytest.mark.parametrize(
    "name", ['Roads of "the" town', "x'; DROP TABLE keep; --", "a.b", "%s %(table)s", "strasse_ß"]
)
def test_hostile_names_are_only_names(postgis: Postgis, cursor: Any, name: str) -> None:
    cursor.execute("CREATE TABLE keep (n int); CREATE SCHEMA gis")
    names = {part: sql.Identifier(f"{part} {name}") for part in ("id", "geom", "class")}
    for schema in ("public", "gis"):
        cursor.execute(
            sql.SQL(
                "CREATE TABLE {t} ({id} bigint, {geom} geometry(Point, 4326), {c} text)"
            ).format(
                t=sql.Identifier(schema, name), id=names["id"], geom=names["geom"], c=names["class"]
            )
        )
    at = sql.Identifier("gis", name)
    cursor.execute(
        sql.SQL("INSERT INTO {} VALUES (3, ST_SetSRID(ST_MakePoint(1, 2), 4326), 'x')").format(at)
    )
    joined = roads.join(
        IDS,
        postgis.url(),
        named=roads.Named(
            table=f"gis.{name}",
            id_column=f"id {name}",
            geometry_column=f"geom {name}",
            class_column=f"class {name}",
        ),
    )
    assert (joined.joined, joined.road_class[1]) == (1, "x")
    cursor.execute("SELECT count(*) FROM keep")
    assert cursor.fetchone() == (0,)


def test_postgis_in_a_schema_off_the_search_path_is_found(postgis: Postgis, cursor: Any) -> None:
    cursor.execute("CREATE DATABASE apart")
    with contextlib.closing(postgis.connect(dbname="apart")) as connection:
        connection.cursor().execute(
            "CREATE SCHEMA gis; CREATE EXTENSION postgis SCHEMA gis;"
            "CREATE TABLE roads (link_id int, geom gis.geometry(LineStringZ, 29902));"
            "INSERT INTO roads VALUES (3, gis.ST_GeomFromText("
            "'LINESTRING Z (3e5 3e5 1, 3e5 4e5 1)', 29902))"
        )
    url = postgis.url().removesuffix("postgres") + "apart"
    joined = roads.join(IDS, url)
    assert joined.geometry[1].bounds[0] == pytest.approx(-6.5, abs=0.1)
    assert len(roads.context(url, (-7, 53, -6, 56))[0]) == 1
    cursor.execute("DROP DATABASE apart")


def test_a_view_and_a_role_that_may_only_read_will_do(postgis: Postgis, cursor: Any) -> None:
    fill(cursor)
    cursor.execute(
        "CREATE VIEW seen AS SELECT * FROM roads; DROP ROLE IF EXISTS reader;"
        "CREATE ROLE reader LOGIN"
    )
    url = postgis.url("table=seen").replace("postgres@", "reader@")
    with pytest.raises(UsageError, match="GRANT SELECT ON seen TO reader"):
        roads.join(IDS, url)
    cursor.execute("GRANT SELECT ON seen TO reader")
    check(roads.join(IDS, url))
    cursor.execute("REVOKE SELECT ON seen FROM reader; DROP ROLE reader")


def test_140000_ids_are_as_postgis_itself_says(postgis: Postgis, cursor: Any) -> None:
    cursor.execute(BIG)
    cursor.execute("SELECT DISTINCT link_id FROM big ORDER BY 1")
    every = np.array([row[0] for row in cursor.fetchall()], dtype=np.int64)
    absent = every[-1] + 1 + np.arange(1000)
    ids = np.concatenate((np.delete(every, np.s_[::6])[:139_000], absent))
    assert len(ids) == 140_000
    with delayed(postgis.port) as wire:
        joined = roads.join(ids, postgis.url("table=big", port=wire.port))
    # An opinion of PostGIS' own: the distinct lines of each link, as it writes their bytes.
    cursor.execute(
        "SELECT link_id, array_agg(DISTINCT encode(ST_AsBinary(geom, 'NDR'), 'hex')), min(highway)"
        " FROM big WHERE NOT ST_IsEmpty(geom) GROUP BY link_id"
    )
    oracle = {link: (sorted(lines), road_class) for link, lines, road_class in cursor.fetchall()}
    lines, owners = shapely.get_parts(joined.geometry, return_index=True)
    ours: dict[int, list[str]] = {}
    for owner, line in zip(owners.tolist(), shapely.to_wkb(lines, hex=True), strict=True):
        ours.setdefault(owner, []).append(line.lower())
    for place, (link, road_class) in enumerate(zip(ids.tolist(), joined.road_class, strict=True)):
        assert (sorted(ours.get(place, [])), road_class) == oracle.get(link, ([], None)), link
    wanted = [link for link in ids.tolist() if link in oracle]
    assert joined.joined == len(wanted)
    assert joined.missing == len(ids) - len(wanted)
    assert joined.merged == sum(len(oracle[link][0]) > 1 for link in wanted)
    assert joined.merged > 500
    assert joined.folded > 500
    assert (wire.connections, wire.round_trips) == (1, 4)  # TLS? no; log in; look; read


def test_context_is_what_touches_the_box(postgis: Postgis, cursor: Any) -> None:
    fill(cursor, srid=29902)
    geometry, road_class = roads.context(postgis.url(), (-7.3, 54.9, -6.9, 55.2))
    assert len(geometry) == 1
    assert road_class.tolist() == ["primary"]
    assert len(roads.context(postgis.url())[0]) == 7
    assert len(roads.context(postgis.url(), limit=3)[0]) == 3


def test_a_dropped_line_is_tried_once_more(
    postgis: Postgis, cursor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "RETRY_PAUSE_S", 0.0)
    cursor.execute(
        "CREATE TABLE roads AS SELECT g AS link_id, ST_SetSRID(ST_MakePoint(g % 180, 1), 4326)"
        "::geometry(Point, 4326) AS geom FROM generate_series(1, 50000) g"
    )
    ids = np.arange(1, 50_001)
    with delayed(postgis.port) as wire:
        wire.cut_after_bytes.append(300_000)
        joined = roads.join(ids, postgis.url(port=wire.port))
        assert (joined.joined, wire.connections) == (50_000, 2)
        wire.cut_after_bytes += [300_000, 300_000]
        with pytest.raises(RoadsError, match="closed the connection twice"):
            roads.join(ids, postgis.url(port=wire.port))


def test_a_server_that_is_not_there_is_said_so() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(RoadsError, match=r"cannot reach the roads' database .*Is it running"):
        roads.join(IDS, f"postgresql://u@127.0.0.1:{port}/db")


def test_wrong_names_are_answered_with_the_right_ones(postgis: Postgis, cursor: Any) -> None:
    with pytest.raises(UsageError, match="CREATE EXTENSION postgis"):
        roads.join(IDS, postgis.url())
    with pytest.raises(UsageError, match=r"'roads'.*Tables with geometry: none"):
        roads.join(IDS, postgis.url("table=roads"))
    fill(cursor)
    cursor.execute("CREATE TABLE plain (link_id int); CREATE TABLE roads2 AS SELECT * FROM roads")
    for query, said in {
        "": r"public\.roads, public\.roads2.*--roads-table public\.roads",
        "table=Roads": r"expected a table 'Roads'.*public\.roads",
        "table=plain": "PostGIS' type geometry, got: link_id integer",
        "table=roads&id=linkid": r"link_id, highway.*--roads-id link_id",
        "table=roads&id=geom": "no such column",
        "table=roads&geom=shape": "--roads-geometry",
    }.items():
        with pytest.raises(UsageError, match=said):
            roads.join(IDS, postgis.url(query))
        with pytest.raises(UsageError, match=said):
            roads.check(postgis.url(query))
    roads.check(postgis.url("table=roads"))
    with pytest.raises(UsageError, match="does not exist"):
        roads.join(IDS, postgis.url().removesuffix("postgres") + "nowhere")
    with pytest.raises(UsageError, match="expected postgresql://"):
        roads.join(IDS, "postgresql://host/db?colour=red")


def test_a_time_limit_is_ours_unless_the_user_has_one(
    postgis: Postgis, cursor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(cursor)
    cursor.execute(
        "CREATE VIEW slow AS SELECT link_id, geom FROM roads, LATERAL pg_sleep(link_id % 2 + 5)"
    )
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=50ms")
    with pytest.raises(RoadsError, match=r"cancelled.*index"):
        roads.join(IDS, postgis.url("table=slow"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@host/db",
        "postgresql://host/db?password=hunter2",
        "postgres://host/db?table=a&PASSWORD=hunter2",
    ],
)
def test_a_password_in_the_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match=r"PGPASSWORD.*\.pgpass") as refused:
        roads.join(IDS, url)
    assert "hunter2" not in str(refused.value)


def test_an_address_is_taken_apart() -> None:
    address = address_of(
        "postgresql://u@h1,h2:5433/db?sslmode=require&table=gis.roads&id=a%26b&geom=g",
        Named(id_column="c"),
    )
    assert address.dsn == "postgresql://u@h1,h2:5433/db?sslmode=require"
    assert address.named == Named("gis.roads", "c", "g")
    with pytest.raises(UsageError, match="one value for table="):
        address_of("postgresql:///db?table=a&table=b", Named())


def test_no_ids_ask_nothing() -> None:
    assert roads.join(IDS[:0], "postgresql://nowhere.invalid/db").joined == 0


def test_other_failures_keep_the_servers_words(postgis: Postgis) -> None:
    with contextlib.closing(postgis.connect()) as connection:
        with (
            pytest.raises(RoadsError, match="division by zero"),
            errors.reading(connection, "dsn", "t"),
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT 1 / 0")
        assert isinstance(connection, psycopg2.extensions.connection)
