"""From exact integers per link to numbers: mean, standard deviation, 95 % half-width, units.

Its rule: integers stay exact until the last step, so each number is the same double on every
machine, whatever the order in which the fixes came. A speed is a whole number of micro-units
(`speed_um`); the unit itself (km/h, mph, …) is the caller's. A sum of squares passes int64 and
comes as limbs: value = high * 2**32 + low, 0 <= low < 2**32. What is undefined (no fix, or one fix
for a deviation) is NaN. Nothing here reads, joins or writes, and nothing estimates from floats.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from mapreduce.errors import JobError

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]

MICRO: Final = 10**6
"""Micro-units in a unit."""

_EXACT: Final = 2**53  # every integer up to here is a double
_LIMB: Final = 2**32
_MAX_COUNT: Final = 2**63 // MICRO  # count * MICRO still fits int64

NORMAL_QUANTILE: Final = 1.959963984540054
"""The 97.5 % quantile of the normal distribution: Student's t for infinitely many degrees."""

# Student's t, 97.5 % quantile, for 1, 2, … degrees of freedom. Abramowitz and Stegun (1964),
# table 26.10, to more digits: the roots of the finite series 26.7.3 and 26.7.4, which a test
# evaluates at each of them. Beyond the table the expansion 26.7.5 is good to a part in a million.
# fmt: off
_T_TABLE: Final = (
    12.706204736, 4.302652730, 3.182446305, 2.776445105, 2.570581836,
    2.446911851, 2.364624252, 2.306004135, 2.262157163, 2.228138852,
    2.200985160, 2.178812830, 2.160368656, 2.144786688, 2.131449546,
    2.119905299, 2.109815578, 2.100922040, 2.093024054, 2.085963447,
    2.079613845, 2.073873068, 2.068657610, 2.063898562, 2.059538553,
    2.055529439, 2.051830516, 2.048407142, 2.045229642, 2.042272456,
)
# fmt: on


def mean(total_um: Ints, count: Ints) -> Floats:
    """Give each link's mean speed: the exact rational, rounded once to the nearest double.

    Over fixes at equal time intervals this arithmetic mean estimates the *space-mean* speed of the
    link (Austroads, Guide to Traffic Management part 2, 2.1.3).

    Parameters
    ----------
    total_um
        int64[n], sums of speeds in micro-units.
    count
        int64[n], how many speeds each sum holds.

    Returns
    -------
    float64[n]
        `total_um / (count * 10**6)` in the unit, NaN where `count` is 0.

    Raises
    ------
    JobError
        On arrays that are not int64 of one length, a negative count, or one above 9.2e12.
    """
    n = _checked(count, total_um=total_um)
    if n and int(count.max()) > _MAX_COUNT:
        raise JobError(
            f"mean: a count of {int(count.max())} is above {_MAX_COUNT}; split the table"
        )
    divisor = count * MICRO
    # One IEEE division of two exact doubles is correctly rounded: the fast path, nearly always.
    with np.errstate(divide="ignore", invalid="ignore"):
        result = total_um.astype(np.float64) / divisor.astype(np.float64)
    inexact = (total_um > _EXACT) | (total_um < -_EXACT) | (divisor > _EXACT)
    result[count == 0] = np.nan
    rows = np.flatnonzero(inexact & (count > 0))
    if len(rows):  # Python rounds the quotient of two integers correctly, whatever their size
        pairs = zip(total_um[rows].tolist(), divisor[rows].tolist(), strict=True)
        result[rows] = [a / b for a, b in pairs]
    return result


def units(speed_um: Ints) -> Floats:
    """Give micro-units as units: float64[n], each the double nearest to `speed_um / 10**6`.

    Parameters
    ----------
    speed_um
        int64[n], for example the least or greatest speed of each link.
    """
    return mean(speed_um, np.ones(len(speed_um), dtype=np.int64))


def deviation(total_um: Ints, squares_high: Ints, squares_low: Ints, count: Ints) -> Floats:
    """Give each link's sample standard deviation (n - 1), exact up to the last two roundings.

    `n * Σx² - (Σx)²` is formed in integers of any size, so there is no cancellation; its quotient
    by `n * (n - 1) * 10**12` is rounded once, and its root once: together less than one unit in
    the last place, and the same bytes everywhere, since IEEE 754 defines both.

    Parameters
    ----------
    total_um
        int64[n], sums of speeds in micro-units.
    squares_high, squares_low
        int64[n] each, limbs of the sums of squared micro-units.
    count
        int64[n], how many speeds each sum holds.

    Returns
    -------
    float64[n]
        In the unit; NaN where `count` is below 2.

    Raises
    ------
    JobError
        On arrays that are not int64 of one length, and where the sums contradict each other (no
        set of speeds has them).
    """
    n = _checked(count, total_um=total_um, squares_high=squares_high, squares_low=squares_low)
    variance = np.full(n, np.nan)
    rows = np.flatnonzero(count > 1)
    columns = (count, total_um, squares_high, squares_low)
    exact = zip(*(column[rows].tolist() for column in columns), strict=True)
    scale = MICRO * MICRO
    variance[rows] = [
        (k * (high * _LIMB + low) - total * total) / (k * (k - 1) * scale)
        for k, total, high, low in exact
    ]
    wrong = np.flatnonzero(variance < 0)
    if len(wrong):
        i = int(wrong[0])
        raise JobError(
            f"deviation: row {i}: {int(count[i])} speeds cannot sum to {int(total_um[i])} and "
            f"their squares to {int(squares_high[i]) * _LIMB + int(squares_low[i])}; the columns "
            "are not of one table"
        )
    root: Floats = np.sqrt(variance)
    return root


def half_width_95(std: Floats, count: Ints) -> Floats:
    """Give the half-width of the 95 % confidence interval of each mean: `t * std / sqrt(n)`.

    Read it as a lower bound. The formula takes fixes as independent, and they are not: one car
    gives a fix a second, each much like the one before, so 200 fixes of two trips carry about two
    trips' worth of evidence. Compare `trips` before comparing roads.

    Parameters
    ----------
    std
        float64[n], sample standard deviations in the unit.
    count
        int64[n], how many speeds each comes from.

    Returns
    -------
    float64[n]
        In the unit of `std`; NaN where `count` is below 2.
    """
    _checked(count)
    width = np.full(len(count), np.nan)
    rows = count > 1
    width[rows] = quantile_t(count[rows] - 1) * std[rows] / np.sqrt(count[rows])
    return width


def quantile_t(degrees: Ints) -> Floats:
    """Give the 97.5 % quantile of Student's t for each number of degrees of freedom, at least 1.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions (1964): table 26.10 up to 30
    degrees, the asymptotic expansion 26.7.5 with four terms above (relative error below 1e-6).
    """
    x = NORMAL_QUANTILE
    y = x * x  # products, not powers: a C library's pow may differ in the last bit
    terms = (
        x * (y + 1) / 4,
        x * ((5 * y + 16) * y + 3) / 96,
        x * (((3 * y + 19) * y + 17) * y - 15) / 384,
        x * ((((79 * y + 776) * y + 1482) * y - 1920) * y - 945) / 92160,
    )
    inverse = 1.0 / degrees
    result = np.full(len(degrees), 0.0)
    for term in reversed(terms):  # by Horner's scheme
        result = (result + term) * inverse
    result += x
    table = np.array(_T_TABLE)
    small = degrees <= len(table)
    result[small] = table[degrees[small] - 1]
    return result


def _checked(count: Ints, **columns: Ints) -> int:
    """Refuse what is not int64, of another length than `count`, or a negative count."""
    for name, column in {"count": count, **columns}.items():
        if column.dtype != np.int64 or column.shape != (len(count),):
            raise JobError(
                f"{name}: expected int64 of shape ({len(count)},), "
                f"got {column.dtype} of shape {column.shape}"
            )
    if len(count) and int(count.min()) < 0:
        raise JobError(f"count: expected 0 or more, got {int(count.min())}")
    return len(count)
