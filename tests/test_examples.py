"""The examples run as their first lines say, and their answers are right."""

from __future__ import annotations

import ast
import collections
import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

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
