"""Courses: the lines of all links as a side input of a job, which knows no roads.

Vertices are whole 1e-7 degrees (a centimetre) in the order in which the source draws them. A link
of several lines keeps them all, each as it is drawn; nothing is drawn between them. The file is an
uncompressed .npz: equal courses are equal bytes, whatever compressor a machine has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from zipfile import BadZipFile

import numpy as np

from mapreduce.errors import JobError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

UNITS_A_DEGREE: Final = 10_000_000
_ARRAYS: Final = ("link", "starts", "breaks", "lon", "lat")


@dataclass(frozen=True, slots=True, eq=False)
class Courses:
    """The lines of links.

    Attributes
    ----------
    link
        int64[m] or text (`S`)[m], strictly ascending.
    starts
        int64[m + 1], where each link's vertices begin.
    breaks
        int64[b], ascending: the vertices that begin another line of the same link.
    lon, lat
        int32[v], 1e-7 degrees, WGS 84.
    """

    link: npt.NDArray[Any]
    starts: Ints
    breaks: Ints
    lon: npt.NDArray[np.int32]
    lat: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.link)

    @classmethod
    def of(cls, link: npt.NDArray[Any], line: Ints, lon: Floats, lat: Floats) -> Courses:
        """Take the lines of links.

        Parameters
        ----------
        link
            int64[v] or text (`S`)[v]: each vertex's link; those of a line follow each other.
        line
            int64[v]: a number that differs between one line and the next.
        lon, lat
            float64[v], degrees.
        """
        order = np.argsort(link, kind="stable")
        link, line, lon, lat = link[order], line[order], lon[order], lat[order]
        new = np.ones(len(link), np.bool_)
        new[1:] = link[1:] != link[:-1]
        starts = np.flatnonzero(new)
        other = np.zeros(len(link), np.bool_)
        other[1:] = line[1:] != line[:-1]
        return cls(
            link=link[starts],
            starts=np.append(starts, len(link)).astype(np.int64),
            breaks=np.flatnonzero(other & ~new).astype(np.int64),
            lon=np.rint(lon * UNITS_A_DEGREE).astype(np.int32),
            lat=np.rint(lat * UNITS_A_DEGREE).astype(np.int32),
        )

    def write(self, path: Path) -> None:
        """Write what `read` reads."""
        with path.open("wb") as file:
            np.savez(file, **{name: getattr(self, name) for name in _ARRAYS})

    @classmethod
    def read(cls, path: Path) -> Courses:
        """Read a file of `write`.

        Raises
        ------
        JobError
            It is none.
        """
        try:
            with path.open("rb") as file, np.load(file) as arrays:
                made = cls(*(arrays[name] for name in _ARRAYS))
            made._check()
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise JobError(f"{path}: expected a file of the courses of links: {error}") from None
        return made

    def _check(self) -> None:
        """Refuse arrays that do not fit together; `ValueError` says which."""
        kinds = (self.starts, "i8"), (self.breaks, "i8"), (self.lon, "i4"), (self.lat, "i4")
        bounds = np.concatenate([self.starts[:1], -self.starts[-1:] + len(self.lon)])
        fits = {
            "types": all(array.dtype == kind for array, kind in kinds)
            and (self.link.dtype == np.int64 or self.link.dtype.kind == "S"),
            "lengths": len(self.starts) == len(self.link) + 1 and len(self.lon) == len(self.lat),
            "bounds": not bounds.any() and bool((np.diff(self.starts) > 0).all()),
            "ids": bool((self.link[1:] > self.link[:-1]).all()),
            "breaks": not ((self.breaks < 0) | (self.breaks >= len(self.lon))).any(),
        }
        if wrong := [name for name, good in fits.items() if not good]:
            raise ValueError(f"its {wrong[0]} do not fit")
