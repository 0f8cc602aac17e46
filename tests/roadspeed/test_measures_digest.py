"""One digest for all tables of measures: whatever the processes, objects, formats and deaths."""

from __future__ import annotations

import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import mapreduce as mr
from mapreduce.engines.dask import Dask
from mapreduce.formats.json import Json
from mapreduce.runs.driver import Options
from roadspeed.roads.rows.lines import courses_of
from tests.mapreduce.test_scanner import quick
from tests.roadspeed import measured_trips as trips
from tests.roadspeed.towns import default_town

ROOT = Path(__file__).parents[2]
COPIES = 15
ONE_EACH = Options(split_bytes=1)


@cache
def known() -> mr.Result:
    """The result of an object a trip, one process."""
    return mr.run(trips.job(), mr.Memory(trips.many()), workers=1)


def test_all_that_is_measured_is_there() -> None:
    result = known()
    assert set(result.tables) == {
        "links", "free_flow", "limits", "by_link",
        *("by_" + one.replace("-", "_") for one in trips.BY),
    }  # fmt: skip
    assert all(len(columns["link"]) > 20 for columns in result.tables.values())
    dropped = result.receipt["records"]["dropped"]
    assert dropped["trip_end"] > 100
    assert result.receipt["records"]["kept"] > 5_000


def test_compiled_code_reads_the_trips_of_all_measures() -> None:
    [body, *_] = trips.many().values()
    records = trips.job().records
    assert isinstance(records, Json)
    assert quick(records).read(body) is not None


@pytest.mark.parametrize("workers", [2, 3])
def test_any_number_of_processes(workers: int) -> None:
    source = mr.Memory(trips.many())
    result = mr.run(trips.job(), source, workers=workers, options=ONE_EACH)
    assert result.digest == known().digest


@pytest.mark.parametrize("form", trips.WRITERS)
def test_any_format_and_one_object_or_many(form: str) -> None:
    for objects in (trips.many(form), trips.mixed(form)):
        result = mr.run(trips.job(form), mr.Memory(objects), workers=2)
        assert result.digest == known().digest
        assert result.receipt["records"]["kept"] == known().receipt["records"]["kept"]


@pytest.mark.parametrize(("epoch", "scale"), [("s", 1), ("ms", 1000)])
@pytest.mark.parametrize("form", trips.WRITERS)
def test_times_as_numbers(form: str, epoch: str, scale: int) -> None:
    write = trips.as_plain_parquet if form == "parquet" else trips.WRITERS[form]
    objects = {str(n): write(trips.with_numbers(one, scale)) for n, one in enumerate(trips.rows())}
    result = mr.run(trips.job(form, time_epoch=epoch), mr.Memory(objects), workers=1)
    assert result.digest == known().digest


def test_directions_from_moves(tmp_path: Path) -> None:
    features = default_town().roads()["features"]
    made = tmp_path / "courses.npz"
    courses_of(*trips.lines_of(features)).write(made)
    told = {"direction_from": "moves", "courses": mr.SideFile(made)}
    digests = set()
    for form in trips.WRITERS:
        for objects in (trips.many(form), trips.mixed(form)):
            digests.add(mr.run(trips.job(form, **told), mr.Memory(objects), workers=1).digest)
    assert len(digests) == 1


def test_on_dask(dask_address: str) -> None:
    source = mr.Memory(trips.many())
    result = mr.run(trips.job(), source, engine=Dask(dask_address), options=ONE_EACH)
    assert result.receipt["engine"] == "dask"
    assert result.digest == known().digest


def test_a_run_that_was_killed_and_goes_on(tmp_path: Path) -> None:
    source, out = tmp_path / "trips", tmp_path / "out"
    source.mkdir()
    for name, body in trips.many().items():
        for copy in range(COPIES):  # so that it is not over before it dies
            (source / f"{name}-{copy:02}.json").write_bytes(body)
    command = [sys.executable, "-m", "tests.roadspeed.killed_measures", str(source), str(out)]
    killed = subprocess.run(command, cwd=ROOT, check=False, timeout=100)
    assert killed.returncode == -signal.SIGKILL
    result = mr.run(trips.job(), str(source), folder=out, workers=2, options=ONE_EACH)
    assert 0 < result.receipt["resumed"]["splits_done"] < trips.TRIPS * COPIES
    assert result.digest == mr.run(trips.job(), str(source), workers=2).digest
