"""Outcomes in any order give one partial and one account; hopeless runs stop early."""

from __future__ import annotations

import itertools
import random

import pytest

import mapreduce as mr
from mapreduce.errors import JobError, PartialError
from mapreduce.ledger import Cost, Dropped, Ledger, Quarantined
from mapreduce.plan import Piece, Split
from mapreduce.runs.aggregator import HOPELESS_AFTER, HOPELESS_CRASHES, Aggregator
from mapreduce.tables import encoding, partial
from mapreduce.tables.partial import Partial

TABLE = mr.Table(key="k", n=mr.Sum)
SCHEMAS = [TABLE.schema]


def _raw(*keys: int) -> bytes:
    return encoding.pack(Partial((partial.combine(TABLE, [TABLE.fold(list(keys), n=1)], [0]),)))


def _whole(number: int) -> Split:
    return Split(number, (Piece(number, f"k{number}", 9, "e"),))


def _part(number: int, start: int, stop: int) -> Split:
    return Split(number, (Piece(5, "big", 30, "e", start, stop),))


def _kept(n: int = 1) -> Ledger:
    return Ledger(ok=1, ok_bytes=9, read=n, kept=n)


def test_the_order_of_outcomes_never_shows() -> None:
    digests = set()
    for seed in range(20):
        order = list(range(70))
        random.Random(seed).shuffle(order)
        gather = Aggregator(SCHEMAS, 1000)
        for number in order:
            gather.add([_whole(number)], _raw(number % 9, number % 4), _kept(2), Cost(1.0))
        digests.add(encoding.digest(gather.result()))
        assert (gather.ledger.ok, gather.ledger.kept, gather.cost.waited_s) == (70, 140, 70.0)
    assert len(digests) == 1


def test_a_divided_object_counts_once_all_its_pieces_are_here() -> None:
    for order in itertools.permutations([(0, 10), (10, 20), (20, 30)]):
        gather = Aggregator(SCHEMAS, 1000)
        for number, (start, stop) in enumerate(order):
            assert gather.ledger.ok == 0
            lost = Ledger(
                read=4, kept=3, dropped={"bad": 1}, samples=[Dropped("bad", 5, start // 10, "big")]
            )
            gather.add([_part(number, start, stop)], _raw(start), lost, Cost())
        assert (gather.ledger.ok, gather.ledger.ok_bytes) == (1, 30)
        assert (gather.ledger.read, gather.ledger.kept) == (12, 9)
        # A record's place is counted from the beginning of the object, not of the piece.
        assert [s.row for s in gather.ledger.samples] == [0, 5, 10]
        assert gather.result().tables[0].keys[0].tolist() == [0, 10, 20]


def test_a_divided_object_with_one_bad_piece_leaves_no_trace_in_the_sums() -> None:
    gather = Aggregator(SCHEMAS, 1000)
    bad = Ledger(quarantined=[Quarantined(5, "big", "e", "changed", "byte 12")])
    gather.add([_part(0, 20, 30)], _raw(1), _kept(), Cost())
    gather.add([_part(1, 10, 20)], _raw(), bad, Cost())
    gather.add([_part(2, 0, 10)], _raw(2), _kept(), Cost())
    assert len(gather.result()) == 0
    assert [q.reason for q in gather.ledger.quarantined] == ["changed"]
    assert (gather.ledger.ok, gather.ledger.read) == (0, 0)


def test_a_divided_object_is_set_aside_once_for_its_first_bad_piece() -> None:
    gather = Aggregator(SCHEMAS, 1000)
    for number, start in enumerate((20, 0, 10)):
        bad = Ledger(quarantined=[Quarantined(5, "big", "e", "changed", f"byte {start}")])
        gather.add([_part(number, start, start + 10)], _raw(), bad if start else _kept(), Cost())
    assert [q.place for q in gather.ledger.quarantined] == ["byte 10"]
    assert not gather._divided  # nothing of it is held any longer


def test_max_keys_holds_for_a_single_outcome() -> None:
    gather = Aggregator(SCHEMAS, 3)
    gather.add([_whole(0)], _raw(1, 2, 3, 4), _kept(), Cost())
    with pytest.raises(JobError, match="4 keys after 1 objects"):
        gather.result()


def test_max_keys_holds_for_the_whole_however_few_outcomes() -> None:
    gather = Aggregator(SCHEMAS, 3)
    gather.listed_objects = 20
    gather.add([_whole(0)], _raw(1, 2), _kept(), Cost())
    gather.add([_whole(1)], _raw(3, 4), _kept(), Cost())
    with pytest.raises(JobError, match=r"4 keys after 2 objects; .* all 20 objects .* up to 40"):
        gather.result()


def test_a_hundred_objects_without_a_record_stop_the_run() -> None:
    gather = Aggregator(SCHEMAS, 1000)
    for number in range(HOPELESS_AFTER - 1):
        gather.add([_whole(number)], _raw(), Ledger(ok=1, read=1, dropped={"no_link": 1}), Cost())
    bad = Ledger(quarantined=[Quarantined(99, "k", "e", "not_json", "byte 3")])
    with pytest.raises(JobError, match=r"99 no_link, 1 not_json.*First: k: byte 3\..*inspect"):
        gather.add([_whole(99)], _raw(), bad, Cost())


def test_ten_crashes_without_a_record_stop_the_run() -> None:
    gather = Aggregator(SCHEMAS, 1000)
    crash = [Quarantined(n, "k", "e", "crashed", "exit code 1") for n in range(HOPELESS_CRASHES)]
    for number, bad in enumerate(crash[:-1]):
        gather.add([_whole(number)], _raw(), Ledger(quarantined=[bad]), Cost())
    with pytest.raises(JobError, match=r"10 crashed.*First: k: exit code 1"):
        gather.add([_whole(9)], _raw(), Ledger(quarantined=crash[-1:]), Cost())


def test_one_record_among_a_hundred_objects_is_hope() -> None:
    gather = Aggregator(SCHEMAS, 1000)
    gather.add([_whole(0)], _raw(1), _kept(), Cost())
    for number in range(1, 300):
        gather.add([_whole(number)], _raw(), Ledger(ok=1), Cost())
    assert gather.ledger.ok == 300


def test_bad_objects_done_before_their_good_neighbours_stop_nothing() -> None:
    gather = Aggregator(SCHEMAS, 1000)
    for number in range(1, 300):
        gather.add([_whole(number)], _raw(), Ledger(ok=1), Cost())
    gather.add([_whole(0)], _raw(1), _kept(), Cost())
    assert (gather.ledger.ok, gather.ledger.kept) == (300, 1)


def test_bytes_that_are_no_partial_of_this_job_are_refused() -> None:
    with pytest.raises(PartialError):
        Aggregator(SCHEMAS, 1000).add([_whole(0)], _raw()[:-1], Ledger(), Cost())
