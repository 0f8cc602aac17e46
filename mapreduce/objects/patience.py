"""How patiently objects are read over the web: what a `Reader` is told, and what it keeps to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient a reader is.

    Parameters
    ----------
    first_s
        The first wait, in seconds.
    longest_s
        The longest wait of its own accord.
    deadline_s
        How long a row of failures may last in all; a server's `Retry-After` is cut to it.
    """

    first_s: float = 0.2
    longest_s: float = 20.0
    deadline_s: float = 180.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long to ask, and over how many connections.

    Parameters
    ----------
    retry
        Of a store that is busy or away.
    connections
        Idle ones kept to one host: as many as threads that read.
    connect_s, read_s
        How long one connection may take to come about, and one piece to come, in seconds.
    seed
        Of the chance in back-off; None for the system's.
    """

    retry: RetryPolicy = RetryPolicy()
    connections: int = 16
    connect_s: float = 10.0
    read_s: float = 60.0
    seed: int | None = None
