"""Standard streams that whoever started us has closed."""

from __future__ import annotations

import os


def open_standard_streams() -> None:
    """Where a standard stream is closed, put nothing in its place, lest a file gets its number.

    Processes that we start inherit it, as they would the stream.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            nothing = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            os.set_inheritable(nothing, True)
