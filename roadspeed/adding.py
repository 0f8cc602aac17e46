"""Speeds of several finished runs as one: their sums added, and everything written anew.

Sums and accounts are the framework's business (`mapreduce.runs.adding`); here they become tables,
geometry and a map, as a run's do. Where no roads are given, the geometry is that which the runs
wrote into their own `speeds.parquet`.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import pyarrow as pa
import pyarrow.parquet as pq

from mapreduce.errors import UsageError
from mapreduce.runs.adding import Addition
from mapreduce.runs.finished import finished_run
from roadspeed.road_source import RoadSource
from roadspeed.roads import Named
from roadspeed.run import RunRequest, write_speeds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mapreduce import Progress, Result
    from roadspeed.speeds import Speeds

TABLE: Final = "speeds.parquet"
GEO: Final = b"geo"
COLUMNS: Final = ("link", "road_class", "geometry")
JOBS: Final = (
    "roadspeed.speeds:Speeds",
    "roadspeed.traced_speeds:TracedSpeeds",
    "roadspeed.osm.matched_speeds:MatchedSpeeds",
)


def add_speeds(
    folders: Sequence[Path],
    wanted: RunRequest,
    *,
    max_keys: int,
    other_code: bool = False,
    on_begun: Callable[[], None] = lambda: None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> dict[str, Any]:
    """Add finished runs and write all that a run over all their objects writes.

    Parameters
    ----------
    folders
        Of the runs.
    wanted
        As of a run; its job is that of the runs, and without roads so is the geometry.
    max_keys
        Most rows of a table.
    other_code
        Whether runs of other code are added too.
    on_begun
        Called once the runs are known to add up, and the folder is this one's.

    Returns
    -------
    dict
        The receipt, as `receipt.json` has it but for the files' digests.

    Raises
    ------
    MapReduceError
        As `mapreduce.runs.adding.Addition` and `roadspeed.run.run_speeds`.
    """
    wanted = _withheld(folders, wanted)
    addition = Addition(folders, other_code=other_code)
    if addition.job not in JOBS:
        raise UsageError(
            f"{folders[0]} is of the job {addition.job}, which is not one of `roadspeed run`:"
            f" mapreduce add {addition.job} …"
        )
    job = cast("Speeds", addition.loaded(addition.job))
    with _roads_of(folders, wanted) as roads:
        credit = wanted.attribution or _credits(folders)
        wanted = replace(wanted, job=job, roads=roads, attribution=credit)

        def summed(wanted: RunRequest) -> Result:
            result = addition.result(job, wanted.out, max_keys)
            on_begun()
            return result

        return write_speeds(summed, wanted, on_progress)


def _withheld(folders: Sequence[Path], wanted: RunRequest) -> RunRequest:
    """Withhold what the strictest of the runs withheld: their sums hold it.

    Raises
    ------
    UsageError
        A run was published, and so has no sums.
    """
    fewest = wanted.min_trips
    for folder in folders:
        said = finished_run(folder).said.get("publishing") or {}
        if not said.get("extremes", True):
            raise UsageError(
                f"{folder} was run with --publish, which keeps no sums: add runs without it, and"
                " with --min-trips, which holds for their sum too"
            )
        fewest = max(fewest, said.get("min_trips", 1))
    return replace(wanted, min_trips=fewest)


@contextlib.contextmanager
def _roads_of(folders: Sequence[Path], wanted: RunRequest) -> Iterator[RoadSource | None]:
    """Give the roads to join: those that are wanted, or else those in the runs' own tables."""
    if wanted.roads is not None:
        yield wanted.roads
        return
    if wanted.context:
        raise UsageError("--context needs --roads: it draws roads without data")
    links = _joined_links(folders)
    if links is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="roadspeed-") as room:
        path = Path(room) / TABLE
        pq.write_table(links, path)
        named = Named(id_column="link", geometry_column="geometry", class_column="road_class")
        yield RoadSource(str(path), named)


def _joined_links(folders: Sequence[Path]) -> Any:
    """Give every link that one of the runs has a geometry of, once; None where none has.

    Raises
    ------
    UsageError
        Where runs have different geometries of a link.
    """
    known: dict[Any, tuple[Any, Any]] = {}
    metadata: dict[bytes, bytes] = {}
    kind: Any = None
    for folder in folders:
        table = _links_in(folder)
        if table is None:
            continue
        kind = kind or table.schema
        metadata = metadata or {GEO: _plain_geo(table.schema.metadata[GEO])}
        for link, road_class, geometry in zip(*(c.to_pylist() for c in table.columns), strict=True):
            if geometry is None:
                continue
            if known.setdefault(link, (road_class, geometry)) != (road_class, geometry):
                raise UsageError(
                    f"the runs were joined to different roads: link {link} has another geometry or"
                    f" class in {folder} than in a run before it. Name the roads to join with"
                    " --roads"
                )
    if not known:
        return None
    classes, lines = zip(*known.values(), strict=True)
    values = zip((list(known), classes, lines), kind, strict=True)
    columns = [pa.array(column, field.type) for column, field in values]
    return pa.table(columns, names=list(COLUMNS)).replace_schema_metadata(metadata)


def _links_in(folder: Path) -> Any:
    """Read links, classes and lines of a run's table; None where it has no geometry."""
    run = finished_run(folder)
    if not run.has(TABLE):
        raise UsageError(f"{folder} belongs to another job: its run wrote no {TABLE}")
    path = run.file(TABLE)
    if "geometry" not in pq.read_schema(path).names:
        return None
    return pq.read_table(path, columns=list(COLUMNS)).select(list(COLUMNS))


def _plain_geo(geo: bytes) -> bytes:
    """Give what GeoParquet says of the geometry, without what only the file it was in has."""
    said = json.loads(geo)
    for column in said["columns"].values():
        column.pop("covering", None)
        column.pop("bbox", None)
    return json.dumps(said).encode()


def _credits(folders: Sequence[Path]) -> str:
    """Give whom the runs credit for the roads, each once."""
    found: list[str] = []
    for folder in folders:
        about = (pq.read_schema(finished_run(folder).file(TABLE)).metadata or {}).get(b"roadspeed")
        credit = json.loads(about or b"{}").get("attribution", "")
        found += [credit] if credit and credit not in found else []
    return ", ".join(sorted(found))
