"""Two samples of speeds of each link, compared: difference of the means, and how sure it is.

By Welch's test, which takes neither equal variances nor equal numbers of fixes for granted. Arrays
in, arrays out. Read the interval as a lower bound, as `statistics.half_width_95` says: fixes are
taken as independent, and those of one trip are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from roadspeed.statistics import quantile_t

if TYPE_CHECKING:
    import numpy.typing as npt

    from roadspeed.statistics import Floats, Ints

SLOWER: Final = "slower"
FASTER: Final = "faster"
UNDECIDED: Final = "undecided"
ONLY_A: Final = "only_a"
ONLY_B: Final = "only_b"
VERDICTS: Final = (SLOWER, FASTER, UNDECIDED, ONLY_A, ONLY_B)
MOST_DEGREES: Final = 2.0**62


def welch_half_width_95(std_a: Floats, count_a: Ints, std_b: Floats, count_b: Ints) -> Floats:
    """Give the half-width of the 95 % confidence interval of the difference of two means.

    `t * sqrt(sa²/na + sb²/nb)`, where t is the 97.5 % quantile of Student's t for the degrees of
    freedom of Welch and Satterthwaite (Welch, Biometrika 34, 1947), rounded down: a little too wide
    rather than too narrow.

    Parameters
    ----------
    std_a, std_b
        float64[n], sample standard deviations, in one unit.
    count_a, count_b
        int64[n], how many speeds each comes from.

    Returns
    -------
    float64[n]
        In that unit; NaN where one of the counts is below 2.
    """
    result = np.full(len(std_a), np.nan)
    rows = np.flatnonzero((count_a > 1) & (count_b > 1))
    a = std_a[rows] * std_a[rows] / count_a[rows]
    b = std_b[rows] * std_b[rows] / count_b[rows]
    both = a + b
    of_each = a * a / (count_a[rows] - 1) + b * b / (count_b[rows] - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        degrees = np.where(of_each > 0, both * both / of_each, 1.0)
    whole = np.clip(np.floor(degrees), 1, MOST_DEGREES).astype(np.int64)
    result[rows] = quantile_t(whole) * np.sqrt(both)
    return result


def verdicts(difference: Floats, half_width: Floats) -> npt.NDArray[np.str_]:
    """Say which differences are sure: `slower`, `faster`, or `undecided` where 0 is possible.

    Parameters
    ----------
    difference
        float64[n], the second mean minus the first.
    half_width
        float64[n]; NaN, of what is not known, leaves it undecided.
    """
    sure = np.abs(difference) > half_width  # false for NaN
    said = np.full(len(difference), UNDECIDED, dtype="U9")
    said[sure & (difference < 0)] = SLOWER
    said[sure & (difference > 0)] = FASTER
    return said
