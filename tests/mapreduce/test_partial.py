"""Merge is associative and commutative and has an identity, whatever rules and keys there are."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.errors import JobError, PartialError
from mapreduce.tables import encoding, partial
from mapreduce.tables.partial import Partial
from tests.mapreduce.test_table import TABLE, columns, records

if TYPE_CHECKING:
    from mapreduce.tables.table import Table

OTHER = mr.Table(key=("x", "y"), n=mr.Sum)
SCHEMAS = [TABLE.schema, OTHER.schema]
WIDE_APART = st.sampled_from([0, 1, -1, 2**62, -(2**63), 2**63 - 1])


def _made(rows: list[Any], pairs: list[tuple[int, int]]) -> Partial:
    keys, values = columns(rows)
    x, y = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return Partial(
        (
            partial.combine(TABLE, [TABLE.fold(*keys, **values)], [0]),
            partial.combine(OTHER, [OTHER.fold(x, y, n=1)], [0]),
        )
    )


partials = st.builds(_made, records, st.lists(st.tuples(WIDE_APART, WIDE_APART), max_size=6))


@given(a=partials, b=partials, c=partials)
def test_merge_is_associative_and_commutative_and_has_an_identity(
    a: Partial, b: Partial, c: Partial
) -> None:
    nothing = partial.empty(SCHEMAS)
    bytes_of = encoding.pack
    whole = bytes_of(partial.merge([a, b, c]))
    for order in ([c, b, a], [b, nothing, a, c], [partial.merge([a, b]), c]):
        assert bytes_of(partial.merge(order)) == whole
    assert bytes_of(partial.merge([a, partial.merge([b, c])])) == whole
    assert bytes_of(partial.merge([nothing, a])) == bytes_of(a) == bytes_of(partial.merge([a]))


@given(
    objects=st.lists(st.lists(st.integers(0, 3), max_size=8), max_size=5),
    cuts=st.lists(st.integers(0, 8), max_size=3),
)
def test_a_distinct_count_counts_an_object_once_in_however_many_parts_it_came(
    objects: list[list[int]], cuts: list[int]
) -> None:
    table = mr.Table(key="k", n=mr.Sum, seen=mr.Distinct(per="object"))
    done = []
    for ordinal, keys in enumerate(objects):
        edges = [0, *sorted(c for c in cuts if c <= len(keys)), len(keys)]
        held = [
            partial.combine(table, [table.fold(keys[a:b], n=1)], [ordinal])
            for a, b in pairwise(edges)
        ]
        done.append(Partial((partial.within_object(table, held),)))
    (merged,) = partial.merge([partial.empty([table.schema]), *done]).tables
    at_once = partial.combine(
        table, [table.fold(keys, n=1) for keys in objects], range(len(objects))
    )
    expected = {k: sum(k in o for o in objects) for o in objects for k in o}
    for got in (merged, at_once):
        assert dict(zip(got.keys[0].tolist(), got.values[1].tolist(), strict=True)) == expected
        assert got.values[0].sum() == sum(map(len, objects))


def test_each_column_is_merged_by_its_rule() -> None:
    table = mr.Table(key="k", n=mr.Sum, wide=mr.WideSum, low=mr.Min, high=mr.Max)
    parts = [
        Partial((partial.combine(table, [table.fold([k, 9], n=n, wide=n, low=n, high=n)], [0]),))
        for k, n in ((1, 5), (2, -3), (1, 2**62))
    ]
    merged = partial.merge(parts).tables[0]
    assert merged.keys[0].tolist() == [1, 2, 9]
    values = dict(zip((c.name for c in table.schema.columns), merged.values, strict=True))
    assert values["n"].tolist() == [2**62 + 5, -3, 2**62 + 2]
    assert values["low"].tolist() == [5, -3, -3]
    assert values["high"].tolist() == [2**62, -3, 2**62]
    wide = partial.wide_total(values["wide.hi"], values["wide.lo"]).tolist()
    assert wide == [2**62 + 5, -3, 2**62 + 2]


def test_overflow_between_partials_is_refused() -> None:
    table = mr.Table(key="k", n=mr.Sum)
    half = Partial((partial.combine(table, [table.fold([1, 2], n=[2**62, 1])], [0]),))
    with pytest.raises(JobError, match="a sum exceeds int64; declare the column WideSum"):
        partial.merge([half, half])


def test_partials_of_other_tables_do_not_merge() -> None:
    with pytest.raises(PartialError, match="different tables"):
        partial.merge([partial.empty(SCHEMAS), partial.empty(SCHEMAS[:1])])
    with pytest.raises(PartialError, match="at least one"):
        partial.merge([])


def test_keys_of_bytes_are_in_the_order_of_unsigned_bytes() -> None:
    table = mr.Table(key=mr.Key("k", width=2), n=mr.Sum)
    keys = [bytes([i]) for i in (255, 128, 127, 1, 200)] + [b"", b"\x7f\x01"]
    done = partial.combine(table, [table.fold(keys, n=1)], [0])
    assert done.keys[0].tolist() == sorted(keys)


def _two_million(table: Table, seed: int) -> Partial:
    keys = np.random.default_rng(seed).permutation(2_000_000)[:1_000_000]
    return Partial((partial.combine(table, [table.fold(keys, n=1, s=keys, m=keys)], [0]),))


def test_two_million_rows_merge_in_about_a_second() -> None:
    table = mr.Table(key="k", n=mr.Sum, s=mr.WideSum, m=mr.Min)
    a, b = _two_million(table, 1), _two_million(table, 2)
    best = 99.0
    for _ in range(3):
        began = time.thread_time()  # what others do meanwhile is not counted
        whole = partial.merge([a, b])
        best = min(best, time.thread_time() - began)
    assert int(whole.tables[0].values[0].sum()) == 2_000_000
    assert best < 2.0  # 0.15 s on a machine with nothing else to do


def test_an_unbounded_key_is_refused_with_an_estimate() -> None:
    table = mr.Table(key="k", n=mr.Sum)
    table.name = "things"
    part = Partial((partial.combine(table, [table.fold(range(100), n=1)], [0]),))
    partial.check_keys(part, 100, 1, 10)
    with pytest.raises(JobError, match=r"'things' has 100 keys after 5 .* all 10 .* up to 200"):
        partial.check_keys(part, 99, 5, 10)
