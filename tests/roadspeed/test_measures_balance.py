"""Counts balance: a fix is in each table, or is counted as without a cell of it; none is lost."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mapreduce.engines.local import Local
from roadspeed.run import RunRequest, run_speeds
from roadspeed.speeds import Speeds
from tests.roadspeed.rows import as_csv, as_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.roadspeed.rows import Rows

START = datetime(2021, 5, 3, 6, 30, tzinfo=UTC)
N = 200
WITHOUT = 50  # of them: every fourth has no time
BY = ("link", "hour", "week-hour", "date", "period", "day-hour")
PERIODS = ("morning=Mon-Fri 07:00-08:00",)  # an hour of the three and a third


def rows(time: Callable[[datetime], Any], bad: Any = None) -> Rows:
    """Give fixes a minute apart."""
    return [
        {
            "link": n % 3,
            "speed": float(n % 70),
            "time": bad if n % 4 == 3 else time(START + timedelta(minutes=n)),
        }
        for n in range(N)
    ]


def balanced(folder: Path, body: bytes, **given: Any) -> dict[str, Any]:
    """Run over one object; see that all balances, and give what the receipt says by grouping."""
    (folder / "in").mkdir()
    (folder / "in" / "a").write_bytes(body)
    job = Speeds(link="link", speed="speed", by=BY, periods=PERIODS, **({"time": "time"} | given))
    receipt = run_speeds(str(folder / "in"), RunRequest(folder / "out", job=job), Local(1))
    assert receipt["records"] == {"read": N, "kept": N, "dropped": {}}
    said: dict[str, Any] = receipt["groupings"]
    assert list(said) == [*BY]
    for name, one in said.items():
        table = pq.read_table(folder / "out" / f"speeds-by-{name}.parquet")
        assert sum(table["fixes"].to_pylist()) == one["fixes"]
        assert one["fixes"] + one["without_cell"] == N
        assert len(table) == one["cells"]
    assert said["link"] == {"cells": 3, "withheld": 0, "fixes": N, "without_cell": 0}
    return said


def without_cell(said: dict[str, Any]) -> list[int]:
    return [said[name]["without_cell"] for name in BY]


def as_parquet(kind: Any) -> Callable[[Rows], bytes]:
    """Write times as a type of Arrow."""

    def write(mine: Rows) -> bytes:
        schema = pa.schema([("link", pa.int64()), ("speed", pa.float64()), ("time", kind)])
        out = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(mine, schema), out, row_group_size=64)
        return out.getvalue()

    return write


def as_document(mine: Rows) -> bytes:
    return json.dumps({"data": mine}).encode()


def iso(time: datetime) -> str:
    return time.isoformat()


IN_PERIOD = sum(30 <= n < 90 and n % 4 != 3 for n in range(N))
FORMS: dict[str, tuple[Callable[[Rows], bytes], Callable[[datetime], Any], Any, dict[str, Any]]] = {
    "text": (as_document, iso, "soon", {}),
    "null": (as_document, iso, None, {}),
    "number for text": (as_document, iso, 17, {}),
    "seconds": (as_document, datetime.timestamp, None, {"time_epoch": "s"}),
    "milliseconds": (as_document, lambda t: t.timestamp() * 1000, "x", {"time_epoch": "ms"}),
    "lines": (as_lines, iso, "", {"format": "json-lines"}),
    "csv": (as_csv, iso, "never", {"format": "csv"}),
    "csv seconds": (as_csv, datetime.timestamp, "?", {"format": "csv", "time_epoch": "s"}),
    "timestamps": (as_parquet(pa.timestamp("us", "UTC")), lambda t: t, None, {"format": "parquet"}),
    "nanoseconds": (as_parquet(pa.timestamp("ns", "UTC")), lambda t: t, None,
                    {"format": "parquet"}),
    "local timestamps": (as_parquet(pa.timestamp("ms")), lambda t: t.replace(tzinfo=None), None,
                         {"format": "parquet"}),
    "parquet text": (as_parquet(pa.string()), iso, "x", {"format": "parquet"}),
    "parquet seconds": (as_parquet(pa.int64()), lambda t: int(t.timestamp()), None,
                        {"format": "parquet", "time_epoch": "s"}),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_fixes_without_a_time_are_in_the_table_of_links_alone(form: str, tmp_path: Path) -> None:
    write, time, bad, given = FORMS[form]
    said = balanced(tmp_path, write(rows(time, bad)), **given)
    assert without_cell(said) == [0, WITHOUT, WITHOUT, WITHOUT, N - IN_PERIOD, WITHOUT]


@pytest.mark.parametrize(("bad", "named"), [("no time", True), (None, True), (None, False)])
def test_where_no_time_can_be_read_no_fix_is_dropped(
    bad: str | None, named: bool, tmp_path: Path
) -> None:
    mine = rows(lambda _: bad)
    if not named:
        mine = [{"link": row["link"], "speed": row["speed"]} for row in mine]
    said = balanced(tmp_path, as_document(mine))
    assert without_cell(said) == [0, N, N, N, N, N]
    assert [said[name]["cells"] for name in BY] == [3, 0, 0, 0, 0, 0]


def test_points_of_a_track_balance(tmp_path: Path) -> None:
    points = []
    for n in range(N):
        time = "" if n % 4 == 3 else f"<time>{iso(START + timedelta(minutes=n))}</time>"
        inside = f"{time}<link>{n % 3}</link><speed>{n % 70}</speed>"
        points.append(f'<trkpt lat="50" lon="{n / 1000}">{inside}</trkpt>')
    track = f"<gpx><trk><trkseg>{''.join(points)}</trkseg></trk></gpx>"
    said = balanced(tmp_path, track.encode(), format="gpx", text_numbers=True)
    assert without_cell(said) == [0, WITHOUT, WITHOUT, WITHOUT, N - IN_PERIOD, WITHOUT]
