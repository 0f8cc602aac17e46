"""Files that GDAL, geopandas, QGIS, ESRI's programs and osmnx write: see `road_files`."""

from __future__ import annotations

import shutil
import sqlite3
import warnings
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import geopandas
import pandas as pd
import pyarrow as pa
import pyogrio
import shapely

from tests.roadspeed.road_files import (
    ARCS,
    AREAS,
    IDS,
    LINES,
    POINTS,
    Written,
    all_roads,
    arcs,
    table,
    town,
)

if TYPE_CHECKING:
    from pathlib import Path

SURFACES = {
    "TIN": "TIN Z (((0 0 0, 1 0 0, 1 1 0, 0 0 0)))",
    "POLYHEDRALSURFACE": "POLYHEDRALSURFACE Z (((0 0 0, 1 0 0, 1 1 0, 0 0 0)))",
}
# What programs of ESRI's write: WKT of 1999 with names of their own.
BRITISH_PRJ = (
    'PROJCS["British_National_Grid",GEOGCS["GCS_OSGB_1936",DATUM["D_OSGB_1936",SPHEROID['
    '"Airy_1830",6377563.396,299.3249646]],PRIMEM["Greenwich",0.0],UNIT["Degree",'
    '0.0174532925199433]],PROJECTION["Transverse_Mercator"],PARAMETER["False_Easting",400000.0],'
    'PARAMETER["False_Northing",-100000.0],PARAMETER["Central_Meridian",-2.0],PARAMETER['
    '"Scale_Factor",0.9996012717],PARAMETER["Latitude_Of_Origin",49.0],UNIT["Meter",1.0]]'
)
LOCAL = 'LOCAL_CS["Site grid of the works",UNIT["metre",1]]'
BY_GEOPANDAS = geopandas.read_file
OWN = {"id_column": "fid"}


def save(path: Path, crs: Any = 4326, ids: Any = IDS, lines: Any = None, **how: Any) -> None:
    town(ids, crs, lines).to_file(path, **how)


def arrow(path: Path, texts: list[str], driver: str, kind: str = "Unknown") -> None:
    """Write geometries that shapely does not know, by GDAL's own reading of their WKT."""
    source = path.with_name("source.csv")
    pd.DataFrame({"link_id": IDS[: len(texts)], "WKT": texts}).to_csv(source, index=False)
    with pyogrio.open_arrow(source, use_pyarrow=True) as (_, reader):
        whole = reader.read_all()
    source.unlink()
    shapes = whole.column("wkb_geometry")
    made = pa.table({"link_id": pa.array(IDS[: len(texts)]), "geometry": shapes})
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # of surfaces
        pyogrio.write_arrow(
            made, path, driver=driver, geometry_name="geometry", geometry_type=kind, crs="EPSG:4326"
        )


def two_layers(path: Path) -> None:
    """As osmnx writes it: nodes first, then edges, lists written out as Python does."""
    nodes = town(lines=POINTS)
    nodes.rename(columns={"link_id": "osmid"}).to_file(path, layer="nodes", driver="GPKG")
    edges = town().rename(columns={"link_id": "osmid"})
    edges["osmid"] = ["7001", "[7002, 9]", "7003", "7004"]
    edges["highway"] = ["primary", "['tertiary', 'residential']", None, "trunk"]
    edges.to_file(path, layer="edges", driver="GPKG")


def undefined(path: Path, crs: Any, srs: int) -> None:
    """Say in a GeoPackage that the system is an undefined one (-1: plane, 0: degrees)."""
    save(path, crs=crs)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE gpkg_contents SET srs_id = ?", (srs,))
        database.execute("UPDATE gpkg_geometry_columns SET srs_id = ?", (srs,))


def view(path: Path) -> None:
    save(path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE VIEW seen AS SELECT fid, link_id AS way, geom FROM r")
        database.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id)"
            " VALUES ('seen', 'features', 'seen', 4326)"
        )
        database.execute(
            "INSERT INTO gpkg_geometry_columns VALUES ('seen', 'geom', 'GEOMETRY', 4326, 0, 0)"
        )


def pending(path: Path) -> None:
    """Leave a change in the log beside a GeoPackage, as a program that was killed does."""
    save(path, ids=[7001, 7002, 7003, 9999], SPATIAL_INDEX="NO")
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = wal")
    with database:
        database.execute("UPDATE r SET link_id = 7004 WHERE link_id = 9999")
    for end in ("", "-wal"):
        shutil.copy(f"{path}{end}", f"{path}{end}.kept")
    database.close()  # folds it in
    for end in ("", "-wal"):
        shutil.move(f"{path}{end}.kept", f"{path}{end}")


def by_key(path: Path) -> None:
    """Make the link ids the primary key of a GeoPackage."""
    save(path, SPATIAL_INDEX="NO", FID="way")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE r SET way = link_id")
        database.execute("ALTER TABLE r DROP COLUMN link_id")


def zipped(path: Path) -> None:
    folder = path.parent / "inside"
    folder.mkdir()
    save(folder / "r.shp", crs=27700)
    shutil.make_archive(str(path.with_suffix("")), "zip", folder)
    shutil.rmtree(folder)


def without(path: Path, *endings: str, crs: Any = 4326) -> None:
    save(path, crs=crs, encoding="ISO-8859-1")
    for ending in endings:
        path.with_suffix(ending).unlink()


def with_prj(path: Path, prj: str, crs: Any) -> None:
    save(path, crs=crs)
    path.with_suffix(".prj").write_text(prj)


def without_schema(path: Path) -> None:
    save(path, crs=4326, driver="GML")
    path.with_suffix(".xsd").unlink()


def sheet(path: Path) -> None:
    pyogrio.write_dataframe(table(), path, driver="XLSX")


UNUSUAL: list[tuple[str, dict[str, Any]]] = [
    ("r.gdb", {"driver": "OpenFileGDB", "TARGET_ARCGIS_VERSION": "ARCGIS_PRO_3_2_OR_LATER"}),
    ("r.gmt", {"driver": "OGR_GMT"}),
]
COUNTED: list[tuple[str, dict[str, Any]]] = [
    ("r.shp", {}),
    ("r.fgb", {}),
    ("r.tab", {"driver": "MapInfo File"}),
    ("r.kml", {"driver": "LIBKML"}),
    ("r.gml", {"driver": "GML"}),
]
FILES = [
    *(
        Written(
            f"{driver} by GDAL", file, partial(save, driver=driver), all_roads(), read=BY_GEOPANDAS
        )
        for driver, file in {
            "GeoJSON": "r.geojson",
            "GeoJSONSeq": "r.geojsonl",
            "FlatGeobuf": "r.fgb",
            "GPKG": "r.gpkg",
            "GML": "r.gml",
            "LIBKML": "r.kml",
            "MapInfo File": "r.tab",
            "SQLite": "r.sqlite",
            "ESRI Shapefile": "r.shp",
            "JSONFG": "r.json",
            "JML": "r.jml",
        }.items()
    ),
    *(
        Written(
            f"{how['driver']} by GDAL",
            file,
            partial(save, promote_to_multi=True, **how),
            all_roads(),
            read=BY_GEOPANDAS,
        )
        for file, how in UNUSUAL
    ),
    Written(
        "MIF by GDAL", "r.mif", partial(save, driver="MapInfo File"), all_roads(), read=BY_GEOPANDAS
    ),
    Written("GML without its schema", "r.gml", without_schema, all_roads()),
    Written("zipped shapefile", "r.zip", zipped, all_roads(), read=BY_GEOPANDAS),
    Written("spreadsheet with WKT", "r.xlsx", sheet, all_roads()),
    Written(
        "GeoPackage in OSGB", "r.gpkg", partial(save, crs=27700), all_roads(), read=BY_GEOPANDAS
    ),
    Written(
        "FlatGeobuf in Irish Grid",
        "r.fgb",
        partial(save, crs=29902),
        all_roads(),
        read=BY_GEOPANDAS,
    ),
    Written(
        "GML in ITM, axes by URN", "r.gml", partial(save, crs=2157), all_roads(), read=BY_GEOPANDAS
    ),
    Written(
        "GeoJSON with a crs member",
        "r.geojson",
        partial(save, crs=27700),
        all_roads(),
        read=BY_GEOPANDAS,
    ),
    Written(
        "shapefile with a .prj as ESRI writes it",
        "r.shp",
        partial(with_prj, prj=BRITISH_PRJ, crs=27700),
        all_roads(),
        read=BY_GEOPANDAS,
    ),
    Written("shapefile without .cpg", "r.shp", lambda p: without(p, ".cpg"), all_roads()),
    Written(
        "shapefile without .prj, in degrees", "r.shp", lambda p: without(p, ".prj"), all_roads()
    ),
    Written(
        "shapefile without .prj, in metres",
        "r.shp",
        lambda p: without(p, ".prj", crs=27700),
        refused="expected longitude and latitude, got coordinates such as .*--roads-crs",
    ),
    Written(
        "shapefile without .prj, named",
        "r.shp",
        lambda p: without(p, ".prj", crs=27700),
        all_roads(),
        options={"crs": "27700"},
    ),
    Written(
        "shapefile on a local grid",
        "r.shp",
        partial(with_prj, prj=LOCAL, crs=27700),
        refused="cannot use the reference system .*Site grid.*--roads-crs",
    ),
    Written(
        "GeoPackage, plane undefined, in degrees",
        "r.gpkg",
        partial(undefined, crs=4326, srs=-1),
        all_roads(),
    ),
    Written(
        "GeoPackage, degrees undefined", "r.gpkg", partial(undefined, crs=4326, srs=0), all_roads()
    ),
    Written(
        "GeoPackage, plane undefined, in metres",
        "r.gpkg",
        partial(undefined, crs=27700, srs=-1),
        refused="expected longitude and latitude",
    ),
    Written("GeoPackage with arcs", "r.gpkg", lambda p: arrow(p, ARCS, "GPKG"), arcs()),
    Written("FlatGeobuf with arcs", "r.fgb", lambda p: arrow(p, ARCS, "FlatGeobuf"), arcs()),
    *(
        Written(
            f"GeoPackage of {kind}",
            "r.gpkg",
            partial(arrow, texts=[text], driver="GPKG"),
            refused=f"expected lines as roads, got areas .{kind}",
        )
        for kind, text in SURFACES.items()
    ),
    Written(
        "shapefile of points",
        "r.shp",
        partial(save, lines=POINTS),
        refused=r"expected lines as roads, got points \(POINT\)",
    ),
    Written(
        "GeoPackage of areas",
        "r.gpkg",
        partial(save, lines=AREAS),
        refused=r"(expected lines as roads, got areas|expected a layer of lines)",
    ),
    Written(
        "heights",
        "r.gpkg",
        partial(save, lines=[shapely.force_3d(shapely.from_wkt(t), 9).wkt for t in LINES]),
        all_roads(),
    ),
    Written(
        "some empty, some null",
        "r.gpkg",
        partial(save, lines=[LINES[0], None, LINES[2], "MULTILINESTRING EMPTY"]),
        all_roads(7002, 7004),
    ),
    Written(
        "collections",
        "r.gpkg",
        partial(save, lines=[LINES[0], f"GEOMETRYCOLLECTION ({LINES[1]})", *LINES[2:]]),
        all_roads(),
    ),
    Written(
        "nodes and edges as osmnx writes them",
        "r.gpkg",
        two_layers,
        all_roads(7002),
        classes=["primary", None, None, "trunk"],
    ),
    Written(
        "nodes named, as osmnx writes them",
        "r.gpkg",
        two_layers,
        refused="got points .*--roads-table edges",
        options={"table": "nodes"},
    ),
    *(
        Written(
            f"{file} by a number that GDAL counts",
            file,
            partial(save, **how),
            refused="ids stored in the file.*GDAL would generate them",
            options=OWN,
        )
        for file, how in COUNTED
    ),
    Written(
        "GeoPackage by its primary key", "r.gpkg", by_key, all_roads(), options={"id_column": "way"}
    ),
    Written(
        "GeoPackage, a view",
        "r.gpkg",
        view,
        all_roads(),
        options={"table": "seen", "id_column": "way"},
    ),
    Written("GeoPackage with a log pending", "r.gpkg", pending, all_roads()),
    Written(
        "text that is not UTF-8 in a shapefile",
        "r.shp",
        lambda p: town(name=["Straße", "é", None, "ü"]).to_file(p, encoding="ISO-8859-1"),
        all_roads(),
    ),
]
