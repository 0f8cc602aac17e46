"""Histograms: percentiles and shares of any key, the same in any split."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.job.job import finished
from mapreduce.tables import partial
from mapreduce.tables.histogram import PERCENTILES

WIDTH = 7
PAIRS = st.lists(st.tuples(st.integers(-3, 3), st.integers(-60, 60)), min_size=1, max_size=200)


class Spread(mr.Job):
    """The distribution of numbers by key."""

    records = mr.JsonLines(key=mr.Int("key"), number=mr.Int("number"))
    keys = mr.Table(key="key", n=mr.Sum, number=mr.Histogram(WIDTH))

    def map(self, r: mr.Records) -> mr.Rows:
        return self.keys.fold(r.key, n=1, number=r.number)

    def finish(self, t: mr.Columns) -> dict[str, mr.Array]:
        found = t.distributions("number")
        return {
            **t.asdict(),
            "sizes": found.sizes,
            "p1": found.percentile(1),
            "below": found.share_below(t.key * 2.0),
        }


def spread_of(pairs: list[tuple[int, int]], objects: int) -> mr.Result:
    lines = [json.dumps({"key": key, "number": number}) for key, number in pairs]
    parts = {
        f"{n}.jsonl": "\n".join(lines[n::objects]).encode() for n in range(objects) if lines[n:]
    }
    return mr.run(Spread(), mr.Memory(parts), workers=1)


def percentile(numbers: list[int], percent: int) -> float:
    """Give the percentile of a histogram as its docstring says, in a plain loop."""
    buckets = sorted(number // WIDTH for number in numbers)
    wanted, seen = len(buckets) * percent / 100, 0
    for bucket in sorted(set(buckets)):
        count = buckets.count(bucket)
        if seen + count >= wanted:
            return WIDTH * (bucket + (wanted - seen) / count)
        seen += count
    raise AssertionError


@given(PAIRS)
def test_percentiles_and_shares_are_those_of_a_plain_loop(pairs: list[tuple[int, int]]) -> None:
    keys, numbers = (np.array(column) for column in zip(*pairs, strict=True))
    rows = Spread.keys.fold(keys, n=1, number=numbers)
    found = finished_of([rows])
    by_key = {key: [n for k, n in pairs if k == key] for key in sorted({k for k, _ in pairs})}
    assert found["key"].tolist() == list(by_key)
    assert found["n"].tolist() == found["sizes"].tolist() == list(map(len, by_key.values()))
    for percent in (1, *PERCENTILES):
        name = "p1" if percent == 1 else f"number_p{percent}"
        assert found[name].tolist() == pytest.approx(
            [percentile(of, percent) for of in by_key.values()]
        )
    for (key, of), share in zip(by_key.items(), found["below"].tolist(), strict=True):
        assert abs(share - sum(n < 2 * key for n in of) / len(of)) <= max(
            sum(n // WIDTH == 2 * key // WIDTH for n in of) / len(of), 1e-9
        )


def finished_of(rows: list[mr.Rows]) -> dict[str, mr.Array]:
    tables = Spread().stored_tables()
    each = [part for one in rows for part in (one, *one.behind)]
    parts = [
        partial.combine(table, [r for r in each if r.table is table], [0] * len(rows))
        for table in tables.values()
    ]
    return finished(Spread(), partial.Partial(tuple(parts)))["keys"]


def test_any_split_gives_one_digest() -> None:
    pairs = [(n % 5, n * n % 97) for n in range(300)]
    assert len({spread_of(pairs, objects).digest for objects in (1, 2, 7)}) == 1


def test_by_default_the_usual_percentiles_are_written() -> None:
    rows = finished_of([Spread.keys.fold(np.array([1]), n=1, number=np.array([3]))])
    assert [name for name in rows if "_p" in name] == [f"number_p{p}" for p in PERCENTILES]
    assert rows["number_p50"].tolist() == [3.5]


def test_no_row_has_no_percentile() -> None:
    found = finished_of([])
    assert found["number_p50"].tolist() == found["below"].tolist() == []


@pytest.mark.parametrize("width", [0, -1, 2**62])
def test_a_width_that_cannot_be_is_refused(width: int) -> None:
    with pytest.raises(mr.JobError, match=r"a width is 1 to"):
        mr.Histogram(width)


def test_a_column_named_as_a_percentile_is_refused() -> None:
    with pytest.raises(mr.JobError, match=r"'v_p50' is declared twice"):
        mr.Table(key="k", v=mr.Histogram(1), v_p50=mr.Sum)


def test_a_histogram_of_floats_is_refused() -> None:
    with pytest.raises(mr.JobError, match=r"keys\.number: expected integers"):
        Spread.keys.fold(np.array([1]), n=1, number=np.array([0.5]))


def test_a_percentile_beyond_a_hundred_is_refused() -> None:
    one = mr.Distributions(1, np.array([0]), np.array([0]), np.array([1]))
    with pytest.raises(mr.JobError, match="between 0 and 100"):
        one.percentile(100)
