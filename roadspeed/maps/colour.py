"""Colours of a map: the ground it lies on, the ramp of its values, and the scale between.

The ramp is plasma, dark purple for slow and bright yellow for fast, cropped where it would
drown in its ground. A scale has round limits that hold the middle 96 % of the links, so that
one wild link cannot flatten all others; what lies beyond takes the end colour, and the legend
says so (`≤`, `≥`). Grey means "too little data" and is no part of any ramp.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from mapreduce.errors import UsageError

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

Background = Literal["dark", "light", "none"]

ROBUST_PERCENT = (2.0, 98.0)
LABEL_ROOM = 0.15  # of the colour bar, which the label at either end takes


@dataclass(frozen=True, slots=True)
class Ground:
    """One background and the inks that can be read on it; colours are `#rrggbb[aa]`.

    `paper` is None where the background is transparent; `casing` is None where roads have no
    edge. `ramp` is the part of plasma in use.
    """

    paper: str | None
    casing: str | None
    ink: str
    faint_ink: str
    little: str
    context: str
    rule: str
    ramp: tuple[float, float]


GROUNDS: dict[str, Ground] = {
    "dark": Ground(
        paper="#0b0b10",
        casing="#0b0b10",
        ink="#f4f1ea",
        faint_ink="#a3a0a8",
        little="#70707b",
        context="#2e2e37",
        rule="#34343d",
        ramp=(0.08, 1.0),
    ),
    "light": Ground(
        paper="#f7f5f0",
        casing="#f7f5f0",
        ink="#1c1b22",
        faint_ink="#66636b",
        little="#a09d98",
        context="#dcd8d0",
        rule="#cbc7be",
        ramp=(0.0, 0.94),
    ),
    # Transparent: the greys keep about the same contrast on white and on black.
    "none": Ground(
        paper=None,
        casing=None,
        ink="#777777",
        faint_ink="#777777",
        little="#8c8c8c",
        context="#8c8c8c59",
        rule="#8c8c8c80",
        ramp=(0.08, 0.97),
    ),
}


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to the ramp: limits in the value's own unit, and the ticks of its legend."""

    low: float
    high: float
    log: bool
    ticks: tuple[float, ...]
    signed: bool = False  # differences: ticks are written with their sign

    def place(self, values: npt.ArrayLike) -> Floats:
        """Where each value lies on the ramp.

        Parameters
        ----------
        values
            float64[n], finite; above zero on a logarithmic scale.

        Returns
        -------
        numpy.ndarray
            float64[n] in 0..1; values beyond the limits take the ends.
        """
        x = np.asarray(values, dtype=np.float64)
        low, high = self.low, self.high
        if self.log:
            x, low, high = np.log(np.maximum(x, low)), np.log(low), np.log(high)
        return np.clip((x - low) / (high - low), 0.0, 1.0)


def ramp(background: str, steps: int = 256) -> Floats:
    """Colours of the ramp for a background: float64[steps, 3], RGB in 0..1, slow first."""
    from matplotlib import colormaps  # noqa: PLC0415 - heavy: only for those who draw

    low, high = GROUNDS[background].ramp
    return np.asarray(colormaps["plasma"](np.linspace(low, high, steps))[:, :3], dtype=np.float64)


def round_step(span: float, parts: float) -> float:
    """Return the smallest of 1, 2, 5 · 10^k that is at least `span / parts`."""
    raw = span / parts
    power = 10.0 ** np.floor(np.log10(raw))
    return float(next(power * m for m in (1, 2, 5, 10) if power * m >= raw * (1 - 1e-9)))


def speed_scale(values: npt.ArrayLike, limits: tuple[float, float] | None = None) -> Scale:
    """Linear scale with round limits around the middle 96 % of the values, a fifth wide at least.

    Parameters
    ----------
    values
        float64[n], finite, in the picture's unit; may be empty only if `limits` are given.
    limits
        Fixed limits instead, as for the frames of an animation.

    Raises
    ------
    UsageError
        If the limits are not two finite numbers in ascending order.
    """
    if limits is None:
        low, high = (float(v) for v in np.percentile(np.asarray(values), ROBUST_PERCENT))
        least = 2 * round_step(max(abs(high), 1.0), 10)
        if high - low < least:  # what differs by less is about equal, and is to look so
            low = max(0.0, (low + high - least) / 2)
            high = low + least
        quantum = round_step(high - low, 12)
        low = float(np.floor(low / quantum + 1e-9) * quantum)
        high = float(np.ceil(high / quantum - 1e-9) * quantum)
    else:
        low, high = checked_limits(limits)
    step = round_step(high - low, 5)
    inner = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    inner = inner[(inner - low > 0.55 * step) & (high - inner > 0.55 * step)]
    return Scale(low, high, log=False, ticks=(low, *(float(t) for t in inner), high))


def count_scale(values: npt.ArrayLike, limits: tuple[float, float] | None = None) -> Scale:
    """Logarithmic scale of counts, from 1, 2 or 5 · 10^k to another, one decade at least.

    Parameters
    ----------
    values
        int64[n] or float64[n], each at least 1; may be empty only if `limits` are given.
    limits
        Fixed limits instead.

    Raises
    ------
    UsageError
        If the limits are not two numbers, the lower at least 1, in ascending order.
    """
    if limits is None:
        low, high = (max(1.0, float(v)) for v in np.percentile(np.asarray(values), ROBUST_PERCENT))
        steps = np.array([m * 10.0**k for k in range(19) for m in (1, 2, 5)])
        low = float(steps[steps <= low * (1 + 1e-9)][-1])
        high = float(steps[steps >= max(high, 10 * low) * (1 - 1e-9)][0])
    else:
        low, high = checked_limits(limits)
        if low < 1:
            raise UsageError(f"limits of counts: expected the lower at least 1, got {low:g}")
    decades = np.log10(high / low)
    marks = (1, 2, 5) if decades <= 2 else (1,)  # noqa: PLR2004 - up to seven ticks fit
    bare = Scale(low, high, log=True, ticks=())
    inner = [m * 10.0**k for k in range(19) for m in marks if low < m * 10.0**k < high]
    inner = [tick for tick in inner if LABEL_ROOM < float(bare.place(tick)) < 1 - LABEL_ROOM]
    return Scale(low, high, log=True, ticks=(low, *inner, high))


def checked_limits(limits: tuple[float, float]) -> tuple[float, float]:
    """Return limits as floats; raise UsageError if they are not finite and ascending."""
    low, high = float(limits[0]), float(limits[1])
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise UsageError(f"limits: expected LOW < HIGH, both finite, got {low:g}, {high:g}")
    return low, high
