"""Jobs that see an object as a whole, and drop records for reasons of their own."""

from __future__ import annotations

import io
import itertools
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mapreduce as mr
from mapreduce.errors import JobError
from mapreduce.formats.parsed import Parsed
from mapreduce.job.views import Records
from mapreduce.plan import Piece
from mapreduce.runs.lister import is_divisible
from tests.jobs.steps import Steps

NUMBERS = np.random.default_rng(7).integers(0, 50, 400_000).tolist()


def as_lines(numbers: list[int]) -> bytes:
    return "\n".join(map(str, numbers)).encode()


def as_json(numbers: list[int]) -> bytes:
    return b"\n".join(json.dumps({"x": x}).encode() for x in numbers)


def as_parquet(numbers: list[int]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"x": numbers}), out, row_group_size=10_000)
    return out.getvalue()


def as_gpx(numbers: list[int]) -> bytes:
    points = "".join(f'<trkpt lat="{x}"/>' for x in numbers)
    return f"<gpx><trk><trkseg>{points}</trkseg></trk></gpx>".encode()


@pytest.mark.parametrize(
    ("form", "make"),
    [("lines", as_lines), ("json", as_json), ("parquet", as_parquet), ("gpx", as_gpx)],
)
def test_steps_are_those_of_a_plain_loop_whatever_the_blocks(form: str, make: Any) -> None:
    job = Steps(form=form)
    assert not is_divisible(job)
    options = mr.Options(split_bytes=1 << 16)
    objects = {"a": make(NUMBERS), "b": make(NUMBERS[:3])}
    got = mr.run(job, mr.Memory(objects), workers=2, options=options)
    expected: dict[int, int] = {}
    down = 0
    for numbers in (NUMBERS, NUMBERS[:3]):
        for before, after in itertools.pairwise(numbers):
            if after < before:
                down += 1
            else:
                expected[after - before] = expected.get(after - before, 0) + 1
    found = zip(got.rows["step"].tolist(), got.rows["n"].tolist(), strict=True)
    assert dict(found) == expected
    assert got.ledger.dropped == {"first": 2, "down": down}
    assert got.ledger.read == len(NUMBERS) + 3
    assert got.ledger.kept == sum(expected.values())
    first = [s for s in got.ledger.samples if s.reason == "first"]
    assert [(s.key, s.row) for s in first] == [("a", 0), ("b", 0)]


def test_an_object_too_large_to_be_seen_at_once_is_told() -> None:
    options = mr.Options(limits=mr.Limits(object_cap_bytes=1 << 20))
    objects = {"a": as_lines(NUMBERS), "b": b"1\n2\n"}
    got = mr.run(Steps(), mr.Memory(objects), workers=1, options=options)
    assert [q.reason for q in got.ledger.quarantined] == ["too_large"]
    assert "divide the object by trips" in got.ledger.quarantined[0].place
    assert got.rows["n"].tolist() == [1]


def test_lines_too_long_beside_others_are_still_counted() -> None:
    options = mr.Options(limits=mr.Limits(line_cap_bytes=1 << 12))
    got = mr.run(
        Steps(), mr.Memory({"a": b"1\n" + b"7" * 9000 + b"\n3\n"}), workers=1, options=options
    )
    assert got.rows["step"].tolist() == [2]
    assert got.ledger.dropped == {"first": 1, "not_a_record": 1}


def records(n: int) -> Records:
    return Records(Piece(0, "a", 1, ""), Parsed({"x": np.arange(n)}, {}, np.arange(n) * 10, n))


def test_records_are_dropped_in_turn_and_keep_their_places() -> None:
    r = records(5)
    left = r.without(np.array([True, False, False, False, True]), "ends")
    left = left.ordered(np.array([2, 0, 1]))
    assert left.x.tolist() == [3, 1, 2]
    left = left.without(left.x == 1, "one")
    assert left.rows.tolist() == [30, 20]
    assert [(reason, rows.tolist()) for reason, rows in r.drops] == [
        ("ends", [0, 40]),
        ("one", [10]),
    ]
    assert r.without(np.zeros(5, dtype=bool), "none") is r


@pytest.mark.parametrize(
    "mask", [np.zeros(4, dtype=bool), np.zeros(5), np.zeros((5, 1), dtype=bool)]
)
def test_a_mask_of_other_records_is_refused(mask: Any) -> None:
    with pytest.raises(JobError, match="expected bool of 5 records"):
        records(5).without(mask, "bad")


@pytest.mark.parametrize("reason", ["", "two words", "a-b", "1st"])
def test_a_reason_is_one_word(reason: str) -> None:
    with pytest.raises(JobError, match="expected a reason such as"):
        records(5).without(np.ones(5, dtype=bool), reason)
