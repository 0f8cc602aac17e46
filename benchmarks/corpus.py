"""The trips that are measured: generated once, then hard-linked to as many objects as wanted.

Links share their bytes on the disk and in the page cache, so a large corpus costs no more cache
than the few files behind it. Whoever shows figures says so (`Corpus.told`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roadspeed.town import make_town

if TYPE_CHECKING:
    from pathlib import Path

PER_FOLDER = 1000


@dataclass(frozen=True, slots=True)
class Corpus:
    """A folder of `objects` trips, or tables of trips, that are hard links of `files` made ones."""

    folder: Path
    objects: int
    files: int
    size_bytes: int
    what: str = "trips"

    @property
    def told(self) -> str:
        """What it is, for people."""
        return (
            f"{self.objects:,} objects, {self.size_bytes / 1e6:,.0f} MB: hard links of {self.files}"
            f" generated {self.what}, in the page cache"
        )


def corpus(root: Path, files: int, objects: int) -> Corpus:
    """Make the corpus under `root`, or find it there."""
    town = root / f"town-{files}"
    made = make_town(town, files, workers=os.cpu_count() or 1)
    trips = sorted(made.trips.glob("*/*.json"))
    sizes = [trip.stat().st_size for trip in trips]
    folder = root / f"links-{files}-{objects}"
    for number in range(objects):
        inside = folder / f"{number // PER_FOLDER:03d}"
        if number % PER_FOLDER == 0:
            inside.mkdir(parents=True, exist_ok=True)
        link = inside / f"trip-{number:06d}.json"
        trip = trips[number % files]
        if not (link.exists() and link.samefile(trip)):
            link.unlink(missing_ok=True)
            link.hardlink_to(trip)
    size_bytes = sum(sizes[number % files] for number in range(objects))
    return Corpus(folder, objects, files, size_bytes)


def warm(corpus: Corpus) -> None:
    """Read the files once, so that the page cache holds them."""
    for path in sorted(corpus.folder.glob("*/*.*"))[: corpus.files]:
        path.read_bytes()
