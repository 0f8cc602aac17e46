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


def hours_of(times: list[object], **values: str) -> dict[bytes, int]:
    """Give the hour that is found for each time, under its number."""
    job = importlib.import_module("examples.road_hours").RoadHours(**values)
    data = [
        {"dbResponse": {"roadType": f"{i:02}"}, "datetime": time} for i, time in enumerate(times)
    ]
    result = mr.run(job, mr.Memory({"a": json.dumps({"data": data}).encode()}), workers=1)
    assert result.receipt["records"]["kept"] == len(times)
    return dict(zip(result.rows["road"].tolist(), result.rows["hour"].tolist(), strict=True))


def test_hours_are_those_of_the_zone_and_what_cannot_be_read_is_counted() -> None:
    times: list[object] = ["2019-08-26T07:17:27Z", "2019-08-26T00:30+02:00", "2019-08-26 07:17"]
    odd: list[object] = ["2019-13-26T07:17:27Z", "26/08/2019 07:17", "", None, True, 1566803847]
    assert [*hours_of(times + odd).values()] == [7, 22, 7, *[-1] * len(odd)]
    london = hours_of(times + odd, timezone="Europe/London")
    assert [*london.values()] == [8, 23, 7, *[-1] * len(odd)]


@pytest.mark.parametrize("epoch", ["s", "ms"])
def test_seconds_and_milliseconds_are_never_taken_for_each_other(epoch: str) -> None:
    times: list[object] = [1566803847, 1566803847123, -5, "soon"]
    found = [7, -1] if epoch == "s" else [-1, 7]
    assert [*hours_of(times, epoch=epoch).values()] == [*found, -1, -1]


def test_percentiles_by_hour(trips: Path, tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        moved = json.loads((trips / name).read_text())
        for number, fix in enumerate(moved["data"]):
            fix["absVelocity"] = 10.0 * number
        (trips / name).write_text(json.dumps(moved))
    rows = run("examples/hour_percentiles.py:HourPercentiles", trips, tmp_path / "out")
    assert [(r["link"], r["hour"], r["fixes"]) for r in rows] == [
        ("5", "7", "4"),
        ("6", "0", "2"),
        ("6", "23", "2"),
    ]
    assert [float(r["p50"]) for r in rows] == [2.0, 31.0, 21.0]
    day = ("--set", "day=2019-08-26")
    assert run("examples/before_after.py:BeforeAfter", trips, tmp_path / "none", *day) == []
    (trips / "c.json").write_text((trips / "a.json").read_text().replace("08-26", "08-25"))
    [first, _] = run("examples/before_after.py:BeforeAfter", trips, tmp_path / "both", *day)
    assert (first["link"], first["before"], first["after"]) == ("5", "5.0", "5.0")


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
