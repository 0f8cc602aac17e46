"""Courses: the lines of all links as a side input of a job, which knows no roads.

Vertices are whole 1e-7 degrees (a centimetre) in the order in which the source draws them. A link
of several lines keeps them all, each as it is drawn; nothing is drawn between them. The file is an
uncompressed .npz: equal courses are equal bytes, whatever compressor a machine has.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.lib.format import read_array_header_1_0, read_magic, write_array

from mapreduce.atomic_file import whole
from mapreduce.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

UNITS_A_DEGREE: Final = 10_000_000
ALIGNMENT: Final = 64
FROM_HERE: Final = 1  # whence of a seek
FORMAT: Final = (1, 0)  # of numpy's files
_NAME_AT: Final = 30  # of a member: before it are the lengths of name and extra fields
_ALIGNED: Final = 0xD935  # the extra field that aligns
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
        """Write what `read` reads, whole or not at all."""
        with whole(path) as part, part.open("wb") as file, ZipFile(file, "w") as members:
            for name in _ARRAYS:
                info = ZipInfo(f"{name}.npy")  # of 1980, so that times make no difference
                padding = -(file.tell() + _NAME_AT + len(info.filename) + 6) % ALIGNMENT
                info.extra = struct.pack("<HHH", _ALIGNED, 2 + padding, ALIGNMENT) + bytes(padding)
                with members.open(info, "w") as member:
                    write_array(member, getattr(self, name), FORMAT)

    @classmethod
    def read(cls, path: Path) -> Courses:
        """Read a file of `write`: it stays on the disk, and the processes of a machine share it.

        Raises
        ------
        JobError
            It is none.
        """
        try:
            made = cls(*_mapped(path))
            made._check()
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, struct.error) as error:
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


def _mapped(path: Path) -> Iterator[npt.NDArray[Any]]:
    """Map the arrays into memory: numpy's `load` would copy them.

    A member is a local header (PKWARE's APPNOTE.TXT, 4.3.7), its name, extra fields (of which one
    aligns what follows, as Android's zipalign does), and a file of numpy.
    """
    with path.open("rb") as file, ZipFile(file) as members:
        for name in _ARRAYS:
            member = members.getinfo(f"{name}.npy")
            file.seek(member.header_offset + _NAME_AT - 4)
            file.seek(sum(struct.unpack("<HH", file.read(4))), FROM_HERE)
            if member.compress_type != ZIP_STORED or read_magic(file) != FORMAT:
                raise ValueError("it is compressed, or of another format")
            shape, _, dtype = read_array_header_1_0(file)
            if dtype.hasobject or len(shape) != 1:
                raise ValueError("its arrays are of another kind")
            if not shape[0]:
                yield np.zeros(0, dtype)
                continue
            array = np.asarray(np.memmap(path, dtype, "r", file.tell(), shape))
            yield np.require(array, requirements="A")
