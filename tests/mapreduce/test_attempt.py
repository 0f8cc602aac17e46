"""One split to one partial and one account, in this process: no engine around it."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.attempts import attempt, combiner
from mapreduce.attempts.attempt import AttemptRunner
from mapreduce.errors import JobError, StoreError
from mapreduce.formats import line_blocks
from mapreduce.ledger import SAMPLES_PER_REASON, Cost
from mapreduce.limits import Limits, MapError
from mapreduce.objects import Location
from mapreduce.objects.memory import Memory
from mapreduce.objects.reader import Reader
from mapreduce.plan import Piece, Planner
from mapreduce.runs.aggregator import Aggregator
from mapreduce.tables import encoding, partial
from tests.jobs.counting import Lines, Links, PlainRows, Rows
from tests.jobs.deadly import Deadly

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mapreduce.ledger import Ledger
    from mapreduce.tables.partial import Partial


def done(
    job: mr.Job,
    objects: Mapping[str, bytes],
    *,
    split_bytes: int = 1 << 40,
    limits: Limits | None = None,
    divisible: bool = False,
) -> tuple[Partial, Ledger]:
    """Run a job over objects in memory, split as told."""
    store = Memory(objects)
    gather = Aggregator(job.schemas(), 10_000_000)
    run = AttemptRunner(job, Reader(), limits or Limits())
    try:
        planner = Planner(split_bytes=split_bytes, divisible=divisible)
        for split in planner.splits_of(store.entries()):
            locations = [Location(body=objects[p.key]) for p in split.pieces]
            part, ledger = run.run(split.pieces, locations)
            gather.add([split], encoding.pack(part), ledger, Cost())
    finally:
        run.close()
    return gather.result(), gather.ledger


class Nameless(mr.Job):
    """CSV without a first line that names columns."""

    records = mr.Csv(names=["id"], id=mr.Int("id"))
    ids = mr.Table(key="id", n=mr.Sum)

    def map(self, r: Any) -> mr.Rows:
        return self.ids.fold(r.id, n=1)


@pytest.mark.parametrize("split_bytes", [1 << 40, 1])
def test_an_object_in_utf_16_is_refused_whole_where_no_line_names_columns(split_bytes: int) -> None:
    wide = ("7\n" * 50_000).encode("utf-16")
    _, ledger = done(Nameless(), {"a": b"7\n", "b": wide}, split_bytes=split_bytes, divisible=True)
    assert [(bad.key, bad.reason) for bad in ledger.quarantined] == [("b", "bad_encoding")]
    assert (ledger.ok, ledger.read) == (1, 1)


def trip(*records: tuple[int, float]) -> bytes:
    return json.dumps({"data": [{"link": str(k), "v": v} for k, v in records]}).encode()


trips = st.lists(
    st.lists(st.tuples(st.integers(0, 4), st.floats(-10, 500)), max_size=6), max_size=8
)


@settings(max_examples=60)
@given(trips, st.integers(1, 1 << 19), st.booleans())
def test_the_sums_are_those_of_a_plain_loop_whatever_the_split(
    documents: list[list[tuple[int, float]]], split_bytes: int, packed_up: bool
) -> None:
    expected: dict[int, list[int]] = {}
    for document in documents:
        good = [(k, round(v * 1e6)) for k, v in document if 0 <= v <= 400]
        for k, v in good:
            e = expected.setdefault(k, [0, 0, 0, 0, v, v])
            e[0], e[2], e[3] = e[0] + 1, e[2] + v, e[3] + v * v
            e[4], e[5] = min(e[4], v), max(e[5], v)
        for k in {k for k, _ in good}:
            expected[k][1] += 1
    raw = [trip(*d) for d in documents]
    objects = {f"{i:02}": gzip.compress(d) if packed_up else d for i, d in enumerate(raw)}
    got, ledger = done(Links(), objects, split_bytes=split_bytes)
    (table,) = got.tables
    n, objects_seen, total, high, low, lowest, highest = table.values
    columns = (n, objects_seen, total, partial.wide_total(high, low), lowest, highest)
    rows = zip(*(c.tolist() for c in columns), strict=True)
    assert dict(zip(table.keys[0].tolist(), map(list, rows), strict=True)) == expected
    assert ledger.ok == len(documents)
    assert ledger.read == sum(map(len, documents)) == ledger.kept + sum(ledger.dropped.values())


def test_a_bad_object_leaves_no_trace_in_the_sums() -> None:
    objects = {"a": trip((1, 5.0)), "b": trip((1, 7.0))[:-2], "c": trip((2, 9.0)), "d": b""}
    whole, ledger = done(Links(), objects)
    alone, _ = done(Links(), {k: objects[k] for k in "ac"})
    assert encoding.digest(whole) == encoding.digest(alone)
    assert [(q.key, q.reason) for q in ledger.quarantined] == [("b", "not_json"), ("d", "empty")]
    assert (ledger.ok, ledger.read) == (2, 2)


def test_a_large_object_combined_in_parts_is_that_combined_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [json.dumps({"id": n % 50 if n % 7 else "x"}).encode() for n in range(4000)]
    objects = {"a": b"\n".join(rows), "b": b"\n".join(rows[:40]), "c": b"\n".join(rows[::3])}
    at_once, ledger = done(Rows(), objects)
    for module in (attempt, combiner):
        monkeypatch.setattr(module, "ROWS_HELD", 5)
    monkeypatch.setattr(line_blocks, "BLOCK_BYTES", 64)
    monkeypatch.setattr(
        line_blocks.blocks, "__kwdefaults__", {"block_bytes": 64, "cap_bytes": 1 << 20}
    )
    in_parts, again = done(Rows(), objects)
    assert encoding.digest(in_parts) == encoding.digest(at_once)
    assert int(at_once.tables[1].values[0].max()) == 3
    assert msgspec.json.encode(again) == msgspec.json.encode(ledger)
    assert [s.row for s in ledger.samples if s.ordinal == 0][:3] == [0, 7, 14]


def test_an_object_that_turns_out_bad_late_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (attempt, combiner):
        monkeypatch.setattr(module, "ROWS_HELD", 5)
    monkeypatch.setattr(
        line_blocks.blocks, "__kwdefaults__", {"block_bytes": 1 << 16, "cap_bytes": 1 << 20}
    )
    held: list[int] = []
    hold = combiner.Combiner.hold

    def noted(self: combiner.Combiner, piece: Piece, rows: Sequence[mr.Rows]) -> None:
        held.append(piece.ordinal)
        hold(self, piece, rows)

    monkeypatch.setattr(combiner.Combiner, "hold", noted)
    good = b'{"id":1}\n' * 300
    ids = np.random.default_rng(1).integers(
        0, 10**9, 1_000_000
    )  # hard to pack, so much comes early
    cut = gzip.compress(b"\n".join(b'{"id":%d}' % n for n in ids.tolist()))[:-20]
    whole, ledger = done(Rows(), {"a.gz": cut, "b": good})
    alone, _ = done(Rows(), {"b": good})
    assert encoding.digest(whole) == encoding.digest(alone)
    assert held[0] == 0  # of the bad one, before it was known to be bad
    assert [(q.key, q.reason) for q in ledger.quarantined] == [("a.gz", "unreadable")]
    assert ledger.read == 300


@pytest.mark.parametrize("named", ["x.jsonl", "x.jsonl.gz"])
def test_a_divided_object_gives_what_a_whole_one_gives(named: str) -> None:
    content = b"\n".join(b'{"id":%d}' % (n % 99) for n in range(100_000))
    body = gzip.compress(content, 1) if named.endswith(".gz") else content
    whole, ledger = done(PlainRows(), {named: body})
    for split_bytes in (70_000, 300_000):
        parts, again = done(PlainRows(), {named: body}, split_bytes=split_bytes, divisible=True)
        assert encoding.digest(parts) == encoding.digest(whole)
        assert again == ledger
    assert (ledger.ok, ledger.ok_bytes, ledger.kept) == (1, len(body), 100_000)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, zstd.compress, lzma.compress])
def test_what_is_packed_without_the_name_is_read_once_when_it_is_divided(
    pack: Callable[[bytes], bytes],
) -> None:
    content = np.random.default_rng(2).integers(0, 1000, 200_000)
    body = pack(b"\n".join(b'{"id":%d}' % n for n in content.tolist()))
    plan = list(Planner(split_bytes=1, divisible=True).splits_of(Memory({"x": body}).entries()))
    assert len(plan) > 3
    whole, ledger = done(PlainRows(), {"x": body})
    parts, again = done(PlainRows(), {"x": body}, split_bytes=1, divisible=True)
    assert encoding.digest(parts) == encoding.digest(whole)
    assert again == ledger
    assert ledger.kept == 200_000


def test_lines_over_the_cap_are_records_that_are_none() -> None:
    body = b"a\n" + b"x" * 50 + b"\nb\n" + b"y" * 60
    limits = Limits(line_cap_bytes=40)
    got, ledger = done(Lines(), {"t.txt": body}, limits=limits)
    assert got.tables[0].keys[0].tolist() == [b"a", b"b"]
    assert (ledger.read, ledger.kept, ledger.dropped) == (4, 2, {"not_a_record": 2})
    assert [s.row for s in ledger.samples] == [1, 3]
    assert got.tables[0].values[1].tolist() == [1, 1]


def test_keys_that_are_too_long_are_counted() -> None:
    got, ledger = done(Lines(), {"t.txt": b"short\n" + b"l" * 17 + b"\nnul\x00\n"})
    assert got.tables[0].keys[0].tolist() == [b"short"]
    assert (ledger.kept, ledger.refused_keys) == (3, {"lines": 2})


def test_a_few_of_each_reason_are_shown_however_many_there_are_of_another() -> None:
    many = b'{"id":null}\n' * 100_000 + b'{"id":true}\n' * 100_000 + b"[]\n"
    _, ledger = done(Rows(), {"x": many})
    shown = [s.reason for s in ledger.samples]
    assert shown.count("no_id") == shown.count("bad_id") == SAMPLES_PER_REASON
    assert [(s.reason, s.row) for s in ledger.samples][-1] == ("not_a_record", 200_000)
    assert ledger.dropped == {"no_id": 100_000, "bad_id": 100_000, "not_a_record": 1}


def _links(n: int, thirteen_at: int | None) -> bytes:
    links = [{"link": 13 if i == thirteen_at else 1} for i in range(n)]
    return json.dumps({"data": links}).encode()


def test_an_exception_in_map_names_object_and_record() -> None:
    objects = {"a": _links(5, 2), "deadly": b'{"data":[{"link":1},{},{"link":13},{"link":13}]}'}
    with pytest.raises(MapError) as caught:
        done(Deadly(how="fail"), objects)
    said = str(caught.value)
    assert "map of Deadly failed in object 'deadly', record 2:" in said
    assert "ZeroDivisionError: thirteen" in said
    assert "tests/jobs/deadly.py" in said
    assert "--on-map-error quarantine" in said


def test_the_culprit_among_many_records_is_found_fast() -> None:
    with pytest.raises(MapError, match="record 77777:"):
        done(Deadly(how="fail"), {"deadly": _links(100_000, 77_777)})
    with pytest.raises(MapError, match=r"records 0 to 1 together:"):
        done(Deadly(how="together"), {"deadly": _links(2, None)})


def test_map_errors_can_set_the_object_aside_instead() -> None:
    objects = {"a": _links(5, 2), "deadly": _links(5, 2), "z": _links(3, None)}
    limits = Limits(quarantine_map_errors=True)
    whole, ledger = done(Deadly(how="fail"), objects, limits=limits)
    alone, _ = done(Deadly(how="fail"), {k: objects[k] for k in "az"})
    assert encoding.digest(whole) == encoding.digest(alone)
    assert [(q.reason, q.place) for q in ledger.quarantined] == [
        ("map_failed", "ZeroDivisionError: thirteen")
    ]


class Wrong(mr.Job):
    """Gives what is not rows of its tables."""

    records = mr.Json(at="data", link=mr.Int("link"))
    links = mr.Table(key="link", n=mr.Sum)

    def map(self, r: Any) -> mr.Rows:
        return mr.Table(key="link", n=mr.Sum).fold(r.link, n=1)


def test_rows_of_another_table_are_refused() -> None:
    with pytest.raises(MapError, match="fold of the job's own tables"):
        done(Wrong(), {"a": _links(1, None)})


def test_an_unbounded_key_is_refused() -> None:
    body = b"\n".join(b'{"id":%d}' % n for n in range(2000))
    with pytest.raises(JobError, match=r"2,000 keys after 1 objects.*--max-keys 1,999"):
        done(Rows(), {"x": body}, limits=Limits(max_keys=1999))


def test_a_fault_of_the_store_is_booked_on_no_object(tmp_path: Any) -> None:
    run = AttemptRunner(Links(), Reader(), Limits())
    piece = Piece(0, "k", 3, "etag")
    try:
        with pytest.raises(StoreError, match="has disappeared"):
            run.run([piece], [Location(path=f"{tmp_path}/no/such/folder/k")])
    finally:
        run.close()


def test_objects_are_told_of_before_they_are_decoded() -> None:
    seen: list[str] = []
    run = AttemptRunner(Links(), Reader(), Limits())
    objects = {f"{n}": trip((1, 1.0)) for n in range(9)}
    pieces = [Piece(int(k), k, len(v), "") for k, v in objects.items()]
    try:
        run.run(pieces, [Location(body=v) for v in objects.values()], lambda p: seen.append(p.key))
    finally:
        run.close()
    assert seen == list(objects)
