"""The examples run as their first lines say, and their answers are right."""

from __future__ import annotations

import ast
import collections
import csv
import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mapreduce as mr

ROOT = Path(__file__).parents[1]
TRIP = {
    "data": [
        {
            "dbResponse": {"linkID": str(link), "roadType": road},
            "tangAccel": accel,
            "datetime": f"2019-08-26T{hour:02}:17:27Z",
        }
        for link, road, accel, hour in [
            (5, "primary", -3.5, 7),
            (5, "primary", 0.0, 7),
            (6, "primary", -1.0, 23),
            (6, "residential", -9.0, 0),
        ]
    ]
}


def run(job: str, source: Path, out: Path, *more: str) -> list[dict[str, str]]:
    done = subprocess.run(
        [sys.executable, "-m", "mapreduce.cli", "run", job, source, "--out", out, *more],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    tables = [p for p in out.glob("*.csv") if p.name not in ("quarantine.csv", "dropped.csv")]
    with tables[0].open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def trips(tmp_path: Path) -> Path:
    folder = tmp_path / "trips"
    folder.mkdir()
    for name in ("a.json", "b.json"):
        (folder / name).write_text(json.dumps(TRIP))
    return folder


def test_fixes_by_road_type_and_hour(trips: Path, tmp_path: Path) -> None:
    rows = run("examples/road_hours.py:RoadHours", trips, tmp_path / "out")
    assert [(r["road"], r["hour"], r["fixes"], r["trips"]) for r in rows] == [
        ("primary", "7", "4", "2"),
        ("primary", "23", "2", "2"),
        ("residential", "0", "2", "2"),
    ]


READ = [  # time, hour in UTC, hour as written; -1: it cannot be read
    ("2019-08-26T07:17:27Z", 7, 7),
    ("2019-08-26T07:17:27.123Z", 7, 7),
    ("2019-08-26 07:17:27.123456+00:00", 7, 7),
    ("2019-08-26T00:30:00+02:00", 22, 0),
    ("2019-08-26T23:30:00-0130", 1, 23),
    ("2019-08-26T07:10+05:45", 1, 7),
    ("2019-08-26T07:17:27", -1, 7),
    ("2019-08-26T07:17", -1, 7),
    ("2019-08-26T24:00:00Z", -1, -1),
    ("2019-13-26T07:17:27Z", -1, -1),
    ("2019-08-00T07:17:27Z", -1, -1),
    ("2019-08-26T07:60:00Z", -1, -1),
    ("2019-08-26T07:17:61Z", -1, -1),
    ("2019-08-26T07:17:27+99:00", -1, -1),
    ("2019-08-26T07:17:27.Z", -1, -1),
    ("2019-08-26T07:17:27 Z", -1, -1),
    ("2019-08-26T7:17:27Z", -1, -1),
    ("26/08/2019 07:17:27", -1, -1),
    ("2019-08-26", -1, -1),
    ("1566803847", -1, -1),
    ("1566803847123", -1, -1),
    ("07:17", -1, -1),
    ("٢٠١٩-08-26T07:17:27Z", -1, -1),
    ("garbage", -1, -1),
    ("", -1, -1),
]


@pytest.mark.parametrize("clock", ["utc", "local"])
def test_hours_are_read_strictly_and_offsets_honoured(clock: str) -> None:
    hours = importlib.import_module("examples.road_hours")
    data: list[object] = [
        {"dbResponse": {"roadType": f"{i:02}"}, "datetime": t[0]} for i, t in enumerate(READ)
    ]
    more: list[object] = [None, 1566803847, 1566803847123.5, True, [], "x" * 41]
    data = [*data, *({"dbResponse": {"roadType": "odd"}, "datetime": time} for time in more)]
    source = mr.Memory({"a": json.dumps({"data": data}).encode()})
    result = mr.run(hours.RoadHours(clock=clock), source, workers=1)
    found = dict(zip(result.rows["road"].tolist(), result.rows["hour"].tolist(), strict=True))
    expected = {f"{i:02}".encode(): t[1 if clock == "utc" else 2] for i, t in enumerate(READ)}
    assert found == expected
    assert result.receipt["records"]["dropped"] == {"bad_time": 5, "no_time": 1}


def test_many_times_are_read_as_one_by_one() -> None:
    hours_of = importlib.import_module("examples.road_hours").hours_of
    times = np.array([t[0].encode() for t in READ] * 50, dtype="S40")
    assert hours_of(times, utc=True).tolist() == [t[1] for t in READ] * 50
    assert hours_of(times[:0], utc=True).tolist() == []


@pytest.mark.parametrize("per_second", [1, 1000])
def test_seconds_and_milliseconds_are_never_taken_for_each_other(per_second: int) -> None:
    hours = importlib.import_module("examples.road_hours")
    times = [1566803847, 1566803847123, "1566803847", -5, 1e9, 1.5, "soon"]
    data = [{"dbResponse": {"roadType": "a"}, "time": time} for time in times]
    source = mr.Memory({"a": json.dumps({"data": data}).encode()})
    result = mr.run(hours.EpochHours(per_second=per_second), source, workers=1)
    assert result.rows["hour"].tolist() == [7]
    assert result.rows["fixes"].tolist() == [2 if per_second == 1 else 1]
    with pytest.raises(mr.UsageError, match="per_second"):
        hours.EpochHours(per_second=60)


@pytest.mark.parametrize("limit", [-3.0, 0.0, float("nan"), float("inf")])
def test_a_limit_of_braking_that_means_nothing_is_refused(limit: float) -> None:
    with pytest.raises(mr.UsageError, match="limit"):
        importlib.import_module("examples.braking").HarshBraking(limit=limit)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [([], "As a script"), (["no such folder"], "error: there is no folder or file")],
)
def test_a_script_says_what_it_wants(arguments: list[str], says: str) -> None:
    done = subprocess.run(
        [sys.executable, "examples/braking.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=100,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(("Harsh", "error"))
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_harsh_braking_takes_its_limit_as_a_parameter(trips: Path, tmp_path: Path) -> None:
    strict = run("examples/braking.py:HarshBraking", trips, tmp_path / "strict")
    mild = run("examples.braking:HarshBraking", trips, tmp_path / "mild", "--set", "limit=0.5")
    assert [(r["link"], r["share"]) for r in strict] == [("5", "0.5"), ("6", "0.5")]
    assert [(r["link"], r["share"]) for r in mild] == [("5", "0.5"), ("6", "1.0")]


def test_words_of_text_and_of_json_lines_are_counted_alike(tmp_path: Path) -> None:
    lines = ["One two two", "", "three TWO é " + "long" * 9]
    expected = collections.Counter(w for line in lines for w in line.lower().split())
    expected.pop("long" * 9)
    text, records = tmp_path / "text", tmp_path / "records"
    for folder in (text, records):
        folder.mkdir()
    (text / "a.txt").write_text("\n".join(lines))
    (records / "a.jsonl").write_text("\n".join(json.dumps({"text": line}) for line in lines))
    for job, folder in (("Words", text), ("JsonWords", records)):
        out = tmp_path / job
        rows = run(f"examples/words.py:{job}", folder, out)
        assert {r["word"]: int(r["count"]) for r in rows} == expected
        assert json.loads((out / "receipt.json").read_text())["records"]["refused_keys"] == {
            "words": 1
        }


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.name)
def test_a_job_is_at_most_thirty_lines(path: Path) -> None:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef) and node.end_lineno:
            assert node.end_lineno - node.lineno < 30, node.name
