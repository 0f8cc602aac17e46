"""Compiled grouping and numpy's give the same bytes, or the same error, whatever is grouped."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.errors import JobError
from mapreduce.tables import encoding, grouping, partial
from mapreduce.tables.grouping import RULES, grouped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mapreduce.tables.table import Table

CAN_COMPILE = bool(shutil.which("cc")) and Path(sysconfig.get_path("include"), "Python.h").exists()
needs_compiler = pytest.mark.skipif(not CAN_COMPILE, reason="no C compiler, or no Python headers")
LEAST, MOST = -(2**63), 2**63 - 1
EXTREMES = st.sampled_from(
    [LEAST, LEAST + 1, -(2**62), -(2**32), -1, 0, 1, 2**31, 2**32, 2**62, MOST]
)
NUMBERS = st.one_of(st.integers(-3, 3), EXTREMES, st.integers(LEAST, MOST))
KEYS = st.one_of(st.integers(-2, 2), EXTREMES)
RECORD = st.tuples(KEYS, st.integers(0, 2), EXTREMES, NUMBERS, NUMBERS)
OBJECTS = st.lists(st.lists(RECORD, max_size=12), max_size=5)
ONE = mr.Table(key="a", n=mr.Sum, total=mr.Sum, wide=mr.WideSum, low=mr.Min, high=mr.Max,
               objects=mr.Distinct(per="object"), least=mr.Min, again=mr.Sum)  # fmt: skip
THREE = mr.Table(key=("a", "b", "c"), n=mr.Sum, total=mr.Sum, wide=mr.WideSum, low=mr.Min,
                 high=mr.Max, least=mr.Min, again=mr.Sum)  # fmt: skip


@contextmanager
def numpy_alone() -> Iterator[None]:
    compiled = grouping._group
    grouping._group = None
    try:
        yield
    finally:
        grouping._group = compiled


def folded(table: Table, objects: list[Any], constant: int) -> bytes | str:
    """Fold each object, in two parts of one order; combine, and merge with half of it again."""
    try:
        rows, ordinals = [], []
        for ordinal, records in enumerate(objects):
            for part in (records[:5], records[5:]):
                a, b, c, x, y = np.array(part, dtype=np.int64).reshape(-1, 5).T
                keys = (a,) if table is ONE else (a, b, c)
                rows.append(table.fold(*keys, n=1, total=x, wide=y, low=x, high=y, least=constant,
                                       again=constant))  # fmt: skip
                ordinals.append(ordinal)
        whole = partial.combine(table, rows, ordinals)
        half = partial.combine(table, rows[: len(objects)], ordinals[: len(objects)])
        both = partial.merge([partial.Partial((whole,)), partial.Partial((half,))])
        return encoding.pack(partial.Partial((whole, *both.tables)))
    except JobError as error:
        return str(error)


@needs_compiler
def test_it_is_built() -> None:
    assert grouping.is_built(), "the grouping is not built: run `make setup`"


@settings(max_examples=400)
@given(
    OBJECTS, st.one_of(st.integers(-5, 5), st.integers(-MOST, MOST)), st.sampled_from([ONE, THREE])
)
def test_both_ways_give_the_same_bytes_or_the_same_error(
    objects: list[Any], constant: int, table: Table
) -> None:
    quick = folded(table, objects, constant)
    with numpy_alone():
        assert folded(table, objects, constant) == quick


@given(st.lists(st.tuples(KEYS, NUMBERS), max_size=40), st.booleans())
def test_rows_ascend_strictly_or_come_as_their_keys_did(
    records: list[tuple[int, int]], ascending: bool
) -> None:
    keys, values = np.array(records, dtype=np.int64).reshape(-1, 2).T
    if (found := grouped([keys], [("max", values)], ascending=ascending)) is None:
        assert not grouping.is_built()
        return
    expected: dict[int, int] = {}
    for key, value in records:
        expected[key] = max(value, expected.get(key, LEAST))
    rows = list(zip(found[0][0].tolist(), found[1][0].tolist(), strict=True))
    assert rows == (sorted if ascending else list)(expected.items())


@given(st.lists(NUMBERS, min_size=1, max_size=12))
def test_a_sum_is_exact_or_left_to_numpy(values: list[int]) -> None:
    array = np.array(values, dtype=np.int64)
    found = grouped([np.zeros_like(array)], [("sum", array), ("wide", array)])
    if found is None:
        return
    total, high, low = (int(column[0]) for column in found[1])
    assert total == sum(values) == (high << 32) + low
    assert 0 <= low < 2**32


def test_many_keys_and_many_groups_are_grouped_as_by_numpy() -> None:
    seeded = np.random.default_rng(2019)
    n = 200_000
    links = np.repeat(seeded.integers(LEAST, MOST, 50_000), 4)
    for keys in (
        [links],
        [seeded.permutation(links)],
        [np.sort(links)],
        [np.arange(n) << 40],
        [seeded.integers(0, 60_000, n), seeded.integers(-1, 23, n), seeded.integers(5, 7, n)],
        [seeded.permutation(links), seeded.integers(LEAST, MOST, n), seeded.integers(0, 2, n)],
        [seeded.integers(0, 9, n)] * 3,
    ):
        x = seeded.integers(-(2**40), 2**40, n)
        table = mr.Table(
            tuple(f"k{i}" for i in range(len(keys))), n=mr.Sum, x=mr.Sum, w=mr.WideSum, m=mr.Max
        ).named("t")
        both = []
        for way in (numpy_alone, _either):
            with way():
                rows = table.fold(*keys, n=1, x=x, w=x * x, m=x)
                both.append(encoding.pack(partial.Partial((partial.combine(table, [rows], [0]),))))
        assert both[0] == both[1]


@contextmanager
def _either() -> Iterator[None]:
    yield


@pytest.mark.parametrize("bits", [(7, 9, 3), (64, 1, 64), (20, 20, 20), (33, 31, 1), (0, 8, 0)])
def test_keys_of_any_width_are_in_order(bits: tuple[int, ...]) -> None:
    seeded = np.random.default_rng(sum(bits))
    keys = [seeded.integers(LEAST >> (64 - b), MOST >> (64 - b), 5000, endpoint=True) for b in bits]
    table = mr.Table(("a", "b", "c"), n=mr.Sum)
    done = partial.combine(table, [table.fold(*keys, n=1)], [0])
    rows = list(zip(*(k.tolist() for k in done.keys), strict=True))
    assert rows == sorted(set(zip(*(k.tolist() for k in keys), strict=True)))


def test_arrays_of_another_layout_or_type_are_grouped_too() -> None:
    table = mr.Table("k", n=mr.Sum, x=mr.Min)
    keys, values = np.arange(20) // 4, np.arange(20)[::-1]
    for key, value in ((keys[::2], values[::2]), (keys[::2].astype(np.int16), values[::2] > 9)):
        rows = table.fold(key, n=value, x=value)
        done = partial.combine(table, [rows], [0])
        assert done.keys[0].tolist() == [0, 1, 2, 3, 4]
        assert done.values[1].tolist() == [int(min(value[i : i + 2])) for i in range(0, 10, 2)]


def test_keys_that_all_lead_to_one_place_are_left_to_numpy() -> None:
    """The hash undone: whoever knows it can choose such keys, and must not be able to slow us."""
    keys = [_with_hash(7 << 32 | low) for low in range(3000)]
    array = np.array(keys, dtype=np.uint64).view(np.int64)
    assert grouped([array], [("sum", 1)]) is None
    table = mr.Table("k", n=mr.Sum)
    done = partial.combine(table, [table.fold(array, n=1)] * 2, [0, 1])
    assert done.values[0].tolist() == [2] * 3000
    assert done.keys[0].tolist() == sorted(array.tolist())


def _with_hash(wanted: int) -> int:
    """Give the key whose hash is this: `hash_runs` in groups.h backwards."""
    mask = 2**64 - 1
    mixed = wanted * pow(0xD6E8FEB86659FD93, -1, 2**64) & mask
    return (mixed ^ mixed >> 32) * pow(0x9E3779B97F4A7C15, -1, 2**64) & mask


def test_what_it_does_not_know_is_left_to_numpy() -> None:
    ones = np.ones(3, np.int64)
    assert grouped([np.array([b"a", b"b", b"a"])], [("sum", 1)]) is None
    assert grouped([ones], [("median", ones)]) is None
    assert grouped([ones] * 65, [("sum", 1)]) is None
    assert grouped([ones], [("sum", 1)] * 65) is None


@needs_compiler
@pytest.mark.parametrize(
    ("keys", "columns"),
    [
        ((), ()),
        ((np.zeros(2, np.int32),), ()),
        ((np.zeros((2, 2), np.int64),), ()),
        ((np.zeros(4, np.int64)[::2],), ()),
        ((np.zeros(2, np.int64), np.zeros(3, np.int64)), ()),
        ((np.zeros(2, np.int64),), ((RULES["sum"], np.zeros(3, np.int64)),)),
        ((np.zeros(2, np.int64),), ((RULES["sum"], 2**63),)),
        ((np.zeros(2, np.int64),), ((RULES["sum"], 1.5),)),
        ((np.zeros(2, np.int64),), ((len(RULES), 1),)),
        ((np.zeros(2, np.int64),), ((-1, 1),)),
        ((np.zeros(2, np.int64),), ((RULES["wide_lo"], 1),)),
        ((np.zeros(2, np.int64),), (7,)),
        ((np.zeros(2, np.int64),) * 65, ()),
        ((np.zeros(2, np.int64),), ((0, 1),) * 65),
        ([np.zeros(2, np.int64)], ()),
    ],
)
def test_what_it_cannot_take_is_refused(keys: Any, columns: Any) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError, BufferError)):
        grouping._group.group(keys, columns, False)


@given(
    st.lists(st.one_of(st.floats(), st.floats(-1e6, 1e6), st.integers(-(2**62), 2**62).map(float))),
    st.sampled_from([1, 2, 1000, 1_000_000, 2**53, 2**54, 2**62]),
)
@example([0.5, 1.5, -0.5, -2.5, 4611686018427387000.0], 1)
def test_floats_are_scaled_alike(values: list[float], per_unit: int) -> None:
    told: list[list[int] | str] = []
    for way in (_either, numpy_alone):
        with way():
            for array in (np.array(values), np.array(values)[::-1]):
                try:
                    told.append(mr.scaled(array, per_unit).tolist())
                except JobError as error:
                    told.append(str(error))
    assert told[:2] == told[2:]


@needs_compiler
@pytest.mark.parametrize("values", [np.zeros(2, np.float32), np.zeros((2, 2)), np.zeros(4)[::2], 1])
def test_what_it_cannot_scale_is_refused(values: Any) -> None:
    with pytest.raises((TypeError, BufferError, ValueError)):
        grouping._group.scale(values, 1.0, 1.0)


@needs_compiler
def test_other_threads_go_on_while_it_groups() -> None:
    keys = np.arange(4_000_000) % 7919
    turns, seen = 0, []

    def group() -> None:
        before = turns
        grouped([keys], [("sum", 1)])
        seen.append(turns - before)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(60)  # no thread is made to let others go on
    try:
        thread = threading.Thread(target=group)
        thread.start()
        while thread.is_alive():
            thread.join(0.0001)
            turns += 1
    finally:
        sys.setswitchinterval(interval)
    assert seen[0] > 1


@needs_compiler
def test_many_threads_group_at_once() -> None:
    keys = np.arange(100_000) % 1000
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: grouped([keys], [("sum", n)]), range(40)))
    assert [one[1][0].tolist() for one in found if one] == [[100 * n] * 1000 for n in range(40)]


@needs_compiler
def test_memory_is_that_of_the_groups() -> None:
    code = """
import numpy as np
from mapreduce.tables.grouping import grouped
def peak():
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM"))
keys = np.arange(8_000_000) % 1000
grouped([keys[:5000]], [("sum", 1), ("wide", keys[:5000])], ascending=True)
before = peak()
assert len(grouped([keys], [("sum", 1), ("wide", keys)], ascending=True)[0][0]) == 1000
print(peak() - before)
"""
    if not Path("/proc/self/status").exists():
        pytest.skip("memory is read from /proc")
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert int(told.stdout) < 1024  # KB; the keys alone have 64 MB


def test_it_can_be_left_out() -> None:
    code = "from mapreduce.tables import grouping; print(grouping.is_built())"
    told = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {grouping.SWITCH: switch},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for switch in ("0", "1")
    ]
    assert told == ["False\n", f"{grouping.is_built()}\n"]


@needs_compiler
def test_random_rows_break_no_memory(tmp_path: Path) -> None:
    folder = Path(grouping.__file__).parent
    to = tmp_path / "_group.so"
    flags = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    include = "-I" + sysconfig.get_path("include")
    command = ["cc", *flags, "-shared", "-fPIC", include, str(folder / "module.c"), "-o", str(to)]
    subprocess.run(command, check=True)
    library = subprocess.run(
        ["cc", "-print-file-name=libasan.so"], check=True, capture_output=True, text=True
    ).stdout.strip()
    told = subprocess.run(
        [sys.executable, Path(__file__).with_name("sanitized_grouping.py"), to],
        env={"LD_PRELOAD": library, "ASAN_OPTIONS": "detect_leaks=0", "PYTHONMALLOC": "malloc"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    tried, given_up = json.loads(told.stdout)
    assert 0 < given_up < tried / 2
