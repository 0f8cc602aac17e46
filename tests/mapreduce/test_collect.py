"""What a job leaves of each object: in order, of good ones alone, with the account of a run."""

from __future__ import annotations

import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr
from mapreduce.errors import MapReduceError, UsageError
from mapreduce.runs.collect import Account, collect
from tests.jobs.leaving import Leaving

ROOT = Path(__file__).parents[2]


def lines(*values: object) -> bytes:
    return "".join(f'{{"id": {value}}}\n' for value in values).encode()


def collected(objects: dict[str, bytes], **more: Any) -> tuple[list[tuple[str, Any]], Account]:
    taken: list[tuple[str, Any]] = []
    account = collect(Leaving(), mr.Memory(objects), lambda *one: taken.append(one), **more)
    return taken, account


@pytest.mark.parametrize("workers", [1, 2])
def test_objects_come_in_the_order_of_the_listing(workers: int) -> None:
    objects = {f"{n:02}": lines(*range(n, n + 3)) for n in range(25)}
    told: list[mr.Progress] = []
    taken, account = collected(objects, workers=workers, on_progress=told.append)
    assert taken == [(f"{n:02}", [n, n + 1, n + 2]) for n in range(25)]
    assert account.receipt["objects"]["ok"] == 25
    assert account.receipt["records"] == {"read": 75, "kept": 75, "dropped": {}}
    assert (told[-1].done, told[-1].total) == (25, 25)


def test_bad_objects_leave_nothing_and_every_record_is_counted() -> None:
    objects = {
        "a": lines(1, '"x"'), "b.gz": b"\x1f\x8b\x08cut", "c": b"", "_d": lines(5), "e": lines(2),
    }  # fmt: skip
    taken, account = collected(objects, workers=1)
    assert taken == [("a", [1]), ("e", [2])]
    assert account.receipt["objects"] | {"bytes": 0} == {
        "listed": 5, "ok": 2, "quarantined": 2, "ignored": 1, "bytes": 0, "unchecked": 0,
    }  # fmt: skip
    assert account.receipt["records"] == {"read": 3, "kept": 2, "dropped": {"bad_value": 1}}
    assert {bad.key for bad in account.ledger.quarantined} == {"b.gz", "c"}


def test_an_object_without_a_good_record_leaves_nothing_of_the_one_before() -> None:
    objects = {"a": lines(1), "b": lines('"x"', "null"), "c": b"\n \n", "d": b"", "e": lines(2)}
    taken, account = collected(objects, workers=1)
    assert taken == [("a", [1]), ("e", [2])]
    assert account.receipt["records"]["kept"] == 2


def test_processes_end_with_the_one_that_started_them_however_that_ends() -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.mapreduce.killed_collecting"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    worker = int(program.stdout.readline())
    program.kill()
    program.wait()
    # the worker has the other end of this pipe, too: it comes to its end with the last of them
    ready, _, _ = select.select([program.stdout], [], [], 30)
    assert ready, f"process {worker} lives on"
    assert program.stdout.read() == ""
    program.stdout.close()


def test_a_part_of_the_source_is_taken() -> None:
    options = mr.Options(selection=mr.Selection(match=("b*",)))
    taken, account = collected({"a": lines(1), "b": lines(2)}, workers=1, options=options)
    assert taken == [("b", [2])]
    assert account.receipt["selection"]["match"] == ["b*"]


def test_a_process_that_dies_is_told_with_the_object() -> None:
    objects = {f"{n:02}": lines(666 if n == 7 else n) for n in range(20)}
    with pytest.raises(MapReduceError, match=r"a worker process died at '0\d' or one of"):
        collected(objects, workers=1)


def test_nothing_there_is_told() -> None:
    with pytest.raises(UsageError, match="holds no object"):
        collected({}, workers=1)
    options = mr.Options(selection=mr.Selection(match=("b*",)))
    with pytest.raises(UsageError, match="holds no object that matches the selection: is the"):
        collected({"a": lines(1)}, workers=1, options=options)
