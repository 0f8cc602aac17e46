"""Bad objects of CSV and Parquet: each is accounted for, and the good ones' digest stays."""

from __future__ import annotations

import gzip
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq
import pytest

from mapreduce.limits import Limits
from mapreduce.tables.encoding import digest
from tests.jobs.driven import Driven
from tests.mapreduce.test_attempt import done

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mapreduce.ledger import Ledger

GOOD_CSV = b"link,speed\n1,2.5\n2,3\n"


def parquet(columns: Mapping[str, Any], **how: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(dict(columns)), out, **how)
    return out.getvalue()


def orc() -> bytes:
    out = io.BytesIO()
    pyarrow.orc.write_table(pa.table({"link": [1], "speed": [2.5]}), out)
    return out.getvalue()


def same_name_twice() -> bytes:
    out = io.BytesIO()
    columns = [pa.array([1]), pa.array([2]), pa.array([2.5])]
    pq.write_table(pa.Table.from_arrays(columns, ["link", "link", "speed"]), out)
    return out.getvalue()


def damaged(content: bytes, start: int, stop: int | None = None) -> bytes:
    """Zero some bytes."""
    stop = len(content) if stop is None else stop % len(content)
    start %= len(content)
    return content[:start] + bytes(stop - start) + content[stop:]


GOOD_PARQUET = parquet({"link": [1, 2], "speed": [2.5, 3.0]})
LARGE = parquet({"link": np.arange(100_000), "speed": np.linspace(0, 9, 100_000)})

CSVS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "bom alone": (b"\xef\xbb\xbf", "empty"),
    "nothing.gz": (gzip.compress(b""), "empty"),
    "blank line first": (b"\nlink,speed\n1,2\n", "wrong_shape"),
    "other names": (b"road,kmh\n1,2\n", "wrong_shape"),
    "one name": (b"link\n1\n", "wrong_shape"),
    "name twice": (b"link,speed,speed\n1,2,3\n", "wrong_shape"),
    "capitals": (b"Link,Speed\n1,2\n", "wrong_shape"),
    "other delimiter": (b"link;speed\n1;2\n", "wrong_shape"),
    "tabs": (b"link\tspeed\n1\t2\n", "wrong_shape"),
    "no names": (b"1,2.5\n2,3\n", "wrong_shape"),
    "quote open in the names": (b'"link,speed\n1,2\n', "wrong_shape"),
    "quote within a name": (b'"li"nk,speed\n1,2\n', "wrong_shape"),
    "old line ends": (b"link,speed\r1,2\r2,3\r", "wrong_shape"),
    "utf-16": ("link,speed\n1,2\n".encode("utf-16"), "bad_encoding"),
    "latin-1 names": ("link,speed,straße\n1,2,3\n".encode("latin-1"), "bad_encoding"),
    "json": (b'{"data": [{"link": 1, "speed": 2}]}', "wrong_shape"),
    "web page": (b"<html><body>no</body></html>", "wrong_shape"),
    "huge first line": (b"link,speed," + b"x" * 5000 + b"\n1,2,3\n", "wrong_shape"),
    "cut.csv.gz": (gzip.compress(GOOD_CSV * 50)[:-9], "unreadable"),
    "packed twice": (gzip.compress(gzip.compress(GOOD_CSV)), "unreadable"),
    "parquet": (GOOD_PARQUET, "unreadable"),
}
LINES: dict[str, tuple[bytes, dict[str, int]]] = {
    "too few": (b"1\n", {"not_a_record": 1}),
    "too many": (b"1,2,3\n", {"not_a_record": 1}),
    "no link": (b",2\n", {"no_link": 1}),
    "no speed": (b"1,\n", {"no_speed": 1}),
    "nothing": (b",\n", {"no_link": 1}),
    "quoted nothing": (b'"",2\n', {"no_link": 1}),
    "text": (b"a,2\n", {"bad_link": 1}),
    "float link": (b"1.0,2\n", {"bad_link": 1}),
    "hexadecimal": (b"0x1,2\n", {"bad_link": 1}),
    "too large": (b"9223372036854775808,2\n", {"bad_link": 1}),
    "plus": (b"+1,2\n", {"bad_link": 1}),
    "nan": (b"1,nan\n", {"bad_speed": 1}),
    "inf": (b"1,inf\n", {"bad_speed": 1}),
    "1e999": (b"1,1e999\n", {"bad_speed": 1}),
    "decimal comma": (b'1,"2,5"\n', {"bad_speed": 1}),
    "negative": (b"1,-2\n", {"speed_out_of_range": 1}),
    "quote open": (b'1,"2\n', {"not_a_record": 1}),
    "quote open at the end": (b'1,"2', {"not_a_record": 1}),
    "quote within": (b'1,"2"3\n', {"not_a_record": 1}),
    "quote begins late": (b'1,2"3"\n', {"bad_speed": 1}),
    "nul": (b"1,2\0\n", {"bad_speed": 1}),
    "latin-1": (b"1,\xff\n", {"not_a_record": 1}),
    "carriage return": (b"1\r,2\n", {"not_a_record": 1}),
    "names again": (b"link,speed\n", {"bad_link": 1}),
    "comment": (b"# end\n", {"not_a_record": 1}),
    "long line": (b"1," + b"2" * 5000 + b"\n", {"not_a_record": 1}),
    "blank lines": (b"\n\r\n\n", {}),
}
PARQUETS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "magic alone": (b"PAR1", "unreadable"),
    "magic twice": (b"PAR1PAR1", "unreadable"),
    "cut in the footer": (GOOD_PARQUET[:-20], "unreadable"),
    "cut to a half": (LARGE[: len(LARGE) // 2], "unreadable"),
    "no footer": (damaged(LARGE, -3000), "unreadable"),
    "footer of zeros": (damaged(GOOD_PARQUET, -400, -8), "unreadable"),
    "length of footer": (damaged(GOOD_PARQUET, -8, -4), "unreadable"),
    "footer too long": (GOOD_PARQUET[:-8] + b"\xff\xff\xff\x7fPAR1", "unreadable"),
    "first page": (damaged(LARGE, 4, 60), "unreadable"),
    "pages": (damaged(LARGE, 1000, 200_000), "unreadable"),
    "encrypted": (b"PARE" + GOOD_PARQUET[4:-4] + b"PARE", "unreadable"),
    "csv": (GOOD_CSV, "unreadable"),
    "json": (b'[{"link": 1, "speed": 2}]', "unreadable"),
    "orc": (orc(), "unreadable"),
    "gz": (gzip.compress(GOOD_PARQUET), "unreadable"),
    "other names": (parquet({"road": [1], "kmh": [2.5]}), "wrong_shape"),
    "one name": (parquet({"link": [1]}), "wrong_shape"),
    "capitals": (parquet({"Link": [1], "Speed": [2.5]}), "wrong_shape"),
    "no columns": (parquet({}), "wrong_shape"),
    "lists": (parquet({"link": [[1, 2]], "speed": [[2.5, 3.0]]}), "wrong_shape"),
    "structs": (parquet({"link": [{"id": 1}], "speed": [2.5]}), "wrong_shape"),
    "maps": (
        parquet({"link": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())), "speed": [2.5]}),
        "wrong_shape",
    ),
    "name twice": (same_name_twice(), "wrong_shape"),
}
ROWS: dict[str, tuple[Mapping[str, Any], dict[str, int]]] = {
    "nulls": ({"link": [1, None], "speed": [None, 2.5]}, {"no_link": 1, "no_speed": 1}),
    "all null": ({"link": pa.nulls(3), "speed": pa.nulls(3)}, {"no_link": 3}),
    "floats for ids": ({"link": [1.0, 2.0], "speed": [2.5, 3.0]}, {"bad_link": 2}),
    "texts": ({"link": ["7x", "x"], "speed": [2.5, 3.0]}, {"bad_link": 2}),
    "texts for speeds": ({"link": [1], "speed": ["2.5"]}, {"bad_speed": 1}),
    "booleans": ({"link": [True], "speed": [2.5]}, {"bad_link": 1}),
    "dates": ({"link": pa.array([1], pa.date32()), "speed": [2.5]}, {"bad_link": 1}),
    "nan": ({"link": [1, 2], "speed": [float("nan"), float("inf")]}, {"bad_speed": 2}),
    "too fast": ({"link": [1, 2], "speed": [401.0, -1.0]}, {"speed_out_of_range": 2}),
    "too large": ({"link": pa.array([2**63], pa.uint64()), "speed": [1.0]}, {"bad_link": 1}),
    "bytes": ({"link": [b"\xff"], "speed": [1.0]}, {"bad_link": 1}),
    "a text that goes on": ({"link": ["9" * 100_000], "speed": [1.0]}, {"bad_link": 1}),
    "far date": ({"link": pa.array([2**62], pa.timestamp("us")), "speed": [1.0]}, {"bad_link": 1}),
    "no rows": ({"link": pa.array([], pa.int64()), "speed": pa.array([], pa.float64())}, {}),
}


def ran(form: str, objects: Mapping[str, bytes]) -> tuple[str, Ledger]:
    limits = Limits(line_cap_bytes=4096)
    partial, ledger = done(Driven(format=form), objects, limits=limits)
    return digest(partial), ledger


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_each_bad_object_is_set_aside_for_its_reason(form: str) -> None:
    bad = CSVS if form == "csv" else PARQUETS
    good = {"good": GOOD_CSV if form == "csv" else GOOD_PARQUET}
    sums, ledger = ran(form, good | {f"bad {name}": content for name, (content, _) in bad.items()})
    found = {q.key.removeprefix("bad "): q.reason for q in ledger.quarantined}
    assert found == {name: reason for name, (_, reason) in bad.items()}
    assert all(q.place for q in ledger.quarantined)
    assert sums == ran(form, good)[0]
    assert ledger.ok == 1


@pytest.mark.parametrize("way", ["compiled", "arrow", "python alone"])
@pytest.mark.parametrize("name", LINES)
def test_each_bad_line_costs_itself(name: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way != "compiled":
        monkeypatch.setenv("MAPREDUCE_SCANNER", "0")
    if way == "python alone":
        monkeypatch.setattr("mapreduce.formats.csv.arrow_csv", lambda: None)
    lines, dropped = LINES[name]
    sums, ledger = ran("csv", {"x": GOOD_CSV + lines})
    assert ledger.dropped == dropped
    assert (ledger.kept, ledger.quarantined) == (2, [])
    assert sums == ran("csv", {"x": GOOD_CSV})[0]


@pytest.mark.parametrize("name", ROWS)
def test_each_bad_row_costs_itself(name: str) -> None:
    columns, dropped = ROWS[name]
    sums, ledger = ran("parquet", {"good": GOOD_PARQUET, "x": parquet(columns)})
    assert ledger.dropped == dropped
    assert ledger.quarantined == []
    assert sums == ran("parquet", {"good": GOOD_PARQUET})[0]
