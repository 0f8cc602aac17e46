"""What the last line of a run says."""

from __future__ import annotations

import pytest

import mapreduce as mr
from mapreduce.console.summary import bounded_by, summary
from mapreduce.objects.memory import Memory
from tests.jobs.counting import Links


@pytest.mark.parametrize(
    ("listed_s", "waited_s", "worked_s", "slots_s", "said"),
    [
        (0.1, 5.0, 1.0, 12.0, "starting the workers (small run)"),  # 8 slots for 7 s: 56
        (6.0, 5.0, 1.0, 12.0, "listing the source"),
        (0.1, 5.0, 1.0, 55.0, "the number of slots (little work)"),
        (0.1, 40.0, 1.0, 50.0, "reading the objects"),
        (0.1, 4.0, 40.0, 50.0, "decoding the objects (CPU)"),
        (0.1, 20.0, 20.0, 50.0, "both reading and decoding"),
    ],
)
def test_what_bounded_a_run_is_judged_by_what_its_slots_could_have_done(
    listed_s: float, waited_s: float, worked_s: float, slots_s: float, said: str
) -> None:
    work = {"waited_s": waited_s, "worked_s": worked_s, "slots": 8, "slots_s": slots_s}
    assert bounded_by({"times_s": {"map": 7.0, "list": listed_s}, "work": work}) == said


def test_the_rate_of_a_run_that_was_gone_on_with_is_of_what_was_read_now() -> None:
    receipt = mr.run(
        Links(), Memory({"a": b'{"data": [{"link": 1, "v": 2.0}]}'}), workers=1
    ).receipt
    assert receipt["resumed"] is None
    receipt["times_s"]["map"] = 2.0
    receipt["objects"]["bytes"] = 900_000_000
    assert "mapped at 450 MB/s" in summary(receipt)
    assert "mapped at 10 MB/s" in summary(receipt | {"resumed": {"bytes_since": 20_000_000}})
    assert "mapped at" not in summary(receipt | {"resumed": {"bytes_since": 0}})


def test_it_is_left_out_where_the_slots_are_not_known() -> None:
    got = mr.run(Links(), Memory({"a": b'{"data": [{"link": 1, "v": 2.0}]}'}), workers=2)
    work = got.receipt["work"]
    assert work["slots"] == 2
    assert 0 <= work["slots_s"] <= 2 * got.receipt["times_s"]["map"]
    assert "bounded by" in summary(got.receipt)
    del work["slots"]
    assert bounded_by(got.receipt) is None
    assert "bounded by" not in summary(got.receipt)


def test_hosts_with_which_something_was_wrong_are_named_and_the_others_not() -> None:
    receipt = mr.run(
        Links(), Memory({"a": b'{"data": [{"link": 1, "v": 2.0}]}'}), workers=1
    ).receipt
    well = {"host": "pi01", "tasks": 9, "bytes": 90, "lost": 0, "set_aside": 0, "why": ""}
    well["throttled"] = False
    receipt["work"]["hosts"] = [
        well,
        well | {"host": "pi02", "lost": 4, "throttled": True},
        well | {"host": "pi03", "tasks": 0, "why": "no room\nfree some"},
    ]
    said = summary(receipt)
    assert "pi01" not in said
    assert "host pi02: lost 4 times, throttled\n" in said
    assert "host pi03: took no part (no room)" in said
