"""An engine that runs attempts in this very process: for tests of what surrounds one, and quick."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mapreduce.attempts.attempt import AttemptRunner
from mapreduce.engine import Assignment, Event, Outcome, located
from mapreduce.ledger import Cost
from mapreduce.objects.reader import Reader
from mapreduce.tables import encoding

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from mapreduce.plan import Split


class StopError(Exception):
    """The run was interrupted, as by a kill."""


class Here:
    """Runs splits one after the other; `stop_after` so many outcomes it is interrupted.

    With `all_listed` it begins when the listing is complete.
    """

    name = "here"

    def __init__(self, stop_after: int | None = None, *, all_listed: bool = False) -> None:
        self.stop_after = stop_after
        self.all_listed = all_listed
        self.ran: list[int] = []

    def events(self, assignment: Assignment, splits: Iterator[Split]) -> Generator[Event]:
        attempt = AttemptRunner(assignment.job.load(), Reader(), assignment.limits)
        try:
            for split in list(splits) if self.all_listed else splits:
                if len(self.ran) == self.stop_after:
                    raise StopError
                found, locations, set_aside = located(split.pieces, assignment.locate)
                part, ledger = attempt.run(found, locations)
                ledger.quarantined += set_aside
                self.ran.append(split.number)
                yield Outcome((split.number,), encoding.pack(part), ledger, Cost(1.0, 1.0, 1))
        finally:
            attempt.close()
