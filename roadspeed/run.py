"""The main job, end to end: speeds of every link, geometry by key, files, a map, the receipt.

Each step hands the next one plain arrays; each file is whole or absent, and the receipt comes
last, so a folder with a receipt is a finished run. Without roads there is no geometry and no map,
and everything else is written all the same; so it is where a map cannot be drawn. What can be
found out before the first trip is read is: options, libraries, names in the folder, roads.
"""

from __future__ import annotations

import importlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mapreduce import Options, Progress, UsageError, run
from mapreduce.errors import MapReduceError
from mapreduce.runs.folder_lock import holding
from mapreduce.runs.report import published, write_account, write_receipt
from mapreduce.runs.sums import SUMS, write_sums
from roadspeed.maps.map_file import NAME as MAP_NAME
from roadspeed.maps.map_file import Beneath, check_memory, map_or_why
from roadspeed.outputs import LinkTable, Told, measure_files, write_outputs
from roadspeed.outputs.column_docs import FILES
from roadspeed.outputs.write import has_gdal
from roadspeed.road_source import RoadSource, with_courses
from roadspeed.speeds import Speeds
from roadspeed.statistics import MICRO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from mapreduce import Result, Resumed
    from mapreduce.engine import Engine
    from roadspeed.maps.picture import Picture
    from roadspeed.measures.groupings import Grouping
    from roadspeed.outputs.link_table import Unit
    from roadspeed.roads.rows.answer import BBox, JoinedRoads

GDAL = "pyogrio"
LIBRARIES = ("pyarrow.parquet", "shapely", "pyproj")
DRAWING = ("matplotlib.figure", "PIL.Image")


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a run of the application is asked for, beside its trips.

    `picture` is None for no map; `context` draws the roads without data beneath it; `anew` throws
    away what an interrupted run has done. `min_fixes` and `attribution` hold for the map and for
    the other files alike; None and "" take the picture's. Links and cells with fewer trips than
    `min_trips` are in no file. With `publish` no file has the least and greatest speed of a link,
    and no sums are kept, which hold what is withheld. `layers` are written as GeoPackages too.
    `sums`: keep them, to be added.
    """

    out: Path
    job: Speeds = field(default_factory=Speeds)
    roads: RoadSource | None = None
    picture: Picture | None = None
    context: bool = False
    min_fixes: int | None = None
    attribution: str = ""
    min_trips: int = 1
    publish: bool = False
    layers: tuple[Grouping, ...] = ()
    options: Options = field(default_factory=Options)
    anew: bool = False
    retry: bool = False
    sums: bool = True

    def told(self) -> Told:
        """Give what the outputs repeat of all this."""
        few, credit = self.min_fixes, ""
        if self.picture is not None:
            few = self.picture.min_fixes if few is None else few
            credit = self.picture.attribution
        return Told(
            link=self.job.link,
            speed=self.job.speed,
            trip=self.job.trip,
            is_matched=self.job.is_matched,
            is_stepped=self.job.is_stepped,
            max_speed=self.job.max_speed,
            min_fixes=Told().min_fixes if few is None else few,
            attribution=self.attribution or credit,
        )


def run_speeds(
    source: str,
    wanted: RunRequest,
    engine: Engine,
    on_progress: Callable[[Progress], None] = lambda _: None,
    *,
    on_begun: Callable[[Resumed | None], None] = lambda _: None,
) -> dict[str, Any]:
    """Compute the speeds of every link and write all that is wanted.

    `on_begun` is called once the folder is this run's, as `mapreduce.run` tells.

    Returns
    -------
    dict
        The receipt, as `receipt.json` has it but for the files' digests.

    Raises
    ------
    MapReduceError
        Any of its kinds, each with what to do next.
    """

    def read(wanted: RunRequest) -> Result:
        return run(
            with_courses(wanted.job, wanted.roads, wanted.out, on_progress),
            source,
            engine=engine,
            folder=wanted.out,
            options=wanted.options,
            on_begun=on_begun,
            on_progress=on_progress,
            anew=wanted.anew,
            retry=wanted.retry,
            keep_journal=True,  # until all is written: a join or map that fails costs no reading
        )

    return write_speeds(read, wanted, on_progress)


def write_speeds(
    read: Callable[[RunRequest], Result],
    wanted: RunRequest,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> dict[str, Any]:
    """Write all that is wanted of what `read` gives of it; see `run_speeds`."""
    started = time.monotonic()
    wanted = replace(wanted, roads=_with_ids(wanted.roads, wanted.job))
    _check(wanted)
    with holding():  # nobody else runs in the folder while this one joins
        result = read(wanted)
        joining = time.monotonic()
        joined = _joined(result, wanted.roads, on_progress)
        writing = time.monotonic()
        receipt = dict(result.receipt)
        receipt["speeds"] = {"unit": wanted.job.unit, "rounded_to": 1 / MICRO}
        receipt["geometry"] = _geometry(len(result.rows["link"]), joined)
        receipt["geometry"] |= _unjoined(result, wanted.roads, joined)
        unjoined = "note" in receipt["geometry"]  # so another command will follow
        with published(wanted.out, keep_journal=unjoined) as room:
            table = link_table(result, joined, wanted.job.unit, wanted.told())
            table, receipt["publishing"] = _published(table, wanted)
            more, receipt["groupings"] = _measured(result, wanted, table, room)
            receipt["limited_fixes"] = _limited(result)
            files = [
                *write_outputs(room, table).values(),
                *more,
                *write_account(room, result.ledger, None if wanted.publish else result.kept),
            ]
            receipt["map"] = _drawn(result, table, wanted, room)
            files += write_sums(room, result) if wanted.sums and not wanted.publish else []
            files += [room / MAP_NAME] if (room / MAP_NAME).exists() else []
            ended = time.monotonic()
            receipt["times_s"] = {
                **receipt["times_s"],
                "join": round(writing - joining, 3),
                "write": round(ended - writing, 3),
                "total": round(ended - started, 3),
            }
            write_receipt(room, receipt, files)
    on_progress(Progress("write", len(files), len(files), "files"))
    return receipt


def _check(wanted: RunRequest) -> None:
    """Refuse before hours of work what would fail after them.

    Raises
    ------
    UsageError
        Where an option cannot be meant, a library is missing, a folder has the name of a file
        that will be written, or the roads are not there or lack a column.
    """
    if wanted.roads is None and wanted.context:
        raise UsageError("--context needs --roads: it draws roads without data")
    if wanted.picture is not None:
        wanted.picture.check()
    drawing = wanted.picture is not None and wanted.roads is not None
    if drawing and wanted.picture is not None:
        check_memory(wanted.picture)
    check_libraries((*LIBRARIES, *(DRAWING if drawing else ())))
    measured = measure_files.names(wanted.job.measures.groupings, wanted.layers)
    for name in (*FILES, *measured, *SUMS, MAP_NAME, "receipt.json"):
        if (wanted.out / name).is_dir():
            raise UsageError(
                f"{wanted.out / name}: expected no folder, because a file of this name will be"
                " written; move it away, or choose another --out"
            )
    if wanted.layers:
        if wanted.roads is None:
            raise UsageError("--layer needs --roads: it has the lines of links")
        check_libraries([GDAL])
    _check_roads(wanted.roads)


def _with_ids(roads: RoadSource | None, job: Speeds) -> RoadSource | None:
    """Give the roads with ids of the type that the job's links have."""
    if roads is None:
        return None
    return replace(roads, named=replace(roads.named, text_ids=job.link_type == "text"))


def left_out(receipt: Mapping[str, Any]) -> list[str]:
    """Say which file was not written for want of a library."""
    if receipt["geometry"]["joined"] == 0 or has_gdal():
        return []
    return ["speeds.gpkg was not written; it needs GDAL: pip install 'roadspeed[gdal]'"]


def check_libraries(names: Iterable[str]) -> None:
    """Load what the files are written with: at the end of a long run it would be too late."""
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            extra = {GDAL: "gdal", **dict.fromkeys(DRAWING, "maps")}.get(name, "roads")
            raise UsageError(
                f"{name.partition('.')[0]} is needed to write the files, and cannot be loaded"
                f" ({error}); install it: pip install 'roadspeed[{extra}]'"
            ) from error


def _check_roads(roads: RoadSource | None) -> None:
    """Refuse roads that no link could be joined to before hours of work, not after."""
    if roads is None:
        return
    from roadspeed.roads import check  # noqa: PLC0415 - shapely loads when it is needed

    check(roads.where, roads.named)


def _joined(
    result: Result, roads: RoadSource | None, tell: Callable[[Progress], None]
) -> JoinedRoads | None:
    if roads is None:
        return None
    from roadspeed.roads import join  # noqa: PLC0415 - shapely loads when it is needed

    def on_rows(done: int, total: int | None) -> None:
        tell(Progress("join", done, total, "roads"))

    links = cast("Any", result.rows["link"])
    joined = join(links, roads.where, roads.named, on_progress=on_rows)
    tell(Progress("join", len(links), len(links), "links"))
    return joined


def _unjoined(
    result: Result, roads: RoadSource | None, joined: JoinedRoads | None
) -> dict[str, str]:
    """Say why not one link was joined, where that is so."""
    if roads is None or joined is None or joined.joined or not joined.missing:
        return {}
    from roadspeed.roads import unjoined  # noqa: PLC0415 - shapely loads when it is needed

    try:
        return {"note": unjoined(cast("Any", result.rows["link"]), roads.where, roads.named)}
    except MapReduceError as error:  # the tables are worth more than the reason
        return {"note": f"no link matches a road, and the reason could not be determined: {error}"}


def link_table(result: Result, joined: JoinedRoads | None, unit: str, told: Told) -> LinkTable:
    """Give what the writers take from what the run gave."""
    rows = {name: np.asarray(column) for name, column in result.rows.items()}
    return LinkTable(
        unit=cast("Unit", unit),
        **rows,
        geometry=None if joined is None else joined.geometry,
        road_class=None if joined is None else joined.road_class,
        sample=sample_note(result.receipt),
        told=told,
    )


def _published(table: LinkTable, wanted: RunRequest) -> tuple[LinkTable, dict[str, Any] | None]:
    """Leave out what is not to be published; give what the receipt says of that."""
    if wanted.min_trips == 1 and not wanted.publish:
        return table, None
    shown = table.trips >= wanted.min_trips
    said = {
        "min_trips": wanted.min_trips,
        "links_withheld": int((~shown).sum()),
        "extremes": not wanted.publish,
        "trip_ends_m": wanted.job.trip_ends,
    }
    table = table.some(shown)
    if wanted.publish:
        none = np.full(len(table), np.nan)
        table = replace(table, min=none, max=none)
    return table, said


def _measured(
    result: Result, wanted: RunRequest, links: LinkTable, folder: Path
) -> tuple[list[Path], dict[str, Any]]:
    """Write the tables beside that of the links; give the files, and what the receipt says."""
    job = wanted.job
    tables = measure_files.MeasureTables(
        groupings=job.measures.groupings,
        tables=result.tables,
        kept=result.receipt["records"]["kept"],
        periods=job.period_names,
        min_trips=wanted.min_trips,
        layers=wanted.layers,
    )
    return tables.write(folder, links)


def _limited(result: Result) -> int | None:
    """Give how many fixes have a posted limit; None where none is read."""
    limits = result.tables.get("limits")
    return None if limits is None else int(np.asarray(limits["limit_fixes"]).sum())


def sample_note(receipt: dict[str, Any]) -> str | None:
    """Say that the outputs are of a sample; None where they are of everything."""
    selection = receipt["selection"]
    if selection is not None and "runs" in selection:  # of runs that were added
        notes = {_chosen(one) or "everything" for one in selection["runs"]}
        return f"of several runs: {'; '.join(sorted(notes))}"
    return _chosen(selection)


def _chosen(selection: dict[str, Any] | None) -> str | None:
    if selection is None:
        return None
    said = [] if selection["sample"] is None else [f"a sample of {selection['sample']:.4g} by key"]
    said += [] if selection["limit"] is None else [f"the first {selection['limit']:,} trips"]
    said += [f"keys like {glob}" for glob in selection["match"]]
    said += [f"keys not matching {glob}" for glob in selection["exclude"]]
    return "only " + ", ".join(said)


def _drawn(
    result: Result, table: LinkTable, wanted: RunRequest, folder: Path
) -> dict[str, Any] | None:
    """Draw the map if one is wanted; give what the receipt says of it."""
    picture, roads = wanted.picture, wanted.roads
    if picture is None or roads is None:
        return None

    def beneath() -> Beneath | None:
        return _context(roads, picture.bbox) if wanted.context else None

    trips = None if table.told.trip else result.receipt["objects"]["ok"]
    return map_or_why(folder / MAP_NAME, table, picture, trips, beneath)


def _context(roads: RoadSource, bbox: BBox | None) -> Beneath:
    """Read the roads of a box; one across the date line is two boxes to any source."""
    from roadspeed.maps.frame import halves  # noqa: PLC0415 - as above
    from roadspeed.roads import context  # noqa: PLC0415 - as above

    boxes: list[BBox | None] = [None] if bbox is None else [*halves(bbox)]
    parts = [context(roads.where, box, roads.named) for box in boxes]
    return Beneath(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _geometry(links: int, joined: JoinedRoads | None) -> dict[str, Any]:
    if joined is None:
        return {"links": links, "joined": 0, "missing": 0, "merged": 0}
    return {
        "links": links,
        "joined": joined.joined,
        "missing": joined.missing,
        "merged": joined.merged,
        "folded": joined.folded,
        "unreadable": joined.unreadable,
    }
