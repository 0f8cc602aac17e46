"""One digest whatever the processes, splits, order, store and packing; receipts that balance."""

from __future__ import annotations

import gzip
import json
import random
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest

import mapreduce as mr
from mapreduce.console.summary import summary
from mapreduce.engine import Advance
from mapreduce.engines.local import Local
from mapreduce.errors import JobError, MapReduceError, UsageError
from mapreduce.limits import Limits
from mapreduce.objects.memory import Memory
from mapreduce.objects.s3 import S3
from mapreduce.objects.s3_settings import Settings
from mapreduce.objects.selection import Selection
from mapreduce.plan import Planner, Split
from mapreduce.runs.driver import Options, run
from roadspeed.speeds import Speeds
from tests.curitiba import CURITIBA, needs_curitiba
from tests.jobs.counting import Lines, Links, PlainRows
from tests.jobs.here import Here

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from pathlib import Path

    from mapreduce.engine import Assignment, Event
    from mapreduce.objects import Entry
    from mapreduce.runs.progress import Progress
    from tests.services.seaweed import Seaweed

TRIPS = CURITIBA / "trips"


class Shuffled(Memory):
    """Lists in an order of its own."""

    def __init__(self, objects: dict[str, bytes], seed: int) -> None:
        super().__init__(objects)
        self.seed = seed

    def entries(self) -> Iterator[Entry]:
        found = list(super().entries())
        random.Random(self.seed).shuffle(found)
        yield from found


@pytest.fixture(scope="module")
def trips() -> dict[str, bytes]:
    """Give the trips of Curitiba by key."""
    return {path.name: path.read_bytes() for path in sorted(TRIPS.iterdir())}


@pytest.fixture(scope="module")
def known() -> mr.Result:
    """Give Curitiba by one process, one object a split."""
    return run(Speeds(), TRIPS, workers=1, options=Options(split_bytes=1))


@needs_curitiba
def test_curitiba_is_what_it_is_known_to_be(known: mr.Result) -> None:
    assert known.receipt["objects"] == {
        "listed": 9, "ok": 9, "quarantined": 0, "ignored": 0, "bytes": 12521444, "unchecked": 0
    }  # fmt: skip
    assert known.receipt["records"] == {"read": 18014, "kept": 17888, "dropped": {"no_link": 126}}
    assert len(known.rows["link"]) == 501
    assert int(known.rows["fixes"].sum()) == 17888
    assert known.receipt["complete"] is True


@needs_curitiba
@pytest.mark.parametrize(("workers", "split_bytes"), [(2, None), (3, 3 << 20), (1, 1 << 40)])
def test_processes_and_splits_do_not_show(
    workers: int, split_bytes: int | None, known: mr.Result
) -> None:
    got = run(Speeds(), TRIPS, workers=workers, options=Options(split_bytes=split_bytes))
    assert got.digest == known.digest
    assert got.receipt["records"] == known.receipt["records"]


def _small(seed: int) -> dict[str, bytes]:
    chance = random.Random(seed)
    return {
        f"{n:03}": json.dumps(
            {"data": [{"link": str(chance.randrange(9)), "v": chance.random()} for _ in range(20)]}
        ).encode()
        for n in range(30)
    }


def test_the_order_of_listing_does_not_show() -> None:
    objects = _small(1)
    digests = {
        run(Links(), Shuffled(objects, seed), workers=1, options=Options(split_bytes=s)).digest
        for seed, s in zip(range(20), [1 << 40, 1 << 19] * 10, strict=True)
    }
    assert len(digests) == 1


@needs_curitiba
def test_the_store_and_its_packing_do_not_show(
    trips: dict[str, bytes], known: mr.Result, seaweed: Seaweed
) -> None:
    some = {k: gzip.compress(v, 1) if n % 2 else v for n, (k, v) in enumerate(trips.items())}
    assert run(Speeds(), Memory(some), workers=2).digest == known.digest
    bucket = seaweed.bucket()
    seaweed.put(bucket, some)
    settings = Settings(endpoint=seaweed.endpoint, region="us-east-1", keys=_keys(seaweed))
    got = run(Speeds(), S3(bucket, settings=settings), workers=2)
    assert got.digest == known.digest
    assert got.receipt["source"] == f"s3://{bucket}"


def _keys(seaweed: Seaweed) -> Any:
    from mapreduce.objects.s3_settings import Keys  # noqa: PLC0415 - used here alone

    return Keys(seaweed.access, seaweed.secret)


@pytest.mark.parametrize("job", [PlainRows(), Lines()])
def test_lines_divided_by_bytes_give_what_whole_objects_give(job: mr.Job, tmp_path: Path) -> None:
    chance = random.Random(5)
    for name in ("a.jsonl", "b.jsonl"):
        rows = (b'{"id":%d}' % chance.randrange(50) for _ in range(120_000))
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + b"\n".join(rows))
    packed = gzip.compress((tmp_path / "b.jsonl").read_bytes(), 1)
    whole = run(job, tmp_path, workers=1, options=Options(split_bytes=1 << 40))
    parts = run(job, tmp_path, workers=2, options=Options(split_bytes=200_000))
    (tmp_path / "b.jsonl").unlink()
    (tmp_path / "b.jsonl.gz").write_bytes(packed)
    zipped = run(job, tmp_path, workers=2, options=Options(split_bytes=200_000))
    assert whole.digest == parts.digest == zipped.digest
    assert whole.receipt["records"] == parts.receipt["records"] == zipped.receipt["records"]
    assert whole.receipt["records"]["kept"] == 240_000


def test_what_is_ignored_and_what_is_left_out_is_accounted_for(tmp_path: Path) -> None:
    objects = _small(2) | {"_SUCCESS": b"", ".hidden": b"x", "sub/_meta/x": b"{}", "sub/": b""}
    got = run(Links(), Memory(objects), workers=1, options=Options(selection=Selection(limit=5)))
    assert got.receipt["objects"]["ok"] == 5
    assert got.receipt["complete"] is False
    assert got.receipt["selection"]["limit"] == 5
    whole = run(Links(), Memory(objects), workers=1)
    assert whole.receipt["objects"] | {"bytes": 0} == {
        "listed": 34, "ok": 30, "quarantined": 0, "ignored": 4, "bytes": 0, "unchecked": 0
    }  # fmt: skip
    with pytest.raises(UsageError, match="holds no object that matches the selection"):
        run(Links(), Memory(objects), options=Options(selection=Selection(match=("no*",))))
    with pytest.raises(UsageError, match="holds no object: is the folder"):
        run(Links(), tmp_path)


def test_a_run_of_nothing_but_bad_objects_stops_and_says_what_to_look_at() -> None:
    bad = {f"{n:03}": b"<html>" for n in range(150)}
    with pytest.raises(
        JobError, match=r"yielded no record \(.*not_json\)\. First: .*`inspect SOURCE`"
    ):
        run(Links(), Memory(bad), workers=1)


def test_files_of_a_better_run_are_not_replaced_by_nothing(tmp_path: Path) -> None:
    nothing = Memory({"a": b'{"data": [{"v": 1}]}', "b": b"<html>"})
    for _ in range(2):  # nor does a journal stay, so that another job may run there
        with pytest.raises(
            JobError,
            match=r"no object of 2 yielded a record \(1 no_link, 1 not_json\)\. First: b: ",
        ):
            run(Links(), nothing, workers=1, folder=tmp_path, keep_journal=True)
    result = run(Links(), nothing, workers=1)  # a library's caller sees for itself
    assert (result.receipt["records"]["kept"], len(result.ledger.quarantined)) == (0, 1)
    empty = run(Links(), Memory({"a": b'{"data": []}'}), folder=tmp_path, keep_journal=True)
    assert empty.receipt["objects"]["ok"] == 1


def test_a_plan_that_takes_one_object_twice_and_another_never_ends_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    splits_of = Planner.splits_of

    def doubled(self: Planner, entries: Iterable[Entry]) -> Iterator[Split]:
        for split in splits_of(self, entries):
            pieces = list(split.pieces)
            pieces[2] = pieces[3]
            yield Split(split.number, tuple(pieces))

    monkeypatch.setattr(Planner, "splits_of", doubled)
    options = Options(split_bytes=1 << 40)
    with pytest.raises(MapReduceError, match="the plan is broken at '003': expected object 2"):
        run(Links(), Memory(_small(3)), engine=Here(), options=options)


def test_progress_goes_forward_to_the_whole() -> None:
    told: list[Progress] = []
    objects = _small(3)
    options = Options(split_bytes=1 << 20)
    run(Links(), Memory(objects), workers=2, options=options, on_progress=told.append)
    mapped = [p.done for p in told if p.phase == "map"]
    assert mapped == sorted(mapped)
    assert mapped[-1] == sum(map(len, objects.values()))
    last = [p for p in told if p.phase == "list"][-1]
    assert (last.done, last.total) == (30, 30)


def test_an_unbounded_key_stops_the_run_with_an_estimate() -> None:
    objects = {f"{n:02}": b"%d\n" % n * 3 for n in range(40)}
    options = Options(limits=mr.Limits(max_keys=20), split_bytes=1)
    with pytest.raises(JobError, match=r"keys after .* objects; at this rate all 40 objects yield"):
        run(Lines(), Memory(objects), workers=1, options=options)


def test_runs_leave_no_thread_behind() -> None:
    before = set(threading.enumerate())
    run(Links(), Memory(_small(4)), workers=2)
    with pytest.raises(JobError):
        run(Links(), Memory({f"{n:03}": b"" for n in range(101)}), workers=2)
    left = [t for t in set(threading.enumerate()) - before if t.is_alive()]
    for thread in left:
        thread.join(5)
    assert [t.name for t in left if t.is_alive()] == []


def test_a_run_that_allows_nan_is_another_run(tmp_path: Path) -> None:
    odd = b'{"data": [{"link": 1, "v": 5, "x": NaN}, {"link": 1, "v": 5}, {"link": 1, "v": NaN}]}'
    source = Memory({"a": odd, "b": b'{"x": NaN, "data": []}'})
    strict = run(Links(), source, engine=Local(1), folder=tmp_path, keep_journal=True)
    assert strict.receipt["records"]["nan"] == {
        "records": 2,
        "unused": 1,
        "first": {"key": "a", "row": 0, "value": "NaN at x"},
    }
    assert strict.receipt["objects"]["nan"] == 1
    assert strict.receipt["allow_nan"] is False
    allowed = Options(limits=Limits(allow_nan=True))
    with pytest.raises(UsageError, match=r"allow-nan was False, now it is True"):
        run(Links(), source, engine=Local(1), folder=tmp_path, options=allowed)
    taken = run(Links(), source, engine=Local(1), options=allowed)
    assert taken.receipt["records"] == {"read": 3, "kept": 2, "dropped": {"bad_speed": 1}}
    told = summary(strict.receipt)
    assert "1 records hold NaN or Infinity in a field that is not used (first NaN at x" in told
    assert "1 objects were quarantined for NaN or Infinity outside their records" in told
    assert "--allow-nan" not in summary(taken.receipt)


class Boasting(Here):
    """Says that more was done than there is."""

    def events(self, assignment: Assignment, splits: Iterator[Split]) -> Generator[Event]:
        for event in super().events(assignment, splits):
            yield Advance(5, 10**9)
            yield event


def test_progress_never_says_more_than_there_is() -> None:
    told: list[Progress] = []
    objects = {f"{n}": b'{"data": [{"link": 1, "v": 1}]}' for n in range(4)}
    options = Options(split_bytes=1)
    run(Links(), Memory(objects), engine=Boasting(), options=options, on_progress=told.append)
    mapped = [one for one in told if one.phase == "map"]
    notes = [re.match(r"(\d+) of (\d+)\+? objects", one.note) for one in mapped]
    counts = [(int(note[1]), int(note[2])) for note in notes if note is not None]
    assert len(counts) == len(mapped)
    assert all(done <= listed <= 4 for done, listed in counts)
    assert counts[-1] == (4, 4)
    assert all(one.total is None or one.done <= one.total for one in mapped)
