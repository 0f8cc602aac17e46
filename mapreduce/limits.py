"""What an attempt may use, and how it says that the job failed: known without numpy.

An agent passes these on and computes nothing, so it starts in a third of the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mapreduce.errors import JobError

OBJECT_CAP_BYTES: Final = 256 << 20
LINE_CAP_BYTES: Final = 16 << 20


class MapError(JobError):
    """The job's `map` raised: with its traceback, the object's key and the record."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an attempt may use. All of it is part of every engine alike.

    `object_cap_bytes` bounds a document, or a page of a Parquet column, unpacked; `line_cap_bytes`
    a line; `max_keys` the rows of a table; `quarantine_map_errors` books an exception in `map` on
    the object instead of stopping the run; `allow_nan` takes NaN, Infinity and -Infinity where JSON
    has a value.
    """

    object_cap_bytes: int = OBJECT_CAP_BYTES
    line_cap_bytes: int = LINE_CAP_BYTES
    max_keys: int = 10_000_000
    quarantine_map_errors: bool = False
    allow_nan: bool = False
