"""Folding records into rows: against plain dicts of Python integers; what is refused, and how."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.errors import JobError
from mapreduce.runs.lister import is_divisible
from mapreduce.tables import partial
from mapreduce.tables.arrays import INT64_MAX, scaled
from mapreduce.tables.runs import LIMB_MASK
from tests.jobs.trips import TripsByLink

INT64 = st.integers(-(2**63), INT64_MAX)


class Everything(mr.Job):
    records = mr.Lines("line")
    table = mr.Table(
        key=("a", mr.Key("b", width=3)),
        n=mr.Sum,
        wide=mr.WideSum,
        low=mr.Min,
        high=mr.Max,
        seen=mr.Distinct(per="object"),
    )

    def map(self, r: Any) -> mr.Rows:
        raise NotImplementedError


TABLE = Everything.table
records = st.lists(
    st.tuples(
        st.integers(-2, 2),
        st.sampled_from([b"", b"x", b"xyz", b"\xff", b"too long", b"a\x00b", b"x\x00"]),
        st.integers(-(2**40), 2**40),
        INT64,
    ),
    max_size=20,
)


def columns(rows: list[tuple[int, bytes, int, int]]) -> tuple[list[Any], dict[str, Any]]:
    a, b, n, x = (list(c) for c in zip(*rows, strict=True)) if rows else ([], [], [], [])
    wide = np.array(x, dtype=np.int64)
    values = {"n": np.array(n, dtype=np.int64), "wide": wide, "low": wide, "high": wide}
    return [np.array(a, dtype=np.int64), b], values


@given(objects=st.lists(records, max_size=5))
def test_fold_and_combine_are_what_dicts_of_integers_give(
    objects: list[list[tuple[int, bytes, int, int]]],
) -> None:
    expected: dict[tuple[int, bytes], list[int]] = {}
    parts, refused = [], 0
    for rows in objects:
        keys, values = columns(rows)
        part = TABLE.fold(*keys, **values)
        refused += part.refused
        parts.append(part)
        mine = [r for r in rows if len(r[1]) <= 3 and b"\x00" not in r[1]]
        for a, b, n, x in mine:
            e = expected.setdefault((a, b), [0, 0, x, x, 0])
            e[:4] = [e[0] + n, e[1] + x, min(e[2], x), max(e[3], x)]
        for key in {(r[0], r[1]) for r in mine}:
            expected[key][4] += 1
    done = partial.combine(TABLE, parts, range(len(parts)))
    assert refused == sum(len(r[1]) > 3 or b"\x00" in r[1] for o in objects for r in o)
    whole = partial.wide_total(done.values[1], done.values[2]).tolist()
    got = zip(
        zip(done.keys[0].tolist(), done.keys[1].tolist(), strict=True),
        zip(done.values[0].tolist(), whole, *(v.tolist() for v in done.values[3:]), strict=True),
        strict=True,
    )
    assert [(k, list(v)) for k, v in got] == sorted(expected.items())
    assert all(0 <= low <= LIMB_MASK for low in done.values[2].tolist())


@given(x=st.lists(INT64, min_size=1, max_size=8), cut=st.integers(0, 8))
def test_a_sum_is_exact_or_refused_never_wrapped(x: list[int], cut: int) -> None:
    table = mr.Table(key="k", total=mr.Sum)
    parts = [p for p in (x[:cut], x[cut:]) if p]
    try:
        rows = [table.fold(np.zeros(len(p), np.int64), total=np.array(p)) for p in parts]
        got = partial.combine(table, rows, range(len(rows))).values[0].tolist()
    except JobError as error:
        assert "declare the column WideSum" in str(error)  # noqa: PT017 - it may also succeed
        assert any(
            not -(2**63) <= total <= INT64_MAX for total in (sum(x), *(sum(p) for p in parts))
        )
    else:
        assert got == [sum(x)]


def test_a_wide_sum_holds_what_no_int64_does() -> None:
    table = mr.Table(key="k", s=mr.WideSum)
    rows = table.fold(np.zeros(1000, np.int64), s=np.full(1000, INT64_MAX))
    done = partial.combine(table, [rows] * 50, range(50))
    assert partial.wide_total(*done.values).tolist() == [INT64_MAX * 50_000]


@pytest.mark.parametrize(
    "values",
    [
        np.array([b"ab", b"abcd", b"a\x00c", b""]),
        np.array([b"ab", b"abcd", b"a\x00c", b""], dtype=object),
        [b"ab", b"abcd", b"a\x00c", b""],
        np.array([b"ab", b"_", b"abcd", b"_", b"a\x00c", b"_", b"", b"_"])[::2],
    ],
)
def test_a_key_too_long_or_with_a_nul_is_counted_never_cut(values: Any) -> None:
    table = mr.Table(key=mr.Key("k", width=3), n=mr.Sum)
    rows = table.fold(values, n=np.array([1, 10, 100, 1000]))
    assert (rows.keys[0].tolist(), rows.values[0].tolist()) == ([b"ab", b""], [1, 1000])
    assert rows.refused == 2


def test_a_nul_at_the_end_of_a_key_is_not_lost() -> None:
    table = mr.Table(key=mr.Key("k", width=3), n=mr.Sum)
    for values in ([b"a\x00", b"a"], np.array([b"a\x00", b"a"], dtype=object)):
        rows = table.fold(values, n=1)
        assert (rows.keys[0].tolist(), rows.refused) == ([b"a"], 1)


def test_a_count_of_one_counts_every_record_of_each_run() -> None:
    table = mr.Table(key="k", n=mr.Sum)
    rows = table.fold([3, 3, 1, 2, 2, 2], n=1)
    assert (rows.keys[0].tolist(), rows.values[0].tolist()) == ([3, 1, 2], [2, 1, 3])


def test_no_records_give_no_rows() -> None:
    table = mr.Table(key=("a", mr.Key("b", width=2)), n=mr.Sum, w=mr.WideSum, m=mr.Min)
    empty: list[tuple[Any, Any]] = [([], []), (np.zeros(0, np.int32), np.zeros(0, "S9"))]
    for keys in empty:
        rows = table.fold(*keys, n=1, w=[], m=2)
        assert len(rows) == 0
        assert [len(v) for v in rows.values] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("keys", "values", "said"),
    [
        (([1],), {"n": [1.5]}, "Scale it first"),
        (([1.0],), {"n": 1}, "expected integers"),
        (([1],), {"n": 2**63}, "does not fit int64"),
        (([1],), {"n": np.array([2**63], np.uint64)}, "expected integers that fit int64"),
        (([1, 2],), {"n": [1]}, "has 1 rows, its keys 2"),
        (([1],), {}, "takes n; got"),
        (([1],), {"n": 1, "m": 1}, "takes n; got m, n"),
        (([1], [2]), {"n": 1}, "takes 1 keys"),
        (([[1]],), {"n": 1}, "one dimension"),
        ((["1"],), {"n": 1}, "expected integers"),
    ],
)
def test_what_cannot_be_folded_says_why(keys: Any, values: Any, said: str) -> None:
    table = mr.Table(key="k", n=mr.Sum)
    with pytest.raises(JobError, match=said):
        table.fold(*keys, **values)


@pytest.mark.parametrize("values", [["text"], [b"a", "b"], np.array([[b"a"]]), np.array([1])])
def test_byte_keys_take_bytes_alone(values: Any) -> None:
    with pytest.raises(JobError, match="expected bytes"):
        mr.Table(key=mr.Key("k", width=3), n=mr.Sum).fold(values, n=1)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("k", {}),
        ((), {"n": mr.Sum}),
        ("k", {"k": mr.Sum}),
        ("a b", {"n": mr.Sum}),
        ("k", {"limbs": mr.Sum}),
        ("_k", {"n": mr.Sum}),
        ("k", {"n": "sum"}),
        (mr.Key("k", width=5000), {"n": mr.Sum}),
        (mr.Key("k", width=-1), {"n": mr.Sum}),
    ],
)
def test_a_table_that_cannot_be_is_refused(key: Any, values: Any) -> None:
    with pytest.raises(JobError, match=r"key|column"):
        mr.Table(key=key, **values)


@pytest.mark.parametrize("per", ["", 7, None, mr.Sum])
def test_distinct_is_per_object_or_of_a_name(per: Any) -> None:
    with pytest.raises(JobError, match="expected 'object', a name or a Key"):
        mr.Distinct(per=per)


pairs = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2), st.sampled_from(["a", "bb", "ccc"])),
    max_size=30,
)


@given(found=pairs, objects=st.integers(1, 5), workers=st.just(1))
def test_distinct_values_are_counted_once_wherever_they_lie(
    found: list[tuple[int, int, str]], objects: int, workers: int
) -> None:
    by_link: dict[tuple[int, int], set[str]] = {}
    for link, hour, trip in found:
        by_link.setdefault((link, hour), set()).add(trip)
    lines = [b"%d %d %s" % (link, hour, trip.encode()) for link, hour, trip in found]
    blocks = {f"{n}.txt": b"\n".join(lines[n::objects]) + b"\n" for n in range(objects)}
    blocks = {key: block for key, block in blocks.items() if block.strip()}
    if not blocks:
        return
    got = mr.run(TripsByLink(), mr.Memory(blocks), workers=workers)
    keys = zip(got.rows["link"].tolist(), got.rows["hour"].tolist(), strict=True)
    counted = dict(zip(keys, got.rows["trips"].tolist(), strict=True))
    assert counted == {key: len(trips) for key, trips in by_link.items()}
    assert int(np.asarray(got.rows["n"]).sum()) == len(found)


def test_a_value_too_long_to_be_counted_is_told() -> None:
    blocks = {"a": b"1 1 abcd\n1 1 ab\n2 1 abcde\n"}
    got = mr.run(TripsByLink(), mr.Memory(blocks), workers=1)
    assert got.rows["n"].tolist() == [2, 1]
    assert got.rows["trips"].tolist() == [1, 0]
    assert got.ledger.refused_keys == {"links.trips": 2}


def test_a_large_object_is_divided_where_values_are_counted() -> None:
    assert is_divisible(TripsByLink())
    lines = b"".join(b"%d 0 %s\n" % (n % 7, b"abc"[n % 3 :][:1]) for n in range(500_000))
    options = mr.Options(split_bytes=1 << 20)
    got = mr.run(TripsByLink(), mr.Memory({"a": lines}), workers=2, options=options)
    assert got.rows["trips"].tolist() == [3] * 7


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300, 5e12])
def test_floats_that_do_not_fit_are_refused_before_the_cast(bad: float) -> None:
    with pytest.raises(JobError, match="mask it first"):
        scaled(np.array([1.0, bad]), 1_000_000)


@pytest.mark.parametrize("per_unit", [0, -1000])
def test_a_unit_has_at_least_one_part(per_unit: int) -> None:
    with pytest.raises(JobError, match="at least 1 part"):
        scaled(np.array([1.0]), per_unit)


@given(st.lists(st.floats(-1e12, 1e12), max_size=5))
def test_scaling_rounds_to_the_nearest_whole_unit(values: list[float]) -> None:
    assert scaled(np.array(values), 1_000_000).tolist() == [round(v * 1e6) for v in values]
