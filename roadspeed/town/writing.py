"""Trips onto a disk: numbered files, a thousand a folder, each written whole or not at all.

`OUT/trips/000/trip-000001.json`, `OUT/roads.geojson`, and `OUT/_town.json`, which says of which
town they are. What is already there of the same town is kept, so that an interrupted run goes
on where it stopped; another town's trips are never mixed in, nor a run's files, and nothing is
ever deleted.
"""

from __future__ import annotations

import gzip
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import ujson

from mapreduce.errors import UsageError
from mapreduce.runs.receipt_file import RECEIPT
from roadspeed.town.town import DEFAULT_SEED, Town

if TYPE_CHECKING:
    from collections.abc import Callable

    Progress = Callable[[int, int], None]

_BATCH = 20
_PER_FOLDER = 1000
_SHAPE = 1  # of the generator: a change of any trip's bytes is a new one


@dataclass(frozen=True, slots=True)
class Made:
    """What `make_town` left on the disk: the places to give to `roadspeed run`, and sizes."""

    trips: Path
    roads: Path
    links: int
    written: int
    kept: int


def trip_key(number: int, *, compress: bool = False) -> str:
    """Where trip `number` lies under the folder of trips: `000/trip-000001.json`."""
    return f"{number // _PER_FOLDER:03d}/trip-{number:06d}.json{'.gz' if compress else ''}"


def trip_bytes(town: Town, number: int) -> bytes:
    """One trip as compact JSON, UTF-8."""
    text: str = ujson.dumps(town.trip(number), ensure_ascii=False, escape_forward_slashes=False)
    return text.encode()


def write_trips(
    town: Town, out_dir: Path, count: int, on_progress: Progress | None = None, *,
    processes: int = 1, compress: bool = False,
) -> int:  # fmt: skip
    """Write trips 1 to `count` under `out_dir`, but for those already there.

    Parameters
    ----------
    on_progress
        Called with trips done and `count`, every few trips, in this process.
    processes
        How many processes make trips; 1 makes them here. More are spawned, and each generates
        the town anew, so the caller's module needs its `if __name__ == "__main__":`.

    Returns
    -------
    int
        How many were written now.
    """
    numbers = [
        n for n in range(1, count + 1) if not (out_dir / trip_key(n, compress=compress)).exists()
    ]
    done = count - len(numbers)
    for folder in sorted({(out_dir / trip_key(n)).parent for n in numbers}):
        folder.mkdir(parents=True, exist_ok=True)
    batches = [numbers[i : i + _BATCH] for i in range(0, len(numbers), _BATCH)]

    def report(some: int) -> None:
        nonlocal done
        done += some
        if on_progress is not None:
            on_progress(done, count)

    if processes <= 1 or len(batches) <= 1:
        for batch in batches:
            report(_write_batch(town, out_dir, batch, compress=compress))
        return len(numbers)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        min(processes, len(batches)), context, _settle, (town.seed, town.scale)
    ) as pool:
        waiting = [pool.submit(_batch_there, str(out_dir), batch, compress) for batch in batches]
        try:
            for future in as_completed(waiting):
                report(future.result())
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return len(numbers)


def make_town(
    out: Path, trips: int, seed: int = DEFAULT_SEED, scale: float = 1.0, *, workers: int = 1,
    on_progress: Progress | None = None, compress: bool = False,
) -> Made:  # fmt: skip
    """Generate a town and write its roads and `trips` trips under `out`.

    Raises
    ------
    UsageError
        If a number is out of range, or `out` holds another town, or more trips than asked for.
    """
    if trips < 0:
        raise UsageError(f"expected a number of trips of 0 or more, got {trips}")
    folder = out / "trips"
    label: dict[str, object] = {"shape": _SHAPE, "seed": seed, "scale": scale, "gzip": compress}
    _refuse_mixing(out, folder, trips, label)
    town = Town.generate(seed, scale)
    folder.mkdir(parents=True, exist_ok=True)
    (out / "_town.json").write_text(ujson.dumps(label), encoding="utf-8")
    roads = out / "roads.geojson"
    town.write_roads(roads)
    written = write_trips(town, folder, trips, on_progress, processes=workers, compress=compress)
    return Made(folder, roads, len(town.net.link_id), written, trips - written)


def _refuse_mixing(out: Path, folder: Path, trips: int, town: dict[str, object]) -> None:
    """Make sure that `out` is empty or holds the same town and no more trips than asked for."""
    if (out / RECEIPT).exists():
        raise UsageError(
            f"{out} holds a finished run ({RECEIPT}): a town must not be mixed with its files;"
            " choose another --out"
        )
    label = out / "_town.json"
    there = sorted(folder.glob("*/trip-*")) if folder.is_dir() else []
    if label.exists():
        found = ujson.loads(label.read_text(encoding="utf-8"))
        if found != town and there:
            raise UsageError(
                f"{out} holds trips of another town: expected {town}, found {found}; choose"
                " another --out, or remove that folder"
            )
    elif there:
        raise UsageError(f"{folder} contains trips of unknown origin; choose another --out")
    last = trip_key(trips, compress=bool(town["gzip"]))
    beyond = [path for path in there if path.relative_to(folder).as_posix() > last]
    if beyond:
        raise UsageError(
            f"{folder} holds more than the {trips} trips asked for, such as {beyond[0].name};"
            " increase --trips, choose another --out, or remove that folder"
        )


def _write_batch(town: Town, out_dir: Path, numbers: list[int], *, compress: bool) -> int:
    for number in numbers:
        path = out_dir / trip_key(number, compress=compress)
        body = trip_bytes(town, number)
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(gzip.compress(body, 6, mtime=0) if compress else body)
        part.replace(path)
    return len(numbers)


_here: list[Town] = []  # the town of a spawned process, made once


def _settle(seed: int, scale: float) -> None:
    _here[:] = [Town.generate(seed, scale)]


def _batch_there(out_dir: str, numbers: list[int], compress: bool) -> int:
    return _write_batch(_here[0], Path(out_dir), numbers, compress=compress)
