"""Two runs compared: every number against a plain loop, and what cannot be compared refused."""

from __future__ import annotations

import csv
import json
import math
import shutil
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mapreduce.errors import MapReduceError, UsageError
from mapreduce.runs import receipt_file
from mapreduce.runs.report import write_receipt
from roadspeed.compare import compare, counts, surest, write_comparison
from roadspeed.comparison import welch_half_width_95
from tests.roadspeed.test_run import roadspeed

if TYPE_CHECKING:
    from pathlib import Path

BEFORE = {1: [30.0, 31.5, 29.25, 30.5], 2: [50.0, 52.0], 3: [10.0], 4: [70.0, 71.0, 72.0], 6: [5.0]}
AFTER = {1: [20.0, 21.5, 19.0], 2: [51.0, 50.0], 3: [12.0], 4: [90.0, 91.0, 95.0], 5: [8.0, 8.5]}


def ran(folder: Path, name: str, speeds: dict[int, list[float]], *told: str) -> Path:
    """Run over one trip with these fixes."""
    trips = folder / f"in-{name}"
    trips.mkdir()
    fixes = [
        {"dbResponse": {"linkID": str(i)}, "absVelocity": v} for i in speeds for v in speeds[i]
    ]
    (trips / "t.json").write_text(json.dumps({"data": fixes}))
    done = roadspeed("run", trips, "--out", folder / name, *told)
    assert done.returncode == 0, done.stderr
    return folder / name


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("runs")
    return ran(folder, "before", BEFORE), ran(folder, "after", AFTER)


def test_each_number_is_that_of_a_plain_loop(runs: tuple[Path, Path]) -> None:
    found = compare(*runs)
    rows = {row["link"]: row for row in found.rows.to_pylist()}
    assert list(rows) == [1, 2, 3, 4, 5, 6]
    for link, row in rows.items():
        for side, of in (("a", BEFORE), ("b", AFTER)):
            speeds = of.get(link)
            assert row[f"fixes_{side}"] == (len(speeds) if speeds else None)
            assert row[f"mean_{side}"] == (mean(speeds) if speeds else None)
            assert row[f"trips_{side}"] == (1 if speeds else None)
        if link in BEFORE and link in AFTER:
            assert row["difference"] == mean(AFTER[link]) - mean(BEFORE[link])
        else:
            assert row["difference"] is row["ci95"] is None
    stds = [np.array([stdev(of[1])]) for of in (BEFORE, AFTER)]
    sizes = [np.array([len(of[1])]) for of in (BEFORE, AFTER)]
    (half,) = welch_half_width_95(stds[0], sizes[0], stds[1], sizes[1])
    assert math.isclose(rows[1]["ci95"], half, rel_tol=1e-12)
    said = [rows[link]["verdict"] for link in range(1, 7)]
    assert said == ["slower", "undecided", "undecided", "faster", "only_b", "only_a"]
    assert sum(counts(found).values()) == 6
    assert [row["link"] for row in surest(found, 9)] == [4, 1]
    assert [row["link"] for row in surest(found, 1)] == [4]


def test_few_trips_leave_a_row_undecided(runs: tuple[Path, Path]) -> None:
    said = counts(compare(*runs, min_trips=2))
    assert said == {"undecided": 4, "only_a": 1, "only_b": 1}


def test_the_command_shows_shares_the_surest_and_what_the_interval_is(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    for name in ("x.csv", "x.parquet"):
        done = roadspeed("compare", *runs, "--out", tmp_path / name, "--top", "1")
        assert done.returncode == 0, done.stderr
        assert f"4 links in both runs, 1 only in {runs[0]}, 1 only in {runs[1]}" in done.stdout
        assert "1 slower (25 %), 1 faster (25 %), 2 undecided (50 %)" in done.stdout
        assert "+21.0" in done.stdout
        assert "-10." not in done.stdout
        assert "Those of one trip are not, so read it as a lower bound" in done.stdout
        assert f"6 rows written to {tmp_path / name}" in done.stdout
    with (tmp_path / "x.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    table = pq.read_table(tmp_path / "x.parquet")
    assert [row["link"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert [float(row["difference"]) for row in rows[:4]] == table["difference"].to_pylist()[:4]
    assert json.loads(table.schema.metadata[b"roadspeed"])["unit"] == "km/h"
    for name in ("difference", "ci95", "mean_a"):
        assert table.schema.field(name).metadata[b"unit"] == b"km/h"
    assert b"lower bound" in table.schema.field("ci95").metadata[b"description"]


def test_what_cannot_be_compared_is_told(runs: tuple[Path, Path], tmp_path: Path) -> None:
    before, after = runs
    miles = ran(tmp_path, "miles", AFTER, "--unit", "mph")
    text = ran(tmp_path, "text", AFTER, "--link-type", "text")
    damaged, none = tmp_path / "damaged", tmp_path / "none"
    shutil.copytree(after, damaged)
    (damaged / "speeds.parquet").write_bytes(b"PAR1")
    cases: list[tuple[type[Exception], str, Path, dict[str, Any]]] = [
        (UsageError, r"before is in km/h, .*miles in mph", miles, {}),
        (UsageError, r"column link is int64 in .*, and string in .*text", text, {}),
        (MapReduceError, r"speeds\.parquet is not what the run wrote", damaged, {}),
        (UsageError, "is not the --out folder of a run", none, {}),
        (UsageError, r"has no table by hour: it has no grouping\. .* --by hour", after,
         {"grouping": "hour"}),
    ]  # fmt: skip
    for kind, says, other, told in cases:
        with pytest.raises(kind, match=says):
            compare(before, other, **told)
    for arguments in (("--out", "x.txt"), ("--out", f"{tmp_path}/no/x.csv"), ("--top", "-1")):
        done = roadspeed("compare", before, after, *arguments)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)
        assert arguments[0] in done.stderr


def test_other_parameters_are_told_and_compared(runs: tuple[Path, Path], tmp_path: Path) -> None:
    slow = ran(tmp_path, "slow", BEFORE, "--max-speed", "60")
    found = compare(runs[0], slow)
    assert found.notes == (f"max_speed is 400.0 in {runs[0]} and 60.0 in {slow}",)
    assert counts(found) == {"undecided": 4, "only_a": 1}


def grouped(folder: Path, rows: dict[str, Any]) -> None:
    """Add a table of a grouping to a run, and list it in its receipt."""
    n = len(rows["link"])
    kinds = {"fixes": pa.int64(), "trips": pa.int64(), "mean": pa.float64(), "std": pa.float64()}
    columns = {name: pa.array(values) for name, values in rows.items()}
    columns |= {name: columns[name].cast(kind) for name, kind in kinds.items()}
    columns = {n: columns[n] for n in ("link", "direction", "hour", *kinds)}
    columns["p50"] = pa.nulls(n, pa.float64())
    table = pa.table(columns).replace_schema_metadata(
        {"roadspeed": json.dumps({"unit": "km/h", "grouping": "direction-hour"})}
    )
    pq.write_table(table, folder / "speeds-by-direction-hour.parquet")
    receipt, said = receipt_file.read(folder / "receipt.json")
    del said["files"], said["checksum"]
    names = {*receipt.files, "speeds-by-direction-hour.parquet"}
    write_receipt(folder, said, [folder / name for name in sorted(names)])


def test_cells_of_a_grouping_are_paired_by_link_and_cell(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    for run in runs:
        shutil.copytree(run, tmp_path / run.name)
    a, b = (tmp_path / run.name for run in runs)
    numbers = {"fixes": [9, 9, 9], "trips": [2, 2, 2], "std": [1.0, 1.0, None]}
    grouped(a, {"link": [1, 1, 2], "direction": ["forward", "backward", "forward"],
                "hour": [7, 7, 8], "mean": [30.0, 40.0, 50.0], **numbers})  # fmt: skip
    grouped(b, {"link": [1, 2, 2], "direction": ["backward", "forward", "forward"],
                "hour": [7, 8, 9], "mean": [35.0, 51.0, 50.0], **numbers})  # fmt: skip
    found = compare(a, b, "direction-hour")
    assert found.keys == ("link", "direction", "hour")
    rows = {(r["link"], r["direction"], r["hour"]): r for r in found.rows.to_pylist()}
    assert {key: row["verdict"] for key, row in rows.items()} == {
        (1, "backward", 7): "slower",
        (1, "forward", 7): "only_a",
        (2, "forward", 8): "undecided",
        (2, "forward", 9): "only_b",
    }
    write_comparison(tmp_path / "x.csv", found, (a, b))
    shown = roadspeed("compare", a, b, "--by", "direction-hour")
    assert "2 cells in both runs" in shown.stdout, shown.stderr
    with pytest.raises(UsageError, match=r"no table by hour: it has direction-hour\. Run again"):
        compare(a, b, "hour")
