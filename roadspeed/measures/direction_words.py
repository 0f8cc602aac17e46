"""What a field says of the direction: its values, and which way each means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mapreduce.errors import UsageError
from roadspeed.measures.direction import BACKWARD, FORWARD, NAMES, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

MEANINGS: Final[dict[str, int]] = {name: cell for cell, name in enumerate(NAMES)}
USUAL: Final[dict[str, int]] = {
    **MEANINGS,
    **dict.fromkeys(("f", "ft", "with", "1", "+1", "+"), FORWARD),
    **dict.fromkeys(("t", "tf", "against", "-1", "-"), BACKWARD),
}
"""Values that need no explanation, in small letters. "B" is not among them: it often means both."""


def parse_direction_values(text: str) -> dict[str, int]:
    """Read what values mean: "F=forward,T=backward"; "" is `USUAL`.

    Raises
    ------
    UsageError
        A part is not VALUE=forward, VALUE=backward or VALUE=unknown, a value comes twice, or none
        means forward or backward.
    """
    if not text.strip():
        return dict(USUAL)
    found: dict[str, int] = {}
    for part in text.split(","):
        value, _, meaning = (word.strip() for word in part.rpartition("="))
        value = value.casefold()
        if not value or meaning.casefold() not in MEANINGS:
            raise UsageError(
                "expected what values mean, such as F=forward,T=backward (or unknown), got"
                f" {part.strip()!r}"
            )
        if value in found:
            raise UsageError(f"expected each value once, got {value!r} twice in {text!r}")
        found[value] = MEANINGS[meaning.casefold()]
    if set(found.values()) <= {UNKNOWN}:
        raise UsageError(f"expected a value that means forward or backward, got {text!r}")
    return found


def from_words(values: npt.NDArray[Any], meanings: Mapping[str, int]) -> npt.NDArray[np.int64]:
    """Give the directions that values mean.

    Parameters
    ----------
    values
        Text (`S`)[n].
    meanings
        Of `parse_direction_values`.

    Returns
    -------
    int64[n]
        `UNKNOWN` for a value that is not among the meanings. Capitals and blanks around do not
        matter.
    """
    begins = np.ones(len(values), np.bool_)
    begins[1:] = values[1:] != values[:-1]  # along a link all say the same
    starts = np.flatnonzero(begins)
    words, of = np.unique(values[starts], return_inverse=True)
    means = [
        meanings.get(word.decode("utf-8", "replace").strip().casefold(), UNKNOWN)
        for word in words.tolist()
    ]
    told = np.array(means, dtype=np.int64)[of]
    return np.repeat(told, np.diff(starts, append=len(values)))
