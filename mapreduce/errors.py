"""Errors, named by what follows from them.

One small tree. `ObjectError` sets one object aside; `StoreError` stops the run and leaves it
resumable; `JobError` stops the run, since the job's own code or declaration is at fault;
`UsageError` is a mistake in what was typed; `PartialError` is bytes that are not a partial.
A message says what was expected, what came, where, and what to do next.
"""

from __future__ import annotations


class MapReduceError(Exception):
    """Root of every error this package raises on purpose."""


class UsageError(MapReduceError):
    """What was typed or passed cannot be meant: say what was expected and what to type instead."""


class JobError(MapReduceError):
    """The job's code or declaration is at fault; no object is to blame and the run stops."""


class StoreError(MapReduceError):
    """The store as a whole failed (refused, 5xx past the deadline, credentials expired).

    The run stops, can be resumed, and books nothing on any object.
    """


class ExpiredError(StoreError):
    """A presigned URL is no longer honoured: sign anew and try again before giving up."""


class AlteredError(StoreError):
    """Bytes were altered on their way from a store: read them again before giving up."""


class PartialError(MapReduceError):
    """Bytes that are not a partial of this format, or one of another table."""


class ObjectError(MapReduceError):
    """One object's own permanent fault: it is quarantined and the run goes on.

    Parameters
    ----------
    reason
        One of `mapreduce.ledger.REASONS`.
    place
        What was seen and where, for people: `"byte 17: expected a list at data"`.
    """

    def __init__(self, reason: str, place: str = "") -> None:
        super().__init__(f"{reason}: {place}" if place else reason)
        self.reason = reason
        self.place = place
