"""What is wrong with one host and with no other: the rest go on."""

from __future__ import annotations

from mapreduce.errors import MapReduceError


class HostError(MapReduceError):
    """One host could not do its part; the others go on."""
