"""What is typed wrong of measures is answered before a trip is read; what tells nothing, after."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import pytest

from tests.roadspeed.test_run import receipt_of, roadspeed

if TYPE_CHECKING:
    from pathlib import Path

MORNING = "morning=Mon-Fri 07:00-10:00"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trips as JSON and as CSV, and files of holidays."""
    made = tmp_path_factory.mktemp("typed")
    rows = [
        {"link": 1, "speed": 30 + n, "time": f"2021-05-03T0{n}:00:00Z", "text": "fast", "word": "x",
         "la": 50.0, "lo": n / 100}
        for n in range(5)
    ]  # fmt: skip
    for name in ("json", "csv"):
        (made / name).mkdir()
    (made / "json" / "a.json").write_text(json.dumps({"data": rows}))
    lines = [",".join(map(str, row.values())) for row in rows]
    (made / "csv" / "a.csv").write_text("\n".join([",".join(rows[0]), *lines]) + "\n")
    (made / "bad.txt").write_text("2021-02-30\n")
    (made / "none.txt").write_text("# nothing\n")
    return made


def typed(folder: Path, out: Path, *words: str) -> tuple[int, str]:
    """Type `roadspeed run`, over JSON or, where the words say so, CSV."""
    where = folder / ("csv" if "csv" in words else "json")
    given = [word.format(folder=folder) for word in words]
    done = roadspeed(
        "run", where, "--link", "link", "--speed", "speed", *given, "--no-map", "--out", out
    )
    assert "Traceback" not in done.stderr + done.stdout
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--by fortnight", "--by is hour, day, week-hour"),
        ("--by hour,", "--by is hour"),
        ("--by hour-hour", "hour is there twice"),
        ("--by hour --time ''", "--by hour needs the time of a fix: --time PATH"),
        ("--by period", "--period go together"),
        ("--by hour --period MORNING", "--period go together"),
        ("--by period --period 'a=Mon 7-10'", "such as 07:00-10:00, got '7-10'"),
        ("--by period --period MORNING --period 'b=Mon 09:00-11:00'", "overlap"),
        ("--by period --period 'a=Hol 07:00-10:00'", "none are given"),
        ("--period MORNING", "--period needs --by"),
        ("--by direction", "--signed-links, --direction PATH"),
        ("--by direction --direction-from up", "sign, field, heading, moves, matched, got 'up'"),
        ("--by direction --direction-from sign", "needs --signed-links"),
        ("--by direction --direction-from matched", "needs --osm"),
        ("--by direction --direction-from field", "needs the path of a field"),
        ("--by direction --direction-from moves", "needs --roads"),
        ("--by direction --heading text", "needs --roads"),
        ("--by direction --direction text --direction-values F=up", "got 'F=up'"),
        ("--direction text", "--direction needs --by"),
        ("--direction-values F=forward", "--direction-values needs --by"),
        ("--direction-from field", "--direction-from needs --by"),
        ("--no-traversals", "--no-traversals needs --by"),
        ("--timezone Europe/London", "--timezone needs --by"),
        ("--by hour --timezone Europe/Londno", "Did you mean Europe/London"),
        ("--by hour --holidays {folder}/nowhere", "cannot be read"),
        ("--by hour --holidays {folder}", "cannot be read"),
        ("--by hour --holidays {folder}/bad.txt", "line 1: 2021-02-30 is no date"),
        ("--by hour --holidays {folder}/none.txt", "hold no date"),
        ("--holidays {folder}/bad.txt", "--holidays needs --by"),
        ("--by hour --time-epoch us", "--time-epoch is s or ms"),
        ("--by hour --standing -1", "--standing is 0 to"),
        ("--by hour --max-gap 0", "--max-gap is above 0"),
        ("--by hour --layer day", "--layer day needs --by day"),
        ("--by hour --layer hour", "--layer needs --roads"),
        ("--min-trips 0", "--min-trips is 1 or more"),
        ("--trip-ends -5", "--trip-ends is 0 or more metres"),
        ("--latitude la", "--latitude needs --osm, --trip-ends"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    words: str, says: str, folder: Path, tmp_path: Path
) -> None:
    given = shlex.split(words.replace("MORNING", f"'{MORNING}'"))
    code, said = typed(folder, tmp_path / "out", *given)
    assert code == 2, said
    assert says in said
    assert "map:" not in said


@pytest.mark.parametrize("form", ["json", "csv"])
def test_what_could_not_be_told_at_all_is_said(form: str, folder: Path, tmp_path: Path) -> None:
    words = ("--by", "hour,direction", "--direction", "no", "--speed-limit", "text")
    code, said = typed(folder, tmp_path / "out", *words, "--time", "word", "--format", form)
    assert code == 0, said
    assert "by hour: not one of 5 fixes has a time that can be read at 'word'" in said
    assert "by direction: the direction of not one of 5 fixes is known, by field at 'no'" in said
    assert "not one fix has a number above 0 at 'text' (--speed-limit)" in said
    assert receipt_of(tmp_path / "out")["groupings"]["hour"]["without_cell"] == 5


def test_what_is_wholly_withheld_is_said(folder: Path, tmp_path: Path) -> None:
    words = ("--by", "hour", "--time", "time", "--min-trips", "2")
    code, said = typed(folder, tmp_path / "out", *words)
    assert code == 0, said
    assert "by hour: all 5 cells are withheld: fewer than 2 trips" in said
    assert "not one" not in said


def test_places_and_times_of_trip_ends_have_paths(folder: Path, tmp_path: Path) -> None:
    words = ("--trip-ends", "100", "--latitude", "la", "--longitude", "lo", "--time", "time")
    code, said = typed(folder, tmp_path / "out", *words)
    assert code == 0, said
    assert receipt_of(tmp_path / "out")["records"]["dropped"] == {"trip_end": 2}
