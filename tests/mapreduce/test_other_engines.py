"""What surrounds the tasks of Dask and Spark, without either: a client of our own runs them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

pytest.importorskip("distributed")

from mapreduce.engine import Assignment, Outcome
from mapreduce.engines import foreign_task
from mapreduce.engines.dask_tree import FAN_IN, FaultError, TaskTree, attempt
from mapreduce.engines.foreign_bundle import Shipment, release
from mapreduce.engines.foreign_driver import PendingWork
from mapreduce.engines.foreign_task import (
    Fault,
    Work,
    WorkAnswer,
    decode_answer,
    encode,
    joined,
    run,
)
from mapreduce.errors import ObjectError
from mapreduce.job.name import name_of
from mapreduce.ledger import Cost, Ledger
from mapreduce.limits import Limits
from mapreduce.objects import Location
from mapreduce.plan import Piece, Split
from mapreduce.tables import encoding, partial
from tests.jobs.counting import PlainRows

if TYPE_CHECKING:
    from collections.abc import Callable

JOB = PlainRows()
SCHEMAS = JOB.schemas()
ARCHIVE = "none.zip"
work_of = msgspec.msgpack.Decoder(Work).decode


def desk(locate: Callable[[Piece], Location]) -> PendingWork:
    name = name_of(JOB)
    goods = Shipment(ARCHIVE, b"", name, release())
    return PendingWork(Assignment(name, Limits(), locate, SCHEMAS), goods)


def split(number: int) -> Split:
    return Split(number, (Piece(number, f"{number}", 10, "e"),))


@dataclass
class Done:
    """A future that is done."""

    status: str
    came: Any
    waiting: list[Any] = field(default_factory=list)

    def result(self, timeout: float) -> bytes:
        assert timeout
        answer: bytes = self.came
        return answer

    def exception(self) -> Exception:
        error: Exception = self.came
        return error

    def add_done_callback(self, told: Callable[[Any], None]) -> None:
        told(self)


class Losing:
    """A client whose first merge fails: an attempt beneath it was run anew, and came to nothing."""

    status = "running"

    def __init__(self) -> None:
        self.attempts: list[int] = []
        self.lost: Fault | None = None

    def nthreads(self) -> dict[str, int]:
        return {"worker": 2}

    def cancel(self, futures: list[Any], *, force: bool) -> None:
        assert force
        assert not futures

    def submit(self, act: Any, _order: bytes, *given: Any, key: str, priority: int) -> Done:
        assert key
        assert priority >= 0
        if act is attempt:
            number = work_of(given[0]).number
            self.attempts.append(number)
            empty = encoding.pack(partial.empty(SCHEMAS))
            return Done(
                "finished", encode(WorkAnswer(Outcome((number,), empty, Ledger(ok=1), Cost())))
            )
        answers = [decode_answer(one.came) for one in given]
        if self.lost is None:
            whole = answers[-1].whole
            assert whole is not None
            self.lost = Fault(whole.splits[0], "killed", "out of memory")
            return Done("error", FaultError(encode(self.lost)))
        return Done("finished", encode(joined(answers, SCHEMAS, 1000)))


@pytest.mark.timeout(30)
def test_what_was_merged_with_an_attempt_that_fails_when_run_anew_is_run_again_too() -> None:
    client = Losing()
    numbers = range(FAN_IN)
    tree = TaskTree(client, desk(lambda _: Location(body=b"")), map(split, numbers))  # type: ignore[arg-type]  # ours
    with contextlib.closing(tree):
        came = [event for event in tree.events() if isinstance(event, Outcome)]
    assert client.lost is not None
    assert sorted(n for outcome in came for n in outcome.splits) == list(numbers)
    assert sorted(client.attempts) == sorted([*numbers, *numbers])


def test_a_piece_of_a_divided_object_that_cannot_be_located_stays_a_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(foreign_task._archive_of, "tests", ARCHIVE)  # as if it had come

    def nowhere(piece: Piece) -> Location:
        raise ObjectError("unreadable", piece.key)

    at = desk(nowhere)
    divided = Split(3, (Piece(0, "..", 100, "e", 50, 100),))
    work = at.work(divided)
    assert work_of(work).pieces == ()
    answer = decode_answer(run(at.order, work))
    assert not answer.faults
    assert answer.whole is None
    assert [part.splits for part in answer.parts] == [(3,)]
