"""CSV as databases, spreadsheets and people write it: see `road_files`."""

from __future__ import annotations

import gzip
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import shapely

from tests.roadspeed.road_files import ARCS, IDS, LINES, Written, all_roads, arcs, table, town

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "link_id;geom\n"


def save(path: Path, crs: Any = 4326, shape: str = "wkt", ids: Any = IDS, **how: Any) -> None:
    table(crs, shape, ids).to_csv(path, **{"index": False, "compression": None, **how})


def rows(path: Path, shapes: list[str], encoding: str = "utf-8") -> None:
    lines = [f'{id_};"{shape}"\n' for id_, shape in zip(IDS, shapes, strict=False)]
    path.write_text(HEADER + "".join(lines), encoding=encoding)


def with_prj(path: Path) -> None:
    """As GDAL writes it beside a CSV."""
    save(path, crs=27700, sep=";")
    path.with_suffix(".prj").write_text(pyproj.CRS.from_epsg(27700).to_wkt("WKT1_ESRI"))


def dimensions(kind: str) -> list[str]:
    """The roads with more numbers a point: `Z`, `M` or `ZM`."""
    more = np.zeros((1, len(kind)))
    shapes = shapely.from_wkt(np.array(LINES, dtype=object))
    texts = []
    for shape in shapes:
        parts = [
            ", ".join(" ".join(map(str, [*xy, *more[0]])) for xy in part.coords)
            for part in shapely.get_parts(shape)
        ]
        if shape.geom_type == "LineString":
            texts.append(f"LINESTRING {kind} ({parts[0]})")
        else:
            texts.append(f"MULTILINESTRING {kind} ({', '.join(f'({part})' for part in parts)})")
    return texts


def of_dimensions(path: Path, kind: str) -> None:
    rows(path, dimensions(kind))


def ewkb_zm() -> list[str]:
    shapes = shapely.set_srid(shapely.from_wkt(np.array(dimensions("ZM"), dtype=object)), 4326)
    return [
        str(text)
        for text in shapely.to_wkb(
            shapes, hex=True, flavor="extended", include_srid=True, output_dimension=4
        )
    ]


def compressed(path: Path) -> None:
    save(path)
    path.write_bytes(gzip.compress(path.read_bytes()))


def latin_1(path: Path) -> None:
    frame = table()
    frame["Straße"] = ["Bußweg", "Öl", "x", "y"]
    frame["highway"] = ["primär", "b", "c", "d"]
    frame.to_csv(path, sep=";", index=False, encoding="latin-1")


def quoted(path: Path) -> None:
    frame = table()
    frame["name"] = ['a "b"', "two\nlines", "c;d", "e,f"]
    frame.to_csv(path, index=False)


def numbered(path: Path, srids: list[Any], crs: Any) -> None:
    texts = town(crs=crs).geometry.to_wkt()
    rows(path, [f"SRID={srid};{text}" for srid, text in zip(srids, texts, strict=True)])


def mixed(path: Path) -> None:
    shapes = town().geometry
    rows(
        path,
        [shapes[0].wkt, shapes[1].wkb_hex, "\\x" + shapes[2].wkb_hex, f"SRID=4326;{shapes[3].wkt}"],
    )


FILES = [
    Written(
        "CSV, semicolons",
        "r.csv",
        partial(save, sep=";"),
        all_roads(),
        classes=["primary", "residential", None, "trunk"],
    ),
    Written("CSV, commas", "r.csv", save, all_roads()),
    Written("CSV, pipes", "r.txt", partial(save, sep="|"), all_roads()),
    Written("TSV", "r.tsv", partial(save, sep="\t"), all_roads()),
    Written("CSV with pandas' index", "r.csv", partial(save, index=True), all_roads()),
    Written(
        "CSV, byte order mark and CRLF",
        "r.csv",
        partial(save, sep=";", encoding="utf-8-sig", lineterminator="\r\n"),
        all_roads(),
    ),
    Written(
        "CSV, compressed",
        "r.csv.gz",
        compressed,
        all_roads(),
    ),
    Written("CSV in Latin-1", "r.csv", latin_1, all_roads(), classes=["primär", "b", "c", "d"]),
    Written(
        "CSV in UTF-16",
        "r.csv",
        partial(save, encoding="utf-16"),
        refused="got UTF-16: save it as UTF-8",
    ),
    Written("CSV with quotes and line ends in cells", "r.csv", quoted, all_roads()),
    Written(
        "CSV with unquoted commas",
        "r.csv",
        lambda p: p.write_text("link_id,geom\n7001,LINESTRING (1 2, 3 4)\n"),
        refused="quote a geometry that contains the separator",
    ),
    Written(
        "CSV with decimal commas",
        "r.csv",
        lambda p: rows(p, ["LINESTRING (-5,93 54,60, -5,92 54,61)"]),
        refused="expected WKT or WKB .* in the geometry column geom, got 'LINESTRING",
    ),
    Written("CSV, hexadecimal WKB", "r.csv", partial(save, shape="hex"), all_roads()),
    Written("CSV, EWKB of PostGIS", "r.csv", partial(save, shape="ewkb", crs=29902), all_roads()),
    Written(
        "CSV, EWKT in another system",
        "r.csv",
        partial(save, shape="ewkt", crs=27700, sep=";"),
        all_roads(),
    ),
    Written("CSV, each cell of another form", "r.csv", mixed, all_roads()),
    Written(
        "CSV, GeoJSON in cells",
        "r.csv",
        lambda p: (
            table()
            .assign(geom=[shapely.to_geojson(g) for g in town().geometry])
            .to_csv(p, index=False)
        ),
        all_roads(),
    ),
    *(
        Written(
            f"CSV, WKT with {kind}",
            "r.csv",
            partial(of_dimensions, kind=kind),
            all_roads(),
        )
        for kind in ("Z", "M", "ZM")
    ),
    Written(
        "CSV, WKT with Z and M joined on",
        "r.csv",
        lambda p: rows(p, [text.replace("STRING ZM", "STRINGZM") for text in dimensions("ZM")]),
        all_roads(),
    ),
    Written(
        "CSV, EWKB with height and measure", "r.csv", lambda p: rows(p, ewkb_zm()), all_roads()
    ),
    Written("CSV with arcs", "r.csv", lambda p: rows(p, ARCS), arcs()),
    Written(
        "CSV with SRID -1 and 0, in degrees",
        "r.csv",
        lambda p: numbered(p, [-1, 0, -1, 4326], 4326),
        all_roads(),
    ),
    Written(
        "CSV with SRID 900913", "r.csv", lambda p: numbered(p, [900913] * 4, 3857), all_roads()
    ),
    Written(
        "CSV with a number of ESRI's",
        "r.csv",
        lambda p: numbered(p, [102100] * 4, 3857),
        all_roads(),
    ),
    Written(
        "CSV with an SRID nobody knows",
        "r.csv",
        lambda p: numbered(p, [999999] * 4, 4326),
        refused="SRID 999999, which is in neither EPSG nor ESRI.*--roads-crs",
    ),
    Written(
        "CSV with an SRID nobody knows, named",
        "r.csv",
        lambda p: numbered(p, [999999] * 4, 27700),
        all_roads(),
        options={"crs": "EPSG:27700"},
    ),
    Written(
        "CSV in metres",
        "r.csv",
        partial(save, crs=27700),
        refused="no known reference system.*--roads-crs",
    ),
    Written(
        "CSV in metres, one row only",
        "r.csv",
        lambda p: rows(p, [*LINES[:3], "LINESTRING (350000 400000, 350100 400100)"]),
        refused="expected longitude and latitude, got coordinates such as 350000 400000",
    ),
    Written(
        "CSV in metres, named",
        "r.csv",
        partial(save, crs=27700),
        all_roads(),
        options={"crs": "EPSG:27700"},
    ),
    Written("CSV with a .prj beside it", "r.csv", with_prj, all_roads()),
    Written(
        "CSV of points",
        "r.csv",
        lambda p: rows(p, ["POINT (-5.9 54.6)"] * 4),
        refused=r"got points \(POINT\)",
    ),
    Written(
        "CSV of points, but for one",
        "r.csv",
        lambda p: rows(p, [LINES[0], "POINT (-5.9 54.6)"]),
        {7001: LINES[0], 7002: "POINT (-5.9 54.6)"},
    ),
    Written(
        "CSV of areas, as arcs",
        "r.csv",
        lambda p: rows(p, ["CURVEPOLYGON (CIRCULARSTRING (0 0, 1 1, 2 0, 1 -1, 0 0))"]),
        refused=r"got areas \(POLYGON\)",
    ),
    Written(
        "CSV of triangles",
        "r.csv",
        lambda p: rows(p, ["TRIANGLE ((0 0, 1 0, 1 1, 0 0))"]),
        refused=r"got areas \(TRIANGLE\)",
    ),
    Written("CSV of nothing", "r.csv", lambda p: p.write_text(HEADER), refused="got no row"),
    Written(
        "CSV without geometry in any row",
        "r.csv",
        lambda p: rows(p, ["", "LINESTRING EMPTY"]),
        refused="--roads-geometry",
    ),
    Written(
        "CSV with ids of 20 digits",
        "r.csv",
        lambda p: p.write_text(f"{HEADER}99999999999999999999;{LINES[0]}\n"),
        refused="expected integers in the id column link_id, got '99999999999999999999'",
    ),
    Written("CSV with ids as floats", "r.csv", partial(save, ids=IDS.astype(float)), all_roads()),
    Written(
        "CSV with ids as words",
        "r.csv",
        partial(save, ids=["a", "b", "c", "d"]),
        refused="expected integers in the id column link_id, got 'a'",
    ),
    Written(
        "CSV with two columns of one name",
        "r.csv",
        lambda p: p.write_text(f"link_id;geom;geom\n7001;{LINES[0]};{LINES[1]}\n"),
        refused="2 columns are called 'geom'",
    ),
]
