"""How a run over hosts ends where it does not end well."""

from __future__ import annotations

from typing import Final

from mapreduce.errors import JobError, MapReduceError, StoreError
from mapreduce.limits import MapError


class NoWorkersError(StoreError):
    """There is nobody to do the work; the run can be resumed."""


class StoppedError(StoreError):
    """Somebody asked the run to stop; it can be resumed."""


ENDS: Final = {
    "job": JobError,
    "map": MapError,
    "store": StoreError,
    "bug": MapReduceError,
    "workers": NoWorkersError,
}
