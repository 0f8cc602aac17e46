"""How long to wait before asking again, and when to stop asking.

Pure: it is told the time and given its random numbers. Waits double from the first to the
longest with half of each left to chance, so that many readers don't come back at once; what
the server asked for (`Retry-After`) counts if it is longer. The deadline runs from the first
of a row of failures: progress ends the row, so a long object may take as long as it takes.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from mapreduce.objects.patience import RetryPolicy

_MOST_DOUBLINGS = 30  # keeps 2**n a small number


class Backoff:
    """A row of failures: how many, since when, and how long to wait now."""

    __slots__ = ("_failures", "_retry", "_rng", "_since_s")

    def __init__(self, retry: RetryPolicy, rng: Random) -> None:
        self._retry = retry
        self._rng = rng
        self._failures = 0
        self._since_s = 0.0

    def progressed(self) -> None:
        """Something came: the row of failures is over."""
        self._failures = 0

    def wait_s(self, now_s: float, asked_s: float | None = None) -> float | None:
        """Seconds to wait after one more failure, or None when the deadline has passed.

        Parameters
        ----------
        now_s
            A clock that never goes back.
        asked_s
            What the server asked for.
        """
        if not self._failures:
            self._since_s = now_s
        left_s = self._since_s + self._retry.deadline_s - now_s
        if left_s <= 0:
            return None
        doubled_s = self._retry.first_s * 2.0 ** min(self._failures, _MOST_DOUBLINGS)
        own_s = min(doubled_s, self._retry.longest_s) * (0.5 + self._rng.random() / 2)
        self._failures += 1
        return min(max(own_s, asked_s or 0.0), left_s)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that a response asks for in `Retry-After` (RFC 9110, section 10.2.3), if it does.

    A date is taken against the response's own `Date`, since this machine's clock may be wrong.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        then = parsedate_to_datetime(text)
        return max(0.0, (then - parsedate_to_datetime(headers.get("Date", ""))).total_seconds())
    except (ValueError, TypeError):
        return None
